"""Answers queries from the current release: a title for a body, and similar issues. Writes nothing."""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa

from pipeline.contracts import INDEX
from pipeline.errors import UsageError
from pipeline.index.release_index import find_item, nearest_others, open_index, read_items
from pipeline.lake.batches import Lake
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
    prediction = load_light_predictor(lake, release.plan.facts["predictor"]).predict([body])[0]
    withheld = release.plan.facts.get(WITHHELD)
    return {
        "title": "" if withheld else prediction.title,
        "confidence": float(prediction.confidence),
        "abstained": bool(withheld or prediction.abstained),
        "withheld": withheld,
        "probability": prediction.probability,
    }


def similar(lake: Lake, settings: Settings, query: str, neighbours: int) -> list[dict[str, Any]]:
    """Returns the issues of the current release that are most similar to `query`, nearest first.

    `query` is the URL of an issue of the release, or a text. At most `neighbours` issues are returned, each
    with the keys `issue_url`, `title`, `distance` (angular, 0 to 2) and `near_duplicate`. Raises UsageError
    in these cases:

    - No release is published.
    - The query is empty.
    - The query is a URL that is not in the release's index.
    - The query is a text without any word of the model's vocabulary.
    """
    if not query.strip():
        raise UsageError(
            "The query is empty, so no similar issues can be found.",
            'Give the URL of an issue: titler similar URL\nOr give a text: titler similar "TEXT"',
        )
    release = require_current(lake)
    manifest = release.members[INDEX][0]
    items = read_items(lake, manifest)
    with lake.local_copy(manifest) as folder:
        index = open_index(folder, manifest)
        item, url = None, canonical_url(query)
        if url is not None:
            item = find_item(release, items, url)
            vector = index.vector(item)
        else:
            predictor = load_light_predictor(lake, release.plan.facts["predictor"])
            body_ids = predictor.vectors([query])
            vector = predictor.embed_vectors(body_ids)[0]
            if not predictor.vocabularies.body.has_known(body_ids).all():
                raise UsageError(
                    "The text contains no word of the model's vocabulary, so no similar issues can be found.",
                    'Give a longer text: titler similar "TEXT"\n'
                    "Or give the URL of an issue: titler similar URL",
                )
        nearest = nearest_others(index, vector, item, neighbours, settings.index.search_k)
    limit = settings.index.near_duplicate_distance or release.plan.facts["near_duplicate_distance"]
    rows = items.take(pa.array([neighbour for neighbour, _ in nearest], pa.int64())).to_pylist()
    return [
        {
            "issue_url": row["issue_url"],
            "title": row["title"],
            "distance": distance,
            "near_duplicate": distance < limit,
        }
        for row, (_, distance) in zip(rows, nearest, strict=True)
    ]


def canonical_url(query: str) -> str | None:
    """Returns the URL in `query` in the form that GH Archive uses. Returns None if `query` is not a URL.

    GH Archive's URLs start with https and have no query string, fragment or trailing slash.
    """
    match = re.fullmatch(r"\s*https?://([^\s?#]*)\S*\s*", query)
    return f"https://{match[1].rstrip('/')}" if match else None
