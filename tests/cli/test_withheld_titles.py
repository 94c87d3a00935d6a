"""A champion whose titles do not beat the floor: what readers see before and after somebody accepts them."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

from pipeline.cli import stage_runs
from pipeline.cli.options import Context
from pipeline.contracts import TITLE_PREDICTIONS
from pipeline.errors import UsageError
from pipeline.evaluation.model_figures import EVALUATION
from pipeline.lake.pinned import Pinned
from pipeline.releases.withheld_titles import PROMOTION, TitleGate, store_gate
from pipeline.serving import queries
from pipeline.serving.status import status
from pipeline.settings import Settings
from pipeline.stages import promote
from pipeline.tracking import open_tracking

POOR = "ROUGE-L 2.98, first words 15.6"
BODY = "the scheduler crashes after the upgrade and nothing helps"
REASON = "its neighbours are what we need"


@pytest.fixture
def context(copied_settings: Settings) -> Context:
    """A lake whose champion was promoted before its titles were judged."""
    context = Context.of(copied_settings)
    champion = status(context.lake, context.settings)["model"]["name"]
    context.lake.delete(context.model(champion).file(PROMOTION.file))
    return context


def champion_of(context: Context) -> Pinned:
    return context.model(status(context.lake, context.settings)["model"]["name"])


def judge(context: Context, rouge: float, **options: str) -> dict[str, Any]:
    """Promotes the champion once more, with this ROUGE-L and a floor of 15.6."""
    model = champion_of(context)
    model.notes[EVALUATION] = {**model.notes[EVALUATION], "rougeL": rouge, "lead_rougeL": 15.6}
    return promote.run(context.lake, context.settings, model, **options)


def refresh(context: Context, name: str) -> Pinned:
    """Makes and publishes a release."""
    release = context.release(name)
    assert stage_runs.plan(context, release).plan is not None
    for run_stage in stage_runs.RELEASE_STAGES:
        run_stage(context, release)
    stage_runs.publish(context, release, {})
    return release


def query(context: Context, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(context.settings.warehouse_path, read_only=True) as connection:
        return connection.sql(sql).fetchall()


def shown(context: Context) -> dict[str, Any]:
    """What readers see of a release's titles."""
    return {
        "titles": query(context, "SELECT COUNT(*) FROM title_predictions WHERE predicted_title <> ''")[0][0],
        "given": query(context, "SELECT COUNT(*) FROM title_predictions WHERE NOT abstained")[0][0],
        "status": status(context.lake, context.settings)["release"]["titles_withheld"],
        "answer": queries.title(context.lake, BODY)["withheld"],
    }


def test_titles_are_withheld_from_a_release_and_accepted_in_the_next(
    context: Context, capsys: pytest.CaptureFixture[str]
) -> None:
    before = shown(context)
    assert before["titles"] == before["given"] > 100
    assert judge(context, 2.98)["titles_withheld"] == POOR
    withheld = refresh(context, "withheld")
    assert shown(context) == {"titles": 0, "given": 0, "status": POOR, "answer": POOR}
    assert queries.title(context.lake, BODY)["title"] == ""
    assert f"    titles withheld: {POOR}" in capsys.readouterr().out.splitlines()
    assert query(context, "SELECT COUNT(*) FROM similar_issues")[0][0] > 500
    assert query(
        context, "SELECT COUNT(*) FROM what_changed('withheld', 'withheld') WHERE change <> 'abstains'"
    ) == [(0,)]

    accepted = judge(context, 2.98, accept_because=REASON)
    assert (accepted["moved"], accepted["titles_accepted"]["because"]) == (False, REASON)
    release = refresh(context, "accepted")
    assert shown(context) == before
    batches = release.members.folders(TITLE_PREDICTIONS.name)
    assert batches == withheld.members.folders(TITLE_PREDICTIONS.name)  # nothing was predicted again
    rows = query(context, "SELECT release_id, titles_withheld, titles_accepted FROM releases")
    reasons = {name: (why, bool(who and REASON in who)) for name, why, who in rows}
    assert (reasons["withheld"], reasons["accepted"]) == ((POOR, False), (None, True))


def test_mlflow_says_that_titles_are_withheld_and_a_better_evaluation_ends_that(context: Context) -> None:
    tracking = open_tracking(context.settings, context.lake)
    champion = tracking.champion()
    assert champion is not None
    tags = []
    for rouge in (2.98, 20.0):
        judge(context, rouge)
        version = tracking._client.get_model_version("titler", champion.version)
        tags.append(version.tags.get("titler.titles_withheld"))
    assert tags == [POOR, None]
    assert status(context.lake, context.settings)["model"]["titles_withheld"] is None


def test_a_model_whose_titles_are_withheld_replaces_only_one_whose_titles_are_withheld_too(
    context: Context,
) -> None:
    champion = champion_of(context)
    challenger = context.model("challenger")
    challenger.open(champion.plan.days, champion.plan.facts)
    challenger.members.put("predictor", champion.members["predictor"])
    good = {
        **champion.notes[EVALUATION],
        "champion": champion.name,
        "champion_rougeL": 16.7,
        "lead_rougeL": 15.6,
    }
    near = good["retrieval"] | {"champion_recall_at_10": good["retrieval"]["recall_at_10"]}
    challenger.notes[EVALUATION] = {**good, "rougeL": 16.4, "retrieval": near}
    store_gate(context.lake, champion.name, TitleGate())
    with pytest.raises(
        promote.WorseError, match=r"its titles would be withheld \(ROUGE-L 16\.4, first words"
    ):
        promote.run(context.lake, context.settings, challenger)
    store_gate(context.lake, champion.name, TitleGate(POOR))
    with pytest.raises(UsageError, match="challenger is not registered in MLflow"):  # it would be promoted
        promote.run(context.lake, context.settings, challenger)


def test_a_reason_that_was_not_needed_is_not_dropped_silently(
    context: Context, capsys: pytest.CaptureFixture[str]
) -> None:
    judge(context, 20.0)
    stage_runs.promote(context, champion_of(context), accept_because=REASON)
    current = context.release(status(context.lake, context.settings)["release"]["id"])
    stage_runs.publish(context, current, {"abstained": REASON})
    assert [line for line in capsys.readouterr().out.splitlines() if "--accept" in line] == [
        "    --accept was not needed: the titles are shown without it. The reason was not stored",
        "    --accept abstained was not needed to publish the release. The reason was not stored",
    ]
