"""Figures of the issues and the titles of a day. With them, a report shows whether issues or titles drift
(change over time).

The figures of the last days are stored with a release, in the file day_figures.json. The report of the next
release takes them from there, so it reads the rows of new days only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.contracts import ISSUES, TITLE_PREDICTIONS, VECTORS
from pipeline.lake.json_documents import KnownKeys, delete_and_run, object_with
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Note, Pinned
from pipeline.serving.report.release_rows import ReleaseRows
from pipeline.serving.report.values import Drift, Unit

DAYS = 28
"""Maximum number of days of which a release stores figures."""
NEW_DAYS = 7
"""Maximum number of days of which a report reads rows. If more days are new, the earlier ones are left
out."""
BODY_CHARACTERS = 500
"""The script of an issue is that of its title and of this much of its body."""
SCRIPT_ISSUES = 5_000
"""The script is determined for at most about this many issues of a day, spread evenly over the day."""
PADDING_ID, UNKNOWN_ID = 0, 1


@dataclass(frozen=True)
class DayFigures:
    """Figures of a day. `issues_batch` and `titles_batch` are the ids of the batches that were measured. A
    share is None if its denominator is 0."""

    day: str
    issues_batch: str
    titles_batch: str
    issues: int
    repositories: int
    title_characters: float | None
    """median number of characters"""
    body_characters: float | None
    """median number of characters of the issues that have a body"""
    without_body: float | None
    other_script: float | None
    """share of issues of which less than half of the letters are Latin, of those with letters"""
    unknown: float | None
    """share of the ids of titles and bodies that stand for what the vocabulary lacks"""
    confidence: float | None
    """mean confidence of the titles"""
    abstained: float | None


class _DayKeys(KnownKeys):
    day: str
    issues_batch: str
    titles_batch: str
    issues: int
    repositories: int
    title_characters: float | None
    body_characters: float | None
    without_body: float | None
    other_script: float | None
    unknown: float | None
    confidence: float | None
    abstained: float | None


class _FigureKeys(KnownKeys):
    days: list[_DayKeys]


DAY_FIGURES = Note(
    "day_figures",
    object_with(_FigureKeys),
    "the figures of the last days of a release",
    delete_and_run("titler report NAME"),
)
"""The note with the figures: the file day_figures.json beside the release's plan."""


def stored_figures(release: Pinned | None) -> list[DayFigures]:
    """Returns the figures that are stored with a release, or an empty list if there are none."""
    stored = release.notes[DAY_FIGURES] if release else None
    names = DayFigures.__dataclass_fields__
    return [DayFigures(**{name: row[name] for name in names}) for row in (stored or {"days": []})["days"]]


def to_json(figures: Sequence[DayFigures]) -> dict[str, Any]:
    """Returns the figures as the content of the file day_figures.json."""
    return {"days": [asdict(day) for day in figures]}


def figures_of_last_days(
    release: Pinned, rows: ReleaseRows, stored: Sequence[DayFigures]
) -> list[DayFigures]:
    """Returns the figures of the last days of a release, at most DAYS, in order.

    `rows` reads the rows of the release, and `stored` are figures that are in the lake already. If the stored
    figures of a day were measured from the batches that the release has for the day, they are used. Any other
    day is measured now if it is among the last NEW_DAYS days, and is left out otherwise.
    """
    measured = {(day.day, day.issues_batch, day.titles_batch): day for day in stored}
    issues = release.members[ISSUES.name][-DAYS:]
    titles = {manifest.day: manifest for manifest in release.members[TITLE_PREDICTIONS.name][-DAYS:]}
    days: list[DayFigures | None] = []
    vectors: dict[str, Manifest] = {}
    for number, manifest in enumerate(issues):
        of_titles = titles[manifest.day]
        figures = measured.get((manifest.day, manifest.batch_id, of_titles.batch_id))
        if figures is None and number >= len(issues) - NEW_DAYS:
            if not vectors and VECTORS.name in release.members:
                vectors = {each.day: each for each in release.members[VECTORS.name][-NEW_DAYS:]}
            figures = _read_figures(rows, manifest, of_titles, vectors.get(manifest.day))
        days.append(figures)
    return [day for day in days if day]


