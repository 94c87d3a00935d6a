"""Explains the similar issues of an issue: how the probability of each was computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow.compute as pc

from pipeline.contracts import REPOSITORY_LIST, SIMILAR_ISSUES
from pipeline.index.comparison import probabilities_of
from pipeline.index.ordering import FEATURES, Ordering
from pipeline.index.segmented_index import open_segments
from pipeline.index.stored_orderings import ordering_of_version
from pipeline.lake.pinned import Pinned
from pipeline.settings import Settings

PUBLISHED = (
    "rank",
    "issue_url",
    "title",
    "probability",
    "distance",
    "words_in_common",
    "age_days",
    "similar_text",
    "group_size",
)


def explain_neighbours(
    release: Pinned, settings: Settings, day: str, issue: Mapping[str, Any], count: int
) -> dict[str, Any]:
    """Returns the first `count` similar issues from an issue's own repository, as they are stored, and how
    their probabilities are computed. The result has these keys:

    - `ordering`: the version of the ordering that computed the stored probabilities of the issue's day. An
      ordering is a rule that computes the probability of a pair of issues from features of the pair
    - `issues`: the similar issues, the most probable first. Each has `parts`, the steps in which its
      probability is computed now: the `bias`, the `features` with their values, weights and contributions
      (value times weight), the sum `log_odds`, and the `probability` after the ordering's calibration. If the
      repository's issues in the index have changed since the stored probability was computed, the two
      probabilities may differ. `parts` is None if the index no longer compares the two issues, or if the
      ordering is not in the lake
    - `problem`: why there are no similar issues, or None

    `issue` is the row of issues_v1. Raises LakeError if a file is damaged.
    """
    value: dict[str, Any] = {"ordering": None, "issues": [], "problem": None}
    if SIMILAR_ISSUES.name not in release.members:
        return value | {"problem": "the release has no lists of similar issues with probabilities"}
    batch = next(each for each in release.members[SIMILAR_ISSUES.name] if each.day == day)
    rows = release.lake.read(batch, SIMILAR_ISSUES)
    is_own = pc.equal(rows.column("issue_id"), issue["issue_id"])
    is_listed = pc.and_(is_own, pc.equal(rows.column("list"), REPOSITORY_LIST))
    listed = rows.filter(is_listed).sort_by("rank")
    if not len(listed):
        return value | {"problem": _why_none(release, settings, issue)}
    version = str(batch.parameters["ordering"])
    ordering = ordering_of_version(release.lake, version)
    parts = {} if ordering is None or not count else _parts(release, settings, issue, ordering)
    neighbours = [
        {**_published(row), "parts": parts.get(row["similar_issue_id"])}
        for row in listed.slice(0, count).to_pylist()
    ]
    return {"ordering": version, "issues": neighbours, "problem": None}


def _published(row: Mapping[str, Any]) -> dict[str, Any]:
    names = {"issue_url": "similar_issue_url", "title": "similar_title"}
    return {name: row[names.get(name, name)] for name in PUBLISHED}


def _why_none(release: Pinned, settings: Settings, issue: Mapping[str, Any]) -> str:
    """Returns why an issue has no similar issues of its repository."""
    if open_segments(release, settings).find_in_repository(issue["issue_id"], issue["repo"]) is None:
        return "the issue is not in the index: no word of it is in the model's vocabulary"
    return "the index had no older issue of this repository when the issue's day was searched"


def _parts(
    release: Pinned, settings: Settings, issue: Mapping[str, Any], ordering: Ordering
) -> dict[int, dict[str, Any]]:
    """Returns the `parts` (see `explain_neighbours`) of each older issue that the index compares with
    `issue`: a dict from the id of the older issue to its parts."""
    index = open_segments(release, settings)
    query_issue = index.find_in_repository(issue["issue_id"], issue["repo"])
    comparison = None if query_issue is None else index.older_in_repository(query_issue)
    if comparison is None:
        return {}
    features = comparison.features()
    log_odds = ordering.log_odds(features)
    probabilities = probabilities_of(ordering, features)
    weights = np.array(ordering.weights)
    return {
        issue_id: {
            "bias": ordering.bias,
            "features": [
                {"name": name, "value": value, "weight": weight, "contribution": value * weight}
                for name, value, weight in zip(
                    FEATURES, features[row].astype(np.float64).tolist(), weights.tolist(), strict=True
                )
            ],
            "log_odds": float(log_odds[row]),
            "probability": float(probabilities[row]),
        }
        for row, issue_id in enumerate(comparison.issue_ids.tolist())
    }
