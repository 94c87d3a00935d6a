"""First stage of `titler train --from-file`: reads a file of titles and bodies and writes the table
issues_v1.

The batch is in a partition of its own, which the stages for days and releases never read. The partition is
named after the SHA-256 of the file, so the same file is read only once. A model that learns from the file
uses this batch instead of batches of days. The later stages of the model's training, such as `clean`, treat
it like the batch of a day.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.contracts import ISSUES
from pipeline.dataset.split import subset_of
from pipeline.errors import UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.fingerprint import fingerprint
from pipeline.lake.forgotten import ForgottenList, Matcher
from pipeline.lake.manifest import Manifest
from pipeline.lake.plan import PinnedDay
from pipeline.settings import ADDED_SETTINGS, NOT_TRAINING_SETTINGS, Model, Settings
from pipeline.source import issue_files
from pipeline.source.file_rows import FORMATS
from pipeline.source.issue_files import FileIssue, parse_time
from pipeline.source.trainable import REASONS, WORD, thresholds, untrainable_reason, without_word

FORMAT = 1
"""Part of the batch's key. Increase it when the conversion changes, so that every file is read again."""
ROWS_PER_PART = 100_000
NO_DATE = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class _FileReader:
    """Converts the rows of a user's file to rows of the table issues_v1, and counts them.

    Issues are split into training and validation by repository. If `by_row` is true, every row is treated as
    if it came from a repository of its own. Rows that `matcher` recognises as forgotten are left out.
    """

    limits: dict[str, Any]
    by_row: bool
    matcher: Matcher | None = None
    issue_ids: set[int] = field(default_factory=set)
    repeated: int = 0
    unreadable_times: int = 0
    untrainable: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(REASONS, 0)))
    subset_sizes: Counter[str] = field(default_factory=Counter)

    def rows(self, path: Path) -> Iterator[dict[str, Any]]:
        """Yields one row of the table issues_v1 per distinct issue of the file, except for forgotten issues.
        The issue's id is a hash of its URL. If the issue has no URL, the id is a hash of its title and body.
        Training does not use the column `created_at`, so it is NO_DATE if the file's value is missing or is
        not a time."""
        for issue in issue_files.read(path):
            if self.matcher is not None and self._is_forgotten(issue):
                continue
            key = issue.url or _sha256(issue.title + "\0" + issue.body)
            issue_id = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 1
            if issue_id in self.issue_ids:
                self.repeated += 1
                continue
            self.issue_ids.add(issue_id)
            reason = untrainable_reason(issue.title, issue.body, self.limits)
            repo = key if self.by_row else issue.repo or key
            if reason:
                self.untrainable[reason] += 1
            else:
                self.subset_sizes[subset_of(repo)] += 1
            created_at = parse_time(issue.columns.get("created_at"))
            if created_at is None and issue.columns.get("created_at"):
                self.unreadable_times += 1
            yield {
                "issue_id": issue_id,
                "issue_url": key,
                "repo": repo,
                "number": issue.number,
                "author": None,
                "title": issue.title,
                "body": issue.body or None,
                "created_at": created_at or NO_DATE,
                "event_id": "",
                "trainable": not reason,
                "author_association": None,
            }

    def _is_forgotten(self, issue: FileIssue) -> bool:
        """Returns whether the issue or its repository is forgotten. The author cannot be checked, because
        authors are not read from a user's file."""
        assert self.matcher is not None
        of_repo = bool(issue.repo) and self.matcher.matches("repo", str(issue.repo).lower())
        return of_repo or (bool(issue.url) and self.matcher.matches_url(str(issue.url)))

    @property
    def lacks_a_part(self) -> bool:
        """Whether the training part or the validation part has no trainable rows."""
        return not (self.subset_sizes["train"] and self.subset_sizes["validation"])


