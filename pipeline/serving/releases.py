"""Lists the releases of a lake: their figures, what changed in each, and why some were not published."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.contracts import (
    EMBEDDINGS,
    INDEX,
    ISSUES,
    SEGMENTS,
    SOURCE_HEALTH,
    TITLE_PREDICTIONS,
    VECTORS,
)
from pipeline.errors import LakeError, TitlerError
from pipeline.evaluation.model_figures import EVALUATION
from pipeline.lake.batches import Lake
from pipeline.lake.members import SharedPages, made_by_command
from pipeline.lake.pinned import Pinned, pinned_names
from pipeline.lake.plan import Plan
from pipeline.releases.completeness import check_lists_exist
from pipeline.releases.current import current_release_id
from pipeline.releases.index_figures import INDEX_FIGURES, MARKED
from pipeline.releases.records import RECORD, marked_figures
from pipeline.releases.stops import STOPPED
from pipeline.releases.withheld_titles import WITHHELD

CURRENT, PUBLISHED, ROLLED_BACK, STOPPED_STATUS, UNFINISHED, DAMAGED = (
    "current",
    "published",
    "rolled_back",
    "stopped",
    "unfinished",
    "damaged",
)
"""The values of the key `status` of a release."""
KEYS = (
    "id",
    "status",
    "current",
    "opened_at",
    "published_at",
    "published_by",
    "model",
    "issues",
    "days",
    "recall_at_10",
    "duplicates",
    "titles",
    "changes",
    "bytes",
    "stopped",
    "next",
    "problem",
)
"""The keys of a release. Do not rename them: `titler releases --json` prints them."""


def releases(lake: Lake) -> list[dict[str, Any]]:
    """Returns the releases of a lake, the newest first: one dict per release, with the keys KEYS.

    - `status`: current, published, rolled_back, stopped (by a check), unfinished (a stage has not run) or
      damaged (a file is missing or damaged, so the status is not known)
    - `current`: whether readers see this release
    - `opened_at`: when it was planned
    - `published_at`, `published_by`: when it last became current, and who published it
    - `model`: its `name` and `version`
    - `issues`, `days`: how many issues and days it has
    - `recall_at_10`: recall@10 of its index, 0 to 1
    - `duplicates`: `pairs` is the number of marked duplicates, and `recall_at_10` is the share of them that
      the release's lists of similar issues contain
    - `titles`: `rougeL` is the ROUGE-L (0 to 100) of the model's titles. `floor_rougeL` is the ROUGE-L of the
      floor (the body's first words). `withheld` is the reason why the titles are withheld
    - `changes`: the differences from the release that was current when this one was planned. `since` is the
      id of that release. `days_added`, `days_replaced` and `days_removed` list the days that differ. `model`
      is the model of that release if this release has another one
    - `bytes`: size of all its batches; releases share most of their batches
    - `stopped`: `reason` is the reason why a check stopped it, and `at` is when
    - `next`: the command that continues an unpublished release
    - `problem`: the messages about damaged or missing files, and what to do about them

    A value is None if it is unknown or does not apply.
    """
    current, problem = _current(lake)
    shared_pages: SharedPages = {}
    # The listing of a bucket may lack the newest release.
    names = {*pinned_names(lake, "releases"), *([current] if current else [])}
    rows = [_row(Pinned(lake, "releases", name, shared_pages), current, problem) for name in names]
    return sorted(rows, key=lambda row: (row["opened_at"] or row["published_at"] or "", row["id"]))[::-1]


def _current(lake: Lake) -> tuple[str | None, str | None]:
    """Returns the name of the current release, and the message about a damaged pointer to it."""
    try:
        return current_release_id(lake), None
    except TitlerError as error:
        return None, _in_one_line(error)


def _in_one_line(error: TitlerError) -> str:
    return " ".join(str(error).splitlines())


def _row(release: Pinned, current: str | None, problem: str | None) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(KEYS) | {"id": release.name, "current": release.name == current}
    problems = [problem] if problem else []

    def add(*parts: Callable[[Pinned], Mapping[str, Any]]) -> bool:
        """Calls each function of `parts`, and updates `row` with the result. If a function raises an error,
        adds the message to `problems` and continues. Returns True if there was no error."""
        count = len(problems)
        for part in parts:
            try:
                row.update(part(release))
            except TitlerError as error:
                problems.append(_in_one_line(error))
        return len(problems) == count

    has_record, has_plan = add(_of_record), add(_of_plan)
    if has_plan:
        if has_record and row["published_at"]:
            add(_has_lists)
        add(*([_unpublished] if has_record and not row["published_at"] else []), _titles, _changes, _size)
    if not has_record or not has_plan or row["status"] is None:
        row["status"] = DAMAGED
    elif row["current"] and row["status"] == PUBLISHED:
        row["status"] = CURRENT
    return row | {"problem": " ".join(dict.fromkeys(problems)) or None}


def _of_plan(release: Pinned) -> dict[str, Any]:
    """Returns when a release was planned, and its model."""
    if not release.is_open():
        path = release.lake.path(release.file("plan.json"))
        folder = path.removesuffix("/plan.json")
        raise LakeError(
            f"The file {path} is missing.",
            f"Restore it from a backup. If there is none, delete the folder {folder}",
        )
    facts = release.facts
    return {
        "opened_at": release.opened_at,
        "model": {"name": facts["model"], "version": facts["model_version"]},
    }


def _has_lists(release: Pinned) -> dict[str, Any]:
    """Raises LakeError if a published release lacks the list of batches of one of its tables. Otherwise
    returns an empty dict, because this check adds nothing to the dict that describes the release."""
    check_lists_exist(release)
    return {}


def _of_record(release: Pinned) -> dict[str, Any]:
    """Returns what the record of a published release says."""
    record = release.notes[RECORD]
    if record is None:
        return {}
    names = ("published_at", "published_by", "issues", "days", "recall_at_10")
    return {
        "status": ROLLED_BACK if record["rolled_back"] else PUBLISHED,
        **{name: record[name] for name in names},
        "duplicates": _duplicates(marked_figures(record)),
    }


def _unpublished(release: Pinned) -> dict[str, Any]:
    """Returns the figures of a release that has no record, the reason why it is not published yet, and the
    command that continues its publication."""
    figures, stop, plan = release.notes[INDEX_FIGURES], release.notes[STOPPED], release.plan
    missing = _missing_table(release, has_figures=figures is not None)
    figures = figures or {}
    return {
        "status": UNFINISHED if stop is None else STOPPED_STATUS,
        "stopped": stop and {"reason": stop["reason"], "at": stop["at"]},
        "next": made_by_command(missing, "releases", release.name)
        if missing
        else f"titler publish --release {release.name}",
        "days": len(plan.days),
        "issues": _issues(release),
        "recall_at_10": figures.get("recall_at_10"),
        "duplicates": _duplicates(figures.get(MARKED)),
    }


def _missing_table(release: Pinned, has_figures: bool) -> str | None:
    """Returns the first table, in the order of the stages, that is not yet recorded for a release. Returns
    None if all tables are recorded. `has_figures` says whether the figures of the index are recorded. The
    stage `index` records them last, so without them the table of segments counts as not recorded."""
    index = INDEX if INDEX in release.members else SEGMENTS.name
    for table in (
        ISSUES.name,
        SOURCE_HEALTH.name,
        VECTORS.name,
        EMBEDDINGS.name,
        index,
        TITLE_PREDICTIONS.name,
    ):
        if table not in release.members or (table == SEGMENTS.name and not has_figures):
            return table
    return None


def _issues(release: Pinned) -> int | None:
    """Returns the number of issues of a release, or None if `plan` has not recorded their batches yet."""
    if ISSUES.name not in release.members:
        return None
    rows = sum(batch.rows for batch in release.members[ISSUES.name])
    return rows - sum(map(len, release.plan.superseded.values()))


def _duplicates(marked: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return {name: marked[name] for name in ("pairs", "recall_at_10")} if marked else None


def _titles(release: Pinned) -> dict[str, Any]:
    """Returns how good the titles of a release's model are, and why the release withholds them."""
    figures = Pinned(release.lake, "models", release.facts["model"]).notes[EVALUATION] or {}
    scores = {"rougeL": figures.get("rougeL"), "floor_rougeL": figures.get("lead_rougeL")}
    return {"titles": {**scores, "withheld": release.facts.get(WITHHELD)}}


def _changes(release: Pinned) -> dict[str, Any]:
    """Returns what differs from the previous release. Days are compared by their content, so a day that was
    ingested again with the same result is not listed. The days of a plan are in pages (files).
    A page that belongs to the plans of both releases is not read, because its days are the same in both."""
    base = release.base
    if base is None or not base.is_open():
        return {}
    days, base_days = (
        _content_by_day(each, compared) for each, compared in ((release, base), (base, release))
    )
    model = {"name": base.facts["model"], "version": base.facts["model_version"]}
    return {
        "changes": {
            "since": base.name,
            "days_added": sorted(days.keys() - base_days.keys()),
            "days_replaced": sorted(
                day for day in days.keys() & base_days.keys() if days[day] != base_days[day]
            ),
            "days_removed": sorted(base_days.keys() - days.keys()),
            "model": model if model["name"] != release.facts["model"] else None,
        }
    }


def _content_by_day(release: Pinned, compared: Pinned) -> dict[str, tuple[str, ...]]:
    """Returns the content of each day of a release, by day. Leaves out the days of pages that
    the plan of `compared` also has."""
    common = set(compared.day_pages.values())
    if not release.day_pages or not common:  # Titler 0.1 wrote no pages
        return {day.day: day.content for day in release.plan.days}
    pages = {period: page for period, page in release.day_pages.items() if page not in common}
    return {day.day: day.content for day in Plan.of_pages(release.lake, pages, {}, "").days}


def _size(release: Pinned) -> dict[str, Any]:
    """Returns the size of the batches of a release."""
    batches = (batch for table in release.members for batch in release.members[table])
    return {"bytes": sum(file.bytes for batch in batches for file in batch.files)}
