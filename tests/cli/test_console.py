"""What the command line prints: tables, numbers, lists of days."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from pipeline.cli import console


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_columns_are_aligned_left_or_right(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [["2015-01-01", "7", "complete"], ["2015-01-02", "12,345", "partial"]]
    console.print_table([("day", "left"), ("issues", "right"), ("verdict", "left")], rows, indent=4)
    assert printed(capsys) == [
        "    day         issues  verdict",
        "    2015-01-01       7  complete",
        "    2015-01-02  12,345  partial",
    ]


def test_columns_without_names_have_no_header(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_table([("", "right"), ("", "left")], [["1", "a"], ["10", "b"]], indent=0)
    assert printed(capsys) == [" 1  a", "10  b"]


def test_a_long_value_is_neither_cut_nor_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_table([("a", "left"), ("b", "left")], [["x" * 300, "y z " * 300 + "end"]], indent=2)
    assert printed(capsys)[1] == f"  {'x' * 300}  {'y z ' * 300}end"


def test_a_value_that_looks_like_markup_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_table([("[b]title", "left")], [["[red]not a colour[/red] :smile:"]], indent=0)
    assert printed(capsys) == ["[b]title", "[red]not a colour[/red] :smile:"]


@pytest.mark.parametrize(
    ("number", "thing", "text"),
    [
        (1, "issue", "1 issue"),
        (0, "issue", "0 issues"),
        (2, "batch", "2 batches"),
        (1234, "day", "1,234 days"),
    ],
)
def test_a_number_is_followed_by_singular_or_plural(number: int, thing: str, text: str) -> None:
    assert console.count(number, thing) == text


def test_counts_leave_out_zeros() -> None:
    assert (
        console.counts(Counter({"complete": 3000, "partial": 1, "missing": 0})) == "3,000 complete, 1 partial"
    )


def test_a_list_of_days_is_cut_after_ten() -> None:
    days = [f"2015-01-{number:02d}" for number in range(1, 13)]
    assert console.some_days(days[:2]) == "2015-01-01, 2015-01-02"
    assert console.some_days(days) == ", ".join(days[:10]) + " ..."


def test_json_is_one_value_with_readable_characters(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_json({"title": "Второй"})
    output = capsys.readouterr().out
    assert "Второй" in output
    assert json.loads(output) == {"title": "Второй"}


def test_an_error_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    console.error("it failed")
    assert capsys.readouterr() == ("", "titler: it failed\n")
