"""Prints the largest clusters of duplicates with their titles, for a reader who judges which are of one
problem.

    PYTHONPATH=. python tests/benchmarks/clusters.py --issues FILE --duplicates FILE --model DIR

The files are those of `retrieval.py`. The clusters are those of the view `duplicate_clusters`, from the pairs
that a release would store. `--probability` is the setting `similar.cluster_probability`. Each title has the
probability with the canonical issue, and a star if a maintainer called the issue a duplicate of another one
of the cluster, or the other way round.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.index.duplicate_pairs import PAIR_PROBABILITY
from pipeline.index.ordering import DEFAULT_ORDERING
from pipeline.settings import Similar
from pipeline.text.issue_terms import is_automated
from tests.benchmarks.duplicates import CandidateSearch, Duplicates
from tests.benchmarks.retrieval import by_model
from tests.support.clusters import clusters_of

Pair = dict[str, Any]


def pairs_of(data: Duplicates, vectors: npt.NDArray[np.floating]) -> Iterator[Pair]:
    """The rows of duplicate_pairs_v1. The id of an issue is its row in the data."""
    issues = data.issues.to_pylist()
    days = [date(1970, 1, 1) + timedelta(days=0 if np.isnan(day) else int(day)) for day in data.days]
    for candidates in CandidateSearch(data, vectors):
        newer = issues[candidates.row]
        probabilities = DEFAULT_ORDERING.probabilities(candidates.features)
        for place in np.flatnonzero(probabilities >= PAIR_PROBABILITY).tolist():
            row = int(candidates.items[place])
            older = issues[row]
            if not (is_automated(newer["title"]) or is_automated(older["title"])):
                yield {
                    "issue_id": candidates.row,
                    "issue_url": f"{newer['repo']}#{newer['number']}",
                    "repo": newer["repo"],
                    "title": newer["title"],
                    "source_day": days[candidates.row],
                    "similar_issue_id": row,
                    "similar_issue_url": f"{older['repo']}#{older['number']}",
                    "similar_title": older["title"],
                    "similar_day": days[row],
                    "probability": float(probabilities[place]),
                }


def largest(clusters: list[dict[str, Any]], count: int) -> list[list[dict[str, Any]]]:
    """The largest clusters, and of equally large ones the oldest: each a list of rows of the view, the oldest
    issue first."""
    in_order = sorted(clusters, key=lambda row: (-row["size"], row["canonical_issue_id"], row["issue_id"]))
    return [list(rows) for _, rows in groupby(in_order, key=lambda row: row["canonical_issue_id"])][:count]


def main() -> None:
    """Prints the number of clusters, and the largest of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--issues", type=Path, required=True, metavar="FILE")
    parser.add_argument("--duplicates", type=Path, required=True, metavar="FILE")
    parser.add_argument("--model", type=Path, required=True, metavar="DIR")
    parser.add_argument("--probability", type=float, default=Similar().cluster_probability, metavar="P")
    parser.add_argument("--count", type=int, default=10, help="number of clusters that are printed")
    arguments = parser.parse_args()
    data = Duplicates.read(arguments.issues, arguments.duplicates)
    pairs = list(pairs_of(data, by_model(arguments.model)(data.issues)))
    clusters = clusters_of(pairs, arguments.probability)
    probability = {(pair["issue_id"], pair["similar_issue_id"]): pair["probability"] for pair in pairs}
    marked = {(row, other) for a, b in data.pairs.tolist() for row, other in ((a, b), (b, a))}
    with_pair = len({pair["issue_id"] for pair in pairs})
    print(f"{len(data.issues):,} issues, {with_pair:,} of them with {len(pairs):,} pairs")
    canonical = {row["canonical_issue_id"] for row in clusters}
    print(f"{len(canonical):,} clusters with {len(clusters):,} issues")
    for rows in largest(clusters, arguments.count):
        print()
        members = [row["issue_id"] for row in rows]
        for row in rows:
            issue_id = row["issue_id"]
            of_pair = probability.get((issue_id, row["canonical_issue_id"]))
            shown = "    " if of_pair is None else f"{of_pair:.2f}"
            star = "*" if any((issue_id, other) in marked for other in members) else " "
            print(f"{shown} {star} {row['issue_url']}: {row['title']}")


if __name__ == "__main__":
    main()
