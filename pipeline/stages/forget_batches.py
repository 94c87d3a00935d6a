"""Part of the stage `forget`: finds the batches with forgotten rows, and writes new batches without them.

A forgotten row is about an issue, a repository or an author that `titler forget` removes. A batch never
changes. So a batch with forgotten rows is replaced by a new batch in the same partition. The id of the new
batch depends only on the id of the old batch and on the entry in the list of the forgotten. So if an
interrupted command is run again, it finds the batches that it has already written.

A batch without forgotten rows keeps its files. But its manifest may contain the digest of a replaced batch.
Then the manifest is written again with the new digest, so that the stages still find the batch.
"""

from __future__ import annotations

import hashlib
import io
import posixpath
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline import contracts
from pipeline.contracts import (
    DUPLICATE_MARKS,
    DUPLICATE_PAIRS,
    EMBEDDINGS,
    INDEX,
    ISSUES,
    PREDICTOR,
    QUARANTINE,
    SEGMENTS,
    SIMILAR_ISSUES,
    SIMILAR_ISSUES_V1,
    SOURCE_HEALTH,
    TITLE_PREDICTIONS,
    TOKENS,
    VECTORS,
    VOCABULARY,
)
from pipeline.errors import DamagedBatchError
from pipeline.index.neighbours import ALL_ISSUES, HISTORY_ISSUES
from pipeline.index.queries import months_before
from pipeline.lake.batches import Lake
from pipeline.lake.draft import Draft
from pipeline.lake.draft_records import record_draft
from pipeline.lake.fingerprint import fingerprint
from pipeline.lake.forgotten import MATCHED_COLUMNS, Mask, Matcher
from pipeline.lake.manifest import KEYS, MANIFEST, PARTS, File, Manifest
from pipeline.lake.sweep import partitions
from pipeline.stages.forget_damaged import Damaged
from pipeline.stages.forget_index import rewrite_earlier_index, rewrite_segment

TABLES_IN_ORDER = (
    QUARANTINE,
    ISSUES.name,
    DUPLICATE_MARKS.name,
    SOURCE_HEALTH.name,
    TOKENS.name,
    VOCABULARY,
    VECTORS.name,
    PREDICTOR,
    EMBEDDINGS.name,
    TITLE_PREDICTIONS.name,
    INDEX,
    SEGMENTS.name,
    SIMILAR_ISSUES.name,
    SIMILAR_ISSUES_V1.name,
    DUPLICATE_PAIRS.name,
)
"""All tables of the lake. Each table is made only from tables before it."""
ISSUES_BATCH = "issues_batch"
"""The parameter, and the column, with the id of the batch of issues that a batch of titles was made from."""
FORGETTINGS = "forgettings"
"""A figure of every manifest that was changed: the ids of the entries of the list of the forgotten."""


@dataclass(frozen=True)
class StoredBatches:
    """All batches of the lake.

    - `manifests`: the readable manifests, in the order of TABLES_IN_ORDER.
    - `unfinished`: the folders without a manifest, which interrupted commands left behind.
    - `damaged`: the error about each damaged batch, by the folder of the batch.
    """

    manifests: tuple[Manifest, ...]
    unfinished: tuple[str, ...]
    damaged: Damaged

    @classmethod
    def of(cls, lake: Lake) -> StoredBatches:
        """Returns all batches of the lake. Searches all folders for them."""
        manifests: list[Manifest] = []
        unfinished: list[str] = []
        damaged: Damaged = {}
        for table in TABLES_IN_ORDER:
            for partition in partitions(lake, table):
                for name in lake.names(partition):
                    folder = posixpath.join(partition, name)
                    if name == KEYS or "." in name:  # a file: current.json, or .DS_Store of another program
                        continue
                    if name == PARTS or MANIFEST not in lake.names(folder):
                        unfinished.append(folder)
                        continue
                    try:
                        manifests.append(lake.manifest(folder))
                    except DamagedBatchError as error:
                        damaged[folder] = error
        return cls(tuple(manifests), tuple(unfinished), damaged)

    @property
    def readable(self) -> tuple[Manifest, ...]:
        """The manifests of the batches that are not damaged."""
        return tuple(batch for batch in self.manifests if batch.folder not in self.damaged)


