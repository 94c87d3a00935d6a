"""Checks whether the source (GH Archive) has the last hour of a day, and estimates what extracting days would
cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from pipeline import warehouse
from pipeline.contracts import DUPLICATE_MARKS
from pipeline.errors import SourceError
from pipeline.lake.batches import Lake
from pipeline.progress import track
from pipeline.settings import Settings, public_address
from pipeline.source import hour_files
from pipeline.source.eras import ERAS, era_of
from pipeline.source.hour_names import HOURS
from pipeline.stages.extract import batch_parameters, extraction_query
from pipeline.stages.recounted_words import find_extracted
from pipeline.warehouse.price import usd

CONNECTIONS = 8
DAYS_PER_YEAR = 365


def ready(settings: Settings, day: date) -> dict[str, Any]:
    """Checks whether the source (GH Archive) already has the last hour of a day. The other hours arrive
    earlier. If there are several bases (folders of hour files), it is enough that one of them has the hour.

    In a base of the kind crawl-time, each event is in the file of the hour in which it was crawled. So the
    first hour files of the next day may have late events of the day. `source.late_hours` is the number of
    these files. In such a base, the check looks for the last of them, not for the last hour of the day.

    Returns a dict. `day` is the day, and `ready` is True if the source has the hour. `source` says which hour
    was looked for and where, for example `hour 23 in https://data.gharchive.org`. Do not rename these keys:
    `titler ready --json` prints them. Raises SourceError if no base of hour files can be reached, and
    WarehouseError if BigQuery cannot be reached.
    """
    table = warehouse.connect(settings, "ready").source_day(day)
    if table is not None:
        return {
            "day": str(day),
            "ready": has_last_hour(table, day),
            "source": f"hour {HOURS[-1]} in {table.name}",
        }
    places: list[str] = []
    errors: list[SourceError] = []
    for base in settings.source.bases:
        late = settings.source.late_hours if base.kind == "crawl-time" else 0
        last_day, last_hour = (day + timedelta(days=1), late - 1) if late else (day, HOURS[-1])
        places.append(f"hour {last_hour}{' of the next day' if late else ''} in {public_address(base.base)}")
        try:
            files = hour_files.find_hours(base.base, last_day, (last_hour,)).files
            if any(map(hour_files.has_event, files)):
                return {"day": str(day), "ready": True, "source": places[-1]}
        except SourceError as error:
            errors.append(error)
    if len(errors) == len(places):
        raise errors[0]
    return {"day": str(day), "ready": False, "source": ", or ".join(places)}


def has_last_hour(table: warehouse.SourceTable, day: date) -> bool:
    """Returns whether the table of `day` in BigQuery has the day's last hour.

    GH Archive adds each hour to the table after the hour is over. So the table has the last hour if it has
    rows, and if GH Archive last added rows after the end of the day.
    """
    if not table.rows:
        return False
    end_of_day = datetime.combine(day, time(), UTC) + timedelta(days=1)
    return table.changed is not None and table.changed >= end_of_day


def cost(lake: Lake, settings: Settings, days: Sequence[date], again: bool = False) -> dict[str, Any]:
    """Estimates with dry runs how many bytes BigQuery would bill for extracting these days.

    The result has the bytes and their price in USD, per day, per era of GH Archive, and in total. A day costs
    nothing if hour files are read instead of BigQuery's tables. It also costs nothing if its issues are
    already in the lake and `again` is false.

    Among the keys of a day, `table_bytes` is the size of the day's whole table, or None if there is no table.
    `lacks_marks` is true if an earlier version of Titler extracted the day, without duplicate marks. Do not
    rename the keys of the result: the command `titler cost --json` prints them.

    Raises WarehouseError if BigQuery cannot be reached. Raises SourceError if a day in BigQuery is before
    2015, or if its table lacks a column that the extraction reads.
    """
    connection = warehouse.connect(settings, "cost")
    query = extraction_query(settings)

    def estimate(day: date) -> dict[str, Any]:
        table, existing = connection.source_day(day), None
        if table is not None:
            existing = find_extracted(lake, {"day": str(day)}, batch_parameters(query, table))
        is_free = table is None or (existing is not None and not again)
        size = 0 if is_free else connection.estimate(query, day)
        return {
            "day": str(day),
            "in_lake": existing is not None,
            "bytes": size,
            "usd": usd(settings.warehouse, size),
            "lacks_marks": existing is not None and DUPLICATE_MARKS.name not in existing.figures,
            "table_bytes": None if table is None or table.rows is None else table.bytes,
        }

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        rows = list(track(pool.map(estimate, days), "cost", len(days)))
    total = sum(row["bytes"] for row in rows)
    return {
        "days": rows,
        "bytes": total,
        "usd": usd(settings.warehouse, total),
        "max_bytes_per_run": settings.warehouse.max_bytes_per_run,
        "max_bytes_per_day": settings.warehouse.max_bytes_per_day,
        "eras": _cost_per_era(settings, rows),
    }


def _cost_per_era(settings: Settings, days: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns, for each era, the bytes and the price of the `days` that cost something. `usd_per_year` is the
    mean price of these days, multiplied by 365."""
    eras = []
    for era in ERAS:
        sizes = [
            day["bytes"] for day in days if day["bytes"] and era_of(date.fromisoformat(day["day"])) == era
        ]
        if sizes:
            eras.append(
                {
                    "era": era.name,
                    "span": era.span,
                    "days": len(sizes),
                    "bytes": sum(sizes),
                    "usd": usd(settings.warehouse, sum(sizes)),
                    "usd_per_year": usd(settings.warehouse, sum(sizes)) / len(sizes) * DAYS_PER_YEAR,
                }
            )
    return eras
