"""What a verb read and wrote: names by OpenLineage's conventions, partitions, and one account a verb."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import lineage, lineage_datasets
from pipeline.cli.lineage import LineageFile
from pipeline.cli.lineage_datasets import Dataset, Partition
from pipeline.compute.derived_batches import Outcome
from pipeline.contracts import (
    EMBEDDINGS,
    ISSUES,
    SIMILAR_ISSUES,
    SOURCE_HEALTH,
    TITLE_PREDICTIONS,
    TOKENS,
    VECTORS,
)
from pipeline.errors import UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned, PinnedDay
from pipeline.settings import LakeSettings, Lineage, Settings, Source, Tracking, Warehouse
from pipeline.stages import clean, extract
from pipeline.stages.plan import PlanOutcome
from tests.warehouse.events import DAY, opened, write_hour

FACTS = {"model_version": "3", "mlflow_run": "run", "predictor": ""}
BIGQUERY = Warehouse(kind="bigquery", project="my-project")


@pytest.mark.parametrize(
    ("address", "namespace", "name"),
    [
        ("/data/lake/issues_v1", "file", "/data/lake/issues_v1"),
        ("file:///data/hours", "file", "/data/hours"),
        ("gs://bucket/lake/issues_v1", "gs://bucket", "lake/issues_v1"),
        ("gcs://bucket/issues_v1", "gs://bucket", "issues_v1"),
        ("s3://bucket", "s3://bucket", "/"),
        ("https://data.gharchive.org/2015-01-01", "https://data.gharchive.org", "2015-01-01"),
        (
            "https://me:secret@mirror:8443/gh/2015-01-01?signature=secret",
            "https://mirror:8443",
            "gh/2015-01-01",
        ),
    ],
)
def test_an_address_is_a_namespace_and_a_name(address: str, namespace: str, name: str) -> None:
    assert lineage_datasets.split_address(address) == (namespace, name)


def test_a_source_day_is_its_hour_files() -> None:
    day = lineage_datasets.source_day(
        Settings(), date(2015, 1, 1), {"hours": [[0, 17, "stamp"], [23, 4, "stamp"]]}
    )
    assert day.to_json() == {
        "namespace": "https://data.gharchive.org",
        "name": "2015-01-01",
        "locations": ["2015-01-01-0.json.gz", "2015-01-01-23.json.gz"],
    }


def test_a_source_day_is_bigquerys_table_of_it() -> None:
    day = lineage_datasets.source_day(Settings(warehouse=BIGQUERY), date(2015, 1, 1))
    assert day.to_json() == {"namespace": "bigquery", "name": "githubarchive.day.20150101"}


def test_a_registered_model_is_mlflows_address_of_it_without_a_login() -> None:
    settings = Settings(tracking=Tracking(uri="postgresql://me:secret@mlflow:5432/runs?sslkey=secret"))
    assert lineage_datasets.registered_model(settings, "m", "3", "run").to_json() == {
        "namespace": "postgresql://mlflow:5432/runs",
        "name": "models:/titler",
        "version": "run",
        "partitions": [{"dimensions": {"model": "m", "version": "3"}, "identifier": "run"}],
    }


def days(count: int, *, model: str = "m") -> tuple[Partition, ...]:
    first = date(2015, 1, 1).toordinal()
    return tuple(
        Partition({"model": model, "day": str(date.fromordinal(first + number))}, f"batch-{number}")
        for number in range(count)
    )


def test_a_month_of_partitions_is_told_one_by_one() -> None:
    told = Dataset("file", "/lake/embeddings_v1", days(31)).to_json()
    assert told["partitions"][30] == {
        "dimensions": {"model": "m", "day": "2015-01-31"},
        "identifier": "batch-30",
    }
    assert "between" not in told


def test_of_more_partitions_the_least_and_the_greatest_are_told() -> None:
    told = Dataset("file", "/lake/embeddings_v1", days(3000)).to_json()
    assert told["between"] == {"model": ["m", "m"], "day": ["2015-01-01", "2023-03-19"]}
    assert "partitions" not in told


def test_the_version_is_the_batch_and_of_several_batches_stands_for_all_of_them() -> None:
    one, two, three = (Dataset("file", "/lake/embeddings_v1", days(count)).version for count in (1, 2, 3))
    assert one == "batch-0"
    assert len(two) == len(three) == 12
    assert two != three
    assert two == Dataset("file", "/lake/embeddings_v1", days(2)[::-1]).version


class Built:
    """A lake with a model and a release of two days, in which every stage has left its batches."""

    def __init__(self, folder: Path, variant: str = "gru") -> None:
        self.variant = variant
        self.lake = Lake(str(folder / "lake"))
        self.settings = Settings(
            lake=LakeSettings(root=str(folder / "lake")), lineage=Lineage(file=str(folder / "told.json"))
        )
        self.model, self.release = Pinned(self.lake, "models", "m"), Pinned(self.lake, "releases", "r")
        self.predictor = self.batch("predictor", model="m")
        pinned = []
        for day in ("2015-01-01", "2015-01-02"):
            found = [self.batch(table, day=day) for table in (ISSUES.name, TOKENS.name, SOURCE_HEALTH.name)]
            pinned.append(
                PinnedDay(day, *(batch.folder for batch in found), *(batch.digest for batch in found))
            )
        self.members: dict[str, tuple[Manifest, ...]] = {
            "predictor": (self.predictor,),
            "vocabulary": (self.batch("vocabulary", model="m"),),
        }
        for table in (VECTORS, EMBEDDINGS, TITLE_PREDICTIONS, SIMILAR_ISSUES):
            owner = {"vocabulary": "v"} if table is VECTORS else {"model": "m"}
            self.members[table.name] = tuple(self.batch(table.name, **owner, day=day.day) for day in pinned)
        self.members["index"] = (self.batch("index", release="r"),)
        for about, model in ((self.model, {"variant": variant}), (self.release, "m")):
            about.open(pinned, {**FACTS, "model": model, "predictor": self.predictor.folder})
            for table_name, batches in self.members.items():
                about.members.put(table_name, batches)
        self.release.members.put(SOURCE_HEALTH.name, [self.lake.manifest(day.health) for day in pinned])

    def batch(self, table: str, **partition: str) -> Manifest:
        draft = self.lake.draft(table, partition)
        if table == ISSUES.name:  # opening a model or a release reads them
            draft.write_table("part-00000.parquet", ISSUES.empty(), ISSUES)
        else:
            draft.write_file("part-00000.parquet", b"12345", rows=2)
        return draft.commit({"version": "3", "mlflow_run": "run", "variant": self.variant})

    def told(self, verb: str, about: lineage.Subject, result: Any) -> dict[str, list[dict[str, Any]]]:
        """What the verb writes once its stage has returned `result`."""
        with LineageFile(self.lake, self.settings).stage(verb, about) as record:
            record.result = result
        found: dict[str, list[dict[str, Any]]] = json.loads(Path(self.settings.lineage.file).read_text())
        return found

    def names(self, verb: str, about: lineage.Subject, result: Any) -> tuple[list[str], list[str]]:
        """Of what it read and of what it wrote, by their last word."""
        told = self.told(verb, about, result)
        inputs, outputs = (
            [dataset["name"].rpartition("/")[2] for dataset in told[side]] for side in ("inputs", "outputs")
        )
        return inputs, outputs


@pytest.fixture
def built(tmp_path: Path) -> Built:
    return Built(tmp_path)


@pytest.mark.parametrize(
    ("verb", "inputs", "outputs"),
    [
        ("vocab", ["tokens_v1"], ["vocabulary"]),
        ("vectorize", ["tokens_v1", "vocabulary"], ["vectors_v1"]),
        ("train", ["vectors_v1", "vocabulary"], ["predictor", "titler"]),
        ("evaluate", ["issues_v1", "tokens_v1", "predictor"], ["titler"]),
        ("promote", ["predictor"], ["titler"]),
    ],
)
def test_of_a_training(built: Built, verb: str, inputs: list[str], outputs: list[str]) -> None:
    results: dict[str, Any] = {
        "vocab": built.members["vocabulary"][0],
        "vectorize": Outcome(built.members[VECTORS.name], 0),
        "train": built.predictor,
        "evaluate": {"champion": None},
        "promote": {"moved": True},
    }
    assert built.names(verb, built.model, results[verb]) == (inputs, outputs)


@pytest.mark.parametrize(
    ("verb", "inputs", "outputs"),
    [
        ("plan", ["issues_v1", "source_health_v1", "tokens_v1", "predictor", "titler"], ["releases"]),
        ("vectorize", ["tokens_v1", "predictor"], ["vectors_v1"]),
        ("embed", ["vectors_v1", "predictor"], ["embeddings_v1"]),
        ("predict", ["vectors_v1", "issues_v1", "predictor"], ["title_predictions_v1"]),
        ("index", ["embeddings_v1", "issues_v1"], ["index", "similar_issues_v1"]),
        (
            "publish",
            ["issues_v1", "source_health_v1", "title_predictions_v1", "similar_issues_v1", "index"],
            ["releases", "warehouse.duckdb"],
        ),
    ],
)
def test_of_a_release(built: Built, verb: str, inputs: list[str], outputs: list[str]) -> None:
    results: dict[str, Any] = {
        "plan": PlanOutcome(built.release.plan, ""),
        "vectorize": Outcome(built.members[VECTORS.name], 0),
        "embed": Outcome(built.members[EMBEDDINGS.name], 0),
        "predict": Outcome(built.members[TITLE_PREDICTIONS.name], 2),
        "index": built.members["index"][0],
        "publish": {"release_id": "r"},
    }
    assert built.names(verb, built.release, results[verb]) == (inputs, outputs)


def test_subwords_are_made_of_issues(tmp_path: Path) -> None:
    built = Built(tmp_path, variant="copy")
    vectors = Outcome(built.members[VECTORS.name], 0)
    assert built.names("vocab", built.model, built.members["vocabulary"][0])[0] == ["issues_v1"]
    assert built.names("vectorize", built.model, vectors)[0] == ["issues_v1", "vocabulary"]
    assert built.names("vectorize", built.release, vectors)[0] == ["issues_v1", "predictor"]


def test_a_batch_that_was_there_is_told_as_if_it_had_been_made_just_now(built: Built) -> None:
    made, found = (
        built.told("embed", built.release, Outcome(built.members[EMBEDDINGS.name], made)) for made in (2, 0)
    )
    assert made == found
    assert made["outputs"][0]["statistics"] == {"rowCount": 4, "size": 10, "fileCount": 2}


def test_a_table_is_told_with_its_columns_and_its_batches(built: Built) -> None:
    embeddings = built.members[EMBEDDINGS.name]
    (told,) = built.told("embed", built.release, Outcome(embeddings, 2))["outputs"]
    assert (told["namespace"], told["name"]) == ("file", built.lake.path("embeddings_v1"))
    assert told["description"] == "An issue's vector."
    assert told["schema"] == [
        {"name": "issue_id", "type": "int64", "description": "GitHub's id of the issue: its identity"},
        {
            "name": "embedding",
            "type": "list<item: halffloat>",
            "description": "model.hidden_size numbers: copy's of title and body, gru's of the body; "
            "zeros where the model knows nothing of them",
        },
    ]
    assert told["partitions"] == [
        {"dimensions": {"model": "m", "day": "2015-01-01"}, "identifier": embeddings[0].batch_id},
        {"dimensions": {"model": "m", "day": "2015-01-02"}, "identifier": embeddings[1].batch_id},
    ]


def test_what_one_verb_writes_has_the_version_that_the_next_one_reads(built: Built) -> None:
    (written,) = built.told("embed", built.release, Outcome(built.members[EMBEDDINGS.name], 2))["outputs"]
    read, _ = built.told("index", built.release, built.members["index"][0])["inputs"]
    assert (read["name"], read["version"]) == (written["name"], written["version"])


def test_bigquerys_tables_are_told_by_their_own_columns(built: Built) -> None:
    settings = built.settings.model_copy(
        update={"warehouse": BIGQUERY.model_copy(update={"embeddings": True})}
    )
    told = [dataset.to_json() for dataset in lineage_datasets.warehouse_tables(settings, built.release)]
    assert [dataset["name"] for dataset in told] == [
        "my-project.titler.source_health_v1",
        "my-project.titler.title_predictions_v1",
        "my-project.titler.similar_issues_v1",
        "my-project.titler.embeddings_v1",
        "my-project.titler.releases_v1",
        "my-project.titler.release_members_v1",
    ]
    assert {dataset["namespace"] for dataset in told} == {"bigquery"}
    assert [part["dimensions"] for part in told[3]["partitions"]] == [
        {"source_day": "2015-01-01"},
        {"source_day": "2015-01-02"},
    ]
    assert [(column["name"], column["type"]) for column in told[3]["schema"]] == [
        ("issue_id", "INT64"),
        ("embedding", "ARRAY<FLOAT64>"),
        ("source_day", "DATE"),
        ("batch_id", "STRING"),
    ]


def test_an_evaluation_read_the_champion_too(built: Built) -> None:
    Pinned(built.lake, "models", "champion").members.put(
        "predictor", [built.batch("predictor", model="champion")]
    )
    told = built.told("evaluate", built.model, {"champion": "champion"})
    assert [part["dimensions"] for part in told["inputs"][2]["partitions"]] == [
        {"model": "m"},
        {"model": "champion"},
    ]


def test_a_training_that_sets_a_threshold_read_the_authors_titles_too(built: Built) -> None:
    careful = Pinned(built.lake, "models", "careful")
    careful.open(built.model.plan.days, {"model": {"abstain_precision": 0.5}})
    names = [
        dataset.name.rpartition("/")[2]
        for dataset in lineage.inputs("train", built.lake, built.settings, careful, built.predictor)
    ]
    assert names == [ISSUES.name, TOKENS.name]


def test_a_plan_that_opened_nothing_read_and_wrote_nothing(built: Built) -> None:
    assert built.told("plan", Pinned(built.lake, "releases", "s"), PlanOutcome(None, "nothing is new")) == {
        "inputs": [],
        "outputs": [],
    }


def test_a_stage_that_failed_names_what_was_fixed_for_it_and_wrote_nothing(built: Built) -> None:
    with pytest.raises(UsageError), LineageFile(built.lake, built.settings).stage("publish", built.release):
        raise UsageError("stopped")
    told = json.loads(Path(built.settings.lineage.file).read_text())
    assert [dataset["name"].rpartition("/")[2] for dataset in told["inputs"]][-2:] == [
        "similar_issues_v1",
        "index",
    ]
    assert told["outputs"] == []


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
def test_an_ingest_that_failed_names_its_day(tmp_path: Path, verb: str, dataset: dict[str, Any]) -> None:
    file = tmp_path / "told.json"
    settings = Settings(warehouse=BIGQUERY, lineage=Lineage(file=str(file)))
    with pytest.raises(UsageError), LineageFile(Lake(str(tmp_path)), settings).stage(verb, [DAY]):
        raise UsageError("no such day")
    (found,) = json.loads(file.read_text())["inputs"]
    assert {**found, "name": found["name"].rpartition("/")[2]}.items() >= dataset.items()


def test_of_an_ingest(tmp_path: Path) -> None:
    hours, file = tmp_path / "hours", tmp_path / "told.json"
    hours.mkdir()
    write_hour(hours, opened(), b"{broken")
    lake = Lake(str(tmp_path / "lake"))
    settings = Settings(
        source=Source(hours=str(hours)), lake=LakeSettings(root=lake.root), lineage=Lineage(file=str(file))
    )

    with LineageFile(lake, settings).stage("extract", [DAY]) as record:
        record.result = outcome = extract.run(lake, settings, [DAY])[0]
    told = json.loads(file.read_text())
    (source,), (issues, health, quarantine) = told["inputs"], told["outputs"]
    assert source == {
        "namespace": "file",
        "name": f"{hours}/2015-01-03",
        "locations": [f"{hours}/2015-01-03-5.json.gz"],
    }
    names = [dataset["name"] for dataset in (issues, health, quarantine)]
    assert names == [f"{lake.root}/issues_v1", f"{lake.root}/source_health_v1", f"{lake.root}/quarantine"]
    assert issues["version"] == outcome.manifests[0].batch_id

    with LineageFile(lake, settings).stage("clean", [DAY]) as record:
        record.result = clean.run(lake, settings, [str(DAY)])
    told = json.loads(file.read_text())
    (read,), (tokens,) = told["inputs"], told["outputs"]
    assert (read["name"], read["version"]) == (issues["name"], issues["version"])
    assert (tokens["name"], tokens["statistics"]["rowCount"]) == (f"{lake.root}/tokens_v1", 1)


def test_nobody_is_told_unless_the_setting_says_where(
    built: Built, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = built.settings.model_copy(update={"lineage": Lineage()})
    with LineageFile(built.lake, settings).stage("promote", built.model) as record:
        record.result = {"moved": True}
    assert not Path(built.settings.lineage.file).exists()
    assert capsys.readouterr().err == ""


def test_what_cannot_be_told_fails_nothing(built: Built, capsys: pytest.CaptureFixture[str]) -> None:
    settings = built.settings.model_copy(
        update={"lineage": Lineage(file=f"{built.lake.root}/no/such/folder")}
    )
    with LineageFile(built.lake, settings).stage("promote", built.model) as record:
        record.result = {"moved": True}
    assert capsys.readouterr().err.startswith(
        "titler: The lineage of promote could not be recorded: [Errno 2]"
    )
