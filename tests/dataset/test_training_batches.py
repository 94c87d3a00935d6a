"""Training batches have the trainable issues of a subset, in an order that depends on the epoch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from pipeline.contracts import VECTORS
from pipeline.dataset import training_batches
from pipeline.dataset.split import Subset
from pipeline.dataset.training_batches import Ids, TrainingBatches
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.lake.plan import Plan

EMPTY_PLAN = Plan((), {}, {}, "")


def write_vectors(lake: Lake, day: str, rows: list[tuple[int, str, bool]]) -> Manifest:
    """Writes vectors_v1 of a day. A row is (issue id, repository, trainable).

    All ids in body and title equal the issue's id.
    """
    draft = lake.draft(VECTORS.name, {"vocabulary": "v", "day": day})
    table = [
        {
            "issue_id": number,
            "repo": repo,
            "trainable": trainable,
            "body": [number] * 2,
            "title": [number] * 2,
        }
        for number, repo, trainable in rows
    ]
    draft.write_table("part-00000.parquet", pa.Table.from_pylist(table, schema=VECTORS.schema), VECTORS)
    return draft.commit()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path))


@pytest.fixture
def days(lake: Lake) -> list[Manifest]:
    """Three days of five issues: 10 to 14, 20 to 24 and 30 to 34."""
    return [
        write_vectors(
            lake, f"2015-01-0{day}", [(10 * day + number, "golang/go", True) for number in range(5)]
        )
        for day in (1, 2, 3)
    ]


def test_batches_have_the_trainable_issues_of_a_part_without_duplicate_openings(lake: Lake) -> None:
    rows = [
        (2, "golang/go", True),
        (3, "golang/go", False),
        (4, "opencv/opencv", True),
        (5, "golang/go", True),
    ]
    day = write_vectors(lake, "2015-01-01", rows)
    plan = Plan(days=(), superseded={"2015-01-01": [5]}, facts={}, opened_at="")
    training = list(TrainingBatches(lake, [day], plan, "train", (2, 2), 10)(1))
    validation = list(TrainingBatches(lake, [day], plan, "validation", (2, 2), 10)(1))
    assert [bodies.tolist() for bodies, _ in training] == [[[2, 2]]]
    assert [titles.tolist() for _, titles in validation] == [[[4, 4]]]


def test_targets_replace_titles_and_leave_out_only_training_issues(lake: Lake) -> None:
    rows = [(2, "golang/go", True), (3, "golang/go", True), (4, "opencv/opencv", True)]
    day = write_vectors(lake, "2015-01-01", rows)

    def targets(bodies: Ids, titles: Ids) -> tuple[Ids, npt.NDArray[np.bool_]]:
        return titles + 10, bodies[:, 0] == 2

    def epoch(subset: Subset) -> list[tuple[list[list[int]], list[list[int]]]]:
        batches = TrainingBatches(lake, [day], EMPTY_PLAN, subset, (2, 2), 10, targets=targets)
        return [(bodies.tolist(), titles.tolist()) for bodies, titles in batches(1)]

    assert epoch("train") == [([[2, 2]], [[12, 12]])]
    assert epoch("validation") == [([[4, 4]], [[14, 14]])]


def test_each_epoch_has_every_issue_once_in_another_order(lake: Lake, days: list[Manifest]) -> None:
    batches = TrainingBatches(lake, days, EMPTY_PLAN, "train", (2, 2), 4, seed=1)

    def order(epoch: int) -> list[int]:
        return [row[0] for bodies, _ in batches(epoch) for row in bodies.tolist()]

    assert order(1) == order(1)
    assert order(1) != order(2)
    assert sorted(order(1)) == sorted(order(2)) == [*range(10, 15), *range(20, 25), *range(30, 35)]
    assert [len(bodies) for bodies, _ in batches(1)] == [4, 4, 4, 3]


def test_without_a_seed_the_rows_are_in_the_order_of_the_lake(lake: Lake, days: list[Manifest]) -> None:
    batches = TrainingBatches(lake, days, EMPTY_PLAN, "train", (2, 2), 8)
    assert [bodies[:, 0].tolist() for bodies, _ in batches(1)] == [
        [10, 11, 12, 13, 14, 20, 21, 22],
        [23, 24, 30, 31, 32, 33, 34],
    ]


def test_rows_that_do_not_fill_a_batch_are_batched_with_the_next_file(
    lake: Lake, days: list[Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_batches, "SHUFFLE_BUFFER", 5)
    batches = list(TrainingBatches(lake, days, EMPTY_PLAN, "train", (2, 2), 4, seed=1)(1))
    assert [len(bodies) for bodies, _ in batches] == [4, 4, 4, 3]
    issue_ids = sorted(number for bodies, _ in batches for number in bodies[:, 0].tolist())
    assert issue_ids == [*range(10, 15), *range(20, 25), *range(30, 35)]
