"""Answers from the current release: a title for a body, and similar issues. Writes nothing."""

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
from pipeline.releases.title_gate import WITHHELD
from pipeline.settings import Settings


def title(lake: Lake, body: str) -> dict[str, Any]:
    """A title for a body, by the current release's model. The keys never change.

    If the release withholds its titles, the title is empty and `withheld` says why; otherwise that is None.
    Raises UsageError if no release is published or the body is empty.
    """
    if not body.strip():
        raise UsageError(
            "The body is empty, so there is nothing to title.",
            'Give it as an argument, titler title "BODY", or on standard input, titler title -',
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
    """The issues of the current release that are nearest to one of them (by URL) or to a text, nearest first.

    Raises UsageError if no release is published, for a URL that is not in the release, and for a text without
    a known word.
    """
    if not query.strip():
        raise UsageError("The query is empty.", "Give an issue's URL or a text: titler similar URL|TEXT|-")
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
                    "No word of the text is in the model's vocabulary.",
                    "Give a longer text, or an issue's URL.",
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
    """A URL as GH Archive writes it: https, without query string, fragment or trailing slash. None if `query`
    is a text."""
    match = re.fullmatch(r"\s*https?://([^\s?#]*)\S*\s*", query)
    return f"https://{match[1].rstrip('/')}" if match else None
