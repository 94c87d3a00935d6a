"""vectorize: tokens, or issues as they were written, in; padded ids out."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.contracts import TOKENS, VECTORS
from pipeline.lake.pinned import Pinned, pin_days
from pipeline.stages import vectorize
from pipeline.stages.vectorize import vectorize_part
from pipeline.text.stored_vocabularies import load_vocabularies
from pipeline.text.vocabulary import Counts, Vocabularies, Vocabulary
from tests.stages.literal_issues import CRASH, NOT_TRAINABLE, SECOND_CRASH, VALIDATION_CRASH, SubwordLake


@pytest.fixture
def subword_lake(tmp_path: Path) -> SubwordLake:
    return SubwordLake(tmp_path, [CRASH, VALIDATION_CRASH], [NOT_TRAINABLE, SECOND_CRASH])


def open_release(subword_lake: SubwordLake, model: Pinned) -> Pinned:
    """A release of both days with this model's vocabulary."""
    release = Pinned(subword_lake.lake, "releases", "r")
    days = pin_days(subword_lake.lake, ["2015-01-01", "2015-01-02"])
    release.open(days, {"predictor": model.members["vocabulary"][0].folder})
    return release


def test_tokens_become_padded_ids() -> None:
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


def test_issues_become_the_ids_of_their_subwords(subword_lake: SubwordLake) -> None:
    model = subword_lake.model()
    manifests = vectorize.run(subword_lake.lake, subword_lake.settings, model).manifests
    vocabularies = load_vocabularies(subword_lake.lake, model.members["vocabulary"][0])
    rows = [row for manifest in manifests for row in subword_lake.lake.read(manifest, VECTORS).to_pylist()]
    body, title = vocabularies.body, vocabularies.title
    assert [
        (row["issue_id"], row["trainable"], body.text_of(row["body"]), title.text_of(row["title"]))
        for row in rows
    ] == [
        (1, True, "the treeview crashes", "treeview crash"),
        (3, True, "the view", "the crash"),
        (4, False, "", "zebr"),  # cut to six ids
        (2, True, "a crash of the treeview", "crash agai"),
    ]
    assert rows[2]["body"] == [0] * 12


def test_a_rerun_and_a_release_reuse_the_vectors(subword_lake: SubwordLake) -> None:
    model = subword_lake.model()
    first = vectorize.run(subword_lake.lake, subword_lake.settings, model)
    again = vectorize.run(subword_lake.lake, subword_lake.settings, model)
    released = vectorize.run(subword_lake.lake, subword_lake.settings, open_release(subword_lake, model))
    assert (first.made, again.made, released.made) == (2, 0, 0)
    assert first.manifests == again.manifests == released.manifests
    assert [batch.inputs for batch in released.manifests] == [(day.issues_digest,) for day in model.plan.days]


def test_a_day_with_other_issues_is_vectorized_again(subword_lake: SubwordLake) -> None:
    model = subword_lake.model()
    vectorize.run(subword_lake.lake, subword_lake.settings, model)
    subword_lake.ingest("2015-01-02", [SECOND_CRASH])
    release = open_release(subword_lake, model)
    assert vectorize.run(subword_lake.lake, subword_lake.settings, release).made == 1
