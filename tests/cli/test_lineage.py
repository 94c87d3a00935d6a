"""The lineage file: which datasets each verb reads and writes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import lineage
from pipeline.cli.lineage import LineageFile
from pipeline.compute.derived_batches import Outcome
from pipeline.contracts import (
    DUPLICATE_MARKS,
    DUPLICATE_PAIRS,
    EMBEDDINGS,
    ISSUES,
    SEGMENTS,
    SIMILAR_ISSUES,
    SOURCE_HEALTH,
    TITLE_PREDICTIONS,
    TOKENS,
    VECTORS,
)
from pipeline.errors import UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.embedding_network import EmbeddingNetwork
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned
from pipeline.lake.plan import PinnedDay
from pipeline.settings import LakeSettings, Lineage, Settings, Source, Warehouse
from pipeline.stages import clean, extract
from pipeline.stages.index import IndexOutcome
from pipeline.stages.learn_ordering import OrderingOutcome
from pipeline.stages.plan import PlanOutcome
from pipeline.stages.teach import TeacherRequest
from tests.warehouse.events import DAY, opened, write_hour

FACTS = {"model_version": "3", "mlflow_run": "run", "predictor": ""}
BIGQUERY = Warehouse(kind="bigquery", project="my-project")


class LineageLake:
    """A lake with a model and a release of two days, for which every stage has run."""

    def __init__(self, folder: Path, variant: str = "gru") -> None:
        self.variant = variant
        self.lake = Lake(str(folder / "lake"))
        self.settings = Settings(
            lake=LakeSettings(root=str(folder / "lake")), lineage=Lineage(file=str(folder / "lineage.json"))
        )
        self.model, self.release = Pinned(self.lake, "models", "m"), Pinned(self.lake, "releases", "r")
        self.predictor = self.batch("predictor", model="m")
        pinned = []
        for day in ("2015-01-01", "2015-01-02"):
            batches = [self.batch(table, day=day) for table in (ISSUES.name, TOKENS.name, SOURCE_HEALTH.name)]
            folders, digests = [one.folder for one in batches], [one.digest for one in batches]
            marked = self.batch(DUPLICATE_MARKS.name, day=day)
            day_without = PinnedDay(day, *folders, *digests)
            pinned.append(
                dataclasses.replace(
                    day_without, duplicate_marks=marked.folder, duplicate_marks_digest=marked.digest
                )
            )
        self.members: dict[str, tuple[Manifest, ...]] = {
            "predictor": (self.predictor,),
            "vocabulary": (self.batch("vocabulary", model="m"),),
        }
        for table in (VECTORS, EMBEDDINGS, TITLE_PREDICTIONS, SIMILAR_ISSUES, DUPLICATE_PAIRS):
            owner = {"vocabulary": "v"} if table is VECTORS else {"model": "m"}
            self.members[table.name] = tuple(self.batch(table.name, **owner, day=day.day) for day in pinned)
        segment = {"model": "m", "period": "2015-01", "repositories": "1-of-1"}
        self.members[SEGMENTS.name] = (self.batch(SEGMENTS.name, **segment),)
        for subject, model in ((self.model, {"variant": variant}), (self.release, "m")):
            subject.open(pinned, {**FACTS, "model": model, "predictor": self.predictor.folder})
            for table_name, members in self.members.items():
                subject.members.put(table_name, members)
        self.release.members.put(SOURCE_HEALTH.name, [self.lake.manifest(day.health) for day in pinned])
        marks = [self.lake.manifest(day.duplicate_marks) for day in pinned]
        self.release.members.put(DUPLICATE_MARKS.name, marks)

    def batch(self, table: str, **partition: str) -> Manifest:
        draft = self.lake.draft(table, partition)
        if table == ISSUES.name:  # opening a model or a release reads them
            draft.write_table("part-00000.parquet", ISSUES.empty(), ISSUES)
        else:
            draft.write_file("part-00000.parquet", b"12345", rows=2)
        return draft.commit({"version": "3", "mlflow_run": "run", "variant": self.variant})

    def line(self, verb: str, subject: lineage.Subject, result: Any) -> dict[str, list[dict[str, Any]]]:
        """The line in the lineage file after a stage has returned `result`."""
        with LineageFile(self.lake, self.settings).stage(verb, subject) as record:
            record.result = result
        line: dict[str, list[dict[str, Any]]] = json.loads(Path(self.settings.lineage.file).read_text())
        return line

    def names(self, verb: str, subject: lineage.Subject, result: Any) -> tuple[list[str], list[str]]:
        """The last part of the name of every input and of every output."""
        line = self.line(verb, subject, result)
        return last_parts(line["inputs"]), last_parts(line["outputs"])


def last_parts(datasets: list[dict[str, Any]]) -> list[str]:
    return [dataset["name"].rpartition("/")[2] for dataset in datasets]


@pytest.fixture
def lake(tmp_path: Path) -> LineageLake:
    return LineageLake(tmp_path)


@pytest.mark.parametrize(
    ("verb", "inputs", "outputs"),
    [
        ("vocab", ["tokens_v1"], ["vocabulary"]),
        ("vectorize", ["tokens_v1", "vocabulary"], ["vectors_v1"]),
        ("train", ["vectors_v1", "vocabulary", "issues_v1", "tokens_v1"], ["predictor", "titler"]),
        ("evaluate", ["issues_v1", "tokens_v1", "predictor"], ["titler"]),
        ("promote", ["predictor"], ["titler"]),
    ],
)
def test_the_verbs_of_a_model(lake: LineageLake, verb: str, inputs: list[str], outputs: list[str]) -> None:
    results: dict[str, Any] = {
        "vocab": lake.members["vocabulary"][0],
        "vectorize": Outcome(lake.members[VECTORS.name], 0),
        "train": lake.predictor,
        "evaluate": {"champion": None},
        "promote": {"moved": True},
    }
    assert lake.names(verb, lake.model, results[verb]) == (inputs, outputs)


@pytest.mark.parametrize(
    ("verb", "inputs", "outputs"),
    [
        (
            "plan",
            ["issues_v1", "source_health_v1", "duplicate_marks_v1", "tokens_v1", "predictor", "titler"],
            ["releases"],
        ),
        ("vectorize", ["tokens_v1", "predictor"], ["vectors_v1"]),
        ("embed", ["vectors_v1", "predictor"], ["embeddings_v1"]),
        ("predict", ["vectors_v1", "issues_v1", "predictor"], ["title_predictions_v1"]),
        (
            "index",
            ["embeddings_v1", "issues_v1", "duplicate_marks_v1"],
            ["segments_v1", "similar_issues_v2", "duplicate_pairs_v1"],
        ),
        ("learn-ordering", ["duplicate_marks_v1", "segments_v1"], ["orderings"]),
        (
            "publish",
            [
                *("issues_v1", "source_health_v1", "duplicate_marks_v1", "title_predictions_v1"),
                *("similar_issues_v2", "duplicate_pairs_v1", "segments_v1"),
            ],
            ["releases", "warehouse.duckdb"],
        ),
    ],
)
def test_the_verbs_of_a_release(lake: LineageLake, verb: str, inputs: list[str], outputs: list[str]) -> None:
    results: dict[str, Any] = {
        "plan": PlanOutcome(lake.release.plan, ""),
        "vectorize": Outcome(lake.members[VECTORS.name], 0),
        "embed": Outcome(lake.members[EMBEDDINGS.name], 0),
        "predict": Outcome(lake.members[TITLE_PREDICTIONS.name], 2),
        "index": IndexOutcome(lake.members[SEGMENTS.name], {}),
        "learn-ordering": OrderingOutcome("1-1-abc", "it is not better"),
        "publish": {"release_id": "r"},
    }
    assert lake.names(verb, lake.release, results[verb]) == (inputs, outputs)


def test_a_network_of_subwords_reads_issues_instead_of_tokens(tmp_path: Path) -> None:
    lake = LineageLake(tmp_path, variant="copy")
    vectors = Outcome(lake.members[VECTORS.name], 0)
    assert lake.names("vocab", lake.model, lake.members["vocabulary"][0])[0] == ["issues_v1"]
    assert lake.names("vectorize", lake.model, vectors)[0] == ["issues_v1", "vocabulary"]
    assert lake.names("vectorize", lake.release, vectors)[0] == ["issues_v1", "predictor"]


def test_a_reused_batch_is_reported_as_an_output(lake: LineageLake) -> None:
    embeddings = lake.members[EMBEDDINGS.name]
    new, reused = (lake.line("embed", lake.release, Outcome(embeddings, made)) for made in (2, 0))
    assert new == reused
    assert new["outputs"][0]["statistics"] == {"rowCount": 4, "size": 10, "fileCount": 2}


def test_a_verb_reads_the_version_that_the_verb_before_it_wrote(lake: LineageLake) -> None:
    (written,) = lake.line("embed", lake.release, Outcome(lake.members[EMBEDDINGS.name], 2))["outputs"]
    read, *_ = lake.line("index", lake.release, IndexOutcome(lake.members[SEGMENTS.name], {}))["inputs"]
    assert (read["name"], read["version"]) == (written["name"], written["version"])


def test_the_vocabulary_and_the_training_of_a_model_that_takes_an_embedding_network_read_its_predictor(
    tmp_path: Path,
) -> None:
    lake = LineageLake(tmp_path, variant="copy")
    owner = lake.batch("predictor", model="owner")
    plan = lake.model.plan
    taker = Pinned(lake.lake, "models", "taker")
    taker.open(plan.days, plan.facts | EmbeddingNetwork("owner", owner.folder, owner.digest).fact)
    for table in ("vocabulary", VECTORS.name, "predictor"):
        taker.members.put(table, lake.members[table])
    for verb, table, inputs in (
        ("vocab", "vocabulary", ["issues_v1", "predictor"]),
        ("train", "predictor", ["vectors_v1", "vocabulary", "issues_v1", "tokens_v1", "predictor"]),
    ):
        line = lake.line(verb, taker, lake.members[table][0])
        assert last_parts(line["inputs"]) == inputs
        assert line["inputs"][-1]["partitions"][0]["dimensions"] == {"model": "owner"}


def test_evaluate_reads_the_champion_as_well(lake: LineageLake) -> None:
    Pinned(lake.lake, "models", "champion").members.put(
        "predictor", [lake.batch("predictor", model="champion")]
    )
    line = lake.line("evaluate", lake.model, {"champion": "champion"})
    assert [partition["dimensions"] for partition in line["inputs"][2]["partitions"]] == [
        {"model": "m"},
        {"model": "champion"},
    ]


@pytest.mark.parametrize(
    ("source", "champion", "predictors", "files"),
    [
        ("large", None, [{"model": "large"}], []),
        ("large", "champion", [{"model": "large"}, {"model": "champion"}], []),
        ("/data/titles.csv", None, [], ["/data/titles.csv"]),
        ("/data/titles.csv", "champion", [{"model": "champion"}], ["/data/titles.csv"]),
        ("not a name", None, [], []),  # the stage refuses it
    ],
)
def test_a_training_with_a_teacher_reads_the_teacher_and_the_champion(
    lake: LineageLake,
    source: str,
    champion: str | None,
    predictors: list[dict[str, str]],
    files: list[str],
) -> None:
    for name in ("large", "champion"):
        Pinned(lake.lake, "models", name).members.put("predictor", [lake.batch("predictor", model=name)])
    figures = {**lake.predictor.figures, "teacher": {"name": source, "champion": champion}}
    with LineageFile(lake.lake, lake.settings).stage("train", lake.model) as record:
        record.teacher = TeacherRequest(source, 0.5)
        record.result = dataclasses.replace(lake.predictor, figures=figures)
    read = json.loads(Path(lake.settings.lineage.file).read_text())["inputs"][4:]
    partitions = [one["dimensions"] for dataset in read for one in dataset.get("partitions", ())]
    assert partitions == predictors
    assert [dataset["name"] for dataset in read if "partitions" not in dataset] == files


def test_a_training_that_failed_has_its_teacher_as_input(lake: LineageLake) -> None:
    teacher = TeacherRequest("/data/titles.csv", 0.5)
    read = lineage.inputs("train", lake.lake, lake.settings, lake.model, None, teacher)
    assert read[-1].name == "/data/titles.csv"


def test_a_plan_that_opened_no_release_has_no_datasets(lake: LineageLake) -> None:
    line = lake.line("plan", Pinned(lake.lake, "releases", "s"), PlanOutcome(None, "nothing is new"))
    assert line == {"inputs": [], "outputs": []}


def test_a_failed_stage_has_the_inputs_that_were_pinned_and_no_outputs(lake: LineageLake) -> None:
    with pytest.raises(UsageError), LineageFile(lake.lake, lake.settings).stage("publish", lake.release):
        raise UsageError("stopped")
    line = json.loads(Path(lake.settings.lineage.file).read_text())
    assert last_parts(line["inputs"])[-2:] == ["duplicate_pairs_v1", "segments_v1"]
    assert line["outputs"] == []


@pytest.mark.parametrize(
    ("verb", "dataset"),
    [
        ("extract", {"namespace": "bigquery", "name": "githubarchive.day.20150103"}),
        (
            "clean",
            {"name": "issues_v1", "partitions": [{"dimensions": {"day": "2015-01-03"}, "identifier": ""}]},
        ),
    ],
)
def test_a_failed_ingest_has_its_day_as_input(tmp_path: Path, verb: str, dataset: dict[str, Any]) -> None:
    file = tmp_path / "lineage.json"
    settings = Settings(warehouse=BIGQUERY, lineage=Lineage(file=str(file)))
    with pytest.raises(UsageError), LineageFile(Lake(str(tmp_path)), settings).stage(verb, [DAY]):
        raise UsageError("no such day")
    (day,) = json.loads(file.read_text())["inputs"]
    assert {**day, "name": day["name"].rpartition("/")[2]}.items() >= dataset.items()


def test_the_verbs_of_an_ingest(tmp_path: Path) -> None:
    hours, file = tmp_path / "hours", tmp_path / "lineage.json"
    hours.mkdir()
    write_hour(hours, opened(), b"{broken")
    lake = Lake(str(tmp_path / "lake"))
    settings = Settings(
        source=Source(hours=str(hours)), lake=LakeSettings(root=lake.root), lineage=Lineage(file=str(file))
    )

    with LineageFile(lake, settings).stage("extract", [DAY]) as record:
        record.result = outcome = extract.run(lake, settings, [DAY])[0]
    line = json.loads(file.read_text())
    (source,), (issues, health, marks, quarantine) = line["inputs"], line["outputs"]
    assert source == {
        "namespace": "file",
        "name": f"{hours}/2015-01-03",
        "locations": [f"{hours}/2015-01-03-5.json.gz"],
    }
    names = ["issues_v1", "source_health_v1", "duplicate_marks_v1", "quarantine"]
    assert [dataset["name"] for dataset in (issues, health, marks, quarantine)] == [
        f"{lake.root}/{name}" for name in names
    ]
    assert issues["version"] == outcome.manifests[0].batch_id

    with LineageFile(lake, settings).stage("clean", [DAY]) as record:
        record.result = clean.run(lake, settings, [str(DAY)])
    line = json.loads(file.read_text())
    (read,), (tokens,) = line["inputs"], line["outputs"]
    assert (read["name"], read["version"]) == (issues["name"], issues["version"])
    assert (tokens["name"], tokens["statistics"]["rowCount"]) == (f"{lake.root}/tokens_v1", 1)


def test_without_the_setting_no_file_is_written(
    lake: LineageLake, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = lake.settings.model_copy(update={"lineage": Lineage()})
    with LineageFile(lake.lake, settings).stage("promote", lake.model) as record:
        record.result = {"moved": True}
    assert not Path(lake.settings.lineage.file).exists()
    assert capsys.readouterr().err == ""


def test_a_failure_to_record_does_not_fail_the_stage(
    lake: LineageLake, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = lake.settings.model_copy(update={"lineage": Lineage(file=f"{lake.lake.root}/no/such/folder")})
    with LineageFile(lake.lake, settings).stage("promote", lake.model) as record:
        record.result = {"moved": True}
    assert capsys.readouterr().err.startswith(
        "titler: could not record in the lineage file which data the stage promote read and wrote: [Errno 2]"
    )
