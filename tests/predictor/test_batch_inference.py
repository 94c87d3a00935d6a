"""Inference over the days of a release. Small days are processed together; each day gives one batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline.compute.derived_batches import Outcome
from pipeline.contracts import EMBEDDINGS
from pipeline.lake.batches import Lake
from pipeline.lake.list_columns import list_column
from pipeline.lake.manifest import File, Manifest
from pipeline.lake.pinned import Pinned
from pipeline.predictor import batch_inference
from pipeline.predictor.batch_inference import InferenceDay, infer_days

Infer = Callable[[pa.Table, Any], pa.Table]


class Inference:
    """Runs `infer_days` with a fake model, and records the issue ids of each call of the model."""

    def __init__(self, lake: Lake, monkeypatch: pytest.MonkeyPatch, *, rows_per_call: int) -> None:
        self.lake = lake
        self.release = Pinned(lake, "releases", "r")
        self.release.open([], {"predictor": "predictor/model=m/b"})
        self.calls: list[list[int]] = []
        self.loaded: list[str] = []
        monkeypatch.setattr(batch_inference, "ROWS_PER_CALL", rows_per_call)
        monkeypatch.setattr(batch_inference, "load_predictor", self.load_predictor)

    def load_predictor(self, lake: Lake, folder: str) -> str:
        self.loaded.append(folder)
        return "the predictor"

    def infer(self, rows: pa.Table, predictor: Any) -> pa.Table:
        """Returns embeddings with one number: the issue's id."""
        assert predictor == "the predictor"
        ids = rows.column("issue_id").to_pylist()
        self.calls.append(ids)
        return pa.table({"issue_id": ids, "embedding": list_column(np.array(ids, np.float16)[:, None])})

    def run(self, days: dict[str, list[list[int]]], infer: Infer | None = None) -> Outcome:
        """Runs `infer_days`. `days` maps each day to its files; a file is a list of issue ids."""
        inference_days = [self.day(day, files) for day, files in days.items()]
        return infer_days(self.lake, self.release, EMBEDDINGS, inference_days, infer or self.infer, "embed")

    def day(self, day: str, files: list[list[int]]) -> InferenceDay:
        names = [f"part-{number:05d}.parquet" for number in range(len(files))]
        ids_of = dict(zip(names, files, strict=True))
        entries = tuple(File(name, len(ids), 0, "") for name, ids in ids_of.items())
        vectors = Manifest("vectors_v1", {"day": day}, "b", "", day, 0, entries, (), {}, {}, "")
        return InferenceDay(
            vectors,
            lambda file: pa.table({"issue_id": ids_of[file.name]}),
            {"model": "m", "day": day},
            (str(files),),
            {},
        )

    def stored(self, manifest: Manifest) -> dict[str, list[int]]:
        """The issue ids in each file of a batch."""
        return {
            file.name: self.lake.read_part(manifest, file).column("issue_id").to_pylist()
            for file in manifest.files
        }


@pytest.fixture
def inference(tmp_path, monkeypatch) -> Inference:
    return Inference(Lake(str(tmp_path)), monkeypatch, rows_per_call=4)


def test_files_of_small_days_are_processed_together(inference: Inference) -> None:
    outcome = inference.run({"2015-01-01": [[1]], "2015-01-02": [[2, 3], [4, 5]], "2015-01-03": [[6]]})
    assert inference.calls == [[1, 2, 3, 4, 5], [6]]
    assert [inference.stored(manifest) for manifest in outcome.manifests] == [
        {"part-00000.parquet": [1]},
        {"part-00000.parquet": [2, 3], "part-00001.parquet": [4, 5]},
        {"part-00000.parquet": [6]},
    ]
    assert outcome.made == 3


def test_each_issue_gets_its_own_result(inference: Inference) -> None:
    first, second = inference.run({"2015-01-01": [[1]], "2015-01-02": [[2, 3]]}).manifests
    assert inference.lake.read(first, EMBEDDINGS).to_pylist() == [{"issue_id": 1, "embedding": [1.0]}]
    assert inference.lake.read(second, EMBEDDINGS).to_pylist() == [
        {"issue_id": 2, "embedding": [2.0]},
        {"issue_id": 3, "embedding": [3.0]},
    ]


def test_a_day_is_committed_when_all_its_files_are_written(inference: Inference) -> None:
    committed_days = []

    def infer(rows: pa.Table, predictor: Any) -> pa.Table:
        committed_days.append(
            [day for day in ("01", "02") if inference.lake.current("embeddings_v1", partition(day))]
        )
        return inference.infer(rows, predictor)

    def partition(day: str) -> dict[str, str]:
        return {"model": "m", "day": f"2015-01-{day}"}

    inference.run({"2015-01-01": [[1, 2, 3], [4]], "2015-01-02": [[5, 6, 7, 8], [9]]}, infer)
    assert inference.calls == [[1, 2, 3, 4], [5, 6, 7, 8], [9]]
    assert committed_days == [[], ["01"], ["01"]]  # before each call


def test_days_that_were_committed_before_an_interruption_are_reused(inference: Inference) -> None:
    def interrupted(rows: pa.Table, predictor: Any) -> pa.Table:
        if inference.calls:
            raise KeyboardInterrupt
        return inference.infer(rows, predictor)

    days = {"2015-01-01": [[1, 2, 3, 4]], "2015-01-02": [[5, 6, 7, 8]]}
    with pytest.raises(KeyboardInterrupt):
        inference.run(days, interrupted)
    inference.calls.clear()
    assert inference.run(days).made == 1
    assert inference.calls == [[5, 6, 7, 8]]


def test_existing_batches_are_reused_without_loading_the_predictor(inference: Inference) -> None:
    days = {"2015-01-01": [[1]], "2015-01-02": [[2]]}
    first, again = inference.run(days), inference.run(days)
    assert (again.made, again.manifests) == (0, first.manifests)
    assert inference.loaded == ["predictor/model=m/b"]


def test_the_figures_of_a_batch_are_counted_over_its_files(inference: Inference) -> None:
    files = {"2015-01-01": [[1, 2], [3]], "2015-01-02": [[4]], "2015-01-03": []}
    days = [inference.day(day, parts) for day, parts in files.items()]
    outcome = infer_days(
        inference.lake,
        inference.release,
        EMBEDDINGS,
        days,
        inference.infer,
        "embed",
        lambda rows: {"odd": sum(number % 2 for number in rows.column("issue_id").to_pylist())},
    )
    assert [manifest.figures for manifest in outcome.manifests] == [{"odd": 2}, {"odd": 0}, {"odd": 0}]


def test_a_day_without_files_gives_an_empty_batch(inference: Inference) -> None:
    outcome = inference.run({"2015-01-01": [], "2015-01-02": [[1]]})
    assert [manifest.rows for manifest in outcome.manifests] == [0, 1]


def test_the_batches_become_members_of_the_release_in_the_order_of_the_days(inference: Inference) -> None:
    inference.run({"2015-01-02": [[2]]})
    outcome = inference.run({"2015-01-01": [[1]], "2015-01-02": [[2]]})
    assert [manifest.day for manifest in outcome.manifests] == ["2015-01-01", "2015-01-02"]
    folders = [manifest.folder for manifest in outcome.manifests]
    assert inference.release.members.folders("embeddings_v1") == folders
