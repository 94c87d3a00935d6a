"""Determines which batches the releases, models and source days of a lake need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pipeline.contracts import (
    DUPLICATE_MARKS,
    ISSUES,
    PREDICTOR,
    QUARANTINE,
    SOURCE_HEALTH,
    TITLE_PREDICTIONS,
    TOKENS,
)
from pipeline.evaluation.model_figures import EVALUATION
from pipeline.index.stored_orderings import ordering_in_use, ordering_of_release
from pipeline.lake.batches import Lake
from pipeline.lake.day_catalogue import Catalogue
from pipeline.lake.embedding_network import taken_network
from pipeline.lake.manifest import Manifest
from pipeline.lake.members import MANIFEST_PAGE, MEMBER_TABLES
from pipeline.lake.pages import read_pages
from pipeline.lake.pinned import Pinned
from pipeline.releases.completeness import check_complete
from pipeline.releases.index_figures import INDEX_FIGURES
from pipeline.releases.kept_titles import kept_titles
from pipeline.releases.records import RECORD
from pipeline.releases.stops import STOPPED
from pipeline.releases.withheld_titles import PROMOTION
from pipeline.serving.report.day_figures import DAY_FIGURES
from pipeline.serving.verification.findings import Findings

NOTES = {"releases": (INDEX_FIGURES, STOPPED, DAY_FIGURES), "models": (EVALUATION, PROMOTION)}
"""The notes of a release and of a model, besides the record of a release."""
DAY_TABLES = (ISSUES.name, SOURCE_HEALTH.name, DUPLICATE_MARKS.name, TOKENS.name)
"""The tables that have a current batch per source day."""


@dataclass
class NeededBatch:
    """A batch that must be intact. `used_by` are the releases, models and days that need it. `listed` is the
    manifest of the batch in a release's or model's list of batches. It is None if no list has the batch.
    `digests` are the digests of this batch that the plans of releases and models have recorded."""

    folder: str
    used_by: set[str] = field(default_factory=set)
    listed: Manifest | None = None
    digests: set[str] = field(default_factory=set)


class NeededBatches:
    """Collects the batches that releases, models and days need. If a list of batches cannot be read, adds the
    error to `findings`."""

    def __init__(self, lake: Lake, findings: Findings) -> None:
        self._lake = lake
        self._findings = findings
        self.by_folder: dict[str, NeededBatch] = {}

    def add_release(self, release: Pinned) -> None:
        """Adds the batches of a release, and the predictor of its model. If the release was published, also
        checks that it is complete (see `check_complete`)."""
        self._add_subject(release)
        name = _name(release)
        record = self._findings.attempt(lambda: release.notes[RECORD], name)
        if record is not None:
            self._findings.attempt(lambda: check_complete(release, record), name)
        if self._findings.attempt(release.is_open, name):
            self._findings.attempt(lambda: self._add_predictor(release.facts, name), name)
            self._findings.attempt(lambda: ordering_of_release(release), name)
            plan = self._findings.attempt(lambda: release.plan, name)
            if plan and TITLE_PREDICTIONS.name not in release.members:
                for folder in kept_titles(plan).values():
                    self._add(folder, name)

    def add_model(self, model: Pinned) -> None:
        """Adds the batches of a model."""
        self._add_subject(model)

    def add_days(self) -> None:
        """Adds the current batches of all source days. Also adds the batches in the catalogue of days, from
        which the next release is made. Checks the ordering (the weights that give a pair of issues its
        probability) that the next release will use."""
        lake, attempt = self._lake, self._findings.attempt
        for table in DAY_TABLES:
            for day in attempt(partial(lake.days, table), "all days") or ():
                name = f"day {day}"
                batch = attempt(partial(lake.current, table, {"day": day}), name)
                if batch is not None:
                    self._add_listed(batch, name)
        catalogue = attempt(lambda: Catalogue.read(lake), "the next release")
        if catalogue is not None:
            self._add_catalogue(catalogue)
        attempt(lambda: ordering_in_use(lake), "the next release")

    def _add_catalogue(self, catalogue: Catalogue) -> None:
        lake, attempt, name = self._lake, self._findings.attempt, "the next release"
        plan = attempt(lambda: catalogue.plan(lake), name)
        for day in plan.days if plan else ():
            for folder in day.folders:
                self._add(folder, name)
        for pages in catalogue.manifests.values():
            attempt(partial(read_pages, lake, list(pages.values()), MANIFEST_PAGE), name)
        attempt(lambda: catalogue.check_ids(lake), name)

    def _add_subject(self, subject: Pinned) -> None:
        name, attempt = _name(subject), self._findings.attempt
        for note in NOTES[subject.kind]:
            attempt(partial(subject.notes.__getitem__, note), name)
        if not attempt(subject.is_open, name):
            return
        plan = attempt(lambda: subject.plan, name)
        if plan is not None:
            for day in plan.days:
                digests = (
                    day.issues_digest,
                    day.tokens_digest,
                    day.health_digest,
                    day.duplicate_marks_digest,
                )
                for folder, digest in zip(day.folders, filter(None, digests), strict=False):
                    self._add(folder, name, digest=digest)
            if network := attempt(lambda: taken_network(plan), name):
                self._add(network.predictor, name, digest=network.digest)
        for table in MEMBER_TABLES[subject.kind]:
            for batch in attempt(partial(_members, subject, table), name) or ():
                self._add_listed(batch, name)

    def _add_predictor(self, facts: Mapping[str, Any], used_by: str) -> None:
        self._add(facts["predictor"], used_by, digest=facts["predictor_digest"])

    def _add_listed(self, batch: Manifest, used_by: str) -> None:
        self._add(batch.folder, used_by).listed = batch
        if batch.table == ISSUES.name and (folder := batch.figures.get(QUARANTINE)):
            self._add(folder, used_by)

    def _add(self, folder: str, used_by: str, digest: str = "") -> NeededBatch:
        batch = self.by_folder.setdefault(folder, NeededBatch(folder))
        batch.used_by.add(used_by)
        batch.digests |= {digest} - {""}
        return batch


def _members(subject: Pinned, table: str) -> Sequence[Manifest]:
    """Returns the batches of `table` that the model or release `subject` has. There are none if no stage has
    recorded the table yet. Raises UsageError if the table is PREDICTOR, and the model has an evaluation but
    no predictor."""
    is_trained = table == PREDICTOR and subject.notes[EVALUATION] is not None
    # without a list, the second condition leads to the error that names the command
    return subject.members[table] if table in subject.members or is_trained else ()


def _name(subject: Pinned) -> str:
    return f"{subject.noun} {subject.name}"