def forgotten_rows(lake: Lake, batches: StoredBatches, matcher: Matcher) -> dict[str, int]:
    """Returns a dict from the folder of each batch with forgotten rows to the number of these rows.

    Also reads all files of these batches and of all vocabularies, which are needed later. In this way, damage
    is found before anything is removed. Batches that cannot be read are added to `batches.damaged`.
    """
    counts: dict[str, int] = {}
    for batch in batches.manifests:
        try:
            number = sum(_count(lake, batch, file, matcher) for file in batch.files)
            if number or batch.table == VOCABULARY:
                for file in batch.files:
                    lake.read_file(batch, file)
            if number:
                counts[batch.folder] = number
        except DamagedBatchError as error:
            batches.damaged[batch.folder] = error
    return counts


def _count(lake: Lake, batch: Manifest, file: File, matcher: Matcher) -> int:
    if batch.table == QUARANTINE:
        return len(_lines(lake, batch, file)) - len(_remaining_lines(lake, batch, file, matcher))
    if not file.name.endswith(".parquet"):
        return 0
    data = pq.ParquetFile(io.BytesIO(lake.read_file(batch, file)))
    names = [name for name in MATCHED_COLUMNS if name in data.schema_arrow.names]
    # of a segment, only the items are counted, and not its list of repositories as well
    is_counted = file.name != "repositories.parquet" and names
    return int(matcher.mask(data.read(names)).sum()) if is_counted else 0


def _lines(lake: Lake, batch: Manifest, file: File) -> list[str]:
    # splitlines() would also split at other characters, such as U+2028, and leave a part of a removed line
    return [f"{line}\n" for line in lake.read_file(batch, file).decode().split("\n") if line]


def _remaining_lines(lake: Lake, batch: Manifest, file: File, matcher: Matcher) -> list[str]:
    return [line for line in _lines(lake, batch, file) if not matcher.is_in_text(line)]


