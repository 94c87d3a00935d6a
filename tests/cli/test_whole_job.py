"""The whole job on the generated sample with a small network, through the same functions as the verbs."""

import contextlib
import dataclasses
import getpass
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from mlflow import MlflowClient

from pipeline import sample
from pipeline.cli import whole_job
from pipeline.cli.options import Context
from pipeline.contracts import EMBEDDINGS, ISSUES, SIMILAR_ISSUES, SOURCE_HEALTH, TITLE_PREDICTIONS
from pipeline.errors import StoppedError, UsageError
from pipeline.index.release_index import read_items
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned, pinned_names
from pipeline.releases.current import POINTER, current_release_id
from pipeline.serving import queries
from pipeline.serving import status as serving_status
from pipeline.settings import Compute, Index, LakeSettings, Model, Settings, Source, Text
from pipeline.stages import (
    clean,
    collect,
    embed,
    evaluate,
    extract,
    index,
    plan,
    predict,
    promote,
    publish,
    train,
    vectorize,
    vocab,
)
from pipeline.tracking import open_tracking

ONE, TWO, THREE, FOUR = (date(2024, 1, day) for day in range(1, 5))
LATER = datetime.now(UTC) + timedelta(days=30)


@pytest.fixture(scope="module")
def hours(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("hours")
    sample.write(folder, days=4, seed=1, issues_per_day=150)
    return folder


@pytest.fixture(scope="module")
def settings(hours, tmp_path_factory) -> Settings:
    return Settings(
        source=Source(hours=str(hours)),
        lake=LakeSettings(root=str(tmp_path_factory.mktemp("lake"))),
        compute=Compute(workers=2),
        text=Text(subwords=600, body_units=64),
        model=Model(
            embedding_size=24,
            hidden_size=24,
            contrast_epochs=1,
            epochs=2,
            batch_size=64,
            learning_rate=0.01,
            sample_titles=5,
        ),
        index=Index(trees=20),
    )


@pytest.fixture(scope="module")
def lake(settings) -> Lake:
    return Lake(settings.lake.root)


@pytest.fixture(scope="module")
def published(lake, settings) -> Lake:
    """Two days in, a model trained and promoted, a release current."""
    whole_job.run(Context.of(settings), [ONE, TWO], retrain=False, variant=None, epochs=None)
    return lake


def opened_in(path: Path) -> Iterator[int]:
    """Ids of the issues opened in an hour file, read with nothing of Titler's."""
    for line in gzip.decompress(path.read_bytes()).splitlines():
        with contextlib.suppress(ValueError, TypeError, AttributeError):
            event = json.loads(line)
            if event.get("type") == "IssuesEvent" and event["payload"]["action"] == "opened":
                yield event["payload"]["issue"]["id"]


def query(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(settings.warehouse_path, read_only=True) as connection:
        return connection.sql(sql).fetchall()


def test_every_opened_issue_has_one_title_whoever_its_model_and_source(published, settings, hours):
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
        "SELECT issue_url, source_day, issues_batch, model, model_version FROM title_predictions ORDER BY issue_id LIMIT 1",
    )[0]
    manifest = published.manifest(f"{ISSUES.name}/day={day}/{batch}")
    assert url in published.read(manifest, ISSUES).column("issue_url").to_pylist()
    assert (model, version) == (serving_status.status(published, settings)["model"]["name"], "1")


def test_a_neighbour_was_there_before(published, settings):
    younger = """
        SELECT COUNT(*) FROM similar_issues AS s
        JOIN title_predictions AS a ON a.issue_id = s.issue_id
        JOIN title_predictions AS b ON b.issue_id = s.similar_issue_id
        WHERE (b.created_at, b.issue_id) >= (a.created_at, a.issue_id)
    """
    assert query(settings, younger) == [(0,)]
    assert query(settings, "SELECT COUNT(*) FROM similar_issues")[0][0] > 500


def test_the_same_stages_again_do_nothing(published, settings):
    days = [ONE.isoformat(), TWO.isoformat()]
    name = current_release_id(published)
    assert name is not None
    current = Pinned(published, "releases", name)
    assert extract.run(published, settings, [ONE, TWO])[0].made == 0
    assert clean.run(published, settings, days).made == 0
    assert vectorize.run(published, settings, current).made == 0
    assert embed.run(published, current).made == 0
    assert predict.run(published, current).made == 0


def test_a_second_refresh_with_nothing_new_opens_no_release(published, settings):
    planned = plan.run(published, settings, Pinned(published, "releases", "second"))
    assert (planned.plan, planned.reason) == (
        None,
        f"nothing is new since release {current_release_id(published)}",
    )
    assert "second" not in pinned_names(published, "releases")


def test_an_issue_answers_with_its_neighbours_and_a_text_too(published, settings):
    url = query(settings, "SELECT issue_url FROM similar_issues ORDER BY issue_id LIMIT 1")[0][0]
    found = queries.similar(published, settings, url, 3)
    assert len(found) == 3
    assert url not in [row["issue_url"] for row in found]
    assert list(found[0]) == ["issue_url", "title", "distance", "near_duplicate"]
    assert found == sorted(found, key=lambda row: row["distance"])
    assert len(queries.similar(published, settings, "the parser crashes when the file is empty", 2)) == 2


def test_an_issue_without_a_body_has_neighbours_by_its_title_and_no_title_is_made_up_for_it(
    published, settings
):
    name = current_release_id(published)
    assert name is not None
    pinned = Pinned(published, "releases", name)
    rows = published.read(pinned.issues(pinned.plan.days[0]), ISSUES).to_pylist()
    url = next(row["issue_url"] for row in rows if row["body"] is None)
    assert len(queries.similar(published, settings, url, 3)) == 3
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
    assert [row["near_duplicate"] for row in queries.similar(published, wide, url, 3)] == [True] * 3
    own = queries.similar(published, settings, url, 3)
    assert [row["near_duplicate"] for row in own] == [row["distance"] < 0.7 for row in own]


def test_a_title_comes_with_its_confidence(published):
    answer = queries.title(published, "the scheduler crashes after the upgrade and nothing helps")
    assert list(answer) == ["title", "confidence", "abstained"]
    assert 0 <= answer["confidence"] <= 1
    assert answer["abstained"] == (answer["title"] == "")


def test_an_unknown_issue_is_one_clear_error(published, settings):
    with pytest.raises(UsageError, match="issues/1 is not in release"):
        queries.similar(published, settings, "https://github.com/no/one/issues/1", 3)


def test_the_following_day_is_embedded_alone_and_rollback_goes_back(published, settings, monkeypatch):
    before = current_release_id(published)
    assert before is not None
    old = query(settings, "SELECT issue_id, predicted_title FROM title_predictions ORDER BY issue_id")
    monkeypatch.setattr(
        whole_job, "new_id", lambda: "20991231T000000Z"
    )  # a name of its own within the same second
    whole_job.run(Context.of(settings), [THREE], retrain=False, variant=None, epochs=None)
    now = Pinned(published, "releases", "20991231T000000Z")
    assert current_release_id(published) == now.name
    first = Pinned(published, "releases", before)
    for table, verb in (
        (EMBEDDINGS.name, "embed"),
        (TITLE_PREDICTIONS.name, "predict"),
        (SIMILAR_ISSUES.name, "index"),
    ):
        assert [m.batch_id for m in now.members[table]][:2] == [m.batch_id for m in first.members[table]]
        assert len(now.members[table]) == 3
    publish.rollback(published, settings, before)
    assert query(settings, "SELECT issue_id, predicted_title FROM title_predictions ORDER BY issue_id") == old
    statuses = dict(query(settings, "SELECT release_id, status FROM releases"))
    assert statuses == {before: "current", now.name: "rolled_back"}
    publish.rollback(published, settings, now.name)
    assert current_release_id(published) == now.name


def collapsed(lake: Lake, settings: Settings, source: Pinned, name: str) -> Pinned:
    """A release like `source`, whose first day has collapsed."""
    why = "31 issues where 412 are usual for a Monday"
    figures = {
        **source.members[SOURCE_HEALTH.name][0].figures,
        "verdict": "collapsed",
        "usual_issues": 412,
        "reason": why,
    }
    draft = lake.draft(SOURCE_HEALTH.name, {"day": ONE.isoformat()}, ("collapsed",))
    draft.write_table(
        "part-00000.parquet",
        pa.Table.from_pylist([{**figures, "day": ONE}], schema=SOURCE_HEALTH.schema),
        SOURCE_HEALTH,
    )
    health = draft.commit(figures)
    extract.run(lake, settings, [ONE])  # the day itself stays as it is
    first, *others = source.plan.days
    pinned = Pinned(lake, "releases", name)
    pinned.open(
        [dataclasses.replace(first, health=health.folder, health_digest=health.digest), *others],
        source.plan.facts,
    )
    for table in ("issues_v1", "embeddings_v1", "title_predictions_v1", "similar_issues_v1", "index"):
        pinned.members.put(table, source.members[table])
    pinned.members.put(SOURCE_HEALTH.name, [health, *source.members[SOURCE_HEALTH.name][1:]])
    return pinned


def test_a_collapsed_day_stops_a_release_until_someone_takes_it_and_then_stays_taken(published, settings):
    name = current_release_id(published)
    assert name is not None
    source = Pinned(published, "releases", name)
    before = datetime.now(UTC).replace(microsecond=0)
    stopped = collapsed(published, settings, source, "stopped")
    with pytest.raises(StoppedError) as told:
        publish.run(published, settings, stopped, {})
    assert str(told.value).splitlines() == [
        "2024-01-01: 31 issues where 412 are usual for a Monday (24 of 24 hours found), "
        "so the day has collapsed and stops release stopped.",
        "See what the source gave:  titler status --day 2024-01-01",
        "Fetch it again:            titler extract --day 2024-01-01 --again; then clean it and plan another release",
        'Accept it as it is:        titler publish --release stopped --accept 2024-01-01 --because "..."',
    ]
    assert told.value.event == "stopped/2024-01-01=838"  # the day and its events, whichever release it stops
    assert current_release_id(published) == name
    publish.run(published, settings, stopped, {"2024-01-01": "a holiday"})
    publish.run(published, settings, collapsed(published, settings, source, "the-night-after"), {})
    rows = dict(query(settings, "SELECT release_id, accepted FROM releases"))
    taken, later = (json.loads(rows[release_id]) for release_id in ("stopped", "the-night-after"))
    assert taken == later
    assert [(one["day"], one["because"], one["by"]) for one in taken] == [
        ("2024-01-01", "a holiday", getpass.getuser())
    ]
    assert before <= datetime.fromisoformat(taken[0]["at"]) <= datetime.now(UTC)
    publish.rollback(published, settings, name)


def test_publishing_a_release_that_others_have_followed_is_refused(published, settings):
    now = current_release_id(published)
    with pytest.raises(UsageError, match="To go back: titler rollback stopped"):
        publish.run(
            published, settings, Pinned(published, "releases", "stopped"), {"2024-01-01": "a holiday"}
        )
    assert publish.current(published, settings) == now


def test_the_row_decides_and_a_lost_pointer_is_set_again(published, settings):
    now = current_release_id(published)
    published.put_json(POINTER, {"release_id": "stopped"})
    assert publish.current(published, settings) == now
    assert current_release_id(published) == now


def test_a_day_that_is_being_ingested_again_stays_in_the_release_as_it_was(published, settings):
    day = {"day": TWO.isoformat()}
    before = published.current(ISSUES.name, day)
    assert before is not None
    changed = settings.model_copy(update={"text": settings.text.model_copy(update={"min_body_words": 30})})
    assert extract.run(published, changed, [TWO])[0].made == 1
    planned = plan.run(published, settings, Pinned(published, "releases", "between"))
    assert (planned.plan, planned.days_as_before, planned.days_not_ready) == (None, (TWO.isoformat(),), ())
    assert extract.run(published, settings, [TWO])[0].made == 0
    assert published.current(ISSUES.name, day) == before
    assert plan.run(published, settings, Pinned(published, "releases", "after")).days_as_before == ()


def test_a_plan_cut_off_before_its_members_were_named_is_completed(published, settings):
    name = current_release_id(published)
    assert name is not None
    source = Pinned(published, "releases", name).plan
    cut = Pinned(published, "releases", "cut")
    cut.open(source.days, source.facts)
    assert SOURCE_HEALTH.name not in cut.members
    plan.run(published, settings, cut)
    assert len(cut.members[SOURCE_HEALTH.name]) == len(source.days)


def test_the_oldest_issues_have_all_their_elders_as_neighbours(published, settings):
    ages = query(settings, "SELECT issue_id FROM similar_issues GROUP BY issue_id HAVING COUNT(*) < 10")
    name = current_release_id(published)
    assert name is not None
    ids = read_items(published, Pinned(published, "releases", name).members["index"][0])
    oldest = (
        ids.sort_by([("created_at", "ascending"), ("issue_id", "ascending")])
        .column("issue_id")
        .to_pylist()[1:10]
    )
    assert sorted(row[0] for row in ages) == sorted(oldest)


def test_an_index_with_too_low_a_recall_stores_no_neighbours(published, settings):
    name = current_release_id(published)
    assert name is not None
    source = Pinned(published, "releases", name)
    low = Pinned(published, "releases", "low")
    low.open(source.plan.days, source.plan.facts)
    low.members.put(EMBEDDINGS.name, source.members[EMBEDDINGS.name])
    with pytest.raises(StoppedError, match=r"recall@10 is 0\.\d+ over 200 issues, expected at least 0\.99"):
        index.run(published, low, Index(trees=1, search_k=1, min_recall=0.99))
    assert SIMILAR_ISSUES.name not in low.members
    assert index.run(published, low, Index(trees=20)).figures["recall_at_10"] > 0.9


def test_a_worse_model_is_promoted_only_by_force_and_the_former_champion_is_kept(published, settings):
    former = serving_status.status(published, settings)["model"]["name"]
    challenger = Pinned(published, "models", "challenger")
    asked = vocab.ModelRequest("2024-01-01", "2024-01-02", epochs=1)
    vocab.run(published, settings, challenger, asked)
    with pytest.raises(UsageError, match="challenger is open already"):
        vocab.run(published, settings, challenger, vocab.ModelRequest(epochs=2))
    assert (
        vocab.run(published, settings, challenger, vocab.ModelRequest()).rows
        == vocab.run(published, settings, challenger, asked).rows
    )
    vectorize.run(published, settings, challenger)
    train.run(published, settings, challenger)
    with pytest.raises(UsageError, match="challenger was not evaluated"):
        promote.run(published, settings, challenger)
    figures = evaluate.run(published, settings, challenger)
    assert figures["champion"] == former
    near = figures["retrieval"]
    equal = {
        **figures,
        "rougeL": figures["champion_rougeL"] - 0.5,
        "retrieval": {**near, "recall_at_10": near["champion_recall_at_10"]},
    }
    for worse, told in (
        (
            {"rougeL": figures["champion_rougeL"] - 5},
            r"ROUGE-L .* where it has .* 0\.5 less is allowed \(model\.promotion_margin\)\.",
        ),
        (
            {"retrieval": {**near, "recall_at_10": near["champion_recall_at_10"] - 0.03}},
            r"R@10 -?\d\.\d{3} among \d+ .* 0\.02 less is allowed \(model\.promotion_retrieval_margin\)\.",
        ),
    ):
        challenger.notes[evaluate.EVALUATION] = {**equal, **worse}
        with pytest.raises(
            promote.WorseError, match=rf"challenger is worse than the champion {former}: {told}"
        ):
            promote.run(published, settings, challenger)
    challenger.notes[evaluate.EVALUATION] = {
        name: value for name, value in equal.items() if name != "retrieval"
    }
    with pytest.raises(
        UsageError, match="challenger was evaluated by an earlier Titler, which did not measure retrieval"
    ):
        promote.run(published, settings, challenger)
    assert serving_status.status(published, settings)["model"]["name"] == former
    assert promote.run(published, settings, challenger, force_because="a test")["moved"]
    tracking = open_tracking(settings, published)
    assert [version.model for version in tracking.champion_and_previous()] == ["challenger", former]
    tracking.promote(former)
    challenger.notes[evaluate.EVALUATION] = equal
    assert promote.run(published, settings, challenger)["moved"]
    tracking.promote(former)


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


def test_a_run_holds_all_that_its_model_was_made_of(published, settings):
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
            "sample_titles.json",
            "settings.json",
            "vocabulary",
        ),
    ]


