"""Collects what a report shows about the checks that a release passed before its publication."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pipeline.releases.abstained_share import ABSTAINED
from pipeline.releases.marked_recall import accepted_fall, smallest_fall
from pipeline.releases.records import marked_figures
from pipeline.releases.withheld_titles import ACCEPTED, WITHHELD, floor_shortfall
from pipeline.serving.report.values import Check, Outcome
from pipeline.settings import Settings

Record = Mapping[str, Any]


def publication_checks(
    settings: Settings,
    record: Record,
    previous: Record | None,
    index: Mapping[str, Any],
    evaluation: Mapping[str, Any] | None,
    collapsed_days: int,
) -> tuple[Check, ...]:
    """Returns the checks of a release. `record` is the record of the release, and `previous` is the record of
    the previous release. `index` has the figures of the index, and `evaluation` has the scores of the model.
    The thresholds are taken from `settings`."""
    return (
        _collapsed_days(record, collapsed_days),
        *_index_recall(settings, index),
        _share_without_title(settings, record, previous),
        _marked_duplicates(settings, record, previous),
        *_titles_and_floor(settings, record, evaluation),
        Check(
            "Queries in sql/checks",
            "0 rows",
            "0 rows each",
            "passed",
            "A release is published only if none of these queries finds a row.",
        ),
    )


def _collapsed_days(record: Record, collapsed: int) -> Check:
    reasons = "; ".join(
        f"{entry['day']}: {entry['because']} ({entry['by']})" for entry in json.loads(record["accepted"])
    )
    outcome: Outcome = "accepted" if collapsed else "passed"
    return Check("Collapsed source days", f"{collapsed:,}", "0, or accepted", outcome, reasons)


def _index_recall(settings: Settings, index: Mapping[str, Any]) -> list[Check]:
    minimum = settings.index.min_recall
    remark = f"Measured on {index['recall_queries']:,} issues. The threshold is the setting index.min_recall."
    checks = [_at_least("Recall@10 of the index", index["recall_at_10"], minimum, remark)]
    if segments := index.get("segments"):
        lowest = min(segments, key=lambda segment: segment["recall_at_10"])
        remark = (
            f"Of the {len(segments):,} segments, {lowest['period']} has the lowest recall. The threshold is "
            "the setting index.min_recall."
        )
        checks.append(_at_least("Recall@10 of a segment", lowest["recall_at_10"], minimum, remark))
    return checks


def _at_least(name: str, value: float, minimum: float, remark: str) -> Check:
    outcome: Outcome = "passed" if value >= minimum else "failed"
    return Check(name, f"{value:.3f}", f"at least {minimum:g}", outcome, remark)


def _share_without_title(settings: Settings, record: Record, previous: Record | None) -> Check:
    allowed = settings.release.max_abstained_rise
    name, threshold = "Issues without a title", f"a rise of at most {allowed:.1%}"
    share, earlier = record.get(ABSTAINED), (previous or {}).get(ABSTAINED)
    if share is None:
        return Check(name, "unknown", threshold, "not measured")
    if earlier is None:
        return Check(
            name, f"{share:.1%}", threshold, "not compared", "There is no earlier share to compare with."
        )
    remark = f"Previous release: {earlier:.1%}. The threshold is the setting release.max_abstained_rise."
    if share - earlier <= allowed:
        return Check(name, f"{share:.1%}", threshold, "passed", remark)
    # The same field also has who accepted titles below the floor. Only the other entries are about the rise.
    reasons = [
        f"{entry['because']} ({entry['by']})"
        for entry in json.loads(record.get(ACCEPTED) or "[]")
        if "have no title" in entry["titles"]
    ]
    outcome: Outcome = "accepted" if reasons else "failed"
    return Check(name, f"{share:.1%}", threshold, outcome, " ".join([remark, *reasons]))


def _marked_duplicates(settings: Settings, record: Record, previous: Record | None) -> Check:
    name, minimum = "Marked duplicates among similar issues", settings.release.min_marks
    threshold = "no significant fall"
    marked, earlier = marked_figures(record), marked_figures(previous) if previous else None
    if marked is None:
        return Check(name, "unknown", threshold, "not measured", "No marked duplicate could be measured.")
    figure = f"{marked['recall_at_10']:.1%} of {marked['pairs']:,} pairs"
    if fall := accepted_fall(record):
        return Check(name, figure, threshold, "accepted", f"{fall['because']} ({fall['by']})")
    if earlier is None:
        return Check(name, figure, threshold, "not compared", "There is no earlier figure to compare with.")
    remark = f"Previous release: {earlier['recall_at_10']:.1%} of {earlier['pairs']:,} pairs."
    if min(marked["pairs"], earlier["pairs"]) < minimum:
        explanation = f"Fewer than {minimum:,} pairs (setting release.min_marks) are too few to judge a fall."
        return Check(name, figure, threshold, "not compared", f"{remark} {explanation}")
    if marked.get("repositories") != earlier.get("repositories"):
        explanation = "The two releases were measured on different repositories, so they cannot be compared."
        return Check(name, figure, threshold, "not compared", f"{remark} {explanation}")
    shares = ((earlier["recall_at_10"], earlier["pairs"]), (marked["recall_at_10"], marked["pairs"]))
    outcome: Outcome = "passed" if smallest_fall(*shares) <= 0 else "failed"
    return Check(name, figure, threshold, outcome, remark)


def _titles_and_floor(
    settings: Settings, record: Record, evaluation: Mapping[str, Any] | None
) -> list[Check]:
    if not evaluation or "lead_rougeL" not in evaluation:
        return []
    margin = settings.model.floor_margin
    name, figure = "Titles compared with the body's first words", f"ROUGE-L {evaluation['rougeL']:.1f}"
    threshold = f"{evaluation['lead_rougeL']:.1f} (the body's first words) plus {margin:g}"
    if withheld := record.get(WITHHELD):
        return [Check(name, figure, threshold, "failed", f"The titles are withheld: {withheld}.")]
    accepted = [
        f"{entry['because']} ({entry['by']})"
        for entry in json.loads(record.get(ACCEPTED) or "[]")
        if "have no title" not in entry["titles"]
    ]
    if accepted:
        return [Check(name, figure, threshold, "accepted", " ".join(accepted))]
    if floor_shortfall(evaluation, margin):
        shown = (
            "The titles are shown nevertheless. An earlier version of Titler decided this, or the setting "
            "model.floor_margin was lower when it was decided."
        )
        return [Check(name, figure, threshold, "failed", shown)]
    return [Check(name, figure, threshold, "passed", "The margin is the setting model.floor_margin.")]
