"""infra/compose.yaml: Compose's own schema, programs and settings that there are, secrets that
compose_env.py makes, loopback alone."""

from __future__ import annotations

import base64
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from airflow.configuration import conf

from pipeline import settings
from tests.infra.lint import INFRA, ROOT, program, run

FILE = INFRA / "compose.yaml"
TEXT = FILE.read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
VARIABLES = dict(re.findall(r"\$\{(\w+)(:[?-])", TEXT))


def made(folder: Path) -> dict[str, str]:
    """The file that compose_env.py makes, as Compose reads it."""
    file = folder / ".env"
    subprocess.run([sys.executable, INFRA / "compose_env.py", file], check=True, capture_output=True)
    return dict(re.findall(r"(?m)^(\w+)=(.*)$", file.read_text()))


def test_compose_takes_it(tmp_path):
    compose = program("compose-spec")
    run(compose, "-no-interpolation", FILE)
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(TEXT.replace("restart: on-failure", "restarts: on-failure"))
    refused = subprocess.run(
        [compose, "-no-interpolation", wrong], capture_output=True, text=True, check=False
    )
    assert "restarts" in refused.stderr


def test_there_is_all_that_a_team_needs():
    assert set(SERVICES) == {
        *("postgres", "minio", "buckets", "mlflow", "dask-scheduler", "dask-worker"),
        *(
            "airflow-init",
            "airflow-api-server",
            "airflow-scheduler",
            "airflow-dag-processor",
            "airflow-triggerer",
        ),
    }


def test_commands_are_programs_that_there_are():
    scripts = Path(sys.executable).parent
    for name, service in OURS.items():
        words = [
            service["command"],
            *([service["healthcheck"]["test"][1:]] if "test" in service["healthcheck"] else []),
        ]
        for command in words:
            program, *arguments = command
            assert (ROOT / program).is_file() if "/" in program else (scripts / program).exists(), (
                f"{name}: {program}"
            )
            if program == "python":
                assert (ROOT / arguments[0]).is_file(), f"{name}: {arguments[0]}"


def test_what_is_built_is_the_cpu_image():
    for service in OURS.values():
        assert (INFRA / service["build"]["context"]).resolve() == ROOT
        assert (ROOT / service["build"]["dockerfile"]) == INFRA / "Dockerfile"


def test_titlers_variables_are_settings(monkeypatch):
    given = {
        name: value
        for service in OURS.values()
        for name, value in service.get("environment", {}).items()
        if name.startswith("TITLER_")
    }
    assert given["TITLER_ALERTS__KIND"] == "${ALERTS_KIND:-log}"
    for name, value in given.items():
        monkeypatch.setenv(name, re.sub(r"\$\{\w+:-(\w*)\}", r"\1", value))
    loaded = settings.load()
    assert loaded.lake.root == "s3://titler/lake"
    assert loaded.tracking_uri == "http://mlflow:5000"


def test_airflows_variables_are_its_options():
    named = {
        name
        for service in OURS.values()
        for name in service.get("environment", {})
        if name.startswith("AIRFLOW__")
    }
    assert len(named) > 10
    for name in named:
        _, section, option = name.lower().split("__")
        assert option in conf.configuration_description[section]["options"], name


def test_all_of_airflows_components_share_keys_and_database():
    shared = (
        "AIRFLOW__CORE__FERNET_KEY",
        "AIRFLOW__API_AUTH__JWT_SECRET",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
    )
    components = [service["environment"] for name, service in SERVICES.items() if name.startswith("airflow-")]
    assert len({tuple(environment[name] for name in shared) for environment in components}) == 1


def test_hosts_are_services():
    named = set(re.findall(r"(?:https?|tcp)://([\w-]+):\d+|@([\w-]+):\d+", TEXT))
    hosts = {one or other for one, other in named} - {"localhost", "127"}
    assert hosts == {"minio", "mlflow", "postgres", "dask-scheduler", "airflow-api-server"}
    assert hosts <= set(SERVICES)


def test_nothing_is_published_beyond_loopback():
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(published) == 3
    assert all(port.startswith("${BIND:-127.0.0.1}:") for port in published)


def test_whoever_is_waited_for_tells_when_it_is_ready():
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            ends = how["condition"] == "service_completed_successfully"
            assert ends or "test" in SERVICES[other]["healthcheck"], f"{name} waits for {other}"


def test_what_keeps_something_keeps_it_in_a_volume():
    declared = set(yaml.safe_load(TEXT)["volumes"])
    mounted = {
        volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])
    }
    assert mounted == {*declared, "./entrypoints/databases.sh"}
    assert (INFRA / "entrypoints" / "databases.sh").is_file()


def test_each_secret_is_made_and_each_that_is_made_is_used(tmp_path):
    required = {name for name, default in VARIABLES.items() if default == ":?"}
    assert made(tmp_path).keys() == required


def test_choices_have_defaults_and_are_named_in_the_file(tmp_path):
    made(tmp_path)
    choices = {name for name, default in VARIABLES.items() if default == ":-"} - {"TITLER_TAG"}
    assert choices == set(re.findall(r"(?m)^# (\w+)=", (tmp_path / ".env").read_text()))


def test_no_secret_stands_in_the_file():
    assert re.findall(r"(?im)^\s*\w*(?:password|secret|fernet)\w*: (?!\$\{)(?!/)(.+)$", TEXT) == []


def test_secrets_differ_each_time_and_nobody_else_may_read_them(tmp_path):
    (tmp_path / "other").mkdir()
    first, second = made(tmp_path), made(tmp_path / "other")
    assert all(first[name] != second[name] for name in first)
    assert len(base64.urlsafe_b64decode(first["AIRFLOW_FERNET_KEY"])) == 32
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600


def test_secrets_of_a_running_server_are_left_alone(tmp_path):
    before = made(tmp_path)
    told = subprocess.run(
        [sys.executable, INFRA / "compose_env.py", tmp_path / ".env"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert made(tmp_path) == before
    assert told.endswith("exists already and was not changed, because the databases use its passwords.\n")


def test_secrets_are_never_committed():
    if not shutil.which("git") or not (ROOT / ".git").exists():
        return
    secret = ["infra/.env", "titler.env", "infra/terraform/terraform.tfstate"]
    ignored = subprocess.run(
        ["git", "check-ignore", *secret], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert ignored.stdout.split() == secret
