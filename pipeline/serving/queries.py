"""What Titler is asked: what is there, a title for a body, similar issues. Reads the current release; writes nothing."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline import warehouse
from pipeline.contracts import ISSUES, SOURCE_HEALTH
from pipeline.errors import UsageError
from pipeline.index import annoy_index
from pipeline.lake.batches import Lake, Manifest
from pipeline.lake.pinned import Pinned
from pipeline.progress import track
from pipeline.releases.release import pointed, record, require_current
from pipeline.settings import Settings
from pipeline.source import hour_files
from pipeline.stages.embed import load_light_predictor
from pipeline.stages.extract import parameters_of, question
from pipeline.stages.index import INDEX
from pipeline.stages.train import PREDICTOR, tracking_of
from pipeline.warehouse.price import usd

HEALTH_KEYS = ("day", "hours_found", "events", "malformed", "issues", "trainable", "verdict")
CONNECTIONS = 8


def status(
    lake: Lake, settings: Settings, first: str | None = None, last: str | None = None
) -> dict[str, Any]:
    """Days with their health, the champion and the current release with its age; the keys do not change."""
    days = []
    for day in lake.days(SOURCE_HEALTH.name):
        if (first or "") <= day <= (last or "9999"):
            health = lake.current(SOURCE_HEALTH.name, {"day": day})
            if health is not None:
                days.append({key: health.figures[key] for key in HEALTH_KEYS})
    champion = tracking_of(settings, lake).champion() if _tracked(lake, settings) else None
    model = None
    if champion is not None:
        predictor = Pinned(lake, "models", champion.model).members(PREDICTOR, "train")[0]
        model = {"name": champion.model, "version": champion.version, "variant": predictor.figures["variant"]}
    release_id = pointed(lake)
    row = record(lake, release_id) if release_id else None
    release = None
    if row is not None:
        age = (datetime.now(UTC) - datetime.fromisoformat(row["published_at"])).total_seconds() / 3600
        release = {
            "id": row["release_id"],
            "issues": row["issues"],
            "index_items": row["index_items"],
            "recall_at_10": row["recall_at_10"],
            "published_at": row["published_at"],
            "age_hours": round(age, 1),
            "stale": 0 < settings.alerts.stale_after_hours < age,
        }
    return {"days": days, "model": model, "release": release}


def reasons(lake: Lake, days: Iterable[str]) -> dict[str, str]:
    """Why these days are not complete, in words, where that is known."""
    found = {day: lake.current(SOURCE_HEALTH.name, {"day": day}) for day in days}
    return {
        day: health.figures["reason"]
        for day, health in found.items()
        if health and health.figures.get("reason")
    }


def ready(settings: Settings, day: date) -> dict[str, Any]:
    """Whether the source has a day's last hour, after which none will come. The keys do not change."""
    found = warehouse.connect(settings, "ready").source_day(day) or hour_files.look(
        settings.source.hours, day
    )
    place = found.name if isinstance(found, warehouse.SourceTable) else settings.source.hours
    return {
        "day": str(day),
        "ready": has_last_hour(found, day),
        "source": f"hour {hour_files.HOURS[-1]} in {place}",
    }


def has_last_hour(found: warehouse.SourceTable | hour_files.SourceDay, day: date) -> bool:
    """Whether the day's last hour is there: its file, or its events in the table, to which GH Archive adds each hour once it is over."""
    if isinstance(found, hour_files.SourceDay):
        return hour_files.HOURS[-1] not in found.missing
    return found.changed is not None and found.changed >= datetime.combine(day, time(), UTC) + timedelta(
        days=1
    )


def cost(lake: Lake, settings: Settings, days: Sequence[date]) -> dict[str, Any]:
    """What extracting these days would have billed, by dry runs; what the lake has is not paid for again. The keys do not change."""
    house = warehouse.connect(settings, "cost")
    query = question(settings)

    def ask(day: date) -> dict[str, Any]:
        table = house.source_day(day)
        there = (
            table is not None
            and lake.find(ISSUES.name, {"day": str(day)}, (), parameters_of(query, table)) is not None
        )
        count = 0 if table is None or there else house.estimate(query, day)
        return {"day": str(day), "in_lake": there, "bytes": count, "usd": usd(settings.warehouse, count)}

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        rows = list(track(pool.map(ask, days), "cost", len(days)))
    total = sum(row["bytes"] for row in rows)
    budgets = {
        "max_bytes_per_run": settings.warehouse.max_bytes_per_run,
        "max_bytes_per_day": settings.warehouse.max_bytes_per_day,
    }
    return {"days": rows, "bytes": total, "usd": usd(settings.warehouse, total), **budgets}


