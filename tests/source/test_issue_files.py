"""Users' files of issues. All formats give the same rows; an error says what was found and expected."""

import gzip
import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import UsageError
from pipeline.source.issue_files import FileIssue, read, read_pairs

PAIRS = [("First title", "first body,\nwith a line"), ("Второй", "")]


LINES = '{"title": "First title", "body": "first body,\\nwith a line"}\n\n{"title": "Второй", "body": null}\n'
CSV = 'issue_url,issue_title,body\nu,First title,"first body,\nwith a line"\n\nu,Второй,\n'
CONTENTS = {
    "a.jsonl": LINES,
    "a": LINES,
    "lines.json": LINES,
    "array.json": '\n [{"title": "First title",\n "body": "first body,\\nwith a line"},\n'
    '{"title": "Второй", "body": ""}]\n',
    "a.csv": CSV,
    "a.CSV": CSV.replace("\n", "\r\n").replace(",\r\nwith", ",\nwith"),
    "a.v2.tsv": f'issue_title\tbody\n"First title"\t"first body,\nwith a line"\n{PAIRS[1][0]}\t\n',
}


@pytest.mark.parametrize("name", [*CONTENTS, "a.parquet"])
def test_all_formats_and_compressions_give_the_same_rows(tmp_path, name):
    plain = tmp_path / name
    if name in CONTENTS:
        plain.write_bytes(CONTENTS[name].encode())
    else:
        columns = {"issue_title": [title for title, _ in PAIRS], "body": [PAIRS[0][1], None], "x": [1, 2]}
        pq.write_table(pa.table(columns), plain)
    content = plain.read_bytes()
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content[:20]) + gzip.compress(content[20:]))
    (tmp_path / f"{name}.ZST").write_bytes(pa.compress(content, codec="zstd", asbytes=True))
    skipped_frame = b"\x5f\x2a\x4d\x18\x04\0\0\0abcd"  # as programs write it that compress in parallel
    (tmp_path / f"{name}.zstd").write_bytes(skipped_frame + (tmp_path / f"{name}.ZST").read_bytes())
    files = (plain, *(tmp_path / f"{name}{ending}" for ending in (".gz", ".ZST", ".zstd")))
    assert [list(read_pairs(file)) for file in files] == [PAIRS] * 4


def test_blanks_around_the_name_of_a_column_are_not_part_of_it(tmp_path):
    (tmp_path / "a.csv").write_text("title, body \nT, b\n")
    assert list(read_pairs(tmp_path / "a.csv")) == [("T", " b")]


def test_a_quote_in_a_field_without_quotes_is_text(tmp_path):
    (tmp_path / "a.tsv").write_text('title\tbody\nA 5" screen\tsays "no"\n')
    assert list(read_pairs(tmp_path / "a.tsv")) == [('A 5" screen', 'says "no"')]


def test_a_backslash_is_text_in_well_quoted_csv(tmp_path):
    (tmp_path / "a.csv").write_text('title,body\n"C:\\","{\\""a\\"": ""b""}\\"""\n')
    assert list(read_pairs(tmp_path / "a.csv")) == [("C:\\", '{\\"a\\": "b"}\\"')]


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
        ("2021-03-01 10:00:00 UTC", datetime(2021, 3, 1, 10, tzinfo=UTC)),
        ("2021-03-01 10:00:00.25 UTC", datetime(2021, 3, 1, 10, 0, 0, 250000, tzinfo=UTC)),
        ("2021-03-01 12:00:00 +0200", datetime(2021, 3, 1, 10, tzinfo=UTC)),
        ("20210301", datetime(2021, 3, 1, tzinfo=UTC)),
        ("1420070400", datetime(2015, 1, 1, tzinfo=UTC)),
        ("1420070400000", datetime(2015, 1, 1, tzinfo=UTC)),
        ("1.4200704E9", datetime(2015, 1, 1, tzinfo=UTC)),
        (1420070400, datetime(2015, 1, 1, tzinfo=UTC)),
        (1420070400500, datetime(2015, 1, 1, 0, 0, 0, 500000, tzinfo=UTC)),
        (Decimal("1420070400.5"), datetime(2015, 1, 1, 0, 0, 0, 500000, tzinfo=UTC)),
        ("", None),
        (None, None),
    ],
)
def test_a_time_may_be_a_text_or_a_date_and_counts_as_utc_by_default(value, expected):
    assert FileIssue("t", "b", columns={"created_at": value}).time("created_at") == expected


