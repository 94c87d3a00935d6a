"""Whether a new model takes the embedding network and the vocabulary of the champion. Nothing is trained."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

from pipeline.contracts import PREDICTOR, VOCABULARY
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned
from pipeline.stages import champion_embedding, vectorize, vocab
from pipeline.stages.vocab import ModelRequest
from pipeline.text.stored_vocabularies import load_vocabularies
from pipeline.text.subwords import SubwordVocabulary
from pipeline.text.vocabulary import Vocabularies
from tests.stages.literal_issues import (
    CRASH,
    SECOND_CRASH,
    TRAINING_REPO,
    VALIDATION_CRASH,
    SubwordLake,
    issue,
)
from tests.stages.literal_models import FakeRegistry

PIANO = issue(5, "The piano is out of tune", "My piano, piano, piano", TRAINING_REPO)


class Models(SubwordLake):
    """A lake of one day, the model `m` of this day, and a registry without a champion."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, [CRASH, VALIDATION_CRASH])
        self.registry = FakeRegistry()
        monkeypatch.setattr(champion_embedding, "open_tracking", lambda settings, lake: self.registry)
        self.model("m")

    def promote(self, name: str, preparation: int = 2) -> Manifest:
        """Gives a model a predictor without a network, and makes it champion; returns the predictor."""
        model = Pinned(self.lake, "models", name)
        vocabularies = load_vocabularies(self.lake, model.members[VOCABULARY][0])
        body = vocabularies.body
        assert isinstance(body, SubwordVocabulary)
        body = SubwordVocabulary(body.encoding, body.length, start_end=False, preparation=preparation)
        draft = self.lake.draft(PREDICTOR, {"model": name})
        with tempfile.TemporaryDirectory() as files:
            Vocabularies(body, vocabularies.title).save(Path(files))
            draft.write_folder(Path(files))
        predictor = draft.commit()
        model.members.put(PREDICTOR, [predictor])
        self.registry.models = [name]
        return predictor

    def new_model(self, name: str = "n", **request: Any) -> Pinned:
        """Creates a model with its vocabulary."""
        model = Pinned(self.lake, "models", name)
        vocab.run(self.lake, self.settings, model, ModelRequest(**request))
        return model

    def change(self, section: str, **values: Any) -> None:
        """Changes settings of a section."""
        changed = getattr(self.settings, section).model_copy(update=values)
        self.settings = self.settings.model_copy(update={section: changed})

    def reason(self, name: str = "n", **request: Any) -> str:
        """Creates a model; returns why it trains its own embedding network."""
        facts = self.new_model(name, **request).plan.facts
        assert "embedding" not in facts
        return str(facts["new_embedding_because"])


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Models:
    return Models(tmp_path, monkeypatch)


def vocabulary_of(model: Pinned) -> Manifest:
    return model.members[VOCABULARY][0]


def test_a_new_model_takes_the_champions_embedding_network(models: Models) -> None:
    predictor = models.promote("m")
    assert models.new_model().plan.facts["embedding"] == {
        "model": "m",
        "predictor": predictor.folder,
        "digest": predictor.digest,
    }


def test_it_takes_the_vocabulary_too_and_counts_its_own_issues(models: Models) -> None:
    models.promote("m")
    models.ingest("2015-01-02", [SECOND_CRASH, PIANO])
    before, after = (
        vocabulary_of(model) for model in (Pinned(models.lake, "models", "m"), models.new_model())
    )
    assert after.figures == {**before.figures, "train": 3}
    new = models.new_model("other", embedding="new")
    assert vocabulary_of(new).figures["id"] != before.figures["id"]  # it has pieces of `piano`


def test_with_the_same_vocabulary_no_day_is_vectorized_again(models: Models) -> None:
    vectorize.run(models.lake, models.settings, Pinned(models.lake, "models", "m"))
    models.promote("m")
    models.ingest("2015-01-02", [SECOND_CRASH])
    outcome = vectorize.run(models.lake, models.settings, models.new_model())
    assert (len(outcome.manifests), outcome.made) == (2, 1)


def test_the_network_of_a_champion_that_took_it_belongs_to_the_model_that_trained_it(models: Models) -> None:
    models.promote("m")
    first = models.new_model("n")
    models.promote("n")
    assert models.new_model("o").plan.facts["embedding"] == first.plan.facts["embedding"]


def test_a_rerun_keeps_the_choice_whoever_is_champion_by_then(models: Models) -> None:
    models.promote("m")
    model = models.new_model("n")
    models.new_model("other", embedding="new")
    models.promote("other")
    again = models.new_model("n")
    assert again.plan == model.plan
    assert vocabulary_of(again) == vocabulary_of(model)


def test_a_model_trains_its_own_network_if_no_model_is_champion(models: Models) -> None:
    assert models.reason("n") == "no model is trained yet"
    models.promote("m")
    models.registry.models = []
    assert models.reason("o") == "no model is champion"


def test_a_model_trains_its_own_network_if_the_setting_or_the_option_says_so(models: Models) -> None:
    models.promote("m")
    assert models.reason("n", embedding="new") == "model.embedding is new"
    models.change("model", embedding="new")
    assert models.reason("o") == "model.embedding is new"
    assert "embedding" in models.new_model("p", embedding="champion").plan.facts


def test_a_model_trains_its_own_network_if_the_champions_has_another_size(models: Models) -> None:
    models.promote("m")
    models.change("model", embedding_size=4, hidden_size=4)
    assert models.reason() == "the champion m has another model.embedding_size and another model.hidden_size"


def test_a_model_trains_its_own_network_if_the_champions_vocabulary_has_other_settings(
    models: Models,
) -> None:
    models.promote("m")
    models.change("text", subwords=301)
    assert models.reason() == "the champion m has another text.subwords"
    models.change("text", subwords=300, body_words=9, min_body_words=0)  # of other networks, of training
    assert "embedding" in models.new_model("o").plan.facts


def test_a_model_trains_its_own_network_if_an_earlier_version_prepared_the_champions_text(
    models: Models,
) -> None:
    models.promote("m", preparation=1)
    assert models.reason() == (
        "the champion m has another preparation of the text, that of an earlier version of Titler"
    )


def test_a_model_trains_its_own_network_if_the_champion_is_of_another_lake(models: Models) -> None:
    models.promote("m")
    models.registry.models = ["elsewhere"]
    assert models.reason() == "the champion elsewhere is not in this lake"


def test_a_network_whose_titles_and_embeddings_are_one_takes_nothing(models: Models) -> None:
    models.promote("m")
    facts = models.new_model("words", variant="gru").plan.facts
    assert {"embedding", "new_embedding_because"} & facts.keys() == set()
    models.registry.models = ["words"]
    models.lake.put_json("models/words/members/predictor.json", ["predictor/model=words/unread"])
    assert models.reason("copy") == "the champion words has another model.variant"
