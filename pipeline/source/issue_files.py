"""Files of issues that people have: JSON lines, Parquet or CSV with a title, a body and optional columns.

The article's data set is one, a CSV with issue_url, issue_title and body. GitHub's API gives another, one
JSON object per line.
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
"""Accepted column names; the first one that has a value counts."""
COLUMNS = (*TITLES, *URLS, "body", "repo", "kind", "state", "labels", "created_at", "closed_at")
FORMATS = "JSON lines, Parquet (.parquet) or CSV (.csv)"
GITHUB_URL = re.compile(r"https?://github\.com/([^/\s\"]+/[^/\s\"]+)/(issues|pull)/(\d+)", re.IGNORECASE)
ROWS_IN_MEMORY = 10_000
MAX_FIELD_BYTES = 2**31 - 1


@dataclass(frozen=True)
class FileIssue:
    """A row with its title and its body, empty if it has none.

    `columns` are the row's other columns. `place` says where the row is, for error messages.
    """

    title: str
    body: str
    place: str = ""
    columns: Mapping[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The issue's address, without the quotes that the article's data set has around it; empty if there
        is none."""
        values = (self.columns.get(name) for name in URLS)
        url = next((value for value in values if isinstance(value, str) and value), "")
        return url.strip().strip('"')

    @property
    def repo(self) -> str:
        """owner/name, from the row or from its address on GitHub; empty if neither has it."""
        if isinstance(repo := self.columns.get("repo"), str) and repo:
            return repo
        match = GITHUB_URL.match(self.url)
        return match[1] if match else ""

    @property
    def number(self) -> int:
        """The issue's number in the repository, from its address on GitHub; 0 if it has none."""
        match = GITHUB_URL.match(self.url)
        return int(match[3]) if match else 0

    @property
    def is_pull_request(self) -> bool:
        """Whether it is a pull request, by its kind or its address."""
        match = GITHUB_URL.match(self.url)
        has_pull_address = match is not None and match[2].lower() == "pull"
        return self.columns.get("kind") == "pull_request" or has_pull_address

    @property
    def closed(self) -> bool | None:
        """Whether the issue was closed, or None if the row does not say."""
        if self.columns.get("state"):
            return str(self.columns["state"]).lower() == "closed"
        return bool(self.columns["closed_at"]) if "closed_at" in self.columns else None

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the labels.

        The column may be a list of names, a list of GitHub's label objects, or a text with either, also
        separated by commas.
        """
        labels = self.columns.get("labels")
        if isinstance(labels, str):
            labels = _parse_list(labels)
        names = (label.get("name") if isinstance(label, dict) else label for label in labels or ())
        return tuple(str(name) for name in names if name)

    def time(self, name: str) -> datetime | None:
        """The time in a column, UTC if it has no time zone, or None if it is empty. Raises UsageError if it
        is not ISO 8601."""
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
                f"{self.place}: {name} is {value!r:.60}; expected a time like 2015-01-01T12:00:00Z."
            ) from None
        return time if time.tzinfo else time.replace(tzinfo=UTC)


def _parse_list(text: str) -> list[Any]:
    """The items of a list written as JSON, as Python, or separated by commas or semicolons."""
    if text.lstrip().startswith("["):
        for parse in (json.loads, ast.literal_eval):
            try:
                return list(parse(text))
            except (ValueError, SyntaxError, TypeError):
                continue
    return [part.strip() for part in re.split("[,;]", text)]


def read(path: Path) -> Iterator[FileIssue]:
    """The rows of a file. Each needs a title (`title` or `issue_title`) and a `body`, which may be empty.

    Raises UsageError for anything else. Half a surrogate pair becomes U+FFFD.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file.", f"Give {FORMATS} with a title and a body.")
    number = 0
    try:
        for number, row in enumerate(_rows(path), start=1):
            yield _parse_row(row, f"{path}, row {number}")
    except (ValueError, OSError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read: {error}", f"Expected {FORMATS}.") from None
    if not number:
        raise UsageError(f"{path} has no rows.", f"Give {FORMATS} with a title and a body.")


def read_pairs(path: Path) -> Iterator[tuple[str, str]]:
    """(title, body) of a file's rows. Raises UsageError as `read` does."""
    return ((issue.title, issue.body) for issue in read(path))


def _rows(path: Path) -> Iterator[Any]:
    """The rows of a file, at most ROWS_IN_MEMORY at a time. Text is UTF-8, with or without a byte order
    mark."""
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
        # csv.DictReader puts the surplus values of a row under None.
        names = ", ".join(name for name in values if name is not None)
        raise UsageError(
            f"{place}: found {names or 'neither'}; expected a title (title or issue_title) and a body."
        )
    body = "" if values["body"] is None else values["body"]
    for name, value in (("title", title), ("body", body)):
        if not isinstance(value, str):
            raise UsageError(f"{place}: the {name} is {value!r:.60}; expected text.")
    column_names = [name for name in COLUMNS if name in values and name not in (*TITLES, "body")]
    columns = {
        name: _replace_surrogates(value) if isinstance(value := values[name], str) else value
        for name in column_names
    }
    if values.get("pull_request"):  # GitHub's API marks pull requests this way
        columns["kind"] = "pull_request"
    return FileIssue(_replace_surrogates(title), _replace_surrogates(body), place, columns)


def _replace_surrogates(text: str) -> str:
    """JSON may hold half a surrogate pair, which no table accepts."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
