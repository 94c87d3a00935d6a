"""Errors of the operating system say what to do about them."""

from __future__ import annotations

import errno
import os

import pytest

from pipeline.errors import disk_error


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "Free disk space, then run the same command again."),
        (errno.EACCES, "Fix the permissions, then run the same command again."),
        (errno.EROFS, "Fix the permissions, then run the same command again."),
        (errno.EMFILE, "Raise the limit of open files (ulimit -n), then run the same command again."),
        (errno.EFBIG, "Raise the limit of a file's size (ulimit -f), then run the same command again."),
        (errno.EIO, "The disk may be failing. Check it, then run the same command again."),
    ],
    ids=errno.errorcode.get,
)
def test_the_advice_fits_the_error_of_the_disk(number: int, advice: str) -> None:
    error = disk_error(OSError(number, os.strerror(number), "/lake/part"))
    assert error is not None
    assert (error.message, error.hint) == (f"/lake/part: {os.strerror(number)}.", advice)


def test_other_errors_are_not_those_of_a_disk() -> None:
    assert disk_error(OSError(errno.ECONNREFUSED, "Connection refused")) is None
    assert disk_error(ValueError("no")) is None
