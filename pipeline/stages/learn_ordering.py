"""Stage `learn-ordering`: learns an ordering of similar issues from duplicate marks.

An ordering has the weights that give a pair of issues its probability of being duplicates. Lists of similar
issues are sorted by this probability. The marks are those of the current release. They are split by
repository: the ordering is learned from some repositories and tested on the others. New releases use a
learned ordering if it is better than the default weights in this test, and not worse than the ordering in
use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np

from pipeline.contracts import DUPLICATE_MARKS, SEGMENTS
from pipeline.index.marked_duplicates import (
    MARK_COLUMNS,
    MarkedPair,
    marked_pairs,
    read_columns,
    sample_repositories,
)
from pipeline.index.ordering import DEFAULT_ORDERING
from pipeline.index.ordering_examples import Examples, collect_examples, is_held_out
from pipeline.index.ordering_learning import LearnedOrdering, learn_ordering
from pipeline.index.ordering_scores import OrderingScores, gain_interval, score_ordering
from pipeline.index.segment import Segment
from pipeline.index.stored_orderings import (
    ordering_in_use,
    store_ordering,
    stored_ordering,
    use_ordering,
)
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.settings import Settings
from pipeline.tracking import open_tracking

MIN_REPOSITORIES = 5
"""Smallest number of repositories to learn from, and of repositories to test on."""
MIN_COVERAGE = 0.5
"""Smallest coverage of a learned ordering, as a share of the coverage of the default weights. The learned
probabilities say how likely a pair is to be marked. So if people mark few duplicates, suggestions and
clusters would vanish without this limit."""


@dataclass(frozen=True)
class OrderingOutcome:
    """The result of learning an ordering.

    - `version`: the version of the ordering, or None if there are too few marks.
    - `reason`: why the ordering is not good enough, or an empty string if it is.
    - `figures`: the scores of the ordering.
    - `is_used`: whether new releases use the ordering. This can be true although `reason` is not empty, if
      the same ordering was learned before and was good enough then.
    """

    version: str | None
    reason: str
    figures: Mapping[str, Any] = field(default_factory=dict)
    is_used: bool = False


def run(lake: Lake, settings: Settings, release: Pinned) -> OrderingOutcome:
    """Learns an ordering from the duplicate marks of a release, stores it and logs it to MLflow.

    If it is better than the default ordering and not worse than the ordering in use, new releases will use
    it. Learns nothing if there are fewer than `similar.min_marks` marked pairs to learn from, or if the marks
    are in too few repositories. Raises UsageError if there are enough marks, but the release has no index
    yet. Raises LakeError if a file is damaged.
    """
    minimum = settings.similar.min_marks
    pairs, first_day = _marked_pairs(release)
    to_learn_from = sum(not is_held_out(pair.repo) for pair in pairs)
    if to_learn_from < minimum:
        return OrderingOutcome(None, _too_few_pairs(to_learn_from, "of the marked pairs", minimum))
    opened = [Segment.of_batch(lake, manifest) for manifest in release.members[SEGMENTS.name]]
    examples = collect_examples(opened, sample_repositories(pairs), first_day)
    held_out = np.array([is_held_out(repo) for repo in examples.repos], np.bool_)
    learned_from, tested_on = examples.of_issues(~held_out), examples.of_issues(held_out)
    if reason := too_few(learned_from, tested_on, minimum):
        return OrderingOutcome(None, reason)
    learned = learn_ordering(learned_from)
    scores = {
        name: score_ordering(ordering, tested_on, settings.similar.min_probability)
        for name, ordering in (("learned", learned.ordering), ("default", DEFAULT_ORDERING))
    }
    gain = gain_interval(learned.ordering, DEFAULT_ORDERING, tested_on)
    reason = worse_than_default(scores, gain) or _worse_than_used(lake, learned, tested_on, scores, settings)
    figures = {
        "release": release.name,
        "learned_from": _sizes(learned_from),
        "tested_on": _sizes(tested_on),
        "gain": dict(zip(("mrr", "mrr_low", "mrr_high"), gain, strict=True)),
        "scores": _without_curve(scores["learned"]),
        "default_scores": _without_curve(scores["default"]),
        "calibration": _calibration(learned, scores["learned"]),
    }
    if stored_ordering(lake, learned.ordering.version) is None:
        run_id = _log(lake, settings, learned, figures, reason)
        store_ordering(lake, learned.ordering, figures, run_id)
    if not reason:
        use_ordering(lake, learned.ordering.version)
    version = learned.ordering.version
    return OrderingOutcome(version, reason, figures, is_used=ordering_in_use(lake) == version)


def _marked_pairs(release: Pinned) -> tuple[list[MarkedPair], int]:
    """Returns all marked pairs of a release, and the first day that has a batch of marks. The day is a number
    of days since 1 January 1970."""
    has_marks = DUPLICATE_MARKS.name in release.members  # `get` would raise UsageError
    batches = release.members[DUPLICATE_MARKS.name] if has_marks else []
    tables = read_columns(release.lake, batches, MARK_COLUMNS)
    first_day = date.fromisoformat(batches[0].day) if batches else date(1970, 1, 1)
    return marked_pairs(tables), (first_day - date(1970, 1, 1)).days


def _sizes(examples: Examples) -> dict[str, int]:
    """Returns the number of marked pairs, the number of repositories, and the number of issues (with or
    without marks) that were compared with older issues."""
    repositories = len(set(examples.repos.tolist()))
    return {"pairs": examples.pairs, "repositories": repositories, "issues": len(examples.repos)}


def _too_few_pairs(pairs: int, kind: str, minimum: int) -> str:
    return f"{pairs:,} {kind} can be used for learning, but similar.min_marks requires {minimum:,}"


def too_few(learned_from: Examples, tested_on: Examples, minimum: int) -> str:
    """Returns why nothing can be learned, or an empty string if there are enough marks."""
    learn, test = _sizes(learned_from), _sizes(tested_on)
    if learn["pairs"] < minimum:
        kind = "of the marked pairs whose issues are both in the release"
        return _too_few_pairs(learn["pairs"], kind, minimum)
    if min(learn["repositories"], test["repositories"]) < MIN_REPOSITORIES:
        return (
            f"the marks are in {learn['repositories']:,} repositories to learn from and in "
            f"{test['repositories']:,} to test on, but at least {MIN_REPOSITORIES} of each are needed"
        )
    return ""


def worse_than_default(scores: Mapping[str, OrderingScores], gain: tuple[float, float, float]) -> str:
    """Returns why an ordering does not beat the default weights, or an empty string if it does."""
    learned, default = scores["learned"], scores["default"]
    _, low, high = gain
    if low <= 0:
        return (
            f"it is not significantly better than the default weights: its mean reciprocal rank on held-out "
            f"repositories is {learned.mrr:.3f}, compared with {default.mrr:.3f} (95% interval of the "
            f"difference: {low:.3f} to {high:.3f})"
        )
    if learned.recall_at_10 < default.recall_at_10:
        return (
            f"its recall@10 on held-out repositories is {learned.recall_at_10:.3f}, that of the default "
            f"weights {default.recall_at_10:.3f}"
        )
    if learned.brier > default.brier:
        return (
            f"its Brier score on held-out repositories is {learned.brier:.5f}, that of the default weights "
            f"{default.brier:.5f}, which is better"
        )
    if learned.coverage < MIN_COVERAGE * default.coverage:
        return (
            f"it would suggest too little: {learned.coverage:.2%} of the issues of held-out repositories "
            f"have a suggestion, compared with {default.coverage:.2%} with the default weights (probably "
            "because few duplicates are marked)"
        )
    return ""


def _worse_than_used(
    lake: Lake,
    learned: LearnedOrdering,
    tested_on: Examples,
    scores: Mapping[str, OrderingScores],
    settings: Settings,
) -> str:
    """Returns why an ordering is worse than the ordering in use, or an empty string if it is not."""
    version = ordering_in_use(lake)
    if version is None or version == learned.ordering.version:
        return ""
    stored = stored_ordering(lake, version)
    assert stored is not None
    used = score_ordering(stored.ordering, tested_on, settings.similar.min_probability)
    if scores["learned"].mrr >= used.mrr:
        return ""
    return (
        f"its mean reciprocal rank on held-out repositories is {scores['learned'].mrr:.3f}, that of the "
        f"ordering in use, {version}, {used.mrr:.3f}"
    )


def _without_curve(scores: OrderingScores) -> dict[str, Any]:
    return {name: value for name, value in scores.figures.items() if name != "reliability"}


def _calibration(learned: LearnedOrdering, scores: OrderingScores) -> dict[str, Any]:
    """Returns how reliable the probabilities are on held-out repositories."""
    return {
        "method": learned.method,
        "cross_validated_brier": dict(learned.briers),
        "brier": scores.brier,
        "expected_calibration_error": scores.expected_calibration_error,
        "reliability": scores.reliability,
    }


def _log(
    lake: Lake, settings: Settings, learned: LearnedOrdering, figures: Mapping[str, Any], reason: str
) -> str:
    """Logs an ordering to MLflow, and returns the id of its run."""
    parameters = {
        "release": figures["release"],
        **{f"learned_from_{name}": size for name, size in figures["learned_from"].items()},
        **{f"tested_on_{name}": size for name, size in figures["tested_on"].items()},
        "default_ordering": DEFAULT_ORDERING.version,
        "min_probability": settings.similar.min_probability,
        "calibration": learned.method,
        "used": not reason,
        "not_used_because": reason or "-",
    }
    metrics = {
        f"{group}/{name}": value
        for group, values in (
            ("held_out", figures["scores"]),
            ("default", figures["default_scores"]),
            ("gain", figures["gain"]),
        )
        for name, value in values.items()
        if value is not None
    }
    version = learned.ordering.version
    with open_tracking(settings, lake).ordering_run(version, parameters) as tracked:
        tracked.log_metrics(metrics)
        tracked.log_json("ordering.json", {**learned.ordering.to_json(), "figures": dict(figures)})
        tracked.log_duplicates_figure(figures["calibration"]["reliability"])
    return tracked.id