def _tracked(lake: Lake, settings: Settings) -> bool:
    """Whether MLflow can hold anything yet: its default database is made by the first training."""
    return bool(settings.tracking.uri) or "mlflow.db" in lake.names("")


def title(lake: Lake, body: str) -> dict[str, Any]:
    """A title for a body by the current release's model. Raises UsageError where nothing is published or there is no body."""
    if not body.strip():
        raise UsageError(
            "The body is empty, so there is nothing to title.",
            'Give it as an argument or on standard input: titler title "BODY" | titler title -',
        )
    release = require_current(lake)
    prediction = load_light_predictor(lake, release.plan().facts["predictor"]).predict([body])[0]
    return {
        "title": prediction.title,
        "confidence": float(prediction.confidence),
        "abstained": bool(prediction.abstained),
    }


def similar(lake: Lake, settings: Settings, query: str, neighbours: int) -> list[dict[str, Any]]:
    """The issues of the current release nearest to one of them (by its URL) or to any text, nearest first.

    Raises UsageError where nothing is published, for a URL that is not in the release, and for text without a known word.
    """
    if not query.strip():
        raise UsageError("Nothing was asked for.", "Give an issue's URL or a text: titler similar URL|TEXT|-")
    release = require_current(lake)
    manifest = release.members(INDEX, "index")[0]
    ids = index_ids(lake, manifest)
    with lake.local_copy(manifest) as folder:
        index = annoy_index.Index(folder / "issues.ann", manifest.figures["size"])
        item, url = None, canonical(query)
        if url is not None:
            item = find_item(release, ids, url)
            vector = index.vector(item)
        else:
            predictor = load_light_predictor(lake, release.plan().facts["predictor"])
            body_ids = predictor.vectors([query])
            vector = predictor.embed_vectors(body_ids)[0]
            if not predictor.vocabularies.body.known(body_ids).all():
                raise UsageError(
                    "Not one word of the text is in the model's vocabulary.",
                    "Give more of it, or an issue's URL.",
                )
        found = others(index, vector, item, neighbours, settings.index.search_k)
    near = settings.index.near_duplicate_distance or release.plan().facts["near_duplicate_distance"]
    rows = ids.take(pa.array([other for other, _ in found], pa.int64())).to_pylist()
    return [
        {
            "issue_url": row["issue_url"],
            "title": row["title"],
            "distance": distance,
            "near_duplicate": distance < near,
        }
        for row, (_, distance) in zip(rows, found, strict=True)
    ]


def canonical(query: str) -> str | None:
    """The URL asked for as GH Archive writes it: https, no query string, fragment or trailing slash. None where a text is asked for."""
    found = re.fullmatch(r"\s*https?://([^\s?#]*)\S*\s*", query)
    return f"https://{found[1].rstrip('/')}" if found else None


def others(
    index: annoy_index.Index, vector: annoy_index.Vectors, item: int | None, neighbours: int, search_k: int
) -> list[tuple[int, float]]:
    """(item, distance) of the nearest items but `item` itself, nearest first: `neighbours` of them, or all where there are fewer."""
    return [pair for pair in index.nearest(vector, neighbours + 1, search_k) if pair[0] != item][:neighbours]


def index_ids(lake: Lake, manifest: Manifest) -> pa.Table:
    """The rows that stand for the items of a release's index, in order."""
    file = next(file for file in manifest.files if file.name == "ids.parquet")
    return pq.read_table(io.BytesIO(lake.read_file(manifest, file)))


def find_item(release: Pinned, ids: pa.Table, url: str) -> int:
    """The item of an issue. Raises UsageError, telling an unknown issue from one without a vector."""
    items = np.flatnonzero(pc.equal(ids.column("issue_url"), url).to_numpy())
    if len(items):
        return int(items[-1])
    for day in release.plan().days:
        if pc.any(
            pc.equal(release.lake.read(release.issues(day), ISSUES, ["issue_url"]).column("issue_url"), url)
        ).as_py():
            raise UsageError(
                f"{url} has no word that the model knows, so it has no neighbours.",
                'Ask with a text: titler similar "TEXT"',
            )
    raise UsageError(
        f"{url} is not in release {release.name}.",
        "Look for one that is: titler status shows the days in it; or ask with a text.",
    )
