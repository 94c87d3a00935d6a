"""Writes the report about a release into the lake, beside the release's record. `titler collect` removes the
report with the release."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.lake.pinned import Pinned
from pipeline.serving.report.day_figures import DAY_FIGURES, to_json
from pipeline.serving.report.page import render
from pipeline.serving.report.release_values import collect_values
from pipeline.serving.report.values import ReleaseValues
from pipeline.settings import Settings

REPORT_FILE = "report.html"


@dataclass(frozen=True)
class Report:
    """A report about a release: its path or address in the lake, its values, and its page as HTML."""

    path: str
    values: ReleaseValues
    page: str


def report_path(release: Pinned) -> str:
    """Returns the path or the address of the report about a release in the lake."""
    return release.lake.path(release.file(REPORT_FILE))


def write_report(settings: Settings, release: Pinned) -> Report:
    """Writes the report about a release into the lake, with the figures that the report of the next release
    needs. Replaces an earlier report.

    Raises UsageError if the release does not exist or was never published, and LakeError if a file is missing
    or damaged, or if the lake cannot be written.
    """
    values, figures = collect_values(settings, release)
    report = Report(report_path(release), values, render(values))
    release.notes[DAY_FIGURES] = to_json(figures)
    release.lake.put(release.file(REPORT_FILE), page_bytes(report.page))
    return report


def report_bytes(settings: Settings, release: Pinned) -> bytes:
    """Returns the report about a release as the content of a file, and writes nothing. Raises the same errors
    as `write_report`."""
    return page_bytes(render(collect_values(settings, release)[0]))


def page_bytes(page: str) -> bytes:
    """Returns a page as the content of a file, in UTF-8."""
    return page.encode("utf-8", "replace")