def _read_figures(
    rows: ReleaseRows, issues: Manifest, titles: Manifest, vectors: Manifest | None
) -> DayFigures:
    return measure_day(
        issues.day,
        issues.batch_id,
        titles.batch_id,
        rows.read(issues, ISSUES),
        rows.read(titles, TITLE_PREDICTIONS),
        rows.read(vectors, VECTORS) if vectors else VECTORS.empty(),
    )


def measure_day(
    day: str, issues_batch: str, titles_batch: str, issues: pa.Table, titles: pa.Table, vectors: pa.Table
) -> DayFigures:
    """Returns the figures of a day from its rows of the tables issues_v1, title_predictions_v1 and
    vectors_v1."""
    bodies = issues.column("body").drop_null()
    return DayFigures(
        day,
        issues_batch,
        titles_batch,
        len(issues),
        pc.count_distinct(issues.column("repo")).as_py(),
        _median_length(issues.column("title")),
        _median_length(bodies),
        1 - len(bodies) / len(issues) if len(issues) else None,
        _share_of_other_scripts(issues),
        _share_of_unknown(vectors),
        pc.mean(titles.column("confidence")).as_py(),
        pc.mean(titles.column("abstained").cast(pa.int8())).as_py(),
    )


def _median_length(texts: pa.ChunkedArray) -> float | None:
    lengths = pc.utf8_length(texts).to_pylist()
    return float(median(lengths)) if lengths else None


def _share_of_other_scripts(issues: pa.Table) -> float | None:
    issues = issues.take(pa.array(range(0, len(issues), 1 + len(issues) // SCRIPT_ISSUES), pa.int64()))
    bodies = pc.utf8_slice_codeunits(pc.fill_null(issues.column("body"), ""), 0, BODY_CHARACTERS)
    texts = pc.binary_join_element_wise(issues.column("title"), bodies, " ")
    letters, latin = (pc.count_substring_regex(texts, name) for name in (r"\p{L}", r"\p{Latin}"))
    has_letters = pc.greater(letters, 0)
    is_other = pc.less(pc.multiply(latin, 2), letters)
    return pc.mean(pc.filter(is_other, has_letters).cast(pa.int8())).as_py()


def _share_of_unknown(vectors: pa.Table) -> float | None:
    ids = [pc.list_flatten(vectors.column(name)) for name in ("title", "body")]
    units = sum(len(each) - pc.sum(pc.equal(each, PADDING_ID)).as_py() for each in ids if len(each))
    unknown = sum(pc.sum(pc.equal(each, UNKNOWN_ID)).as_py() for each in ids if len(each))
    return unknown / units if units else None


SHOWN: tuple[tuple[str, str, str, Unit], ...] = (
    ("issues", "Issues per day", "", "count"),
    (
        "title_characters",
        "Length of titles",
        "Median, in characters, as the authors wrote them.",
        "characters",
    ),
    (
        "body_characters",
        "Length of bodies",
        "Median, in characters, of the issues that have a body.",
        "characters",
    ),
    ("without_body", "Without a body", "Share of the issues.", "share"),
    ("other_script", "Other scripts", "Share of the issues that are mostly not in Latin letters.", "share"),
    ("unknown", "Unknown to the vocabulary", "Share of the words or subwords.", "share"),
    ("confidence", "Confidence", "Mean confidence of the model in its titles.", "decimal"),
    ("abstained", "Without a title", "Share of the issues for which the model gave no title.", "share"),
)
"""The figures that a report shows: field of DayFigures, name, explanation, unit."""


def drift(figures: Sequence[DayFigures], earlier: Sequence[DayFigures]) -> tuple[Drift, ...]:
    """Compares the figures of a release's last days with those of the previous release.

    `figures` are the figures of this release. `earlier` are the figures that are stored with the previous
    release. A day counts as new if `earlier` does not have it, or has other figures for it. If there is no
    previous release, all days count as new.
    """
    earlier_days = set(earlier)
    is_new = tuple(day not in earlier_days for day in figures)
    rows = []
    for name, title, explanation, unit in SHOWN:
        values = [getattr(day, name) for day in figures]
        if all(value is None for value in values):
            continue
        rows.append(
            Drift(
                title,
                explanation,
                unit,
                tuple(day.day for day in figures),
                tuple(values),
                is_new,
                _median(value for value, new in zip(values, is_new, strict=True) if new),
                _median(getattr(day, name) for day in earlier),
            )
        )
    return tuple(rows)


def _median(values: Any) -> float | None:
    present = [value for value in values if value is not None]
    return float(median(present)) if present else None
