"""Errors for people: what was found, what was expected, which command to type next; and the exit codes of
`titler`."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from enum import IntEnum


class ExitCode(IntEnum):
    """Every exit code of `titler`. `meaning` is one line for the documentation."""

    DONE = 0
    RETRYABLE = 1
    MISUSE = 2
    DECISION_NEEDED = 3
    NOT_READY = 75
    SKIPPED = 99
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.DONE: "done",
    ExitCode.RETRYABLE: "failed; trying again may help",
    ExitCode.MISUSE: "the command, its options or the settings are wrong",
    ExitCode.DECISION_NEEDED: "stopped until a person decides; trying again changes nothing",
    ExitCode.NOT_READY: "not ready yet (EX_TEMPFAIL of sysexits.h); ask again later",
    ExitCode.SKIPPED: "nothing to do, where the caller passed `--skip-code 99`; Airflow skips the task",
    ExitCode.INTERRUPTED: "interrupted by SIGINT (128 + 2); the same command continues where it stopped",
}


class TitlerError(Exception):
    """A failure that a person can act on. The command prints it without a traceback and exits with
    `exit_code`.

    `message` says what was found and what was expected. `hint`, if any, is the next step, a command where
    possible. `event`, if any, names the alert that the command sends once. With `final`, trying again cannot
    help: the exit code is DECISION_NEEDED instead of RETRYABLE.
    """

    exit_code = ExitCode.RETRYABLE

    def __init__(self, message: str, hint: str = "", event: str = "", *, final: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.event = event
        if final:
            self.exit_code = ExitCode.DECISION_NEEDED

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class UsageError(TitlerError):
    """A mistake in the command, its options, the settings or an input file."""

    exit_code = ExitCode.MISUSE


class ContractError(TitlerError):
    """A table that does not match its declaration in `contracts.py`."""

    exit_code = ExitCode.DECISION_NEEDED


class SourceError(TitlerError):
    """Hour files that cannot be read, or are not GH Archive's."""


class LakeError(TitlerError):
    """A batch, manifest or pointer that is missing or damaged."""


class BudgetError(TitlerError):
    """Work that would cost more than the settings allow. Raised before any of it starts."""

    exit_code = ExitCode.DECISION_NEEDED


class StoppedError(TitlerError):
    """A release that failed its checks and is therefore not published."""

    exit_code = ExitCode.DECISION_NEEDED


class WarehouseError(TitlerError):
    """A warehouse that refuses or fails: permissions, quotas, tables that somebody changed."""


@dataclass(frozen=True)
class Finding:
    """The outcome of a check of `titler doctor`. `advice` says what to do if it failed."""

    subject: str
    passed: bool
    message: str
    advice: str = ""


_DISK_ERRORS = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EMFILE,
    errno.EIO,
)


def disk_error(error: BaseException) -> TitlerError | None:
    """A full, read-only, failing or inaccessible disk as a TitlerError; None for any other error."""
    if not isinstance(error, OSError) or error.errno not in _DISK_ERRORS:
        return None
    place = f"{error.filename}: " if error.filename else ""
    return TitlerError(
        f"{place}{error.strerror}.",
        "Free disk space or fix the permissions, then run the same command again.",
    )
