"""Runs, versions and aliases in a real MLflow on SQLite."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from pipeline.errors import TitlerError, UsageError
from pipeline.networks.in_keras import Shape, build
from pipeline.networks.in_keras.contrastive_training import ContrastFigures
from pipeline.networks.in_keras.training import EpochFigures, fit
from pipeline.predictor.predictor import Predictor
from pipeline.text.vocabulary import Vocabularies, Vocabulary
from pipeline.tracking import Tracking, Version, sqlite_aliases
from pipeline.tracking.card import LANGUAGES, PRIVATE_DATA, TEMPLATES, USES
from pipeline.tracking.figures import Row, confidence, wilson_interval
from tests.support.checkpoint_folder import CheckpointFolder

WORDS = ("crash", "window", "close", "number", "error", "theme")
BODIES = ["The window did not close", None, "error 404: crash!", "nothing known"]


@dataclass(frozen=True)
class Registry:
    """An MLflow with two registered versions, m1 and m2, of one trained predictor."""

    tracking: Tracking
    root: Path
    predictor: Predictor
    runs: dict[str, str]

    @property
    def client(self) -> MlflowClient:
        """MLflow's own client, to check what was written."""
        return MlflowClient(self.tracking.uri)


def trained(folder: Path) -> Predictor:
    """A tiny network that was trained to repeat bodies of two words."""
    body, title = (
        Vocabulary(WORDS, 4, "pre", False),
        Vocabulary(("_start_", "_end_", *WORDS), 5, "post", True),
    )
    vocabularies = Vocabularies(body, title)
    rng = np.random.default_rng(0)
    texts = [[WORDS[number] for number in pair] for pair in rng.integers(0, len(WORDS), (64, 2))]
    batch = body.ids(texts), title.ids(texts)
    network = build("gru", Shape(8, 10, 4, 5, embedding_size=6, hidden_size=6), seed=1)
    fit(
        network,
        lambda _: iter([batch]),
        lambda _: iter([batch]),
        epochs=25,
        learning_rate=0.05,
        patience=25,
        checkpoint=CheckpointFolder(folder),
        on_epoch=lambda _: None,
        seed=1,
    )
    return Predictor("m1", network, vocabularies, "titler", 0.0, 8)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    root = tmp_path_factory.mktemp("lake")
    tracking = Tracking(f"sqlite:///{root}/new/mlflow.db", "titler", "titler", str(root / "new" / "mlflow"))
    assert (tracking.champion(), tracking.champion_and_previous(), tracking.version_of("m1")) == (
        None,
        [],
        None,
    )
    predictor = trained(root / "checkpoint")
    predictor.save(root / "predictor")
    runs = {}
    for model, variant in (("m1", "gru"), ("m2", "gru_cudnn")):
        with tracking.training_run(
            model, {"variant": variant, "epochs": 3}, {"titler.vocabulary": "abc"}
        ) as run:
            runs[model] = run.id
        tracking.register(run.id, root / "predictor", model)
    return Registry(tracking, root, predictor, runs)


def figures(epoch: int, loss: float) -> EpochFigures:
    return EpochFigures(epoch, 10, 0.001, loss, loss, 0.5, loss + 1, loss + 1, 0.25, 2.0)


def test_importing_the_package_does_not_import_mlflow() -> None:
    command = (
        "import sys, pipeline.tracking; "
        "print([name for name in ('mlflow', 'keras', 'matplotlib', 'pandas') if name in sys.modules])"
    )
    process = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert process.stdout == "[]\n"


def test_a_run_stores_parameters_tags_and_the_metrics_of_every_epoch(registry: Registry) -> None:
    with registry.tracking.training_run(
        "kept", {"epochs": 2, "variant": "gru"}, {"titler.vocabulary": "abc"}
    ) as run:
        run.log_epoch(figures(1, 5.0))
        run.log_epoch(figures(2, 4.0))
    logged = registry.client.get_run(run.id)
    assert (logged.info.run_name, logged.info.status) == ("kept", "FINISHED")
    assert logged.data.params == {"epochs": "2", "variant": "gru"}
    assert (logged.data.tags["titler.model"], logged.data.tags["titler.vocabulary"]) == ("kept", "abc")
    assert [
        (metric.step, metric.value)
        for metric in registry.client.get_metric_history(run.id, "validation/loss")
    ] == [
        (1, 6),
        (2, 5),
    ]
    assert logged.data.metrics["train/loss"] == 4.0


