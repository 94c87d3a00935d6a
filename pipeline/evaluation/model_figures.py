"""Describes the file evaluation.json, in which the figures of a model's evaluation are stored."""

from __future__ import annotations

from pydantic import NonNegativeInt

from pipeline.lake.json_documents import ABSENT, KnownKeys, delete_and_run, object_with
from pipeline.lake.pinned import Note


class _RetrievalKeys(KnownKeys):
    issues: NonNegativeInt
    recall_at_10: float
    champion_recall_at_10: float = ABSENT


class _FigureKeys(KnownKeys):
    """The figures that a promotion reads. If a model was not compared with a champion, the champion's figures
    are missing. If an older version of Titler evaluated the model, `retrieval` is missing."""

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
"""Describes the file evaluation.json, which has the figures of a model's evaluation. The file is in the
folder of the model's plan."""
