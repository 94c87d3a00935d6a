"""Decides whether a model's titles are shown: they must beat the floor, or a person must accept them.

The floor is the ROUGE-L of titles that need no model: the first words of the body. Titles that do not beat
the floor by a margin are withheld: stored, but not shown. Their model can still be champion, because its
embeddings do not depend on its titles.

`promote` stores the decision with the model, and `plan` records the decision in each release of the model.
The views for readers use the release's record. So if a person accepts the titles, nothing needs to be
predicted again.
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
    """The decision whether a model's titles are shown or withheld.

    `shortfall` compares the ROUGE-L of the titles with that of the body's first words, for example "ROUGE-L
    2.98, first words 15.6". It is empty if the titles beat the first words. `accepted` says who accepted the
    titles nevertheless, when and why. It is None if nobody accepted the titles.
    """

    shortfall: str = ""
    accepted: Mapping[str, str] | None = None

    @property
    def withheld(self) -> str:
        """The reason why the titles are withheld, or an empty text if they are shown."""
        return "" if self.accepted else self.shortfall

    @property
    def facts(self) -> dict[str, Any]:
        """What the plan of a release records about its model's titles: why they are withheld, or who accepted
        them, when and why.

        The dict is empty if the titles beat the floor (the body's first words). The plans of earlier versions
        of Titler do not have these facts. So a plan without them can be compared with such a plan.
        """
        if not self.shortfall:
            return {}
        if self.accepted:
            return {ACCEPTED: {"titles": self.shortfall, **self.accepted}}
        return {WITHHELD: self.shortfall}

    def accept(self, because: str) -> TitleGate:
        """Returns a copy of this decision about a model's titles, in which the current user accepts them.

        Returns this decision itself if the titles beat the floor (the body's first words), or if they were
        accepted for the same reason before.
        """
        if not self.shortfall or (self.accepted and self.accepted["because"] == because):
            return self
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return TitleGate(self.shortfall, {"because": because, "by": user_name(), "at": now})


def floor_shortfall(figures: Mapping[str, Any], margin: float) -> str:
    """Compares the ROUGE-L of titles with the floor, the ROUGE-L of the body's first words.

    `figures` are the scores of an evaluation. Returns an empty text if the titles beat the floor by `margin`,
    or if the floor is unknown. Otherwise returns a text with both scores.
    """
    if "lead_rougeL" not in figures:
        return ""
    rouge, floor = figures["rougeL"], figures["lead_rougeL"]
    if rouge >= floor + margin and rouge > floor:
        return ""
    nearly = f", and at least {margin:g} more is expected" if rouge > floor else ""
    return f"ROUGE-L {round(rouge, 2):g}, first words {round(floor, 2):g}{nearly}"


def stored_gate(lake: Lake, model: str) -> TitleGate | None:
    """Returns the decision about a model's titles that was stored when the model was promoted.

    Returns None if the model was not promoted, or if an earlier version of Titler promoted it. The titles of
    a model without a decision are shown.
    """
    values = Pinned(lake, "models", model).notes[PROMOTION]
    return None if values is None else TitleGate(**values)


def store_gate(lake: Lake, model: str, gate: TitleGate) -> None:
    """Stores the decision about a model's titles. Releases that are planned later record this decision."""
    Pinned(lake, "models", model).notes[PROMOTION] = asdict(gate)


def withheld_titles(lake: Lake, model: str) -> str:
    """Returns the reason why the titles of a model are withheld in its next release. The reason is empty if
    the titles are shown."""
    gate = stored_gate(lake, model)
    return gate.withheld if gate else ""
