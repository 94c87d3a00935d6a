"""Mistakes and faults at the command line: one clear message, the next step, an exit code, no traceback."""

from __future__ import annotations

import gzip
import json
import os
import re
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path

import duckdb
import pytest

from pipeline.contracts import EMBEDDINGS, ISSUES, SEGMENTS
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned
from pipeline.releases.current import current_release_id, require_current
from pipeline.releases.index_figures import INDEX_FIGURES
from pipeline.releases.members import PUBLISHED_TABLES, release_content
from pipeline.releases.records import published_records, read_record
from pipeline.settings import LakeSettings, Settings, Source
from pipeline.stages import clean, extract
from tests.support import titler_in_process

DAY = date(2024, 1, 1)
NEW_DAY = date(2024, 1, 3)  # the lake has the two days before
SMALL = {  # as the lake of tests/support/lakes.py was built
    "TITLER_COMPUTE__WORKERS": "1",
    "TITLER_TEXT__SUBWORDS": "600",
    "TITLER_TEXT__BODY_UNITS": "64",
    "TITLER_INDEX__TREES": "20",
}
REFRESH = """
import sys
import time
from pipeline.cli import app
for verb in ("plan", "vectorize", "embed", "predict", "index", "publish"):
    app([verb, "--release", sys.argv[1]], standalone_mode=False)
"""


def variables(lake: Path, hours: Path, **more: str) -> dict[str, str]:
    return {"TITLER_LAKE__ROOT": str(lake), "TITLER_SOURCE__HOURS": str(hours), **SMALL, **more}


def environment(lake: Path, hours: Path) -> dict[str, str]:
    """The environment of a process of its own."""
    return {**os.environ, **variables(lake, hours)}


def titler(
    lake: Path, *arguments: str, hours: Path = Path("none"), given: bytes = b"", **more: str
) -> subprocess.CompletedProcess[str]:
    return titler_in_process.titler(*arguments, environment=variables(lake, hours, **more), given=given)


def refused(done: subprocess.CompletedProcess[str], code: int, *parts: str) -> None:
    """Asserts that it ended with `code`, printed no result, and printed one error with what to do next."""
    said = done.stderr
    assert (done.returncode, done.stdout) == (code, ""), said
    assert said.startswith("titler: ")
    assert "Traceback" not in said
    assert "fault of Titler" not in said
    assert len(said.splitlines()) >= 2
    for part in parts:
        assert part in said


@pytest.fixture
def hours(built_settings: Settings) -> Path:
    return Path(built_settings.source.bases[0].base)


@pytest.fixture
def published(shared_settings: Settings) -> Path:
    """A lake with a champion and a release. Tests only read it."""
    return Path(shared_settings.lake.root)


@pytest.fixture
def copied(copied_settings: Settings) -> Path:
    """A copy of that lake, for tests that change it."""
    return Path(copied_settings.lake.root)


def current(root: Path) -> Pinned:
    return require_current(Lake(str(root)))


def cut(root: Path, manifest: Manifest, name: str) -> None:
    path = root / manifest.folder / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


# The source


def write_hour(folder: Path, day: str, chunks: Iterator[bytes], hour: int = 0) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{day}-{hour}.json.gz"
    packer = zlib.compressobj(wbits=31)
    with path.open("wb") as file:
        for chunk in chunks:
            file.write(packer.compress(chunk))
        file.write(packer.flush())
    return path


def test_a_folder_without_hour_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()
    done = titler(tmp_path / "lake", "extract", "--day", "2015-01-01", hours=tmp_path / "photos")
    message = (
        "has no hour files. Other files and folders: 1, such as cat.jpg. Expected names like 2015-01-01-3"
    )
    refused(done, 1, message, "titler sample DIR")
    assert [path for path in (tmp_path / "lake").rglob("*") if path.is_file()] == []


