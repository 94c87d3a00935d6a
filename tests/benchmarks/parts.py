"""The parts of the benchmark on titles: for training, for choices, and two test sets that only the final
table uses.

    parts = make(read(test_data()))

| part | repositories, by `pipeline.dataset.split` | opened | kinds |
|---|---|---|---|
| train | training | before CUTOFF | GitHub's issues and pull requests, reports of other trackers |
| validation | validation | at any time | GitHub's issues |
| test_repositories | test | at any time | GitHub's issues |
| test_time | training | from CUTOFF on | GitHub's issues |

Each issue has a title and a body. No URL is in two parts, nor are two near-duplicate titles (see
`near_duplicate_keys`): they stay in the test sets, otherwise in validation, and are removed from the other
parts. Imports only NumPy and Arrow, so that a machine with a GPU can make the same parts.
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

from pipeline.dataset.split import Subset, subset_of

COLUMNS = ("source", "repo", "kind", "url", "title", "body", "created_at")
GITHUB = "https://github.com/"
CUTOFF = datetime(2025, 1, 1, tzinfo=UTC)
UNDATED = {
    "kubeflow": datetime(2018, 1, 1, tzinfo=UTC),  # from 2017
    "fdroid_issues": datetime(
        2019, 1, 1, tzinfo=UTC
    ),  # collected in December 2018: no issue was closed later
    "blizzard_bugloc": datetime(2019, 1, 1, tzinfo=UTC),  # published in 2018
}
"""Sources without dates: a time before which all their issues were opened."""
MIN_WORDS_TO_DELETE_ONE = 4
LETTERS = re.compile(r"[^\W\d_]+")
BY_STRICTNESS: tuple[Subset, ...] = ("train", "validation", "test")
"""the strictest part last"""


@dataclass(frozen=True)
class Parts:
    """Tables with COLUMNS, in the order in which they were read; the module's docstring explains them."""

    train: pa.Table
    validation: pa.Table
    test_repositories: pa.Table
    test_time: pa.Table

    def __iter__(self) -> Iterator[tuple[str, pa.Table]]:
        return ((field.name, getattr(self, field.name)) for field in fields(self))


def test_data() -> Path:
    """The folder that TITLER_TEST_DATA names. Exits the process if it is unset."""
    folder = os.environ.get("TITLER_TEST_DATA")
    if not folder:
        sys.exit("TITLER_TEST_DATA is unset: set it to the folder that contains issues/ and duplicates/")
    return Path(folder)


def read(folder: Path) -> pa.Table:
    """COLUMNS of `folder`/issues/*.parquet, in the order of the file names.

    Raises FileNotFoundError if there is none.
    """
    files = sorted((folder / "issues").glob("*.parquet"))
    if not files:
        raise FileNotFoundError(f"{folder / 'issues'} contains no Parquet file")
    return pa.concat_tables(pq.read_table(file, columns=list(COLUMNS)) for file in files)


def make(issues: pa.Table, cutoff: datetime = CUTOFF) -> Parts:
    """The parts of `issues`, a table with COLUMNS.

    Of several rows with the same URL only the first counts.
    """
    issues = issues.filter(pc.and_(_is_not_blank(issues["title"]), _is_not_blank(issues["body"])))
    issues = issues.filter(_first_of_each(issues["url"].to_pylist()))
    part = _parts_of(issues)
    is_github_issue = np.array(
        [
            kind == "issue" and (url or "").startswith(GITHUB)
            for kind, url in zip(*_lists(issues, "kind", "url"), strict=True)
        ],
        dtype=bool,
    )
    opened_before, opened_since = _opened(issues, cutoff)
    return _without_near_duplicates(
        Parts(
            train=issues.filter((part == "train") & opened_before),
            validation=issues.filter((part == "validation") & is_github_issue),
            test_repositories=issues.filter((part == "test") & is_github_issue),
            test_time=issues.filter((part == "train") & is_github_issue & opened_since),
        )
    )


