"""The result of the whole job on the generated sample, with a small network: lake, warehouse and MLflow."""

import contextlib
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from pipeline.contracts import ISSUES
from pipeline.errors import UsageError
from pipeline.index.release_days import days_of_release, read_items
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned, pinned_names
from pipeline.releases.current import current_release_id, require_current
from pipeline.serving import queries
from pipeline.serving import status as serving_status
from pipeline.serving.queries import SimilarQuery
from pipeline.settings import Settings
from pipeline.stages import plan
from pipeline.tracking import open_tracking
from tests.support.lakes import query

ONE, TWO = date(2024, 1, 1), date(2024, 1, 2)


@pytest.fixture
def settings(shared_settings: Settings) -> Settings:
    return shared_settings


@pytest.fixture
def hours(settings: Settings) -> Path:
    return Path(settings.source.bases[0].base)


@pytest.fixture
def published(settings: Settings) -> Lake:
    """A lake with two days, a champion and a release. The tests of this file only read it."""
    return Lake(settings.lake.root)


def opened_in(path: Path) -> Iterator[int]:
    """Ids of the issues opened in an hour file, read without Titler."""
    for line in gzip.decompress(path.read_bytes()).splitlines():
        with contextlib.suppress(ValueError, TypeError, AttributeError):
            event = json.loads(line)
            if event.get("type") == "IssuesEvent" and event["payload"]["action"] == "opened":
                yield event["payload"]["issue"]["id"]


def test_every_opened_issue_has_one_title(published, settings, hours):
    opened = {issue_id for path in hours.glob("2024-01-0[12]-*.json.gz") for issue_id in opened_in(path)}
    issues = [row[0] for row in query(settings, "SELECT issue_id FROM title_predictions")]
    assert sorted(issues) == sorted(opened)
    status = serving_status.status(published, settings)
    assert status["release"]["issues"] == len(issues)
    assert [day["verdict"] for day in status["days"]] == ["complete", "complete"]
    assert query(
        settings, "SELECT COUNT(*) FROM title_predictions WHERE abstained <> (predicted_title = '')"
    ) == [(0,)]


def test_a_row_leads_back_to_its_model_and_its_source(published, settings):
    url, day, batch, model, version = query(
        settings,
        """
        SELECT issue_url, source_day, issues_batch, model, model_version
        FROM title_predictions ORDER BY issue_id LIMIT 1
        """,
    )[0]
    manifest = published.manifest(f"{ISSUES.name}/day={day}/{batch}")
    assert url in published.read(manifest, ISSUES).column("issue_url").to_pylist()
    assert (model, version) == (serving_status.status(published, settings)["model"]["name"], "1")


def test_every_neighbour_is_older(published, settings):
    younger = """
        SELECT COUNT(*) FROM similar_issues AS s
        JOIN title_predictions AS a ON a.issue_id = s.issue_id
        JOIN title_predictions AS b ON b.issue_id = s.similar_issue_id
        WHERE (b.created_at, b.issue_id) >= (a.created_at, a.issue_id)
    """
    assert query(settings, younger) == [(0,)]
    assert query(settings, "SELECT COUNT(*) FROM similar_issues")[0][0] > 500


def test_a_second_refresh_with_nothing_new_opens_no_release(published, settings):
    planned = plan.run(published, settings, Pinned(published, "releases", "second"))
    assert (planned.plan, planned.reason) == (
        None,
        f"nothing is new since release {current_release_id(published)}",
    )
    assert "second" not in pinned_names(published, "releases")


def test_an_issue_answers_with_its_neighbours_and_a_text_too(published, settings):
    url = query(settings, "SELECT issue_url FROM similar_issues ORDER BY issue_id LIMIT 1")[0][0]
    found = queries.similar(published, settings, SimilarQuery(url, everywhere=True), 3)
    assert len(found) == 3
    assert url not in [row["issue_url"] for row in found]
    assert list(found[0]) == [
        *("issue_url", "title", "distance", "near_duplicate", "list", "probability", "suggested"),
        *("words_in_common", "title_overlap", "age_days", "similar_text", "group_size"),
    ]
    assert found == sorted(found, key=lambda row: -row["probability"])
    assert (
        len(
            queries.similar(published, settings, SimilarQuery("the parser crashes when the file is empty"), 2)
        )
        == 2
    )


def test_an_issue_answers_with_two_lists_and_a_text_with_the_one_of_its_repository_if_it_is_named(
    published, settings
):
    url, repo = query(
        settings,
        "SELECT issue_url, repo FROM near_duplicates ORDER BY issue_id LIMIT 1",
    )[0]
    both = queries.similar(published, settings, SimilarQuery(url), 2)
    own = queries.similar(published, settings, SimilarQuery(url, same_repo=True), 2)
    anywhere = queries.similar(published, settings, SimilarQuery(url, everywhere=True), 2)
    assert [row["list"] for row in both] == ["repository"] * len(own) + ["everywhere"] * 2
    assert both == own + anywhere
    text = "the parser crashes when the file is empty"
    of_text = queries.similar(published, settings, SimilarQuery(text, repo=repo.upper()), 2)
    assert {(row["list"], row["issue_url"].split("/issues/")[0]) for row in of_text} == {
        ("repository", f"https://github.com/{repo}")
    }
    assert {row["list"] for row in queries.similar(published, settings, SimilarQuery(text), 2)} == {
        "everywhere"
    }


