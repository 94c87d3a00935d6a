"""Selects the held-out issues of a model, and computes the model's predictions for them.

Held-out issues are issues that the model did not learn from. The model is evaluated on them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.dataset.split import subset_of
from pipeline.evaluation.title_scores import lead, rouge_l
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.predictor.predictor import Model

Floats = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class HeldOutIssue:
    """An issue that the model did not learn from, and on which the model is evaluated.

    `lead` has the first words of the cleaned body (see `pipeline.evaluation.title_scores.lead`). It serves as
    a baseline for the model's title. `repo` is the issue's repository.
    """

    issue_id: int
    url: str
    title: str
    body: str
    lead: str
    repo: str = dataclasses.field(default="", compare=False)


def held_out_issues(lake: Lake, model: Pinned) -> Iterator[HeldOutIssue]:
    """Yields, day by day, the issues on which a model is evaluated.

    These are the trainable issues (see `pipeline.source.trainable`) of the repositories that are set aside
    for validation. All days in the model's plan (see `pipeline.lake.plan`) are used. If an issue is in
    the data of several days, it is taken from the earliest of them. Raises LakeError if a file is missing or
    damaged.
    """
    plan = model.plan
    for day in plan.days:
        issues, tokens = model.issues(day), model.tokens(day)
        for file, token_file in zip(issues.files, tokens.files, strict=True):
            cleaned = lake.read_part(tokens, token_file, ["body", "trainable", "repo"])
            repos = cleaned.column("repo").to_pylist()
            validates = np.array([subset_of(repo) == "validation" for repo in repos], dtype=bool)
            table = lake.read_part(issues, file)
            not_superseded = plan.keep_mask(day.day, table.column("issue_id").to_numpy())
            mask = validates & cleaned.column("trainable").to_numpy() & not_superseded
            bodies = cleaned.filter(mask).column("body").to_pylist()
            for row, words in zip(table.filter(mask).to_pylist(), bodies, strict=True):
                yield HeldOutIssue(
                    row["issue_id"], row["issue_url"], row["title"], row["body"], lead(words), row["repo"]
                )


@dataclasses.dataclass(frozen=True)
class HeldOutPredictions:
    """A model's titles, confidences and embeddings for the bodies of n held-out issues."""

    decoded_titles: list[str]
    """n titles as decoded, even if their confidence is low; a title is empty if decoding wrote no text, or if
    the vocabulary contains no word of the body"""
    titles: list[str]
    """n titles: the decoded title, or an empty one if its confidence is below `abstain_below`. A low
    probability does not empty a title, because models are compared by all titles that they can give"""
    confidences: npt.NDArray[np.float64]
    """the confidence of each decoded title, 0 to 1, shape (n,)"""
    embeddings: Floats
    """embeddings of the bodies alone, even if the variant also reads titles, shape (n, size); all zeros if
    the vocabulary contains no word of the body"""

    def confidences_and_rouge(
        self, references: Sequence[str]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Returns the confidence and the ROUGE-L of each decoded title that is not empty.

        Both arrays have the shape (m,), where m is the number of these titles. Confidence is 0 to 1, and
        ROUGE-L is 0 to 100. A title is included even if its confidence is below `abstain_below`.
        `references` are the titles that the authors wrote, one for each of the n held-out issues.
        """
        rows = [row for row, title in enumerate(self.decoded_titles) if title]
        titles = [self.decoded_titles[row] for row in rows]
        return self.confidences[rows], rouge_l(titles, [references[row] for row in rows])


def predict_held_out(predictor: Model, bodies: Sequence[str]) -> HeldOutPredictions:
    """Predicts titles, confidences and embeddings for bodies, which are given as their authors wrote them.

    Raises TitlerError if the network computes NaN or infinity.
    """
    ids = predictor.vectors(bodies)
    decoded = dataclasses.replace(predictor, abstain_below=0.0, abstain_probability=0.0).title_vectors(ids)
    with_confidence = zip(decoded.titles, decoded.confidences, strict=True)
    titles = ["" if confidence < predictor.abstain_below else title for title, confidence in with_confidence]
    embeddings = _zero_unknown(predictor, ids, decoded.embeddings)
    return HeldOutPredictions(decoded.titles, titles, decoded.confidences, embeddings)


def embed_queries(predictor: Model, texts: Sequence[str]) -> Floats:
    """Returns the embeddings (n, size) of n texts.

    They are computed as `titler similar TEXT` computes them: each text is treated as the body of an issue. An
    embedding is all zeros if the vocabulary contains no word of the text.
    """
    ids = predictor.vectors(texts)
    return _zero_unknown(predictor, ids, predictor.embed_vectors(ids))


def _zero_unknown(predictor: Model, ids: npt.NDArray[np.int32], embeddings: Floats) -> Floats:
    """Returns `embeddings` (n, size), with zeros for each text that contains no word of the vocabulary.

    `ids` (n, length) has the ids of the n texts.
    """
    return np.where(predictor.vocabularies.body.has_known(ids)[:, None], embeddings, 0)
