"""Part of the stage `extract`: finds a stored batch of issues, so that a day need not be extracted again.

The batch was extracted from the data that the source has now. But it may have been made with another
definition of a word, which means that the words of its issues were counted by other rules.

Earlier versions of Titler split words only at white space, so that no issue in Chinese, Japanese or Thai was
trainable. If a batch was made by such a version, or with another value of `text.characters_per_word`, the
words of its stored issues are counted again. So the source is not read again, and BigQuery bills nothing. If
the same issues are trainable as before, the batch is used as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import pyarrow as pa

from pipeline.contracts import ISSUES
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.source.trainable import REASONS, count_untrainable, is_trainable, without_word

TRAINABLE = "trainable"
COUNTED_COLUMNS = ["title", "body", TRAINABLE]
RECOUNTED_FROM = "recounted_from"
"""A figure of issues whose words were counted again: the id of the batch that was extracted."""


class ReusedBatch(NamedTuple):
    """A batch of issues that is used instead of a new extraction. `is_new` is true if the batch was written
    just now, because the words of an older batch were counted again."""

    manifest: Manifest
    is_new: bool


def find_extracted(
    lake: Lake, partition: Mapping[str, str], parameters: Mapping[str, Any]
) -> Manifest | None:
    """Returns the batch of issues that has exactly these `parameters`.

    If there is none, returns a batch from the same data with another definition of a word. If there is none
    of these either, returns None.
    """
    existing = lake.find(ISSUES.name, partition, (), parameters)
    if existing is not None:
        return existing
    return _same_but_for_words(lake, partition, parameters, lake.current(ISSUES.name, partition))


def reuse_extracted(
    lake: Lake, partition: Mapping[str, str], parameters: Mapping[str, Any], current: Manifest | None
) -> ReusedBatch | None:
    """Finds a batch of issues as `find_extracted` does, and makes it the current batch of its partition.
    Returns None if there is no such batch.

    If the batch that was found was made with another definition of a word, its words are counted again. If
    this changes which issues are trainable, writes and returns a new batch with the same issues. Otherwise
    returns the batch that was found, and the lake records that its words need not be counted again.
    `current` is the current batch before this call.
    """
    existing = lake.find(ISSUES.name, partition, (), parameters)
    same_data = _same_but_for_words(lake, partition, parameters, current)
    if existing is not None and (same_data is None or _extracted_as(existing) == _extracted_as(same_data)):
        if current is None or current.batch_id != existing.batch_id:
            lake.reuse(ISSUES.name, partition, (), parameters)
        return ReusedBatch(existing, False)
    if same_data is None:
        return None
    if any(
        _trainable(issues, parameters) != issues.column(TRAINABLE).to_pylist()
        for issues in (lake.read_part(same_data, file, COUNTED_COLUMNS) for file in same_data.files)
    ):
        return ReusedBatch(_recount(lake, same_data, parameters), True)
    lake.add_key(same_data, parameters)
    lake.reuse(ISSUES.name, partition, (), parameters)
    return ReusedBatch(same_data, False)


def _same_but_for_words(
    lake: Lake, partition: Mapping[str, str], parameters: Mapping[str, Any], current: Manifest | None
) -> Manifest | None:
    """Returns a batch that was made from the same data with another definition of a word, or None. If the
    current batch was made from the same data, no other batch is considered. Otherwise, the function looks for
    a batch of an earlier version of Titler."""
    without = without_word(parameters)
    if current is not None and without_word(current.parameters) == without:
        return None if current.parameters == parameters else current
    return lake.find(ISSUES.name, partition, (), without)


def _extracted_as(batch: Manifest) -> str:
    """Returns the id of the batch that was extracted from the source. This is `batch` itself, unless `batch`
    was made by counting the words of an extracted batch again. Then it is the extracted batch."""
    return str(batch.figures.get(RECOUNTED_FROM, batch.batch_id))


def _recount(lake: Lake, earlier: Manifest, limits: Mapping[str, Any]) -> Manifest:
    """Writes a batch with the same issues as the batch `earlier`, in which the column `trainable` is computed
    again."""
    draft = lake.draft(ISSUES.name, earlier.partition, (), {**earlier.parameters, **limits})
    trainable, untrainable = 0, Counter(dict.fromkeys(REASONS, 0))
    for file in earlier.files:
        issues = ISSUES.add_missing_columns(lake.read_part(earlier, file))
        flags = _trainable(issues, limits)
        position = issues.schema.get_field_index(TRAINABLE)
        column = pa.array(flags, issues.schema.field(position).type)
        issues = issues.set_column(position, issues.schema.field(position), column)
        draft.write_table(file.name, issues.select(ISSUES.schema.names), ISSUES)
        trainable += sum(flags)
        untrainable.update(count_untrainable(issues, limits))
    counted = {"trainable": trainable, "untrainable": dict(untrainable)}
    return draft.commit({**earlier.figures, **counted, RECOUNTED_FROM: _extracted_as(earlier)})


def _trainable(issues: pa.Table, limits: Mapping[str, Any]) -> list[bool]:
    """Returns for each issue whether it is trainable."""
    texts = zip(issues.column("title").to_pylist(), issues.column("body").to_pylist(), strict=True)
    return [is_trainable(title, body, limits) for title, body in texts]
