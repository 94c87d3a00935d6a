"""Part of the stage `extract`: finds the batch of issues that was already extracted from the same data.

Earlier versions of Titler counted only words between white space, so that no issue in Chinese, Japanese or
Thai was trainable. The words in a batch of such a version are counted again in the issues that the lake has.
So the source is not read again, and BigQuery bills nothing. A batch that would not change is used as it is.
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


class ReusedBatch(NamedTuple):
    """A batch of issues that need not be extracted, and whether it is new because its words were counted
    again."""

    manifest: Manifest
    is_new: bool


def find_extracted(
    lake: Lake, partition: Mapping[str, str], parameters: Mapping[str, Any]
) -> Manifest | None:
    """Returns the batch of issues with these parameters, or the one that an earlier version of Titler made
    from the same data. Returns None if there is neither."""
    return lake.find(ISSUES.name, partition, (), parameters) or lake.find(
        ISSUES.name, partition, (), without_word(parameters)
    )


def reuse_extracted(
    lake: Lake, partition: Mapping[str, str], parameters: Mapping[str, Any]
) -> ReusedBatch | None:
    """Finds a batch of issues as `find_extracted` does, and makes it the current one of its partition.

    If an earlier version of Titler made the batch, and other issues of it are trainable now, a new batch with
    the same issues is written and returned.
    """
    existing = lake.reuse(ISSUES.name, partition, (), parameters)
    if existing is not None:
        return ReusedBatch(existing, False)
    earlier_parameters = without_word(parameters)
    earlier = lake.find(ISSUES.name, partition, (), earlier_parameters)
    if earlier is None:
        return None
    if not any(_more_trainable(lake.read_part(earlier, file), parameters) for file in earlier.files):
        lake.reuse(ISSUES.name, partition, (), earlier_parameters)
        return ReusedBatch(earlier, False)
    return ReusedBatch(_recount(lake, earlier, parameters), True)


def _recount(lake: Lake, earlier: Manifest, limits: Mapping[str, Any]) -> Manifest:
    """Writes a batch with the issues of an earlier one, and with the issues that are trainable now."""
    draft = lake.draft(ISSUES.name, earlier.partition, (), {**earlier.parameters, **limits})
    trainable, untrainable = 0, Counter(dict.fromkeys(REASONS, 0))
    for file in earlier.files:
        issues = ISSUES.add_missing_columns(lake.read_part(earlier, file))
        flags = issues.column(TRAINABLE).to_pylist()
        for row in _more_trainable(issues, limits):
            flags[row] = True
        position = issues.schema.get_field_index(TRAINABLE)
        column = pa.array(flags, issues.schema.field(position).type)
        issues = issues.set_column(position, issues.schema.field(position), column)
        draft.write_table(file.name, issues.select(ISSUES.schema.names), ISSUES)
        trainable += sum(flags)
        untrainable.update(count_untrainable(issues, limits))
    return draft.commit({**earlier.figures, "trainable": trainable, "untrainable": dict(untrainable)})


def _more_trainable(issues: pa.Table, limits: Mapping[str, Any]) -> list[int]:
    """Returns the positions of the issues that are trainable, but were not when only white space separated
    words. No issue has fewer words than then."""
    columns = [issues.column(name).to_pylist() for name in ("title", "body", TRAINABLE)]
    return [
        row
        for row, (title, body, trainable) in enumerate(zip(*columns, strict=True))
        if not trainable and is_trainable(title, body, limits)
    ]
