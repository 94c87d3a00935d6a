"""The page of a report in a real browser, with hostile texts, on a phone's screen and on a large one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from browser import Browser
from pipeline.serving.report.page import render
from pipeline.serving.report.stored_report import page_bytes
from tests.support.literal_report import report_values

pytestmark = pytest.mark.browser
WIDER_THAN_THE_SCREEN = """
return [...document.querySelectorAll("body *")]
  .filter((element) => !element.closest(".unseen, .skip, .scroll"))
  .filter((element) => element.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map((element) => element.outerHTML.slice(0, 80));
"""
COLUMN = """
const table = document.querySelector("#contents table.sortable");
const cells = [...table.tBodies[0].rows].map((row) => row.cells[0].textContent);
return [table.tHead.rows[0].cells[%d].getAttribute("aria-sort"), ...cells];
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    file: Path = tmp_path_factory.mktemp("report") / "report.html"
    file.write_bytes(page_bytes(render(report_values())))
    with Browser() as browser:
        browser.emulate(1440)
        browser.open(file.as_uri(), "What is in it, and what changed", "Drift")
        yield browser


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_the_page_fits_the_screen(browser: Browser, width: int, theme: str) -> None:
    browser.emulate(width, theme)
    browser.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert browser.run("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert browser.run(WIDER_THAN_THE_SCREEN) == []


def test_a_click_on_a_heading_sorts_the_rows_and_another_one_turns_them_round(browser: Browser) -> None:
    click = "document.querySelectorAll('#contents table.sortable th button')[%d].click()"
    browser.run(click % 3)  # the number of rows: 12,345 twice, and 98,765
    assert browser.run(COLUMN % 3) == ["ascending", "issues_v1", "segments_v1", "similar_issues_v2"]
    browser.run(click % 0)
    browser.run(click % 0)
    assert browser.run(COLUMN % 0) == ["descending", "similar_issues_v2", "segments_v1", "issues_v1"]
    assert browser.run(COLUMN % 3)[0] == "none"


def test_a_heading_can_be_reached_with_the_keyboard(browser: Browser) -> None:
    browser.run("document.querySelector('th button').focus()")
    assert browser.run("return document.activeElement.matches('th[aria-sort] button')")


def test_no_text_of_a_stranger_runs_as_a_script(browser: Browser) -> None:
    assert browser.run("return document.title") == "Titler release 20240110T031200Z"
    assert browser.run("return document.querySelectorAll('img, form, input, [onmouseover]').length") == 0


def test_the_page_requests_nothing_and_reports_no_error(browser: Browser) -> None:
    assert browser.run("return performance.getEntriesByType('resource').map((each) => each.name)") == []
    assert browser.console() == []
