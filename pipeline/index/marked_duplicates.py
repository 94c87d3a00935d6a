"""Measures how well the published lists of similar issues agree with duplicate marks.

A duplicate mark is a comment in which somebody calls an issue a duplicate of another one. If both issues are
in one repository, the mark gives a pair: a newer issue, and the older issue that it repeats. For the newer
issue, a release publishes a list of similar issues in the same repository. The older issue should have a high
rank in this list.

The lists are measured as they were published: nothing is searched again. The lists and the marks of only the
last months of the release are read. The older issue of a pair may have been opened before these months. To
find its address, earlier segments (parts of the index) are read as well, the newest first, until every older
issue is found. From an earlier segment, only the addresses and source days of issues in the pairs'
repositories are read.
"""

from __future__ import annotations

import itertools
import posixpath
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.contracts import DUPLICATE_MARKS, REPOSITORY_LIST
from pipeline.index.queries import months_before
from pipeline.index.segment import Segment, days_since_1970
from pipeline.index.stored_orderings import is_learned
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned

MAX_PAIRS = 20_000
"""Approximate limit on the number of pairs. If there are more, a sample of the repositories is used."""
LIMITS = (1, 5, 10)
"""The ranks k for which recall@k is measured."""
MARK_COLUMNS = ["repo", "number", "duplicate_of_repo", "duplicate_of_number", "said_by"]
LIST_COLUMNS = ["issue_url", "list", "rank", "similar_issue_url", "probability"]
_Number = tuple[str, int]
"""A repository, and the number of one of its issues."""
ListTables = Iterable[pa.Table]
"""Rows of similar_issues_v2 with at least LIST_COLUMNS, one table per day."""


class MarkedPair(NamedTuple):
    """Two issues that somebody called duplicates: their repository and their numbers."""

    repo: str
    newer: int
    older: int


def marked_pairs(marks: Iterable[pa.Table]) -> list[MarkedPair]:
    """Returns the pairs of issues in duplicate marks, sorted and without repetitions.

    `marks` are rows of duplicate_marks_v1 with at least MARK_COLUMNS. Two kinds of marks are left out: marks
    about issues of two repositories, and marks that bots made. A bot's mark says which issues another program
    found similar, but the lists are to be compared with people's decisions.
    """
    pairs = set()
    for table in marks:
        for row in table.select(MARK_COLUMNS).to_pylist():
            same_repo = row["repo"].lower() == row["duplicate_of_repo"].lower()
            older, newer = sorted((row["number"], row["duplicate_of_number"]))
            if same_repo and older != newer and row["said_by"] != "bot":
                pairs.add(MarkedPair(row["repo"], newer, older))
    return sorted(pairs)


def sample_repositories(pairs: Sequence[MarkedPair], limit: int = MAX_PAIRS) -> list[MarkedPair]:
    """Returns all pairs of some repositories, sorted.

    Repositories are added until they have at least `limit` pairs together. If there are fewer pairs in total,
    all are returned. The order in which repositories are added depends only on their names.
    """
    sampled: list[MarkedPair] = []
    by_repo = defaultdict(list)
    for pair in pairs:
        by_repo[pair.repo].append(pair)
    for repo in sorted(by_repo, key=lambda name: (zlib.crc32(name.encode()), name)):
        if len(sampled) >= limit:
            break
        sampled += by_repo[repo]
    return sorted(sampled)


@dataclass(frozen=True)
class StoredPair:
    """The addresses of two issues that somebody called duplicates.

    `older_url` is None if the older issue is not in the index.
    """

    newer_url: str
    older_url: str | None


def find_pairs(segments: Sequence[Segment], pairs: Iterable[MarkedPair], first_day: int) -> list[StoredPair]:
    """Returns the addresses of the marked pairs whose newer issue is recent and in the index.

    An issue is recent if it was opened on the source day `first_day` (days since 1970) or later. `segments`
    are all segments of the index, in order. Raises LakeError if a file is damaged.

    The newer issues are looked up only in the segments that have recent days. The older issues are also
    looked up in the earlier segments, the newest segment first, until all are found.
    """
    recent = [segment for segment in segments if segment.last_source_day >= first_day]
    earlier = [segment for segment in segments if segment.last_source_day < first_day]
    by_numbers = {((pair.repo, pair.newer), (pair.repo, pair.older)) for pair in pairs}
    issues: dict[_Number, tuple[str, int]] = {}
    for segment in recent:
        issues |= _stored_issues(segment, {number for numbers in by_numbers for number in numbers})
    by_numbers = {
        numbers for numbers in by_numbers if numbers[0] in issues and issues[numbers[0]][1] >= first_day
    }
    for segment in reversed(earlier):
        missing = {older for _, older in by_numbers} - issues.keys()
        if not missing:
            break
        issues |= _stored_issues(segment, missing)
    return [
        StoredPair(issues[newer][0], issues[older][0] if older in issues else None)
        for newer, older in sorted(by_numbers)
    ]


def _stored_issues(segment: Segment, numbers: Set[_Number]) -> dict[_Number, tuple[str, int]]:
    """Returns the address and the source day of each issue of `numbers` that the segment has.

    `numbers` has the repository and the number of each issue. The issues of all repositories in `numbers` are
    read together, not one repository after another.
    """
    repos = sorted({repo for repo, _ in numbers})
    slices = sorted(segment.of_repositories(pa.array(repos, pa.string())).items())
    if not slices:
        return {}
    rows = segment.rows(
        np.concatenate([np.arange(items.start, items.stop) for _, items in slices]), ["issue_url", "day"]
    )
    names = itertools.chain.from_iterable(itertools.repeat(repos[place], len(own)) for place, own in slices)
    urls, days = rows.column("issue_url").to_pylist(), days_since_1970(rows.column("day")).tolist()
    stored = {(repo, issue_number(url)): (url, day) for repo, url, day in zip(names, urls, days, strict=True)}
    return {number: stored[number] for number in numbers & stored.keys()}


