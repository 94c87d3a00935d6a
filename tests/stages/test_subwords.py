"""vocab and vectorize for a network of subwords: issues as they were written, in; units and their ids, out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.contracts import ISSUES, SOURCE_HEALTH, VECTORS
from pipeline.errors import UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned, Plan, pin_days
from pipeline.settings import LakeSettings, Model, Settings, Text
from pipeline.stages import clean, vectorize, vocab
from pipeline.stages.vocab import ModelRequest, prepare_part
from pipeline.text.stored_vocabularies import load_vocabularies
from pipeline.text.subwords import SubwordVocabulary
from tests.stages.test_parts import issue

TRAIN, VALIDATE = "golang/go", "opencv/opencv"
CRASH = issue(1, "TreeView crash", "The `TreeView` crashes\r\n<!-- say when -->", TRAIN)
AGAIN = issue(2, "Crash again", "A crash of the TreeView", TRAIN)
OTHER = issue(3, "The crash", "**The** view", VALIDATE)
SILENT = {**issue(4, "Zebra zebra zebra", None, TRAIN), "trainable": False}


class Here:
    """A lake with two days, and settings under which a model reads subwords."""

    def __init__(self, folder: Path, *days: list[dict[str, Any]]) -> None:
        self.lake = Lake(str(folder))
        text = Text(subwords=300, body_units=12, title_units=6)
        self.settings = Settings(lake=LakeSettings(root=str(folder)), model=Model(variant="copy"), text=text)
        for number, rows in enumerate(days, start=1):
            self.ingest(f"2015-01-0{number}", rows)

    def ingest(self, day: str, rows: list[dict[str, Any]]) -> Manifest:
        draft = self.lake.draft(ISSUES.name, {"day": day})
        draft.write_table("part-00000.parquet", pa.Table.from_pylist(rows, schema=ISSUES.schema), ISSUES)
        issues = draft.commit()
        self.lake.draft(SOURCE_HEALTH.name, {"day": day}, [issues.digest]).commit()
        clean.run(self.lake, self.settings, [day])
        return issues

    def model(self, name: str = "m") -> Pinned:
        model = Pinned(self.lake, "models", name)
        vocab.run(self.lake, self.settings, model, ModelRequest())
        return model


@pytest.fixture
def here(tmp_path: Path) -> Here:
    return Here(tmp_path, [CRASH, OTHER], [SILENT, AGAIN])


def test_units_are_learned_from_what_trains(here: Here) -> None:
    made = here.model().members["vocabulary"][0]
    vocabularies = load_vocabularies(here.lake, made)
    body, title = vocabularies.body, vocabularies.title
    assert isinstance(body, SubwordVocabulary)
    assert {" crash", " tree", "view"} <= set(body.encoding.units)
    assert not any("zebra" in unit for unit in body.encoding.units)
    assert (body.length, title.length, body.size) == (12, 6, title.size)
    assert made.figures == {
        "id": vocabularies.id,
        "body_size": body.size,
        "title_size": body.size,
        "train": 2,
        "validation": 1,
        "test": 0,
    }


def test_the_same_days_give_the_same_vocabulary(here: Here) -> None:
    first, second = (here.model(name).members["vocabulary"][0] for name in ("m", "n"))
    assert first.figures["id"] == second.figures["id"]


def test_issues_become_ids_as_they_were_written(here: Here) -> None:
    model = here.model()
    manifests = vectorize.run(here.lake, here.settings, model).manifests
    vocabularies = load_vocabularies(here.lake, model.members["vocabulary"][0])
    rows = [row for manifest in manifests for row in here.lake.read(manifest, VECTORS).to_pylist()]
    body, title = vocabularies.body, vocabularies.title
    assert [
        (row["issue_id"], row["trainable"], body.text_of(row["body"]), title.text_of(row["title"]))
        for row in rows
    ] == [
        (1, True, "the treeview crashes", "treeview crash"),
        (3, True, "the view", "the crash"),
        (4, False, "", "zebr"),  # as far as six ids go
        (2, True, "a crash of the treeview", "crash agai"),
    ]
    assert rows[2]["body"] == [0] * 12


def test_a_rerun_and_a_release_find_what_was_vectorized(here: Here) -> None:
    model = here.model()
    first = vectorize.run(here.lake, here.settings, model)
    again = vectorize.run(here.lake, here.settings, model)
    release = Pinned(here.lake, "releases", "r")
    release.open(
        pin_days(here.lake, ["2015-01-01", "2015-01-02"]),
        {"predictor": model.members["vocabulary"][0].folder},
    )
    released = vectorize.run(here.lake, here.settings, release)
    assert (first.made, again.made, released.made) == (2, 0, 0)
    assert first.manifests == again.manifests == released.manifests
    assert [source.table for source in released.sources] == [ISSUES.name] * 2


def test_a_day_whose_issues_are_others_is_vectorized_again(here: Here) -> None:
    model = here.model()
    vectorize.run(here.lake, here.settings, model)
    here.ingest("2015-01-02", [AGAIN])
    release = Pinned(here.lake, "releases", "r")
    release.open(
        pin_days(here.lake, ["2015-01-01", "2015-01-02"]),
        {"predictor": model.members["vocabulary"][0].folder},
    )
    assert vectorize.run(here.lake, here.settings, release).made == 1


def test_of_many_issues_some_are_read_evenly(tmp_path: Path) -> None:
    here = Here(tmp_path)
    rows = [
        issue(number, f"T{number}", None if number == 3 else f"B{number}", TRAIN) for number in range(1, 6)
    ]
    manifest = here.ingest("2015-01-01", rows)
    plan = Plan((), {"2015-01-01": [2]}, {}, "")  # the second was opened on another day first
    assert prepare_part((manifest, manifest.files[0]), here.lake, plan, step=2) == ["t1", "t4", "b1", "b4"]
    assert prepare_part((manifest, manifest.files[0]), here.lake, plan, step=1)[4:] == ["b1", "", "b4", "b5"]


def test_days_without_an_issue_to_validate_with_are_refused(tmp_path: Path) -> None:
    here = Here(tmp_path, [CRASH, AGAIN])
    with pytest.raises(UsageError, match="2 trainable issues to learn from and 0 to validate with in 1 days"):
        here.model()
    assert not Pinned(here.lake, "models", "m").is_open()
