"""Reads a user's file of issues: rows with a title, a body and optional columns.

`pipeline.source.file_rows` lists the formats. Two kinds of file are typical. One is the data set of Hamel
Husain's article of 2018: a CSV file with the columns issue_url, issue_title and body. The other is a file of
issues from GitHub's API, with one JSON object per line.
"""

from __future__ import annotations

import ast
import json
import re
import reprlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.source.file_rows import FORMATS, read_rows
from pipeline.source.surrogates import replace_surrogates

TITLES, URLS = ("title", "issue_title"), ("issue_url", "html_url", "url")
"""Accepted names of the columns with the title and the address. The first name that has a value counts."""
COLUMNS = (*TITLES, *URLS, "body", "repo", "kind", "state", "labels", "created_at", "closed_at")
_EXPECTED = f"Give a file of issues with a title and a body: {FORMATS}."
_CORRECT_FILE = "Correct the file, then run the same command again."
GITHUB_URL = re.compile(r"https?://github\.com/([^/\s\"]+/[^/\s\"]+)/(issues|pull)/(\d+)", re.IGNORECASE)
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2262, 1, 1, tzinfo=UTC)
"""Readers of Parquet files use nanoseconds since 1970, which end in 2262."""
_EPOCH_SECONDS, _EPOCH_MILLISECONDS = 1e8, 1e11
"""The smallest numbers that are read as seconds and as milliseconds since 1970. Both are in March 1973."""
_EPOCH = re.compile(r"\d{9,}(?:\.\d*)?|\d\.\d+[eE]\+?\d{1,2}")
_ZONE = re.compile(r"\s+(?:UTC|GMT|Z|([+-]\d\d:?\d\d))$", re.IGNORECASE)


