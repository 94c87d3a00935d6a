"""The figures of a model's evaluation, as they are stored with the model."""

from __future__ import annotations

from pydantic import NonNegativeInt

from pipeline.lake.json_documents import ABSENT, KnownKeys, delete_and_run, object_with
from pipeline.lake.pinned import Note


class _RetrievalKeys(KnownKeys):
    issues: NonNegativeInt
    recall_at_10: float
    champion_recall_at_10: float = ABSENT


class _FigureKeys(KnownKeys):
    """What a promotion reads of the figures. Only models that were compared with a champion have the keys
    with a default."""

    issues: NonNegativeInt
    rougeL: float  # noqa: N815  # the key's name
    lead_rougeL: float  # noqa: N815  # the key's name
    champion: str | None
    champion_rougeL: float = ABSENT  # noqa: N815  # the key's name
    retrieval: _RetrievalKeys = ABSENT


EVALUATION = Note(
    "evaluation",
    object_with(_FigureKeys),
    "the figures of an evaluation",
    delete_and_run("titler evaluate NAME"),
)
"""The note with a model's figures: the file evaluation.json beside its plan."""
