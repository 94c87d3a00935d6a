"""Searches every file of the lake and every table of the warehouse for an issue, a repository or an author.

A finding is a row, a line or a document about this subject: it contains the subject's id or address, or has
the subject's name in a separate field. A mention is a text by somebody else, or a unit of a vocabulary, that
contains the name. Mentions stay: `titler forget` does not change what other people wrote.
"""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline import contracts, warehouse
from pipeline.errors import UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.forgotten import MATCHED_COLUMNS, ForgottenList, Matcher
from pipeline.lake.store import UNFINISHED
from pipeline.settings import Settings
from pipeline.stages.forget import Subject, require_lake, with_issues
from pipeline.stages.forget_batches import StoredBatches
from pipeline.tracking import count_forgotten, open_tracking
from pipeline.warehouse.protocol import WAREHOUSE_TABLES

ISSUE_ID_ARRAY = "issue_id.npy"
VOCABULARY_SUFFIX = "_vocabulary.json"
TRACKING = "MLflow: tables of runs"
_NUMBERS = re.compile(rb"(?<![\w.])\d{6,19}(?![\w.])")
"""What may be GitHub's id of an issue in a document. Smaller numbers are mostly counts."""


@dataclass
class Searched:
    """The result of searching one place, such as a table.

    `files` and `rows` are the numbers of searched files and rows. `findings` are rows, lines or documents
    about the subject. `mentions` are texts of other people that contain its name.
    """

    place: str
    files: int = 0
    rows: int = 0
    findings: int = 0
    mentions: int = 0


@dataclass(frozen=True)
class Search:
    """The patterns that recognise a subject (an issue, a repository or an author).

    - `matcher`: recognises rows about the subject and its issues, by hashes. The list of the forgotten keeps
      hashes of issues, so issues that are no longer in the lake are recognised as well.
    - `exact`: recognises data about the subject in files that are not tables.
    - `mention`: recognises the subject's name or address in any text.
    - `text`: a text in lower case that every mention contains. In tables, only texts that contain it are
      compared with `mention`.
    """

    matcher: Matcher
    exact: re.Pattern[bytes]
    mention: re.Pattern[bytes]
    text: str

    @classmethod
    def of(cls, lake: Lake, subject: Subject) -> Search:
        """Returns the patterns that recognise a subject and its issues. The issues are looked up in the lake
        and in the list of the forgotten."""
        forgotten = ForgottenList.read(lake)
        new = subject.begin(forgotten, "")
        batches = StoredBatches.of(lake)
        new = with_issues(lake, forgotten, new, batches)
        for error in batches.damaged.values():
            raise error  # what cannot be read cannot be searched
        kind, value = subject.named
        hashed = forgotten.hash_of(kind, value)
        earlier = [
            each
            for each in forgotten.forgettings
            if each.kind == subject.kind and hashed in each.hashes.get(kind, ())
        ]
        exact, mention = (re.compile(pattern.encode(), re.IGNORECASE) for pattern in _patterns(kind, value))
        text = value.rpartition("#")[0] or value
        return cls(forgotten.matcher_of([new, *earlier]), exact, mention, text)


def _patterns(kind: str, value: str) -> tuple[str, str]:
    """Returns the patterns of a finding and of a mention. In JSON, a slash may have a backslash before it."""
    name = re.escape(value).replace("/", r"\\?/")
    if kind == "issue":
        return (number := rf"(?<![\w.]){name}(?![\w.])"), number
    if kind == "address":
        repo, _, number = value.rpartition("#")
        name = re.escape(repo).replace("/", r"\\?/")
        return (address := rf"(?<![\w.-]){name}(?:#|\\?/(?:issues|pull)\\?/){number}(?!\d)"), address
    in_field = rf'(?<=["\'>]){name}(?=\\?["\'<])'
    mention = rf"(?<![\w.-]){name}(?![\w-])"
    if kind == "repo":
        return rf"{in_field}|(?<![\w.-]){name}(?:#|\\?/(?:issues|pull)\\?/)\d", mention
    return in_field, mention


