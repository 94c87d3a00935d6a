"""Prints reports about duplicate marks, which are comments that call an issue a duplicate of another one.

The reports say how many marks were found, how to add marks to days that have none, and how well similar
issues agree with the marks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.cli.console import count
from pipeline.contracts import DUPLICATE_MARKS
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.progress import say
from pipeline.settings import Settings, public_address

if TYPE_CHECKING:
    from pipeline.stages.learn_ordering import OrderingOutcome


def extracted(settings: Settings, issues: Sequence[Manifest]) -> None:
    """Prints how many duplicate marks `extract` found. If some days have no marks, because an earlier version
    of Titler extracted them, also prints how to add the marks. `issues` has one manifest for each day: that
    of the day's issues."""
    figures = [manifest.figures.get(DUPLICATE_MARKS.name) for manifest in issues]
    marks, incomplete = (sum(day[name] for day in figures if day) for name in ("marks", "incomplete"))
    if any(figures):
        say(f"    comments that call an issue a duplicate of another one: {marks:,}")
    if incomplete:
        say(f"    such comments that were left out, because a required value is missing: {incomplete:,}")
    without = sorted(manifest.day for manifest, day in zip(issues, figures, strict=True) if not day)
    if without:
        say(f"    {_without_marks(without)}. To add the marks: titler extract {_options(without)} --again")
        if settings.warehouse.kind == "bigquery":
            say(
                "    To see what BigQuery would bill for adding the marks: titler cost "
                f"{_options(without)} --again"
            )


def cost(without: Sequence[str]) -> None:
    """Prints the command that estimates the cost of adding duplicate marks to days. `without` are the days
    without marks."""
    if without:
        options = _options(sorted(without))
        say(
            f"    {_without_marks(without)}. To see the price of adding the marks: titler cost "
            f"{options} --again"
        )


def measured(marked: Mapping[str, Any]) -> None:
    """Prints how well the similar issues of a release agree with duplicate marks. `marked` are the figures
    that `pipeline.index.marked_duplicates` measured."""
    recall = ", ".join(f"recall@{limit} {marked[f'recall_at_{limit}']:.3f}" for limit in (1, 5, 10))
    say(
        "    share of marked duplicates that are listed as similar issues, measured on "
        f"{count(marked['pairs'], 'pair')}: {recall}"
    )
    if marked["suggested"]:
        say(
            "    similar issues that are suggested in the repositories of these pairs: "
            f"{marked['suggested']:,}; of these, marked as duplicates so far: {marked['suggested_marked']:,} "
            f"(precision {marked['precision']:.0%})"
        )


def ordering_learned(lake: Lake, settings: Settings, outcome: OrderingOutcome) -> None:
    """Prints what `titler learn-ordering` learned, and whether new releases use it."""
    if outcome.version is None:
        say(f"learn-ordering: nothing was learned: {outcome.reason}")
        return
    figures = outcome.figures
    learned_from, tested_on = figures["learned_from"], figures["tested_on"]
    places = f"{lake.path('orderings')}, {public_address(settings.tracking_uri)}"
    say(f"learn-ordering: ordering {outcome.version} was learned -> {places}")
    say(
        f"    learned from {count(learned_from['pairs'], 'marked pair')} of "
        f"{learned_from['repositories']:,} repositories, tested on {count(tested_on['pairs'], 'pair')} "
        f"of {tested_on['repositories']:,} other repositories"
    )
    for label, scores in (("learned", figures["scores"]), ("default", figures["default_scores"])):
        precision, coverage = scores["precision"], f"suggestions for {scores['coverage']:.2%} of the issues"
        say(
            f"    {label}: recall@10 {scores['recall_at_10']:.3f}, MRR {scores['mrr']:.3f}, Brier score "
            f"{scores['brier']:.5f}, calibration error {scores['expected_calibration_error']:.5f}, "
            + ("no suggestion" if precision is None else f"{coverage}, precision {precision:.0%}")
        )
    if outcome.reason and outcome.is_used:
        say(
            "    the new ordering is the same as the ordering in use. It stays in use, although it is no "
            f"longer good enough: {outcome.reason}"
        )
        say("    To use the default ordering instead: titler learn-ordering --default")
    elif outcome.reason:
        say(f"    the new ordering is not used: {outcome.reason}")
    else:
        say("    releases that are planned from now on use the new ordering")


def no_release_to_learn_from() -> None:
    """Prints that nothing can be learned, because no release is published yet."""
    say("learn-ordering: nothing was learned: no release is published yet")


def default_ordering_used() -> None:
    """Prints that new releases use the default ordering."""
    say("learn-ordering: releases that are planned from now on use the default ordering")


def _without_marks(days: Sequence[str]) -> str:
    is_one = len(days) == 1
    return (
        f"{count(len(days), 'day')} in the lake {'has' if is_one else 'have'} no duplicate marks, because "
        f"{'it was' if is_one else 'they were'} extracted by an earlier version of Titler"
    )


def _options(days: Sequence[str]) -> str:
    """Returns the options that select the days from the first to the last of `days`, for example
    `--from 2015-01-01 --to 2015-01-07`. If there is only one day, returns the option `--day`."""
    return f"--day {days[0]}" if len(days) == 1 else f"--from {days[0]} --to {days[-1]}"