@dataclass(frozen=True)
class FileIssue:
    """A row of a user's file of issues.

    `body` is an empty string if the row's body is null. `place` names the file and the row in error
    messages, for example "issues.csv, row 3". `columns` has the other columns that Titler uses, such as
    `labels`.
    """

    title: str
    body: str
    place: str = ""
    columns: Mapping[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The issue's address; empty if the row has none.

        Quotes around the address are removed.
        """
        values = (self.columns.get(name) for name in URLS)
        url = next((value for value in values if isinstance(value, str) and value), "")
        return url.strip().strip('"')

    @property
    def repo(self) -> str:
        """The repository as owner/name, from the row's column `repo` or from the issue's address. It is an
        empty string if the repository is unknown."""
        if isinstance(repo := self.columns.get("repo"), str) and repo:
            return repo
        match = GITHUB_URL.match(self.url)
        return match[1] if match else ""

    @property
    def number(self) -> int:
        """The issue's number in its repository, from the issue's address. It is 0 if the issue has no address
        on GitHub."""
        match = GITHUB_URL.match(self.url)
        return int(match[3]) if match else 0

    @property
    def is_pull_request(self) -> bool:
        """Whether the row is a pull request, according to the column `kind` or the address in the row."""
        match = GITHUB_URL.match(self.url)
        has_pull_address = match is not None and match[2].lower() == "pull"
        return self.columns.get("kind") == "pull_request" or has_pull_address

    @property
    def closed(self) -> bool | None:
        """Whether the issue is closed, according to the column `state` or `closed_at`. The value is None if
        the row has neither column."""
        if self.columns.get("state"):
            return str(self.columns["state"]).lower() == "closed"
        return bool(self.columns["closed_at"]) if "closed_at" in self.columns else None

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the issue's labels.

        The column `labels` may have one of these forms:

        - a list of names
        - a list of GitHub's label objects
        - a text that contains such a list
        - a text with names separated by commas or semicolons

        Raises UsageError if the column has another form.
        """
        labels = self.columns.get("labels")
        if isinstance(labels, str):
            labels = _parse_list(labels)
        if labels is not None and not isinstance(labels, (list, tuple)):
            raise UsageError(
                f"{self.place}: the labels are {reprlib.repr(labels)}, but must be a list of names, or a "
                "text with names separated by commas.",
                _CORRECT_FILE,
            )
        names = (label.get("name") if isinstance(label, dict) else label for label in labels or ())
        return tuple(str(name) for name in names if name)

    def time(self, name: str) -> datetime | None:
        """Returns the time in a column, or None if the column is empty or missing. `name` is the name of the
        column, such as "closed_at".

        A time without a time zone counts as UTC. Raises UsageError if the value is not a time in one of the
        forms of `parse_time`.
        """
        value = self.columns.get(name)
        if value is None or value == "":
            return None
        time = parse_time(value)
        if time is None:
            raise UsageError(
                f"{self.place}: {name} is {reprlib.repr(value)}; expected a time like 2015-01-01T12:00:00Z, "
                "or seconds or milliseconds since 1970.",
                _CORRECT_FILE,
            )
        return time


def parse_time(value: Any) -> datetime | None:
    """Returns the time that a value stands for, with a time zone. Returns None if it is not a time.

    A time may have one of these forms:

    - a datetime or a date
    - a text in ISO 8601. There may be a blank before the time zone, as in `2021-03-01 10:00:00 UTC`, the form
      in which BigQuery exports times
    - seconds or milliseconds since 1970, as a number or a text. Numbers below 10^8 are not accepted,
      because a date such as 20210301 must not be taken for seconds

    A time without a time zone counts as UTC. A time must be at or after EARLIEST, and before LATEST.
    """
    try:
        if isinstance(value, str):
            time = _parse_time_text(value.strip())
        elif isinstance(value, datetime):
            time = value
        elif isinstance(value, date):
            time = datetime(value.year, value.month, value.day)
        else:
            time = _from_epoch(value)
        time = time if time.tzinfo else time.replace(tzinfo=UTC)
        return time if EARLIEST <= time < LATEST else None
    except (TypeError, ValueError, OverflowError):
        return None


def _parse_time_text(text: str) -> datetime:
    if _EPOCH.fullmatch(text):
        return _from_epoch(float(text))
    if zone := _ZONE.search(text):
        text = text[: zone.start()] + (zone[1] or "+00:00")
    return datetime.fromisoformat(text)


def _from_epoch(value: Any) -> datetime:
    """Returns the time that a number of seconds or milliseconds since 1970 stands for. Raises ValueError or
    TypeError if `value` is not such a number."""
    if isinstance(value, bool) or not value >= _EPOCH_SECONDS:
        raise ValueError
    return EARLIEST + timedelta(seconds=float(value) / (1000 if value >= _EPOCH_MILLISECONDS else 1))


def _parse_list(text: str) -> list[Any]:
    """Returns the items of a list that is written as text: a JSON list, a Python list, or items separated by
    commas or semicolons."""
    if text.lstrip().startswith("["):
        for parse in (json.loads, ast.literal_eval):
            try:
                return list(parse(text))
            except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
                continue
    return [part.strip() for part in re.split("[,;]", text)]


def read(path: Path, columns: Collection[str] = COLUMNS) -> Iterator[FileIssue]:
    """Yields the rows of a file of issues. The ending of the file's name decides the format.

    From a Parquet file, only `columns` are read.

    Each row needs a title (`title` or `issue_title`) and a `body`, which may be empty. Unpaired surrogates
    (halves of a UTF-16 character) in texts are replaced by U+FFFD. Raises UsageError if the file does not
    exist, has no rows, or cannot be read as issues.
    """
    if not path.is_file():
        raise UsageError(f"{path} does not exist or is not a file.", _EXPECTED)
    number = 0
    try:
        for number, row in enumerate(read_rows(path, columns), start=1):
            yield _parse_row(row, f"{path}, row {number}")
    except (ValueError, OSError) as error:
        raise UsageError(f"{path} cannot be read as a file of issues: {error}", _EXPECTED) from None
    if not number:
        raise UsageError(f"{path} has no rows, but one row per issue is expected.", _EXPECTED)


def read_pairs(path: Path) -> Iterator[tuple[str, str]]:
    """Yields the title and the body of each row of a file of issues. Raises UsageError in the same cases as
    `read`."""
    return ((issue.title, issue.body) for issue in read(path, (*TITLES, "body")))


def _parse_row(row: object, place: str) -> FileIssue:
    values = row if isinstance(row, dict) else {}
    title = next((values[name] for name in TITLES if values.get(name) is not None), None)
    if title is None or "body" not in values:
        names = ", ".join(values)
        raise UsageError(
            f"{place} has {f'the columns {names}' if names else 'no columns'}, but needs a title (in the "
            "column title or issue_title) and a column body.",
            _EXPECTED,
        )
    body = "" if values["body"] is None else values["body"]
    for name, value in (("title", title), ("body", body)):
        if not isinstance(value, str):
            raise UsageError(
                f"{place}: the {name} must be text, but is {reprlib.repr(value)}.",
                _CORRECT_FILE,
            )
    column_names = [name for name in COLUMNS if name in values and name not in (*TITLES, "body")]
    columns = {
        name: replace_surrogates(value) if isinstance(value := values[name], str) else value
        for name in column_names
    }
    if values.get("pull_request"):  # GitHub's API marks pull requests this way
        columns["kind"] = "pull_request"
    return FileIssue(replace_surrogates(title), replace_surrogates(body), place, columns)