def test_a_comparison_of_runs_shows_the_validation_loss_first(registry: Registry) -> None:
    with registry.tracking.training_run("order", {"epochs": 1}, {}) as run:
        run.log_epoch(figures(1, 5.0))
    assert list(registry.client.get_run(run.id).data.metrics) == [
        *("validation/loss", "validation/token_loss", "validation/token_accuracy"),
        *("train/learning_rate", "train/loss", "train/token_loss", "train/token_accuracy", "train/seconds"),
    ]


def test_contrastive_training_is_logged_in_a_group_of_its_own(registry: Registry) -> None:
    with registry.tracking.training_run("contrast", {"epochs": 1}, {}) as run:
        run.log_epoch(ContrastFigures(1, 10, 0.7, 0.9, 2.0))
        run.log_epoch(figures(1, 5.0))
    metrics = registry.client.get_run(run.id).data.metrics
    assert {name: value for name, value in metrics.items() if name.startswith("contrast/")} == {
        **{"contrast/loss": 0.7, "contrast/accuracy": 0.9, "contrast/seconds": 2.0},
    }
    assert metrics["train/loss"] == 5.0


def test_a_new_experiment_has_a_kind_and_a_description(
    registry: Registry,
) -> None:
    (tags,) = (
        experiment.tags for experiment in registry.client.search_experiments() if experiment.name == "titler"
    )
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    assert tags["mlflow.note.content"].startswith("Titler's training runs: one run per model")


def test_an_existing_experiment_gets_missing_tags_and_keeps_its_own(tmp_path: Path) -> None:
    tracking = Tracking(f"sqlite:///{tmp_path}/mlflow.db", "shared", "titler", str(tmp_path / "mlflow"))
    client = MlflowClient(tracking.uri)
    client.create_experiment("shared", tags={"mlflow.note.content": "ours"})
    with tracking.training_run("m1", {}, {}):
        pass
    (tags,) = (experiment.tags for experiment in client.search_experiments() if experiment.name == "shared")
    assert (tags["mlflow.experimentKind"], tags["mlflow.note.content"]) == (
        "custom_model_development",
        "ours",
    )


def test_a_run_stores_its_command_and_its_training_data_once(registry: Registry) -> None:
    with registry.tracking.training_run("named", {}, {}) as run:
        for _ in range(2):  # a resumed training logs it again
            run.log_dataset("2015-01-01 to 2015-01-02", "0123456789abcdef", train=30, validation=4)
    logged = registry.client.get_run(run.id)
    assert logged.inputs is not None
    (dataset,) = logged.inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.dataset.digest) == ("2015-01-01 to 2015-01-02", "01234567")
    assert json.loads(str(dataset.dataset.profile)) == {"train": 30, "validation": 4}
    assert logged.data.tags["mlflow.source.name"] == "titler train named"


PARAMETERS = {
    "variant": "gru", "hidden_size": 300, "days": 90, "first_day": "2015-06-01", "last_day": "2015-08-29",
    "train_issues": 1989, "body_vocabulary": 8002, "title_vocabulary": 3346,
}  # fmt: skip
SCORES = {
    "rouge1": 12.25, "rouge2": 1.5, "rougeL": 11.0, "bleu": 0.5, "issues": 160, "distinct": 0.0625,
    "abstained": 0.0, "floor_rouge1": 13.0, "floor_rouge2": 2.0, "floor_rougeL": 12.0,
}  # fmt: skip
RETRIEVAL = {
    "recall_at_1": 0.1,
    "recall_at_10": 0.25,
    "floor_recall_at_1": 0.5,
    "floor_recall_at_10": 0.9,
    "issues": 160,
}
CONFIDENCE = {
    "alike": 0.35,
    "alike_least_sure": 0.19,
    "alike_most_sure": 0.52,
    "auc": 0.62,
    "abstain_below": 0.0,
}
GROUPS = {"titles": SCORES, "retrieval": RETRIEVAL, "titles_confidence": CONFIDENCE}
METRICS = {f"{group}/{name}": value for group, scores in GROUPS.items() for name, value in scores.items()}


