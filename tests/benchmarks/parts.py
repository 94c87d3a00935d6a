"""The parts of the benchmark on titles: what learns, what choices are made on, and two tests that are read for the table alone.

    parts = make(read(test_data()))

| part | whose | opened | kinds |
|---|---|---|---|
| train | every repository but those that validate or test | before CUTOFF | GitHub's issues and pull requests, other trackers' reports |
| validation | repositories that `pipeline.dataset.split` lets validate | ever | GitHub's issues |
| test_repositories | repositories that it keeps for testing | ever | GitHub's issues |
| test_time | repositories that train | from CUTOFF on | GitHub's issues |

Each has a title and a body. No address, and no title that is `near` to another, is in two parts: tests keep theirs, then
validation, and training loses what it shares. Needs NumPy and Arrow alone, so that a GPU's machine makes the same parts.
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.dataset.split import Part, part_of

COLUMNS = ("source", "repo", "kind", "url", "title", "body", "created_at")
GITHUB = "https://github.com/"
CUTOFF = datetime(2025, 1, 1, tzinfo=UTC)
UNDATED = {
    "kubeflow": datetime(2018, 1, 1, tzinfo=UTC),  # of 2017
    "fdroid_issues": datetime(2019, 1, 1, tzinfo=UTC),  # read in December 2018: nothing was closed later
    "blizzard_bugloc": datetime(2019, 1, 1, tzinfo=UTC),  # published in 2018
}
"""Sources that tell no dates: when all of theirs had been opened."""
NEAR_WORDS = 4
LETTERS = re.compile(r"[^\W\d_]+")
STRICTEST: tuple[Part, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Parts:
    """Tables with COLUMNS, in the order in which they were read; see the module."""

    train: pa.Table
    validation: pa.Table
    test_repositories: pa.Table
    test_time: pa.Table

    def __iter__(self) -> Iterator[tuple[str, pa.Table]]:
        return ((field.name, getattr(self, field.name)) for field in fields(self))


def test_data() -> Path:
    """The folder that TITLER_TEST_DATA names. Ends the process where it is unset."""
    folder = os.environ.get("TITLER_TEST_DATA")
    if not folder:
        sys.exit("TITLER_TEST_DATA is unset: it names the folder that holds issues/ and duplicates/")
    return Path(folder)


def read(folder: Path) -> pa.Table:
    """COLUMNS of `folder`/issues/*.parquet, by the files' names. Raises FileNotFoundError where there is none."""
    files = sorted((folder / "issues").glob("*.parquet"))
    if not files:
        raise FileNotFoundError(f"{folder / 'issues'} holds no Parquet file")
    return pa.concat_tables(pq.read_table(file, columns=list(COLUMNS)) for file in files)


def make(issues: pa.Table, cutoff: datetime = CUTOFF) -> Parts:
    """The parts of `issues`, a table with COLUMNS; an address that comes twice counts the first time."""
    issues = issues.filter(pc.and_(_written(issues["title"]), _written(issues["body"])))
    issues = issues.filter(_first_of_each(issues["url"].to_pylist()))
    part = _parts_of(issues)
    scored = np.array(
        [
            kind == "issue" and (url or "").startswith(GITHUB)
            for kind, url in zip(*_lists(issues, "kind", "url"), strict=True)
        ],
        dtype=bool,
    )
    before, since = _opened(issues, cutoff)
    return _parted(
        Parts(
            train=issues.filter((part == "train") & before),
            validation=issues.filter((part == "validation") & scored),
            test_repositories=issues.filter((part == "test") & scored),
            test_time=issues.filter((part == "train") & scored & since),
        )
    )


def sample(issues: pa.Table, count: int, seed: int = 0) -> pa.Table:
    """`count` of the rows, drawn without replacement, in the table's order; all of them where there are no more."""
    if count >= len(issues):
        return issues
    return issues.take(np.sort(np.random.default_rng(seed).choice(len(issues), count, replace=False)))


def near(title: str) -> set[str]:
    """What a title shares with those that are near to it: the same letters, or, from NEAR_WORDS words on, all but one word.

    Case, digits, punctuation and white space do not count, so "Bump x to 1.2" is near to "bump X to 1.3". Two titles are near
    to each other where a word was added, dropped, replaced or moved: deleting one from either gives the same (Garbe's
    symmetric delete, on words for letters).
    """
    words = LETTERS.findall(unicodedata.normalize("NFKC", title).casefold())
    keys = {"".join(words)}
    if len(words) >= NEAR_WORDS:
        keys.update("".join(words[:number] + words[number + 1 :]) for number in range(len(words)))
    return keys


def _lists(issues: pa.Table, *names: str) -> list[list[str | None]]:
    return [issues[name].to_pylist() for name in names]


def _written(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.fill_null(pc.not_equal(pc.utf8_trim_whitespace(texts), ""), False)


def _first_of_each(urls: Iterable[str | None]) -> npt.NDArray[np.bool_]:
    """GitHub finds an issue under any case, and a pull request under /issues/, too."""
    seen: set[str] = set()
    first = []
    for url in urls:
        address = url.lower().replace("/pull/", "/issues/") if url else ""
        first.append(address == "" or address not in seen)
        seen.add(address)
    return np.array(first, dtype=bool)


def _parts_of(issues: pa.Table) -> npt.NDArray[np.str_]:
    """Each row's part by its repository, the strictest of the spellings that GitHub takes for one; where it is on no GitHub, it trains."""
    repos, urls = _lists(issues, "repo", "url")
    rank: dict[str, int] = {}
    for repo in {
        repo
        for repo, url in zip(repos, urls, strict=True)
        if repo and (url is None or url.startswith(GITHUB))
    }:
        rank[repo.lower()] = max(rank.get(repo.lower(), 0), STRICTEST.index(part_of(repo)))
    return np.array([STRICTEST[rank.get((repo or "").lower(), 0)] for repo in repos])


def _opened(issues: pa.Table, cutoff: datetime) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Whether each row was opened before the cutoff, and whether not before; neither where that is not known."""
    before = pc.less(issues["created_at"], pa.scalar(cutoff, issues["created_at"].type))
    known = [source for source, latest in UNDATED.items() if latest <= cutoff]
    undated = pc.and_(
        pc.is_null(issues["created_at"]), pc.is_in(issues["source"], pa.array(known, pa.string()))
    )
    since = pc.fill_null(pc.invert(before), False)
    return pc.or_(pc.fill_null(before, False), undated).to_numpy(), since.to_numpy()


def _parted(parts: Parts) -> Parts:
    """The same without titles that are near to one in a part before: the tests', then the validation's."""
    taken: set[str] = set()
    kept: dict[str, pa.Table] = {}
    for name in ("test_repositories", "test_time", "validation", "train"):
        keys = [near(title) for title in getattr(parts, name)["title"].to_pylist()]
        mask = np.array([taken.isdisjoint(shared) for shared in keys], dtype=bool)
        kept[name] = getattr(parts, name).filter(mask)
        taken.update(*(shared for shared, alone in zip(keys, mask, strict=True) if alone))
    return Parts(**kept)
