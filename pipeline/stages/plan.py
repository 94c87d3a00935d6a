"""Stage `plan`: creates a release. It records the champion and the current batches of every cleaned day.

The champion is the model that was promoted. A day is cleaned if the stage `clean` has processed its issues.
All later stages of the release read only the recorded batches and model. So a backfill or a promotion that
happens meanwhile does not change the release.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pipeline import warehouse
from pipeline.contracts import DUPLICATE_MARKS, ISSUES, PREDICTOR, SOURCE_HEALTH
from pipeline.errors import LakeError
from pipeline.index.stored_orderings import ORDERING, ordering_in_use
from pipeline.lake.batches import Lake
from pipeline.lake.changed_days import list_changes
from pipeline.lake.damaged_batches import damaged_batches
from pipeline.lake.day_catalogue import Catalogue, CatalogueUpdate, update_catalogue
from pipeline.lake.embedding_network import taken_network
from pipeline.lake.pinned import Pinned
from pipeline.lake.plan import PinnedDay, Plan
from pipeline.networks.variants import variant_of
from pipeline.progress import say
from pipeline.releases.current import current_release_id, reconcile_current
from pipeline.releases.index_figures import CLUSTER_PROBABILITY, MIN_PROBABILITY
from pipeline.releases.kept_titles import kept_titles_facts
from pipeline.releases.lost_champion import known_champion
from pipeline.releases.records import published_records
from pipeline.releases.withheld_titles import stored_gate
from pipeline.settings import Settings
from pipeline.source.verdict_history import judge_again
from pipeline.tracking import Version, open_tracking


@dataclass(frozen=True)
class PlanOutcome:
    """The result of planning a release.

    - `plan`: the plan of the release, or None if no release was created.
    - `reason`: why no release was created, or an empty string if it was created. If the release was created
      earlier, `reason` says so, and `plan` is its plan.
    - `days_as_before`: days that are being extracted and cleaned again. For these days, the release uses the
      same batches as the previous release.
    - `days_not_ready`: new days that are not cleaned yet.
    - `days_judged_again`: days whose verdict, or whose usual numbers of events and issues, changed because
      earlier days arrived.
    """

    plan: Plan | None
    reason: str
    days_as_before: tuple[str, ...] = ()
    days_not_ready: tuple[str, ...] = ()
    days_judged_again: tuple[str, ...] = ()


def run(lake: Lake, settings: Settings, release: Pinned) -> PlanOutcome:
    """Creates `release`: records the champion, the champion's vocabulary and the batches of every cleaned
    day.

    If the release exists already, returns its plan. If no release is needed or possible, creates none and
    returns the reason. This is so if there is no champion, no cleaned day, or nothing new. Nothing is new if
    the current release, or a release that was rolled back, has the same model, settings and data. But if a
    damaged batch of the current release was made again, a new release is needed.
    """
    with warehouse.connect(settings, "plan").exclusive_lock("plan"):
        if release.is_open():
            _complete_day_members(release)
            return PlanOutcome(release.plan, "it was created before")
        current = reconcile_current(lake, settings)
        if current is None:
            _report_empty_warehouse(lake, settings)
        previous = Pinned(lake, "releases", current) if current else None
        if previous is not None and not previous.is_open():  # its damaged plan was deleted, as the error says
            say(f"    the plan of the current release {previous.name} is missing, so a new release is needed")
            previous = None
        champion = known_champion(open_tracking(settings, lake), previous)
        if champion is None:
            return PlanOutcome(None, "no model is champion yet. Run titler train, then titler promote")
        return _open(lake, settings, release, champion, previous)


def _report_empty_warehouse(lake: Lake, settings: Settings) -> None:
    """Is called if the warehouse shows no release. Prints a message if the lake has a current release."""
    with suppress(LakeError):  # there is no pointer to a current release
        if (current := current_release_id(lake)) is not None:
            say(
                f"    the warehouse {settings.warehouse_name} shows no release, although the lake has the "
                f"current release {current}. To write it to the warehouse again: titler rollback {current}"
            )


def _open(
    lake: Lake, settings: Settings, release: Pinned, champion: Version, previous: Pinned | None
) -> PlanOutcome:
    changes = list_changes(lake)
    # Titler 0.1 wrote no marks: its days are judged again, although no change is listed.
    has_marks = previous is not None and bool(previous.day_pages)
    judged_again = judge_again(lake, changes) if changes or not has_marks else ()
    update = update_catalogue(lake, lambda: _days_of(previous), changes, judged_again)
    waiting = (update.days_as_before, update.days_not_ready, judged_again)
    days = update.plan.days
    if not days:
        return PlanOutcome(None, "no day is cleaned yet. Run titler extract, then titler clean", *waiting)
    facts = _facts(lake, settings, champion)
    facts |= kept_titles_facts(previous, champion.model, days, settings.release.retitle_days)
    if reason := _nothing_new(lake, settings, previous, facts, update):
        return PlanOutcome(None, reason, *waiting)
    release.open_pages(update.catalogue.days, facts, previous.name if previous else None)
    _put_day_members(release, update.catalogue)
    return PlanOutcome(release.plan, "", *waiting)


def _days_of(release: Pinned | None) -> Sequence[PinnedDay]:
    """Returns the days of the current release, or none if there is no release or its plan is damaged."""
    try:
        return release.plan.days if release else ()
    except LakeError:
        return ()


def _complete_day_members(release: Pinned) -> None:
    """Records the members of a release (the batches that belong to it) that are not recorded yet. Some are
    missing if the stage was interrupted after it had written the plan."""
    lake, days = release.lake, release.plan.days
    for table, folders in (
        (ISSUES.name, [day.issues for day in days]),
        (SOURCE_HEALTH.name, [day.health for day in days]),
        (DUPLICATE_MARKS.name, [day.duplicate_marks for day in days if day.duplicate_marks]),
    ):
        if table not in release.members:
            release.members.put(table, lake.for_each(lake.manifest, folders))


def _facts(lake: Lake, settings: Settings, champion: Version) -> dict[str, Any]:
    """Returns the facts that the plan of a release records besides its days:

    - the model, with its vocabulary and its predictor
    - the embedding network, if the model took it from another model
    - whether the model's titles are withheld
    - the settings for finding similar issues
    - the ordering that was learned from duplicate marks, if one is in use
    """
    model = Pinned(lake, "models", champion.model)
    predictor, embedding_network = model.members[PREDICTOR][0], taken_network(model.plan)
    default_distance = variant_of(predictor.figures["variant"]).near_duplicate_distance
    gate, ordering = stored_gate(lake, champion.model), ordering_in_use(lake)
    return {
        "model": champion.model,
        "model_version": champion.version,
        "mlflow_run": champion.run_id,
        "vocabulary": predictor.figures["vocabulary"],
        "predictor": predictor.folder,
        "predictor_digest": predictor.digest,
        "neighbours": settings.index.neighbours,
        "near_duplicate_distance": settings.index.near_duplicate_distance or default_distance,
        MIN_PROBABILITY: settings.similar.min_probability,
        CLUSTER_PROBABILITY: settings.similar.cluster_probability,
        **({ORDERING: ordering} if ordering else {}),
        **(embedding_network.fact if embedding_network else {}),
        **(gate.facts if gate else {}),
    }


def _nothing_new(
    lake: Lake, settings: Settings, current: Pinned | None, facts: dict[str, Any], update: CatalogueUpdate
) -> str:
    """Returns why no new release is needed, or an empty string if one is needed. A new release is not needed
    if the current release, or a release that was rolled back, has the same days and the same `facts` (model
    and settings). The ordering that was learned from duplicate marks is not compared."""
    if current is not None and _is_same(current, facts, update):
        return "" if _replaces_damaged(current, update) else f"nothing is new since release {current.name}"
    for record in published_records(lake, settings):
        if record.get("rolled_back"):
            release_id = record["release_id"]
            if _is_same(Pinned(lake, "releases", release_id), facts, update):
                return f"nothing is new since release {release_id}, which was rolled back"
    return ""


def _replaces_damaged(release: Pinned, update: CatalogueUpdate) -> bool:
    """Returns whether a batch of one of the release's days was found damaged, and has been made again."""
    if release.day_pages == update.catalogue.days:
        return False
    damaged = damaged_batches(release.lake)
    of_release, of_plan = (
        {folder for day in days for folder in day.folders} for days in (release.plan.days, update.plan.days)
    )
    return bool(damaged & of_release - of_plan)


def _is_same(release: Pinned, facts: dict[str, Any], update: CatalogueUpdate) -> bool:
    if not release.is_open():
        return False
    # A release of an earlier version of Titler lacks these facts. That alone is nothing new.
    not_compared = {MIN_PROBABILITY, CLUSTER_PROBABILITY} - release.facts.keys()
    # Another ordering changes no stored day. It is used from the next release on that has something new.
    not_compared.add(ORDERING)
    of_release, of_plan = (
        {name: value for name, value in each.items() if name not in not_compared}
        for each in (release.facts, facts)
    )
    if of_release != of_plan:
        return False
    if release.day_pages == update.catalogue.days:
        return True
    return [day.content for day in release.plan.days] == [day.content for day in update.plan.days]


def _put_day_members(release: Pinned, catalogue: Catalogue) -> None:
    """Records that the planned batches of the catalogued tables, such as issues_v1, belong to the release."""
    for table, pages in catalogue.manifests.items():
        release.members.put_pages(table, pages)