def test_a_draft_is_compared_by_its_title_and_its_body(published, settings):
    url, title = query(settings, "SELECT issue_url, title FROM near_duplicates ORDER BY issue_id LIMIT 1")[0]
    rows = [
        row
        for day in require_current(published).members[ISSUES.name]
        for row in published.read(day, ISSUES).to_pylist()
        if row["issue_url"] == url
    ]
    draft = SimilarQuery(rows[0]["body"], title)
    (nearest,) = queries.similar(published, settings, draft, 1)
    assert (nearest["issue_url"], nearest["distance"]) == (url, pytest.approx(0, abs=0.02))
    without_title = queries.similar(published, settings, SimilarQuery(rows[0]["body"]), 1)[0]
    assert without_title["distance"] > nearest["distance"] + 0.02


def test_an_issue_answers_with_the_nearest_issues_of_its_repository(published, settings):
    url = query(settings, "SELECT issue_url FROM near_duplicates ORDER BY issue_id LIMIT 1")[0][0]
    found = queries.similar(published, settings, SimilarQuery(url, same_repo=True), 3)
    repository = url.rpartition("/issues/")[0]
    assert [row["issue_url"].rpartition("/issues/")[0] for row in found] == [repository] * len(found)
    assert url not in [row["issue_url"] for row in found]
    with pytest.raises(UsageError, match="--same-repo needs the URL of an issue"):
        queries.similar(published, settings, SimilarQuery("the parser crashes", same_repo=True), 3)


def test_an_issue_without_a_body_has_neighbours_by_its_title_and_no_title_is_made_up_for_it(
    published, settings
):
    name = current_release_id(published)
    assert name is not None
    pinned = Pinned(published, "releases", name)
    rows = published.read(pinned.issues(pinned.plan.days[0]), ISSUES).to_pylist()
    url = next(row["issue_url"] for row in rows if row["body"] is None)
    assert len(queries.similar(published, settings, SimilarQuery(url, everywhere=True), 3)) == 3
    found = query(
        settings, f"SELECT predicted_title, abstained FROM title_predictions WHERE issue_url = '{url}'"
    )
    assert found == [("", True)]


def test_a_near_duplicate_is_nearer_than_the_networks_own_distance_or_than_what_is_set(published, settings):
    assert query(
        settings, "SELECT COUNT(*) FROM similar_issues WHERE near_duplicate <> (distance < 0.7)"
    ) == [(0,)]
    url = query(settings, "SELECT issue_url FROM similar_issues WHERE NOT near_duplicate LIMIT 1")[0][0]
    wide = settings.model_copy(
        update={"index": settings.index.model_copy(update={"near_duplicate_distance": 3})}
    )
    anywhere = SimilarQuery(url, everywhere=True)
    assert [row["near_duplicate"] for row in queries.similar(published, wide, anywhere, 3)] == [True] * 3
    own = queries.similar(published, settings, anywhere, 3)
    assert [row["near_duplicate"] for row in own] == [row["distance"] < 0.7 for row in own]


def test_a_title_comes_with_its_confidence(published):
    answer = queries.title(published, "the scheduler crashes after the upgrade and nothing helps")
    assert list(answer) == ["title", "confidence", "abstained", "withheld", "probability"]
    assert 0 <= answer["probability"] <= 1
    assert 0 <= answer["confidence"] <= 1
    assert answer["abstained"] == (answer["title"] == "")


def test_an_unknown_issue_is_one_clear_error(published, settings):
    with pytest.raises(UsageError, match="issues/1 is not in release"):
        queries.similar(published, settings, SimilarQuery("https://github.com/no/one/issues/1"), 3)


def test_the_oldest_issues_have_all_older_issues_as_neighbours(published, settings):
    shorter = "SELECT issue_id FROM similar_issues WHERE list = 'everywhere' GROUP BY 1 HAVING COUNT(*) < 10"
    ages = query(settings, shorter)
    name = current_release_id(published)
    assert name is not None
    release = Pinned(published, "releases", name)
    size = published.manifest(release.plan.facts["predictor"]).figures["hidden_size"]
    items, _ = read_items(published, days_of_release(release), size)
    oldest = (
        items.sort_by([("created_at", "ascending"), ("issue_id", "ascending")])
        .column("issue_id")
        .to_pylist()[1:10]
    )
    assert sorted(row[0] for row in ages) == sorted(oldest)


