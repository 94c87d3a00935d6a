"""plan: the champion and the cleaned days in; a release that records them, or the reason for none, out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.contracts import DUPLICATE_MARKS, ISSUES, SOURCE_HEALTH, TITLE_PREDICTIONS, TOKENS
from pipeline.index.ordering import DEFAULT_ORDERING
from pipeline.index.stored_orderings import named, store_ordering, use_default_ordering, use_ordering
from pipeline.lake.batches import Lake
from pipeline.lake.embedding_network import EmbeddingNetwork
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned
from pipeline.releases.current import point_to
from pipeline.releases.kept_titles import kept_titles
from pipeline.releases.records import RECORD
from pipeline.settings import Index, LakeSettings, Release, Settings, Similar
from pipeline.stages import plan
from tests.stages.literal_issues import CRASH, NOT_TRAINABLE, SECOND_CRASH, VALIDATION_CRASH, issues
from tests.stages.literal_models import FakeRegistry, add_model
from tests.stages.literal_releases import commit_table
from tests.support.release_records import release_record

ONE, TWO, THREE, FOUR = (f"2015-01-0{day}" for day in range(1, 5))


class Nights:
    """A lake with the champion `m`, in which releases are planned."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lake = Lake(str(folder))
        self.settings = Settings(lake=LakeSettings(root=str(folder)), index=Index(neighbours=7))
        self.registry = FakeRegistry("m")
        self.predictor = add_model(self.lake)
        self.current: str | None = None
        monkeypatch.setattr(plan, "open_tracking", lambda settings, lake: self.registry)
        monkeypatch.setattr(plan, "reconcile_current", lambda lake, settings: self.current)

    def add_day(self, day: str, *rows: dict[str, object], cleaned: bool = True) -> Manifest:
        """Extracts a day, and cleans it; returns the batch of issues."""
        manifest = commit_table(self.lake, ISSUES, {"day": day}, issues(*rows), [str(rows)])
        self.lake.draft(SOURCE_HEALTH.name, {"day": day}, [manifest.digest]).commit()
        if cleaned:
            self.lake.draft(TOKENS.name, {"day": day}, [manifest.digest]).commit()
        return manifest

    def add_marks(self, day: str) -> Manifest:
        """Extracts a day again that was extracted without duplicate marks; returns the batch of marks."""
        issues = self.lake.current(ISSUES.name, {"day": day})
        assert issues is not None
        marks = self.lake.draft(DUPLICATE_MARKS.name, {"day": day}).commit()
        draft = self.lake.draft(ISSUES.name, {"day": day}, ["again"])
        draft.write_table("part-00000.parquet", self.lake.read(issues, ISSUES), ISSUES)
        draft.commit({DUPLICATE_MARKS.name: {"batch": marks.folder}})
        return marks

    def plan(self, name: str) -> plan.PlanOutcome:
        return plan.run(self.lake, self.settings, self.release(name))

    def publish(self, name: str, *, rolled_back: bool = False) -> None:
        """Makes a planned release the current one, or one that was rolled back."""
        self.current = None if rolled_back else name
        self.release(name).notes[RECORD] = release_record(
            name, f"{ONE}T04:00:00+00:00", rolled_back=rolled_back
        )

    def release(self, name: str) -> Pinned:
        return Pinned(self.lake, "releases", name)


@pytest.fixture
def nights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Nights:
    return Nights(tmp_path, monkeypatch)


def test_a_release_records_the_champion_the_settings_and_the_batches_of_each_day(nights: Nights) -> None:
    batches = [nights.add_day(ONE, CRASH), nights.add_day(TWO, SECOND_CRASH)]
    assert nights.plan("r").reason == ""
    release = nights.release("r")
    assert release.plan.facts == {
        "model": "m",
        "model_version": "3",
        "mlflow_run": "run of m",
        "vocabulary": "v",
        "predictor": nights.predictor.folder,
        "predictor_digest": nights.predictor.digest,
        "neighbours": 7,
        "near_duplicate_distance": 0.7,  # of the network `copy`
        "min_probability": Similar().min_probability,
        "cluster_probability": Similar().cluster_probability,
    }
    assert [day.day for day in release.plan.days] == [ONE, TWO]
    assert release.members.folders(ISSUES.name) == [batch.folder for batch in batches]
    assert release.members.folders(SOURCE_HEALTH.name) == [day.health for day in release.plan.days]


def test_a_warehouse_without_the_current_release_is_named(
    nights: Nights, capsys: pytest.CaptureFixture[str]
) -> None:
    nights.add_day(ONE, CRASH)
    nights.plan("r")
    point_to(nights.lake, "r")
    nights.plan("s")
    warehouse = nights.settings.warehouse_name
    assert capsys.readouterr().out.splitlines() == [
        f"    the warehouse {warehouse} shows no release, although the lake has the current release r. To "
        "write it to the warehouse again: titler rollback r"
    ]


