"""How good titles are, compared with those that the authors wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU

from pipeline.errors import UsageError

ROUGES = ("rouge1", "rouge2", "rougeL")
LEAD_WORDS = 15


def lead(words: Sequence[str]) -> str:
    """The floor that needs no model (Lead-15): a body's first LEAD_WORDS cleaned words as its title."""
    return " ".join(words[:LEAD_WORDS])


@dataclass(frozen=True)
class Scores:
    """Scores over a list of titles.

    ROUGE is the mean over titles of F1 with Porter stemming (Lin 2004, google-research's rouge-score). BLEU
    is the corpus's (Papineni 2002, sacreBLEU with its 13a tokenizer). Both are 0 to 100 and ignore case. A
    withheld title scores 0; so does any title whose reference has no letter of a to z and no digit, because
    ROUGE has no other words.
    """

    rouge1: float
    rouge2: float
    rougeL: float  # noqa: N815  # the field's own name for it
    bleu: float
    exact_match: float
    """share of titles that equal the reference, ignoring case and white space at the ends, 0 to 1"""
    distinct: float
    """distinct titles per title, 0 to 1: near 0 if the model gives every issue the same title"""
    mean_length: float
    """words per title"""
    abstained: float
    """share of withheld titles, which are empty, 0 to 1"""
    issues: int
    """titles scored"""


def rouge_l(predicted: Sequence[str], references: Sequence[str]) -> npt.NDArray[np.float64]:
    """(n,): each title's own ROUGE-L against its reference, 0 to 100; see `Scores`."""
    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    pairs = zip(predicted, references, strict=True)
    return np.array(
        [100 * scorer.score(reference, title)["rougeL"].fmeasure for title, reference in pairs],
        dtype=np.float64,
    )


def score_titles(predicted: Sequence[str], references: Sequence[str]) -> Scores:
    """Scores `predicted[i]` against `references[i]`.

    Raises UsageError if both are empty or their lengths differ.
    """
    if len(predicted) != len(references) or not predicted:
        raise UsageError(
            f"{len(predicted)} titles and {len(references)} references; expected equal numbers, at least one."
        )
    count = len(predicted)
    pairs = list(zip(predicted, references, strict=True))
    scorer = RougeScorer(list(ROUGES), use_stemmer=True)
    rouges = [scorer.score(reference, title) for title, reference in pairs]
    mean_scores = {name: 100 * sum(rouge[name].fmeasure for rouge in rouges) / count for name in ROUGES}
    exact = sum(title.strip().casefold() == reference.strip().casefold() for title, reference in pairs)
    return Scores(
        **mean_scores,
        bleu=BLEU(lowercase=True).corpus_score(list(predicted), [list(references)]).score,
        exact_match=exact / count,
        distinct=len(set(predicted)) / count,
        mean_length=sum(len(title.split()) for title in predicted) / count,
        abstained=sum(not title for title in predicted) / count,
        issues=count,
    )
