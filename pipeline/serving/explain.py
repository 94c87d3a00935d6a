"""Explains the title and the similar issues that a release has for one issue. Says from which source, batches
and model they were made, how they were computed, and which releases have the issue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from typing import Any

from pipeline.contracts import INDEX, ISSUES, SEGMENTS, SOURCE_HEALTH, TOKENS
from pipeline.index.release_days import repository_group
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned
from pipeline.releases.completeness import check_complete
from pipeline.releases.current import current_release_id, require_current
from pipeline.releases.records import RECORD
from pipeline.serving.explain_neighbours import explain_neighbours
from pipeline.serving.explain_openings import IssueName, Opening, Openings
from pipeline.serving.explain_title import explain_model, explain_title, published_row
from pipeline.settings import Settings

ISSUE_KEYS = ("issue_id", "issue_url", "repo", "number", "author", "title", "trainable", "event_id")


def explain(
    lake: Lake, settings: Settings, text: str, release_name: str | None = None, neighbours: int = 3
) -> dict[str, Any]:
    """Returns the title and the similar issues that a release has for an issue, and explains how they were
    made.

    `text` is the address of an issue, or its id at GitHub. If `release_name` is None, the current release is
    used. The result has these keys. Do not rename them: `titler explain --json` prints them.

    - `issue`: the issue's row of issues_v1 without the body; `created_at` is the time at which it was opened
    - `openings`: each `opened` event of the issue in the release, and whether it `counts`: see `Opening`
    - `release`: the `id` of the release, whether it is `current`, and when it was published (`published_at`)
    - `releases`: every release that has the issue and can be read, with the same keys as `release`
    - `damaged_releases`: every release that cannot be read and may have the issue: its `id` and `problem`
    - `model`: see `explain_model`
    - `source`: the source day, whether it is complete (`verdict`), and the hour file: see `_source`
    - `batches`: for each table, the batch that has the issue's rows
    - `title`: see `explain_title`
    - `neighbours`: up to `neighbours` similar issues: see `explain_neighbours`

    Raises UsageError if no release is published, if there is no release `release_name`, or if the release
    does not have the issue. In the last case, the error says where the issue is. Raises LakeError if a file
    is damaged.
    """
    name = IssueName.parse(text)
    release = Pinned(lake, "releases", release_name) if release_name else require_current(lake)
    if release.is_open() and (record := release.notes[RECORD]) is not None:
        check_complete(release, record)
    openings = Openings(lake, settings, name)
    opening, *later = openings.require(release)
    issue, day = opening.row, opening.day.day
    other_releases, problems = openings.other_releases(release, issue["issue_id"])
    row = published_row(release, day, issue["issue_id"])
    model = explain_model(release, row)
    current = current_release_id(lake)
    return {
        "issue": {**{key: issue[key] for key in ISSUE_KEYS}, "created_at": issue["created_at"].isoformat()},
        "openings": [_opening(each) for each in (opening, *later)],
        "release": _release(release, current),
        "releases": [_release(each, current) for each in _newest_first([release, *other_releases])],
        "damaged_releases": [{"id": name, "problem": problem} for name, problem in problems.items()],
        "model": model,
        "source": _source(lake, opening),
        "batches": [_batch(manifest) for manifest in _batches(release, opening)],
        "title": explain_title(release, model["name"], issue["body"], row),
        "neighbours": explain_neighbours(release, settings, day, issue, neighbours),
    }


def _newest_first(releases: Sequence[Pinned]) -> list[Pinned]:
    return sorted(releases, key=lambda release: (release.opened_at, release.name), reverse=True)


def _opening(opening: Opening) -> dict[str, Any]:
    return {
        "day": opening.day.day,
        "issue_url": opening.row["issue_url"],
        "created_at": opening.row["created_at"].isoformat(),
        "event_id": opening.row["event_id"],
        "counts": opening.counts,
    }


def _release(release: Pinned, current: str | None) -> dict[str, Any]:
    record = release.notes[RECORD]
    return {
        "id": release.name,
        "current": release.name == current,
        "published_at": record["published_at"] if record else None,
    }


def _source(lake: Lake, opening: Opening) -> dict[str, Any]:
    """Returns where the event that opened an issue was read from. The result has these keys:

    - `day`: the source day
    - `verdict` and `reason`: whether the day is complete, and if not, why not
    - `hours_found`: the number of the day's hours from which an event was read
    - `base`: where the event was read from: the address or folder of hour files, or a table in BigQuery
    - `hour`: the hour (UTC) in which the issue was opened
    - `hour_base`: the base from which the file of `hour` was read. If it differs from `base`, the event was
      in the file of another hour
    - `sha256`: the digest of the file of `hour`

    `base`, `hour_base` and `sha256` are None if an earlier version of Titler extracted the day.
    """
    health = lake.read(lake.manifest(opening.day.health), SOURCE_HEALTH)
    (verdict,) = SOURCE_HEALTH.add_missing_columns(health).to_pylist()
    hour = opening.row["created_at"].astimezone(UTC).hour
    return {
        "day": opening.day.day,
        **{key: verdict[key] for key in ("verdict", "reason", "hours_found")},
        "base": opening.row["source"],
        "hour": hour,
        "hour_base": _of_hour(verdict["hour_sources"], hour),
        "sha256": _of_hour(verdict["hour_digests"], hour),
    }


def _of_hour(values: Sequence[str] | None, hour: int) -> str | None:
    return values[hour] or None if values else None


def _batches(release: Pinned, opening: Opening) -> Iterator[Manifest]:
    """Yields, for each table, the batch to which an issue belongs. In segments_v1, this is the segment of
    the issue's period and repository, even if the issue has no vector and therefore no row in it."""
    day, repo = opening.day.day, opening.row["repo"]
    yield release.lake.manifest(opening.day.issues)
    yield release.lake.manifest(opening.day.health)
    if opening.day.tokens:
        yield release.lake.manifest(opening.day.tokens)
    for table in release.members:
        for manifest in release.members[table]:
            if table == INDEX:  # of a release that Titler 0.1 made: one for all days
                belongs = True
            elif table == SEGMENTS.name:
                belongs = day.startswith(manifest.partition["period"]) and _has_repository(
                    manifest.partition, repo
                )
            else:
                belongs = manifest.partition.get("day") == day
            if belongs and table not in (ISSUES.name, SOURCE_HEALTH.name, TOKENS.name):
                yield manifest


def _has_repository(partition: Mapping[str, str], repo: str) -> bool:
    number, _, groups = partition["repositories"].partition("-of-")
    return bool(repository_group(repo, int(groups)) == int(number) - 1)


def _batch(manifest: Manifest) -> dict[str, Any]:
    return {
        "table": manifest.table,
        "batch_id": manifest.batch_id,
        "folder": manifest.folder,
        "rows": manifest.rows,
        "created_at": manifest.created_at,
    }
