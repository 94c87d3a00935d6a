"""Stage `publish`: checks a release, then makes it the current release in one step. `rollback` makes an
earlier release current again.

The stage takes these steps while it holds the publish lock:

- repair what a crashed command left behind
- audit the release
- load the batches of the release into the warehouse
- write the rows of the release without showing them to readers
- run the checks of `sql/checks`
- replace the current release by the new one
- write the release's record
- set the lake's pointer to the release

Readers of the warehouse notice only the step that replaces the current release. If the stage crashes before
that step, nothing changes for readers. If it crashes after that step, the next command completes the
remaining steps.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from pipeline import warehouse
from pipeline.contracts import RELEASE_MEMBERS, RELEASES
from pipeline.errors import LakeError, UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.forgotten import refuse_while_forgetting
from pipeline.lake.pinned import Pinned
from pipeline.progress import say
from pipeline.releases.audit import audit
from pipeline.releases.completeness import check_complete
from pipeline.releases.current import reconcile_current
from pipeline.releases.members import (
    ReleaseContent,
    check_new_files,
    contents_of_releases,
    member_keys,
    published_tables,
    release_content,
)
from pipeline.releases.publication import make_current
from pipeline.releases.records import RECORD, published_records, record_from_row
from pipeline.releases.stops import recording_stop
from pipeline.settings import Settings
from pipeline.telemetry import step


def run(lake: Lake, settings: Settings, release: Pinned, accepted: Mapping[str, str]) -> dict[str, Any]:
    """Publishes a release, and returns the record of its publication.

    A release that is already current is published again only if the warehouse shows other batches or other
    records than the lake has. A user may accept faults of the release. `accepted` maps each accepted fault to
    the user's reason. A fault is written as one of these keys:

    - a date: this day has collapsed, which means that nearly all of its data is missing
    - `abstained`: more issues than before have no title
    - `recall`: the lists of similar issues have fewer marked duplicates than before

    Raises UsageError if the release was published before and is no longer current; use `rollback` for such a
    release. Raises StoppedError if the audit or a check fails.
    """
    connection = warehouse.connect(settings, "publish")
    with connection.exclusive_lock("publish"):
        current, published = reconcile_current(lake, settings), release.notes[RECORD]
        if published is not None and current != release.name:
            raise UsageError(
                f"Release {release.name} was published at {published['published_at'][:19]} UTC, "
                f"and release {current} was published after it.",
                f"To make release {release.name} current again: titler rollback {release.name}",
            )
        content = release_content(release, published_tables(settings), complete=True)
        unreadable: dict[str, LakeError] = {}
        records = published_records(lake, settings, unreadable)
        earlier = contents_of_releases(lake, settings, records, unreadable)
        shown = connection.records(RELEASE_MEMBERS)
        contents = [*(each for _, each in earlier), content]
        if published is not None and _are_shown(shown, contents, unreadable):
            rows = connection.records(RELEASES)
            if _have_rows(rows, [readable for readable, _ in earlier]):
                return dict(published)
        check_new_files(release, published_tables(settings), member_keys(shown))
        with recording_stop(release):
            with step("audit"):
                record = audit(settings, release, accepted, records)
            made_current = make_current(settings, release, content, record, earlier)
    say_what_is_left_out(unreadable, release)
    return made_current


def _are_shown(
    shown: Sequence[Mapping[str, Any]], contents: Sequence[ReleaseContent], unreadable: Collection[str]
) -> bool:
    """Returns whether the warehouse shows exactly the batches of the releases in `contents`, and no batch of
    the releases in `unreadable`. `shown` are the rows of release_members_v1.

    The batches of a release may have changed, because a stage was run again, because a batch was found
    damaged, or because the setting warehouse.embeddings was changed.
    """
    expected = [row for content in contents for row in content.members]
    names = {row["release_id"] for row in expected}
    of_contents = [row for row in shown if row["release_id"] in names]
    is_complete = _rows_by_release(of_contents) == _rows_by_release(expected)
    return is_complete and not any(row["release_id"] in unreadable for row in shown)


def _have_rows(rows: Sequence[Mapping[str, Any]], records: Sequence[Mapping[str, Any]]) -> bool:
    """Returns whether the warehouse has all `records` of the lake. `rows` are the warehouse's rows of
    releases_v1. If a rollback was killed after it had changed records in the lake, the warehouse has other
    records."""
    in_warehouse = {row["release_id"]: record_from_row(row) for row in rows}
    return all(in_warehouse.get(record["release_id"]) == record for record in records)


def _rows_by_release(rows: Iterable[Mapping[str, Any]]) -> set[tuple[str, str, str, str]]:
    return {(row["release_id"], row["table_name"], str(row["day"]), row["batch_id"]) for row in rows}


def say_what_is_left_out(unreadable: Mapping[str, LakeError], current: Pinned) -> None:
    """Prints which releases the warehouse leaves out, because a file of them is missing or damaged."""
    for name, error in sorted(unreadable.items()):
        if name == current.name:  # it is shown, although one of its batches was found damaged
            say(f"    {error.message} {error.hint}")
            continue
        say(f"    release {name} cannot be read, so the warehouse leaves it out: {error.message}")


def _never_published(lake: Lake, settings: Settings, release_id: str) -> UsageError:
    """Returns the error for the rollback to a release that was never published."""
    published = ", ".join(row["release_id"] for row in published_records(lake, settings))
    if not published:
        return UsageError(
            f"Release {release_id} was never published. No release is published yet.",
            "Make and publish a release: titler run --from DATE --to DATE",
        )
    return UsageError(
        f"Release {release_id} was never published. The published releases are: {published}.",
        "Make one of these releases current: titler rollback RELEASE",
    )


def rollback(lake: Lake, settings: Settings, release_id: str) -> dict[str, Any]:
    """Makes an earlier release current again, and returns the record of its publication. All releases that
    were published after it are marked as rolled back.

    If a file of another release is missing or damaged, the warehouse leaves out that release until it can be
    read again. Raises UsageError if the release was never published, and TitlerError while `titler forget`
    runs or after it was interrupted.
    """
    release = Pinned(lake, "releases", release_id)
    connection = warehouse.connect(settings, "publish")
    with connection.exclusive_lock("publish"):
        refuse_while_forgetting(lake)
        record = release.notes[RECORD]
        if record is None:
            raise _never_published(lake, settings, release_id)
        if reconcile_current(lake, settings) == release_id:
            return dict(record)
        unreadable: dict[str, LakeError] = {}
        records = published_records(lake, settings, unreadable)
        later = [row for row in records if row["published_at"] > record["published_at"]]
        for row in later:
            Pinned(lake, "releases", row["release_id"]).notes[RECORD] = {**row, "rolled_back": True}
        try:
            check_complete(release, record)
            content = release_content(release, published_tables(settings), complete=True)
            shown = member_keys(connection.records(RELEASE_MEMBERS))
            check_new_files(release, published_tables(settings), shown)
            records = published_records(lake, settings, unreadable)
            releases = contents_of_releases(lake, settings, records, unreadable)
            made_current = make_current(settings, release, content, record, releases)
        except BaseException:
            for row in later:
                Pinned(lake, "releases", row["release_id"]).notes[RECORD] = row
            raise
    say_what_is_left_out(unreadable, release)
    return made_current


def current(lake: Lake, settings: Settings) -> str | None:
    """Returns the id of the release that readers of the warehouse see, or None if no release was published
    yet. If a command crashed while it published a release, completes the records in the lake."""
    with warehouse.connect(settings, "publish").exclusive_lock("publish"):
        return reconcile_current(lake, settings)
