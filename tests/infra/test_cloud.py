"""infra/cloud.toml holds what differs from a laptop, and the doctor says what is missing for it, in the
order in which it is needed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from pipeline import settings
from tests.infra.lint import INFRA, ROOT

FILE = INFRA / "cloud.toml"
NOWHERE = "127.0.0.1:9"  # nobody listens there


def differing(path: Path) -> dict[str, object]:
    """Settings that are not a laptop's."""
    here, there = (settings.load(file).model_dump() for file in (None, path))
    return {
        f"{section}.{key}": value
        for section in there
        for key, value in there[section].items()
        if value != here[section][key]
    }


def test_it_differs_from_a_laptop_in_this():
    assert differing(FILE) == {
        "lake.root": "gs://my-project-titler-lake/lake",
        "warehouse.kind": "bigquery",
        "warehouse.project": "my-project",
        "warehouse.views_dataset": "titler_views",
        "tracking.uri": "http://mlflow:5000",
        "compute.scheduler_address": "tcp://dask-scheduler:8786",
        "model.batch_size": 1200,
    }


def test_the_doctor_lists_what_is_missing_in_order(monkeypatch, tmp_path):
    monkeypatch.setenv("TITLER_LAKE__ROOT", "/proc/no-lake")
    monkeypatch.setenv("TITLER_TRACKING__URI", f"http://{NOWHERE}")
    monkeypatch.setenv("TITLER_COMPUTE__SCHEDULER_ADDRESS", f"tcp://{NOWHERE}")
    monkeypatch.setenv("TITLER_WAREHOUSE__CREDENTIALS_FILE", str(tmp_path / "none.json"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    done = subprocess.run(
        [Path(sys.executable).parent / "titler", "--settings", FILE, "doctor"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert re.findall(r"(?m)^WRONG  (\w+)", done.stdout) == ["lake", "compute", "tracking", "warehouse"]
    assert f"No Dask scheduler answers at tcp://{NOWHERE} ([Errno 111] Connection refused)." in done.stdout
    assert (
        "Start a scheduler (dask scheduler), or leave compute.scheduler_address empty to use a local cluster."
        in done.stdout
    )
