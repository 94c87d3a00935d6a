"""vocab for a network that reads subwords: issues as they were written in, units out."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.lake.pinned import Pinned
from pipeline.lake.plan import Plan
from pipeline.stages.vocab import prepare_part
from pipeline.text.stored_vocabularies import load_vocabularies
from pipeline.text.subwords import SubwordVocabulary
from tests.stages.literal_issues import (
    CRASH,
    NOT_TRAINABLE,
    SECOND_CRASH,
    TRAINING_REPO,
    VALIDATION_CRASH,
    SubwordLake,
    issue,
)


@pytest.fixture
def subword_lake(tmp_path: Path) -> SubwordLake:
    return SubwordLake(tmp_path, [CRASH, VALIDATION_CRASH], [NOT_TRAINABLE, SECOND_CRASH])


def test_units_are_learned_from_the_training_part_only(subword_lake: SubwordLake) -> None:
    manifest = subword_lake.model().members["vocabulary"][0]
    vocabularies = load_vocabularies(subword_lake.lake, manifest)
    body, title = vocabularies.body, vocabularies.title
    assert isinstance(body, SubwordVocabulary)
    assert {" crash", " tree", "view"} <= set(body.encoding.units)
    assert not any("zebra" in unit for unit in body.encoding.units)
    assert (body.length, title.length, body.size) == (12, 6, title.size)
    assert manifest.figures == {
        "id": vocabularies.id,
        "body_size": body.size,
        "title_size": body.size,
        "train": 2,
        "validation": 1,
        "test": 0,
    }


def test_the_same_days_give_the_same_vocabulary(subword_lake: SubwordLake) -> None:
    first, second = (subword_lake.model(name).members["vocabulary"][0] for name in ("m", "n"))
    assert first.figures["id"] == second.figures["id"]


def test_a_sample_of_the_issues_is_spread_evenly_over_the_file(tmp_path: Path) -> None:
    subword_lake = SubwordLake(tmp_path)
    rows = [
        issue(number, f"T{number}", None if number == 3 else f"B{number}", TRAINING_REPO)
        for number in range(1, 6)
    ]
    manifest = subword_lake.ingest("2015-01-01", rows)
    shard = (manifest, manifest.files[0])
    plan = Plan((), {"2015-01-01": [2]}, {}, "")  # the second issue was opened on another day first
    assert prepare_part(shard, subword_lake.lake, plan, step=2) == ["t1", "t4", "b1", "b4"]
    assert prepare_part(shard, subword_lake.lake, plan, step=1)[4:] == ["b1", "", "b4", "b5"]


def test_days_without_an_issue_to_validate_with_are_refused(tmp_path: Path) -> None:
    subword_lake = SubwordLake(tmp_path, [CRASH, SECOND_CRASH])
    message = r"have 2 issues for training and 0 for validation\."
    with pytest.raises(UsageError, match=message):
        subword_lake.model()
    assert not Pinned(subword_lake.lake, "models", "m").is_open()