def sample(issues: pa.Table, count: int, seed: int = 0) -> pa.Table:
    """`count` rows, drawn without replacement, in the order of the table; all rows if there are no more than
    `count`."""
    if count >= len(issues):
        return issues
    return issues.take(np.sort(np.random.default_rng(seed).choice(len(issues), count, replace=False)))


def near_duplicate_keys(title: str) -> set[str]:
    """Keys of a title. Two titles are near-duplicates if they have a key in common.

    The keys are the letters of the title, and, from MIN_WORDS_TO_DELETE_ONE words on, its letters without one
    of the words. So titles are near-duplicates if a word was added, dropped, replaced or moved: deleting one
    word from each gives the same (Garbe's symmetric delete, applied to words). Case, digits, punctuation and
    white space are ignored: "Bump x to 1.2" and "bump X to 1.3" are near-duplicates.
    """
    words = LETTERS.findall(unicodedata.normalize("NFKC", title).casefold())
    keys = {"".join(words)}
    if len(words) >= MIN_WORDS_TO_DELETE_ONE:
        keys.update("".join(words[:number] + words[number + 1 :]) for number in range(len(words)))
    return keys


def _lists(issues: pa.Table, *names: str) -> list[list[str | None]]:
    return [issues[name].to_pylist() for name in names]


def _is_not_blank(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.fill_null(pc.not_equal(pc.utf8_trim_whitespace(texts), ""), False)


def _first_of_each(urls: Iterable[str | None]) -> npt.NDArray[np.bool_]:
    """Whether a row is the first with its URL.

    GitHub ignores case, and also serves pull requests under /issues/.
    """
    earlier: set[str] = set()
    is_first = []
    for url in urls:
        address = url.lower().replace("/pull/", "/issues/") if url else ""
        is_first.append(address == "" or address not in earlier)
        earlier.add(address)
    return np.array(is_first, dtype=bool)


def _parts_of(issues: pa.Table) -> npt.NDArray[np.str_]:
    """The part of each row by its repository: the strictest one of the spellings that GitHub treats as the
    same repository.

    A repository that is not on GitHub is for training.
    """
    repos, urls = _lists(issues, "repo", "url")
    rank: dict[str, int] = {}
    for repo in {
        repo
        for repo, url in zip(repos, urls, strict=True)
        if repo and (url is None or url.startswith(GITHUB))
    }:
        rank[repo.lower()] = max(rank.get(repo.lower(), 0), BY_STRICTNESS.index(subset_of(repo)))
    return np.array([BY_STRICTNESS[rank.get((repo or "").lower(), 0)] for repo in repos])


def _opened(issues: pa.Table, cutoff: datetime) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Whether each row was opened before the cutoff, and whether it was opened since; both False if that is
    unknown."""
    is_before = pc.less(issues["created_at"], pa.scalar(cutoff, issues["created_at"].type))
    old_sources = [source for source, latest in UNDATED.items() if latest <= cutoff]
    is_old = pc.and_(
        pc.is_null(issues["created_at"]), pc.is_in(issues["source"], pa.array(old_sources, pa.string()))
    )
    is_since = pc.fill_null(pc.invert(is_before), False)
    return pc.or_(pc.fill_null(is_before, False), is_old).to_numpy(), is_since.to_numpy()


def _without_near_duplicates(parts: Parts) -> Parts:
    """Removes titles that are near-duplicates of one in an earlier part, in the order of the loop."""
    earlier: set[str] = set()
    tables: dict[str, pa.Table] = {}
    for name in ("test_repositories", "test_time", "validation", "train"):
        keys_by_row = [near_duplicate_keys(title) for title in getattr(parts, name)["title"].to_pylist()]
        is_new = np.array([earlier.isdisjoint(keys) for keys in keys_by_row], dtype=bool)
        tables[name] = getattr(parts, name).filter(is_new)
        earlier.update(*(keys for keys, new in zip(keys_by_row, is_new, strict=True) if new))
    return Parts(**tables)
