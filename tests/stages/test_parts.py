"""The pure functions of the stages: literal rows in, literal rows out."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from pipeline.contracts import ISSUES, TOKENS, VECTORS
from pipeline.dataset.training_batches import TrainingBatches
from pipeline.lake.batches import Lake
from pipeline.lake.list_columns import list_column, list_matrix
from pipeline.lake.pinned import Plan
from pipeline.source.trainable import count_untrainable
from pipeline.stages import extract
from pipeline.stages.clean import clean_part
from pipeline.stages.vectorize import vectorize_part
from pipeline.text.vocabulary import Counts, Vocabularies, Vocabulary

LIMITS = {"min_body_words": 3, "min_title_words": 2, "max_title_characters": 20, "max_body_characters": 40}


def issue(number: int, title: str, body: str | None, repo: str = "rust-lang/rust") -> dict[str, object]:
    return {
        "issue_id": number,
        "issue_url": f"https://github.com/{repo}/issues/{number}",
        "repo": repo,
        "number": number,
        "author": "someone",
        "title": title,
        "body": body,
        "created_at": datetime(2015, 1, 1, 12, tzinfo=UTC),
        "event_id": str(number),
        "trainable": True,
    }


def issues(*rows: dict[str, object]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=ISSUES.schema)


def test_an_issue_becomes_its_tokens_and_one_without_a_body_keeps_its_row():
    cleaned = clean_part(
        issues(issue(1, "Crash on 3 pages", "See https://example.com/z, please!"), issue(2, "No body", None)),
        "titler",
    )
    assert cleaned.to_pylist() == [
        {
            "issue_id": 1,
            "repo": "rust-lang/rust",
            "trainable": True,
            "body": ["see", "url", "please"],
            "title": ["crash", "on", "number", "pages"],
        },
        {"issue_id": 2, "repo": "rust-lang/rust", "trainable": True, "body": [], "title": ["no", "body"]},
    ]


def test_tokens_become_padded_ids():
    vocabularies = Vocabularies(
        body=Vocabulary.fit(Counts.of([["a", "b", "a"]]), 10, 4, "pre", start_end=False),
        title=Vocabulary.fit(Counts.of([["t"]]), 10, 4, "post", start_end=True),
    )
    tokens = pa.table(
        {"issue_id": [5], "repo": ["r"], "trainable": [True], "body": [["b", "x", "a"]], "title": [["t"]]}
    )
    vectors = VECTORS.conform(vectorize_part(TOKENS.conform(tokens), vocabularies)).to_pylist()
    assert vectors == [
        {"issue_id": 5, "repo": "r", "trainable": True, "body": [0, 3, 1, 2], "title": [2, 3, 4, 0]}
    ]


def test_lists_of_ids_and_arrays_are_the_same():
    ids = np.arange(12, dtype=np.int32).reshape(3, 4)
    assert (
        list_matrix(pa.chunked_array([list_column(ids[:2]), list_column(ids[2:])]), 4).tolist()
        == ids.tolist()
    )


def test_an_issue_counts_under_the_first_threshold_that_it_fails():
    rows = issues(
        issue(1, "a good title", "a good enough body"),
        issue(2, "x", None),
        issue(3, "x", "two words"),
        issue(4, "x", "a good enough body"),
        issue(5, "a very very long title", "a good enough body"),
        issue(6, "a good title", "a body that goes on for far too long, really"),
    )
    assert count_untrainable(rows, LIMITS) == {
        "no_body": 1,
        "short_body": 1,
        "short_title": 1,
        "long_title": 1,
        "long_body": 1,
    }


def vectors_of(lake: Lake, day: str, rows: list[tuple[int, str, bool]]):
    """A day's vectors; rows are (issue id, repository, trainable), ids of body and title are the issue's."""
    draft = lake.draft(VECTORS.name, {"vocabulary": "v", "day": day})
    table = [
        {"issue_id": n, "repo": repo, "trainable": trainable, "body": [n, n], "title": [n, n]}
        for n, repo, trainable in rows
    ]
    draft.write_table("part-00000.parquet", pa.Table.from_pylist(table, schema=VECTORS.schema), VECTORS)
    return draft.commit()


def test_batches_hold_the_trainable_issues_of_a_part_that_are_not_superseded(tmp_path):
    lake = Lake(str(tmp_path))
    rows = [
        (2, "golang/go", True),
        (3, "golang/go", False),
        (4, "opencv/opencv", True),
        (5, "golang/go", True),
    ]
    day = vectors_of(lake, "2015-01-01", rows)
    plan = Plan(days=(), superseded={"2015-01-01": [5]}, facts={}, opened_at="")
    assert [bodies.tolist() for bodies, _ in TrainingBatches(lake, [day], plan, "train", (2, 2), 10)(1)] == [
        [[2, 2]]
    ]
    assert [
        titles.tolist() for _, titles in TrainingBatches(lake, [day], plan, "validation", (2, 2), 10)(1)
    ] == [[[4, 4]]]


def test_an_epoch_has_every_issue_once_in_an_order_of_its_own(tmp_path):
    lake = Lake(str(tmp_path))
    days = [
        vectors_of(lake, f"2015-01-0{d}", [(10 * d + n, "golang/go", True) for n in range(5)])
        for d in (1, 2, 3)
    ]
    batches = TrainingBatches(lake, days, Plan((), {}, {}, ""), "train", (2, 2), 4, seed=1)

    def order(epoch: int) -> list[int]:
        return [row[0] for bodies, _ in batches(epoch) for row in bodies.tolist()]

    assert order(1) == order(1)
    assert order(1) != order(2)
    assert sorted(order(1)) == sorted(order(2)) == [10 * d + n for d in (1, 2, 3) for n in range(5)]
    assert [len(bodies) for bodies, _ in batches(1)] == [4, 4, 4, 3]


@pytest.mark.parametrize(
    ("batches", "parts"),
    [
        ([], []),
        ([0, 0], []),
        ([3], [3]),
        ([4], [4]),
        ([2, 2, 1], [4, 1]),
        ([1, 10, 2], [4, 4, 4, 1]),  # a batch that is longer than a part
    ],
)
def test_issues_that_stream_in_are_written_part_by_part(monkeypatch, batches, parts):
    monkeypatch.setattr(extract, "ROWS_PER_PART", 4)
    numbers = iter(range(100))
    stream = [
        pa.record_batch({"number": pa.array([next(numbers) for _ in range(rows)], pa.int64())})
        for rows in batches
    ]
    found = list(extract.split_into_parts(stream))
    assert [len(part) for part in found] == parts
    assert [number for part in found for number in part.column("number").to_pylist()] == list(
        range(sum(batches))
    )
