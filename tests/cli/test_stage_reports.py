"""What each stage prints when it is done."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.cli import stage_reports
from pipeline.compute.derived_batches import Outcome
from pipeline.lake.batches import Lake
from pipeline.lake.embedding_network import EmbeddingNetwork
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned
from pipeline.lake.plan import PinnedDay, Plan
from pipeline.settings import Release, Settings, Warehouse
from pipeline.stages.collect import Collected
from pipeline.stages.plan import PlanOutcome
from pipeline.usage import Usage

LAKE = Lake("/lake")
TAKEN = EmbeddingNetwork("owner", "predictor/model=owner/b", "d")


def manifest(table: str = "tokens_v1", rows: int = 0, **figures: Any) -> Manifest:
    return Manifest(table, {"day": "2015-01-01"}, "b", "k", "d", rows, (), (), {}, figures, "")


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("rows", "made", "line"),
    [
        ([1000, 234], 2, "clean: 1,234 rows, 2 days written -> /lake/tokens_v1"),
        ([1, 0], 1, "clean: 1 row, 1 day written, 1 day reused -> /lake/tokens_v1"),
        ([3], 0, "clean: 3 rows, 0 days written, 1 day reused -> /lake/tokens_v1"),
    ],
)
def test_batches_that_were_made_and_reused(
    capsys: pytest.CaptureFixture[str], rows: list[int], made: int, line: str
) -> None:
    outcome = Outcome(tuple(manifest(rows=number) for number in rows), made)
    stage_reports.batches(LAKE, "clean", outcome)
    assert printed(capsys) == [line]


def test_the_time_and_memory_of_a_stage(capsys: pytest.CaptureFixture[str]) -> None:
    stage_reports.timing("clean", Usage(1.25, 2.0, 1234.5, 0.0))
    stage_reports.timing("clean", Usage(61.0, 100.0, 300.0, 250.0))
    assert printed(capsys) == [
        "    clean took 1.2 s; peak memory 1,234 MiB",
        "    clean took 61.0 s; peak memory 300 MiB, and 250 MiB in the largest worker process",
    ]


def test_the_figures_of_an_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    values = {"epoch": 2, "loss": 1.5, "seconds": 3.4}
    stage_reports.epoch(SimpleNamespace(group="contrast", accuracy=0.25, **values))
    stage_reports.epoch(
        SimpleNamespace(group="train", validation_loss=2.0, validation_token_accuracy=0.5, **values)
    )
    assert printed(capsys) == [
        "    contrastive pre-training, pass 2: loss 1.5000, 25.0% of titles matched to the right body, 3 s",
        "    epoch 2: loss 1.5000, validation loss 2.0000, 50.0% of validation tokens predicted correctly, "
        "3 s",
    ]


@pytest.mark.parametrize(
    ("threshold", "lines"),
    [
        (0, []),
        (0.25, ["    the model gives no title if its confidence is below 0.25"]),
        (
            1.1,
            [
                "    the model will never give a title, because no minimum confidence raises the share of "
                "good titles to the setting model.abstain_precision. To get titles, train another model "
                "with a lower value of this setting"
            ],
        ),
    ],
)
def test_a_trained_model_and_when_it_abstains(
    capsys: pytest.CaptureFixture[str], threshold: float, lines: list[str]
) -> None:
    figures: dict[str, Any] = {
        "variant": "gru",
        "epochs": 1,
        "validation_loss": 2.0,
        "version": "3",
        "mlflow_run": "run",
    }
    predictor = manifest("predictor", **figures, abstain_below=threshold)
    settings = Settings()
    stage_reports.trained(LAKE, settings, "m", predictor)
    assert printed(capsys) == [
        "train: model m (variant gru) was trained for 1 epoch, best validation loss 2.0000 "
        "-> /lake/predictor/day=2015-01-01/b",
        *lines,
        f"    MLflow run run, version 3 of titler -> {settings.tracking_uri}",
    ]


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        ({}, []),  # a model of an earlier version, or of words
        (
            TAKEN.fact,
            [
                "    the vocabulary and the embedding network are taken from model owner, so only the "
                "title network will be trained"
            ],
        ),
        (
            {"new_embedding_because": "no model is champion"},
            ["    a new embedding network will be trained: no model is champion"],
        ),
    ],
)
def test_a_vocabulary_and_the_embedding_network(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, facts: dict[str, Any], line: list[str]
) -> None:
    model = Pinned(Lake(str(tmp_path)), "models", "m")
    model.open([], facts)
    figures: dict[str, Any] = {
        "id": "v",
        "body_size": 600,
        "title_size": 600,
        "train": 1000,
        "validation": 9,
        "test": 8,
    }
    stage_reports.vocabulary(LAKE, model, manifest("vocabulary", **figures))
    assert printed(capsys) == [
        "vocab: model m has 1,000 issues for training. Its vocabulary v has 600 ids for bodies and 600 "
        "ids for titles -> /lake/vocabulary/day=2015-01-01/b",
        "    9 other issues are held out for validation, and 8 for testing",
        *line,
    ]


def test_a_trained_model_with_the_embedding_network_of_another_model(
    capsys: pytest.CaptureFixture[str],
) -> None:
    figures: dict[str, Any] = {
        "variant": "copy",
        "epochs": 1,
        "validation_loss": 2.0,
        "version": "3",
        "mlflow_run": "run",
    }
    for owner in ("m", "owner"):
        predictor = manifest("predictor", **figures, embedding_model=owner)
        stage_reports.trained(LAKE, Settings(), "m", predictor)
    own, taken = "\n".join(printed(capsys)).split("train: ")[1:]
    assert "embedding network" not in own
    assert taken.splitlines()[1] == "    the embedding network was taken from model owner"


def test_a_release_whose_embeddings_are_reused(capsys: pytest.CaptureFixture[str]) -> None:
    day = PinnedDay("2015-01-01", "", "", "", "", "", "")
    stage_reports.planned("r", PlanOutcome(Plan((day,), {}, {"model": "m", **TAKEN.fact}, ""), ""))
    assert printed(capsys) == [
        "plan: release r uses model m and 1 day from 2015-01-01 to 2015-01-01",
        "    the embedding network comes from model owner, so embeddings and similar issues of earlier "
        "releases are reused",
    ]


def test_a_plan_that_opened_a_release(capsys: pytest.CaptureFixture[str]) -> None:
    days = tuple(PinnedDay(day, "", "", "", "", "", "") for day in ("2015-01-01", "2015-01-03"))
    plan = Plan(days, {"2015-01-03": [7, 8]}, {"model": "m"}, "")
    outcome = PlanOutcome(plan, "", ("2015-01-01",), ("2015-01-04",), ("2015-01-03",))
    stage_reports.planned("r", outcome)
    assert printed(capsys) == [
        "plan: release r uses model m and 2 days from 2015-01-01 to 2015-01-03",
        "    left out 2 duplicate openings: if several days have an event that opens the same issue, only "
        "the earliest event is used",
        "    the data of the current release is used for days that are being ingested again: 2015-01-01",
        "    new days that are left out, because they are not cleaned yet: 2015-01-04",
        "    days whose completeness was judged again, because earlier days were added: 2015-01-03",
    ]


def test_a_plan_that_opened_no_release(capsys: pytest.CaptureFixture[str]) -> None:
    stage_reports.planned("r", PlanOutcome(None, "nothing is new since release q"))
    assert printed(capsys) == ["plan: no release was created: nothing is new since release q"]


@pytest.mark.parametrize(
    ("abstain_below", "thresholds"),
    [(0.0, "minimum probability 0.3"), (0.5, "minimum probability 0.3, minimum confidence 0.50")],
)
def test_the_share_without_a_title_and_every_threshold_that_a_title_must_reach(
    capsys: pytest.CaptureFixture[str], abstain_below: float, thresholds: str
) -> None:
    scores = {"rouge1": 12.0, "rouge2": 1.0, "rougeL": 11.0, "bleu": 0.5, "issues": 160}
    titles = {"exact_match": 0.0, "distinct": 0.5, "abstained": 0.0, "mean_length": 5.0}
    confidence = {"alike": 0.5, "alike_least_sure": 0.25, "alike_most_sure": 0.75}
    probability = {"method": "platt", "brier": 0.2, "calibration_error": 0.01, "abstained": 0.25}
    stage_reports.evaluated(
        {
            **scores,
            **titles,
            "confidence": {**confidence, "abstain_below": abstain_below},
            "probability": {**probability, "abstain_probability": 0.3},
        },
        as_json=False,
    )
    assert printed(capsys)[-1].endswith(f"; 25.0% of the issues get no title ({thresholds})")


def test_the_scores_of_a_model_on_a_file_name_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    scores = {"rouge1": 12.0, "rouge2": 1.0, "rougeL": 11.0, "bleu": 0.5, "issues": 160, "model": "mine"}
    titles = {"exact_match": 0.0, "distinct": 0.5, "abstained": 0.0, "mean_length": 5.0}
    stage_reports.evaluated({**scores, **titles}, as_json=False)
    assert printed(capsys)[0].startswith(
        "evaluate: the titles by model mine of 160 issues have ROUGE-1/2/L 12.00"
    )


@pytest.mark.parametrize(("moved", "words"), [(True, "is now"), (False, "was already")])
def test_the_champion(capsys: pytest.CaptureFixture[str], moved: bool, words: str) -> None:
    stage_reports.promoted({"model": "m", "version": "3", "moved": moved})
    assert printed(capsys) == [f"promote: model m (version 3) {words} champion"]


def test_a_champion_whose_titles_are_withheld(capsys: pytest.CaptureFixture[str]) -> None:
    champion = {"model": "m", "version": "3", "moved": True}
    stage_reports.promoted({**champion, "titles_withheld": "ROUGE-L 2.98, first words 15.6"})
    accepted = {"titles": "ROUGE-L 2.98, first words 15.6", "because": "a test"}
    stage_reports.promoted({**champion, "titles_accepted": accepted})
    assert printed(capsys) == [
        "promote: model m (version 3) is now champion",
        "    titles withheld: ROUGE-L 2.98, first words 15.6",
        '    To show these titles in the next release: titler promote m --accept --because "..."',
        "promote: model m (version 3) is now champion",
        "    the titles are not good enough (ROUGE-L 2.98, first words 15.6), but they are shown, because a "
        "user accepted them: a test",
    ]


def test_a_reason_for_showing_titles_that_are_shown_without_it(capsys: pytest.CaptureFixture[str]) -> None:
    stage_reports.promoted({"model": "m", "version": "3", "moved": True}, "a test")
    assert printed(capsys)[1:] == [
        "    --accept was not needed: the titles are shown without it. The reason was not stored"
    ]


@pytest.mark.parametrize(
    ("record", "accepted", "lines"),
    [
        ({}, {}, []),
        (
            {},
            {"abstained": "a test"},
            ["    --accept abstained was not needed to publish the release. The reason was not stored"],
        ),
        ({"titles_accepted": '[{"titles": "25.0%", "because": "a test"}]'}, {"abstained": "a test"}, []),
        ({"accepted": '[{"day": "2015-01-03", "because": "a test"}]'}, {"2015-01-03": "a test"}, []),
        (
            {"accepted": '[{"day": "2015-01-03", "because": "another reason"}]'},  # published before
            {"2015-01-03": "a test"},
            ["    --accept 2015-01-03 was not needed to publish the release. The reason was not stored"],
        ),
    ],
)
def test_a_reason_that_was_not_needed_to_publish_a_release(
    capsys: pytest.CaptureFixture[str], record: dict[str, str], accepted: dict[str, str], lines: list[str]
) -> None:
    release = {"release_id": "r", "issues": 200, "days": 2, "model": "m", "accepted": "[]", **record}
    stage_reports.published(Settings(), release, accepted=accepted)
    assert printed(capsys)[1:] == lines


def test_a_release_whose_titles_are_withheld(capsys: pytest.CaptureFixture[str]) -> None:
    record = {"release_id": "r", "issues": 200, "days": 2, "model": "m"}
    settings = Settings(warehouse=Warehouse(path="/w.duckdb"))
    stage_reports.published(settings, {**record, "titles_withheld": "ROUGE-L 2.98, first words 15.6"})
    stage_reports.published(settings, record)
    published = "publish: release r is current: 200 issues of 2 days, model m -> /w.duckdb"
    assert printed(capsys) == [
        published,
        "    titles withheld: ROUGE-L 2.98, first words 15.6",
        '    To show these titles in the next release: titler promote m --accept --because "..."',
        published,
    ]


def test_what_collect_removed(capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings(release=Release(keep=5))
    stage_reports.collected(settings, Collected(("r",), (), 1200))
    assert printed(capsys) == [
        "collect: removed 1 release, 0 models, 1,200 batches; the setting release.keep retains at "
        "most 5 published releases"
    ]
