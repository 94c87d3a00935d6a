"""The datasets of the lineage graph: tables of the lake and the warehouse, source days, and registered
models.

Names follow OpenLineage (openlineage.io/docs/spec/naming): a namespace and a name together form an address.

A dataset is a whole table, and its partitions are the days. So a release of 3,000 days reads only five
datasets, and its OpenLineage event has only a few kilobytes. Up to PARTITIONS_LISTED partitions are listed
one by one. If there are more, only the lowest and the highest value of each partition column are given
(OpenLineage's proposal 3392). Two datasets with the same name and version consist of the same batches.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa

from pipeline.contracts import RELEASE_MEMBERS, RELEASES, TABLES
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned
from pipeline.releases.members import published_tables
from pipeline.settings import Settings
from pipeline.source.base_names import base_names
from pipeline.source.day_verdict import HOURS_PER_DAY
from pipeline.warehouse.column_types import in_bigquery

PARTITIONS_LISTED = 31
"""Maximum number of partitions that are listed one by one."""


@dataclass(frozen=True)
class Partition:
    """One partition of a dataset, for example one day of a table.

    `dimensions` maps each partition column to its value, for example `day` to `2015-01-01`. `identifier`
    changes if the partition's content changes. It is usually a batch id, and empty if the content is unknown.
    """

    dimensions: Mapping[str, str]
    identifier: str = ""

    @classmethod
    def of_folder(cls, folder: str) -> Partition:
        """Returns the partition that is stored in a folder of the lake, for example in
        issues_v1/day=2015-01-01/BATCH.

        In this example, `dimensions` is {"day": "2015-01-01"} and `identifier` is BATCH, the batch id.
        """
        _, *dimensions, batch = folder.split("/")
        return cls(dict(value.split("=", 1) for value in dimensions), batch)


@dataclass(frozen=True)
class Dataset:
    """One dataset of the lineage graph.

    `columns` are tuples (name, type, description). `prose` describes the dataset. `locations` are the names
    of the dataset's files. `statistics` may have the keys rowCount, size (in bytes) and fileCount.
    """

    namespace: str
    name: str
    partitions: tuple[Partition, ...] = ()
    prose: str = ""
    columns: tuple[tuple[str, str, str], ...] = ()
    locations: tuple[str, ...] = ()
    statistics: Mapping[str, int] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """The version of the dataset's content. If the dataset has one partition, this is the identifier of
        the partition. If it has several, this is 12 hexadecimal digits of a hash of their identifiers. The
        version is empty if there is no partition, or if an identifier is unknown."""
        batches = sorted(partition.identifier for partition in self.partitions)
        if len(batches) < 2:
            return "".join(batches)
        return hashlib.sha256("\n".join(batches).encode()).hexdigest()[:12] if all(batches) else ""

    def to_json(self) -> dict[str, Any]:
        """Returns the dataset as a JSON object, without keys whose value is empty.

        Up to PARTITIONS_LISTED partitions are listed under `partitions`. If there are more, the key `between`
        has the lowest and the highest value of each partition column instead.
        """
        values: dict[str, Any] = {
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
        if len(self.partitions) <= PARTITIONS_LISTED:
            values["partitions"] = [
                {"dimensions": dict(partition.dimensions), "identifier": partition.identifier}
                for partition in self.partitions
            ]
        else:
            names = self.partitions[0].dimensions
            dimensions = {
                name: sorted({partition.dimensions[name] for partition in self.partitions}) for name in names
            }
            values["between"] = {name: [several[0], several[-1]] for name, several in dimensions.items()}
        return {name: value for name, value in values.items() if value}


def split_address(address: str) -> tuple[str, str]:
    """Splits a path or URL into OpenLineage's namespace and name.

    For example, `s3://bucket/lake` becomes `s3://bucket` and `lake`. The namespace of a local path is `file`.
    Credentials and a query string are left out.
    """
    if "://" not in address:
        return "file", str(Path(address).absolute())
    url = urlsplit(address)
    if url.scheme == "file":
        return "file", url.path
    scheme = "gs" if url.scheme == "gcs" else url.scheme
    return f"{scheme}://{_host(address)}", url.path.strip("/") or "/"


def _host(address: str) -> str:
    return urlsplit(address).netloc.rpartition("@")[2]


def _columns(schema: pa.Schema, type_name: Any = str) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        (column.name, type_name(column.type), column.metadata[b"description"].decode()) for column in schema
    )


def _bigquery_type(kind: pa.DataType) -> str:
    return f"ARRAY<{in_bigquery(kind.value_type)}>" if pa.types.is_list(kind) else in_bigquery(kind)


def lake_table(
    lake: Lake, table: str, partitions: Iterable[Partition], statistics: Mapping[str, int] | None = None
) -> Dataset:
    """Returns the OpenLineage dataset of a table of the lake. `partitions` are the partitions that a stage
    read or wrote. `statistics` has the numbers of rows, bytes and files of these partitions.

    The dataset's namespace and name together form the address of the table's folder.
    """
    contract = TABLES.get(table)
    prose, columns = (contract.prose, _columns(contract.schema)) if contract else ("", ())
    address = split_address(lake.path(table))
    return Dataset(*address, tuple(partitions), prose, columns, statistics=statistics or {})


def tables_of_folders(lake: Lake, folders: Iterable[str]) -> list[Dataset]:
    """Groups folders of the lake by their table, and returns one dataset per table. Each folder stores a
    partition, such as issues_v1/day=2015-01-01/BATCH."""
    tables: dict[str, list[Partition]] = {}
    for folder in folders:
        tables.setdefault(folder.split("/", 1)[0], []).append(Partition.of_folder(folder))
    return [lake_table(lake, table, partitions) for table, partitions in tables.items()]


def table_of_manifests(lake: Lake, manifests: Sequence[Manifest]) -> list[Dataset]:
    """Returns a list with one dataset: the table to which the batches of `manifests` belong.

    A manifest describes a batch (a set of Parquet files). The manifests also say how many rows, bytes and
    files the dataset has. Without manifests, the list is empty.
    """
    if not manifests:
        return []
    files = [file for manifest in manifests for file in manifest.files]
    statistics = {
        "rowCount": sum(file.rows for file in files),
        "size": sum(file.bytes for file in files),
        "fileCount": len(files),
    }
    partitions = [Partition(manifest.partition, manifest.batch_id) for manifest in manifests]
    return [lake_table(lake, manifests[0].table, partitions, statistics)]


def source_days(
    settings: Settings, day: date, hours_read: Sequence[Sequence[Any]] | None = None
) -> list[Dataset]:
    """Returns the datasets from which one day of GH Archive is read: BigQuery's table, or the hour files.

    All hour files of a day at one base (place with hour files) form one dataset. Late events of `day` may be
    in the next day's hour files, which form datasets of their own. `hours_read` are the hour files that were
    read, as `files_read` returns them, or None if they are unknown. The datasets list the hour files under
    the names that GH Archive gives them.
    """
    if settings.warehouse.kind == "bigquery":
        return [Dataset("bigquery", f"githubarchive.day.{day:%Y%m%d}")]
    bases = [base.base.rstrip("/") for base in settings.source.bases]
    addresses = dict(zip(base_names(settings.source.bases), bases, strict=True))
    preferred = bases[0]
    files: dict[tuple[str, date], list[int]] = {}
    for number, _, _, *names in hours_read or ():
        days, hour = divmod(number, HOURS_PER_DAY)
        base = addresses.get(names[0], names[0]) if names else preferred
        files.setdefault((base, day + timedelta(days)), []).append(hour)
    datasets = []
    for (base, of_day), hours in (files or {(preferred, day): []}).items():
        namespace, name = split_address(f"{base}/{of_day}")
        datasets.append(Dataset(namespace, name, locations=tuple(f"{name}-{hour}.json.gz" for hour in hours)))
    return datasets


def registered_model(settings: Settings, model: str, version: str, run: str) -> Dataset:
    """Returns the dataset of the registered model in MLflow. Its only partition is the model version that was
    trained in the MLflow run `run`."""
    uri = settings.tracking_uri
    address = (
        f"{urlsplit(uri).scheme}://{_host(uri)}{urlsplit(uri).path}".rstrip("/") if "://" in uri else uri
    )
    partition = Partition({"model": model, "version": version}, run)
    return Dataset(address, f"models:/{settings.tracking.model_name}", (partition,))


def warehouse_tables(settings: Settings, release: Pinned) -> list[Dataset]:
    """Returns the datasets from which analysts read a published release: BigQuery's tables, or the DuckDB
    file with its views."""
    own = Partition({"release_id": release.name}, release.name)
    if settings.warehouse.kind != "bigquery":
        return [Dataset(*split_address(settings.warehouse_path), (own,))]
    datasets = []
    for table in (*published_tables(settings), RELEASES.name, RELEASE_MEMBERS.name):
        contract = TABLES[table]
        batches = [Partition.of_folder(folder) for folder in release.members.folders(table)]
        partitions = tuple(
            Partition({str(contract.day_column): batch.dimensions["day"]}, batch.identifier)
            for batch in batches
        )
        name = f"{settings.warehouse.project}.{settings.warehouse.dataset}.{table}"
        columns = _columns(contract.warehouse_schema, _bigquery_type)
        datasets.append(Dataset("bigquery", name, partitions or (own,), contract.prose, columns))
    return datasets
