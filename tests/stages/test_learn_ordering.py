"""learn-ordering: the marks of a release in; an ordering, used if it beats the default on other repositories,
out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import UsageError
from pipeline.index.ordering_examples import Examples, is_held_out
from pipeline.index.ordering_learning import LearnedOrdering
from pipeline.index.ordering_scores import OrderingScores, score_ordering
from pipeline.index.stored_orderings import (
    named,
    ordering_in_use,
    store_ordering,
    stored_ordering,
    use_ordering,
)
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.releases.index_figures import index_figures
from pipeline.settings import Settings, Similar
from pipeline.stages import index, learn_ordering
from pipeline.stages.learn_ordering import OrderingOutcome
from tests.stages.literal_releases import add_marks, embedded_release

SETTINGS = Settings(similar=Similar(min_marks=12, min_probability=0.3))
TOPICS = 3
NAMES = [f"owner/{number}" for number in range(100)]
REPOSITORIES = [
    *[name for name in NAMES if not is_held_out(name)][:6],
    *[name for name in NAMES if is_held_out(name)][:6],
]
"""Six to learn from, and six to test on."""


class FakeRun:
    """What the stage logs to MLflow."""

    id = "the run"

    def __init__(self) -> None:
        self.logged: dict[str, Any] = {}

    @contextmanager
    def ordering_run(self, version: str, parameters: dict[str, Any]) -> Iterator[FakeRun]:
        assert not self.logged  # an ordering is logged once
        self.logged = {"version": version, "parameters": parameters}
        yield self

    def log_metrics(self, metrics: dict[str, float]) -> None:
        self.logged["metrics"] = metrics

    def log_json(self, file: str, value: dict[str, Any]) -> None:
        self.logged[file] = value

    def log_duplicates_figure(self, curve: list[dict[str, Any]]) -> None:
        self.logged["curve"] = curve


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> FakeRun:
    run = FakeRun()
    monkeypatch.setattr(learn_ordering, "open_tracking", lambda settings, lake: run)
    return run


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Pinned:
    """A release in which each issue of the last day has two candidates: one that was opened years ago, which
    is marked, and one of the day before, which is less near. The default weights prefer the recent one."""
    days: dict[str, dict[int, list[float]]] = {"2012-01-01": {}, "2015-01-01": {}, "2015-01-02": {}}
    repos, marks = dict[int, str](), []
    for place, repo in enumerate(REPOSITORIES):
        for topic in range(TOPICS):
            old = 100 * place + 3 * topic + 1
            vector = np.eye(TOPICS)[topic]
            days["2012-01-01"][old] = vector.tolist()
            days["2015-01-01"][old + 1] = (vector + 0.35 * np.eye(TOPICS)[(topic + 1) % TOPICS]).tolist()
            days["2015-01-02"][old + 2] = vector.tolist()
            repos |= dict.fromkeys((old, old + 1, old + 2), repo)
            marks.append((old + 2, old))
    release = embedded_release(Lake(str(tmp_path_factory.mktemp("lake"))), days, "r", repos)
    add_marks(release, {"2015-01-01": [], "2015-01-02": marks}, repos)
    index.run(release.lake, release, SETTINGS)
    return release


def test_an_ordering_that_beats_the_default_on_other_repositories_is_used(
    release: Pinned, mlflow: FakeRun
) -> None:
    lake = release.lake
    assert index_figures(release)["marked"]["recall_at_1"] == 0
    outcome = learn_ordering.run(lake, SETTINGS, release)
    assert (outcome.reason, ordering_in_use(lake), outcome.is_used) == ("", outcome.version, True)
    figures = outcome.figures
    assert figures["learned_from"] == {"pairs": 18, "repositories": 6, "issues": 36}
    assert figures["tested_on"] == {"pairs": 18, "repositories": 6, "issues": 36}
    assert (figures["scores"]["recall_at_1"], figures["default_scores"]["recall_at_1"]) == (1.0, 0.0)
    assert figures["scores"]["brier"] < figures["default_scores"]["brier"]
    assert figures["gain"]["mrr_low"] > 0
    assert {"method", "brier", "expected_calibration_error", "reliability"} <= figures["calibration"].keys()
    stored = stored_ordering(lake, str(outcome.version))
    assert stored is not None
    assert (stored.mlflow_run, stored.figures["calibration"]) == ("the run", figures["calibration"])
    assert mlflow.logged["parameters"]["used"] is True
    assert mlflow.logged["metrics"]["gain/mrr"] == figures["gain"]["mrr"]
    assert mlflow.logged["ordering.json"]["weights"] == stored.weights
    assert mlflow.logged["curve"] == figures["calibration"]["reliability"]

    # What is learned again is the same. It is not logged again, and another ordering in use must be beaten.
    better = named(replace(stored.ordering, bias=1.0))
    store_ordering(lake, better, {}, "earlier run")
    use_ordering(lake, better.version)
    with pytest.MonkeyPatch.context() as patch:
        score = score_ordering
        patch.setattr(
            learn_ordering,
            "score_ordering",
            lambda ordering, *rest: replace(score(ordering, *rest), mrr=1 if ordering == better else 0.75),
        )
        again = learn_ordering.run(lake, SETTINGS, release)
    assert (again.version, ordering_in_use(lake), again.is_used) == (outcome.version, better.version, False)
    assert again.reason == (
        "its mean reciprocal rank on held-out repositories is 0.750, that of the ordering in use, "
        f"{better.version}, 1.000"
    )

    # An ordering in use stays in use, although it is no longer good enough.
    use_ordering(lake, str(outcome.version))
    with pytest.MonkeyPatch.context() as patch:
        learned = LearnedOrdering(stored.ordering, "platt", {})
        patch.setattr(learn_ordering, "learn_ordering", lambda examples: learned)
        patch.setattr(learn_ordering, "worse_than_default", lambda scores, gain: "it is worse")
        again = learn_ordering.run(lake, SETTINGS, release)
    assert (again.version, again.reason, again.is_used) == (outcome.version, "it is worse", True)


SCORES = OrderingScores(0.5, 0.6, 0.7, 0.55, 0.8, 0.01, 0.002, 0.001, [])


@pytest.mark.parametrize(
    ("learned", "gain", "reason"),
    [
        ({"mrr": 0.6}, (0.05, 0.01, 0.09), ""),
        (
            {"mrr": 0.6},
            (0.05, -0.01, 0.11),
            "it is not significantly better than the default weights: its mean reciprocal rank on held-out "
            "repositories is 0.600, compared with 0.550 (95% interval of the difference: -0.010 to 0.110)",
        ),
        (
            {"recall_at_10": 0.69},
            (0.05, 0.01, 0.09),
            "its recall@10 on held-out repositories is 0.690, that of the default weights 0.700",
        ),
        (
            {"brier": 0.0021},
            (0.05, 0.01, 0.09),
            "its Brier score on held-out repositories is 0.00210, that of the default weights 0.00200, which "
            "is better",
        ),
        ({"coverage": 0.005}, (0.05, 0.01, 0.09), ""),
        (
            {"coverage": 0.0049},
            (0.05, 0.01, 0.09),
            "it would suggest too little: 0.49% of the issues of held-out repositories have a suggestion, "
            "compared with 1.00% with the default weights (probably because few duplicates are marked)",
        ),
    ],
)
def test_an_ordering_that_is_not_better_than_the_default_is_not_used(
    learned: dict[str, Any], gain: tuple[float, float, float], reason: str
) -> None:
    scores = {"learned": replace(SCORES, **learned), "default": SCORES}
    assert learn_ordering.worse_than_default(scores, gain) == reason


def test_too_few_marks_or_repositories_teach_nothing(release: Pinned) -> None:
    outcome = learn_ordering.run(release.lake, Settings(similar=Similar(min_marks=19)), release)
    assert (outcome.version, outcome.reason) == (
        None,
        "18 of the marked pairs can be used for learning, but similar.min_marks requires 19",
    )
    few = Examples.joined([])
    assert learn_ordering.too_few(few, few, 0) == (
        "the marks are in 0 repositories to learn from and in 0 to test on, but at least 5 of each are needed"
    )


def test_a_release_without_marks_teaches_nothing_even_if_it_has_no_segments(tmp_path: Path) -> None:
    """The current release of an earlier version of Titler has neither."""
    lake = Lake(str(tmp_path))
    release = embedded_release(lake, {"2015-01-01": {1: [1, 0], 2: [1, 0.1]}})
    assert learn_ordering.run(lake, SETTINGS, release) == OrderingOutcome(
        None, "0 of the marked pairs can be used for learning, but similar.min_marks requires 12"
    )
    repos = dict.fromkeys((1, 2), REPOSITORIES[0])
    marked = embedded_release(lake, {"2015-01-01": {1: [1, 0], 2: [1, 0.1]}}, "marked", repos)
    add_marks(marked, {"2015-01-01": [(2, 1)]}, repos)
    with pytest.raises(UsageError, match="has no segments_v1 yet"):
        learn_ordering.run(lake, Settings(similar=Similar(min_marks=1)), marked)
