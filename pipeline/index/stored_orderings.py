"""Stores orderings in the lake. An ordering has the weights that give a pair of issues its probability.

    ROOT/orderings/VERSION.json    an ordering that was learned from duplicate marks; it never changes
    ROOT/orderings/current.json    the version of the ordering that new releases use. If this file does not
                                   exist, new releases use the default ordering

The version of a learned ordering begins with two other versions: the version of the default ordering with
which it was compared, and the version of the rules by which issues are split into terms (words). If a later
version of Titler changes the default weights, the features of a pair or these rules, it does not use
orderings that were learned before the change.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from pipeline.errors import LakeError
from pipeline.index.ordering import DEFAULT_ORDERING, FEATURES, Ordering
from pipeline.index.segment_terms import TERMS_VERSION
from pipeline.lake.batches import Lake
from pipeline.lake.json_documents import AnyObject, Document, Name, delete_and_run
from pipeline.lake.pinned import Pinned

ORDERING = "ordering"
"""Name of the fact in a release's plan: the version of its ordering. Without it, the release has the default
ordering."""
LEARNED = f"{DEFAULT_ORDERING.version}-{TERMS_VERSION}-"
"""The versions of all orderings that this version of Titler learned begin with this text."""
POINTER = "orderings/current.json"


@dataclass(frozen=True)
class StoredOrdering:
    """An ordering (the weights that give a pair of issues its probability), as it is stored in the lake.

    `weights` maps the name of each feature to its weight. `calibration` has the points of the calibration
    curve. `figures` say what the ordering was learned from and how good it is. `mlflow_run` is the id of the
    MLflow run that recorded the training.
    """

    version: Name
    weights: dict[str, float]
    bias: float
    calibration: list[tuple[float, float]]
    figures: AnyObject
    mlflow_run: str

    @property
    def ordering(self) -> Ordering:
        """The ordering, ready to compute probabilities. Raises TitlerError if the features of its weights are
        not those of this version of Titler."""
        return Ordering.from_json(asdict(self))


@dataclass(frozen=True)
class OrderingPointer:
    """The content of current.json: the version of the ordering that new releases use."""

    version: Name


_ANEW = "titler learn-ordering"
ORDERING_DOCUMENT: Document[StoredOrdering] = Document(
    StoredOrdering,
    "an ordering: an object with the keys version, weights, bias, calibration, figures and mlflow_run",
    delete_and_run(_ANEW),
)
POINTER_DOCUMENT: Document[OrderingPointer] = Document(
    OrderingPointer,
    "the pointer to the ordering of new releases: an object with the key version",
    delete_and_run(_ANEW),
)


def named(ordering: Ordering) -> Ordering:
    """Returns a copy of the ordering. Its version is computed from its weights and its calibration."""
    content = json.dumps({**ordering.to_json(), "version": ""}, sort_keys=True).encode()
    return replace(ordering, version=f"{LEARNED}{hashlib.sha256(content).hexdigest()[:12]}")


def is_of_this_version(version: str) -> bool:
    """Returns whether this version of Titler can use the ordering with the version `version`.

    It can use its default ordering, and orderings that were learned with its own features and terms.
    """
    return version == DEFAULT_ORDERING.version or is_learned(version)


def is_learned(version: str) -> bool:
    """Returns whether the ordering with the version `version` was learned with the features and terms of this
    version of Titler.

    The default ordering does not count as learned.
    """
    return version.startswith(LEARNED)


def store_ordering(lake: Lake, ordering: Ordering, figures: Mapping[str, Any], mlflow_run: str) -> None:
    """Stores an ordering (the weights that give a pair of issues its probability), unless it is already
    stored."""
    if stored_ordering(lake, ordering.version) is None:
        value = {**ordering.to_json(), "figures": dict(figures), "mlflow_run": mlflow_run}
        lake.put_json(_file(ordering.version), value)


def stored_ordering(lake: Lake, version: str) -> StoredOrdering | None:
    """Returns the ordering with the version `version`, or None if it is not stored.

    Raises LakeError if its file is damaged: the content must match the digest in the version.
    """
    stored = lake.get_json(_file(version), ORDERING_DOCUMENT)
    is_known = stored is not None and is_learned(version) and set(stored.weights) == set(FEATURES)
    if stored is not None and is_known and named(stored.ordering).version != version:
        raise LakeError(
            f"The file {lake.path(_file(version))} is damaged: its content does not match its name.",
            f"Restore it from a backup. Or delete it and {lake.path(POINTER)}, and run: {_ANEW}",
        )
    return stored


def use_ordering(lake: Lake, version: str) -> None:
    """Makes new releases use the stored ordering with the version `version`."""
    lake.put_json(POINTER, {"version": version})


def use_default_ordering(lake: Lake) -> None:
    """Makes new releases use the default ordering, which was not learned from this lake's data."""
    lake.delete(POINTER)


def ordering_in_use(lake: Lake) -> str | None:
    """Returns the version of the learned ordering that new releases use, or None if they use the default
    ordering.

    They use the default ordering if current.json does not exist, or if this version of Titler cannot use the
    ordering in it. Raises LakeError if current.json is damaged, or if the ordering's file is damaged or
    missing.
    """
    pointer = lake.get_json(POINTER, POINTER_DOCUMENT)
    if pointer is None or not is_of_this_version(pointer.version):
        return None
    return _require(lake, pointer.version).version


def ordering_of_release(release: Pinned) -> Ordering:
    """Returns the ordering of a release, which gives a pair of issues its probability.

    If the release has no learned ordering, or one that this version of Titler cannot use, returns the default
    ordering. Raises LakeError if the ordering's file is damaged or missing.
    """
    stored = stored_ordering_of_release(release)
    return DEFAULT_ORDERING if stored is None else stored.ordering


def ordering_of_version(lake: Lake, version: str) -> Ordering | None:
    """Returns the ordering with the version `version`.

    Returns None if the ordering is not stored, or if this version of Titler cannot use it. Raises LakeError
    if the ordering's file is damaged.
    """
    if version == DEFAULT_ORDERING.version:
        return DEFAULT_ORDERING
    stored = stored_ordering(lake, version) if is_learned(version) else None
    return None if stored is None else stored.ordering


def stored_ordering_of_release(release: Pinned) -> StoredOrdering | None:
    """Returns the learned ordering of a release, with its figures.

    Returns None if the release has no learned ordering, or one that this version of Titler cannot use. Raises
    LakeError if the ordering's file is damaged or missing.
    """
    version = release.facts.get(ORDERING)
    return _require(release.lake, version) if version and is_of_this_version(version) else None


def _require(lake: Lake, version: str) -> StoredOrdering:
    stored = stored_ordering(lake, version)
    if stored is None:
        raise LakeError(
            f"The file {lake.path(_file(version))} is missing, but a release or the file "
            f"{lake.path(POINTER)} refers to it.",
            f"Restore it from a backup. Or delete {lake.path(POINTER)}, and run: titler plan",
        )
    if set(stored.weights) != set(FEATURES):
        raise LakeError(
            f"The ordering {lake.path(_file(version))} has weights for the features "
            f"{', '.join(sorted(stored.weights))}; expected {', '.join(sorted(FEATURES))}.",
            f"Delete the files {lake.path(POINTER)} and {lake.path(_file(version))}, then run: {_ANEW}",
        )
    return stored


def _file(version: str) -> str:
    return f"orderings/{version}.json"