def test_a_run_says_what_its_model_is_worth_and_what_it_took(published, settings):
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


def test_a_model_gives_only_the_titles_that_keep_to_the_precision_asked_for(published, settings):
    careful = settings.model_copy(
        update={"model": settings.model.model_copy(update={"abstain_precision": 0.5})}
    )
    model = Pinned(published, "models", "careful")
    vocab.run(published, careful, model, vocab.ModelRequest())
    vectorize.run(published, careful, model)
    manifest = train.run(published, careful, model)
    figures = evaluate.run(published, careful, model)
    least, sure = manifest.figures["abstain_below"], figures["confidence"]
    assert sure["abstain_below"] == least > 0
    assert sure["alike"] < 0.5
    assert (figures["abstained"] == 1) == (sure["alike_given"] is None)
    assert sure["alike_given"] is None or sure["alike_given"] >= 0.5
    assert 0 < figures["abstained"] <= 1


def test_collect_removes_what_nobody_names_and_readers_notice_nothing(published, settings):
    current = current_release_id(published)
    rows = query(settings, "SELECT issue_id, predicted_title FROM title_predictions ORDER BY issue_id")
    orphan = published.draft(ISSUES.name, {"day": "2024-01-01"})
    orphan.write_file("part-00000.parquet", b"never committed")
    assert collect.run(published, settings).batches == 0  # all is younger than the grace
    tight = settings.model_copy(update={"release": settings.release.model_copy(update={"keep": 1})})
    collected = collect.run(published, tight, now=LATER)
    assert collected.batches >= 1
    assert pinned_names(published, "releases") == [current]
    assert (
        query(settings, "SELECT issue_id, predicted_title FROM title_predictions ORDER BY issue_id") == rows
    )
    assert collect.run(published, tight, now=LATER).batches == 0
    assert queries.similar(published, settings, "the parser crashes when the file is empty", 2)


