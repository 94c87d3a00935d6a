"""Inference over the days of a release: each day gives one batch, in parts that are processed separately."""

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
from pipeline.predictor.batch_inference import Inference, InferenceDay, infer_days
from pipeline.settings import Compute

Infer = Callable[[pa.Table, Any], pa.Table]


class FakeInference:
    """Runs `infer_days` with a fake model, and records the issue ids of each call of the model."""

    def __init__(self, lake: Lake, monkeypatch: pytest.MonkeyPatch, *, rows_per_part: int) -> None:
        self.lake = lake
        self.release = Pinned(lake, "releases", "r")
        self.release.open([], {"predictor": "predictor/model=m/b"})
        self.calls: list[list[int]] = []
        self.loaded: list[str] = []
        self.rows_per_part = rows_per_part
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

    def run(
        self,
        days: dict[str, list[list[int]]],
        infer: Infer | None = None,
        count: Callable[[pa.Table], dict[str, int]] = lambda rows: {},
    ) -> Outcome:
        """Runs `infer_days`. `days` maps each day to its files; a file is a list of issue ids."""
        inference = Inference("embed", EMBEDDINGS, infer or self.infer, self.rows_per_part, 1_000_000, count)
        inference_days = [self.day(day, files) for day, files in days.items()]
        return infer_days(self.lake, Compute(), self.release, inference_days, inference)

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
def inference(tmp_path, monkeypatch) -> FakeInference:
    return FakeInference(Lake(str(tmp_path)), monkeypatch, rows_per_part=4)


def test_each_file_of_a_day_is_processed_by_itself_and_a_large_one_in_slices(
    inference: FakeInference,
) -> None:
    outcome = inference.run({"2015-01-01": [[1]], "2015-01-02": [[2, 3, 4, 5, 6, 7, 8, 9, 10], [11]]})
    assert inference.calls == [[1], [2, 3, 4, 5], [6, 7, 8, 9], [10], [11]]
    assert [inference.stored(manifest) for manifest in outcome.manifests] == [
        {"part-00000.parquet": [1]},
        {
            "part-00000-00000.parquet": [2, 3, 4, 5],
            "part-00000-00001.parquet": [6, 7, 8, 9],
            "part-00000-00002.parquet": [10],
            "part-00001.parquet": [11],
        },
    ]
    assert outcome.made == 2


def test_a_batch_has_its_issues_in_the_order_of_its_source(inference: FakeInference) -> None:
    (manifest,) = inference.run({"2015-01-01": [[9, 7, 8, 5, 6], [3, 4]]}).manifests
    rows = inference.lake.read(manifest, EMBEDDINGS).to_pylist()
    assert [(row["issue_id"], row["embedding"]) for row in rows] == [
        (issue_id, [float(issue_id)]) for issue_id in (9, 7, 8, 5, 6, 3, 4)
    ]


def test_a_day_is_committed_when_all_its_files_are_written(inference: FakeInference) -> None:
    committed_days = []

    def infer(rows: pa.Table, predictor: Any) -> pa.Table:
        keys = {day: f"embeddings_v1/model=m/day=2015-01-{day}/keys" for day in ("01", "02")}
        committed_days.append([day for day, folder in keys.items() if inference.lake.names(folder)])
        return inference.infer(rows, predictor)

    inference.run({"2015-01-01": [[1, 2, 3], [4]], "2015-01-02": [[5, 6, 7, 8], [9]]}, infer)
    assert committed_days == [[], [], ["01"], ["01"]]  # before each call


def test_what_was_finished_before_an_interruption_is_not_processed_again(inference: FakeInference) -> None:
    def interrupted(rows: pa.Table, predictor: Any) -> pa.Table:
        if len(inference.calls) == 2:
            raise KeyboardInterrupt
        return inference.infer(rows, predictor)

    days = {"2015-01-01": [[1, 2, 3, 4]], "2015-01-02": [[5, 6, 7, 8], [9]]}
    with pytest.raises(KeyboardInterrupt):
        inference.run(days, interrupted)
    inference.calls.clear()
    outcome = inference.run(days)
    assert outcome.made == 1
    assert inference.calls == [[9]]
    assert inference.stored(outcome.manifests[1]) == {
        "part-00000.parquet": [5, 6, 7, 8],
        "part-00001.parquet": [9],
    }


def test_the_predictor_is_loaded_once_per_process_and_not_for_existing_batches(
    inference: FakeInference,
) -> None:
    days = {"2015-01-01": [[1]], "2015-01-02": [[2]]}
    first, again = inference.run(days), inference.run(days)
    assert (again.made, again.manifests) == (0, first.manifests)
    inference.run({"2015-01-03": [[3]]})
    assert inference.loaded == ["predictor/model=m/b"]


def test_the_figures_of_a_batch_are_counted_over_its_files(inference: FakeInference) -> None:
    outcome = inference.run(
        {"2015-01-01": [[1, 2], [3]], "2015-01-02": [[4]], "2015-01-03": []},
        count=lambda rows: {"odd": sum(number % 2 for number in rows.column("issue_id").to_pylist())},
    )
    assert [manifest.figures for manifest in outcome.manifests] == [{"odd": 2}, {"odd": 0}, {"odd": 0}]


def test_a_day_without_files_gives_an_empty_batch(inference: FakeInference) -> None:
    outcome = inference.run({"2015-01-01": [], "2015-01-02": [[1]]})
    assert [manifest.rows for manifest in outcome.manifests] == [0, 1]


def test_the_batches_become_members_of_the_release_in_the_order_of_the_days(inference: FakeInference) -> None:
    inference.run({"2015-01-02": [[2]]})
    outcome = inference.run({"2015-01-01": [[1]], "2015-01-02": [[2]]})
    assert [manifest.day for manifest in outcome.manifests] == ["2015-01-01", "2015-01-02"]
    folders = [manifest.folder for manifest in outcome.manifests]
    assert inference.release.members.folders("embeddings_v1") == folders
