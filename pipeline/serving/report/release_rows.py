"""Reads the rows of batches for a report. Each batch of the last day is read from the lake only once."""

from __future__ import annotations

import pyarrow as pa

from pipeline.contracts import Table
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned


class ReleaseRows:
    """Reads the rows of a release, which must have at least one day. Only the rows of the last day stay in
    memory."""

    def __init__(self, release: Pinned) -> None:
        self._release = release
        self._last_day = release.plan.days[-1].day
        self._of_last_day: dict[str, pa.Table] = {}

    def read(self, batch: Manifest, contract: Table) -> pa.Table:
        """Returns the rows of a batch, without the rows of issues that the release skips. Raises LakeError if
        a file is missing or damaged."""
        if batch.folder in self._of_last_day:
            return self._of_last_day[batch.folder]
        rows = self._release.lake.read(batch, contract)
        keep_mask = self._release.plan.keep_mask(batch.day, rows.column("issue_id").to_numpy())
        rows = rows.filter(pa.array(keep_mask))
        if batch.day == self._last_day:
            self._of_last_day[batch.folder] = rows
        return rows
