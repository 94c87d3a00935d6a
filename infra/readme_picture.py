"""Draws docs/images/release.png, the picture in the README, from the release that `make demo` publishes.

    .venv/bin/python infra/readme_picture.py [LAKE]

LAKE is the folder of a lake, by default ./demo/lake. The script needs Chromium, which
infra/install_browser.sh installs.
"""

from __future__ import annotations

import html
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import duckdb

REPOSITORY = Path(__file__).resolve().parents[1]
PICTURE = REPOSITORY / "docs" / "images" / "release.png"
WIDTH, HEIGHT, SCALE = 900, 542, 1.6  # CSS pixels, and device pixels per CSS pixel
CHROMIUM = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
)  # no sandbox: it fails as root

# Only printable ASCII is drawn: a bare Debian has no font for emoji or Chinese.
ASCII = "REGEXP_FULL_MATCH({}, '[ -~]*')"

VAGUE_TITLES = f"""
SELECT title, predicted_title, confidence
FROM poor_titles
WHERE predicted_title != '' AND reason = 'vague' AND {ASCII.format("predicted_title")}
QUALIFY ROW_NUMBER() OVER (PARTITION BY title ORDER BY confidence DESC) = 1
ORDER BY confidence DESC
LIMIT 4
"""
# Ordered by a hash: a fixed but arbitrary choice, neither the best rows nor the worst.
ANY_TITLES = f"""
SELECT title, predicted_title, confidence
FROM title_predictions
WHERE {ASCII.format("title")} AND {ASCII.format("predicted_title")}
ORDER BY HASH(issue_id)
LIMIT 4
"""
NEIGHBOURS = f"""
SELECT issue.title, neighbour.distance, neighbour.similar_title, neighbour.near_duplicate
FROM similar_issues AS neighbour
JOIN title_predictions AS issue USING (issue_id)
WHERE neighbour.list = 'everywhere' AND neighbour.rank <= 4 AND neighbour.issue_id = (
  SELECT near_duplicate.issue_id
  FROM near_duplicates AS near_duplicate
  JOIN title_predictions AS issue USING (issue_id)
  GROUP BY near_duplicate.issue_id
  HAVING COUNT(*) = 1 AND BOOL_AND({ASCII.format("issue.title")} AND {ASCII.format("similar_title")})
  ORDER BY near_duplicate.issue_id
  LIMIT 1
)
ORDER BY neighbour.distance
"""

STYLE = """
* { box-sizing: border-box; margin: 0 }
body { background: #fff; color: #1f2328; font: 14px/1.35 "DejaVu Sans", sans-serif; padding: 4px 14px }
h1 { font-size: 15px; margin: 14px 0 5px } h1 small { color: #656d76; font-size: 12.5px; font-weight: normal }
table { border-collapse: collapse; table-layout: fixed; width: 100% }
th { background: #f6f8fa; color: #656d76; font-size: 12px; font-weight: normal; text-align: left }
td, th { border: 1px solid #d0d7de; padding: 4px 10px }
td, th { overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
.number { text-align: right; width: 96px } .title { width: 335px }
.suggested { color: #0550ae; font-weight: bold } .none { color: #656d76; font-style: italic }
.badge { background: #fff8c5; border: 1px solid #d4a72c; border-radius: 9px }
.badge { font-size: 11.5px; margin-left: 8px; padding: 0 7px }
"""


class PictureError(Exception):
    """The picture cannot be drawn. The message says why and, if possible, what to type."""


class Results(NamedTuple):
    """The rows that the picture shows: vague titles that authors wrote, predicted titles, and the issues that
    are most similar to one issue. All rows come from the warehouse's views on the current release."""

    vague: list[tuple[str, str, float]]
    titles: list[tuple[str, str, float]]
    neighbours: list[tuple[str, float, str, bool]]


def read_results(lake: Path) -> Results:
    """Queries the rows that the picture shows. Raises PictureError if the lake has no warehouse."""
    warehouse = lake / "warehouse.duckdb"
    if not warehouse.exists():
        raise PictureError(f"{warehouse} does not exist. Publish a release first:  make demo")
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        return Results(
            *(connection.execute(sql).fetchall() for sql in (VAGUE_TITLES, ANY_TITLES, NEIGHBOURS))
        )


def page(results: Results) -> str:
    """Returns an HTML page with three tables, each under a heading."""
    tables = [
        _heading("Vague titles, with a suggestion", "view poor_titles, the most confident first"),
        _titles(results.vague),
        _heading("Titles predicted from the body alone", "view title_predictions, four arbitrary issues"),
        _titles(results.titles),
    ]
    if results.neighbours:
        title = results.neighbours[0][0]
        tables += [
            _heading(f"Nearest older issues of \u201c{title}\u201d", "view similar_issues"),
            _neighbours(results.neighbours),
        ]
    return f'<!doctype html><meta charset="utf-8"><style>{STYLE}</style>{"".join(tables)}'


def _heading(text: str, note: str) -> str:
    return f"<h1>{html.escape(text)} <small>&nbsp;{html.escape(note)}</small></h1>"


def _titles(rows: Sequence[tuple[str, str, float]]) -> str:
    head = '<tr><th class="title">author\u2019s title<th>predicted title<th class="number">confidence'
    return f"<table>{head}{''.join(_title(*row) for row in rows)}</table>"


def _title(title: str, predicted: str, confidence: float) -> str:
    shown = (
        f'<td class="suggested">{html.escape(predicted)}'
        if predicted
        else '<td class="none">no title: the model abstained'
    )
    return f'<tr><td>{html.escape(title)}{shown}<td class="number">{confidence:.2f}'


def _neighbours(rows: Sequence[tuple[str, float, str, bool]]) -> str:
    head = '<tr><th class="number">distance<th>title'
    badge = '<span class="badge">near duplicate</span>'
    body = "".join(
        f'<tr><td class="number">{distance:.2f}<td>{html.escape(similar)}{badge if near_duplicate else ""}'
        for _, distance, similar, near_duplicate in rows
    )
    return f"<table>{head}{body}</table>"


def draw(text: str, picture: Path) -> None:
    """Draws the HTML `text` into the PNG file `picture`.

    Raises PictureError if Chromium is missing or draws nothing.
    """
    chromium = shutil.which("chromium")
    if chromium is None:
        raise PictureError("Chromium was not found. Install it:  infra/install_browser.sh")
    picture.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="titler-picture-", ignore_cleanup_errors=True) as folder:
        source = Path(folder) / "page.html"
        source.write_text(text, encoding="utf-8")
        command = [
            chromium, *CHROMIUM, f"--user-data-dir={folder}/profile", f"--window-size={WIDTH},{HEIGHT}",
            f"--force-device-scale-factor={SCALE}", f"--screenshot={picture}", source.as_uri(),
        ]  # fmt: skip
        drawing = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    if drawing.returncode != 0 or not picture.exists():
        raise PictureError(f"Chromium drew no picture:\n{drawing.stderr}")


def main(arguments: Sequence[str]) -> int:
    if len(arguments) > 1 or any(argument.startswith("-") for argument in arguments):
        print("Usage: .venv/bin/python infra/readme_picture.py [LAKE]", file=sys.stderr)
        return 2
    try:
        draw(page(read_results(Path(*arguments) if arguments else REPOSITORY / "demo" / "lake")), PICTURE)
    except PictureError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{PICTURE.relative_to(REPOSITORY)}: {PICTURE.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
