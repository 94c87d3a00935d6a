"""infra/terraform is formatted, is what the provider takes, and names what the settings name."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any

import pytest

import _pod
from pipeline import settings
from tests.infra.google_schema import REFERENCE, Schema
from tests.infra.lint import INFRA, ROOT, program, programs, run

FOLDER = INFRA / "terraform"
FILES = sorted(FOLDER.glob("*.tf"))
TEXT = "\n".join(path.read_text() for path in FILES)
PLACEHOLDER = "my-project"


def unquoted(name: str) -> str:
    return name.strip('"')


@pytest.fixture(scope="module")
def blocks() -> dict[str, list[Any]]:
    """All files' blocks, by their kind."""
    found: dict[str, list[Any]] = {}
    for path in FILES:
        done = subprocess.run([program("hcl2tojson"), path], capture_output=True, text=True, check=True)
        for kind, bodies in json.loads(done.stdout).items():
            found.setdefault(kind, []).extend(bodies)
    return found


@pytest.fixture(scope="module")
def schema() -> Schema:
    return Schema(
        next(programs().parent.glob("lib/python*/site-packages/cdktn_provider_google/_jsii/*.jsii.tgz"))
    )


@pytest.fixture(scope="module")
def resources(blocks) -> list[tuple[str, str, dict[str, Any]]]:
    """Type, name and body of each resource; a data source's type begins with `data.`."""
    found = []
    for kind, prefix in (("resource", ""), ("data", "data.")):
        for block in blocks.get(kind, []):
            for type_, named in block.items():
                found += [(prefix + unquoted(type_), unquoted(name), body) for name, body in named.items()]
    return found


def test_it_is_formatted():
    if not shutil.which("terraform"):
        pytest.skip("needs terraform on the PATH")
    run("terraform", "fmt", "-check", "-diff", FOLDER)


def test_each_resource_is_one_of_the_providers_with_arguments_that_it_takes(schema, resources):
    assert len(resources) > 30
    assert [
        f"{name}: {mistake}" for type_, name, body in resources for mistake in schema.mistakes(type_, body)
    ] == []


def test_what_a_resource_reads_of_another_is_there(schema, resources):
    declared = {(type_, name) for type_, name, _ in resources}
    for found in REFERENCE.finditer(re.sub(r"depends_on\s*=\s*\[[^]]*\]", "", TEXT)):
        type_ = (found["data"] or "") + f"google_{found['type']}"
        assert (type_, found["name"]) in declared, found[0]
        assert found["attribute"] in schema.attributes(type_), found[0]


def test_the_schema_is_that_of_the_version_that_is_asked_for(schema):
    asked = re.search(r'version = "~> (\d+)\.(\d+)"', TEXT)
    assert asked is not None
    assert schema.version.split(".")[:2] == [asked[1], asked[2]]


def test_the_schema_finds_mistakes(schema):
    body = {
        "name": '"a"',
        "colour": '"blue"',
        "versioning": '"on"',
        "lifecycle_rule": [{"action": [{"__is_block__": True}], "__is_block__": True}],
    }
    assert set(schema.mistakes("google_storage_bucket", body)) == {
        "google_storage_bucket: no argument colour",
        "google_storage_bucket: location is missing",
        "google_storage_bucket: versioning is a block",
        "google_storage_bucket.lifecycle_rule.action: type is missing",
        "google_storage_bucket.lifecycle_rule: condition is missing",
    }
    assert list(schema.mistakes("google_storage_buckets", {})) == ["google_storage_buckets: no such resource"]


def test_kubectl_reaches_the_cluster_after_the_readmes_commands():
    readme = (INFRA / "README.md").read_text()
    (apply,) = re.findall(r"terraform -chdir=\S+ apply (.*\\\n.*)", readme)
    given = set(re.findall(r"-var '?(\w+)=", apply))
    assert given == {"project", "billing_account", "alert_email", "administrators"}
    assert 'var.orchestrator != "gke" || length(var.administrators) > 0' in TEXT
    (cluster, place) = re.findall(r"clusters get-credentials (\w+) --location=(\S+)", readme)[0]
    assert re.search(
        rf'"google_container_cluster" "titler" {{\n.*\n\s+name\s+= "{cluster}"\n'
        r'\s+location\s+= "\$\{var.region\}-a"',
        TEXT,
    )
    assert f'default     = "{place.removesuffix("-a")}"' in TEXT


def test_what_terraform_itself_asks_is_switched_on_before():
    (enabled,) = re.findall(r"gcloud services enable (.*)", (INFRA / "README.md").read_text())
    assert set(enabled.split()) == {"cloudresourcemanager.googleapis.com", "serviceusage.googleapis.com"}
    assert all(f'"{name}"' in TEXT for name in enabled.split())