@pytest.mark.parametrize(
    "value",
    [
        "yesterday",
        "2015-13-01",
        20210301,
        1420070400000000,
        float("nan"),
        True,
        "0001-01-01T00:00:00+23:00",
        "2262-01-01",
        [[2015]],
    ],
)
def test_an_invalid_time_is_refused(value):
    with pytest.raises(UsageError, match=r"a\.csv, row 1: created_at is .*; expected a time like"):
        FileIssue("t", "b", "a.csv, row 1", {"created_at": value}).time("created_at")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"name,text\na,b\n", r"a\.csv, row 1 has the columns name, text, but needs a title"),
        (
            "a.jsonl",
            b'{"title": "t", "body": "b"}\nnot json\n',
            r"a\.jsonl, line 2 is not JSON: Expecting value",
        ),
        (
            "a.json",
            b'[{"title": "t",\n "body": }]',
            r"a\.json, line 2 is not JSON: Expecting value \(column 10",
        ),
        ("a.jsonl", b"[" * 100_000, r"a\.jsonl, line 1 is nested too deeply"),
        (
            "a.jsonl",
            b'{"title": ' + b"[" * 500 + b"]" * 500 + b', "body": "b"}',
            r"a\.jsonl, row 1: the title must be text, but is \[\[\[\[\[\[\[\.\.\.",
        ),
        (
            "a.jsonl",
            b'{"title": ' + b"9" * 5000 + b"}",
            r"a\.jsonl, line 1 cannot be read: Exceeds the limit",
        ),
        (
            "a.csv",
            b"\xef\xbb\xbftitle;body\r\na,b;c\r\n",
            r"a\.csv, line 1: the columns are separated by semicolons\. .* requires commas",
        ),
        ("a.csv", b"title\tbody\na\tb\n", r"line 1: the columns are separated by tabs\. .* requires commas"),
        ("a.tsv", b"title,body\na,b\n", r"line 1: the columns are separated by commas\. .* requires tabs"),
        (
            "a.csv",
            "title,body\na,b\n".encode("utf-16"),
            r"(?s)not UTF-8 text.*In Excel, save it in the format `CSV UTF-8`",
        ),
        ("a.jsonl", b"[1, 2]\n", r"a\.jsonl, row 1 has no columns, but needs a title"),
        (
            "a.csv",
            b'title,body\n"a\nb",c\nd,e,f\n',
            r"line 4: the row has a different number of fields \(3\) than the first line \(2\)",
        ),
        ("a.tsv", b"title\tbody\na\n", r"a\.tsv, line 2: the row has a different number of fields \(1\)"),
        (
            "a.csv",
            b'title,body\na,b\nc,"d\ne',
            r"a\.csv, line 3: the row has a quoted field that does not end",
        ),
        ("a.csv", b'title,body\n"a" b,c\n', r"a\.csv, line 2: the row has a quote in the middle of a field"),
        ("a.csv", b"title,body,title\na,b,c\n", r"a\.csv, line 1: several columns have the name title"),
        ("a.jsonl", b'{"title": 7, "body": "b"}\n', r"a\.jsonl, row 1: the title must be text, but is 7"),
        (
            "a.jsonl",
            b'{"title": "t", "body": ["b"]}\n',
            r"a\.jsonl, row 1: the body must be text, but is \['b'\]",
        ),
        ("a.jsonl", b'{"title": "t", "body": 0}\n', r"a\.jsonl, row 1: the body must be text, but is 0"),
        ("a.jsonl", b"\xff\xfe\n", r"a\.jsonl cannot be read as a file of issues: it is not UTF-8 text"),
        (
            "a.csv.gz",
            gzip.compress(b"title,body\na,b\n", mtime=0)[:-9],
            r"its gzip data is damaged or incomplete",
        ),
        (
            "a.zst",
            pa.compress(LINES.encode(), codec="zstd", asbytes=True)[:-9],
            r"cannot be read .*compressed",
        ),
        ("a.parquet", b"not parquet", r"a\.parquet cannot be read"),
        ("a.jsonl", b"", r"a\.jsonl has no rows"),
    ],
)
def test_a_file_that_cannot_be_read_as_issues_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=message):
        list(read_pairs(tmp_path / name))


ESCAPED = [
    'say \\"hi\\"',
    '5\\"',
    '\\"',
    "plain",
    'a \\", b',
    'a \\"\nb',
    'x\\",\\"y',
    '\\"\\"',
    'a\\","b',
    "C:\\\\",
]
"""Fields as Spark and MySQL write them, without the quotes around them."""


@pytest.mark.parametrize("first", [text for text in ESCAPED if '\\"' in text])
@pytest.mark.parametrize("quotes", ["all", "where needed"])
def test_quotes_escaped_by_a_backslash_are_refused(tmp_path, first, quotes):
    def written(text):
        return f'"{text}"' if quotes == "all" or "\\" in text else text

    for second in ESCAPED:
        rows = [(first, second), ("plain", "rest"), (second, first), ("plain", "rest")]
        lines = [",".join(map(written, row)) + "\n" for row in rows]
        (tmp_path / "a.csv").write_text("title,body\n" + "".join(lines))
        with pytest.raises(UsageError, match=r"a\.csv, line \d+: .*\n.*not with a backslash"):
            list(read_pairs(tmp_path / "a.csv"))


def test_labels_that_are_no_list_and_no_text_are_refused():
    with pytest.raises(UsageError, match=r"a\.jsonl, row 1: the labels are 7, but must be a list of"):
        _ = FileIssue("t", "b", "a.jsonl, row 1", {"labels": 7}).labels


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"none\.csv does not exist or is not a file"):
        list(read_pairs(tmp_path / "none.csv"))