def test_a_version_is_described_by_its_card_before_and_after_the_evaluation(registry: Registry) -> None:
    tracking = registry.tracking
    with tracking.training_run("card", PARAMETERS, {}) as run:
        pass
    version = tracking.register(run.id, registry.root / "predictor", "card")
    assert str(registry.client.get_model_version("titler", version).description).startswith(
        "Not evaluated yet:  `titler evaluate card`\n\nTrained on"
    )
    tracking.run(run.id).log_metrics(METRICS)
    tracking.write_card(run.id)
    card = str(registry.client.get_model_version("titler", version).description)
    assert registry.client.get_run(run.id).data.tags["mlflow.note.content"] == card
    assert card.splitlines() == [
        "ROUGE-L 11.00, NOT above its floor of 12.00 (the score of copying the body's first words). "
        "R@10 0.250, NOT above its floor of 0.900 (the score of counting shared words).",
        "",
        "Trained on **1,989 issues**, days 2015-06-01 to 2015-08-29 (90): network `gru`, hidden size 300, "
        "vocabularies of 8,002 body words and 3,346 title words.",
        "",
        "Evaluated on 160 issues of repositories that were not used for training:",
        "",
        "| | model | floor |",
        "|:---| ---: | ---: |",
        "| ROUGE-1 | 12.25 | 13.00 |",
        "| ROUGE-2 | 1.50 | 2.00 |",
        "| ROUGE-L | 11.00 | 12.00 |",
        "| BLEU | 0.50 |  |",
        "| R@1 | 0.100 | 0.500 |",
        "| R@10 | 0.250 | 0.900 |",
        "",
        "R@k: how often a search for an issue's title, as `titler similar` does it, finds the issue's own "
        "body among the k nearest of 160. The floor is TF-IDF, which counts the words that title and body "
        "share. By chance R@10 is 0.062.",
        "",
        "Confidence: 35% of its titles are close to the author's (ROUGE-L over 0.3): 19% of the fifth with "
        "the lowest confidence, 52% of the fifth with the highest (AUC 0.62).",
        "",
        "6% of its titles are distinct: it gives nearly every issue the same title; it abstained on 0% of "
        "the issues.",
        "",
        USES,
        "",
        f"**Limits.** {LANGUAGES} *Private data:* it was trained only on public text, which can contain "
        f"names and secrets; {PRIVATE_DATA['words']} *Templates:* {TEMPLATES['words']}, so a title may "
        "repeat a form's words instead of the author's answers.",
        "",
        "Artifacts: `losses.png`; `confidence.png` and `confidence.json` (how good titles are, by "
        "confidence); `sample_titles.json` (its titles next to the authors'); `days.json` and "
        "`batches.json` (its training data, with digests); `settings.json`; `vocabulary`.",
    ]


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        (
            {"titles_confidence/auc": 0.51},
            "(AUC 0.51): it separates good titles from poor ones hardly better than chance.",
        ),
        (
            {"titles_confidence/abstain_below": 2.0},
            "It ALWAYS abstains: at no threshold were 60% (model.abstain_precision) of the remaining titles "
            "close.",
        ),
        (
            {"titles_confidence/abstain_below": 0.4},
            "It abstains below a confidence of 0.40, chosen on these same issues so that 60% are close.",
        ),
    ],
)
def test_a_card_warns_about_the_confidence_and_names_the_threshold(
    registry: Registry, figures: dict[str, float], expected: str
) -> None:
    with registry.tracking.training_run(
        f"confidence-{expected}", {**PARAMETERS, "abstain_precision": 0.6}, {}
    ) as run:
        run.log_metrics({**METRICS, **figures})
    registry.tracking.write_card(run.id)
    assert expected in registry.client.get_run(run.id).data.tags["mlflow.note.content"]


PROBABILITY = {
    "titles_probability/brier": 0.2,
    "titles_probability/alike": 0.4,
    "titles_probability/calibration_error": 0.015,
    "titles_probability/abstain_probability": 0.25,
    "titles_probability/abstained": 0.3,
    "titles_probability/alike_given": 0.43,
}


