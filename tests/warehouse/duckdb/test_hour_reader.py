"""Hour files into issues and quarantine: literal lines in, literal rows out."""

from __future__ import annotations

import gzip
import json
import os
import random
import re
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import SourceError
from pipeline.warehouse.duckdb import DuckDBWarehouse, hour_reader
from pipeline.warehouse.duckdb.malformed_lines import NOT_EXAMINED
from tests.warehouse.events import DAY, EXTRACT, event, opened, write_hour

WAREHOUSE = DuckDBWarehouse("nowhere")
DICE = random.Random(7)


class Extracted(NamedTuple):
    issues: pa.Table
    events: int
    malformed: pa.Table


def extract(files: list[Path]) -> Extracted:
    extraction = WAREHOUSE.extract(EXTRACT, DAY, files)
    return Extracted(extraction.issues.read_all(), extraction.events, extraction.malformed)


def values(extraction: Extracted, column: str) -> list[Any]:
    return list(extraction.issues.column(column).to_pylist())


def broken(extraction: Extracted) -> list[tuple[int, str]]:
    return [(row["line"], row["reason"]) for row in extraction.malformed.to_pylist()]


@pytest.mark.parametrize(
    "text",
    [
        'she said "no"',
        r"c:\path\new",
        "one\r\ntwo\ttabbed",
        "\U0001f600 and 👩‍👩‍👧",
        "\u2028\u2029\u0085",
        "a\x00b\x1f",
        "عربي 中文",
        "{'not': \"json\"}",
        r"\ud83d is written out",
        "",
        "null",
        " kept as it is\n",
    ],
)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_text_comes_out_as_its_author_wrote_it(tmp_path: Path, text: str, ascii_only: bool) -> None:
    line = json.dumps(opened(title=text, body=text), ensure_ascii=ascii_only).encode()
    extraction = extract(write_hour(tmp_path, line))
    assert (values(extraction, "title"), values(extraction, "body")) == ([text], [text])


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(), max_size=5), st.booleans())
def test_whatever_the_titles_each_comes_out_once(tmp_path: Path, titles: list[str], ascii_only: bool) -> None:
    events = [opened(number, event_id=str(number), title=title) for number, title in enumerate(titles)]
    lines = [json.dumps(event, ensure_ascii=ascii_only).encode(errors="surrogatepass") for event in events]
    extraction = extract(write_hour(tmp_path, *lines))
    assert values(extraction, "title") == titles
    assert (extraction.events, extraction.malformed.num_rows) == (len(titles), 0)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (rb"half \ud83d here", "half \ufffd here"),
        (rb"\ude00 backwards \ud83d", "\ufffd backwards \ufffd"),
        (rb"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (rb"\\ud83d \ud83d", "\\ud83d \ufffd"),
        (rb"\ud83d\\ude00", "\ufffd\\ude00"),
        (rb"\uD83D\n", "\ufffd\n"),
        (b"latin \xe9", "latin \ufffd"),
    ],
)
def test_a_lone_surrogate_becomes_the_replacement_character(
    tmp_path: Path, written: bytes, read: str
) -> None:
    line = json.dumps(opened(title="HERE")).encode().replace(b"HERE", written)
    extraction = extract(write_hour(tmp_path, opened(1), line))
    assert values(extraction, "title") == ["it does not start", read]
    assert (extraction.events, extraction.malformed.num_rows) == (2, 0)


