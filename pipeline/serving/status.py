"""Reports the state of a lake: how complete each source day is, the champion (the model in use), and the
current release."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from functools import cache
from typing import Any

from pipeline.contracts import PREDICTOR
from pipeline.errors import LakeError, TitlerError
from pipeline.lake.batches import Lake
from pipeline.lake.day_catalogue import CurrentHealth
from pipeline.lake.pinned import Pinned
from pipeline.releases.current import current_release_id
from pipeline.releases.lost_champion import known_champion
from pipeline.releases.records import RECORD, read_record
from pipeline.releases.withheld_titles import WITHHELD, withheld_titles
from pipeline.settings import Settings
from pipeline.tracking import open_tracking

HEALTH_KEYS = ("day", "hours_found", "events", "malformed", "issues", "trainable", "verdict")


def status(
    lake: Lake,
    settings: Settings,
    first: str | None = None,
    last: str | None = None,
    problems: dict[str, TitlerError] | None = None,
) -> dict[str, Any]:
    """Returns how complete the source days are, the champion (the model in use), and the current release.

    The result has the keys `days`, `model` and `release`. `days` has only the days from `first` to `last`
    (both included, YYYY-MM-DD). `model` is None if there is no champion, and `release` is None before the
    first release. The release's age is in hours. Do not rename the keys of the result: `titler status --json`
    prints them.

    If one of the three values cannot be read, raises the error. But if `problems` is a dict, adds the error
    to `problems` under the key of this value, such as `model`. The value is then empty, and the other two are
    returned as usual.
    """
    current_id = cache(lambda: current_release_id(lake))
    parts: dict[str, Callable[[], Any]] = {
        "days": lambda: _days(lake, first, last),
        "release": lambda: _current_release(lake, settings, current_id()),
        "model": lambda: _champion(lake, settings, None if "release" in failed else current_id()),
    }
    failed: dict[str, TitlerError] = {}
    value: dict[str, Any] = {"days": [], "model": None, "release": None}
    for name, read in parts.items():
        try:
            value[name] = read()
        except TitlerError as error:
            failed[name] = error
    if problems is not None:
        problems.update(failed)
    elif failed:
        raise next(iter(failed.values()))
    return value


def verdict_reasons(lake: Lake, days: Collection[str]) -> dict[str, str]:
    """Maps each incomplete day among `days` to the reason why it is incomplete, such as `23 of 24 hours
    found`.

    Leaves out days for which no reason is stored. Older versions of Titler stored no reasons.
    """
    health = CurrentHealth(lake) if days else {}
    batches = {day: health.get(day) for day in days}
    return {
        day: batch.figures["reason"]
        for day, batch in batches.items()
        if batch and batch.figures.get("reason")
    }


def _days(lake: Lake, first: str | None, last: str | None) -> list[dict[str, Any]]:
    health = CurrentHealth(lake)
    return [
        {key: health[day].figures[key] for key in HEALTH_KEYS}
        for day in health
        if (first or "") <= day <= (last or "9999")
    ]


def _champion(lake: Lake, settings: Settings, release_id: str | None) -> dict[str, Any] | None:
    current = Pinned(lake, "releases", release_id) if release_id else None
    # MLflow's default database does not exist before the first training, and opening it would create it. A
    # lake in a bucket has no default database.
    may_be_lost = current is not None and "://" not in lake.root.removeprefix("file://")
    if not may_be_lost and not settings.tracking.uri and "mlflow.db" not in lake.names(""):
        return None
    champion = known_champion(open_tracking(settings, lake), current)
    if champion is None:
        return None
    predictor = Pinned(lake, "models", champion.model).members[PREDICTOR][0]
    return {
        "name": champion.model,
        "version": champion.version,
        "variant": predictor.figures["variant"],
        WITHHELD: withheld_titles(lake, champion.model) or None,
    }


def _current_release(lake: Lake, settings: Settings, release_id: str | None) -> dict[str, Any] | None:
    if release_id is None:
        return None
    record = read_record(lake, release_id)
    if record is None:
        raise LakeError(
            f"The release {release_id} is current, but its record {lake.path(f'releases/{release_id}')}"
            f"/{RECORD.file} is missing.",
            "To write the record again from the warehouse: titler plan",
        )
    age = (datetime.now(UTC) - datetime.fromisoformat(record["published_at"])).total_seconds() / 3600
    return {
        "id": record["release_id"],
        "issues": record["issues"],
        "index_items": record["index_items"],
        "recall_at_10": record["recall_at_10"],
        "published_at": record["published_at"],
        "age_hours": round(age, 1),
        "stale": 0 < settings.alerts.stale_after_hours < age,
        WITHHELD: record.get(WITHHELD),
    }
