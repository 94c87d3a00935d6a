"""Finds the clusters of duplicates that pairs of issues form, by the rule of the view duplicate_clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.serving.report.values import Cluster, Issue


@dataclass(frozen=True)
class _Link:
    """The older issue that an issue duplicates."""

    older: int
    older_day: Any
    probability: float


def find_clusters(pairs: Sequence[Mapping[str, Any]], cluster_probability: float) -> list[Cluster]:
    """Returns the clusters that these pairs form, the largest first.

    `pairs` are rows of the table duplicate_pairs_v1, each with its `source_day`. The rule is the same as in
    sql/views/duplicate_clusters.sql:

    - An issue X is linked to L, the oldest issue that X duplicates with a probability of at least
      `cluster_probability`
    - If L is in no cluster, X and L form a new cluster
    - If L is in a cluster, X joins it only if X also duplicates the oldest issue of this cluster, with a
      probability of at least half of `cluster_probability`
    - If X does not join it, X can become the oldest issue of a new cluster

    Issues that join a cluster only because of pairs outside `pairs` are missing in the result.
    """
    probabilities = {(row["issue_id"], row["similar_issue_id"]): row["probability"] for row in pairs}
    links: dict[int, _Link] = {}
    issues: dict[int, Issue] = {}
    for row in pairs:
        issues.setdefault(
            row["similar_issue_id"], Issue(row["similar_issue_url"], row["repo"], row["similar_title"])
        )
        issues[row["issue_id"]] = Issue(row["issue_url"], row["repo"], row["title"])
        if row["probability"] < cluster_probability:
            continue
        link = _Link(row["similar_issue_id"], row["similar_day"], row["probability"])
        existing = links.get(row["issue_id"])
        if existing is None or (link.older_day, link.older) < (existing.older_day, existing.older):
            links[row["issue_id"]] = link
    ages = {row["issue_id"]: (row["source_day"], row["issue_id"]) for row in pairs}
    oldest_of: dict[int, int] = {}
    for issue in sorted(links, key=ages.__getitem__):  # the issue that a link leads to is older
        oldest = oldest_of.get(links[issue].older, links[issue].older)
        if probabilities.get((issue, oldest), 0) >= cluster_probability / 2:
            oldest_of[issue] = oldest
    members: dict[int, list[int]] = {}
    for issue, oldest in oldest_of.items():
        members.setdefault(oldest, []).append(issue)
    clusters = [
        Cluster(
            (issues[oldest], *(issues[issue] for issue in joined)),
            min(probabilities[issue, oldest] for issue in joined),
        )
        for oldest, joined in members.items()
    ]
    return sorted(
        clusters, key=lambda cluster: (-len(cluster.issues), -cluster.probability, cluster.issues[0].url)
    )
