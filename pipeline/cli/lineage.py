"""Writes a file that lists which datasets each stage read and wrote. The setting `lineage.file` has its path.

The file has one line per stage that the command ran. A line is a JSON object with the keys `inputs` and
`outputs`. Each key lists datasets (`pipeline/cli/lineage_datasets.py`). If a stage reuses an existing batch
(a set of Parquet files), the batch is also listed as an output. Airflow's tasks read the file and send the
datasets as OpenLineage events.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cli import console
from pipeline.cli.lineage_datasets import (
    Dataset,
    Partition,
    lake_table,
    registered_model,
    source_days,
    split_address,
    table_of_manifests,
    tables_of_folders,
    warehouse_tables,
)
from pipeline.contracts import (
    DUPLICATE_MARKS,
    DUPLICATE_PAIRS,
    EMBEDDINGS,
    ISSUES,
    PREDICTOR,
    SEGMENTS,
    SIMILAR_ISSUES,
    SOURCE_HEALTH,
    TOKENS,
    VECTORS,
    VOCABULARY,
)
from pipeline.lake.batches import Lake
from pipeline.lake.embedding_network import taken_network
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import NAME, Pinned
from pipeline.lake.plan import Plan
from pipeline.networks.variants import variant_of
from pipeline.releases.members import PUBLISHED_TABLES
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.stages.teach import TeacherRequest

Subject = Pinned | Sequence[date] | Path
"""What a stage works on: a model or a release (`Pinned`), source days, or the path of a user's file."""
READS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "models": {
        "vocab": (TOKENS.name,),
        "vectorize": (TOKENS.name, VOCABULARY),
        "train": (VECTORS.name, VOCABULARY, ISSUES.name, TOKENS.name),
        "evaluate": (ISSUES.name, TOKENS.name, PREDICTOR),
        "promote": (PREDICTOR,),
    },
    "releases": {
        "plan": (ISSUES.name, SOURCE_HEALTH.name, DUPLICATE_MARKS.name, TOKENS.name, PREDICTOR),
        "vectorize": (TOKENS.name, PREDICTOR),
        "embed": (VECTORS.name, PREDICTOR),
        "predict": (VECTORS.name, ISSUES.name, PREDICTOR),
        "index": (EMBEDDINGS.name, ISSUES.name, DUPLICATE_MARKS.name),
        "learn-ordering": (DUPLICATE_MARKS.name, SEGMENTS.name),
        "publish": (ISSUES.name, *PUBLISHED_TABLES, SEGMENTS.name),
    },
}
"""The tables that each stage reads for a model or a release. If the network reads subwords, the stages
`vocab` and `vectorize` read issues instead of tokens. The stage `train` reads issues and tokens to calibrate
the confidence on the authors' titles."""


class StageRecord:
    """Values that the caller knows about a stage (a step of the pipeline, such as `extract`). They are needed
    for the stage's line in the lineage file.

    `result` is the stage's return value. `teacher` is the teacher that the user requested for a training (a
    model or a file of titles), or None.
    `health` has one row of the table `source_health_v1` for each day that was extracted.
    """

    result: Any = None
    teacher: TeacherRequest | None = None
    health: Sequence[Mapping[str, Any]] = ()


class LineageFile:
    """Writes which datasets the stages of a command read and wrote, as one line of JSON per stage.

    The setting `lineage.file` is the path of the file. If the setting is empty, nothing is written.
    """

    def __init__(self, lake: Lake, settings: Settings) -> None:
        self._lake = lake
        self._settings = settings
        self._lines: list[str] = []

    @contextmanager
    def stage(self, verb: str, subject: Subject) -> Iterator[StageRecord]:
        """Context manager around a stage. When the stage ends or fails, records which datasets the stage read
        and wrote.

        The caller stores the result of the stage in the attribute `result` of the yielded record. If the
        datasets cannot be recorded, an error is printed, but the stage does not fail.
        """
        record = StageRecord()
        try:
            yield record
        finally:
            if self._settings.lineage.file:
                self._write(verb, subject, record)

    def _write(self, verb: str, subject: Subject, record: StageRecord) -> None:
        stage = verb, self._lake, self._settings, subject, record.result
        try:
            sides = {"inputs": inputs(*stage, record.teacher), "outputs": outputs(*stage)}
            entry = {side: [dataset.to_json() for dataset in datasets] for side, datasets in sides.items()}
            self._lines.append(json.dumps(entry, ensure_ascii=False) + "\n")
            Path(self._settings.lineage.file).write_text("".join(self._lines), encoding="utf-8")
        except Exception as error:  # of any kind: the stage has ended, or raises its own error
            reason = " ".join(str(error).split())
            console.error(
                f"could not record in the lineage file which data the stage {verb} read and wrote: {reason}"
            )


