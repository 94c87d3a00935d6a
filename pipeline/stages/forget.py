"""Stage `forget`: removes all data about an issue, a repository or an author (the subject).

No other stage removes single rows from stored data. The steps of this stage:

- add an entry with salted hashes of the subject to the list of the forgotten. From then on, no extraction
  stores the subject again, and no other command writes to the lake until the stage has finished
- find every batch that has rows about the subject, and write a new batch without these rows
- replace the references to the old batches by references to the new ones, in all pointers, pages, releases
  and models
- publish the current release again, so that the warehouse has the new batches, and delete the old rows from
  the warehouse
- delete the old batches and pages, reports, samples in MLflow, and unfinished work
- record in the list what was removed and what remains

Every step can be repeated. To finish an interrupted command, run it again. docs/forgetting.md says which
place stores which data.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from pipeline import warehouse
from pipeline.contracts import ISSUES
from pipeline.errors import DamagedBatchError, TitlerError, UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.draft_records import DRAFTS, UNUSED, forget_batches
from pipeline.lake.forgotten import Forgetting, ForgottenList, address_of, utc_time
from pipeline.lake.leases import hold_lease, valid_leases
from pipeline.lake.manifest import Manifest
from pipeline.lake.pages import PAGES
from pipeline.lake.sweep import remove_batch, sweep_unfinished_files
from pipeline.provenance import user_name
from pipeline.releases.current import reconcile_current
from pipeline.settings import Settings
from pipeline.stages.forget_batches import Rewriting, StoredBatches, forgotten_rows
from pipeline.stages.forget_damaged import check_not_needed
from pipeline.stages.forget_places import (
    delete_reports,
    delete_unfinished_trainings,
    delete_warehouse_rows,
    publish_again,
    remaining_places,
)
from pipeline.stages.forget_references import References, delete_stops, recount
from pipeline.stages.forget_words import own_words
from pipeline.tracking import count_forgotten, open_tracking, remove_forgotten, replace_reports

VERB = "forget"
SAMPLES = "MLflow: sample titles"
UNFINISHED_WORK = "unfinished batches and trainings (folders)"
DAMAGED_BATCHES = "damaged batches that the current release does not need (folders)"
REPORTS = "reports of releases"
LOGGED_REPORTS = "MLflow: reports of releases"
STOPS = "reasons why releases were stopped"


@dataclass(frozen=True)
class Subject:
    """The issue, repository or author whose data a user wants to remove.

    `value` identifies an issue by its URL or by its id on GitHub, a repository by owner/name, and an author
    by the login.
    """

    kind: Literal["issue", "repo", "author"]
    value: str

    @property
    def named(self) -> tuple[str, str]:
        """The kind of hash that recognises the subject, and the text that is hashed."""
        if self.kind != "issue":
            return self.kind, self.value.lower()
        return ("issue", self.value) if self.value.isdecimal() else ("address", address_of(self.value))

    def begin(self, forgotten: ForgottenList, because: str) -> Forgetting:
        """Returns a new entry about the subject for the list of the forgotten."""
        kind, value = self.named
        return Forgetting(
            id=uuid.uuid4().hex[:12],
            kind=self.kind,
            because=because,
            by=user_name(),
            begun_at=utc_time(),
            hashes={kind: [forgotten.hash_of(kind, value)]},
        )


@dataclass(frozen=True)
class Counted:
    """The amount of data that would be removed: rows and batches per table, and the number of issues.

    `rows` also has the number of rows of sample titles in MLflow.
    """

    rows: Mapping[str, int]
    batches: Mapping[str, int]
    issues: int

    @property
    def is_empty(self) -> bool:
        """Whether the lake has nothing about the subject."""
        return not any(self.rows.values())


def count(lake: Lake, settings: Settings, subject: Subject) -> Counted:
    """Counts the rows, batches and issues that `run` would remove. Changes nothing."""
    require_lake(lake)
    forgotten = ForgottenList.read(lake)
    batches = StoredBatches.of(lake)
    forgetting = with_issues(lake, forgotten, subject.begin(forgotten, ""), batches)
    matcher = forgotten.matcher_of([forgetting])
    affected = forgotten_rows(lake, batches, matcher)
    check_not_needed(lake, settings, batches.damaged)
    rows = _by_table(affected)
    if samples := count_forgotten(open_tracking(settings, lake), matcher.matches_url):
        rows[SAMPLES] = samples
    per_table = Counter(folder.partition("/")[0] for folder in affected)
    return Counted(rows, per_table, len(forgetting.hashes.get("issue", ())))


def run(lake: Lake, settings: Settings, subject: Subject, because: str) -> Forgetting:
    """Removes all data about a subject: an issue, a repository or an author.

    Returns the subject's entry in the list of the forgotten, which says what was removed and what remains.
    Raises UsageError if there is no lake. Raises TitlerError if another command is writing to the lake, or if
    the removal of another subject was interrupted. The current release is published again without the data.
    Raises StoppedError if the release fails the checks that run before it is published.
    """
    require_lake(lake)
    connection = warehouse.connect(settings, VERB)
    with (
        hold_lease(lake, VERB),
        connection.exclusive_lock("plan"),
        connection.exclusive_lock("publish"),
    ):
        forgotten, forgetting = _begin(lake, subject, because)
        with _withdrawn_on_error(lake, forgotten, forgetting):
            reconcile_current(lake, settings)
            batches = StoredBatches.of(lake)
            forgetting = with_issues(lake, forgotten, forgetting, batches)
            affected = forgotten_rows(lake, batches, forgotten.matcher_of([forgetting]))
            check_not_needed(lake, settings, batches.damaged)
            open_tracking(settings, lake).all_runs()  # nothing is removed if MLflow does not answer
        with unfinished_on_error():
            return _remove(lake, settings, forgotten, forgetting, batches, affected)


def _remove(
    lake: Lake,
    settings: Settings,
    forgotten: ForgottenList,
    forgetting: Forgetting,
    all_batches: StoredBatches,
    affected: Mapping[str, int],
) -> Forgetting:
    """Removes all data about the subject of the entry `forgetting`. Returns the finished entry. `affected`
    maps the folder of each batch with forgotten rows to the number of these rows."""
    matcher, batches = forgotten.matcher_of([forgetting]), all_batches.readable
    forgetting = _with_removed(forgetting, _by_table(affected))
    forgotten = forgotten.store(lake, forgetting)
    # before the new batches are written: an interrupted command may have begun one of them
    unfinished = _delete_unfinished(lake, all_batches.unfinished)
    rewriting = Rewriting(lake, forgetting.id, matcher, all_batches.damaged)
    rewriting.run(batches, affected)
    replaced = [batch for batch in batches if batch.folder in rewriting.new]
    references = References(rewriting)
    references.rewrite(replaced)
    recount(lake)
    publish_again(lake, settings)
    delete_warehouse_rows(settings, _remaining(batches, rewriting))
    new_folders = {batch.folder for batch in rewriting.new.values()}
    tracking = open_tracking(settings, lake)
    counts = {
        # until now, views of the warehouse may have read them
        DAMAGED_BATCHES: _delete_unfinished(lake, sorted(all_batches.damaged.keys() - new_folders)),
        UNFINISHED_WORK: unfinished + delete_unfinished_trainings(lake, rewriting),
        STOPS: delete_stops(lake, matcher),
        SAMPLES: remove_forgotten(tracking, matcher.matches_url),
        REPORTS: delete_reports(lake) if affected else 0,
        LOGGED_REPORTS: replace_reports(tracking) if affected else 0,
    }
    words = own_words(lake, batches, replaced, matcher)
    remains = {*forgetting.remains, *remaining_places(lake, settings, rewriting, words)}
    forgetting = replace(_with_removed(forgetting, counts), remains=sorted(remains))
    forgotten = forgotten.store(lake, forgetting)
    _delete_replaced(lake, replaced, references.old_pages)
    forgetting = replace(forgetting, finished_at=utc_time())
    forgotten.store(lake, forgetting)
    return forgetting


def has_removed(forgetting: Forgetting) -> bool:
    """Returns whether a finished removal has removed anything about its subject. Unfinished work, which is
    deleted whatever the subject is, does not count."""
    return any(
        number
        for place, number in forgetting.removed.items()
        if place not in (UNFINISHED_WORK, DAMAGED_BATCHES)
    )


def require_lake(lake: Lake) -> None:
    """Raises UsageError if there is no lake at the address. Without this check, a wrong address would create
    a new lake."""
    if not lake.names(""):
        raise UsageError(
            f"There is no lake at {lake.root}, so nothing can be forgotten or searched in it.",
            "Check the setting lake.root: titler doctor",
        )


def _begin(lake: Lake, subject: Subject, because: str) -> tuple[ForgottenList, Forgetting]:
    """Adds an entry to the list of the forgotten, or returns the entry of an interrupted command.

    Every other command first takes a lease, then reads the list. This function first writes the entry, then
    reads the leases. So if it runs at the same time as another command, at least one of the two notices the
    other.
    """
    stored = ForgottenList.read(lake)
    new, interrupted = subject.begin(stored, because), stored.unfinished
    if interrupted is not None and not interrupted.is_about(new):
        raise TitlerError(
            f"The command `titler forget --{interrupted.kind}` that {interrupted.by} started at "
            f"{interrupted.begun_at[:16]} UTC (reason: {interrupted.because!r}) was interrupted. It must be "
            "finished first.",
            f"Run that command again with the same {interrupted.kind}. Titler cannot print which "
            f"{interrupted.kind} that was, because the lake stores only a hash.",
        )
    forgetting = interrupted or new
    forgotten = stored.store(lake, forgetting)
    running = [lease for lease in valid_leases(lake, datetime.now(UTC)) if lease.verb != VERB]
    if running:
        if interrupted is None:
            forgotten.remove(lake, forgetting)
        first = min(running, key=lambda lease: lease.began)
        raise TitlerError(
            f"Nothing was forgotten, because another command has not finished. `titler {first.verb}` began "
            f"at {first.began:%Y-%m-%d %H:%M} UTC, and is still running or was killed.",
            "If it is running, wait until it has finished, then run `titler forget` again. If it was killed, "
            "wait an hour, then run `titler forget` again. If this fails with the same error, run it once "
            "more ten minutes later.",
        )
    return forgotten, forgetting


@contextmanager
def _withdrawn_on_error(lake: Lake, forgotten: ForgottenList, forgetting: Forgetting) -> Iterator[None]:
    """Removes the entry from the list if the `with` block raises a TitlerError, for example about a damaged
    batch. If the entry stayed, the commands that can repair the batch would be refused.

    The block itself removes no data. But if an earlier command was interrupted after it began to remove data,
    the entry stays, and the error says that the lake is locked.
    """
    try:
        yield
    except TitlerError:
        if not forgetting.removed:
            forgotten.remove(lake, forgetting)
            raise
        with unfinished_on_error():
            raise


@contextmanager
def unfinished_on_error() -> Iterator[None]:
    """If the `with` block raises a TitlerError, extends the error's hint. The hint then also says that the
    lake is locked until the same command is run again."""
    try:
        yield
    except TitlerError as error:
        error.hint = (
            f"{error.hint}\nThe removal has begun and is not finished. Until it is finished, no other "
            "command may write to the lake, and `titler status` says so. To finish it, run the same "
            "`titler forget` command again."
        ).lstrip()
        raise


def with_issues(
    lake: Lake, forgotten: ForgottenList, forgetting: Forgetting, batches: StoredBatches
) -> Forgetting:
    """Adds hashes of the subject's issues to the entry `forgetting`, and returns the new entry.

    For each of these issues in the lake, the entry gets a hash of its id and a hash of its address. For
    example, the entry about a repository gets hashes of all issues in the repository. Batches that cannot
    be read are added to `batches.damaged`.
    """
    matcher = forgotten.matcher_of([forgetting])
    hashes = {kind: dict.fromkeys(values) for kind, values in forgetting.hashes.items()}
    for batch in batches.manifests:
        if batch.table != ISSUES.name:
            continue
        for file in batch.files:
            try:
                rows = lake.read_part(batch, file, ["issue_id", "issue_url", "repo", "author"])
            except DamagedBatchError as error:
                batches.damaged[batch.folder] = error
                break
            for row in rows.filter(matcher.mask(rows)).to_pylist():
                values = {"issue": str(row["issue_id"]), "address": address_of(row["issue_url"])}
                for kind, value in values.items():
                    hashes.setdefault(kind, {})[forgotten.hash_of(kind, value)] = None
    return replace(forgetting, hashes={kind: list(values) for kind, values in hashes.items()})


def _with_removed(forgetting: Forgetting, counts: Mapping[str, int]) -> Forgetting:
    """Returns the entry with the numbers in `counts`, which say how much was removed. If an interrupted
    command has recorded a larger number, the larger number stays."""
    removed = Counter(forgetting.removed) | Counter(counts)
    return replace(forgetting, removed=dict(removed))


def _by_table(affected: Mapping[str, int]) -> Counter[str]:
    rows: Counter[str] = Counter()
    for folder, number in affected.items():
        rows[folder.partition("/")[0]] += number
    return rows


def _remaining(batches: Iterable[Manifest], rewriting: Rewriting) -> dict[str, set[str]]:
    """Returns the ids of the batches that remain, by table."""
    ids: dict[str, set[str]] = {}
    for batch in batches:
        remaining = rewriting.new.get(batch.folder, batch)
        ids.setdefault(batch.table, set()).add(remaining.batch_id)
    return ids


def _delete_unfinished(lake: Lake, folders: Sequence[str]) -> int:
    """Deletes folders of batches that are damaged, or unfinished because a command was interrupted. Returns
    the number of folders."""
    for folder in folders:
        lake.delete_folder(folder)
    forget_batches(lake, DRAFTS, folders)
    sweep_unfinished_files(lake, timedelta(0), datetime.now(UTC))
    return len(folders)


def _delete_replaced(lake: Lake, replaced: Sequence[Manifest], old_pages: Iterable[str]) -> None:
    """Deletes the old batches and pages. A batch is deleted before the batches that it was made from: after
    an interruption, the next run finds some batches of titles only through their batch of issues."""
    folders = [batch.folder for batch in reversed(replaced)]
    for folder in folders:
        remove_batch(lake, folder)
    for kind in (DRAFTS, UNUSED):
        forget_batches(lake, kind, folders)
    for name in old_pages:
        lake.delete(f"{PAGES}/{name}")
    lake.delete_local_copies()
