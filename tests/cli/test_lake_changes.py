"""Changes of a lake that has a release: a new day, rollback, promotion, collection.

Each test changes its own copy of the lake.
"""

import dataclasses
import getpass
import json
import statistics
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from mlflow import MlflowClient

from pipeline.cli import whole_job
from pipeline.cli.options import Context
from pipeline.contracts import (
    DUPLICATE_MARKS,
    DUPLICATE_PAIRS,
    EMBEDDINGS,
    ISSUES,
    PREDICTOR,
    SEGMENTS,
    SIMILAR_ISSUES,
    SOURCE_HEALTH,
    TITLE_PREDICTIONS,
    VECTORS,
)
from pipeline.errors import StoppedError, UsageError
from pipeline.evaluation.model_figures import EVALUATION
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned, pinned_names
from pipeline.predictor.loading import load_predictor
from pipeline.releases.current import POINTER, current_release_id, require_current
from pipeline.releases.index_figures import INDEX_FIGURES
from pipeline.releases.withheld_titles import ACCEPTED
from pipeline.serving import queries
from pipeline.serving import releases as serving_releases
from pipeline.serving import status as serving_status
from pipeline.serving.queries import SimilarQuery
from pipeline.serving.similar_drafts import SearchScope, similar_of_file
from pipeline.settings import Release as ReleaseSettings
from pipeline.settings import Settings
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
from pipeline.telemetry import Recording, sending
from pipeline.tracking import open_tracking
from tests.support import lakes
from tests.support.collector import Collector
from tests.support.lakes import query
from tests.support.receivers import serving

LATER = datetime.now(UTC) + timedelta(days=30)
ONE, TWO, THREE, FOUR = (date(2024, 1, day) for day in range(1, 5))


@pytest.fixture
def settings(copied_settings: Settings) -> Settings:
    return copied_settings


@pytest.fixture
def published(settings: Settings) -> Lake:
    """A lake with two days, a champion and a release."""
    return Lake(settings.lake.root)


def test_the_same_stages_again_do_nothing(published, settings):
    days = [ONE.isoformat(), TWO.isoformat()]
    name = current_release_id(published)
    assert name is not None
    current = Pinned(published, "releases", name)
    assert extract.run(published, settings, [ONE, TWO])[0].made == 0
    assert clean.run(published, settings, days).made == 0
    assert vectorize.run(published, settings, current).made == 0
    assert embed.run(published, settings, current).made == 0
    assert predict.run(published, settings, current).made == 0


def test_only_the_new_day_is_embedded_and_rollback_restores_the_release_before(
    published, settings, monkeypatch
):
    before = current_release_id(published)
    assert before is not None
    old = query(settings, "SELECT issue_id, predicted_title FROM title_predictions ORDER BY issue_id")
    # In the same second the default name would be the same.
    monkeypatch.setattr(whole_job, "new_id", lambda: "20991231T000000Z")
    whole_job.run(Context.of(settings), [THREE], retrain=False, variant=None, epochs=None)
    now = Pinned(published, "releases", "20991231T000000Z")
    assert current_release_id(published) == now.name
    first = Pinned(published, "releases", before)
    for table in (EMBEDDINGS.name, TITLE_PREDICTIONS.name, SIMILAR_ISSUES.name, DUPLICATE_PAIRS.name):
        assert [m.batch_id for m in now.members[table]][:2] == [m.batch_id for m in first.members[table]]
        assert len(now.members[table]) == 3
    publish.rollback(published, settings, before)
    assert query(settings, "SELECT issue_id, predicted_title FROM title_predictions ORDER BY issue_id") == old
    statuses = dict(query(settings, "SELECT release_id, status FROM releases"))
    assert statuses == {before: "current", now.name: "rolled_back"}
    # A release that cannot be read does not stop a rollback to another one.
    published.put(first.file(f"members/{TITLE_PREDICTIONS.name}.json"), b"{")
    publish.rollback(published, settings, now.name)
    assert current_release_id(published) == now.name
    assert query(settings, "SELECT release_id, status FROM releases") == [(now.name, "current")]


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
    extract.run(lake, settings, [ONE])  # reuses the day's batch
    first, *others = source.plan.days
    pinned = Pinned(lake, "releases", name)
    pinned.open(
        [dataclasses.replace(first, health=health.folder, health_digest=health.digest), *others],
        source.plan.facts,
    )
    for table in (
        *("issues_v1", "vectors_v1", "embeddings_v1", "title_predictions_v1", "similar_issues_v2"),
        *(DUPLICATE_PAIRS.name, DUPLICATE_MARKS.name, SEGMENTS.name),
    ):
        pinned.members.put(table, source.members[table])
    pinned.notes[INDEX_FIGURES] = source.notes[INDEX_FIGURES]
    pinned.members.put(SOURCE_HEALTH.name, [health, *source.members[SOURCE_HEALTH.name][1:]])
    return pinned


