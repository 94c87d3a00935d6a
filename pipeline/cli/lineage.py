"""What a verb read and wrote, as a graph of lineage names it: written as JSON where the setting `lineage.file` says, for who passes it on.

Names are OpenLineage's (openlineage.io/docs/spec/naming): namespace and name together are an address. A dataset is a table, not a day
of it: a release of 3,000 days reads five tables, and its event stays a few kilobytes. Which days they were are its partitions, told
one by one while they are few and by the first and the last beyond, as OpenLineage's proposal 3392 has it. The version says which
batches: two datasets of one version hold the same.

A batch that was there already is what the verb answers with, so it is told as if it had been made just now.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pyarrow as pa

from pipeline.contracts import (
    EMBEDDINGS,
    ISSUES,
    RELEASE_MEMBERS,
    RELEASES,
    SIMILAR_ISSUES,
    SOURCE_HEALTH,
    TABLES,
    TOKENS,
    VECTORS,
)
from pipeline.lake.batches import Lake, Manifest
from pipeline.lake.pinned import Pinned, Plan
from pipeline.networks.shape import units_of
from pipeline.releases.release import EMBEDDINGS_TABLE, PUBLISHED_TABLES
from pipeline.settings import Settings
from pipeline.warehouse.types import in_bigquery

T = TypeVar("T")
About = Pinned | Sequence[date]
"""What a verb is asked about: a model, a release, or source days."""

VOCABULARY, PREDICTOR, INDEX = "vocabulary", "predictor", "index"  # tables of the lake without a contract
READS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "models": {
        "vocab": (TOKENS.name,),
        "vectorize": (TOKENS.name, VOCABULARY),
        "train": (VECTORS.name, VOCABULARY),
        "evaluate": (ISSUES.name, TOKENS.name, PREDICTOR),
        "promote": (PREDICTOR,),
    },
    "releases": {
        "plan": (ISSUES.name, SOURCE_HEALTH.name, TOKENS.name, PREDICTOR),
        "vectorize": (TOKENS.name, PREDICTOR),
        "embed": (VECTORS.name, PREDICTOR),
        "predict": (VECTORS.name, ISSUES.name, PREDICTOR),
        "index": (EMBEDDINGS.name, ISSUES.name),
        "publish": (ISSUES.name, *PUBLISHED_TABLES, INDEX),
    },
}
"""Per verb, the tables whose batches a model's or a release's plan and stages have fixed for it; `vocab` and `vectorize` of subwords read
issues in tokens' place."""
LISTED = 31
"""Partitions that are told one by one."""


@dataclass(frozen=True)
class Part:
    """A partition: the values of its columns, and what stands for its content, such as the batch; empty where that is not known."""

    dimensions: Mapping[str, str]
    identifier: str = ""

    @classmethod
    def of(cls, folder: str) -> Part:
        """The partition of a batch's folder in the lake: issues_v1/day=2015-01-01/BATCH."""
        _, *dimensions, batch = folder.split("/")
        return cls(dict(value.split("=", 1) for value in dimensions), batch)


@dataclass(frozen=True)
class Dataset:
    """One node of the graph. `columns`: name, type, prose. `locations`: names of files. `statistics`: rowCount, size (bytes), fileCount."""

    namespace: str
    name: str
    parts: tuple[Part, ...] = ()
    prose: str = ""
    columns: tuple[tuple[str, str, str], ...] = ()
    locations: tuple[str, ...] = ()
    statistics: Mapping[str, int] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """The batch; of several, 12 hex digits that stand for them all; empty where one is not known."""
        batches = sorted(part.identifier for part in self.parts)
        if len(batches) < 2:
            return "".join(batches)
        return hashlib.sha256("\n".join(batches).encode()).hexdigest()[:12] if all(batches) else ""

    def to_json(self) -> dict[str, Any]:
        """What is known of it. Up to LISTED `partitions` are told one by one, more of them by the least and the greatest of each column."""
        found: dict[str, Any] = {
            "namespace": self.namespace,
            "name": self.name,
            "version": self.version,
            "description": self.prose,
            "schema": [
                {"name": name, "type": kind, "description": prose} for name, kind, prose in self.columns
            ],
            "locations": list(self.locations),
            "statistics": dict(self.statistics),
        }
        if len(self.parts) <= LISTED:
            found["partitions"] = [
                {"dimensions": dict(part.dimensions), "identifier": part.identifier} for part in self.parts
            ]
        else:
            values = {
                name: sorted({part.dimensions[name] for part in self.parts})
                for name in self.parts[0].dimensions
            }
            found["between"] = {name: [several[0], several[-1]] for name, several in values.items()}
        return {name: value for name, value in found.items() if value}


