"""What `titler releases` prints for people: at most 80 columns, a row and a few lines per release."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.cli.release_reports import releases
from pipeline.serving.releases import KEYS

MODEL = {"name": "20150103T031200Z", "version": "2"}
CURRENT = {
    "id": "20150104T031200Z",
    "status": "current",
    "current": True,
    "opened_at": "2015-01-04T03:12:00+00:00",
    "published_at": "2015-01-04T03:20:00.5+00:00",
    "published_by": "ada",
    "model": MODEL,
    "issues": 1_234_567,
    "days": 3,
    "recall_at_10": 0.998,
    "duplicates": {"pairs": 120, "recall_at_10": 0.61},
    "titles": {"rougeL": 38.1, "floor_rougeL": 15.6, "withheld": None},
    "changes": {
        "since": "20150103T040000Z",
        "days_added": ["2015-01-03"],
        "days_replaced": [],
        "days_removed": [],
        "model": {"name": "20150101T000000Z", "version": "1"},
    },
    "bytes": 3_400_000_000,
}
STOPPED = {
    "id": "20150103T040000Z",
    "status": "stopped",
    "current": False,
    "opened_at": "2015-01-03T04:00:00+00:00",
    "model": MODEL,
    "titles": {"rougeL": 2.98, "floor_rougeL": 15.6, "withheld": "ROUGE-L 2.98, first words 15.6"},
    "stopped": {
        "reason": "2015-01-02: 31 issues where 412 are usual for a Friday (24 of 24 hours found), so the day "
        "has collapsed and stops release 20150103T040000Z.",
        "at": "2015-01-03T04:09:00+00:00",
    },
    "next": "titler publish --release 20150103T040000Z",
}
DAMAGED = {"id": "20150102T040000Z", "status": "damaged", "current": False, "problem": "The file is damaged."}


def lines_of(rows: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> list[str]:
    releases([dict.fromkeys(KEYS) | row for row in rows], as_json=False)
    return capsys.readouterr().out.splitlines()


def test_a_release_is_a_row_with_lines_below_it_of_at_most_80_columns(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = lines_of([CURRENT, STOPPED, DAMAGED], capsys)
    assert max(map(len, lines)) <= 80
    assert lines == [
        "release              issues  days  recall  duplicates     titles    size",
        "20150104T031200Z  1,234,567     3   0.998        0.61  38.1/15.6  3.4 GB",
        "    current, published 2015-01-04 03:20 UTC by ada",
        "    model 20150103T031200Z, version 2 (before: 20150101T000000Z, version 1)",
        "    since 20150103T040000Z: 1 day added (2015-01-03)",
        "20150103T040000Z          -     -       -           -   withheld       -",
        "    not published, planned 2015-01-03 04:00 UTC",
        "    model 20150103T031200Z, version 2",
        "    titles withheld: ROUGE-L 2.98, first words 15.6",
        "    stopped at 2015-01-03 04:09 UTC: 2015-01-02: 31 issues where 412 are usual",
        "      for a Friday (24 of 24 hours found), so the day has collapsed and stops",
        "      release 20150103T040000Z.",
        "    next: titler publish --release 20150103T040000Z",
        "20150102T040000Z          -     -       -           -          -       -",
        "    damaged",
        "    problem: The file is damaged.",
        "recall: recall@10 of the index. duplicates: share of the marked pairs whose",
        "  older issue is listed. titles: ROUGE-L of the model's titles / of the body's",
        "  first words. size: of all batches; releases share most of them.",
    ]


def test_an_earlier_release_is_not_called_current(capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of([CURRENT | {"status": "published", "current": False}], capsys)
    assert lines[2] == "    not current, published 2015-01-04 03:20 UTC by ada"


def test_a_lake_without_a_release_says_how_to_make_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert lines_of([], capsys) == [
        "there is no release yet. To make one: titler run --from 2015-01-01 --to 2015-01-01"
    ]