def test_a_card_says_how_reliable_the_probability_is(registry: Registry) -> None:
    with registry.tracking.training_run("calibrated", PARAMETERS, {}) as run:
        run.log_metrics({**METRICS, **PROBABILITY})
    registry.tracking.write_card(run.id)
    card = registry.client.get_run(run.id).data.tags["mlflow.note.content"]
    assert (
        "Probability that a title is close to the author's, on repositories that it was not fitted to: Brier "
        "score 0.200 (a constant 40% would have 0.240), expected calibration error 0.015. Below 0.25 it "
        "gives no title: it abstains on 30% of the issues, and 43% of the other titles are close."
    ) in card
    assert "`reliability.json` (how good titles are, by probability)" in card


def test_a_model_of_an_earlier_evaluation_has_a_shorter_card(registry: Registry) -> None:
    with registry.tracking.training_run("earlier", PARAMETERS, {}) as run:
        run.log_metrics({f"titles/{name}": value for name, value in SCORES.items()})
    registry.tracking.write_card(run.id)
    card = registry.client.get_run(run.id).data.tags["mlflow.note.content"]
    assert [word in card for word in ("BLEU", "R@", "Confidence:", "Limits")] == [True, False, False, True]


def test_a_card_of_the_copy_network_says_what_it_may_copy(registry: Registry) -> None:
    with registry.tracking.training_run("copies", {**PARAMETERS, "variant": "copy"}, {}) as run:
        run.log_metrics(METRICS)
    registry.tracking.write_card(run.id)
    card = registry.client.get_run(run.id).data.tags["mlflow.note.content"]
    assert "hidden size 300, a vocabulary of 8,002 subwords." in card
    assert "any text of a body may be copied into its title." in card


def test_an_epoch_that_was_logged_twice_counts_once_in_the_sum(registry: Registry) -> None:
    with registry.tracking.training_run("seconds", {}, {}) as run:
        for epoch in (1, 2, 2, 3):  # each took two seconds; epoch 2 is logged twice
            run.log_epoch(figures(epoch, 5.0))
    assert (run.sum_over_epochs("train/seconds"), run.sum_over_epochs("contrast/seconds")) == (6.0, 0)


def test_a_card_compares_with_the_champion_at_evaluation_time(registry: Registry) -> None:
    with registry.tracking.training_run("challenger", PARAMETERS, {}) as run:
        pass
    registry.tracking.run(run.id).log_metrics(
        METRICS | {"titles/champion_rougeL": 10.5, "retrieval/champion_recall_at_10": 0.2}
    )
    registry.tracking.write_card(run.id)
    card = registry.client.get_run(run.id).data.tags["mlflow.note.content"].splitlines()
    assert [line for line in card if line.count("|") == 5] == [
        "| | model | floor | champion at that time |",
        "|:---| ---: | ---: | ---: |",
        "| ROUGE-1 | 12.25 | 13.00 |  |",
        "| ROUGE-2 | 1.50 | 2.00 |  |",
        "| ROUGE-L | 11.00 | 12.00 | 10.50 |",
        "| BLEU | 0.50 |  |  |",
        "| R@1 | 0.100 | 0.500 |  |",
        "| R@10 | 0.250 | 0.900 | 0.200 |",
    ]


def test_the_registered_model_is_described_with_the_code_that_loads_it(registry: Registry) -> None:
    note = str(registry.client.get_registered_model("titler").description)
    assert note.startswith("Predicts the title of a GitHub issue from its body")
    assert f'mlflow.set_tracking_uri("{registry.tracking.uri}")' in note
    assert 'load_model("models:/titler@champion")' in note


def test_figures_json_and_folders_are_written_to_the_artifact_root(registry: Registry) -> None:
    with registry.tracking.training_run("files", {}, {}) as run:
        run.log_loss_figure([figures(1, 5.0), figures(2, 4.0), figures(3, 4.5)])
        run.log_confidence_figure([{"low": 0.3, "high": 0.4, "titles": 12, "confidence": 0.33, "alike": 0.5}])
        run.log_json("settings.json", {"model": {"epochs": 3}})
        run.log_folder(registry.root / "predictor", "predictor")
    folder = registry.root / "new" / "mlflow" / run.id / "artifacts"
    assert [(folder / name).read_bytes()[:4] for name in ("losses.png", "confidence.png")] == [b"\x89PNG"] * 2
    assert json.loads((folder / "settings.json").read_text()) == {"model": {"epochs": 3}}
    assert (folder / "predictor" / "shape.json").read_bytes() == (
        registry.root / "predictor" / "shape.json"
    ).read_bytes()