def measure_release(
    release: Pinned,
    segments: Sequence[Segment],
    neighbours: Sequence[Manifest],
    months: int,
    min_probability: float,
    is_held_out: Callable[[str], bool],
) -> dict[str, Any] | None:
    """Returns the figures of `score_pairs` for a release, or None if no marked pair can be measured.

    A marked pair is measured if its newer issue was opened in the month of the release's last day, or in the
    `months` months before that month. `segments` are all segments of the release, and `neighbours` are its
    batches of similar_issues_v2.

    If any list of these months is ordered by weights that were learned from marks, only the repositories for
    which `is_held_out` is true are measured, because nothing was learned from them. The figure `repositories`
    says which repositories were measured: `held out` or `all`.
    """
    lake, days = release.lake, release.plan.days
    if DUPLICATE_MARKS.name not in release.members or not days:
        return None
    since = str(np.datetime64(months_before(days[-1].day, months), "us"))[:10]
    # A comment is never earlier than its issue.
    batches = [batch for batch in release.members[DUPLICATE_MARKS.name] if batch.day >= since]
    pairs = marked_pairs(read_columns(lake, batches, MARK_COLUMNS))
    measured = [batch for batch in neighbours if batch.day >= since]
    held_out = any(is_learned(str(batch.parameters.get("ordering"))) for batch in measured)
    pairs = sample_repositories([pair for pair in pairs if is_held_out(pair.repo) or not held_out])
    first = (date.fromisoformat(since) - date(1970, 1, 1)).days
    stored = find_pairs(segments, pairs, first)
    figures = score_pairs(stored, read_columns(lake, measured, LIST_COLUMNS), min_probability)
    return figures and {**figures, "repositories": "held out" if held_out else "all"}


def read_columns(lake: Lake, batches: Iterable[Manifest], columns: list[str]) -> Iterator[pa.Table]:
    """Yields the columns `columns` of each file of the batches.

    If the lake is a bucket, a file is downloaded only once, into `lake.cache`. Raises LakeError if a file is
    damaged.
    """
    for batch in batches:
        for file in batch.files:
            if file.rows:
                yield pq.read_table(lake.local_file(batch, file.name), columns=columns)


def issue_number(url: str) -> int:
    """Returns the number of an issue from its address, or 0 if the address does not end with a number."""
    number = posixpath.basename(url)
    return int(number) if number.isdecimal() else 0


def score_pairs(
    pairs: Sequence[StoredPair], lists: ListTables, min_probability: float
) -> dict[str, Any] | None:
    """Returns how well the published lists agree with the marks, or None if no pair can be measured.

    `pairs` are the marked pairs whose newer issues were opened on the days of `lists`. The result has these
    keys:

    - `pairs`: number of pairs whose issues are both in the index
    - `pairs_without_older`: number of pairs whose older issue is not in the index, so that no search can find
      it
    - `recall_at_1`, `recall_at_5`, `recall_at_10`: share of the pairs whose older issue is among the first 1,
      5 or 10 issues of the newer issue's list from its own repository
    - `suggested`: number of suggestions. A suggestion is a listed issue with a probability of at least
      `min_probability`. Only the lists from an issue's own repository are used, and only the lists of
      repositories that have a pair with both issues in the index
    - `suggested_marked`: number of suggestions that are marked as duplicates
    - `precision`: `suggested_marked` divided by `suggested`; None if nothing is suggested. It is a lower
      bound, because many duplicates are marked late or never
    """
    complete = [pair for pair in pairs if pair.older_url is not None]
    if not complete:
        return None
    marked_urls = {(pair.newer_url, pair.older_url) for pair in complete}
    newer_urls = pa.array(sorted({newer for newer, _ in marked_urls}))
    repos = {_repository_address(pair.newer_url) for pair in complete}
    ranks: list[int] = []
    suggested = suggested_marked = 0
    for table in lists:
        rows = table.filter(pc.equal(table.column("list"), REPOSITORY_LIST))
        is_suggested = pc.greater_equal(rows.column("probability"), min_probability)
        rows = rows.filter(pc.or_(is_suggested, pc.is_in(rows.column("issue_url"), newer_urls)))
        for row in rows.select(LIST_COLUMNS).to_pylist():
            is_marked = (row["issue_url"], row["similar_issue_url"]) in marked_urls
            if is_marked:
                ranks.append(row["rank"])
            if row["probability"] >= min_probability and _repository_address(row["issue_url"]) in repos:
                suggested += 1
                suggested_marked += is_marked
    of_ranks = np.array(ranks, dtype=np.int64)
    return {
        "pairs": len(marked_urls),
        "pairs_without_older": len(pairs) - len(complete),
        **{f"recall_at_{k}": int(np.count_nonzero(of_ranks <= k)) / len(marked_urls) for k in LIMITS},
        "suggested": suggested,
        "suggested_marked": suggested_marked,
        "precision": suggested_marked / suggested if suggested else None,
    }


def _repository_address(issue_url: str) -> str:
    return issue_url.rpartition("/issues/")[0]