@dataclass
class Rewriting:
    """Writes the new batches that replace the batches with forgotten rows.

    - `damaged`: the folders of batches that cannot be read.
    - `names`: maps the folder, the id and the digest of every replaced batch to those of its new batch.
    - `new`: maps the folder of each replaced batch to the manifest of its new batch.
    - `removed_per_day`: the number of issues that are removed from each day.

    If an interrupted command has already written a new batch, it is kept, unless its folder is in `damaged`.
    """

    lake: Lake
    forgetting: str
    matcher: Matcher
    damaged: Collection[str] = ()
    names: dict[str, str] = field(default_factory=dict)
    new: dict[str, Manifest] = field(default_factory=dict)
    removed_per_day: Counter[str] = field(default_factory=Counter)

    def run(self, batches: Iterable[Manifest], affected: Mapping[str, int]) -> None:
        """Writes the new batches, and the changed manifests of batches that keep their files.

        `affected` maps the folder of each batch with forgotten rows to the number of these rows. If a batch
        of issues is replaced, its batches of titles are replaced too, because their rows contain the id of
        the batch of issues.
        """
        batches = list(batches)
        replaced = [batch for batch in batches if batch.folder in affected]
        issues = {batch.batch_id for batch in replaced if batch.table == ISSUES.name}
        # a row of titles names the batch of its issue
        replaced += [
            batch
            for batch in batches
            if batch.table == TITLE_PREDICTIONS.name
            and batch.folder not in affected
            and batch.parameters.get(ISSUES_BATCH) in issues
        ]
        for batch in replaced:
            new_id = self._new_id(batch)
            self.names[batch.batch_id] = new_id
            self.names[batch.folder] = posixpath.join(posixpath.dirname(batch.folder), new_id)
        self._count_removed(replaced)
        folders = {batch.folder for batch in replaced}
        for batch in batches:  # in the order of TABLES_IN_ORDER, so the digests of the inputs are known
            if batch.folder in folders:
                self.new[batch.folder] = self._replace(batch)
                self.names[batch.digest] = self.new[batch.folder].digest
            elif (renewed := self.renewed(batch)) != batch:
                _put_manifest(self.lake, batch, renewed)

    def renamed(self, value: Any) -> Any:
        """Returns a copy of a JSON value in which references to replaced batches refer to the new batches.

        Forgotten issues are also removed from the lists of ids under the key `superseded` (duplicate
        openings: issues whose earliest event is in another day).
        """
        if isinstance(value, str):
            return self.names.get(value, value)
        if isinstance(value, list | tuple):
            return [self.renamed(item) for item in value]
        if not isinstance(value, dict):
            return value
        if isinstance(superseded := value.get("superseded"), dict):
            remaining = {day: self._not_forgotten(ids) for day, ids in superseded.items()}
            value = {**value, "superseded": {day: ids for day, ids in remaining.items() if ids}}
        return {key: self.renamed(item) for key, item in value.items()}

    def _not_forgotten(self, issue_ids: Iterable[int]) -> list[int]:
        return [issue_id for issue_id in issue_ids if not self.matcher.matches("issue", str(issue_id))]

    def renewed(self, batch: Manifest) -> Manifest:
        """Returns the new manifest of a batch whose own files do not change. Where the manifest refers to a
        batch that was replaced, the new one refers to the replacement.

        Returns `batch` itself if nothing changes, for example because an interrupted command has already
        changed it.
        """
        inputs = tuple(self.names.get(digest, digest) for digest in batch.inputs)
        parameters, figures = self.renamed(dict(batch.parameters)), self.renamed(dict(batch.figures))
        if self.forgetting not in figures.get(FORGETTINGS, ()):
            figures = self._with_smaller_history(batch, figures)
        if (inputs, parameters, figures) == (batch.inputs, batch.parameters, batch.figures):
            return batch
        figures[FORGETTINGS] = sorted({*figures.get(FORGETTINGS, ()), self.forgetting})
        key = fingerprint(batch.table, batch.partition, inputs, parameters)
        return replace(batch, inputs=inputs, parameters=parameters, figures=figures, key=key)

    def _with_smaller_history(self, batch: Manifest, figures: dict[str, Any]) -> dict[str, Any]:
        """Returns the figures of a batch. If it is a batch of neighbours, the removed issues are subtracted
        from the numbers of issues that were searched. Otherwise, these numbers would differ from those of
        the release, and `titler index` would warn that the neighbours of this day may be outdated."""
        if batch.table not in (SIMILAR_ISSUES.name, DUPLICATE_PAIRS.name):
            return figures
        first = {ALL_ISSUES: "", HISTORY_ISSUES: _first_day(batch.day, batch.parameters.get("months", 0))}
        smaller = {
            name: figures[name]
            - sum(count for day, count in self.removed_per_day.items() if since <= day <= batch.day)
            for name, since in first.items()
            if name in figures
        }
        return {**figures, **smaller}

    def _count_removed(self, replaced: Iterable[Manifest]) -> None:
        days: dict[int, str] = {}
        for batch in sorted(replaced, key=lambda batch: batch.partition.get("day", "")):
            if batch.table == ISSUES.name and "day" in batch.partition:
                for file in batch.files:
                    rows = self.lake.read_part(batch, file, ["issue_id", "issue_url", "repo", "author"])
                    for issue_id in rows.filter(self.matcher.mask(rows)).column("issue_id").to_pylist():
                        days.setdefault(issue_id, batch.day)  # later days skip the issue
        self.removed_per_day = Counter(days.values())

    def _new_id(self, batch: Manifest) -> str:
        return hashlib.blake2b(f"{self.forgetting}/{batch.batch_id}".encode(), digest_size=6).hexdigest()

    def _replace(self, batch: Manifest) -> Manifest:
        """Writes the new batch that replaces `batch`, unless an interrupted command has already written it.
        Returns the new manifest. No pointer refers to the new batch yet."""
        folder = self.names[batch.folder]
        if folder not in self.damaged and MANIFEST in self.lake.names(folder):
            return self.lake.manifest(folder)
        renewed = self.renewed(batch)
        draft = Draft(
            self.lake,
            batch.table,
            dict(batch.partition),
            renewed.inputs,
            renewed.parameters,
            batch_id=self.names[batch.batch_id],
        )
        record_draft(self.lake, draft.folder)
        self.lake.delete_folder(draft.folder)
        figures = dict(renewed.figures)
        figures[FORGETTINGS] = sorted({*figures.get(FORGETTINGS, ()), self.forgetting})
        if batch.table == SEGMENTS.name:
            figures |= rewrite_segment(self.lake, batch, draft, self.matcher)
        elif batch.table == INDEX:
            figures |= rewrite_earlier_index(self.lake, batch, draft, self.matcher)
        elif batch.table == QUARANTINE:
            for file in batch.files:
                lines = _remaining_lines(self.lake, batch, file, self.matcher)
                draft.write_file(file.name, "".join(lines).encode(), len(lines))
        else:
            figures |= self._rewrite_table(batch, draft)
        return draft.finish(figures)

    def _rewrite_table(self, batch: Manifest, draft: Draft) -> dict[str, int]:
        """Writes the files of a batch without the forgotten rows. Returns the figures of the manifest that
        count rows."""
        contract = contracts.TABLES[batch.table]
        counts: Counter[str] = Counter()
        for file in batch.files:
            rows = contract.add_missing_columns(self.lake.read_part(batch, file))
            rows = rows.select(contract.schema.names)
            rows = rows.filter(~self.matcher.mask(rows))
            if ISSUES_BATCH in rows.column_names:
                rows = self._with_renamed_batches(rows)
            if "rank" in rows.column_names:
                rows = close_ranks(rows)
            draft.write_table(file.name, rows, contract)
            for name in ("abstained", "trainable"):
                if name in batch.figures and name in rows.column_names:
                    counts[name] += int(pc.sum(rows.column(name)).as_py() or 0)
        return dict(counts)

    def _with_renamed_batches(self, rows: pa.Table) -> pa.Table:
        position = rows.column_names.index(ISSUES_BATCH)
        names = [self.names.get(name, name) for name in rows.column(ISSUES_BATCH).to_pylist()]
        return rows.set_column(position, ISSUES_BATCH, pa.array(names, pa.string()))