def test_malformed_lines_are_listed_and_do_not_stop_the_extraction(tmp_path: Path) -> None:
    lines: list[dict[str, Any] | bytes] = [
        opened(1),
        b"not json",
        b"[1, 2]",
        b"null",
        json.dumps(opened(2)).encode()[:50],
        {**event("PushEvent"), "id": None},
        {**event("PushEvent"), "created_at": "yesterday"},
        {**event("PushEvent"), "payload": "{}"},
        {key: value for key, value in event("PushEvent").items() if key != "type"},
        event("PushEvent"),
    ]
    extraction = extract(write_hour(tmp_path, *lines))
    assert broken(extraction) == [
        (2, "not JSON: Expecting value: line 1 column 1 (char 0)"),
        (3, "not an object but an array"),
        (4, "not an object but null"),
        (5, "not JSON: Unterminated string starting at: line 1 column 48 (char 47)"),
        (6, "id is missing"),
        (7, "created_at is not a time: 'yesterday'"),
        (8, "payload is a string, expected an object"),
        (9, "type is missing"),
    ]
    assert (values(extraction, "issue_id"), extraction.events) == ([1], 2)


@pytest.mark.parametrize(
    ("issue", "reason"),
    [
        ({"title": None}, "opened issue: issue.title is missing"),
        ({"title": {}}, "opened issue: issue.title is missing"),
        ({"issue_id": None}, "opened issue: issue.id is not a whole number"),
        ({"issue_id": "x"}, "opened issue: issue.id is not a whole number"),
        ({"number": None}, "opened issue: issue.number is not a whole number"),
        ({"html_url": None}, "opened issue: issue.html_url is missing"),
        ({"repo": None}, "opened issue: repo.name is missing"),
    ],
)
def test_an_opened_issue_that_lacks_what_is_required_is_quarantined(
    tmp_path: Path, issue: dict[str, Any], reason: str
) -> None:
    extraction = extract(write_hour(tmp_path, event("WatchEvent"), opened(**issue)))
    row = extraction.malformed.to_pylist()[0]
    assert (row["file"], row["line"], row["reason"]) == ("2015-01-03-5.json.gz", 2, reason)
    assert json.loads(row["text"])["action"] == "opened"
    assert (extraction.issues.num_rows, extraction.events) == (0, 2)


def test_the_same_incomplete_issue_on_two_lines_is_two_rows(tmp_path: Path) -> None:
    assert [
        line for line, _ in broken(extract(write_hour(tmp_path, opened(title=None), opened(title=None))))
    ] == [1, 2]


def test_a_quarantined_text_is_cut(tmp_path: Path) -> None:
    extraction = extract(write_hour(tmp_path, b"x" * 20_000, opened(number=None, body="y" * 20_000)))
    assert [len(text) for text in extraction.malformed.column("text").to_pylist()] == [10_000, 10_000]


def test_blank_lines_and_a_byte_order_mark_are_ignored(tmp_path: Path) -> None:
    extraction = extract(
        write_hour(tmp_path, b"\xef\xbb\xbf" + json.dumps(opened(1)).encode(), b"", b"  \t", opened(2), b"")
    )
    assert (values(extraction, "issue_id"), extraction.events, broken(extraction)) == ([1, 2], 2, [])


def test_deep_nesting_does_not_stop_the_extraction(tmp_path: Path) -> None:
    nest = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    deep = json.dumps(opened(1, event_id="1", labels="HERE")).encode().replace(b'"HERE"', nest)
    half = deep.replace(b"it does", rb"\ud83d")  # needs a repair, but Python cannot parse JSON that deep
    extraction = extract(write_hour(tmp_path, deep, half, opened(2)))
    assert (values(extraction, "issue_id"), broken(extraction)) == (
        [1, 2],
        [(2, "not JSON: nested too deep")],
    )


def test_a_file_cut_in_half_gives_its_whole_lines_and_one_quarantined(tmp_path: Path) -> None:
    (path,) = write_hour(
        tmp_path,
        *(opened(number, event_id=str(number), body=DICE.randbytes(200).hex()) for number in range(500)),
    )
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    extraction = extract([path])
    issue_count = extraction.issues.num_rows
    assert 200 < issue_count < 300
    assert values(extraction, "issue_id") == list(range(issue_count))
    assert broken(extraction) == [
        (issue_count + 1, "the file is cut off: the end of its gzip stream is missing")
    ]


