"""The page of a report, from literal values."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from pipeline.serving.report.page import format_change, format_value, render
from pipeline.serving.report.stored_report import page_bytes
from pipeline.serving.report.values import Check, Outcome, Unit
from tests.support.literal_report import HOSTILE_TEXTS, issue, report_values

VOID = {"meta", "br"}


class Page(HTMLParser):
    """The elements of a page, the addresses of its links, and its visible text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: Counter[tuple[str, tuple[str, ...]]] = Counter()
        self.links: set[str] = set()
        self.ids: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag, tuple(sorted(name for name, _ in attrs))] += 1
        values = dict(attrs)
        if tag == "a":
            self.links.add(str(values["href"]))
        if "id" in values:
            self.ids.append(str(values["id"]))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag, tuple(sorted(name for name, _ in attrs))] += 1

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self._open):
            self.text += data


def headings(html: str) -> list[str]:
    return re.findall(r"<h2[^>]*>([^<]*)</h2>", html)


@pytest.fixture(scope="module")
def html() -> str:
    return render(report_values())


def test_a_report_has_a_section_per_subject(html: str) -> None:
    assert headings(html) == [
        "What is in it, and what changed",
        "Source health",
        "Checks",
        "Title quality",
        "Similar issues",
        "Drift",
        "Time and cost",
    ]


def test_every_section_begins_with_a_sentence_that_says_how_to_read_it(html: str) -> None:
    assert len(re.findall(r'</h2>\n<p class="how">[A-Z]', html)) == len(headings(html))


def test_a_section_without_figures_is_left_out() -> None:
    values = replace(report_values(), health=None, titles=None, neighbours=None, drift=(), changed_days=None)
    values = replace(values, verbs=(), extraction=None)
    assert headings(render(values)) == ["What is in it, and what changed", "Checks"]


def test_a_report_about_the_first_release_compares_nothing() -> None:
    page = Page(render(replace(report_values(), previous=None, changed_days=None)))
    assert "There is no earlier release to compare with" in page.text
    assert "Before" not in page.text


def test_the_head_names_every_check_that_did_not_pass() -> None:
    outcomes: dict[str, Outcome] = {"A": "passed", "B": "not measured", "C": "failed"}
    checks = tuple(Check(name, "1", "0", outcome) for name, outcome in outcomes.items())
    page = Page(render(replace(report_values(), checks=checks)))
    assert "of 3, b: not measured, c: failed" in page.text


def test_hostile_texts_add_no_element_and_no_attribute(html: str) -> None:
    harmless = render(report_values(tuple(f"text {number}" for number in range(len(HOSTILE_TEXTS)))))
    added = Page(html).elements - Page(harmless).elements
    assert added.keys() == {("span", ("class",))}  # the codes of invisible characters, and lengths


def test_hostile_texts_are_visible_as_text(html: str) -> None:
    text = Page(html).text
    for hostile in HOSTILE_TEXTS[:5]:
        assert hostile in text
    assert "safeU+202Egnp.exeU+202C" in text
    assert "… (10,000 characters)" in text
    assert "W" * 401 not in text


def test_the_file_of_a_page_has_no_control_character() -> None:
    content = page_bytes(render(report_values())).decode()
    assert re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", content) == []


def test_only_addresses_of_github_are_links() -> None:
    values = report_values(("title",) * 9)
    assert values.neighbours is not None
    (neighbourhood,) = values.neighbours.neighbourhoods
    foreign = replace(neighbourhood, issue=issue("elsewhere", "javascript:alert(1)"))
    page = Page(render(replace(values, neighbours=replace(values.neighbours, neighbourhoods=(foreign,)))))
    assert "elsewhere" in page.text
    assert {link for link in page.links if not link.startswith("#")} == {
        "https://github.com/owner/name/issues/1"
    }


def test_every_link_inside_the_page_leads_to_a_part_of_it(html: str) -> None:
    page = Page(html)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_the_page_loads_nothing(html: str) -> None:
    assert (
        re.findall(r"\b(?:src|srcset|data|poster|action|xlink:href)=", re.sub("&lt;.*?&gt;", "", html)) == []
    )
    assert "url(" not in html
    assert "@import" not in html
    assert "default-src &#39;none&#39;" in html


def test_no_element_has_a_style_or_a_handler_which_the_policy_would_block(html: str) -> None:
    attributes = {name for _, names in Page(html).elements for name in names}
    assert {name for name in attributes if name == "style" or name.startswith("on")} == set()


def test_the_same_values_give_the_same_page(html: str) -> None:
    assert render(report_values()) == html


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1234567, "count", "1,234,567"),
        (0.1234, "share", "12.3%"),
        (0.98765, "decimal", "0.988"),
        (31.44, "score", "31.4"),
        (30.0, "score", "30.0"),
        (35.5, "characters", "35.5"),
        (36.0, "characters", "36"),
        (512, "bytes", "512 B"),
        (3 * 2**40, "bytes", "3.0 TiB"),
        (12.34, "seconds", "12.3 s"),
        (187.0, "seconds", "3 min"),
        (7_384.0, "seconds", "2 h 3 min"),
        ("m1", "text", "m1"),
        (None, "count", "\N{EN DASH}"),
    ],
)
def test_a_value_is_shown_in_its_unit(value: float | str | None, unit: Unit, text: str) -> None:
    assert format_value(value, unit) == text


@pytest.mark.parametrize(
    ("change", "unit", "text"),
    [
        (12, "count", "+12"),
        (-0.004, "share", "\N{MINUS SIGN}0.4 points"),
        (0.0001, "share", "no change"),
        (0, "count", "no change"),
        (None, "count", ""),
    ],
)
def test_a_change_has_a_sign(change: float | None, unit: Unit, text: str) -> None:
    assert format_change(change, unit) == text


def test_the_time_and_the_memory_of_each_verb_are_shown() -> None:
    section = render(report_values()).partition('id="cost"')[2]
    cells = re.findall(r"<t[hd][^>]*>([^<]*)</t[hd]>", section.partition("<tbody>")[2])
    assert cells == [
        *("embed", "15.2 s", "28.5 s", "512.0 MiB", "\N{EN DASH}"),
        *("predict", "3 min", "6 min", "400.5 MiB", "730.2 MiB"),
    ]


def test_the_cost_of_the_extraction_is_shown() -> None:
    text = Page(render(report_values())).text
    sentence = (
        "BigQuery billed 3.4 GiB ($0.02) for the extraction of 1 day. "
        "Extractions that the previous release has used already are not counted."
    )
    assert sentence in text