def test_a_learned_ordering_is_a_run_of_its_own_without_a_model(registry: Registry) -> None:
    with registry.tracking.ordering_run("1-1-abc", {"pairs": 7, "used": True}) as run:
        run.log_metrics({"held_out/mrr": 0.5})
        run.log_duplicates_figure([{"low": 0.3, "high": 0.4, "pairs": 12, "probability": 0.3, "marked": 0.5}])
    stored = registry.client.get_run(run.id)
    assert (stored.info.run_name, stored.info.status) == ("ordering 1-1-abc", "FINISHED")
    assert (stored.data.params, stored.data.metrics) == (
        {"pairs": "7", "used": "True"},
        {"held_out/mrr": 0.5},
    )
    assert "titler.model" not in stored.data.tags
    folder = registry.root / "new" / "mlflow" / run.id / "artifacts"
    assert (folder / "reliability.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(ZeroDivisionError), registry.tracking.ordering_run("1-1-def", {}) as run:
        raise ZeroDivisionError
    assert registry.client.get_run(run.id).info.status == "FAILED"


def test_a_release_has_one_run_in_an_experiment_of_its_own(registry: Registry) -> None:
    for issues in (1_000, 1_200):
        with registry.tracking.release_run("r1", {"model": "m1"}, f"{issues:,} issues") as run:
            run.log_metrics({"release/issues": issues})
            run.log_text("report.html", f"<p>{issues} issues</p>")
    experiment = registry.client.get_experiment_by_name("titler-releases")
    assert experiment is not None
    (stored,) = registry.client.search_runs([experiment.experiment_id])
    assert (stored.info.run_name, stored.info.status) == ("r1", "FINISHED")
    assert (stored.data.params, stored.data.metrics) == ({"model": "m1"}, {"release/issues": 1_200})
    assert stored.data.tags["mlflow.note.content"] == "1,200 issues"
    file = registry.root / "new" / "mlflow" / stored.info.run_id / "artifacts" / "report.html"
    assert file.read_text() == "<p>1200 issues</p>"


def test_the_view_of_the_trainings_begins_with_the_titles_and_their_floor(registry: Registry) -> None:
    experiment = registry.client.get_experiment_by_name("titler")
    assert experiment is not None
    view = json.loads(experiment.tags["mlflow.sharedViewState.titler"])
    state = json.loads(view["state"])
    assert view["name"] == "Titles and retrieval, with their floors"
    assert state["selectedColumns"][:3] == [
        "metrics.`titles/rougeL`",
        "metrics.`titles/floor_rougeL`",
        "metrics.`retrieval/recall_at_10`",
    ]
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`titles/rougeL`", False)
    assert [chart["metricKey"] for chart in state["compareRunCharts"]][:2] == [
        "titles/rougeL",
        "titles/floor_rougeL",
    ]


def test_a_confidence_figure_without_titles_is_empty() -> None:
    assert [axes.get_xlabel() for axes in confidence([]).axes] == ["", "confidence"]


@pytest.mark.parametrize(
    ("share", "count", "low", "high"), [(0.5, 10, 0.237, 0.763), (0.0, 4, 0.0, 0.490), (1.0, 4, 0.510, 1.0)]
)
def test_the_wilson_interval_of_a_share(share: float, count: int, low: float, high: float) -> None:
    assert wilson_interval(share, count) == pytest.approx((low, high), abs=1e-3)


def test_a_table_that_is_written_twice_is_replaced(registry: Registry) -> None:
    with registry.tracking.training_run("table", {}, {}) as run:
        run.log_table("data.json", [{"day": "old", "rows": 0}])
    registry.tracking.run(run.id).log_table(
        "data.json", [{"day": "2015-01-01", "rows": 3}, {"day": "2015-01-02", "rows": 4}]
    )
    client = registry.client
    table = client.load_table(client.get_run(run.id).info.experiment_id, "data.json", [run.id])
    assert table.to_dict("records") == [{"day": "2015-01-01", "rows": 3}, {"day": "2015-01-02", "rows": 4}]
    assert json.loads(client.get_run(run.id).data.tags["mlflow.loggedArtifacts"]) == [
        {"path": "data.json", "type": "table"}
    ]


def test_metrics_can_be_added_to_a_finished_run(registry: Registry) -> None:
    registry.tracking.run(registry.runs["m1"]).log_metrics({"titles/rougeL": 16.8})
    assert registry.client.get_run(registry.runs["m1"]).data.metrics["titles/rougeL"] == 16.8


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt, "KILLED"), (ValueError, "FAILED")])
def test_an_interrupted_training_resumes_the_same_run(
    registry: Registry, error: type[BaseException], status: str
) -> None:
    name = f"broken-{status}"
    with pytest.raises(error), registry.tracking.training_run(name, {"epochs": 3}, {}) as first:
        raise error
    assert registry.client.get_run(first.id).info.status == status
    with registry.tracking.training_run(name, {"epochs": 3}, {}) as second:
        assert registry.client.get_run(second.id).info.status == "RUNNING"
    assert second.id == first.id


