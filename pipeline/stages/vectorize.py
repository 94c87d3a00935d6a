"""Stage `vectorize`: converts the titles and bodies of issues to padded ids, for a model or a release.

An id is the number of a word or subword in a vocabulary. A model has its own vocabularies. A release uses
those of its predictor. Each list of ids is cut or padded to a fixed length. The stage reads the table
tokens_v1, or the table issues_v1 if the vocabularies are of subwords. It writes the table vectors_v1.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.compute.derived_batches import Derivation, Outcome, derive_batches
from pipeline.compute.once_per_process import once_per_process
from pipeline.contracts import VECTORS, VOCABULARY
from pipeline.lake.batches import Lake
from pipeline.lake.list_columns import list_column
from pipeline.lake.pinned import BatchKey, Pinned
from pipeline.lake.plan import PinnedDay
from pipeline.settings import Settings
from pipeline.text.stored_vocabularies import load_vocabularies
from pipeline.text.vocabulary import Vocabularies


def vectorize_part(rows: pa.Table, vocabularies: Vocabularies) -> pa.Table:
    """Converts the body and the title of each row to padded ids. Returns rows of the table vectors_v1.

    `rows` are rows of the table tokens_v1, or of the table issues_v1 if the vocabularies are of subwords.
    """
    bodies, titles = rows.column("body"), rows.column("title")
    if vocabularies.units == "subwords":
        bodies = pc.fill_null(bodies, "")
    return pa.table(
        {
            "issue_id": rows.column("issue_id"),
            "repo": rows.column("repo"),
            "trainable": rows.column("trainable"),
            "body": list_column(vocabularies.body.ids(bodies.to_pylist())),
            "title": list_column(vocabularies.title.ids(titles.to_pylist())),
        }
    )


def _vectorize_file(rows: pa.Table, lake: Lake, vocabulary: str) -> pa.Table:
    return vectorize_part(rows, _vocabularies(lake, vocabulary))


@once_per_process
def _vocabularies(lake: Lake, folder: str) -> Vocabularies:
    """Returns the vocabularies from the batch in `folder`. The batch has either the vocabularies alone, or a
    predictor, which includes its vocabularies."""
    return load_vocabularies(lake, lake.manifest(folder))


def run(lake: Lake, settings: Settings, pinned: Pinned) -> Outcome:
    """Converts the issues of all days of a model or a release to padded ids. Returns one batch of the table
    vectors_v1 per day. Batches that were made with the same vocabularies are reused. Raises UsageError if the
    model has no vocabulary yet."""
    if pinned.kind == "models":
        vocabulary = pinned.members[VOCABULARY][0]
    else:
        vocabulary = lake.manifest(pinned.facts["predictor"])
    vocabularies = _vocabularies(lake, vocabulary.folder)
    keys = [_key(day, vocabularies) for day in pinned.plan.days]
    existing = pinned.find_all(keys)
    missing = [
        (day, key) for day, key, batch in zip(pinned.plan.days, keys, existing, strict=True) if batch is None
    ]
    outcome = derive_batches(
        lake,
        VECTORS,
        [
            Derivation(
                lake.manifest(day.issues if vocabularies.units == "subwords" else day.tokens),
                dict(key.partition),
                key.inputs,
                {},
            )
            for day, key in missing
        ],
        _vectorize_file,
        lake,
        vocabulary.folder,
        label="vectorize",
        compute=settings.compute,
    )
    new = iter(outcome.manifests)
    manifests = tuple(batch or next(new) for batch in existing)
    pinned.members.put(VECTORS.name, manifests)
    return Outcome(manifests, outcome.made)


def _key(day: PinnedDay, vocabularies: Vocabularies) -> BatchKey:
    """Returns the key of a batch of vectors. `day` describes the day or user's file that it is made from."""
    folder, digest = day.tokens, day.tokens_digest
    if vocabularies.units == "subwords":
        folder, digest = day.issues, day.issues_digest
    name, _, value = folder.split("/")[-2].partition("=")
    return BatchKey(VECTORS.name, {"vocabulary": vocabularies.id, name: value}, (digest,), {})
