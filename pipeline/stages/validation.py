"""The issues that a model is judged on, and what it answers to them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.dataset.split import part_of
from pipeline.evaluation.title_scores import lead, rouge_l
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned, keep_mask
from pipeline.predictor.predictor import Predictor

Floats = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Example:
    """An issue to score on; `lead` is the floor."""

    issue_id: int
    url: str
    title: str
    body: str
    lead: str


def validation(lake: Lake, model: Pinned) -> Iterator[Example]:
    """The trainable issues of the model's days that validate, in the order of the days."""
    plan = model.plan()
    for day in plan.days:
        issues, tokens = model.issues(day), model.tokens(day)
        for file, token_file in zip(issues.files, tokens.files, strict=True):
            cleaned = lake.read_part(tokens, token_file, ["body", "trainable", "repo"])
            inside = np.array(
                [part_of(repo) == "validation" for repo in cleaned.column("repo").to_pylist()], dtype=bool
            )
            table = lake.read_part(issues, file)
            mask = (
                inside
                & cleaned.column("trainable").to_numpy()
                & keep_mask(plan, day.day, table.column("issue_id").to_numpy())
            )
            leads = cleaned.filter(mask).column("body").to_pylist()
            for row, words in zip(table.filter(mask).to_pylist(), leads, strict=True):
                yield Example(row["issue_id"], row["issue_url"], row["title"], row["body"], lead(words))


@dataclasses.dataclass(frozen=True)
class Answers:
    """What a model says of n issues."""

    titles: list[str]
    """as decoded, whatever their confidence; empty where there is no word to tell"""
    given: list[str]
    """the same, empty where the threshold withholds one"""
    confidences: npt.NDArray[np.float64]
    """(n,)"""
    embeddings: Floats
    """(n, size): of the bodies alone, also where the model reads titles, too; zeros where it knows nothing of one"""

    def told(self, references: Sequence[str]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Confidence and ROUGE-L, 0 to 100, of the titles that have a word (m,), withheld or not."""
        rows = [row for row, title in enumerate(self.titles) if title]
        return self.confidences[rows], rouge_l(
            [self.titles[row] for row in rows], [references[row] for row in rows]
        )


def answers(predictor: Predictor, bodies: Sequence[str]) -> Answers:
    """Titles and embeddings of bodies as their authors wrote them."""
    ids = predictor.vectors(bodies)
    found = dataclasses.replace(predictor, abstain_below=0.0).title_vectors(ids)
    shown = zip(found.titles, found.confidences, strict=True)
    given = ["" if confidence < predictor.abstain_below else title for title, confidence in shown]
    return Answers(found.titles, given, found.confidences, _known(predictor, ids, found.embeddings))


def asked(predictor: Predictor, texts: Sequence[str]) -> Floats:
    """(n, size): what `titler similar TEXT` looks for; zeros where the model knows nothing of a text."""
    ids = predictor.vectors(texts)
    return _known(predictor, ids, predictor.embed_vectors(ids))


def _known(predictor: Predictor, ids: npt.NDArray[np.int32], embeddings: Floats) -> Floats:
    return np.where(predictor.vocabularies.body.known(ids)[:, None], embeddings, 0)