def test_hours_of_before_2015_are_refused_with_the_first_day_there_is(tmp_path: Path) -> None:
    event = json.dumps(
        {"actor": "someone", "type": "PushEvent", "created_at": "2014-01-01T00:00:00Z", "payload": {}}
    ).encode()
    write_hour(tmp_path / "old", "2014-01-01", iter([event + b"\n"] * 20))
    done = titler(tmp_path / "lake", "extract", "--day", "2014-01-01", hours=tmp_path / "old")
    refused(
        done,
        3,
        "Most events of 2014-01-01-0.json.gz have the format of the Timeline API",
        "titler extract --from 2015-01-01",
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--from", "2015-01-02", "--to", "2999-01-01"], "--to 2999-01-01 is in the future"),
        (["--from", "2015-01-02"], "Give either --day or both --from and --to"),
        (["--day", "yesterday"], "Write days as YYYY-MM-DD"),
    ],
    ids=" ".join,
)
def test_days_that_are_none_are_refused_by_the_whole_job(
    tmp_path: Path, options: list[str], message: str
) -> None:
    refused(titler(tmp_path / "lake", "run", *options), 2, message)


def test_an_hour_cut_in_half_gives_the_day_and_says_what_is_missing(tmp_path: Path, hours: Path) -> None:
    shutil.copytree(hours, tmp_path / "hours")
    path = tmp_path / "hours" / "2024-01-01-7.json.gz"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    done = titler(tmp_path / "lake", "extract", "--day", "2024-01-01", hours=tmp_path / "hours")
    assert done.returncode == 0, done.stderr
    manifest = Lake(str(tmp_path / "lake")).current(ISSUES.name, {"day": "2024-01-01"})
    assert manifest is not None
    kept = (tmp_path / "lake" / manifest.figures["quarantine"] / "malformed.jsonl").read_text()
    assert "the file is cut off: the end of its gzip stream is missing" in kept


BOMBS = {
    "zeros": lambda: (bytes(2**20) for _ in range(300)),
    "one endless line": lambda: (b"x" * 2**20 for _ in range(100)),
    "more lines than an hour has": lambda: (b"0\n" * 2**20 for _ in range(4)),
    "broken lines": lambda: (b"broken\n" for _ in range(20_000)),
}


