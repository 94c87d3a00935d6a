"""README and docs are true: their commands run and print what is shown; no verb and no page is missing."""

import errno
import gzip
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

import verbs_page
from pipeline import sample
from pipeline.settings import Warehouse as WarehouseSettings
from pipeline.warehouse.duckdb.differences_from_bigquery import translate
from tests.support.page_commands import (
    Command,
    Done,
    Shell,
    agrees,
    commands_of,
    followed_commands,
    indented,
    is_python,
    parse,
    pattern,
    sessions,
    words,
)
from tests.support.readme import (
    FOLLOWED,
    NAME,
    README,
    SMALL,
    analysts_queries,
    fenced,
    poor_titles_beside_any_suggestion,
    title_of,
)

ROOT = Path(__file__).resolve().parents[1]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
ISSUES_A_DAY = 100
MODELS_OWN = {
    "predicted_title",
    "predicted_after",
    "confidence",
    "distance",
    "probability",
    "vocabulary",
}  # columns that no two trainings agree on
RUNS_OWN = {"release_id", "issues_batch"}
DEMO = [  # stands for `make demo`: the same sample without Airflow, and a network that trains in seconds
    "titler sample hours --days 2",
    "TITLER_SOURCE__HOURS=hours titler run --from 2024-01-01 --to 2024-01-02",
]
SECTIONS = {
    part.partition("\n")[0]: part for part in re.split(r"(?m)^## ", OPERATIONS)[1:] if fenced(part, "console")
}


def incident(section: str, hours: Path, patch: pytest.MonkeyPatch) -> None:
    """What happens before a section of docs/operations.md."""
    late, aside = hours / "2024-01-03-7.json.gz", hours.parent / "late"
    usage = shutil.disk_usage(hours)
    patch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=60 * 2**30))
    if section == "First day":
        aside.mkdir()
        shutil.move(late, aside)
    elif section == "A lost hour":
        shutil.move(aside / late.name, late)
    elif section == "A release is stopped: a day has collapsed":
        for hour in hours.glob("2024-01-09-*"):
            hour.write_bytes(gzip.compress(gzip.decompress(hour.read_bytes()).splitlines(keepends=True)[0]))
    elif section == "A release is stopped: too low a recall":
        patch.setenv("TITLER_INDEX__EXACT_ITEMS", "0")
        patch.setenv("TITLER_INDEX__TREES", "1")
        patch.setenv("TITLER_INDEX__SEARCH_K", "1")
    elif section == "A full disk":
        fill(hours.parent / "lake" / "releases", patch)


def fill(releases: Path, patch: pytest.MonkeyPatch) -> None:
    """A disk that is full until a release is removed: files can be created, but nothing written into them."""
    usage, write = shutil.disk_usage(releases), Path.write_bytes
    there = set(releases.iterdir())

    def full() -> bool:
        return there <= set(releases.iterdir())

    def write_bytes(path: Path, data: bytes) -> int:
        if data and full():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return write(path, data)

    patch.setattr(Path, "write_bytes", write_bytes)
    patch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=0 if full() else 60 * 2**30))


def run_all(folder: Path, commands: list[Command], shell: Shell) -> list[Done]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return [done for done in map(shell.run, commands) if done is not None]


@pytest.fixture(scope="module")
def small() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**SMALL, "TITLER_SOURCE__HOURS": "hours"}.items():
            patch.setenv(name, value)
        yield patch