def test_a_release_records_the_embedding_network_that_its_model_took_from_another_model(
    nights: Nights,
) -> None:
    nights.add_day(ONE, CRASH)
    network = EmbeddingNetwork("m", nights.predictor.folder, nights.predictor.digest)
    predictor = add_model(nights.lake, "taker", network.fact)
    nights.registry.models = ["taker", "m"]
    nights.plan("r")
    facts = nights.release("r").plan.facts
    assert (facts["model"], facts["predictor_digest"]) == ("taker", predictor.digest)
    assert facts["embedding"] == {
        "model": "m",
        "predictor": nights.predictor.folder,
        "digest": nights.predictor.digest,
    }


@pytest.mark.parametrize("rolled_back", [False, True])
def test_a_release_records_the_ordering_in_use_but_another_ordering_alone_needs_no_release(
    nights: Nights, rolled_back: bool
) -> None:
    nights.add_day(ONE, CRASH)
    nights.plan("default")
    nights.publish("default", rolled_back=rolled_back)
    learned = named(replace(DEFAULT_ORDERING, bias=-1.0))
    store_ordering(nights.lake, learned, {}, "run")
    use_ordering(nights.lake, learned.version)
    assert nights.plan("again").plan is None
    nights.add_day(TWO, SECOND_CRASH)
    nights.plan("learned")
    assert "ordering" not in nights.release("default").facts
    assert nights.release("learned").facts["ordering"] == learned.version
    nights.publish("learned", rolled_back=rolled_back)
    use_default_ordering(nights.lake)
    assert nights.plan("again").plan is None


def test_there_is_no_release_without_a_champion(nights: Nights) -> None:
    nights.registry.models = []
    nights.add_day(ONE, CRASH)
    outcome = nights.plan("r")
    assert (outcome.plan, outcome.reason) == (
        None,
        "no model is champion yet. Run titler train, then titler promote",
    )
    assert not nights.release("r").is_open()


def test_there_is_no_release_without_a_cleaned_day(nights: Nights) -> None:
    nights.add_day(ONE, CRASH, cleaned=False)
    outcome = nights.plan("r")
    assert (outcome.plan, outcome.reason, outcome.days_not_ready) == (
        None,
        "no day is cleaned yet. Run titler extract, then titler clean",
        (ONE,),
    )
    assert not nights.release("r").is_open()


def test_a_new_day_that_is_not_cleaned_yet_is_left_out(nights: Nights) -> None:
    nights.add_day(ONE, CRASH)
    nights.add_day(TWO, SECOND_CRASH, cleaned=False)
    outcome = nights.plan("r")
    assert (outcome.days_as_before, outcome.days_not_ready) == ((), (TWO,))
    assert [day.day for day in nights.release("r").plan.days] == [ONE]


def test_a_day_that_is_being_ingested_again_stays_as_in_the_current_release(nights: Nights) -> None:
    before = nights.add_day(ONE, CRASH)
    nights.plan("first")
    nights.publish("first")
    nights.add_day(ONE, CRASH, VALIDATION_CRASH, cleaned=False)
    new = nights.add_day(TWO, SECOND_CRASH)
    outcome = nights.plan("second")
    assert (outcome.days_as_before, outcome.days_not_ready) == ((ONE,), ())
    assert [day.issues for day in nights.release("second").plan.days] == [before.folder, new.folder]


def test_there_is_no_release_if_nothing_is_new_since_the_current_one(nights: Nights) -> None:
    nights.add_day(ONE, CRASH)
    nights.plan("first")
    nights.publish("first")
    outcome = nights.plan("second")
    assert (outcome.plan, outcome.reason) == (None, "nothing is new since release first")
    assert not nights.release("second").is_open()


@pytest.mark.parametrize("name", ["min_probability", "cluster_probability"])
def test_another_probability_from_which_issues_are_suggested_or_form_clusters_needs_a_release(
    nights: Nights, name: str
) -> None:
    nights.add_day(ONE, CRASH)
    nights.plan("first")
    nights.publish("first")
    nights.settings = nights.settings.model_copy(update={"similar": Similar.model_validate({name: 0.25})})
    assert nights.plan("second").plan is not None


def test_a_release_of_an_earlier_version_which_knows_no_such_probability_is_not_replaced_for_that(
    nights: Nights,
) -> None:
    nights.add_day(ONE, CRASH)
    nights.plan("first")
    nights.publish("first")
    stored = json.loads(nights.lake.get("releases/first/plan.json") or b"")
    del stored["facts"]["min_probability"], stored["facts"]["cluster_probability"]
    nights.lake.put_json("releases/first/plan.json", stored)
    assert nights.plan("second").reason == "nothing is new since release first"


def test_there_is_no_release_if_nothing_is_new_since_one_that_was_rolled_back(nights: Nights) -> None:
    nights.add_day(ONE, CRASH)
    nights.plan("first")
    nights.publish("first", rolled_back=True)
    assert nights.plan("second").reason == "nothing is new since release first, which was rolled back"


