"""collect: which releases, models and batches are removed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline import warehouse
from pipeline.contracts import DUPLICATE_MARKS, EMBEDDINGS, ISSUES, PREDICTOR, QUARANTINE, SEGMENTS
from pipeline.lake.batches import Lake
from pipeline.lake.changed_days import list_changes
from pipeline.lake.day_catalogue import CatalogueUpdate, update_catalogue
from pipeline.lake.embedding_network import EmbeddingNetwork, network_of_model
from pipeline.lake.leases import hold_lease
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned, pinned_names
from pipeline.lake.plan import PinnedDay
from pipeline.releases.records import RECORD
from pipeline.settings import LakeSettings, Release, Settings
from pipeline.stages import collect
from pipeline.stages.collect import Collected
from pipeline.warehouse.duckdb import DuckDBWarehouse
from tests.lake.test_pinned import ingest
from tests.stages.literal_models import FakeRegistry, add_model
from tests.support.release_records import release_record

LATER = datetime.now(UTC) + timedelta(days=3)
"""When everything that a test writes is older than the grace period."""


class Collection:
    """A lake with the current release `current` of the model `m`, which keeps one release."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lake = Lake(str(folder))
        self.settings = Settings(lake=LakeSettings(root=str(folder)), release=Release(keep=1))
        self.registry = FakeRegistry()
        monkeypatch.setattr(collect, "open_tracking", lambda settings, lake: self.registry)
        monkeypatch.setattr(collect, "reconcile_current", lambda lake, settings: "current")
        self.add_release("current")

    def add_release(self, name: str, model: str = "m", *, published: bool = True, issues: str = "") -> Pinned:
        """A release without days, or with one day whose batch of issues is in the folder `issues`."""
        predictor = add_model(self.lake, model)
        release = Pinned(self.lake, "releases", name)
        days = [PinnedDay("2015-01-01", issues, "", "", "", "", "")] if issues else []
        release.open(days, {"model": model, "predictor": predictor.folder})
        if published:
            release.notes[RECORD] = release_record(name, "2015-01-04T04:00:00+00:00")
        return release

    def add_batch(self, table: str, partition: dict[str, str], key: str) -> Manifest:
        return self.lake.draft(table, partition, [key]).commit()

    def run(self, now: datetime = LATER) -> Collected:
        return collect.run(self.lake, self.settings, now)


@pytest.fixture
def collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Collection:
    return Collection(tmp_path, monkeypatch)


def test_an_earlier_release_is_removed_with_its_model_and_their_batches(collection: Collection) -> None:
    release = collection.add_release("earlier", "old")
    embeddings = collection.add_batch(EMBEDDINGS.name, {"model": "old", "day": "2015-01-01"}, "e")
    release.members.put(EMBEDDINGS.name, [embeddings])
    assert collection.run() == Collected(("earlier",), ("old",), 2)  # the embeddings and the predictor
    assert pinned_names(collection.lake, "releases") == ["current"]
    assert pinned_names(collection.lake, "models") == ["m"]
    assert collection.lake.names(embeddings.folder) == []
    assert collection.run() == Collected((), (), 0)


def test_as_many_releases_are_kept_as_the_settings_say(collection: Collection) -> None:
    collection.add_release("earlier", "old")
    collection.settings = collection.settings.model_copy(update={"release": Release(keep=2)})
    assert collection.run() == Collected((), (), 0)