@pytest.fixture(scope="module")
def readme(tmp_path_factory, small) -> tuple[Path, dict[str, str], list[Done]]:
    """The folder in which the followed pages' commands ran, the run's names, and what the commands did."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "sql").symlink_to(ROOT / "sql")  # a reader types the commands in the repository
    shell = Shell(small, {})
    assert [done.code for done in run_all(folder, [Command(line) for line in DEMO], shell)] == [0, 0]
    with duckdb.connect(str(folder / "lake" / "warehouse.duckdb"), read_only=True) as connection:
        release, url = connection.sql(
            "SELECT release_id, MIN(issue_url) FROM similar_issues GROUP BY 1"
        ).fetchall()[0]
    shell.placeholders = {"RELEASE": release, "https://github.com/OWNER/REPO/issues/123": url}
    return folder, shell.names, run_all(folder, followed_commands(), shell)


@pytest.fixture(scope="module")
def operations(tmp_path_factory, small) -> tuple[dict[str, str], dict[str, list[Done]]]:
    """The names that the page's names stand for, and what each section's commands did, in order."""
    folder = tmp_path_factory.mktemp("operations")
    sample.write(folder / "hours", days=11, issues_per_day=ISSUES_A_DAY)
    shell = Shell(small, {})
    done = {}
    for section, text in SECTIONS.items():
        with pytest.MonkeyPatch.context() as patch:
            incident(section, folder / "hours", patch)
            done[section] = run_all(folder, sessions(text), shell)
    return shell.names, done


def test_the_commands_of_the_readme_run(readme):
    commands = readme[2]
    assert [(done.command.line, done.output) for done in commands if done.code] == []
    assert [done.command.line for done in commands if not done.output] == []


def test_the_readme_shows_what_its_commands_print(readme):
    _, names, commands = readme
    shown = [done for done in commands if done.command.shown]
    assert [(done.command.line, done.output) for done in shown if not agrees(done, names)] == []
    assert {words(done.command.line)[1][1] for done in shown} == {"status", "title", "similar", "-c"}


@pytest.mark.parametrize("section", SECTIONS)
def test_operations_print_what_the_page_shows(operations, section):
    names, sections = operations
    for done in sections[section]:
        assert re.fullmatch(pattern(done.command.shown, names), done.output), (
            f"$ {done.command.line}\n{done.output}"
        )
        assert bool(done.code) == ("WRONG" in done.output or "titler: " in done.output), done


def test_the_page_on_bigquery_types_verbs_and_names_settings_that_there_are():
    page = (ROOT / "docs" / "bigquery.md").read_text(encoding="utf-8")
    lines = [
        line.removeprefix("$ titler ")
        for block in fenced(page, "console")
        for line in block.splitlines()
        if line.startswith("$ titler ")
    ]
    for line in lines:
        verb, *rest = shlex.split(line)
        verbs_page.command_group().commands[verb].make_context(verb, rest)
    named = set(re.findall(r"`warehouse\.(\w+)", page)) | {
        name.lower() for name in re.findall(r"TITLER_WAREHOUSE__(\w+)", page)
    }
    assert named <= set(WarehouseSettings.model_fields)
    assert (len(lines) > 2, len(named) > 5) == (True, True)


@pytest.mark.parametrize("name", ["choosing-a-network", "quality"])
def test_a_page_on_models_types_verbs_that_there_are(name):
    commands = commands_of((ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8"))
    lines = [argv for _, argv in (words(command.line) for command in commands) if argv[0] == "titler"]
    for argv in lines:
        parse(argv)
    assert lines


def test_the_readme_leads_to_every_page():
    assert [path.name for path in (ROOT / "docs").glob("*.md") if f"](docs/{path.name})" not in README] == []


def test_every_verb_is_on_its_page_once():
    assert verbs_page.PAGE.read_text(encoding="utf-8") == verbs_page.page(), (
        "run .venv/bin/python infra/verbs_page.py"
    )
    assert sorted(re.findall(r"(?m)^### (.+)$", verbs_page.page())) == sorted(
        verbs_page.command_group().commands
    )


@pytest.fixture(scope="module")
def night_after(readme, tmp_path_factory) -> Path:
    """README's warehouse after a third day. A sample of three days has another second day than one of two
    days, so that day is not checked again."""
    folder = tmp_path_factory.mktemp("night")
    sample.write(folder / "hours", days=3)
    settings = f"TITLER_SOURCE__HOURS={folder / 'hours'} TITLER_SOURCE__RECHECK_DAYS=0"
    night = Command(f"{settings} titler run --from 2024-01-03 --to 2024-01-03")
    with pytest.MonkeyPatch.context() as patch:
        assert [done.code for done in run_all(readme[0], [night], Shell(patch, {}))] == [0]
    return readme[0] / "lake" / "warehouse.duckdb"


@pytest.mark.parametrize(("sql", "header", "shown"), analysts_queries(), ids=title_of)
def test_an_analysts_query_returns_what_the_readme_shows(night_after, sql, header, shown):
    with duckdb.connect(str(night_after), read_only=True) as connection:
        connection.execute(
            f"CREATE TEMP VIEW poor_titles AS {translate(poor_titles_beside_any_suggestion()).sql}"
        )
        releases = [
            row[0] for row in connection.sql("SELECT release_id FROM releases ORDER BY release_id").fetchall()
        ]
        for name, real in zip(sorted(set(re.findall(NAME, sql))), releases, strict=False):
            sql = sql.replace(name, real)
        limited = connection.sql(sql)
        assert limited.columns == header
        kept = [number for number, column in enumerate(header) if column not in MODELS_OWN | RUNS_OWN]
        by_the_model = any(f"ORDER BY {column}" in sql for column in MODELS_OWN)
        found = (connection.sql(sql.rpartition("LIMIT")[0]) if by_the_model else limited).fetchall()
    rows = [[str(row[number]) for number in kept] for row in found]
    expected = [[row[number] for number in kept] for row in shown]
    if by_the_model:  # and so is their order
        rows, expected = sorted(rows), sorted(expected)
    assert expected
    assert [row for row in rows if row in expected] == expected


def test_the_readmes_python_runs(readme):
    blocks = [block for page in FOLLOWED for block in indented(page) if is_python(block)]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(readme[0])
        patch.setenv("MLFLOW_TRACKING_URI", "")  # MLflow sets it; the patch restores it
        # MLflow prepends the model's copy of `pipeline`, which Dask's workers of other tests would import.
        patch.setattr(sys, "path", list(sys.path))
        for block in blocks:
            exec("\n".join(block), {})
    assert blocks


def elsewhere(word: str) -> list[list[str]]:
    """The commands of all these pages that run elsewhere and begin with a word."""
    lines = [command.line for command in followed_commands() + sessions(OPERATIONS)]
    found = [argv[1:] for argv in (words(line)[1] for line in lines) if argv[0] == word]
    assert found
    return found


def test_make_has_the_targets():
    for arguments in elsewhere("make"):
        subprocess.run(["make", "--dry-run", *arguments], cwd=ROOT, check=True, capture_output=True)


def test_airflow_understands_its_commands(tmp_path):
    code = (
        "import json, sys; from airflow.cli.cli_parser import get_parser as p; "
        "[p().parse_args(a) for a in json.load(sys.stdin)]"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(elsewhere("airflow")),
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path)},
        text=True,
        check=True,
        capture_output=True,
    )


def test_mlflow_understands_its_commands():
    from mlflow.cli import cli as mlflow

    for arguments in elsewhere("mlflow"):
        command, rest = mlflow, list(arguments)
        while hasattr(command, "commands"):
            name, *rest = rest
            command = command.get_command(None, name)
        command.make_context("mlflow", rest)


@pytest.mark.parametrize(
    "page", ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
)
def test_a_link_to_a_file_leads_to_one(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", text)
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []
