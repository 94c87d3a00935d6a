"""Decides whether a model's titles are shown: they must beat the floor, or a person must accept them.

The floor is the score of titles that need no model: the first words of the body. Titles that do not beat the
floor by a margin are withheld. Their model can still be champion, because its embeddings do not depend on its
titles. `promote` stores the decision with the model, and `plan` records the decision in each release of the
model. Readers see the release's record. So accepting the titles costs no new predictions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.provenance import user_name

PROMOTION = "promotion"
"""Name under which the decision is stored beside a model's plan (`promotion.json`)."""
WITHHELD, ACCEPTED = "titles_withheld", "titles_accepted"
"""The keys of `TitleGate.facts`, which are also columns of releases_v1."""


@dataclass(frozen=True)
class TitleGate:
    """The decision about a model's titles.

    `shortfall` says how the titles fail to beat the floor: "ROUGE-L 2.98, first words 15.6". It is empty if
    the titles beat the floor. `accepted` says who accepted the titles nevertheless, when and why. It is None
    if nobody accepted them.
    """

    shortfall: str = ""
    accepted: Mapping[str, str] | None = None

    @property
    def withheld(self) -> str:
        """The reason why the titles are withheld. Empty if they are shown."""
        return "" if self.accepted else self.shortfall

    @property
    def facts(self) -> dict[str, Any]:
        """What a release records about the decision: nothing if the titles beat the floor. So such a plan
        looks like a plan of an earlier version of Titler, and the two can be compared."""
        if not self.shortfall:
            return {}
        if self.accepted:
            return {ACCEPTED: {"titles": self.shortfall, **self.accepted}}
        return {WITHHELD: self.shortfall}

    def accept(self, because: str) -> TitleGate:
        """Returns a copy of this decision that says that the current user accepted the titles. Returns this
        decision itself if the titles beat the floor or were accepted for the same reason before."""
        if not self.shortfall or (self.accepted and self.accepted["because"] == because):
            return self
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return TitleGate(self.shortfall, {"because": because, "by": user_name(), "at": now})


def floor_shortfall(figures: Mapping[str, Any], margin: float) -> str:
    """Returns a text that says how titles fail to beat the floor by `margin` points of ROUGE-L. `figures` are
    those of an evaluation. Returns an empty text if the titles beat the floor, or if the floor is unknown."""
    if "lead_rougeL" not in figures:
        return ""
    rouge, floor = figures["rougeL"], figures["lead_rougeL"]
    if rouge >= floor + margin and rouge > floor:
        return ""
    nearly = f", and at least {margin:g} more is expected" if rouge > floor else ""
    return f"ROUGE-L {round(rouge, 2):g}, first words {round(floor, 2):g}{nearly}"


def stored_gate(lake: Lake, model: str) -> TitleGate | None:
    """Returns the decision that was stored when the model was promoted. Returns None if the model
    was not promoted, or was promoted by an earlier version of Titler. Such a model's titles are shown."""
    values = Pinned(lake, "models", model).notes[PROMOTION]
    return None if values is None else TitleGate(**values)


def store_gate(lake: Lake, model: str, gate: TitleGate) -> None:
    """Stores the decision with the model. Releases that are planned from now on record it."""
    Pinned(lake, "models", model).notes[PROMOTION] = asdict(gate)


def withheld_titles(lake: Lake, model: str) -> str:
    """Returns why the titles of a model are withheld in its next release; empty if they are shown."""
    gate = stored_gate(lake, model)
    return gate.withheld if gate else ""