def place(address: str) -> tuple[str, str]:
    """Namespace and name of a path or an address, without what a login or a query in it would give away."""
    if "://" not in address:
        return "file", str(Path(address).absolute())
    url = urlsplit(address)
    if url.scheme == "file":
        return "file", url.path
    return f"{'gs' if url.scheme == 'gcs' else url.scheme}://{_host(address)}", url.path.strip("/") or "/"


def _host(address: str) -> str:
    return urlsplit(address).netloc.rpartition("@")[2]


def _columns(schema: pa.Schema, kind: Any = str) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        (column.name, kind(column.type), column.metadata[b"description"].decode()) for column in schema
    )


def _bigquerys(kind: pa.DataType) -> str:
    return f"ARRAY<{in_bigquery(kind.value_type)}>" if pa.types.is_list(kind) else in_bigquery(kind)


def in_lake(
    lake: Lake, table: str, parts: Iterable[Part], statistics: Mapping[str, int] | None = None
) -> Dataset:
    """A table of the lake: the folder of its partitions."""
    contract = TABLES.get(table)
    prose, columns = (contract.prose, _columns(contract.schema)) if contract else ("", ())
    return Dataset(*place(lake.path(table)), tuple(parts), prose, columns, statistics=statistics or {})


def of_folders(lake: Lake, folders: Iterable[str]) -> list[Dataset]:
    """The tables whose batches lie in these folders of the lake."""
    tables: dict[str, list[Part]] = {}
    for folder in folders:
        tables.setdefault(folder.split("/", 1)[0], []).append(Part.of(folder))
    return [in_lake(lake, table, parts) for table, parts in tables.items()]


def of_manifests(lake: Lake, manifests: Sequence[Manifest]) -> list[Dataset]:
    """The table of these batches of one table, with what they have of rows, bytes and files."""
    if not manifests:
        return []
    files = [file for manifest in manifests for file in manifest.files]
    statistics = {
        "rowCount": sum(file.rows for file in files),
        "size": sum(file.bytes for file in files),
        "fileCount": len(files),
    }
    return [
        in_lake(
            lake,
            manifests[0].table,
            [Part(manifest.partition, manifest.batch_id) for manifest in manifests],
            statistics,
        )
    ]


def source_day(settings: Settings, day: date, made_by: Mapping[str, Any] | None = None) -> Dataset:
    """A day of GH Archive: BigQuery's table of it, or its hour files. `made_by` are the parameters of the batch that was made of it."""
    if settings.warehouse.kind == "bigquery":
        return Dataset("bigquery", f"githubarchive.day.{day:%Y%m%d}")
    base = settings.source.hours.rstrip("/")
    namespace, name = place(f"{base}/{day}")
    files = tuple(f"{name}-{hour}.json.gz" for hour, *_ in (made_by or {}).get("hours", ()))
    return Dataset(namespace, name, locations=files)


def registered(settings: Settings, model: str, version: str, run: str) -> Dataset:
    """MLflow's registered model, by MLflow's own address of it, and the version that `run` trained."""
    uri = settings.tracking_uri
    address = (
        f"{urlsplit(uri).scheme}://{_host(uri)}{urlsplit(uri).path}".rstrip("/") if "://" in uri else uri
    )
    return Dataset(
        address, f"models:/{settings.tracking.model_name}", (Part({"model": model, "version": version}, run),)
    )


def in_warehouse(settings: Settings, release: Pinned) -> list[Dataset]:
    """What analysts see of a published release: BigQuery's tables, or DuckDB's file of views."""
    this = Part({"release_id": release.name}, release.name)
    if settings.warehouse.kind != "bigquery":
        return [Dataset(*place(settings.warehouse_path), (this,))]
    found = []
    for table in (*_published(settings), RELEASES.name, RELEASE_MEMBERS.name):
        contract = TABLES[table]
        batches = [Part.of(folder) for folder in release.member_folders(table)]
        parts = tuple(
            Part({str(contract.day_column): batch.dimensions["day"]}, batch.identifier) for batch in batches
        ) or (this,)
        name = f"{settings.warehouse.project}.{settings.warehouse.dataset}.{table}"
        found.append(
            Dataset("bigquery", name, parts, contract.prose, _columns(contract.in_warehouse, _bigquerys))
        )
    return found


def _published(settings: Settings) -> tuple[str, ...]:
    return (*PUBLISHED_TABLES, EMBEDDINGS_TABLE) if settings.warehouse.embeddings else PUBLISHED_TABLES


def _fixed(pinned: Pinned, plan: Plan, table: str) -> list[str]:
    """Folders of the batches of a table that a model or a release has."""
    by_day = {ISSUES.name: "issues", TOKENS.name: "tokens", SOURCE_HEALTH.name: "health"}
    if table in by_day:
        return [getattr(day, by_day[table]) for day in plan.days]
    if table == PREDICTOR and pinned.kind == "releases":
        return [plan.facts["predictor"]]
    return pinned.member_folders(table)


