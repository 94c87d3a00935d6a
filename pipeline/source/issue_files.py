"""Reads a user's file of issues: JSON lines, Parquet or CSV with a title, a body and optional columns.

There are two typical files. One is the data set of Hamel Husain's article of 2018: a CSV file with the
columns issue_url, issue_title and body. The other has issues from GitHub's API, as one JSON object per line.
"""

from __future__ import annotations

import ast
import csv
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipeline.errors import UsageError

TITLES, URLS = ("title", "issue_title"), ("issue_url", "html_url", "url")
"""Accepted names of the columns with the title and the address. The first name that has a value counts."""
COLUMNS = (*TITLES, *URLS, "body", "repo", "kind", "state", "labels", "created_at", "closed_at")
FORMATS = "JSON lines, Parquet (.parquet) or CSV (.csv)"
_EXPECTED = f"Give a file of issues with a title and a body: {FORMATS}."
GITHUB_URL = re.compile(r"https?://github\.com/([^/\s\"]+/[^/\s\"]+)/(issues|pull)/(\d+)", re.IGNORECASE)
ROWS_IN_MEMORY = 10_000
MAX_FIELD_BYTES = 2**31 - 1


@dataclass(frozen=True)
class FileIssue:
    """A row of a user's file of issues.

    `body` is an empty string if the row's body is null. `place` names the file and the row for error
    messages. `columns` has the other columns that Titler uses, such as `labels`.
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
        """The repository as owner/name, from the row's column `repo` or from the issue's address. The text is
        empty if the repository is unknown."""
        if isinstance(repo := self.columns.get("repo"), str) and repo:
            return repo
        match = GITHUB_URL.match(self.url)
        return match[1] if match else ""

    @property
    def number(self) -> int:
        """The issue's number in its repository, from the issue's address. It is 0 if the address is not one
        of GitHub."""
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
        """
        labels = self.columns.get("labels")
        if isinstance(labels, str):
            labels = _parse_list(labels)
        names = (label.get("name") if isinstance(label, dict) else label for label in labels or ())
        return tuple(str(name) for name in names if name)

    def time(self, name: str) -> datetime | None:
        """Returns the time in the column `name`, or None if the column is empty.

        A time without a time zone counts as UTC. Raises UsageError if the time is not in ISO 8601.
        """
        value = self.columns.get(name)
        if value is None or value == "":
            return None
        try:
            if isinstance(value, datetime):
                time = value
            else:
                time = datetime.fromisoformat(value.isoformat() if isinstance(value, date) else value)
        except (TypeError, ValueError):
            raise UsageError(
                f"{self.place}: {name} is {value!r:.60}; expected a time like 2015-01-01T12:00:00Z.",
                "Correct the file, then run the same command again.",
            ) from None
        return time if time.tzinfo else time.replace(tzinfo=UTC)


def _parse_list(text: str) -> list[Any]:
    """Returns the items of a list that is written as text: a JSON list, a Python list, or items separated by
    commas or semicolons."""
    if text.lstrip().startswith("["):
        for parse in (json.loads, ast.literal_eval):
            try:
                return list(parse(text))
            except (ValueError, SyntaxError, TypeError):
                continue
    return [part.strip() for part in re.split("[,;]", text)]


def read(path: Path) -> Iterator[FileIssue]:
    """Yields the rows of a file of issues. The ending of the file's name decides the format.

    Each row needs a title (`title` or `issue_title`) and a `body`, which may be empty. Unpaired surrogates
    (halves of a UTF-16 character) in texts are replaced by U+FFFD. Raises UsageError if the file does not
    exist, has no rows, or cannot be read as issues.
    """
    if not path.is_file():
        raise UsageError(f"{path} does not exist or is not a file.", _EXPECTED)
    number = 0
    try:
        for number, row in enumerate(_rows(path), start=1):
            yield _parse_row(row, f"{path}, row {number}")
    except (ValueError, OSError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read as a file of issues: {error}", _EXPECTED) from None
    if not number:
        raise UsageError(f"{path} has no rows, but one row per issue is expected.", _EXPECTED)


def read_pairs(path: Path) -> Iterator[tuple[str, str]]:
    """Yields the title and the body of each row of a file of issues. Raises UsageError in the same cases as
    `read`."""
    return ((issue.title, issue.body) for issue in read(path))


def _rows(path: Path) -> Iterator[Any]:
    """Yields each row of a file as a dict. The rows are not checked here.

    Reads ROWS_IN_MEMORY rows of a Parquet file at a time. Text files are UTF-8, with or without a byte order
    mark.
    """
    if path.suffix == ".parquet":
        with pq.ParquetFile(path) as file:
            names = [name for name in file.schema_arrow.names if name in COLUMNS]
            for batch in file.iter_batches(ROWS_IN_MEMORY, columns=names):
                yield from batch.to_pylist()
    elif path.suffix == ".csv":
        csv.field_size_limit(MAX_FIELD_BYTES)
        with path.open(newline="", encoding="utf-8-sig") as text:
            yield from csv.DictReader(text)
    else:
        with path.open(encoding="utf-8-sig") as text:
            yield from (json.loads(line) for line in text if line.strip())


def _parse_row(row: object, place: str) -> FileIssue:
    values = row if isinstance(row, dict) else {}
    title = next((values[name] for name in TITLES if values.get(name) is not None), None)
    if title is None or "body" not in values:
        # csv.DictReader uses the key None for the values of a row that has too many.
        names = ", ".join(name for name in values if name is not None)
        raise UsageError(
            f"{place} has {f'the columns {names}' if names else 'no columns'}, but needs a title (in the "
            "column title or issue_title) and a column body.",
            _EXPECTED,
        )
    body = "" if values["body"] is None else values["body"]
    for name, value in (("title", title), ("body", body)):
        if not isinstance(value, str):
            raise UsageError(
                f"{place}: the {name} must be text, but is {value!r:.60}.",
                "Correct the file, then run the same command again.",
            )
    column_names = [name for name in COLUMNS if name in values and name not in (*TITLES, "body")]
    columns = {
        name: _replace_surrogates(value) if isinstance(value := values[name], str) else value
        for name in column_names
    }
    if values.get("pull_request"):  # GitHub's API marks pull requests this way
        columns["kind"] = "pull_request"
    return FileIssue(_replace_surrogates(title), _replace_surrogates(body), place, columns)


def _replace_surrogates(text: str) -> str:
    """Replaces each unpaired surrogate (half of a UTF-16 character) by U+FFFD. JSON may contain unpaired
    surrogates, Parquet may not."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
