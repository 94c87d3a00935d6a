"""Segments of literal issues, in a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.contracts import SEGMENTS
from pipeline.index.segment import Segment, segment_figures, write_segment
from pipeline.text.issue_terms import issue_terms

ANNOY = {"trees": 10, "seed": 1}


def row(issue_id: int, repo: str = "a/b", hour: int = 0, day: int = 1) -> dict[str, Any]:
    """A row of segments_v1: an issue that was opened at this hour of this day of January 2015."""
    return {
        "issue_id": issue_id,
        "issue_url": f"https://github.com/{repo}/issues/{issue_id}",
        "repo": repo,
        "title": f"t{issue_id}",
        "created_at": datetime(2015, 1, day, hour, tzinfo=UTC),
        "day": date(2015, 1, day),
    }


def segment(
    folder: Path,
    rows: Sequence[dict[str, Any]],
    vectors: npt.ArrayLike,
    annoy: Mapping[str, int] | None = None,
    bodies: Sequence[str | None] | None = None,
    on_open: Callable[[Path], None] = lambda path: None,
) -> Segment:
    """A segment of these issues with these vectors and bodies, one per row. Without `bodies`, no issue has
    one. `on_open` is called before a file is opened."""

    def path_of(name: str) -> Path:
        on_open(folder / name)
        return folder / name

    folder.mkdir(exist_ok=True)
    items = pa.Table.from_pylist(list(rows), schema=SEGMENTS.schema)
    matrix = np.asarray(vectors, dtype=np.float16)
    terms = issue_terms([each["title"] for each in rows], bodies or [None] * len(rows))
    write_segment(folder, items, matrix, terms, annoy)
    return Segment(segment_figures(items, matrix.shape[1], terms, annoy), path_of)


def mapped_files(folder: Path) -> set[str]:
    """The files in a folder that are mapped into the memory of this process, without the small ones."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    paths = {Path(line.split(maxsplit=5)[-1]) for line in lines if f"{folder}/" in line}
    large = ("vectors.npy", "issues.ann", "terms.npy", "item_terms.npy")
    return {str(path.relative_to(folder)) for path in paths if path.name in large}


def random_vectors(count: int, size: int = 8, seed: int = 1) -> npt.NDArray[np.float16]:
    """Vectors of normally distributed numbers."""
    return np.random.default_rng(seed).normal(size=(count, size)).astype(np.float16)
