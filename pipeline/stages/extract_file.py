"""from_file: a file of titles and bodies -> issues_v1 in a partition of the file's own, which days, plans and releases never see.

The partition's name is the file's content, so the same file is taken once. A model that learns from it pins it where others pin days;
everything after that, `clean` first, is what it is for a day.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.contracts import ISSUES
from pipeline.dataset.split import part_of
from pipeline.errors import UsageError
from pipeline.lake.batches import Lake, Manifest, fingerprint
from pipeline.lake.pinned import PinnedDay
from pipeline.settings import Settings
from pipeline.source import issue_files
from pipeline.source.issue_files import Example
from pipeline.stages.extract import REASONS, reason, thresholds
from pipeline.stages.train import AFTERWARDS

FORM = 1  # of the batch that is made of a file; another number makes it anew
ROWS_A_PART = 100_000
NO_DAY = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class _Reading:
    """One passage through a file: what it has seen, for the figures."""

    limits: dict[str, int]
    by_row: bool
    seen: set[int] = field(default_factory=set)
    repeated: int = 0
    untrainable: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(REASONS, 0)))
    sizes: Counter[str] = field(default_factory=Counter)

    def rows(self, path: Path) -> Iterator[dict[str, Any]]:
        """Rows of issues_v1, each issue once: its id stands for its address or, where it has none, for its text."""
        for example in issue_files.read(path):
            key = example.url or _digest(example.title + "\0" + example.body)
            issue_id = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 1
            if issue_id in self.seen:
                self.repeated += 1
                continue
            self.seen.add(issue_id)
            why = reason(example.title, example.body, self.limits)
            repo = key if self.by_row else example.repo or key
            if why:
                self.untrainable[why] += 1
            else:
                self.sizes[part_of(repo)] += 1
            yield _row(example, issue_id, key, repo, not why)

    @property
    def one_sided(self) -> bool:
        return not (self.sizes["train"] and self.sizes["validation"])


def digest_of(path: Path) -> str:
    """The SHA-256 of a file's content. Raises UsageError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror or error}.",
            f"Give {issue_files.FORMS} with a title and a body.",
        ) from None


def model_name(settings: Settings, digest: str, variant: str | None, epochs: int | None) -> str:
    """The model that this file makes with these settings: the same command goes on with it, or finds it done."""
    network = {name: value for name, value in settings.model.model_dump().items() if name not in AFTERWARDS}
    made_of = {"text": settings.text.model_dump(), "model": network, "variant": variant, "epochs": epochs}
    return f"file-{fingerprint('models', {'file': digest}, (), made_of)[:12]}"


def run(lake: Lake, settings: Settings, path: Path) -> tuple[Manifest, bool]:
    """The file's batch of issues_v1, and whether it was made just now.

    Its rows are split by repository, as issues of days are. Where that leaves nobody to learn from, or to validate with, because
    there are too few repositories, each row counts as a repository of its own (`by_row` of the figures).
    Raises UsageError for a file that is none, and where it has no trainable rows, or too few to be split.
    """
    digest = digest_of(path)
    partition = {"file": digest[:16]}
    limits = thresholds(settings.text)
    parameters = {"file_sha256": digest, "form": FORM, **limits}
    there = lake.reuse(ISSUES.name, partition, (), parameters)
    if there is not None:
        return there, False
    for by_row in (False, True):
        reading = _Reading(limits, by_row)
        draft = lake.draft(ISSUES.name, partition, (), parameters)
        for number, part in enumerate(_parts(reading.rows(path))):
            draft.write_table(f"part-{number:05d}.parquet", part, ISSUES)
        if not reading.one_sided:
            figures = {
                "file": path.name,
                "trainable": reading.sizes.total(),
                "untrainable": dict(reading.untrainable),
                "repeated": reading.repeated,
                "by_row": by_row,
            }
            return draft.commit(figures), True
        lake.delete_folder(draft.folder)
    raise UsageError(
        _too_few(path, reading),
        "What may be learned from: the settings text.min_* and text.max_* (docs/settings.md).",
    )


def pinned(issues: Manifest, tokens: Manifest) -> PinnedDay:
    """What a model pins of a file, in a day's place; there is no verdict on it."""
    return PinnedDay(issues.day, issues.folder, tokens.folder, "", issues.digest, tokens.digest, "")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _row(example: Example, issue_id: int, key: str, repo: str, trainable: bool) -> dict[str, Any]:
    return {
        "issue_id": issue_id,
        "issue_url": key,
        "repo": repo,
        "number": example.number,
        "author": None,
        "title": example.title,
        "body": example.body or None,
        "created_at": example.when("created_at") or NO_DAY,
        "event_id": "",
        "trainable": trainable,
    }


def _parts(rows: Iterator[dict[str, Any]]) -> Iterator[pa.Table]:
    waiting: list[dict[str, Any]] = []
    for row in rows:
        waiting.append(row)
        if len(waiting) == ROWS_A_PART:
            yield pa.Table.from_pylist(waiting, schema=ISSUES.schema)
            waiting = []
    if waiting:
        yield pa.Table.from_pylist(waiting, schema=ISSUES.schema)


def _too_few(path: Path, reading: _Reading) -> str:
    sizes, rows = reading.sizes, len(reading.seen)
    why = ", ".join(
        f"{count:,} {name.replace('_', ' ')}" for name, count in reading.untrainable.items() if count
    )
    return (
        f"{path}: {sizes.total():,} of {rows:,} rows are trainable{f' (not: {why})' if why else ''}, {sizes['train']:,} to learn from and "
        f"{sizes['validation']:,} to validate with; expected some of both, so some tens of rows."
    )