def verify(lake: Lake, settings: Settings, subject: Subject) -> list[Searched]:
    """Searches all places for a subject. Returns the result for each place. Changes nothing.

    Raises UsageError if there is no lake, so that a wrong address does not look like a successful removal.
    """
    require_lake(lake)
    search = Search.of(lake, subject)
    places: dict[str, Searched] = {}
    for path in _files(lake, ""):
        place = places.setdefault(path.partition("/")[0], Searched(path.partition("/")[0]))
        place.files += 1
        _search_file(lake, path, search, place)
    of_runs = count_forgotten(open_tracking(settings, lake), search.matcher.matches_url)
    return [*places.values(), Searched(TRACKING, findings=of_runs), *_warehouse_tables(settings, search)]


def _files(lake: Lake, folder: str) -> Iterator[str]:
    """Yields the paths of all files in a folder of the lake."""
    names, files = lake.names(folder), lake.written(folder)
    for name in names:
        path = posixpath.join(folder, name)
        if name in files:
            yield path
        elif path != UNFINISHED:
            yield from _files(lake, path)


def _search_file(lake: Lake, path: str, search: Search, place: Searched) -> None:
    data = lake.get(path)
    if data is None:  # another command has deleted it
        return
    if path.endswith(".parquet"):
        _search_rows(pq.read_table(io.BytesIO(data)), search, place)
        return
    if path.endswith(ISSUE_ID_ARRAY):
        ids = np.load(io.BytesIO(data), allow_pickle=False)
        place.rows += len(ids)
        place.findings += int(search.matcher.mask(pa.table({"issue_id": ids})).sum())
        return
    for content in _contents(data):
        findings = len(search.exact.findall(content))
        mentions = max(0, len(search.mention.findall(content)) - findings)
        if path.endswith(VOCABULARY_SUFFIX):
            findings, mentions = 0, findings + mentions
        if path.endswith((".json", ".jsonl", ".html")):
            numbers = set(_NUMBERS.findall(content))
            findings += sum(search.matcher.matches("issue", number.decode()) for number in numbers)
        place.findings += findings
        place.mentions += mentions


def _contents(data: bytes) -> Iterator[bytes]:
    """Yields the content of a file, and of the files in it if it is an archive, as models of Keras are."""
    yield data
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield archive.read(name)


def _search_rows(rows: pa.Table, search: Search, place: Searched) -> None:
    """Searches the rows of a table. Mentions are counted only in rows that are not findings."""
    is_finding = search.matcher.mask(rows)
    place.rows += len(rows)
    place.findings += int(is_finding.sum())
    mentioning = rows.filter(pa.array(~is_finding))
    for name in mentioning.column_names:
        if name not in MATCHED_COLUMNS:
            place.mentions += _mentions(mentioning.column(name), search)


def _mentions(column: pa.ChunkedArray, search: Search) -> int:
    """Returns the number of texts of a column that mention the subject."""
    if pa.types.is_list(column.type):
        column = pc.list_flatten(column)
    if not pa.types.is_string(column.type):
        return 0
    candidates = column.filter(pc.match_substring(column, search.text, ignore_case=True))
    return sum(bool(search.mention.search(text.encode())) for text in candidates.to_pylist())


def _warehouse_tables(settings: Settings, search: Search) -> Iterator[Searched]:
    """Searches each table of the warehouse that has rows of issues, and yields one result per table. Reads
    only the distinct values of the columns that name an issue, a repository or an author."""
    connection = warehouse.connect(settings, "forget")
    if connection.current_release() is None:
        return
    members = {row["table_name"] for row in connection.records(contracts.RELEASE_MEMBERS)}
    for name in sorted(members & WAREHOUSE_TABLES):
        if any(column in MATCHED_COLUMNS for column in contracts.TABLES[name].schema.names):
            yield _search_table(connection, settings, name, search)
    with suppress(UsageError):  # a warehouse of Titler 0.1 does not have this table
        yield _search_table(connection, settings, contracts.SUPERSEDED_OPENINGS.name, search)


def _search_table(connection: warehouse.Warehouse, settings: Settings, name: str, search: Search) -> Searched:
    columns = [column for column in contracts.TABLES[name].schema.names if column in MATCHED_COLUMNS]
    listed = ", ".join(columns)
    sql = f"SELECT {listed}, COUNT(*) AS row_count FROM {name} GROUP BY {listed}"
    values = connection.query(warehouse.Query(f"the distinct issues of {name}", sql))
    counts = values.column("row_count").to_numpy()
    findings = int(counts[search.matcher.mask(values)].sum())
    return Searched(f"{settings.warehouse.kind}: {name}", 0, int(counts.sum()), findings)