def test_a_collapsed_day_stops_a_release_until_a_person_accepts_it_once(published, settings):
    name = current_release_id(published)
    assert name is not None
    source = Pinned(published, "releases", name)
    before = datetime.now(UTC).replace(microsecond=0)
    stopped = collapsed(published, settings, source, "stopped")
    with pytest.raises(StoppedError) as error:
        publish.run(published, settings, stopped, {})
    assert str(error.value).splitlines() == [
        "2024-01-01: 31 issues where 412 are usual for a Monday (24 of 24 hours found), "
        "so the day has collapsed and stops release stopped.",
        "See what the source gave:  titler status --day 2024-01-01",
        "Fetch it again:            titler extract --day 2024-01-01 --again; "
        "then clean it and plan another release",
        'Accept it as it is:        titler publish --release stopped --accept 2024-01-01 --because "..."',
    ]
    row = next(row for row in serving_releases.releases(published) if row["id"] == "stopped")
    assert (row["status"], row["stopped"]["reason"]) == ("stopped", error.value.message)
    assert error.value.event == "stopped/2024-01-01=838"  # the day and its events, without the release
    assert current_release_id(published) == name
    publish.run(published, settings, stopped, {"2024-01-01": "a holiday"})
    publish.run(published, settings, collapsed(published, settings, source, "the-night-after"), {})
    rows = dict(query(settings, "SELECT release_id, accepted FROM releases"))
    first, next_night = (json.loads(rows[release_id]) for release_id in ("stopped", "the-night-after"))
    assert first == next_night
    assert [(accepted["day"], accepted["because"], accepted["by"]) for accepted in first] == [
        ("2024-01-01", "a holiday", getpass.getuser())
    ]
    assert before <= datetime.fromisoformat(first[0]["at"]) <= datetime.now(UTC)


def publish_collapsed(lake: Lake, settings: Settings, source: Pinned, name: str) -> None:
    """Publishes a release like `source`, whose first day has collapsed and is accepted."""
    publish.run(lake, settings, collapsed(lake, settings, source, name), {"2024-01-01": "a holiday"})


def test_publishing_a_release_that_is_older_than_the_current_one_is_refused(published, settings):
    source = require_current(published)
    publish_collapsed(published, settings, source, "older")
    publish_collapsed(published, settings, source, "newer")
    with pytest.raises(UsageError, match=r"To make release .* current again: titler rollback older"):
        publish.run(published, settings, Pinned(published, "releases", "older"), {"2024-01-01": "a holiday"})
    assert publish.current(published, settings) == "newer"


def test_a_pointer_that_differs_from_the_warehouses_row_is_corrected(published, settings):
    source = require_current(published)
    publish_collapsed(published, settings, source, "current")
    published.put_json(POINTER, {"release_id": source.name})
    assert publish.current(published, settings) == "current"
    assert current_release_id(published) == "current"


def test_a_day_that_was_extracted_again_but_not_cleaned_stays_in_the_release_as_before(published, settings):
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


CHALLENGER = vocab.ModelRequest("2024-01-01", "2024-01-02", epochs=1)


