"""Decides whether a model's titles are shown. They must beat the floor, or a person must accept them.

The floor is the score (ROUGE-L) of titles that need no model: the first words of the body. Titles that do not
beat the floor by a margin are withheld: stored, but not shown. Their model can still be champion, because its
embeddings do not depend on its titles.

The stage `promote` stores the decision with the model. The stage `plan` copies it to each new release of the
model, and the views for readers use this copy. If a person accepts withheld titles later, the next release of
the model shows them. They need not be predicted again, because they are stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from pipeline.lake.batches import Lake
from pipeline.lake.json_documents import KnownKeys, Time, delete_and_run, object_with
from pipeline.lake.pinned import Note, Pinned
from pipeline.provenance import user_name


class _AcceptanceKeys(KnownKeys):
    because: str
    by: str
    at: Time


class _GateKeys(KnownKeys):
    shortfall: str
    accepted: _AcceptanceKeys | None


PROMOTION = Note(
    "promotion",
    object_with(_GateKeys),
    "the decision about a model's titles: an object with the keys shortfall and accepted",
    delete_and_run(
        "titler promote NAME\nUntil then, releases show the titles of this model. If somebody had "
        'accepted the titles, repeat this: titler promote NAME --accept --because "..."'
    ),
)
"""The note with the decision: the file promotion.json beside the model's plan."""
WITHHELD, ACCEPTED = "titles_withheld", "titles_accepted"
"""The keys of `TitleGate.facts`, which are also columns of the table releases_v1."""


@dataclass(frozen=True)
class TitleGate:
    """The decision whether a model's titles are shown or withheld.

    The titles must beat the floor: the ROUGE-L of the body's first words, used as titles. If they do not,
    `shortfall` gives the ROUGE-L of the titles and then the floor, for example "ROUGE-L 2.98, first words
    15.6". Otherwise it is an empty string. `accepted` says who accepted the titles nevertheless, when and
    why. It is None if nobody accepted the titles.
    """

    shortfall: str = ""
    accepted: Mapping[str, str] | None = None

    @property
    def withheld(self) -> str:
        """The reason why the model's titles are withheld, or an empty string if they are shown."""
        return "" if self.accepted else self.shortfall

    @property
    def facts(self) -> dict[str, Any]:
        """The entries about titles for the plan of a release: why the titles are withheld, or who accepted
        them, when and why.

        The dict is empty if the titles beat the floor (the body's first words). Then the plan equals a plan
        of an earlier version of Titler, because earlier versions did not write these entries.
        """
        if not self.shortfall:
            return {}
        if self.accepted:
            return {ACCEPTED: {"titles": self.shortfall, **self.accepted}}
        return {WITHHELD: self.shortfall}

    def accept(self, because: str) -> TitleGate:
        """Returns a copy of this decision in which the current user accepts the model's titles.

        `because` is the user's reason. Returns this decision itself if the titles beat the floor (the body's
        first words), or if they were accepted for the same reason before.
        """
        if not self.shortfall or (self.accepted and self.accepted["because"] == because):
            return self
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return TitleGate(self.shortfall, {"because": because, "by": user_name(), "at": now})


def floor_shortfall(figures: Mapping[str, Any], margin: float) -> str:
    """Returns a text with two scores if a model's titles do not beat the floor by `margin`. Returns an empty
    string if they do, or if the floor is unknown.

    The floor is the ROUGE-L of the body's first words, used as titles. The text has the ROUGE-L of the
    model's titles and then the floor, for example "ROUGE-L 2.98, first words 15.6". If the titles beat the
    floor, but by less than `margin`, the text also has the margin. `figures` are the scores of the model's
    evaluation.
    """
    if "lead_rougeL" not in figures:
        return ""
    rouge, floor = figures["rougeL"], figures["lead_rougeL"]
    if rouge >= floor + margin and rouge > floor:
        return ""
    nearly = f", and at least {margin:g} more is expected" if rouge > floor else ""
    return f"ROUGE-L {round(rouge, 2):g}, first words {round(floor, 2):g}{nearly}"


def stored_gate(lake: Lake, model: str) -> TitleGate | None:
    """Returns the decision whether a model's titles are shown. It was stored when the model was promoted.

    Returns None if the model was not promoted, or if an earlier version of Titler promoted it. The titles of
    a model without a decision are shown.
    """
    values = Pinned(lake, "models", model).notes[PROMOTION]
    return None if values is None else TitleGate(values["shortfall"], values["accepted"])


def store_gate(lake: Lake, model: str, gate: TitleGate) -> None:
    """Stores the decision whether a model's titles are shown. Releases that are planned later use this
    decision."""
    Pinned(lake, "models", model).notes[PROMOTION] = asdict(gate)


def withheld_titles(lake: Lake, model: str) -> str:
    """Returns the reason why the next release of a model will withhold the model's titles. The reason is an
    empty string if the titles will be shown."""
    gate = stored_gate(lake, model)
    return gate.withheld if gate else ""
