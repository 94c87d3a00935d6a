"""collect: removes what no kept release, no model in use and no current day names."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pipeline import warehouse
from pipeline.contracts import (
    EMBEDDINGS,
    ISSUES,
    SIMILAR_ISSUES,
    SOURCE_HEALTH,
    TITLE_PREDICTIONS,
    TOKENS,
    VECTORS,
)
from pipeline.lake.batches import MANIFEST, Lake
from pipeline.lake.pinned import Pinned
from pipeline.lake.stores import ASIDE
from pipeline.releases.release import RECORD, kept, names, record
from pipeline.settings import Settings
from pipeline.stages.index import INDEX
from pipeline.stages.publish import settled
from pipeline.stages.train import PREDICTOR, tracking_of
from pipeline.stages.vocab import VOCABULARY

GRACE = timedelta(days=2)  # what was opened later may still be at work
BY_DAY = (ISSUES.name, SOURCE_HEALTH.name, TOKENS.name, "quarantine")
BY_OWNER = (
    VECTORS.name,
    EMBEDDINGS.name,
    TITLE_PREDICTIONS.name,
    SIMILAR_ISSUES.name,
    INDEX,
    VOCABULARY,
    PREDICTOR,
)


@dataclass(frozen=True)
class Collected:
    """What was removed."""

    releases: tuple[str, ...]
    models: tuple[str, ...]
    batches: int
    warehouse_rows: int


def _young(pinned: Pinned, now: datetime) -> bool:
    return pinned.is_open() and now - datetime.fromisoformat(pinned.plan().opened_at) < GRACE


def _pins(pinned: Pinned) -> set[str]:
    plan = pinned.plan()
    folders = {folder for day in plan.days for folder in (day.issues, day.tokens, day.health) if folder}
    if pinned.kind == "releases":
        folders.add(plan.facts["predictor"])
    for table in (*BY_DAY, *BY_OWNER):  # each asked for by name: a listing may lack what was written just now
        folders.update(pinned.member_folders(table))
    return folders


def run(lake: Lake, settings: Settings, now: datetime | None = None) -> Collected:
    """As `_collect`, while nobody plans or publishes: what they are about to name would be removed."""
    with warehouse.connect(settings, "collect").alone():
        return _collect(lake, settings, now or datetime.now(UTC))


def _collect(lake: Lake, settings: Settings, now: datetime) -> Collected:
    """Removes releases beyond `release.keep`, models that no kept release uses and that are neither champion nor previous,
    and every batch that is then named by nobody. What is younger than GRACE stays."""
    keep = set(kept(lake, settings, settled(lake, settings)))
    released = {name: Pinned(lake, "releases", name) for name in {*names(lake), *keep}}
    stay = {
        name
        for name, pinned in released.items()
        if name in keep or (record(lake, name) is None and _young(pinned, now))
    }
    in_use = {released[name].plan().facts["model"] for name in stay}
    in_use |= {version.model for version in tracking_of(settings, lake).aliased()}
    models = {name: Pinned(lake, "models", name) for name in {*lake.names("models"), *in_use}}
    models_stay = {name for name, pinned in models.items() if name in in_use or _young(pinned, now)}

    named: set[str] = set()
    for name in stay:
        named |= _pins(released[name])
    for name in models_stay:
        if models[name].is_open():
            named |= _pins(models[name])
    gone_releases = tuple(sorted(set(released) - stay))
    gone_models = tuple(sorted(set(models) - models_stay))
    for name in gone_releases:
        lake.delete(f"releases/{name}/{RECORD}.json")  # first: what has one is asked for its plan
        lake.delete_folder(f"releases/{name}")
    for name in gone_models:
        lake.delete_folder(f"models/{name}")
    batches = 0
    for table in (*BY_DAY, *BY_OWNER):
        for partition in _partitions(lake, table):
            batches += _sweep(
                lake, partition, named, now, keep_current=table in BY_DAY and "/day=" in partition
            )
    for left in lake.names(ASIDE):  # by processes that were killed
        if _old(lake, f"{ASIDE}/{left}", now):
            lake.delete(f"{ASIDE}/{left}")

    house = warehouse.connect(settings, "collect")
    kept_batches: dict[str, set[str]] = {}
    for folder in named:
        kept_batches.setdefault(folder.split("/", 1)[0], set()).add(folder.rsplit("/", 1)[1])
    return Collected(gone_releases, gone_models, batches, house.collect(kept_batches))


def _old(lake: Lake, path: str, now: datetime) -> bool:
    """Whether the newest file below a path is older than GRACE. What nothing is listed of may be at work."""
    modified = lake.modified(path)
    return modified is not None and now - modified >= GRACE


def _partitions(lake: Lake, folder: str) -> list[str]:
    """Folders of a table's partitions: those whose names say KEY=VALUE, down to the last."""
    below = [name for name in lake.names(folder) if "=" in name]
    if not below:
        return [folder] if "=" in folder else []
    return [found for name in below for found in _partitions(lake, f"{folder}/{name}")]


def _sweep(lake: Lake, partition: str, named: set[str], now: datetime, *, keep_current: bool) -> int:
    """Removes the batches of a partition that nobody names, and the pointers that led to them; returns their number."""
    pointer = lake.get_json(f"{partition}/current.json")
    current = pointer["batch_id"] if pointer else None
    gone = set()
    for name in lake.names(partition):
        folder = f"{partition}/{name}"
        if name in ("keys", "current.json") or folder in named or (keep_current and name == current):
            continue
        if _old(lake, folder, now):
            gone.add(name)
    # Pointers first: nothing may lead to a batch that is half gone.
    for key in lake.names(f"{partition}/keys"):
        target = lake.get_json(f"{partition}/keys/{key}")
        if target and target["batch_id"] in gone:
            lake.delete(f"{partition}/keys/{key}")
    if current in gone:
        lake.delete(f"{partition}/current.json")
    for name in sorted(gone):
        lake.delete(f"{partition}/{name}/{MANIFEST}")
        lake.delete_folder(f"{partition}/{name}")
    return len(gone)