def file_digest(path: Path) -> str:
    """Returns the SHA-256 of a file's content. Raises UsageError if the file cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror or error}.",
            f"Give a file of issues with a title and a body: {FORMATS}.",
        ) from None


def model_name(
    settings: Settings,
    digest: str,
    variant: str | None,
    epochs: int | None,
    teacher: Mapping[str, Any] | None = None,
    embedding: str | None = None,
    word: str = "",
) -> str:
    """Returns the name of the model that is trained on a file. It is derived from the file's SHA-256
    (`digest`), the settings, the teacher (if there is one), and the options `variant`, `epochs` and
    `embedding` of the command. So the same command always resumes or reuses the same model.

    `word` is the regular expression that defines a word. It comes from the parameters of the file's batch. If
    an earlier version of Titler made the batch, `word` is empty."""
    defaults = Model()
    network = {
        name: value
        for name, value in settings.model.model_dump().items()
        if name not in NOT_TRAINING_SETTINGS
        # The name of a model that 0.1.0 trained stays the same.
        and not (name in ADDED_SETTINGS and value == getattr(defaults, name))
    }
    # In 0.1.0 the default was 0.001 for every variant. Now the default is 0, which stands for the variant's.
    if not network["learning_rate"]:
        network["learning_rate"] = 0.001
    elif network["learning_rate"] == 0.001:
        network["learning_rate"] = "set to 0.001"
    text = settings.text.model_dump(exclude={"characters_per_word"})
    made_of = {"text": text, "model": network, "variant": variant, "epochs": epochs}
    made_of |= teacher or {}
    made_of |= {"embedding": embedding} if embedding else {}
    made_of |= {WORD: word} if word else {}
    return f"file-{fingerprint('models', {'file': digest}, (), made_of)[:12]}"


def run(lake: Lake, settings: Settings, path: Path) -> tuple[Manifest, bool]:
    """Reads a user's file into a batch of the table issues_v1. Returns the batch, and whether the batch is
    new.

    The rows are split by repository into a training, a validation and a test part, in the same way as issues
    that are extracted by day. If there are too few repositories for a training and a validation part, every
    row counts as a repository of its own. The figure `by_row` in the batch's manifest is then True. Raises
    UsageError if the file cannot be read as issues, or has too few trainable rows to be split.
    """
    digest = file_digest(path)
    partition = {"file": digest[:16]}
    limits = thresholds(settings.text)
    parameters = {"file_sha256": digest, "form": FORMAT, **limits}
    existing = lake.reuse(ISSUES.name, partition, (), parameters) or _reuse_earlier(
        lake, path, partition, parameters
    )
    if existing is not None:
        return existing, False
    for by_row in (False, True):
        reader = _FileReader(limits, by_row, ForgottenList.read(lake).matcher)
        draft = lake.draft(ISSUES.name, partition, (), parameters)
        for number, rows in enumerate(_chunks(reader.rows(path))):
            expected_rows = pa.Table.from_pylist(rows, schema=ISSUES.schema)
            draft.write_table(f"part-{number:05d}.parquet", expected_rows, ISSUES)
        if not reader.lacks_a_part:
            figures = {
                "file": path.name,
                "trainable": reader.subset_sizes.total(),
                "untrainable": dict(reader.untrainable),
                "repeated": reader.repeated,
                "unreadable_times": reader.unreadable_times,
                "by_row": by_row,
            }
            return draft.commit(figures), True
        draft.discard()
    raise UsageError(
        _too_few_rows(path, reader),
        "The settings text.min_* and text.max_* decide which rows are trainable. They are described in "
        "docs/settings.md.",
    )


def _reuse_earlier(
    lake: Lake, path: Path, partition: Mapping[str, str], parameters: Mapping[str, Any]
) -> Manifest | None:
    """Returns the batch that an earlier version of Titler made from the file, if this version would make the
    same rows. Otherwise returns None.

    The rows may differ, for example because the versions have different rules for which rows are trainable.
    Raises UsageError if this version cannot read the file as issues, even if the earlier version could.
    """
    earlier_parameters = without_word(parameters)
    earlier = lake.find(ISSUES.name, partition, (), earlier_parameters)
    if earlier is None:
        return None
    matcher = ForgottenList.read(lake).matcher
    reader = _FileReader(dict(parameters), earlier.figures["by_row"], matcher)
    for rows, file in zip_longest(_chunks(reader.rows(path)), earlier.files):
        if rows is None or file is None:
            return None
        expected_rows = pa.Table.from_pylist(rows, schema=ISSUES.schema)
        earlier_rows = ISSUES.add_missing_columns(lake.read_part(earlier, file))
        if expected_rows != earlier_rows.select(ISSUES.schema.names):
            return None
    return lake.reuse(ISSUES.name, partition, (), earlier_parameters)


def pinned_file(issues: Manifest, tokens: Manifest) -> PinnedDay:
    """Returns the entry for a user's file in the plan of a model. It has the form of an entry for a day, but
    without a verdict on the data."""
    return PinnedDay(issues.day, issues.folder, tokens.folder, "", issues.digest, tokens.digest, "")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _chunks(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yields the rows in lists of ROWS_PER_PART; the last list may have fewer."""
    while chunk := list(islice(rows, ROWS_PER_PART)):
        yield chunk


def _too_few_rows(path: Path, reader: _FileReader) -> str:
    """Returns the error message for a file that has no trainable rows for training, or none for
    validation."""
    sizes, rows = reader.subset_sizes, len(reader.issue_ids)
    counts = [(name.replace("_", " "), count) for name, count in reader.untrainable.items() if count]
    reasons = ", ".join(f"{count:,} {name}" for name, count in counts)
    return (
        f"{path}: {sizes.total():,} of {rows:,} rows can be used"
        f"{f' (the others cannot, by reason: {reasons})' if reasons else ''}, {sizes['train']:,} for "
        f"training and {sizes['validation']:,} for validation. "
        "Both numbers must be above 0, so the file needs at least some tens of trainable rows."
    )
