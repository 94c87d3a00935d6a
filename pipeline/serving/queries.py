"""Answers queries from the current release: a title for a body, and similar issues. Writes nothing."""

from __future__ import annotations

import re
from typing import Any

from pipeline.contracts import SEGMENTS
from pipeline.errors import UsageError
from pipeline.index.earlier_index import open_earlier_index
from pipeline.index.segment_search import Vectors
from pipeline.index.segmented_index import open_segments
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.predictor.loading import load_light_predictor
from pipeline.releases.current import require_current
from pipeline.releases.withheld_titles import WITHHELD
from pipeline.settings import Settings


def title(lake: Lake, body: str) -> dict[str, Any]:
    """Returns the title that the current release's model predicts for the body of an issue.

    The result is a dict with these keys:

    - `title`: the predicted title; empty if `abstained` is true
    - `confidence`: the model's confidence in the title, 0 to 1
    - `probability`: the probability that the title is like an author's, 0 to 1; None for a model that cannot
      estimate it
    - `abstained`: true if the model gives no title, usually because it is not sure enough; also true if
      `withheld` is not None
    - `withheld`: the reason why the release shows no titles of this model; None if it shows them

    Raises UsageError if the body is empty or no release is published.
    """
    if not body.strip():
        raise UsageError(
            "The body is empty, so no title can be predicted.",
            'Give the body as an argument: titler title "BODY"\nTo give it on standard input: titler title -',
        )
    release = require_current(lake)
    prediction = load_light_predictor(lake, release.facts["predictor"]).predict([body])[0]
    withheld = release.facts.get(WITHHELD)
    return {
        "title": "" if withheld else prediction.title,
        "confidence": float(prediction.confidence),
        "abstained": bool(withheld or prediction.abstained),
        "withheld": withheld,
        "probability": prediction.probability,
    }


def similar(
    lake: Lake, settings: Settings, query: str, neighbours: int, *, same_repo: bool = False
) -> list[dict[str, Any]]:
    """Returns the issues of the current release that are most similar to `query`, nearest first.

    `query` is the URL of an issue of the release, or a text. At most `neighbours` issues are returned, each
    with the keys `issue_url`, `title`, `distance` (angular, 0 to 2) and `near_duplicate`. If `same_repo` is
    true, only issues of the same repository are returned, however old they are. Raises UsageError in these
    cases:

    - No release is published.
    - The query is empty.
    - The query is a URL that is not in the release's index.
    - The query is a text without any word of the model's vocabulary.
    - The query is a text, and `same_repo` is true.
    """
    if not query.strip():
        raise UsageError(
            "The query is empty, so no similar issues can be found.",
            'Give the URL of an issue: titler similar URL\nOr give a text: titler similar "TEXT"',
        )
    url = canonical_url(query)
    if same_repo and url is None:
        raise UsageError(
            "--same-repo needs the URL of an issue. A text has no repository.",
            "Give a URL: titler similar URL --same-repo",
        )
    release = require_current(lake)
    open_index = open_segments if SEGMENTS.name in release.members else open_earlier_index
    index = open_index(release, settings)
    if url is None:
        rows = index.nearest(_embedding(release, query), neighbours)
    else:
        issue = index.find(url)
        rows = (
            index.nearest_in_repository(issue.vector, neighbours + 1, issue.repo)
            if same_repo
            else index.nearest(issue.vector, neighbours + 1)
        )
        rows = [row for row in rows if row["issue_id"] != issue.issue_id][:neighbours]
    limit = settings.index.near_duplicate_distance or release.facts["near_duplicate_distance"]
    return [
        {
            "issue_url": row["issue_url"],
            "title": row["title"],
            "distance": row["distance"],
            "near_duplicate": row["distance"] < limit,
        }
        for row in rows
    ]


def _embedding(release: Pinned, text: str) -> Vectors:
    """Returns the embedding of a text, shape (size,). Raises UsageError if the text has no word of the
    model's vocabulary."""
    predictor = load_light_predictor(release.lake, release.facts["predictor"])
    body_ids = predictor.vectors([text])
    if not predictor.vocabularies.body.has_known(body_ids).all():
        raise UsageError(
            "The text contains no word of the model's vocabulary, so no similar issues can be found.",
            'Give a longer text: titler similar "TEXT"\nOr give the URL of an issue: titler similar URL',
        )
    vector: Vectors = predictor.embed_vectors(body_ids)[0]
    return vector


def canonical_url(query: str) -> str | None:
    """Returns the URL in `query` in the form that GH Archive uses. Returns None if `query` is not a URL.

    GH Archive's URLs start with https and have no query string, fragment or trailing slash.
    """
    match = re.fullmatch(r"\s*https?://([^\s?#]*)\S*\s*", query)
    return f"https://{match[1].rstrip('/')}" if match else None