def test_another_champion_is_a_reason_for_a_release(nights: Nights) -> None:
    nights.add_day(ONE, CRASH)
    nights.plan("first")
    nights.publish("first")
    add_model(nights.lake, "better")
    nights.registry.models = ["better", "m"]
    assert nights.plan("second").reason == ""
    assert nights.release("second").plan.facts["model"] == "better"


class Retitled(Nights):
    """Three days, all titled by `m` in the current release; then `better` is promoted."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, monkeypatch)
        for day, row in ((ONE, CRASH), (TWO, SECOND_CRASH), (THREE, VALIDATION_CRASH)):
            self.add_day(day, row)
        self.plan("first")
        self.title("first")
        add_model(self.lake, "better")
        self.registry.models = ["better", "m"]

    def title(self, name: str) -> list[str]:
        """Titles the days of a release as `predict` does, and publishes it; returns the days' models."""
        release = self.release(name)
        kept, model = kept_titles(release.plan), release.plan.facts["model"]
        manifests = [
            self.lake.manifest(kept[day.day])
            if day.day in kept
            else self.lake.draft(TITLE_PREDICTIONS.name, {"model": model, "day": day.day}).commit()
            for day in release.plan.days
        ]
        release.members.put(TITLE_PREDICTIONS.name, manifests)
        self.publish(name)
        return [manifest.partition["model"] for manifest in manifests]

    def retitle(self, days: int) -> None:
        """Changes the setting release.retitle_days."""
        self.settings = self.settings.model_copy(update={"release": Release(retitle_days=days)})


@pytest.fixture
def retitled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Retitled:
    return Retitled(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("days", "models"),
    [
        (0, ["better", "better", "better"]),  # the default
        (1, ["m", "m", "better"]),
        (2, ["m", "better", "better"]),
        (9, ["better", "better", "better"]),
    ],
)
def test_days_before_the_last_days_to_title_again_keep_the_titles_of_the_former_champion(
    retitled: Retitled, days: int, models: list[str]
) -> None:
    retitled.retitle(days)
    retitled.plan("second")
    assert retitled.title("second") == models
    assert retitled.plan("third").reason == "nothing is new since release second"


def test_kept_titles_stay_in_later_releases_until_the_setting_asks_for_more_days(retitled: Retitled) -> None:
    retitled.retitle(2)
    retitled.plan("second")
    retitled.title("second")
    retitled.add_day(FOUR, NOT_TRAINABLE)
    retitled.plan("third")
    assert retitled.title("third") == ["m", "better", "better", "better"]
    retitled.retitle(0)
    assert retitled.plan("fourth").reason == ""
    assert retitled.title("fourth") == ["better", "better", "better", "better"]


def test_titles_are_not_kept_if_the_issues_of_the_day_have_changed(retitled: Retitled) -> None:
    retitled.retitle(1)
    retitled.add_day(ONE, CRASH, NOT_TRAINABLE)
    retitled.plan("second")
    assert retitled.title("second") == ["better", "m", "better"]


@pytest.mark.parametrize(
    "fact",
    [
        {"titles_withheld": "ROUGE-L 2.98, first words 15.6"},
        {"titles_accepted": {"titles": "ROUGE-L 2.98, first words 15.6", "because": "to try the views"}},
    ],
)
def test_titles_are_not_kept_if_they_did_not_beat_the_floor_even_if_they_were_accepted(
    retitled: Retitled, fact: dict[str, object]
) -> None:
    retitled.retitle(1)
    path = "releases/first/plan.json"
    poor = json.loads(retitled.lake.get(path) or b"")
    poor["facts"] |= fact
    retitled.lake.put_json(path, poor)
    retitled.plan("second")
    assert retitled.title("second") == ["better", "better", "better"]


def test_duplicate_marks_are_a_reason_for_a_release_and_belong_to_it(nights: Nights) -> None:
    nights.add_day(ONE, CRASH)
    nights.plan("first")
    nights.publish("first")
    assert list(nights.release("first").members[DUPLICATE_MARKS.name]) == []
    marks = nights.add_marks(ONE)
    assert nights.plan("second").plan is not None
    assert list(nights.release("second").members[DUPLICATE_MARKS.name]) == [marks]
    nights.publish("second")
    assert nights.plan("third").reason == "nothing is new since release second"


def test_a_plan_that_was_interrupted_before_it_listed_its_members_is_completed(nights: Nights) -> None:
    nights.add_day(ONE, CRASH)
    marks = nights.add_marks(ONE)
    nights.plan("whole")
    whole = nights.release("whole").plan
    nights.release("cut").open(whole.days, whole.facts)
    nights.add_day(TWO, SECOND_CRASH)  # too late for the release
    assert nights.plan("cut").reason == "it was created before"
    assert nights.release("cut").members.folders(ISSUES.name) == [whole.days[0].issues]
    assert nights.release("cut").members.folders(DUPLICATE_MARKS.name) == [marks.folder]
    assert nights.release("cut").members.folders(SOURCE_HEALTH.name) == [whole.days[0].health]