@pytest.fixture(scope="module")
def trained_settings(built_settings, tmp_path_factory) -> Settings:
    """The settings of a lake with a second model, `challenger`, trained to abstain and evaluated."""
    copied = lakes.copy_lake(built_settings, tmp_path_factory.mktemp("trained") / "lake")
    settings = copied.model_copy(update={"model": copied.model.model_copy(update={"abstain_precision": 0.5})})
    lake = Lake(settings.lake.root)
    challenger = Pinned(lake, "models", "challenger")
    vocab.run(lake, settings, challenger, CHALLENGER)
    vectorize.run(lake, settings, challenger)
    train.run(lake, settings, challenger)
    evaluate.run(lake, settings, challenger)
    return settings


@pytest.fixture
def trained(trained_settings, tmp_path) -> Context:
    """A copy of the lake with two models."""
    return Context.of(lakes.copy_lake(trained_settings, tmp_path / "trained"))


def test_a_model_that_is_open_keeps_its_request(trained):
    challenger = Pinned(trained.lake, "models", "challenger")
    with pytest.raises(UsageError, match="Model challenger exists already"):
        vocab.run(trained.lake, trained.settings, challenger, vocab.ModelRequest(epochs=2))
    assert (
        vocab.run(trained.lake, trained.settings, challenger, vocab.ModelRequest()).rows
        == vocab.run(trained.lake, trained.settings, challenger, CHALLENGER).rows
    )


def equal_figures(challenger: Pinned) -> dict[str, Any]:
    """The model's evaluation, as if it were as good as the champion, within the margins."""
    figures = challenger.notes[EVALUATION]
    retrieval = {**figures["retrieval"], "recall_at_10": figures["retrieval"]["champion_recall_at_10"]}
    return {**figures, "rougeL": figures["champion_rougeL"] - 0.5, "retrieval": retrieval}


def test_an_equal_model_is_promoted_and_the_former_champion_is_kept(trained):
    former = serving_status.status(trained.lake, trained.settings)["model"]["name"]
    challenger = Pinned(trained.lake, "models", "challenger")
    challenger.notes[EVALUATION] = equal_figures(challenger)
    assert promote.run(trained.lake, trained.settings, challenger)["moved"]
    tracking = open_tracking(trained.settings, trained.lake)
    assert [version.model for version in tracking.champion_and_previous()] == ["challenger", former]
    assert serving_status.status(trained.lake, trained.settings)["model"]["name"] == "challenger"


def test_a_second_model_takes_the_embedding_network_of_the_champion_and_trains_titles_only(trained):
    champion = Pinned(trained.lake, "models", require_current(trained.lake).plan.facts["model"])
    challenger = Pinned(trained.lake, "models", "challenger")
    (of_champion,), (of_challenger,) = (model.members[PREDICTOR] for model in (champion, challenger))
    client = MlflowClient(trained.settings.tracking_uri)
    run = client.get_run(of_challenger.figures["mlflow_run"])
    assert client.get_metric_history(run.info.run_id, "contrast/loss") == []
    parameters = ("embedding_model", "embedding_digest", "contrast_epochs", "vocabulary")
    assert [run.data.params.get(name) for name in parameters] == [
        *(champion.name, of_champion.digest, None, None)
    ]
    assert (
        f"Only its title network was trained: it has the embedding network and the vocabulary of the model "
        f"`{champion.name}`."
    ) in run.data.tags["mlflow.note.content"]
    assert of_challenger.figures["embedding_model"] == champion.name
    assert of_challenger.figures["vocabulary"] == of_champion.figures["vocabulary"]
    assert challenger.members.folders(VECTORS.name) == champion.members.folders(VECTORS.name)
    retrieval = challenger.notes[EVALUATION]["retrieval"]
    assert retrieval["recall_at_10"] == retrieval["champion_recall_at_10"]