def inputs(
    verb: str,
    lake: Lake,
    settings: Settings,
    subject: Subject,
    result: Any,
    teacher: TeacherRequest | None = None,
) -> list[Dataset]:
    """Returns the datasets that a stage read. `result` is the stage's return value, or None if the stage
    failed. `teacher` is the teacher that was requested for a training.

    A stage that failed may have read only some of its inputs. For such a stage, returns all inputs that were
    known before it ran. Returns an empty list if the stage's model or release does not exist.
    """
    if isinstance(subject, Path):
        return [Dataset(*split_address(str(subject)))]
    if not isinstance(subject, Pinned):
        if verb == "extract":
            from pipeline.stages.extract_hours import files_read

            hours_read = {
                manifest.day: files_read(manifest.figures, manifest.parameters)
                for manifest in (result.manifests if result else ())
            }
            days = sorted({*map(str, subject), *hours_read})
            return [
                dataset
                for day in days
                for dataset in source_days(settings, date.fromisoformat(day), hours_read.get(day))
            ]
        if result:
            return tables_of_folders(lake, [source.folder for source in result.sources])
        return [lake_table(lake, ISSUES.name, [Partition({"day": str(day)}) for day in subject])]
    if not subject.is_open():
        return []
    plan = subject.plan
    tables = _tables_read(verb, lake, settings, subject, plan)
    folders = [folder for table in tables for folder in _pinned_folders(subject, plan, table)]
    if verb == "evaluate" and result and result["champion"]:
        folders += Pinned(lake, "models", result["champion"]).members.folders(PREDICTOR)
    embedding_network = taken_network(plan)
    if embedding_network and verb in ("vocab", "train"):
        folders.append(embedding_network.predictor)
    if teacher:
        folders += _predictors_read_for_teaching(lake, teacher, result)
    datasets = tables_of_folders(lake, folders)
    if teacher and teacher.file:
        datasets.append(Dataset(*split_address(str(teacher.file))))
    if verb == "plan":
        facts = (plan.facts[name] for name in ("model", "model_version", "mlflow_run"))
        datasets.append(registered_model(settings, *facts))
    return datasets


def outputs(verb: str, lake: Lake, settings: Settings, subject: Subject, result: Any) -> list[Dataset]:
    """Returns the datasets that a stage wrote, or that it reused because they existed already.

    Returns an empty list if the stage failed, or if `plan` created no release. If a stage wrote some batches
    before it failed, the next attempt reuses them. They are then among the outputs of that attempt.
    """
    if result is None or (verb == "plan" and result.plan is None):
        return []
    if isinstance(subject, Path):
        return table_of_manifests(lake, [result])
    if not isinstance(subject, Pinned):
        health = _extracted_beside_issues(lake, result.manifests) if verb == "extract" else []
        return [*table_of_manifests(lake, result.manifests), *health]
    if verb == "learn-ordering":
        versions = [result.version] if result.version else []
        return [lake_table(lake, "orderings", [Partition({"version": each}, each)]) for each in versions]
    if verb in ("plan", "publish"):
        release = lake_table(lake, "releases", [Partition({"release_id": subject.name}, subject.name)])
        return [release, *(warehouse_tables(settings, subject) if verb == "publish" else ())]
    if verb in ("vectorize", "embed", "predict"):
        return table_of_manifests(lake, result.manifests)
    if verb == "vocab":
        return table_of_manifests(lake, [result])
    if verb == "index":
        folders = [
            folder
            for table in (SIMILAR_ISSUES, DUPLICATE_PAIRS)
            for folder in subject.members.folders(table.name)
        ]
        return [*table_of_manifests(lake, result.segments), *tables_of_folders(lake, folders)]
    predictor = result if verb == "train" else subject.members[PREDICTOR][0]
    figures = predictor.figures
    version = registered_model(settings, subject.name, figures["version"], figures["mlflow_run"])
    return [*(table_of_manifests(lake, [predictor]) if verb == "train" else ()), version]