def test_different_parameters_start_a_new_run(registry: Registry) -> None:
    with (
        pytest.raises(ValueError, match="stop"),
        registry.tracking.training_run("again", {"epochs": 3}, {}) as first,
    ):
        raise ValueError("stop")
    with registry.tracking.training_run("again", {"epochs": 4}, {}) as second:
        pass
    assert first.id != second.id


PLAIN = {"epochs": 3}
TAUGHT = {**PLAIN, "teacher": "large", "teacher_digest": "d", "teacher_weight": 0.5, "teacher_used": True}


@pytest.mark.parametrize(
    ("killed", "restarted", "is_same_run"),
    [
        ({}, TAUGHT, True),  # killed before it logged its parameters
        (PLAIN, {**PLAIN, "abstain_probability": 0.3}, True),  # an earlier version lacked this setting
        (TAUGHT, TAUGHT, True),
        (PLAIN, TAUGHT, False),
        (TAUGHT, PLAIN, False),
        (TAUGHT, {**TAUGHT, "teacher_digest": "e"}, False),
        (PLAIN, {**TAUGHT, "teacher_used": False}, True),  # the same training, as the teacher is not used
    ],
)
def test_a_run_is_resumed_only_by_a_training_with_the_same_teacher(
    registry: Registry, request: pytest.FixtureRequest, killed: Row, restarted: Row, is_same_run: bool
) -> None:
    name = request.node.callspec.id.replace("/", "-")
    with (
        pytest.raises(ValueError, match="stop"),
        registry.tracking.training_run(name, killed, {}) as first,
    ):
        raise ValueError("stop")
    with registry.tracking.training_run(name, restarted, {}) as second:
        pass
    assert (first.id == second.id) == is_same_run


def test_registering_a_run_twice_returns_the_existing_version(registry: Registry) -> None:
    assert registry.tracking.register(registry.runs["m2"], registry.root / "predictor", "m2") == "2"
    assert registry.tracking.version_of("m2") == Version("m2", "2", registry.runs["m2"], "gru_cudnn")


def test_promoting_moves_both_aliases_forward_and_back(registry: Registry) -> None:
    tracking = registry.tracking
    moves = []
    for model in ("m1", "m2", "m2", "m1"):
        version = tracking.promote(model, because="holiday" if model == "m2" else "")
        moves.append((version, [champion.model for champion in tracking.champion_and_previous()]))
    assert moves == [("1", ["m1"]), ("2", ["m2", "m1"]), ("2", ["m2", "m1"]), ("1", ["m1", "m2"])]
    assert tracking.champion() == Version("m1", "1", registry.runs["m1"], "gru")
    assert registry.client.get_model_version("titler", "2").tags["titler.promoted_because"] == "holiday"


def test_the_champion_in_a_sqlite_file_is_read_without_importing_mlflow(registry: Registry) -> None:
    registry.tracking.promote("m1")
    command = (
        "import sys; from pipeline.tracking import Tracking; "
        "print(Tracking(sys.argv[1], 'titler', 'titler', '/nowhere').champion(), 'mlflow' in sys.modules)"
    )
    process = subprocess.run(
        [sys.executable, "-c", command, registry.tracking.uri], capture_output=True, text=True, check=True
    )
    assert process.stdout == f"{Version('m1', '1', registry.runs['m1'], 'gru')} False\n"