def test_a_model_whose_training_writes_checkpoints_is_kept_however_long_it_takes(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_model(collection.lake, "long")
    path = "models/long/plan.json"
    plan = json.loads(collection.lake.get(path) or b"")
    collection.lake.put_json(path, {**plan, "opened_at": "2015-01-01T00:00:00+00:00"})
    assert collection.run(datetime.now(UTC)) == Collected((), (), 0)
    assert collection.run() == Collected((), ("long",), 1)


def test_the_champion_and_the_previous_champion_are_kept(collection: Collection) -> None:
    for model in ("champion", "previous", "neither"):
        add_model(collection.lake, model)
    collection.registry.models = ["champion", "previous"]
    assert collection.run() == Collected((), ("neither",), 1)
    assert len(Pinned(collection.lake, "models", "previous").members[PREDICTOR]) == 1


def test_a_model_whose_embedding_network_another_model_took_is_removed_but_its_predictor_is_kept(
    collection: Collection,
) -> None:
    predictor = add_model(collection.lake, "owner")
    network = EmbeddingNetwork("owner", predictor.folder, predictor.digest)
    champion = Pinned(collection.lake, "models", "champion")
    champion.open([], network.fact)
    collection.registry.models = ["champion"]
    embeddings = collection.add_batch(EMBEDDINGS.name, {"model": "owner", "day": "2015-01-01"}, "e")
    Pinned(collection.lake, "releases", "current").members.put(EMBEDDINGS.name, [embeddings])
    assert collection.run() == Collected((), ("owner",), 0)
    assert pinned_names(collection.lake, "models") == ["champion", "m"]
    assert collection.lake.manifest(predictor.folder) == predictor
    assert network_of_model(champion) == network
    assert collection.run() == Collected((), (), 0)
    collection.registry.models = []
    assert collection.run() == Collected((), ("champion",), 1)  # the predictor of the model `owner`


def test_a_release_that_was_never_published_and_its_model_are_removed_once_they_are_old(
    collection: Collection,
) -> None:
    collection.add_release("planned", "new", published=False)
    assert collection.run(datetime.now(UTC)) == Collected((), (), 0)
    assert collection.run() == Collected(("planned",), ("new",), 1)


def test_a_release_in_the_making_is_kept_although_the_clock_is_moved_forward(collection: Collection) -> None:
    today, in_a_year = datetime.now(UTC), datetime.now(UTC) + timedelta(days=365)
    collection.run(today)
    collection.add_release("planned", "new", published=False)
    assert collection.run(in_a_year).releases == ()
    assert collection.run(in_a_year + timedelta(days=3)).releases == ("planned",)


def test_segments_are_kept_as_long_as_a_kept_release_names_them(collection: Collection) -> None:
    period = {"model": "m", "period": "2015-01", "repositories": "1-of-1"}
    earlier, current = (collection.add_batch(SEGMENTS.name, period, key) for key in ("1", "2"))
    collection.add_release("earlier").members.put(SEGMENTS.name, [earlier])
    Pinned(collection.lake, "releases", "current").members.put(SEGMENTS.name, [current])
    assert collection.run() == Collected(("earlier",), (), 1)
    assert collection.lake.find(SEGMENTS.name, period, ["1"], {}) is None
    assert collection.lake.find(SEGMENTS.name, period, ["2"], {}) == current


def test_batches_of_a_day_are_removed_unless_a_release_has_them_or_they_are_current(
    collection: Collection,
) -> None:
    day = {"day": "2015-01-02"}
    pinned, replaced, current = (collection.add_batch(ISSUES.name, day, key) for key in ("1", "2", "3"))
    Pinned(collection.lake, "releases", "current").delete()
    collection.add_release("current", issues=pinned.folder)
    assert collection.run().batches == 2  # `replaced`, and the first predictor of the model `m`
    assert collection.lake.find(ISSUES.name, day, ["1"], {}) == pinned
    assert collection.lake.find(ISSUES.name, day, ["2"], {}) is None
    assert collection.lake.current(ISSUES.name, day) == current
    assert collection.lake.get(f"{replaced.folder}/manifest.json") is None


def test_later_runs_look_only_at_recorded_drafts_and_at_what_removed_releases_named(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection.run()
    day = {"day": "2015-01-02"}
    old, current = (collection.add_batch(ISSUES.name, day, key) for key in ("1", "2"))
    unfinished = collection.lake.draft(EMBEDDINGS.name, {"model": "m", **day})
    unfinished.write_file("part-00000.parquet", b"half")
    release = collection.add_release("earlier", "old")
    embeddings = collection.add_batch(EMBEDDINGS.name, {"model": "old", **day}, "e")
    release.members.put(EMBEDDINGS.name, [embeddings])
    monkeypatch.setattr(collect, "sweep_batches", lambda *arguments, **options: pytest.fail("a whole sweep"))
    # Two batches of days, `old` and its embeddings, and the predictors of `old` and of the second model `m`.
    assert collection.run() == Collected(("earlier",), ("old",), 4)
    for removed in (old.folder, unfinished.folder, embeddings.folder):
        assert collection.lake.names(removed) == []
    assert collection.lake.current(ISSUES.name, day) == current
    assert collection.run() == Collected((), (), 0)


def test_a_current_batch_that_is_replaced_later_is_removed_then(collection: Collection) -> None:
    collection.run()
    day = {"day": "2015-01-02"}
    first = collection.add_batch(ISSUES.name, day, "1")
    assert collection.run().batches == 0
    collection.add_batch(ISSUES.name, day, "2")
    assert collection.run().batches == 1
    assert collection.lake.names(first.folder) == []


def test_what_was_written_since_a_running_command_began_is_spared_however_old_it_is(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hold_lease(collection.lake, "predict", "r"):
        batch = collection.add_batch(EMBEDDINGS.name, {"model": "m", "day": "2015-01-02"}, "e")
        collection.add_release("r", "new", published=False)
        monkeypatch.setattr(
            "pipeline.lake.leases.VALID", timedelta(days=30)
        )  # as if it was renewed until then
        assert collection.run() == Collected((), (), 0)
    assert collection.lake.manifest(batch.folder) == batch
    assert collection.run() == Collected(("r",), ("new",), 2)  # the predictor and the embeddings


def test_pages_are_removed_with_the_last_release_that_names_them(collection: Collection) -> None:
    current = Pinned(collection.lake, "releases", "current")
    earlier = collection.add_release("earlier")
    kept, unused = (
        collection.add_batch(EMBEDDINGS.name, {"model": "m", "day": day}, "e")
        for day in ("2015-01-02", "2015-02-01")
    )
    current.members.put(EMBEDDINGS.name, [kept])
    earlier.members.put(EMBEDDINGS.name, [kept, unused])
    collection.run()
    assert collection.lake.names("pages") == sorted(current.members.pages(EMBEDDINGS.name).values())
    assert list(Pinned(collection.lake, "releases", "current").members[EMBEDDINGS.name]) == [kept]


def test_a_rollback_need_not_wait_while_batches_are_removed(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def remove_and_lock(*arguments: object) -> int:
        with warehouse.connect(collection.settings, "publish").exclusive_lock("publish"):
            return 7

    monkeypatch.setattr("pipeline.warehouse.duckdb.warehouse.LOCK_TIMEOUT", 0)
    monkeypatch.setattr(collect, "_sweep", remove_and_lock)
    assert collection.run().batches == 7


def updated(lake: Lake) -> CatalogueUpdate:
    return update_catalogue(lake, lambda: (), list_changes(lake))


def test_what_the_catalogue_of_days_names_is_kept_for_the_next_release(collection: Collection) -> None:
    """The day is being ingested again, so its batches in the catalogue are no longer the current ones."""
    ingest(collection.lake, "2015-01-02", (1, 9))
    (pinned,) = updated(collection.lake).plan.days
    collection.add_batch(ISSUES.name, {"day": "2015-01-02"}, "again")
    assert collection.run().batches == 0  # the first run looks at all folders, and later ones at records
    assert collection.run().batches == 0
    (as_before,) = updated(collection.lake).plan.days
    assert as_before == pinned
    assert collection.lake.manifest(pinned.issues).rows == 1


def test_the_malformed_lines_of_a_day_are_kept_as_long_as_its_issues(collection: Collection) -> None:
    collection.run()
    day = {"day": "2015-01-02"}
    lines = collection.add_batch(QUARANTINE, day, "1")
    issues = collection.lake.draft(ISSUES.name, day, ["1"]).commit({"quarantine": lines.folder})
    release = collection.add_release("earlier", issues=issues.folder)
    release.members.put(ISSUES.name, [issues])
    collection.settings = collection.settings.model_copy(update={"release": Release(keep=2)})
    collection.add_batch(QUARANTINE, day, "2")
    collection.add_batch(ISSUES.name, day, "2")
    assert collection.run().batches == 0
    assert collection.lake.manifest(lines.folder) == lines
    collection.settings = collection.settings.model_copy(update={"release": Release(keep=1)})
    assert collection.run().releases == ("earlier",)
    assert collection.lake.names(lines.folder) == collection.lake.names(issues.folder) == []


def test_the_duplicate_marks_of_a_day_are_kept_as_long_as_the_day_is_in_the_catalogue(
    collection: Collection,
) -> None:
    lake = collection.lake
    ingest(lake, "2015-01-02", (1, 9), marks=["500"])
    (day,) = updated(lake).plan.days
    collection.add_batch(DUPLICATE_MARKS.name, {"day": "2015-01-02"}, "of an extraction that was killed")
    collection.run()
    assert lake.manifest(day.duplicate_marks).rows == 1
    ingest(lake, "2015-01-02", (1, 9), marks=["501"])
    updated(lake)
    collection.run()
    assert lake.names(day.duplicate_marks) == []


def test_a_collection_that_was_killed_is_continued_by_the_next_one(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection.run()
    release = collection.add_release("earlier", "old")
    embeddings = collection.add_batch(EMBEDDINGS.name, {"model": "old", "day": "2015-01-02"}, "e")
    release.members.put(EMBEDDINGS.name, [embeddings])
    with monkeypatch.context() as patch:
        patch.setattr(collect, "remove_batch", lambda lake, folder: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception, match="killed"):
            collection.run()
    assert pinned_names(collection.lake, "releases") == ["current"]
    assert collection.run() == Collected((), (), 2)  # the embeddings and the predictor of `old`
    assert collection.lake.names(embeddings.folder) == collection.lake.names("unused") == []


def test_a_removed_release_whose_lists_are_damaged_stops_nothing(collection: Collection) -> None:
    collection.run()
    release = collection.add_release("earlier", "old")
    release.members.put(EMBEDDINGS.name, [collection.add_batch(EMBEDDINGS.name, {"day": "2015-01-02"}, "e")])
    for name in collection.lake.names("pages"):
        collection.lake.put(f"pages/{name}", b"damaged")
    collection.lake.delete(f"pages/{name}")
    assert collection.run().releases == ("earlier",)


def test_a_batch_that_only_the_catalogue_named_is_removed_once_the_catalogue_has_changed(
    collection: Collection,
) -> None:
    collection.run()
    ingest(collection.lake, "2015-01-02", (1, 9))
    (pinned,) = updated(collection.lake).plan.days
    collection.add_release("unpublished", published=False, issues=pinned.issues)
    collection.run(datetime.now(UTC))
    assert collection.run().releases == ("unpublished",)
    ingest(collection.lake, "2015-01-02", (1, 9), (2, 10))
    updated(collection.lake)
    collection.run()
    assert collection.lake.names(pinned.issues) == []


def test_rows_of_a_release_that_was_published_meanwhile_stay_in_the_warehouse(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = collection.add_batch(EMBEDDINGS.name, {"model": "m", "day": "2015-01-02"}, "e")
    retained: dict[str, set[str]] = {}

    def publish_meanwhile(lake: Lake, except_for: object) -> None:
        collection.add_release("new").members.put(EMBEDDINGS.name, [batch])
        monkeypatch.setattr(collect, "reconcile_current", lambda lake, settings: "new")

    monkeypatch.setattr(collect, "forget_damaged_batches", publish_meanwhile)
    monkeypatch.setattr(
        DuckDBWarehouse, "delete_batches_except", lambda warehouse, batches: retained.update(batches)
    )
    collection.run()
    assert retained[EMBEDDINGS.name] == {batch.batch_id}