def test_extraction_again_of_the_same_hours_changes_nothing_downstream(published, settings):
    before = published.current(ISSUES.name, {"day": ONE.isoformat()})
    outcome, _ = extract.run(published, settings, [ONE], again=True)
    assert before is not None
    assert outcome.made == 1
    assert outcome.manifests[0].digest == before.digest
    assert clean.run(published, settings, [ONE.isoformat()]).made == 0
    assert plan.run(published, settings, Pinned(published, "releases", "again")).plan is None


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


def test_embeddings_are_published_where_the_settings_say_so(published, settings, monkeypatch):
    counts = "SELECT (SELECT COUNT(*) FROM title_predictions), (SELECT COUNT(*) FROM embeddings), (SELECT MAX(LEN(embedding)) FROM embeddings)"
    name = current_release_id(published)
    assert name is not None
    issues = query(settings, counts)[0][0]
    assert query(settings, counts) == [(issues, 0, None)]
    with_embeddings = settings.model_copy(
        update={"warehouse": settings.warehouse.model_copy(update={"embeddings": True})}
    )
    publish.run(published, with_embeddings, Pinned(published, "releases", name), {})
    assert query(settings, counts) == [(issues, issues, 24)]
    monkeypatch.setattr(whole_job, "new_id", lambda: "29991231T000000Z")
    whole_job.run(Context.of(with_embeddings), [FOUR], retrain=False, variant=None, epochs=None)
    more = query(settings, counts)[0][0]
    assert more > issues
    assert query(settings, counts) == [(more, more, 24)]
    assert query(settings, "SELECT DISTINCT release_id FROM embeddings") == [("29991231T000000Z",)]
