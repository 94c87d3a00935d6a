"""Extracting a source day from GH Archive's own table: the same issues as from hour files, paid for once."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import stage_reports, stage_runs
from pipeline.cli.options import Context
from pipeline.contracts import DUPLICATE_MARKS, EXTRACTED_ISSUES, SOURCE_HEALTH
from pipeline.errors import DailyBudgetError, SourceError
from pipeline.lake.batches import Lake
from pipeline.settings import LakeSettings, Source
from pipeline.settings import Settings as AllSettings
from pipeline.settings import Warehouse as Settings
from pipeline.stages import extract
from pipeline.warehouse.bigquery import BigQueryWarehouse
from pipeline.warehouse.duckdb import DuckDBWarehouse
from tests.support.emulator import Answer, Emulator, Request
from tests.warehouse.bigquery.conversation import billing, jobs_started, source_tables
from tests.warehouse.events import DAY, EXTRACT, commented, event, opened, write_hour
from tests.warehouse.source import SCHEMA, load_day

MB = 2**20
READING = "WITH issues AS"  # the start of the query for a day's issues


def issues(
    warehouse: BigQueryWarehouse | DuckDBWarehouse, day: date = DAY, files: tuple[Path, ...] = ()
) -> list[dict[str, Any]]:
    return list(warehouse.extract(EXTRACT, day, files).issues.read_all().to_pylist())


def test_issues_come_in_order_and_what_lacks_something_goes_to_quarantine(
    bigquery_warehouse: BigQueryWarehouse, emulator: Emulator, tmp_path: Path
) -> None:
    late = opened(9, event_id="9", at="2015-01-03T23:00:00Z", title='"quoted" \\ é 👩‍👩‍👧', body="one\r\ntwo")
    broken = opened(8, event_id="8", title=None)
    load_day(
        emulator,
        DAY,
        write_hour(tmp_path, late, broken, event("WatchEvent"), opened(7, event_id="7", body=None)),
    )
    extraction = bigquery_warehouse.extract(EXTRACT, DAY)
    rows = extraction.issues.read_all()
    assert rows.schema == EXTRACTED_ISSUES.schema
    assert [(row["issue_id"], row["title"], row["body"]) for row in rows.to_pylist()] == [
        (7, "it does not start", None),
        (9, '"quoted" \\ é 👩‍👩‍👧', "one\r\ntwo"),
    ]
    assert (extraction.events, extraction.events_per_hour) == (4, {5: 3, 23: 1})
    assert extraction.malformed_issues == 1
    (row,) = extraction.malformed.to_pylist()
    assert (row["file"], row["line"], row["reason"]) == (
        "githubarchive.day.20150103",
        8,
        "opened issue: issue.title is missing",
    )


def test_comments_that_may_mark_duplicates_come_with_the_issues_and_the_malformed_events(
    bigquery_warehouse: BigQueryWarehouse, emulator: Emulator, tmp_path: Path
) -> None:
    broken = opened(8, event_id="8", title=None)
    lines = (
        commented("dup #12", event_id="2"),
        opened(7),
        broken,
        commented("Duplicate of #12", event_id="1"),
    )
    hours = write_hour(tmp_path, *lines)
    load_day(emulator, DAY, hours)
    extraction = bigquery_warehouse.extract(EXTRACT, DAY)
    assert [(row["event_id"], row["body"]) for row in extraction.comments.to_pylist()] == [
        ("1", "Duplicate of #12"),
        ("2", "dup #12"),
    ]
    assert extraction.comments == DuckDBWarehouse("nowhere").extract(EXTRACT, DAY, hours).comments
    assert extraction.malformed.num_rows == 1
    assert [row["issue_id"] for row in extraction.issues.read_all().to_pylist()] == [7]


def test_of_many_malformed_events_the_first_are_kept_and_all_are_counted(
    bigquery_warehouse: BigQueryWarehouse, emulator: Emulator, tmp_path: Path
) -> None:
    load_day(
        emulator,
        DAY,
        write_hour(
            tmp_path, *(opened(number, event_id=str(number), number=None) for number in range(1000, 1250))
        ),
    )
    extraction = bigquery_warehouse.extract(EXTRACT, DAY)
    assert (
        extraction.malformed.num_rows,
        extraction.omitted_malformed,
        extraction.issues.read_all().num_rows,
    ) == (
        200,
        50,
        0,
    )


def test_a_day_without_a_table_is_missing_and_costs_nothing(
    bigquery_warehouse: BigQueryWarehouse, emulator: Emulator
) -> None:
    extraction = bigquery_warehouse.extract(EXTRACT, DAY)
    assert (
        extraction.issues.read_all().num_rows,
        extraction.events,
        extraction.events_per_hour,
        dict(extraction.cost),
    ) == (0, 0, {}, {})
    assert jobs_started(emulator, "SELECT") == []


def test_a_day_whose_table_has_no_issues_is_a_day_without_issues(
    bigquery_warehouse: BigQueryWarehouse, emulator: Emulator, tmp_path: Path
) -> None:
    load_day(emulator, DAY, write_hour(tmp_path, event("WatchEvent")))
    extraction = bigquery_warehouse.extract(EXTRACT, DAY)
    assert (extraction.issues.read_all().num_rows, extraction.events_per_hour) == (0, {5: 1})


def test_without_the_storage_api_rows_come_as_pages(
    bigquery_settings: Settings, emulator: Emulator, tmp_path: Path
) -> None:
    load_day(emulator, DAY, write_hour(tmp_path, opened(7), opened(8)))
    warehouse = BigQueryWarehouse(bigquery_settings.model_copy(update={"storage_endpoint": ""}), "test")
    assert [row["issue_id"] for row in issues(warehouse)] == [7, 8]


def test_a_stream_that_breaks_is_taken_up_where_it_broke(
    bigquery_settings: Settings, emulator: Emulator, tmp_path: Path
) -> None:
    load_day(
        emulator,
        DAY,
        write_hour(
            tmp_path, *(opened(number, event_id=str(number), body="x" * 2000) for number in range(1, 301))
        ),
    )
    with breaking(emulator.storage_endpoint, byte_limit=200_000) as (endpoint, breaks):
        warehouse = BigQueryWarehouse(
            bigquery_settings.model_copy(update={"storage_endpoint": endpoint}), "test"
        )
        assert [row["issue_id"] for row in issues(warehouse)] == list(range(1, 301))
    assert breaks == [1]


@pytest.fixture
def settings(bigquery_settings: Settings, tmp_path: Path) -> AllSettings:
    return AllSettings(lake=LakeSettings(root=str(tmp_path / "lake")), warehouse=bigquery_settings)


def test_a_day_in_the_lake_is_not_paid_for_again(
    settings: AllSettings, emulator: Emulator, tmp_path: Path
) -> None:
    lake = Lake(settings.lake.root)
    load_day(emulator, DAY, write_hour(tmp_path, opened(7)))
    first, (health,) = extract.run(lake, settings, [DAY])
    repeated, _ = extract.run(lake, settings, [DAY])
    assert (first.made, repeated.made, repeated.manifests) == (1, 0, first.manifests)
    assert len(jobs_started(emulator, READING)) == 1
    assert (health["hours_found"], health["events"], health["issues"], health["verdict"]) == (
        1,
        1,
        1,
        "partial",
    )
    cost = first.manifests[0].figures["cost"]
    assert (cost["job_id"], cost["bytes_estimated"] > 0) == (
        jobs_started(emulator, READING)[0]["jobReference"]["jobId"],
        True,
    )


def test_a_day_that_was_paid_for_before_there_were_marks_is_asked_again_only_if_told_to(
    settings: AllSettings, emulator: Emulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = Lake(settings.lake.root)
    load_day(emulator, DAY, write_hour(tmp_path, opened(7), commented("Duplicate of #12")))
    (first,) = extract.run(lake, settings, [DAY])[0].manifests
    figures = {name: value for name, value in first.figures.items() if name != DUPLICATE_MARKS.name}
    lake.put(f"{first.folder}/manifest.json", replace(first, figures=figures).to_json().encode())
    outcome, health = extract.run(lake, settings, [DAY])
    assert (outcome.made, len(jobs_started(emulator, READING))) == (0, 1)
    stage_reports.extracted(lake, settings, outcome, health)
    assert (
        "    1 day in the lake has no duplicate marks, because it was extracted by an earlier version of "
        "Titler. To add the marks: titler extract --day 2015-01-03 --again\n"
        "    To see what BigQuery would bill for adding the marks: titler cost --day 2015-01-03 --again\n"
    ) in capsys.readouterr().out
    outcome, _ = extract.run(lake, settings, [DAY], again=True)
    assert outcome.manifests[0].figures[DUPLICATE_MARKS.name]["marks"] == 1
    assert "BigQuery is expected to bill" in capsys.readouterr().out


def test_a_day_is_read_again_when_asked_for_or_when_its_table_has_grown(
    settings: AllSettings, emulator: Emulator, tmp_path: Path
) -> None:
    lake = Lake(settings.lake.root)
    load_day(emulator, DAY, write_hour(tmp_path, opened(7)))
    extract.run(lake, settings, [DAY])
    assert extract.run(lake, settings, [DAY], again=True)[0].made == 1
    load_day(emulator, DAY, write_hour(tmp_path, opened(8, event_id="200")))
    outcome, _ = extract.run(lake, settings, [DAY])
    assert (outcome.made, outcome.rows) == (1, 2)
    assert len({job["jobReference"]["jobId"] for job in jobs_started(emulator, READING)}) == 3


def test_a_day_without_a_table_is_recorded_as_missing(settings: AllSettings, emulator: Emulator) -> None:
    _, (health,) = extract.run(Lake(settings.lake.root), settings, [DAY])
    assert (health["hours_found"], health["verdict"], len(health["hours_missing"])) == (0, "missing", 24)
    assert Lake(settings.lake.root).current(SOURCE_HEALTH.name, {"day": str(DAY)}) is not None


def test_a_day_before_2015_is_refused_before_anything_is_paid_for(
    bigquery_warehouse: BigQueryWarehouse, emulator: Emulator, tmp_path: Path
) -> None:
    day = date(2014, 12, 31)
    load_day(emulator, day, write_hour(tmp_path, opened(7)))
    for request in (bigquery_warehouse.extract, bigquery_warehouse.estimate):
        with pytest.raises(SourceError, match="titler extract --from 2015-01-01") as refusal:
            request(EXTRACT, day)
        assert refusal.value.exit_code == 3
    assert jobs_started(emulator, "SELECT") == []


def test_a_table_that_lacks_a_column_is_refused_before_anything_is_paid_for(
    bigquery_warehouse: BigQueryWarehouse, emulator: Emulator, tmp_path: Path
) -> None:
    load_day(emulator, DAY, write_hour(tmp_path, opened(7)))
    fields = [field.to_api_repr() for field in SCHEMA if field.name not in ("payload", "actor")]
    with emulator.proxy.intervene(source_tables(schema={"fields": fields})):
        for request in (bigquery_warehouse.extract, bigquery_warehouse.estimate):
            with pytest.raises(
                SourceError, match=r"lacks these columns, .*: actor\.login, payload\."
            ) as refusal:
                request(EXTRACT, DAY)
            assert refusal.value.exit_code == 3
    assert jobs_started(emulator, "SELECT") == []


def test_a_day_has_the_same_verdict_from_a_table_and_from_files(
    settings: AllSettings, emulator: Emulator, tmp_path: Path
) -> None:
    """Ten of 24 hours have events, and most issues lack their address."""
    (tmp_path / "hours").mkdir()
    files = []
    for hour in range(10):
        at = f"2015-01-03T{hour:02}:10:00Z"
        lacking = [opened(1 + 9 * hour + n, event_id=f"{hour}{n}", at=at, html_url=None) for n in range(8)]
        files += write_hour(
            tmp_path / "hours", opened(9 + 9 * hour, event_id=f"1{hour}9", at=at), *lacking, hour=hour
        )
    load_day(emulator, DAY, files)
    _, (table,) = extract.run(Lake(settings.lake.root), settings, [DAY])
    from_files = AllSettings(
        source=Source(hours=str(tmp_path / "hours")), lake=LakeSettings(root=str(tmp_path / "other"))
    )
    _, (expected,) = extract.run(Lake(from_files.lake.root), from_files, [DAY])
    assert set(table["hour_sources"]) == {"", "githubarchive.day.20150103"}
    of_hours = {name: expected[name] for name in ("hour_sources", "hour_digests")}
    assert {**table, **of_hours} == expected
    assert (table["verdict"], table["reason"]) == (
        "partial",
        "10 of 24 hours found, 80 of 170 lines malformed, 80 of 90 opened issues malformed",
    )


def test_real_hours_give_the_same_from_a_table_and_from_files(
    bigquery_warehouse: BigQueryWarehouse, emulator: Emulator
) -> None:
    folder = os.environ.get("TITLER_TEST_DATA")
    if not folder:
        pytest.skip("needs two real hours of GH Archive: set TITLER_TEST_DATA")
    day, files = date(2015, 1, 1), tuple(sorted((Path(folder) / "gharchive").glob("*.json.gz")))
    load_day(emulator, day, files)
    extraction = bigquery_warehouse.extract(EXTRACT, day)
    expected = DuckDBWarehouse("nowhere").extract(EXTRACT, day, files)
    assert extraction.issues.read_all().to_pylist() == expected.issues.read_all().to_pylist()
    assert (extraction.events, sorted(extraction.events_per_hour), extraction.malformed.num_rows) == (
        expected.events,
        [1, 12],
        expected.malformed.num_rows,
    )
    assert sorted(extraction.events_per_hour.values()) == sorted(expected.events_per_file.values())
    assert extraction.comments == expected.comments
    assert extraction.comments.num_rows == 6


def test_a_backfill_that_spends_the_days_budget_keeps_what_it_has_and_names_what_is_left(
    emulator: Emulator, bigquery_settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    days = [DAY, DAY + timedelta(1), DAY + timedelta(2)]
    for day in days:
        at = f"{day}T05:00:00Z"
        load_day(emulator, day, write_hour(tmp_path, opened(day.day, event_id=str(day.day), at=at)))
    configured = AllSettings(
        lake=LakeSettings(root=str(tmp_path / "lake")),
        warehouse=bigquery_settings.model_copy(update={"max_bytes_per_day": 50 * MB}),
    )
    with emulator.proxy.intervene(billing(40 * MB, READING)), pytest.raises(DailyBudgetError) as raised:
        stage_runs.extract(Context.of(configured), days)
    assert raised.value.message.endswith("The query was not run. 2 days are left.")
    assert "titler extract --from 2015-01-04 --to 2015-01-05" in raised.value.hint
    assert "extract: 1 row, 1 day written" in capsys.readouterr().out
    lake = Lake(str(tmp_path / "lake"))
    assert lake.current(SOURCE_HEALTH.name, {"day": str(DAY)}) is not None
    assert len(jobs_started(emulator, READING)) == 1
    # On the next day, the same command continues.
    later = configured.model_copy(update={"warehouse": bigquery_settings})
    stage_runs.extract(Context.of(later), days)
    assert lake.days(SOURCE_HEALTH.name) == [str(day) for day in days]
    assert len(jobs_started(emulator, READING)) == 3


def test_after_a_refusal_bigquery_is_not_asked_about_the_other_days(
    emulator: Emulator, bigquery_settings: Settings, tmp_path: Path
) -> None:
    days = [DAY + timedelta(number) for number in range(3)]
    for day in days:
        load_day(emulator, day, write_hour(tmp_path, opened(at=f"{day}T05:00:00Z")))
    configured = AllSettings(
        lake=LakeSettings(root=str(tmp_path / "lake")),
        warehouse=bigquery_settings.model_copy(update={"max_bytes_per_day": 50 * MB}),
    )
    with emulator.proxy.intervene(billing(40 * MB, READING)):
        outcome, _ = extract.run(Lake(str(tmp_path / "lake")), configured, days)
    assert "2 days are left" in str(outcome.refusal)
    dry_runs = [request.json for request in emulator.proxy.requests if "dryRun" in str(request.json)]
    assert not [job for job in dry_runs if "150105" in str(job)]  # the third day


def test_a_day_that_needs_more_than_the_whole_budget_does_not_stop_smaller_days(
    emulator: Emulator, bigquery_settings: Settings, tmp_path: Path
) -> None:
    days = [DAY + timedelta(number) for number in range(3)]
    for day in days:
        load_day(emulator, day, write_hour(tmp_path, opened(at=f"{day}T05:00:00Z")))
    configured = AllSettings(
        lake=LakeSettings(root=str(tmp_path / "lake")),
        warehouse=bigquery_settings.model_copy(update={"max_bytes_per_day": 50 * MB}),
    )

    def first_day_is_larger(request: Request, forward: Callable[[], Answer]) -> Answer | None:
        return billing(45 * MB if "150103" in str(request.json) else MB, READING)(request, forward)

    with emulator.proxy.intervene(billing(10 * MB, "EXTRACT(HOUR"), first_day_is_larger):
        outcome, _ = extract.run(Lake(configured.lake.root), configured, days)
    assert [manifest.day for manifest in outcome.manifests] == ["2015-01-04", "2015-01-05"]
    assert str(outcome.refusal) == (
        "2015-01-03: BigQuery would bill 57.7 MB, under $0.01 for this day alone, which is more than the "
        "whole budget: warehouse.max_bytes_per_day = 52,428,800 bytes (52.4 MB). The query was not run.\n"
        "To extract 2015-01-03, set TITLER_WAREHOUSE__MAX_BYTES_PER_DAY=58000000"
    )
    assert outcome.refusal is not None
    assert outcome.refusal.exit_code == 3


@contextmanager
def breaking(endpoint: str, byte_limit: int) -> Iterator[tuple[str, list[int]]]:
    """A proxy to `endpoint` that cuts its first connection after `byte_limit` bytes, and the list of these
    cuts.
    """
    host, port = endpoint.split(":")
    breaks: list[int] = []
    server = socket.create_server(("127.0.0.1", 0))

    def pass_on(source: socket.socket, target: socket.socket, limit: int | None) -> None:
        passed = 0
        try:
            while data := source.recv(16_384):
                passed += len(data)
                if limit is not None and passed > limit:
                    breaks.append(1)
                    break
                target.sendall(data)
        except OSError:
            pass
        for connection in (source, target):
            with suppress(OSError):  # close() would wait for the other thread, which reads
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def serve() -> None:
        first = True
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            upstream = socket.create_connection((host, int(port)))
            threading.Thread(target=pass_on, args=(client, upstream, None), daemon=True).start()
            threading.Thread(
                target=pass_on, args=(upstream, client, byte_limit if first else None), daemon=True
            ).start()
            first = False

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.getsockname()[1]}", breaks
    finally:
        server.close()
