"""The held-out issues that a model is evaluated on, and its predictions for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.dataset.split import part_of
from pipeline.evaluation.title_scores import lead, rouge_l
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.predictor.predictor import Model

Floats = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class HeldOutIssue:
    """An issue that the model did not learn from. `lead` is the floor for its title: the first words of the
    body."""

    issue_id: int
    url: str
    title: str
    body: str
    lead: str


def held_out_issues(lake: Lake, model: Pinned) -> Iterator[HeldOutIssue]:
    """The trainable issues of a model's days that belong to the validation part, day by day."""
    plan = model.plan
    for day in plan.days:
        issues, tokens = model.issues(day), model.tokens(day)
        for file, token_file in zip(issues.files, tokens.files, strict=True):
            cleaned = lake.read_part(tokens, token_file, ["body", "trainable", "repo"])
            repos = cleaned.column("repo").to_pylist()
            validates = np.array([part_of(repo) == "validation" for repo in repos], dtype=bool)
            table = lake.read_part(issues, file)
            not_superseded = plan.keep_mask(day.day, table.column("issue_id").to_numpy())
            mask = validates & cleaned.column("trainable").to_numpy() & not_superseded
            bodies = cleaned.filter(mask).column("body").to_pylist()
            for row, words in zip(table.filter(mask).to_pylist(), bodies, strict=True):
                yield HeldOutIssue(row["issue_id"], row["issue_url"], row["title"], row["body"], lead(words))


@dataclasses.dataclass(frozen=True)
class HeldOutPredictions:
    """A model's predictions for n bodies."""

    decoded_titles: list[str]
    """as decoded, whatever their confidence; empty if decoding wrote no text or no word of the body is
    known"""
    titles: list[str]
    """the same, but empty if the confidence is below the threshold"""
    confidences: npt.NDArray[np.float64]
    """(n,)"""
    embeddings: Floats
    """(n, size): of the body alone, even if the model's embedding reads titles too; zeros if no word is
    known"""

    def confidences_and_rouge(
        self, references: Sequence[str]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Confidence and ROUGE-L (0 to 100) of the m decoded titles that are not empty, withheld or not: (m,)
        each."""
        rows = [row for row, title in enumerate(self.decoded_titles) if title]
        titles = [self.decoded_titles[row] for row in rows]
        return self.confidences[rows], rouge_l(titles, [references[row] for row in rows])


def predict_held_out(predictor: Model, bodies: Sequence[str]) -> HeldOutPredictions:
    """Titles and embeddings for bodies as their authors wrote them."""
    ids = predictor.vectors(bodies)
    decoded = dataclasses.replace(predictor, abstain_below=0.0).title_vectors(ids)
    with_confidence = zip(decoded.titles, decoded.confidences, strict=True)
    titles = ["" if confidence < predictor.abstain_below else title for title, confidence in with_confidence]
    embeddings = _zero_unknown(predictor, ids, decoded.embeddings)
    return HeldOutPredictions(decoded.titles, titles, decoded.confidences, embeddings)


def embed_queries(predictor: Model, texts: Sequence[str]) -> Floats:
    """(n, size): the vectors that `titler similar TEXT` searches with; zeros if no word of a text is
    known."""
    ids = predictor.vectors(texts)
    return _zero_unknown(predictor, ids, predictor.embed_vectors(ids))


def _zero_unknown(predictor: Model, ids: npt.NDArray[np.int32], embeddings: Floats) -> Floats:
    return np.where(predictor.vocabularies.body.has_known(ids)[:, None], embeddings, 0)
