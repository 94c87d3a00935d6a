"""Scores predicted titles by comparing them with the authors' titles."""

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
    """Returns the first LEAD_WORDS words of a body as a title: a baseline that needs no model.

    `words` are the cleaned words of the body.
    """
    return " ".join(words[:LEAD_WORDS])


@dataclass(frozen=True)
class Scores:
    """Scores of a list of predicted titles, each compared with the author's title (its reference).

    ROUGE is F1 with Porter stemming, averaged over the titles (Lin 2004, google-research's rouge-score). BLEU
    is computed over the whole list (Papineni 2002, sacreBLEU with its 13a tokenizer). Both are 0 to 100 and
    ignore case. An empty title means that the model abstained. Its ROUGE is 0. ROUGE reads only digits and
    the letters a to z. If the reference contains none of these characters, the title's ROUGE is 0, too.
    """

    rouge1: float
    rouge2: float
    rougeL: float  # noqa: N815  # the usual name of this score
    bleu: float
    exact_match: float
    """share of titles that equal the reference, ignoring case and white space at the ends, 0 to 1"""
    distinct: float
    """number of distinct titles / number of titles; near 0 if the model gives every issue the same title"""
    mean_length: float
    """mean number of words in a title"""
    abstained: float
    """share of titles that are empty because the model abstained, 0 to 1"""
    issues: int
    """number of titles scored"""


def rouge_l(predicted: Sequence[str], references: Sequence[str]) -> npt.NDArray[np.float64]:
    """Returns the ROUGE-L (0 to 100) of each predicted title against its reference, shape (n,).

    ROUGE-L is F1 over the longest common subsequence of words, with Porter stemming.
    """
    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    pairs = zip(predicted, references, strict=True)
    return np.array(
        [100 * scorer.score(reference, title)["rougeL"].fmeasure for title, reference in pairs],
        dtype=np.float64,
    )


def score_titles(predicted: Sequence[str], references: Sequence[str]) -> Scores:
    """Scores predicted titles. The title `predicted[i]` is compared with the author's title `references[i]`.

    An empty predicted title means that the model abstained. Raises UsageError if there are no titles, or if
    the two lists have different lengths.
    """
    if len(predicted) != len(references) or not predicted:
        raise UsageError(
            f"Found {len(predicted)} titles and {len(references)} references, but each title needs one "
            "reference, and there must be at least one title."
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
