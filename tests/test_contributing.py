"""CONTRIBUTING names real places and commands, and what it promises to contributors holds."""

from __future__ import annotations

import configparser
import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import get_args

import pytest
import yaml

from pipeline.contracts import EMBEDDINGS, RELEASES, TABLES
from pipeline.networks.variants import VARIANTS
from pipeline.releases.members import PUBLISHED_TABLES
from pipeline.settings import Alerts, Model
from pipeline.stages import collect

ROOT = Path(__file__).resolve().parents[1]
BUILD_OUTPUT = {"build/docs"}


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


TEXT = read("CONTRIBUTING.md")
PATHS = sorted(set(re.findall(r"`([\w.-]+/[\w./-]*)`", TEXT)) - BUILD_OUTPUT)
COMMANDS = re.findall(r"(?m)^    (\S.*?)(?:\s+#.*)?$", TEXT)
COMMANDS += re.findall(r"`((?:make|\.venv/bin/\w+) [^`]+)`", TEXT)
PYPROJECT = tomllib.loads(read("pyproject.toml"))


@pytest.mark.parametrize("path", PATHS)
def test_a_path_exists(path):
    assert (ROOT / path).exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_names_a_target_a_program_and_files_that_exist(command):
    program, *arguments = shlex.split(command)
    if program == "make":
        subprocess.run(["make", "--dry-run", *arguments], cwd=ROOT, check=True, capture_output=True)
        return
    paths = [program, *(argument for argument in arguments if "/" in argument)]
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_there_are_paths_and_commands_to_check():
    assert (len(PATHS) > 40, len(COMMANDS) > 10) == (True, True)


def test_every_folder_of_tests_is_listed_and_mirrors_what_it_says():
    table = re.search(r"(?ms)^\| folder \| tests \|\n(.*?)\n\n", TEXT)
    assert table
    rows = [row.strip("| ").split(" | ") for row in table[1].splitlines()[1:]]
    mirrored = {text: re.findall(r"`tests/(\w+)/`", folders) for folders, text in rows}
    listed = [folder for folders in mirrored.values() for folder in folders]
    folders = {
        path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and any(path.glob("**/*.py"))
    }
    assert sorted(listed) == sorted(folders)
    for text, base in (("in `pipeline/`", "pipeline"), ("in the repository", ".")):
        (names,) = [names for said, names in mirrored.items() if f"the same name {text}" in said]
        assert [name for name in names if not (ROOT / base / name).is_dir()] == []


def test_every_marker_is_explained():
    markers = [marker.partition(":")[0] for marker in PYPROJECT["tool"]["pytest"]["ini_options"]["markers"]]
    assert [marker for marker in markers if f"`{marker}`" not in TEXT] == []


def test_every_table_is_declared_as_the_list_says():
    for table in TABLES.values():
        assert re.fullmatch(r"[a-z_]+_v\d+", table.name)
        assert all(field.metadata[b"description"] for field in table.schema), table.name


def test_old_batches_of_every_table_of_the_lake_are_removed():
    tables = {table.name for table in TABLES.values() if "lake" in table.lives_in and table.partition}
    assert tables - {*collect.TABLES_BY_DAY, *collect.TABLES_BY_OWNER} == set()


@pytest.mark.parametrize("table", [*PUBLISHED_TABLES, EMBEDDINGS.name, RELEASES.name])
def test_every_published_table_has_a_view_and_a_case(table):
    assert [path for path in (ROOT / "sql" / "views").glob("*.sql") if table in path.read_text()]


@pytest.mark.parametrize("path", sorted((ROOT / "sql").rglob("*.sql")), ids=lambda path: path.name)
def test_a_statement_begins_with_its_grain(path):
    assert path.read_text(encoding="utf-8").startswith("-- Grain: one row")


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_is_in_the_settings_and_on_the_page(variant):
    assert variant in str(Model.model_fields["variant"].description)
    assert f"`{variant}`" in read("docs/choosing-a-network.md")


@pytest.mark.parametrize("kind", get_args(Alerts.model_fields["kind"].annotation))
def test_every_alert_kind_is_on_the_page_and_has_a_test(kind):
    assert f"`{kind}`" in read("docs/operations.md")
    assert kind in read("tests/test_alerts.py")


def test_the_hooks_download_nothing_and_run_what_make_test_runs_first():
    repositories = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"]
    hooks = repositories[0]["hooks"]
    assert {hook["language"] for hook in hooks} == {"system"}
    commands = [hook["entry"] for hook in hooks]
    assert [entry for entry in commands if not entry.startswith((".venv/bin/", "make "))] == []
    dry_run = subprocess.run(
        ["make", "--dry-run", "test"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    checks = [
        " ".join(words)
        for words in re.findall(r"(?m)^(\.venv/bin/(?:ruff|mypy))(?: (check|format))?", dry_run.stdout)
    ]
    assert len(checks) == 3
    assert [check for check in checks if not any(entry.startswith(check.strip()) for entry in commands)] == []


@pytest.mark.parametrize("script", ["infra/verbs_page.py", "infra/settings_page.py", "infra/data_page.py"])
def test_a_hook_renews_each_generated_page(script):
    assert script in read(".pre-commit-config.yaml")


def test_the_editors_line_length_is_ruffs():
    settings = configparser.ConfigParser()
    settings.read_string("[top]\n" + read(".editorconfig"))
    assert int(settings["*.py"]["max_line_length"]) == PYPROJECT["tool"]["ruff"]["line-length"]


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.name
)
def test_an_issue_template_asks_for_something(path):
    template = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert template["name"]
    assert template["description"]
    assert [field["id"] for field in template["body"] if field.get("validations", {}).get("required")]


def test_the_changelog_has_unreleased_changes_and_the_packages_version():
    headings = re.findall(r"(?m)^## (\S+)", read("CHANGELOG.md"))
    (version,) = re.findall(r'(?m)^    version="(.+)",$', read("setup.py"))
    assert headings[:2] == ["Unreleased", version]


def test_type_checkers_see_that_the_package_is_typed():
    assert (ROOT / "pipeline" / "py.typed").is_file()