def test_a_node_has_room_for_the_largest_pod():
    largest = max(
        int(memory.removesuffix("Gi"))
        for verb, memory in _pod.MEMORY.items()
        if verb != "train" and memory.endswith("Gi")
    )
    assert f"the largest task, {largest} GiB (dags/_pod.py)" in TEXT


def test_variables_are_declared_and_used(blocks):
    declared = {unquoted(name) for block in blocks["variable"] for name in block}
    assert set(re.findall(r"\bvar\.(\w+)", TEXT)) == declared


def test_no_table_and_no_view_is_made(resources):
    assert {type_ for type_, _, _ in resources} & {
        "google_bigquery_table",
        "google_bigquery_routine",
    } == set()


def test_the_lake_and_the_data_set_are_those_of_cloud_toml(resources, blocks):
    cloud = settings.load(INFRA / "cloud.toml")
    assert cloud.warehouse.project == PLACEHOLDER
    (bucket,) = re.findall(r'lake_bucket\s*= "(.*)"', TEXT)
    assert cloud.lake.root == f"gs://{bucket.replace('${var.project}', PLACEHOLDER)}/lake"
    defaults = {
        unquoted(name): body.get("default") for block in blocks["variable"] for name, body in block.items()
    }
    assert (unquoted(defaults["dataset"]), unquoted(defaults["location"])) == (
        cloud.warehouse.dataset,
        cloud.warehouse.location,
    )
    (views,) = re.findall(r'views_dataset\s*= "\$\{var.dataset\}(.*)"', TEXT)
    assert cloud.warehouse.views_dataset == cloud.warehouse.dataset + views


def test_environment_variables_of_tasks_are_settings(monkeypatch):
    for name in set(re.findall(r"TITLER_\w+", TEXT)):
        monkeypatch.setenv(name, "duckdb" if name.endswith("KIND") else "x")
    assert settings.load().lake.root == "x"


def test_all_rights_on_the_data_set_are_of_one_kind_for_two_would_undo_each_other(resources):
    kinds = {type_ for type_, _, _ in resources if type_.startswith("google_bigquery_dataset_")}
    assert kinds == {"google_bigquery_dataset_access"}
    assert re.search(r'role\s+= "WRITER".*\n\s+user_by_email = google_service_account.task.email', TEXT)


def test_tasks_in_composer_have_the_settings_that_many_machines_need(resources):
    (body,) = [body for type_, _, body in resources if type_ == "google_composer_environment"]
    (software,) = body["config"][0]["software_config"]
    assert set(software["env_variables"]) >= {
        "TITLER_LAKE__ROOT",
        "TITLER_TRACKING__URI",
        "TITLER_WAREHOUSE__PROJECT",
    }
    assert set(software["airflow_config_overrides"]) == {
        "celery-worker_concurrency",
        "core-parallelism",
        "core-dags_are_paused_at_creation",
    }  # Composer refuses others, like core-plugins_folder
    assert 'var.orchestrator != "composer" || can(regex("^https?://", var.tracking_uri))' in TEXT


def test_no_value_of_a_secret_passes_through_it(resources):
    assert "google_secret_manager_secret" in {type_ for type_, _, _ in resources}
    assert {type_ for type_, _, _ in resources} & {
        "google_secret_manager_secret_version",
        "google_sql_user",
        "google_service_account_key",
    } == set()


def test_analysts_run_queries_and_read_the_views_data_set_alone(resources):
    given = [
        (type_, body.get("role"), body.get("dataset_id"))
        for type_, _, body in resources
        if "var.analysts" in json.dumps(body)
    ]
    assert [tuple(unquoted(value or "") for value in row) for row in given] == [
        ("google_project_iam_member", "roles/bigquery.jobUser", ""),
        ("google_bigquery_dataset_access", "READER", "${google_bigquery_dataset.views.dataset_id}"),
    ]


def test_the_tables_are_read_by_tasks_and_by_the_views_data_set(resources):
    of_tables = {
        name: body
        for type_, name, body in resources
        if type_ == "google_bigquery_dataset_access" and "titler.dataset_id" in json.dumps(body)
    }
    assert set(of_tables) == {"task_writes", "views_read_tables", "function_reads_tables"}
    (authorised,) = of_tables["views_read_tables"]["dataset"]
    assert authorised["dataset"][0]["dataset_id"] == "${google_bigquery_dataset.views.dataset_id}"
    assert [unquoted(type_) for type_ in authorised["target_types"]] == ["VIEWS"]
    functions = re.search(r"functions\s+= toset\(.*sql/(\w+)", TEXT)
    assert functions is not None
    assert sorted((ROOT / "sql" / functions[1]).glob("*.sql"))
