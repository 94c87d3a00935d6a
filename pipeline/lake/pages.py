"""Pages: files that never change, and that together hold a list with one entry per source day.

A release needs many such lists. If each release wrote its lists in full, every nightly run would write lists
of the whole history. So a list is split into pages. The latest year has one page per month, and every earlier
year has a single page. The name of a page is the digest of its content. So two lists that differ only in one
month share all other pages, and a nightly run writes only one page per list.

    ROOT/pages/DIGEST.json
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Annotated, Any, TypeVar

from pydantic import StringConstraints

from pipeline.errors import LakeError
from pipeline.lake.files import LakeFiles
from pipeline.lake.json_documents import Document

Value = TypeVar("Value")

PAGES = "pages"
PageName = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}\.(json|parquet)$")]
PageNames = Mapping[str, PageName]
"""The pages of a list: a dict from the period (2015-01 or 2015) to the name of the page's file, in order."""


def group_by_period(days: Sequence[str]) -> Iterator[tuple[str, slice]]:
    """Splits sorted days (YYYY-MM-DD) into periods. Yields each period with a slice of `days`: the positions
    of its days.

    In the latest year, each month is a period (2015-01). Each earlier year is a single period (2014): only a
    backfill still changes it, so its page is rarely written again.
    """
    start = 0
    for period, of_period in groupby(days, key=lambda day: day[:4] if day[:4] < days[-1][:4] else day[:7]):
        end = start + sum(1 for _ in of_period)
        yield period, slice(start, end)
        start = end


def periods_within(period: str, periods: Iterable[str]) -> list[str]:
    """Returns the items of `periods` that `period` contains: `period` itself and, if it is a year, the months
    of this year."""
    return [each for each in periods if each == period or each.startswith(f"{period}-")]


def write_pages(
    lake: LakeFiles, contents: Mapping[str, Any], existing: Collection[str] = ()
) -> dict[str, str]:
    """Writes one page per period. Returns a dict from the period to the name of its page.

    `contents` maps each period to a JSON value. `existing` are the names of pages that exist already. These
    pages are not written again.
    """
    return {
        period: write_page(lake, json.dumps(content, ensure_ascii=False).encode(), "json", existing)
        for period, content in contents.items()
    }


def write_page(lake: LakeFiles, data: bytes, suffix: str, existing: Collection[str] = ()) -> str:
    """Writes a page with the content `data`, unless a page of this name is in `existing`. Returns the name of
    the page: the digest of `data`, with the ending `suffix`."""
    name = f"{hashlib.sha256(data).hexdigest()}.{suffix}"
    if name not in existing:
        lake.put_immutable(posixpath.join(PAGES, name), data)
    return name


def read_pages(lake: LakeFiles, names: Collection[str], document: Document[Value]) -> list[Value]:
    """Returns the values of pages, in the order of `names`. Raises LakeError if a page is missing or damaged,
    or does not have the form of `document`."""
    return [
        document.parse(data, lake.root, posixpath.join(PAGES, name))
        for name, data in zip(names, read_page_files(lake, names), strict=True)
    ]


def page_remedy(root: str, relative: str) -> str:
    """Returns what to do about a damaged page, as text for the error message."""
    return (
        f"Restore it from a backup. If there is none, delete {posixpath.join(root, 'days/catalogue.json')} "
        "and create another release (titler plan) or another model (titler vocab)."
    )


def read_page_files(lake: LakeFiles, names: Collection[str]) -> list[bytes]:
    """Returns the contents of pages, in the order of `names`. Raises LakeError if a page is missing or
    damaged."""
    digests = {posixpath.join(PAGES, name): name.partition(".")[0] for name in names}
    contents = dict(zip(digests, lake.get_immutable(digests), strict=True))
    pages = []
    for name in names:
        path = posixpath.join(PAGES, name)
        data = contents[path]
        if data is None:
            raise LakeError(
                f"The file {lake.path(path)} is missing, or it is damaged: its SHA-256 is not the one in its "
                "name. It is one page of a list, and models and releases refer to this page.",
                page_remedy(lake.root, path),
            )
        pages.append(data)
    return pages


def delete_pages_except(lake: LakeFiles, names: Collection[str], sparing: datetime) -> None:
    """Deletes the pages that are not in `names`. Keeps pages that were written at the time `sparing` or
    later."""
    unused = [
        posixpath.join(PAGES, name)
        for name, written in lake.written(PAGES).items()
        if name not in names and written < sparing
    ]
    lake.for_each(lake.delete, unused)
