"""Processor time of the parts of a search for similar issues, in one process without HTTP.

    PYTHONPATH=. .venv/bin/python tests/benchmarks/search_parts.py LAKE

LAKE is a folder with a published release, as for `serve.py`. The queries are issues of the release's last
days: as drafts, and by their addresses. A figure is the mean of all queries, in the fastest of several
rounds, when everything that a worker remembers of their words, lines and days is in its memory. Other
programs still make it slower, because they share caches and memory with this one.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from pipeline.index.queries import Hits
from pipeline.index.segmented_index import QueryIssue
from pipeline.lake.batches import Lake
from pipeline.releases.current import require_current
from pipeline.serving.http.tasks import SimilarTask, replies_to
from pipeline.serving.http.worker import open_completely
from pipeline.serving.queries import (
    OpenRelease,
    SimilarQuery,
    candidates_everywhere,
    similar_to,
    text_query,
)
from pipeline.settings import load
from pipeline.threads import use_one_thread
from tests.benchmarks.serve import read_texts

NEIGHBOURS = 10
TOGETHER = (1, 4, 16, 32)
"""Numbers of searches that are computed together."""


def print_time(part: str, compute: Callable[[], object], queries: int, rounds: int) -> None:
    """Prints the processor time of a part, in milliseconds per query."""
    compute()  # so that files are in memory
    seconds = []
    for _ in range(rounds):
        begin = time.process_time()
        compute()
        seconds.append(time.process_time() - begin)
    print(f"| {part} | {1000 * min(seconds) / queries:.1f} |", flush=True)


def candidates(opened: OpenRelease, issues: Sequence[QueryIssue], together: int) -> list[Hits | None]:
    """Returns the candidates of each query. `together` of them are searched together."""
    blocks = (issues[first : first + together] for first in range(0, len(issues), together))
    return [hits for block in blocks for hits in candidates_everywhere(opened, block, NEIGHBOURS)]


def answer(opened: OpenRelease, queries: Sequence[SimilarQuery], together: int) -> None:
    """Answers the queries as a worker of the server does."""
    tasks = [SimilarTask(query, NEIGHBOURS) for query in queries]
    for first in range(0, len(tasks), together):
        replies_to(opened, tasks[first : first + together])


def print_parts(opened: OpenRelease, texts: Sequence[dict[str, str]], rounds: int) -> None:
    """Prints a table: the parts of a search for a draft in all repositories, and whole searches."""
    count = len(texts)
    drafts = [SimilarQuery(text["body"], text["title"]) for text in texts]
    issues = [text_query(opened, draft) for draft in drafts]
    hits = candidates(opened, issues, 1)

    def compare() -> None:
        for draft, issue, candidate_hits in zip(drafts, issues, hits, strict=True):
            similar_to(opened, draft, issue, NEIGHBOURS, candidate_hits)

    print("| part | CPU ms |")
    print("|---|---:|")
    text_part = "a draft: its vector, its terms and its words"
    print_time(text_part, lambda: [text_query(opened, draft) for draft in drafts], count, rounds)
    for together in TOGETHER:
        part = f"its candidates in all repositories, {together} searched together"
        print_time(part, partial(candidates, opened, issues, together), count, rounds)
    print_time("the comparison with its candidates", compare, count, rounds)
    in_repository = [SimilarQuery(text["body"], text["title"], text["repo"]) for text in texts]
    print_time(
        "a draft in its repository, all of it", partial(answer, opened, in_repository, 1), count, rounds
    )
    by_address = [SimilarQuery(text["issue_url"]) for text in texts]
    for together in (TOGETHER[0], TOGETHER[-1]):
        part = f"an issue by its address, all of it, {together} searched together"
        print_time(part, partial(answer, opened, by_address, together), count, rounds)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("lake", type=Path, metavar="LAKE", help="folder of a lake with a published release")
    parser.add_argument("--queries", type=int, default=64, help="number of queries")
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds, of which the fastest counts")
    chosen = parser.parse_args()
    os.environ["TITLER_LAKE__ROOT"] = str(chosen.lake)
    use_one_thread()
    opened = open_completely(require_current(Lake(str(chosen.lake))), load())
    print_parts(opened, read_texts(chosen.lake, chosen.queries), chosen.rounds)


if __name__ == "__main__":
    main()