def _tables_read(verb: str, lake: Lake, settings: Settings, subject: Pinned, plan: Plan) -> list[str]:
    """Returns the names of the tables that the stage `verb` reads, for example `["tokens_v1"]`.

    `subject` is the model or the release that the stage works on, and `plan` lists its days and settings.
    """
    tables = list(READS[subject.kind][verb])
    if verb in ("vocab", "vectorize") and _uses_subwords(lake, subject, plan):
        tables = [ISSUES.name if table == TOKENS.name else table for table in tables]
    if verb == "publish" and settings.warehouse.embeddings:
        tables.append(EMBEDDINGS.name)
    return tables


def _predictors_read_for_teaching(lake: Lake, teacher: TeacherRequest, result: Manifest | None) -> list[str]:
    """Returns the folders of the predictors that a training with a teacher read. If the teacher is a model,
    its predictor is included. If the teacher was compared with the champion, so is the champion's predictor.

    `result` is the trained predictor, or None if the training failed. If the training failed, the champion's
    folder is left out, because it is unknown whether the champion was read.
    """
    models = [] if teacher.file else [teacher.source]
    if result and (champion := result.figures.get("teacher", {}).get("champion")):
        models.append(champion)
    names = [name for name in models if NAME.fullmatch(name)]  # the stage refuses all other names
    return [folder for name in names for folder in Pinned(lake, "models", name).members.folders(PREDICTOR)]


def _pinned_folders(subject: Pinned, plan: Plan, table: str) -> list[str]:
    """Returns the lake's folders from which a stage reads the table `table` for a model or a release."""
    by_day = {
        ISSUES.name: "issues",
        TOKENS.name: "tokens",
        SOURCE_HEALTH.name: "health",
        DUPLICATE_MARKS.name: "duplicate_marks",
    }
    if table in by_day:
        return [folder for day in plan.days if (folder := getattr(day, by_day[table]))]
    if table == PREDICTOR and subject.kind == "releases":
        return [plan.facts["predictor"]]
    return subject.members.folders(table)


def _uses_subwords(lake: Lake, subject: Pinned, plan: Plan) -> bool:
    """Returns whether a model, or the model of a release, has a network that reads subwords (pieces of
    words).

    For such a network, the stages read the issues' text (the table issues_v1) instead of their words
    (tokens_v1).
    """
    if subject.kind == "models":
        variant = plan.facts["model"]["variant"]
    else:
        variant = lake.manifest(plan.facts["predictor"]).figures["variant"]
    return variant_of(variant).units == "subwords"


def _extracted_beside_issues(lake: Lake, issues: Sequence[Manifest]) -> list[Dataset]:
    """Returns the datasets that `extract` writes in addition to the issues: the verdicts on how complete each
    day is, the duplicate marks, and the malformed lines."""
    verdicts = []
    for manifest in issues:
        health = lake.current(SOURCE_HEALTH.name, manifest.partition)
        if health is not None and manifest.digest in health.inputs:
            verdicts.append(health)
    quarantine = [manifest.figures["quarantine"] for manifest in issues if "quarantine" in manifest.figures]
    marks = [
        lake.manifest(manifest.figures[DUPLICATE_MARKS.name]["batch"])
        for manifest in issues
        if DUPLICATE_MARKS.name in manifest.figures
    ]
    return [
        *table_of_manifests(lake, verdicts),
        *table_of_manifests(lake, marks),
        *tables_of_folders(lake, quarantine),
    ]