def test_a_damaged_file_gives_the_lines_before_the_damage(tmp_path: Path) -> None:
    (path,) = write_hour(tmp_path, *(opened(number, event_id=str(number)) for number in range(5000)))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(64)
    path.write_bytes(data)
    extraction = extract([path])
    issue_count = extraction.issues.num_rows
    assert issue_count > 1000
    assert values(extraction, "issue_id") == list(range(issue_count))
    assert broken(extraction)[-1][1].startswith("the file is damaged: ")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty: it has no gzip stream"),
        (b"<html>not found</html>", "the file is not in gzip format: .*"),
    ],
)
def test_a_file_that_is_not_gzip_is_one_quarantined_line_and_spares_the_others(
    tmp_path: Path, data: bytes, reason: str
) -> None:
    bad = tmp_path / f"{DAY}-4.json.gz"
    bad.write_bytes(data)
    extraction = extract([bad, *write_hour(tmp_path, opened(1), b"broken", opened(2))])
    (first, second) = extraction.malformed.to_pylist()
    assert (first["file"], first["line"], second["file"], second["line"]) == (
        bad.name,
        1,
        f"{DAY}-5.json.gz",
        2,
    )
    assert re.fullmatch(reason, first["reason"])
    assert (values(extraction, "issue_id"), extraction.events) == ([1, 2], 2)


def compressed(content: bytes, kind: str) -> bytes:
    if kind == "Zstandard":
        return bytes(pa.compress(content, codec="zstd", asbytes=True))
    return content


@pytest.mark.parametrize("kind", ["Zstandard", "not compressed"])
def test_the_content_decides_how_a_file_is_read(tmp_path: Path, kind: str) -> None:
    (path,) = write_hour(tmp_path, opened(1), b"broken", rb'{"a": "\ud83d"}', opened(2, title="\ud83d"))
    path.write_bytes(compressed(gzip.decompress(path.read_bytes()), kind))
    extraction = extract([path])
    assert values(extraction, "title") == ["it does not start", "\ufffd"]
    assert [line for line, _ in broken(extraction)] == [2, 3]


def test_a_damaged_zstandard_file_gives_the_lines_before_the_damage(tmp_path: Path) -> None:
    (path,) = write_hour(tmp_path, *(opened(number, event_id=str(number)) for number in range(500)))
    content = compressed(gzip.decompress(path.read_bytes()) + b"\n", "Zstandard")
    path.write_bytes(content + content[:-9])
    extraction = extract([path])
    assert values(extraction, "issue_id") == list(range(500))
    assert broken(extraction)[-1][1] == "the file is cut off: the end of its Zstandard stream is missing"


def test_archives_of_several_members_and_of_nothing_are_read(tmp_path: Path) -> None:
    several = tmp_path / f"{DAY}-1.json.gz"
    several.write_bytes(
        b"".join(gzip.compress(json.dumps(opened(number)).encode() + b"\n") for number in (1, 2))
    )
    empty = tmp_path / f"{DAY}-2.json.gz"
    empty.write_bytes(gzip.compress(b""))
    extraction = extract([several, empty])
    assert (values(extraction, "issue_id"), extraction.events) == ([1, 2], 2)


def test_a_day_without_files_has_no_issues() -> None:
    extraction = extract([])
    assert (extraction.issues.num_rows, extraction.events, extraction.malformed.num_rows) == (0, 0, 0)


TIMELINE = (
    b'{"created_at":"2012-03-10T22:00:00-08:00","payload":{"issue":1,"action":"opened"},'
    b'"actor":"someone","type":"IssuesEvent"}'
)


@pytest.mark.parametrize(
    "lines", [[TIMELINE, TIMELINE], [TIMELINE + TIMELINE]], ids=["lines", "one behind the other"]
)
def test_hours_of_before_2015_are_refused_by_their_shape(tmp_path: Path, lines: list[bytes]) -> None:
    with pytest.raises(
        SourceError,
        match=r"2015-01-03-5\.json\.gz have the format of the Timeline API.* used before 2015-01-01",
    ):
        extract(write_hour(tmp_path, *lines))


