"""Users' files of issues. All formats give the same rows; an error says what was found and expected."""

import json
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import UsageError
from pipeline.source.issue_files import FileIssue, read, read_pairs

PAIRS = [("First title", "first body,\nwith a line"), ("Второй", "")]


def test_json_lines_parquet_and_csv_give_the_same_rows(tmp_path):
    (tmp_path / "a.jsonl").write_text(
        '{"title": "First title", "body": "first body,\\nwith a line"}\n\n{"title": "Второй", "body": null}\n'
    )
    pq.write_table(
        pa.table({"issue_title": [p[0] for p in PAIRS], "body": [PAIRS[0][1], None], "x": [1, 2]}),
        tmp_path / "a.parquet",
    )
    (tmp_path / "a.csv").write_text(
        'issue_url,issue_title,body\nu,First title,"first body,\nwith a line"\nu,Второй,\n'
    )
    assert [list(read_pairs(tmp_path / name)) for name in ("a.jsonl", "a.parquet", "a.csv")] == [
        PAIRS,
        PAIRS,
        PAIRS,
    ]


@pytest.mark.parametrize(
    ("name", "content"), [("a.csv", "title,body\nT,b\n"), ("a.jsonl", '{"title": "T", "body": "b"}\n')]
)
def test_a_byte_order_mark_is_not_part_of_the_first_column_name(tmp_path, name, content):
    (tmp_path / name).write_text(content, encoding="utf-8-sig")
    assert list(read_pairs(tmp_path / name)) == [("T", "b")]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (
            {"issue_url": '"https://github.com/O/r/issues/7"'},
            ("https://github.com/O/r/issues/7", "O/r", 7, False),
        ),
        (
            {"html_url": "https://github.com/o/r/pull/8", "url": "https://api.github.com/repos/o/r/issues/8"},
            ("https://github.com/o/r/pull/8", "o/r", 8, True),
        ),
        (
            {"url": "https://bugs.example.org/9", "repo": "o/tracker"},
            ("https://bugs.example.org/9", "o/tracker", 0, False),
        ),
        ({"url": 7, "repo": {"name": "o/r"}, "pull_request": {"url": "u"}}, ("", "", 0, True)),
        ({"url": "u\ud83d"}, ("u\ufffd", "", 0, False)),
        ({}, ("", "", 0, False)),
    ],
)
def test_the_address_gives_the_repository_the_number_and_the_kind_of_an_issue(tmp_path, columns, expected):
    (tmp_path / "a.jsonl").write_text(json.dumps({"title": "T", "body": "b", **columns}) + "\n")
    (row,) = read(tmp_path / "a.jsonl")
    assert (row.url, row.repo, row.number, row.is_pull_request) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2015-01-02T03:04:05Z", datetime(2015, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2015-01-02 05:04:05+02:00", datetime(2015, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (datetime(2015, 1, 2), datetime(2015, 1, 2, tzinfo=UTC)),
        (date(2015, 1, 2), datetime(2015, 1, 2, tzinfo=UTC)),
        ("", None),
        (None, None),
    ],
)
def test_a_time_may_be_a_text_or_a_date_and_counts_as_utc_by_default(value, expected):
    assert FileIssue("t", "b", columns={"created_at": value}).time("created_at") == expected


@pytest.mark.parametrize("value", ["yesterday", 1420070400000, "2015-13-01"])
def test_an_invalid_time_is_refused(value):
    with pytest.raises(UsageError, match=r"a\.csv, row 1: created_at is .*; expected a time like"):
        FileIssue("t", "b", "a.csv, row 1", {"created_at": value}).time("created_at")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"name,text\na,b\n", r"a\.csv, row 1 has the columns name, text, but needs a title"),
        ("a.jsonl", b"not json\n", r"a\.jsonl cannot be read as a file of issues"),
        ("a.jsonl", b"[1, 2]\n", r"a\.jsonl, row 1 has no columns, but needs a title"),
        ("a.csv", b"name,text\na,b,c,d\n", r"a\.csv, row 1 has the columns name, text, but needs a title"),
        ("a.jsonl", b'{"title": 7, "body": "b"}\n', r"a\.jsonl, row 1: the title must be text, but is 7"),
        (
            "a.jsonl",
            b'{"title": "t", "body": ["b"]}\n',
            r"a\.jsonl, row 1: the body must be text, but is \['b'\]",
        ),
        ("a.jsonl", b'{"title": "t", "body": 0}\n', r"a\.jsonl, row 1: the body must be text, but is 0"),
        ("a.jsonl", b"\xff\xfe\n", r"a\.jsonl cannot be read"),
        ("a.parquet", b"not parquet", r"a\.parquet cannot be read"),
        ("a.jsonl", b"", r"a\.jsonl has no rows"),
    ],
)
def test_a_file_that_cannot_be_read_as_issues_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=message):
        list(read_pairs(tmp_path / name))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"none\.csv does not exist or is not a file"):
        list(read_pairs(tmp_path / "none.csv"))
