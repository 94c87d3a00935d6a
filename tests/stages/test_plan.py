"""plan: the champion and the cleaned days in; a release that records them, or the reason for none, out."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.contracts import ISSUES, SOURCE_HEALTH, TOKENS
from pipeline.lake.batches import Lake
from pipeline.lake.embedding_network import EmbeddingNetwork
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned
from pipeline.releases.records import RECORD
from pipeline.settings import Index, LakeSettings, Settings
from pipeline.stages import plan
from tests.stages.literal_issues import CRASH, SECOND_CRASH, VALIDATION_CRASH, issues
from tests.stages.literal_models import FakeRegistry, add_model
from tests.stages.literal_releases import commit_table

ONE, TWO = "2015-01-01", "2015-01-02"


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

    def plan(self, name: str) -> plan.PlanOutcome:
        return plan.run(self.lake, self.settings, self.release(name))

    def publish(self, name: str, *, rolled_back: bool = False) -> None:
        """Makes a planned release the current one, or one that was rolled back."""
        self.current = None if rolled_back else name
        self.release(name).notes[RECORD] = {
            "release_id": name,
            "published_at": f"{ONE}T04:00:00+00:00",
            "rolled_back": rolled_back,
        }

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
    }
    assert [day.day for day in release.plan.days] == [ONE, TWO]
    assert release.members.folders(ISSUES.name) == [batch.folder for batch in batches]
    assert release.members.folders(SOURCE_HEALTH.name) == [day.health for day in release.plan.days]


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


def test_there_is_no_release_without_a_champion(nights: Nights) -> None:
    nights.registry.models = []
    nights.add_day(ONE, CRASH)
    outcome = nights.plan("r")
    assert (outcome.plan, outcome.reason) == (
        None,
        "no model is champion yet: titler train, then titler promote",
    )
    assert not nights.release("r").is_open()


def test_there_is_no_release_without_a_cleaned_day(nights: Nights) -> None:
    nights.add_day(ONE, CRASH, cleaned=False)
    outcome = nights.plan("r")
    assert (outcome.plan, outcome.reason, outcome.days_not_ready) == (
        None,
        "no day is cleaned yet: titler extract, then titler clean",
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


def test_a_plan_that_was_interrupted_before_it_listed_its_members_is_completed(nights: Nights) -> None:
    batch = nights.add_day(ONE, CRASH)
    nights.plan("whole")
    whole = nights.release("whole").plan
    nights.release("cut").open(whole.days, whole.facts)
    nights.add_day(TWO, SECOND_CRASH)  # too late for the release
    assert nights.plan("cut").reason == "it was created before"
    assert nights.release("cut").members.folders(ISSUES.name) == [batch.folder]
    assert nights.release("cut").members.folders(SOURCE_HEALTH.name) == [whole.days[0].health]