def old_issue(number: int, actor: Any, **values: Any) -> dict[str, Any]:
    """An opened issue as in 2011 and early 2012."""
    payload = {"action": "opened", "number": number, "issue": 400_000 + number, "repo": "a/b"}
    return {**event("IssuesEvent", event_id=str(number), payload=payload), "actor": actor, **values}


@pytest.mark.parametrize(
    "lines",
    [
        [old_issue(1, {"id": 1, "login": "someone"}), event("PushEvent"), event("PushEvent")],
        [old_issue(1, "someone"), event("PushEvent"), event("PushEvent")],
        [old_issue(1, {"login": "someone"}, id=None), old_issue(2, "someone", id=None)],
        [
            {
                key: value
                for key, value in event("PushEvent", at="2012-02-01T05:00:00Z").items()
                if key != "id"
            }
            for _ in range(3)
        ],
    ],
    ids=["actor is an object", "actor is a string", "without ids", "no issue"],
)
def test_events_of_2011_and_2012_are_refused_by_their_shape(
    tmp_path: Path, lines: list[dict[str, Any] | bytes]
) -> None:
    with pytest.raises(SourceError, match="titler extract --from 2015-01-01") as refusal:
        extract(write_hour(tmp_path, *lines))
    assert refusal.value.exit_code == 3


def test_one_issue_in_the_old_form_is_quarantined(tmp_path: Path) -> None:
    extraction = extract(write_hour(tmp_path, old_issue(1, "someone"), opened(7), opened(8)))
    assert broken(extraction) == [(1, "opened issue: issue is a number, as in events from before 2015")]
    assert values(extraction, "issue_id") == [7, 8]


def poisoned(**values: Any) -> dict[str, Any]:
    """An opened issue with wrong values. `issue`, `repo` and `actor` override values inside these objects."""
    poisoned = opened(9, event_id="900")
    poisoned["payload"]["issue"] |= values.pop("issue", {})
    for name in ("repo", "actor"):
        poisoned[name] |= values.pop(name, {})
    return {**poisoned, **values}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        *(
            (poisoned(created_at=at), f"created_at is not a time: {at!r}")
            for at in (
                "infinity",
                "-infinity",
                "294247-01-10T04:00:54Z",
                "epoch",
                "2015-01-03 (BC)T05:00:00Z",
            )
        ),
        *(
            (poisoned(created_at=at), f"created_at is not between 1970 and 2262: {at!r}")
            for at in ("1969-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2262-01-01T00:00:00Z")
        ),
        (poisoned(created_at=1420261200), "created_at is not a time: '1420261200'"),
        (poisoned(type=5), "type is a number, expected text"),
        (poisoned(issue={"id": 2**63}), "opened issue: issue.id is not a whole number"),
        (poisoned(issue={"number": 2**63}), "opened issue: issue.number is not a whole number"),
        (poisoned(issue={"html_url": 5}), "opened issue: issue.html_url is not text"),
        (poisoned(issue={"title": 5}), "opened issue: issue.title is not text"),
        (poisoned(issue={"body": 5}), "opened issue: issue.body is not text"),
        (poisoned(repo={"name": 5}), "opened issue: repo.name is missing"),
    ],
)
def test_a_poisoned_value_is_quarantined_with_its_reason(
    tmp_path: Path, line: dict[str, Any], reason: str
) -> None:
    extraction = extract(write_hour(tmp_path, opened(7), line))
    assert broken(extraction) == [(2, reason)]
    assert values(extraction, "issue_id") == [7]