def test_a_release_of_a_model_with_the_former_champions_embedding_network_embeds_nothing(trained):
    before = require_current(trained.lake)
    open_tracking(trained.settings, trained.lake).promote("challenger")
    release = Pinned(trained.lake, "releases", "99991231T000000Z")
    assert plan.run(trained.lake, trained.settings, release).reason == ""
    assert release.plan.facts["model"] == "challenger"
    assert vectorize.run(trained.lake, trained.settings, release).made == 0
    assert embed.run(trained.lake, trained.settings, release).made == 0
    assert predict.run(trained.lake, trained.settings, release).made == 2
    index.run(trained.lake, release, trained.settings)
    for table in (EMBEDDINGS.name, SIMILAR_ISSUES.name, DUPLICATE_PAIRS.name):
        assert release.members.folders(table) == before.members.folders(table)
    publish.run(trained.lake, trained.settings, release, {"abstained": "a test"})
    models = query(trained.settings, "SELECT DISTINCT model FROM title_predictions")
    assert models == [("challenger",)]
    # The new model computes the same embeddings as the model that trained the embedding network.
    vectors = trained.lake.read(release.members[VECTORS.name][0], VECTORS)
    predictors = [load_predictor(trained.lake, each.plan.facts["predictor"]) for each in (before, release)]
    old, new = (embed.embed_part(vectors, predictor) for predictor in predictors)
    assert old.equals(new)
    assert new.equals(trained.lake.read(release.members[EMBEDDINGS.name][0], EMBEDDINGS).cast(new.schema))


def test_a_release_shows_which_model_wrote_the_titles_that_it_keeps(trained):
    current = require_current(trained.lake)
    former = current.plan.facts["model"]
    values = json.loads(trained.lake.get(current.file("plan.json")) or b"")
    del values["facts"][ACCEPTED]  # as if its titles had beaten the floor; others are not kept
    trained.lake.put_json(current.file("plan.json"), values)
    open_tracking(trained.settings, trained.lake).promote("challenger")
    settings = trained.settings.model_copy(update={"release": ReleaseSettings(retitle_days=1)})
    release = Pinned(trained.lake, "releases", "99991231T000000Z")
    plan.run(trained.lake, settings, release)
    vectorize.run(trained.lake, settings, release)
    embed.run(trained.lake, trained.settings, release)
    assert predict.run(trained.lake, trained.settings, release).made == 1
    index.run(trained.lake, release, settings)
    publish.run(trained.lake, settings, release, {"abstained": "a test"})
    models = "SELECT DISTINCT source_day, model, model_version FROM title_predictions ORDER BY source_day"
    assert query(settings, models) == [(ONE, former, "1"), (TWO, "challenger", "2")]


def test_a_model_abstains_below_the_confidence_that_reaches_the_set_precision(trained):
    challenger = Pinned(trained.lake, "models", "challenger")
    threshold = challenger.members[PREDICTOR][0].figures["abstain_below"]
    figures = challenger.notes[EVALUATION]
    confidence = figures["confidence"]
    assert confidence["abstain_below"] == threshold > 0
    assert confidence["alike"] < 0.5
    assert (figures["abstained"] == 1) == (confidence["alike_given"] is None)
    assert confidence["alike_given"] is None or confidence["alike_given"] >= 0.5
    assert 0 < figures["abstained"] <= 1


def test_collect_removes_batches_without_references_and_queries_return_the_same(published, settings):
    current = current_release_id(published)
    rows = query(settings, "SELECT issue_id, predicted_title FROM title_predictions ORDER BY issue_id")
    orphan = published.draft(ISSUES.name, {"day": "2024-01-01"})
    orphan.write_file("part-00000.parquet", b"never committed")
    assert collect.run(published, settings).batches == 0  # all is younger than the grace period
    tight = settings.model_copy(update={"release": settings.release.model_copy(update={"keep": 1})})
    # The first run that finds the clock so far ahead removes nothing that was written since the last one.
    times = (LATER, LATER + timedelta(days=3))
    assert sum(collect.run(published, tight, current_time=time).batches for time in times) >= 1
    assert pinned_names(published, "releases") == [current]
    assert (
        query(settings, "SELECT issue_id, predicted_title FROM title_predictions ORDER BY issue_id") == rows
    )
    assert collect.run(published, tight, current_time=times[-1]).batches == 0
    assert queries.similar(published, settings, SimilarQuery("the parser crashes when the file is empty"), 2)


