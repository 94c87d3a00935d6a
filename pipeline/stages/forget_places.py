"""Part of the stage `forget`: updates the warehouse, deletes reports and unfinished trainings, and lists the
data that cannot be removed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from pipeline import warehouse
from pipeline.contracts import DUPLICATE_MARKS, ISSUES, RELEASE_MEMBERS, TOKENS
from pipeline.errors import LakeError
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned, pinned_names
from pipeline.releases.current import current_release_id
from pipeline.releases.members import contents_of_releases, member_keys, published_tables, release_content
from pipeline.releases.publication import make_current
from pipeline.releases.records import RECORD, published_records
from pipeline.settings import Settings
from pipeline.stages.forget_batches import Rewriting
from pipeline.stages.publish import say_what_is_left_out
from pipeline.stages.training_inputs import CHECKPOINT

REPORT_FILE = "report.html"
"""The page about a release, which `pipeline.serving.report` writes."""
VERB = "forget"


def publish_again(lake: Lake, settings: Settings) -> bool:
    """Publishes the current release again, so that the warehouse gets the new batches of all releases.

    Returns False, and publishes nothing, if there is no current release or if the warehouse already has these
    batches. The caller must hold the publish lock. If a file of another release is missing or damaged, the
    warehouse leaves out that release until it can be read again. Raises LakeError if a file of the current
    release is missing or damaged.
    """
    name = current_release_id(lake)
    if name is None:
        return False
    release = Pinned(lake, "releases", name)
    unreadable: dict[str, LakeError] = {}
    records = published_records(lake, settings, unreadable)
    releases = contents_of_releases(lake, settings, records, unreadable)
    if name in unreadable:
        raise unreadable[name]
    say_what_is_left_out(unreadable, release)
    members = [row for _, content in releases for row in content.members]
    shown = warehouse.connect(settings, VERB).records(RELEASE_MEMBERS)
    if member_keys(shown) == member_keys(members):
        return False
    content = release_content(release, published_tables(settings), complete=True)
    make_current(settings, release, content, release.notes[RECORD], releases)
    return True


def delete_warehouse_rows(settings: Settings, remaining: Mapping[str, Collection[str]]) -> int:
    """Deletes from the warehouse the rows of all batches that are not in `remaining`.

    `remaining` maps the name of a table to ids of batches. Returns the number of deleted rows.
    """
    return warehouse.connect(settings, VERB).delete_batches_except(remaining, at_once=True)


def delete_reports(lake: Lake) -> int:
    """Deletes the reports about all releases, because reports show some issues. Returns the number of deleted
    reports."""
    deleted = 0
    for name in pinned_names(lake, "releases"):
        if REPORT_FILE in lake.names(f"releases/{name}"):
            lake.delete(Pinned(lake, "releases", name).file(REPORT_FILE))
            deleted += 1
    return deleted


def delete_unfinished_trainings(lake: Lake, rewriting: Rewriting) -> int:
    """Deletes the checkpoints of unfinished trainings that read a replaced batch.

    These trainings must begin again. Returns the number of models whose checkpoints were deleted.
    """
    models = [
        name
        for name in models_of(lake, rewriting)
        if any(folder.startswith(CHECKPOINT) for folder in lake.names(f"models/{name}"))
    ]
    for name in models:
        Pinned(lake, "models", name).delete_work_folders(CHECKPOINT)
    return len(models)


def models_of(lake: Lake, rewriting: Rewriting) -> list[str]:
    """Returns the names of the models that learned from a replaced batch. Their plans already refer to the
    new batch."""
    new = {batch.folder for batch in rewriting.new.values() if batch.table in (ISSUES.name, TOKENS.name)}
    names = []
    for name in pinned_names(lake, "models"):
        model = Pinned(lake, "models", name)
        if model.is_open() and any({day.issues, day.tokens} & new for day in model.plan.days):
            names.append(name)
    return names


def remaining_places(
    lake: Lake, settings: Settings, rewriting: Rewriting, own_words: Mapping[str, int]
) -> list[str]:
    """Returns descriptions of the places from which the data cannot be removed, one text per place.

    `own_words` maps models to the number of words in their vocabularies that occur only in forgotten issues.
    """
    if not rewriting.new:
        return []
    remains = [
        f"the weights of model {name}, which learned from days with these issues, and the words or subwords "
        "in its vocabularies that other issues contain, too"
        for name in models_of(lake, rewriting)
    ]
    remains += [
        f"words that no other issue contains, in the vocabularies of model {name}: {number:,}. Train another "
        "model; `titler collect` later removes this one"
        for name, number in own_words.items()
    ]
    marked = any(batch.table == DUPLICATE_MARKS.name for batch in rewriting.new.values())
    if marked and lake.names("orderings"):
        remains.append("the weights of learned orderings")
    remains.append(
        "counts: in source_health_v1, in the figures of manifests and releases, and in MLflow's metrics"
    )
    if period := warehouse.connect(settings, VERB).recovery_period():
        until = datetime.now(UTC) + period
        remains.append(
            f"the deleted rows in BigQuery: Google can recover them until {until:%Y-%m-%d %H:%M} UTC (time "
            "travel and fail-safe)"
        )
    if "://" in lake.root.removeprefix("file://"):
        remains.append(
            "deleted objects, if the bucket keeps versions or deleted objects, and copies in lake.cache on "
            "other machines"
        )
    return remains