@pytest.mark.parametrize(
    ("line", "author"),
    [
        (poisoned(id=2**63), "someone"),
        (poisoned(id="9" * 40), "someone"),
        (poisoned(repo={"id": 2**63}), "someone"),
        (poisoned(actor={"id": 2**63}), "someone"),
        (poisoned(actor={"login": 5}), None),
        (poisoned(created_at="1970-01-01T00:00:01Z"), "someone"),
        (poisoned(created_at="2261-12-31T23:59:59Z"), "someone"),
    ],
)
def test_an_unusual_value_that_no_column_stores_does_no_harm(
    tmp_path: Path, line: dict[str, Any], author: str | None
) -> None:
    extraction = extract(write_hour(tmp_path, line))
    assert (values(extraction, "issue_id"), values(extraction, "author")) == ([9], [author])
    assert extraction.malformed.num_rows == 0


def test_one_line_in_the_old_form_does_not_refuse_an_hour(tmp_path: Path) -> None:
    extraction = extract(write_hour(tmp_path, opened(1), TIMELINE, opened(2)))
    assert (values(extraction, "issue_id"), [line for line, _ in broken(extraction)]) == ([1, 2], [2])


@pytest.mark.parametrize(
    ("hour", "events", "issues", "with_body"), [(12, 8273, 236, 190), (1, 7427, 218, 193)]
)
def test_real_hours_have_their_issues(hour: int, events: int, issues: int, with_body: int) -> None:
    folder = os.environ.get("TITLER_TEST_DATA")
    if not folder:
        pytest.skip("needs two real hours of GH Archive: set TITLER_TEST_DATA")
    path = Path(folder) / "gharchive" / f"2015-01-01-{hour}.json.gz"
    extraction = extract([path])
    bodies = [body for body in values(extraction, "body") if body]
    assert (extraction.events, extraction.issues.num_rows, len(bodies), extraction.malformed.num_rows) == (
        events,
        issues,
        with_body,
        0,
    )


def test_real_hours_read_side_by_side_keep_the_places_of_their_lines(tmp_path: Path) -> None:
    folder = os.environ.get("TITLER_TEST_DATA")
    if not folder:
        pytest.skip("needs two real hours of GH Archive: set TITLER_TEST_DATA")
    paths, expected = [], []
    for path in sorted((Path(folder) / "gharchive").glob("*.json.gz")):
        lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
        for place in (1, 3000, 7000):
            lines[place - 1] = b"broken\n"
            expected.append((path.name, place))
        (tmp_path / path.name).write_bytes(gzip.compress(b"".join(lines), 1))
        paths.append(tmp_path / path.name)
    extraction = extract(paths)
    assert [(row["file"], row["line"]) for row in extraction.malformed.to_pylist()] == expected
    assert extraction.events == 8273 + 7427 - 6


def test_equal_incomplete_events_take_linear_time(tmp_path: Path) -> None:
    lines = [opened(1, title=None, body="x")] * 40_000
    files = write_hour(tmp_path, *lines)
    extraction = WAREHOUSE.extract(EXTRACT, DAY, files)  # quadratic: 1.6e9 rows, over the time limit
    assert (extraction.malformed.num_rows, extraction.omitted_malformed) == (200, 39_800)


def test_only_some_malformed_lines_of_a_file_are_examined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hour_reader, "MOST_EXAMINED", 2)
    half = json.dumps(opened(2)).encode().replace(b"it does", rb"\ud83d it does")
    extraction = extract(write_hour(tmp_path, opened(1), half, b"{", half, event("PushEvent")))
    assert sorted(values(extraction, "issue_id")) == [1, 2]
    assert broken(extraction) == [
        (3, "not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        (4, NOT_EXAMINED),
    ]
    assert extraction.events == 3


@pytest.mark.parametrize(("readable", "is_refused"), [(1, True), (4, False)])
def test_the_share_of_old_events_is_that_of_the_examined_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, readable: int, *, is_refused: bool
) -> None:
    monkeypatch.setattr(hour_reader, "MOST_EXAMINED", 2)
    files = write_hour(tmp_path, *[TIMELINE] * 3, *[event("PushEvent")] * readable)
    if is_refused:
        with pytest.raises(SourceError, match="Most events"):
            extract(files)
    else:
        assert extract(files).events == readable