def test_mlflow_itself_answers_if_its_sqlite_file_has_other_tables(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.tracking.promote("m1")
    monkeypatch.setattr(sqlite_aliases, "_QUERY", "SELECT a FROM another_table WHERE b = ? AND c = ?")
    assert registry.tracking.champion() == Version("m1", "1", registry.runs["m1"], "gru")


def test_a_version_says_that_its_titles_are_withheld_until_they_are_accepted(registry: Registry) -> None:
    tracking, client, run_id = registry.tracking, registry.client, registry.runs["m2"]
    tracking.run(run_id).log_metrics(METRICS)
    seen = []
    for withheld, accepted in (("ROUGE-L 2, first words 15", ""), ("", "a test"), ("", "")):
        tracking.tag_titles("2", run_id, withheld, accepted)
        version = client.get_model_version("titler", "2")
        assert client.get_run(run_id).data.tags["mlflow.note.content"] == version.description
        lines = [line for line in str(version.description).splitlines() if line.startswith("**Titles")]
        tags = {name: text for name, text in version.tags.items() if "titles" in name}
        run_tags = client.get_run(run_id).data.tags
        assert {name: text for name, text in run_tags.items() if "titles" in name} == tags
        seen.append((tags, lines))
    assert seen == [
        (
            {"titler.titles_withheld": "ROUGE-L 2, first words 15"},
            ["**Titles withheld**: ROUGE-L 2, first words 15. Releases of this model show no title."],
        ),
        (
            {"titler.titles_accepted_because": "a test"},
            ["**Titles accepted** although they do not beat the floor: a test"],
        ),
        ({}, []),
    ]


def test_promoting_a_model_without_a_version_is_an_error(registry: Registry) -> None:
    with pytest.raises(
        UsageError,
        match=r"(?s)m9 is not registered in MLflow at .* as a version of 'titler'.*titler train m9",
    ):
        registry.tracking.promote("m9")


@pytest.mark.parametrize("column", [True, False])
def test_mlflow_loads_the_champion_and_predicts_the_same_as_the_predictor(
    registry: Registry, column: bool
) -> None:
    import mlflow

    registry.tracking.promote("m1")
    mlflow.set_tracking_uri(registry.tracking.uri)
    loaded = mlflow.pyfunc.load_model("models:/titler@champion")
    predictions = loaded.predict(pd.DataFrame({"body": BODIES}) if column else BODIES)
    expected = registry.predictor.predict(BODIES)
    assert predictions["title"].tolist() == [prediction.title for prediction in expected]
    assert any(predictions["title"])
    assert predictions["confidence"].tolist() == pytest.approx(
        [prediction.confidence for prediction in expected]
    )
    assert predictions["abstained"].tolist() == [prediction.abstained for prediction in expected]
    np.testing.assert_allclose(
        predictions["embedding"].tolist(), [prediction.embedding for prediction in expected], atol=1e-6
    )


def test_the_registered_model_holds_code_files_and_requirements_but_no_pickles(
    registry: Registry,
) -> None:
    client = registry.client
    logged = client.get_logged_model(
        str(client.get_model_version("titler", "1").source).removeprefix("models:/")
    )
    folder = Path(logged.artifact_location.removeprefix("file://"))
    assert json.loads(logged.tags["mlflow.modelVersions"]) == [{"name": "titler", "version": 1}]
    assert folder.is_relative_to(registry.root / "new" / "mlflow")
    assert (folder / "code" / "pipeline" / "predictor" / "predictor.py").is_file()
    assert not [path for path in folder.rglob("*") if path.suffix in (".pkl", ".pickle", ".pyc")]
    needs = {line.partition("==")[0] for line in (folder / "requirements.txt").read_text().split()}
    assert {"mlflow", "keras", "numpy", "ftfy", "unidecode", "more-itertools"} <= needs


def test_training_and_registering_print_nothing(
    registry: Registry, capfd: pytest.CaptureFixture[str]
) -> None:
    with registry.tracking.training_run("quiet", {"variant": "gru"}, {}) as run:
        run.log_epoch(figures(1, 5.0))
    registry.tracking.register(run.id, registry.root / "predictor", "quiet")
    output = capfd.readouterr()
    assert (output.out, "titler" in output.err) == ("", False)


def test_the_error_for_an_unreachable_mlflow_names_its_address() -> None:
    with pytest.raises(
        TitlerError, match=r"(?s)MLflow at sqlite:////proc/none.db does not answer.*titler doctor"
    ):
        Tracking("sqlite:////proc/none.db", "titler", "titler", "/proc").check()