def _of_subwords(lake: Lake, pinned: Pinned, plan: Plan) -> bool:
    """Whether the network of a model or of a release's model reads subwords, which are made of the issues themselves."""
    known = plan.facts["model"] if pinned.kind == "models" else lake.manifest(plan.facts["predictor"]).figures
    return units_of(known["variant"]) == "subwords"


def inputs(verb: str, lake: Lake, settings: Settings, about: About, result: Any) -> list[Dataset]:
    """What a verb has read. Where it failed, `result` is None: what it was to read, as far as that was fixed before."""
    if not isinstance(about, Pinned):
        if verb == "extract":
            made_by = {manifest.day: manifest.parameters for manifest in result.manifests} if result else {}
            return [source_day(settings, day, made_by.get(str(day))) for day in about]
        days = [Part({"day": str(day)}) for day in about]
        return (
            of_folders(lake, [source.folder for source in result.sources])
            if result
            else [in_lake(lake, ISSUES.name, days)]
        )
    if not about.is_open():
        return []
    plan = about.plan()
    tables = [*READS[about.kind][verb]]
    if verb in ("vocab", "vectorize") and _of_subwords(lake, about, plan):
        tables = [ISSUES.name if table == TOKENS.name else table for table in tables]
    if verb == "publish" and settings.warehouse.embeddings:
        tables.append(EMBEDDINGS_TABLE)
    if verb == "train" and plan.facts["model"].get(
        "abstain_precision"
    ):  # its threshold is set on the authors' own titles
        tables += [ISSUES.name, TOKENS.name]
    folders = [folder for table in tables for folder in _fixed(about, plan, table)]
    if verb == "evaluate" and result and result["champion"]:
        folders += Pinned(lake, "models", result["champion"]).member_folders(PREDICTOR)
    found = of_folders(lake, folders)
    if verb == "plan":
        found.append(
            registered(settings, *(plan.facts[name] for name in ("model", "model_version", "mlflow_run")))
        )
    return found


def outputs(verb: str, lake: Lake, settings: Settings, about: About, result: Any) -> list[Dataset]:
    """What a verb answers with, made now or before; nothing where it failed, for what it has finished the next attempt answers with."""
    if result is None or (verb == "plan" and result.plan is None):
        return []
    if not isinstance(about, Pinned):
        return [
            *of_manifests(lake, result.manifests),
            *(_verdicts(lake, result.manifests) if verb == "extract" else ()),
        ]
    if verb in ("plan", "publish"):
        release = in_lake(lake, "releases", [Part({"release_id": about.name}, about.name)])
        return [release, *(in_warehouse(settings, about) if verb == "publish" else ())]
    if verb in ("vectorize", "embed", "predict"):
        return of_manifests(lake, result.manifests)
    if verb == "index":
        return [*of_manifests(lake, [result]), *of_folders(lake, about.member_folders(SIMILAR_ISSUES.name))]
    if verb == "vocab":
        return of_manifests(lake, [result])
    predictor = result if verb == "train" else about.members(PREDICTOR, "train")[0]
    version = registered(settings, about.name, predictor.figures["version"], predictor.figures["mlflow_run"])
    return [*(of_manifests(lake, [predictor]) if verb == "train" else ()), version]


def _verdicts(lake: Lake, issues: Sequence[Manifest]) -> list[Dataset]:
    """What extract writes beside the issues: the verdicts on their days, and malformed lines."""
    verdicts = [(manifest, lake.current(SOURCE_HEALTH.name, manifest.partition)) for manifest in issues]
    quarantined = [manifest.figures["quarantine"] for manifest in issues if "quarantine" in manifest.figures]
    judged = [
        verdict for manifest, verdict in verdicts if verdict is not None and manifest.digest in verdict.inputs
    ]
    return [*of_manifests(lake, judged), *of_folders(lake, quarantined)]


class Kept:
    """What a stage has returned, kept on its way."""

    result: Any = None

    def __call__(self, result: T) -> T:
        self.result = result
        return result


@contextmanager
def told(verb: str, lake: Lake, settings: Settings, about: About) -> Iterator[Kept]:
    """Writes what the verb has read and written when its `with` is left, whole or by an error; nothing without `lineage.file`.

    That this fails never fails the work.
    """
    kept = Kept()
    try:
        yield kept
    finally:
        if settings.lineage.file:
            _write(Path(settings.lineage.file), verb, lake, settings, about, kept.result)


def _write(file: Path, verb: str, lake: Lake, settings: Settings, about: About, result: Any) -> None:
    try:
        sides = {"inputs": inputs, "outputs": outputs}
        found = {
            side: [dataset.to_json() for dataset in of(verb, lake, settings, about, result)]
            for side, of in sides.items()
        }
        file.write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")
    except Exception as error:  # whatever it is: the work that it tells of is done, or has its own error
        print(
            f"titler: What {verb} read and wrote could not be told: {' '.join(str(error).split())}",
            file=sys.stderr,
            flush=True,
        )
