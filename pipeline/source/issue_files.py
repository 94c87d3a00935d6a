"""A file of issues, as anyone may have one: JSON lines, Parquet or CSV with a title, a body and whatever else it tells.

The article's data set is one: CSV with issue_url, issue_title and body. So is what GitHub's API gives, a line an issue.
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
"""What a column is called, the first that has a value counts."""
COLUMNS = (*TITLES, *URLS, "body", "repo", "kind", "state", "labels", "created_at", "closed_at")
FORMS = "JSON lines, Parquet (.parquet) or CSV (.csv)"
ON_GITHUB = re.compile(r"https?://github\.com/([^/\s\"]+/[^/\s\"]+)/(issues|pull)/(\d+)", re.IGNORECASE)
ROWS_TOGETHER = 10_000
LONGEST_FIELD = 2**31 - 1


@dataclass(frozen=True)
class Example:
    """A row with its title and its body, which is empty where it has none. `more` are its other columns, `where` its place, for errors."""

    title: str
    body: str
    where: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Its address, without the quotes that the article's data set has around it; empty where the row tells none."""
        found = next((value for name in URLS if isinstance(value := self.more.get(name), str) and value), "")
        return found.strip().strip('"')

    @property
    def repo(self) -> str:
        """owner/name: what the row says, or its address on GitHub; empty where neither does."""
        if isinstance(repo := self.more.get("repo"), str) and repo:
            return repo
        found = ON_GITHUB.match(self.url)
        return found[1] if found else ""

    @property
    def number(self) -> int:
        """Its number in the repository by its address on GitHub; 0 where that is none."""
        found = ON_GITHUB.match(self.url)
        return int(found[3]) if found else 0

    @property
    def is_pull_request(self) -> bool:
        """By its kind or its address; GitHub's API tells it of a row by a value under `pull_request`."""
        found = ON_GITHUB.match(self.url)
        return self.more.get("kind") == "pull_request" or (found is not None and found[2].lower() == "pull")

    @property
    def closed(self) -> bool | None:
        """Whether it was closed; None where the row says nothing about that."""
        if self.more.get("state"):
            return str(self.more["state"]).lower() == "closed"
        return bool(self.more["closed_at"]) if "closed_at" in self.more else None

    @property
    def labels(self) -> tuple[str, ...]:
        """Its labels' names: a list of them, of GitHub's objects, or a text of either or with commas between. None are no labels."""
        found = self.more.get("labels")
        if isinstance(found, str):
            found = _listed(found)
        names = (label.get("name") if isinstance(label, dict) else label for label in found or ())
        return tuple(str(name) for name in names if name)

    def when(self, name: str) -> datetime | None:
        """The time in a column, UTC where it tells no zone; None where there is none. Raises UsageError for what is no ISO 8601."""
        found = self.more.get(name)
        if found is None or found == "":
            return None
        try:
            time = (
                found
                if isinstance(found, datetime)
                else datetime.fromisoformat(found.isoformat() if isinstance(found, date) else found)
            )
        except (TypeError, ValueError):
            raise UsageError(
                f"{self.where}: {name} is {found!r:.60}; expected a time like 2015-01-01T12:00:00Z."
            ) from None
        return time if time.tzinfo else time.replace(tzinfo=UTC)


def _listed(text: str) -> list[Any]:
    """The items of a list that was written as JSON, as Python or with commas or semicolons between."""
    if text.lstrip().startswith("["):
        for read in (json.loads, ast.literal_eval):
            try:
                return list(read(text))
            except (ValueError, SyntaxError, TypeError):
                continue
    return [part.strip() for part in re.split("[,;]", text)]


def read(path: Path) -> Iterator[Example]:
    """The rows of a file with a title (`title` or `issue_title`) and a `body` in each. A body that is not there is empty.

    Raises UsageError for anything else; half a character becomes U+FFFD.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file.", f"Give {FORMS} with a title and a body.")
    number = 0
    try:
        for number, row in enumerate(_rows(path), start=1):
            yield _example(row, f"{path}, row {number}")
    except (ValueError, OSError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read: {error}", f"Expected {FORMS}.") from None
    if not number:
        raise UsageError(f"{path} has no rows.", f"Give {FORMS} with a title and a body.")


def read_pairs(path: Path) -> Iterator[tuple[str, str]]:
    """(title, body) of a file's rows. Raises UsageError as `read`."""
    return ((example.title, example.body) for example in read(path))


def _rows(path: Path) -> Iterator[Any]:
    """The file's rows, of which no more than ROWS_TOGETHER are in memory; UTF-8 with or without a byte order mark."""
    if path.suffix == ".parquet":
        with pq.ParquetFile(path) as file:
            names = [name for name in file.schema_arrow.names if name in COLUMNS]
            for batch in file.iter_batches(ROWS_TOGETHER, columns=names):
                yield from batch.to_pylist()
    elif path.suffix == ".csv":
        csv.field_size_limit(LONGEST_FIELD)
        with path.open(newline="", encoding="utf-8-sig") as text:
            yield from csv.DictReader(text)
    else:
        with path.open(encoding="utf-8-sig") as text:
            yield from (json.loads(line) for line in text if line.strip())


def _example(row: object, where: str) -> Example:
    found = row if isinstance(row, dict) else {}
    title = next((found[name] for name in TITLES if found.get(name) is not None), None)
    if title is None or "body" not in found:
        names = ", ".join(
            name for name in found if name is not None
        )  # under None are a CSV row's surplus values
        raise UsageError(
            f"{where}: found {names or 'neither'}; expected a title (title or issue_title) and a body."
        )
    body = "" if found["body"] is None else found["body"]
    for name, value in (("title", title), ("body", body)):
        if not isinstance(value, str):
            raise UsageError(f"{where}: the {name} is {value!r:.60}; expected text.")
    told = {name: found[name] for name in COLUMNS if name in found and name not in (*TITLES, "body")}
    more = {name: _whole(value) if isinstance(value, str) else value for name, value in told.items()}
    if found.get("pull_request"):
        more["kind"] = "pull_request"
    return Example(_whole(title), _whole(body), where, more)


def _whole(text: str) -> str:
    """JSON may hold half of a pair of surrogates, which no table takes."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