def test_hours_that_inflate_a_thousandfold_cost_little_memory_and_little_quarantine(tmp_path: Path) -> None:
    for hour, chunks in enumerate(BOMBS.values()):
        write_hour(tmp_path / "hours", "2024-01-01", chunks(), hour)
    code = (
        "import sys; from pathlib import Path; from pipeline.cli import app; "
        "app(sys.argv[1:], standalone_mode=False); "
        # ru_maxrss would start with the parent's value.
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    command = [sys.executable, "-c", code, "extract", "--day", "2024-01-01"]
    done = subprocess.run(
        command, env=environment(tmp_path / "lake", tmp_path / "hours"), capture_output=True, check=True
    )
    assert int(done.stdout.split()[-1]) < 700_000  # KiB
    manifest = Lake(str(tmp_path / "lake")).current(ISSUES.name, {"day": "2024-01-01"})
    assert manifest is not None
    assert (manifest.rows, manifest.figures["malformed"]) == (0, 20_003)
    rows = [
        json.loads(line)
        for line in (tmp_path / "lake" / manifest.figures["quarantine"] / "malformed.jsonl").open()
    ]
    assert [sum(row["file"] == f"2024-01-01-{hour}.json.gz" for row in rows) for hour in range(4)] == [
        1,
        1,
        1,
        200,
    ]
    assert re.fullmatch(
        r"the file has [\d,]+ bytes, and more than 268,435,456 bytes after decompression, "
        r"which is too much for an hour of GH Archive",
        rows[0]["reason"],
    )
    assert (rows[1]["reason"][:9], len(rows[1]["text"])) == ("not JSON:", 10_000)
    assert (
        rows[2]["reason"]
        == "the file has more than 2,000,000 lines, which is too many for an hour of GH Archive"
    )


def test_damage_that_still_inflates_to_json_fails_the_checksum(tmp_path: Path, hours: Path) -> None:
    whole = gzip.decompress((hours / "2024-01-01-7.json.gz").read_bytes())
    packed = bytearray(gzip.compress(whole))
    packed[-8] ^= 1  # of the checksum itself
    shutil.copytree(hours, tmp_path / "hours")
    (tmp_path / "hours" / "2024-01-01-7.json.gz").write_bytes(packed)
    extract.run(Lake(str(tmp_path / "lake")), Settings(source=Source(hours=str(tmp_path / "hours"))), [DAY])
    manifest = Lake(str(tmp_path / "lake")).current(ISSUES.name, {"day": "2024-01-01"})
    assert manifest is not None
    kept = (tmp_path / "lake" / manifest.figures["quarantine"] / "malformed.jsonl").read_text()
    assert "the file is damaged: Error -3 while decompressing data: incorrect data check" in kept


# What is typed


@pytest.mark.parametrize(
    ("verb", "given", "message"),
    [
        (
            "title",
            b"a" * 2 * 2**20,
            "The text has more than 262,144 bytes. The body of an issue cannot have so many: GitHub accepts "
            "at most 65,536",
        ),
        (
            "title",
            "it crashes".encode("utf-16"),
            "The text contains NUL bytes. It is probably encoded in UTF-16",
        ),
        ("similar", b"it \0 crashes", "| titler similar -"),
        ("title", b"", "The body is empty, so no title can be predicted"),
        ("title", b" \n", "titler title -"),
        ("similar", b"", "The query is empty"),
    ],
    ids=["2 MB", "UTF-16", "NUL", "nothing", "white space", "no query"],
)
def test_a_text_that_is_no_issue_is_refused(published: Path, verb: str, given: bytes, message: str) -> None:
    refused(titler(published, verb, "-", given=given), 2, message)


def test_half_a_character_is_read_as_the_replacement_character(published: Path) -> None:
    command = [
        sys.executable.encode(),
        b"-m",
        b"pipeline.cli",
        b"title",
        b"the parser crashes \xed\xa0\xbd on \xff start",
        b"--json",
    ]
    done = subprocess.run(command, env=environment(published, Path("none")), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {"title", "confidence", "abstained"} <= json.loads(done.stdout).keys()


def test_a_setting_of_the_wrong_type_is_named_with_what_was_found(tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text("[model]\nepochs = 'many'\n")
    refused(
        titler(tmp_path / "lake", "--settings", str(file), "status"),
        2,
        "model.epochs = 'many': ",
        "docs/settings.md",
    )


def test_an_unknown_setting_of_the_environment_is_named_with_the_nearest(tmp_path: Path) -> None:
    done = titler(tmp_path / "lake", "status", TITLER_LAKE__ROT="x")
    refused(done, 2, "TITLER_LAKE__ROT: no such setting; the nearest is TITLER_LAKE__ROOT.")


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipeline.cli", "--debug", "similar", "x"]
    done = subprocess.run(
        command, env=environment(tmp_path / "lake", tmp_path), capture_output=True, check=False
    )
    assert done.returncode == 1
    assert b"Traceback" in done.stderr
    assert b"No release is published" in done.stderr


# What lies in the lake


def test_a_truncated_table_is_named_and_a_repeated_extract_and_clean_mend_it(
    copied: Path, hours: Path
) -> None:
    lake = Lake(str(copied))
    manifest = lake.current(ISSUES.name, {"day": "2024-01-01"})
    assert manifest is not None
    cut(copied, manifest, "part-00000.parquet")
    done = titler(copied, "clean", "--day", "2024-01-01", hours=hours, TITLER_TEXT__ENGINE="ktext")
    refused(
        done,
        1,
        f"{manifest.folder}/part-00000.parquet is damaged: it has ",
        " in the batch's manifest",
        "Run: titler extract --day 2024-01-01 --again\nThen: titler clean --day 2024-01-01\n",
    )
    assert titler(copied, "extract", "--day", "2024-01-01", "--again", hours=hours).returncode == 0
    assert titler(copied, "clean", "--day", "2024-01-01", hours=hours).returncode == 0


def test_a_batch_with_a_damaged_manifest_is_replaced_as_the_error_says(copied: Path, hours: Path) -> None:
    manifest = Lake(str(copied)).current(ISSUES.name, {"day": "2024-01-01"})
    assert manifest is not None
    cut(copied, manifest, "manifest.json")
    done = titler(copied, "extract", "--day", "2024-01-01", hours=hours)
    pointer = "issues_v1/day=2024-01-01/current.json"
    refused(
        done,
        1,
        "manifest.json is damaged: it is not valid JSON (",
        f"Delete the folder {copied}/{manifest.folder} and the file {copied}/{pointer}, "
        "then run `titler extract --day 2024-01-01`.",
    )
    shutil.rmtree(copied / manifest.folder)
    (copied / pointer).unlink()
    assert titler(copied, "extract", "--day", "2024-01-01", hours=hours).returncode == 0
    assert titler(copied, "clean", "--day", "2024-01-01", hours=hours).returncode == 0


@pytest.mark.parametrize("name", ["vectors.npy", "items.parquet"])
def test_a_truncated_segment_of_the_index_is_named(copied: Path, name: str) -> None:
    cut(copied, current(copied).members[SEGMENTS.name][0], name)
    refused(
        titler(copied, "similar", "the parser crashes"),
        1,
        f"/{name} is damaged: it has ",
        " bytes instead of the ",
        " in the batch's manifest",
        "and what to do about each of them: titler verify",
    )


def test_a_vocabulary_that_does_not_fit_the_model_is_refused(copied: Path) -> None:
    lake = Lake(str(copied))
    manifest = lake.manifest(current(copied).plan.facts["predictor"])
    path = copied / manifest.folder / "body_vocabulary.json"
    whole = json.loads(path.read_text())
    path.write_text(json.dumps({**whole, "merges": whole["merges"][:-1]}, indent=0))
    refused(
        titler(copied, "title", "the parser crashes"),
        1,
        "body_vocabulary.json is damaged: it has ",
        " in the batch's manifest",
    )


# What is beneath


def test_a_full_disk_is_said_and_nothing_else(tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-m", "pipeline.cli", "status", "--json"]
        done = subprocess.run(
            command,
            env=environment(tmp_path / "lake", tmp_path),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (done.returncode, done.stderr.decode().splitlines()[0]) == (1, "titler: No space left on device.")


def test_a_file_that_may_not_grow_is_named(tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    command = [sys.executable, "-m", "pipeline.cli", "sample", str(tmp_path / "hours"), "--days", "1"]
    done = subprocess.run(
        command,
        env=environment(tmp_path, tmp_path),
        capture_output=True,
        text=True,
        preexec_fn=limit,
        check=False,
    )
    refused(done, 1, "File too large", "run the same command again")


def test_an_mlflow_database_that_someone_holds_is_waited_for_a_while(copied: Path) -> None:
    with closing(sqlite3.connect(copied / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        done = titler(copied, "plan")
    refused(done, 1, "the database is locked", "Wait until the other process ends")


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("ffffffffffff", "has the schema of a newer MLflow (found ffffffffffff, expected "),
        ("451aebb31d03", "mlflow db upgrade sqlite:///"),
    ],
    ids=["newer", "older"],
)
def test_an_mlflow_database_of_another_version_is_refused(copied: Path, schema: str, message: str) -> None:
    with closing(sqlite3.connect(copied / "mlflow.db", isolation_level=None)) as database:
        database.execute("UPDATE alembic_version SET version_num = ?", [schema])
    champion = titler(copied, "status", "--json")  # is read without MLflow
    refused(titler(copied, "promote", json.loads(champion.stdout)["model"]["name"]), 1, message)


def test_a_tracking_server_that_does_not_answer_is_named(tmp_path: Path) -> None:
    done = titler(tmp_path / "lake", "status", TITLER_TRACKING__URI="http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stdout == "days      none\nrelease   no release is published yet\n"
    assert "MLflow at http://127.0.0.1:9 does not answer: " in done.stderr
    assert "Traceback" not in done.stderr


# Two at once


def counts(root: Path) -> tuple[int, int]:
    """Issues and current releases, as an analyst sees them at this moment."""
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"ATTACH '{root}/warehouse.duckdb' AS w (READ_ONLY)")
        sql = """
            SELECT (SELECT COUNT(*) FROM w.title_predictions),
                (SELECT COUNT(*) FROM w.releases WHERE status = 'current')
        """
        issues, releases = connection.sql(sql).fetchall()[0]
    return issues, releases


def at_once(lake: Path, hours: Path, *commands: list[str]) -> set[tuple[int, int]]:
    """Runs Python with each list of arguments, all at once. Returns what an analyst saw meanwhile."""
    env = environment(lake, hours)
    running = [
        subprocess.Popen(
            [sys.executable, *command], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        for command in commands
    ]
    seen = set()
    try:
        while any(process.poll() is None for process in running):
            seen.add(counts(lake))
            time.sleep(0.05)  # so that the commands get the processor
        ends = [(process.returncode, process.communicate()[1].decode()) for process in running]
    finally:
        for process in running:
            process.kill()
    assert [code for code, _ in ends] == [0] * len(commands), ends
    return seen


def shown_is_pointed_at(root: Path) -> dict[str, str]:
    """The status of each release, where the lake's pointer, its records and the warehouse say the same."""
    name, lake = current_release_id(Lake(str(root))), Lake(str(root))
    with duckdb.connect(str(root / "warehouse.duckdb"), read_only=True) as connection:
        statuses = dict(connection.sql("SELECT release_id, status FROM releases").fetchall())
        shown = connection.sql("SELECT release_id, table_name, batch_id FROM release_members_v1").fetchall()
    assert [release_id for release_id, status in statuses.items() if status == "current"] == [name]
    assert sorted(statuses) == sorted(
        row["release_id"] for row in published_records(lake, Settings(lake=LakeSettings(root=str(root))))
    )
    members = [
        row
        for release_id in statuses
        for row in release_content(
            Pinned(lake, "releases", release_id), PUBLISHED_TABLES, complete=True
        ).members
    ]
    assert sorted(shown) == sorted((row["release_id"], row["table_name"], row["batch_id"]) for row in members)
    return statuses


def test_two_refreshes_under_one_name_at_once_make_one_whole_release(
    copied: Path, copied_settings: Settings, hours: Path
) -> None:
    lake = Lake(str(copied))
    extract.run(lake, copied_settings, [NEW_DAY])
    clean.run(lake, copied_settings, [NEW_DAY.isoformat()])
    before, _ = counts(copied)
    seen = at_once(copied, hours, ["-c", REFRESH, "both"], ["-c", REFRESH, "both"])
    after = counts(copied)
    assert seen <= {(before, 1), after}
    row = read_record(lake, "both")
    assert row is not None
    assert after == (row["issues"], 1)
    assert after[0] > before
    assert shown_is_pointed_at(copied)["both"] == "current"


def test_two_releases_published_at_once_are_both_recorded_and_one_is_current(
    copied: Path, hours: Path
) -> None:
    source = current(copied)
    for name in ("one", "two"):
        pinned = Pinned(source.lake, "releases", name)
        pinned.open(source.plan.days, source.plan.facts)
        for table in ("issues_v1", *PUBLISHED_TABLES, EMBEDDINGS.name, SEGMENTS.name):
            pinned.members.put(table, source.members[table])
        pinned.notes[INDEX_FIGURES] = source.notes[INDEX_FIGURES]
    before = counts(copied)
    publish = ["-m", "pipeline.cli", "publish", "--release"]
    assert at_once(copied, hours, [*publish, "one"], [*publish, "two"]) <= {before}
    statuses = shown_is_pointed_at(copied)
    assert sorted([statuses["one"], statuses["two"]]) == ["current", "published"]