def close_ranks(rows: pa.Table) -> pa.Table:
    """Renumbers the similar issues of each list from 1, because the removal of rows left gaps in the ranks.
    The order of the ranks stays.

    `rows` are rows of similar_issues_v2, in which an issue may have several lists, or of similar_issues_v1,
    in which an issue has only one list.
    """
    keys = [rows.column("rank").to_numpy()]
    if "list" in rows.column_names:
        keys.append(rows.column("list").combine_chunks().dictionary_encode().indices.to_numpy())
    keys.append(rows.column("issue_id").to_numpy())
    order = np.lexsort(keys)  # by issue, list and rank
    is_first = np.ones(len(rows), dtype=np.bool_)
    if len(rows):
        changes: Mask = np.zeros(len(rows) - 1, dtype=np.bool_)
        for key in keys[1:]:
            changes |= key[order][1:] != key[order][:-1]
        is_first[1:] = changes
    starts = np.maximum.accumulate(np.where(is_first, np.arange(len(rows)), 0))
    ranks = np.empty(len(rows), dtype=np.int64)
    ranks[order] = np.arange(len(rows)) - starts + 1
    return rows.set_column(rows.column_names.index("rank"), "rank", pa.array(ranks))


def _first_day(day: str, months: int) -> str:
    """Returns the first day of the search of all repositories, which goes back `months` months from `day`."""
    return str(date(1970, 1, 1) + timedelta(microseconds=months_before(day, months)))


def _put_manifest(lake: Lake, old: Manifest, new: Manifest) -> None:
    """Writes the changed manifest `new`. If its key has changed, the pointer of the key is replaced first. If
    the command is interrupted in between, the next run finds the old manifest and repeats both steps."""
    keys = posixpath.join(posixpath.dirname(old.folder), KEYS)
    if old.key != new.key:
        lake.put_json(posixpath.join(keys, f"{new.key}.json"), {"batch_id": new.batch_id})
        lake.delete(posixpath.join(keys, f"{old.key}.json"))
    lake.put(posixpath.join(new.folder, MANIFEST), new.to_json().encode())