def run_of(lake: Lake, settings: Settings, model: str) -> tuple[Any, Path]:
    """A model's run in MLflow, and the folder of its artifacts."""
    manifest = Pinned(lake, "models", model).members["predictor"][0]
    client = MlflowClient(open_tracking(settings, lake).uri)
    run = client.get_run(manifest.figures["mlflow_run"])
    return run, Path(run.info.artifact_uri.removeprefix("file://"))


def rows_of(file: Path) -> list[dict[str, Any]]:
    """One of MLflow's tables."""
    table = json.loads(file.read_text())
    return [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]


def test_a_run_lists_the_days_batches_and_settings_of_its_model(published, settings):
    name = serving_status.status(published, settings)["model"]["name"]
    run, artifacts = run_of(published, settings, name)
    model = Pinned(published, "models", name)
    plan = model.plan
    vectors, vocabulary = model.members["vectors_v1"], model.members["vocabulary"]
    assert [(row["day"], row["tokens_digest"]) for row in rows_of(artifacts / "days.json")] == [
        (day.day, day.tokens_digest) for day in plan.days
    ]
    assert [
        (row["table"], row["batch_id"], row["digest"]) for row in rows_of(artifacts / "batches.json")
    ] == [(batch.table, batch.batch_id, batch.digest) for batch in (*vocabulary, *vectors)]
    shown = json.loads((artifacts / "settings.json").read_text())
    assert (shown["model"], shown["text"], shown["index"]["trees"]) == (
        plan.facts["model"],
        plan.facts["text"],
        20,
    )
    assert run.data.tags["titler.version"]
    assert sorted(path.name for path in artifacts.iterdir()) == [
        *(
            "batches.json",
            "confidence.json",
            "confidence.png",
            "days.json",
            "losses.png",
            "reliability.json",
            "reliability.png",
            "sample_titles.json",
            "settings.json",
            "vocabulary",
        ),
    ]


def test_a_run_has_the_models_scores_time_and_memory(published, settings):
    name = serving_status.status(published, settings)["model"]["name"]
    run, artifacts = run_of(published, settings, name)
    found = run.data.metrics
    issues = found["titles/issues"]
    assert found["retrieval/issues"] == issues
    assert (
        0
        <= found["retrieval/recall_at_1"]
        <= found["retrieval/recall_at_5"]
        <= found["retrieval/recall_at_10"]
        <= 1
    )
    assert found["retrieval/floor_recall_at_10"] > 10 / issues  # words that both share are better than chance
    assert (
        sum(row["titles"] for row in rows_of(artifacts / "confidence.json"))
        == found["titles_confidence/titles"]
        <= issues
    )
    assert (
        sum(row["titles"] for row in rows_of(artifacts / "reliability.json"))
        == found["titles_probability/titles"]
    )
    assert 0 <= found["titles_probability/brier"] <= 1
    client = MlflowClient(open_tracking(settings, published).uri)
    epochs = [
        client.get_metric_history(run.info.run_id, f"{group}/seconds") for group in ("contrast", "train")
    ]
    assert [len(history) for history in epochs] == [1, 2]
    assert found["usage/train_seconds"] == pytest.approx(
        sum(metric.value for history in epochs for metric in history)
    )
    took = (
        "train_issues_a_second",
        "train_peak_mib",
        "evaluate_issues_a_second",
        "evaluate_peak_mib",
        "evaluate_seconds",
    )
    assert all(found[f"usage/{name}"] > 0 for name in took)


def test_the_command_answers_in_json_and_refuses_in_one_line(published, settings, hours):
    def titler(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "TITLER_LAKE__ROOT": settings.lake.root,
            "TITLER_SOURCE__HOURS": str(hours),
        }
        return subprocess.run(
            [sys.executable, "-m", "pipeline.cli", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    status = titler("status", "--json")
    assert json.loads(status.stdout)["release"]["id"] == current_release_id(published)
    assert status.returncode == 0
    nothing = titler("similar", "https://github.com/no/one/issues/1")
    assert (nothing.returncode, nothing.stdout) == (2, "")
    assert "Traceback" not in nothing.stderr
    assert titler("nosuch").returncode == 2
    assert titler("extract", "--from", "2024-01-02", "--to", "2024-01-01").returncode == 2


def test_the_record_of_a_release_says_how_often_its_model_abstained_and_how_reliable_it_is(
    published, settings
):
    ((abstained, calibration),) = query(settings, "SELECT abstained, calibration FROM releases")
    ((rows, without),) = query(settings, "SELECT COUNT(*), COUNT_IF(abstained) FROM title_predictions")
    assert abstained == pytest.approx(
        without / rows, abs=0.01
    )  # it also counts issues that were opened twice
    model = serving_status.status(published, settings)["model"]["name"]
    figures = Pinned(published, "models", model).members["predictor"][0].figures["calibration"]
    assert json.loads(calibration) == figures
    assert figures["method"] in ("platt", "isotonic")
