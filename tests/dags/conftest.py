"""Airflow for the tests of its DAGs: no database, and a home of its own before anything imports it."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest

HOME = tempfile.mkdtemp(prefix="titler-airflow-")
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
DAGS = Path(__file__).resolve().parents[2] / "dags"
os.environ["AIRFLOW_HOME"] = HOME  # Airflow reads these once, when it is imported
os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"] = str(DAGS / "plugins")


@pytest.fixture(scope="session")
def airflow_dags():
    """The DAGs by id, and the errors of importing them by file, as Airflow finds them in `dags/`."""
    from airflow.dag_processing.dagbag import BundleDagBag

    bag = BundleDagBag(dag_folder=str(DAGS), bundle_path=DAGS, bundle_name="dags")
    assert bag.import_errors == {}
    return bag.dags