def test_each_row_of_a_file_is_compared_as_a_draft(published, settings, tmp_path):
    (known,) = queries.similar(published, settings, SimilarQuery("the parser crashes", title=""), 1)
    url, title = known["issue_url"], known["title"]
    drafts = tmp_path / "drafts.csv"
    drafts.write_text(
        "title,body,html_url\n"
        f'parser,the parser crashes when the file is empty,\n"{title}",the parser crashes,{url}\n.,,\n'
    )
    first, second, third = similar_of_file(published, settings, drafts, SearchScope(), 2)
    draft = SimilarQuery("the parser crashes when the file is empty", "parser")
    assert first == {
        "row": 1,
        "issue_url": None,
        "title": "parser",
        "similar": queries.similar(published, settings, draft, 2),
        "problem": None,
    }
    assert (second["row"], second["issue_url"], len(second["similar"])) == (2, url, 2)
    assert url not in [row["issue_url"] for row in second["similar"]]
    assert (third["similar"], third["problem"]) == (
        [],
        "The text contains no word of the model's vocabulary, so no similar issues can be found.",
    )
    own_repository = SearchScope(same_repo=True)
    first, second, _ = similar_of_file(published, settings, drafts, own_repository, 2)
    assert first["problem"] == (
        "The row names no repository. It needs a value in the column repo, or an issue's address on GitHub."
    )
    assert {row["list"] for row in second["similar"]} <= {"repository"}
    with pytest.raises(UsageError, match="nobody/nothing"):
        list(similar_of_file(published, settings, drafts, SearchScope(repo="nobody/nothing"), 2))


def test_an_issue_of_the_release_in_a_file_is_not_compared_with_itself(published, settings, tmp_path):
    batch = require_current(published).members[ISSUES.name][0]
    rows = published.read(batch, ISSUES, ["title", "body", "issue_url"]).to_pylist()[:20]
    drafts = tmp_path / "drafts.jsonl"
    drafts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    own_repository, ratios = SearchScope(same_repo=True), []
    for row in similar_of_file(published, settings, drafts, own_repository, 1):
        by_address = queries.similar(published, settings, SimilarQuery(row["issue_url"], same_repo=True), 1)
        if row["similar"] and by_address:
            ratios.append(row["similar"][0]["probability"] / by_address[0]["probability"])
    # A candidate with the same text makes the other candidates a tenth as probable.
    assert 0.5 < statistics.median(ratios) < 2


def test_extracting_the_same_hours_again_changes_nothing_downstream(published, settings):
    before = published.current(ISSUES.name, {"day": ONE.isoformat()})
    outcome, _ = extract.run(published, settings, [ONE], again=True)
    assert before is not None
    assert outcome.made == 1
    assert outcome.manifests[0].digest == before.digest
    assert clean.run(published, settings, [ONE.isoformat()]).made == 0
    assert plan.run(published, settings, Pinned(published, "releases", "again")).plan is None


def test_the_trace_of_a_publication_has_its_steps(published, settings):
    name = current_release_id(published)
    assert name is not None
    # so that the release is published again
    with_embeddings = settings.model_copy(
        update={"warehouse": settings.warehouse.model_copy(update={"embeddings": True})}
    )
    with serving(Collector()) as collector, sending(collector.address, Recording("publish")):
        publish.run(published, with_embeddings, Pinned(published, "releases", name), {})
    assert [span.name for span in collector.spans] == ["audit", "load", "check and make current", "publish"]


def test_embeddings_are_published_where_the_settings_say_so(published, settings, monkeypatch):
    counts = """
        SELECT (SELECT COUNT(*) FROM title_predictions), (SELECT COUNT(*) FROM embeddings),
            (SELECT MAX(LEN(embedding)) FROM embeddings)
    """
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
