"""Batches made on a Dask cluster over TCP while a worker or the command is killed in the middle of a file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.compute.derived_batches import Derivation, Outcome, derive_batches
from pipeline.contracts import TOKENS
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.settings import Compute
from tests.support.dask_cluster import Cluster, dask_cluster

WORKERS = 2
FILES = 8
DAY = "2015-01-01"


def write_source(lake: Lake) -> Manifest:
    """A day of FILES files, each with one issue; the ids are 0, 1, ..."""
    draft = lake.draft(TOKENS.name, {"source": "raw", "day": DAY})
    for issue_id in range(FILES):
        row = {"issue_id": issue_id, "repo": "a/b", "trainable": True, "body": ["x"], "title": ["y"]}
        draft.write_table(
            f"part-{issue_id:05d}.parquet", pa.Table.from_pylist([row], schema=TOKENS.schema), TOKENS
        )
    return draft.commit()


def copy_rows(rows: pa.Table, folder: str, victim: int) -> pa.Table:
    """Returns the rows. Writes the issue's id into the file `calls` of `folder`.

    If the issue is 3 and nothing was killed yet, kills the process `victim`, or the own process if it is 0.
    """
    (issue_id,) = rows.column("issue_id").to_pylist()
    with Path(folder, "calls").open("a") as calls:
        calls.write(f"{issue_id}\n")
    if issue_id == 3 and not Path(folder, "killed").exists():
        Path(folder, "killed").touch()
        os.kill(victim or os.getpid(), signal.SIGKILL)
    return rows


def derive(folder: str, address: str, victim: int) -> Outcome:
    lake = Lake(f"{folder}/lake")
    source = lake.find(TOKENS.name, {"source": "raw", "day": DAY}, (), {})
    assert source is not None
    derivation = Derivation(source, {"day": DAY}, (source.digest,), {})
    compute = Compute(scheduler_address=address)
    return derive_batches(
        lake, TOKENS, [derivation], copy_rows, folder, victim, label="derive", compute=compute
    )


def derive_and_be_killed(folder: str, address: str) -> None:
    """Makes the batch. A worker kills this process meanwhile."""
    derive(folder, address, os.getpid())


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with dask_cluster(WORKERS) as cluster:
        yield cluster


def calls(folder: Path) -> list[int]:
    return sorted(int(line) for line in (folder / "calls").read_text().splitlines())


def issue_ids(outcome: Outcome, folder: Path) -> list[int]:
    rows = Lake(f"{folder}/lake").read(outcome.manifests[0], TOKENS).to_pylist()
    return [row["issue_id"] for row in rows]


def test_if_the_command_is_killed_a_rerun_makes_only_the_files_that_were_in_flight(
    cluster: Cluster, tmp_path: Path
) -> None:
    write_source(Lake(f"{tmp_path}/lake"))
    code = f"from {__name__} import *; derive_and_be_killed({str(tmp_path)!r}, {cluster.address!r})"
    root = Path(__file__).parents[2]
    killed = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(root)}, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert Lake(f"{tmp_path}/lake").current(TOKENS.name, {"day": DAY}) is None
    outcome = derive(str(tmp_path), cluster.address, 0)
    assert issue_ids(outcome, tmp_path) == list(range(FILES))
    assert sorted(set(calls(tmp_path))) == list(range(FILES))
    assert len(calls(tmp_path)) <= FILES + WORKERS


def test_if_a_worker_is_killed_another_one_makes_its_file(cluster: Cluster, tmp_path: Path) -> None:
    write_source(Lake(f"{tmp_path}/lake"))
    outcome = derive(str(tmp_path), cluster.address, 0)
    assert [process.poll() for process in cluster.workers].count(-signal.SIGKILL) == 1
    assert issue_ids(outcome, tmp_path) == list(range(FILES))
    assert calls(tmp_path) == sorted([*range(FILES), 3])
    assert Lake(f"{tmp_path}/lake").current(TOKENS.name, {"day": DAY}) == outcome.manifests[0]
