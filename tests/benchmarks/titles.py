"""Titles against those their authors wrote, on repositories that nobody learned from and on issues later than all that was learned from.

    PYTHONPATH=. TITLER_TEST_DATA=... python tests/benchmarks/titles.py                         all issues: hours on a CPU
    PYTHONPATH=. TITLER_TEST_DATA=... python tests/benchmarks/titles.py --train 8000 --scored 1000 --epochs 3
    PYTHONPATH=. TITLER_TEST_DATA=... python tests/benchmarks/titles.py --epochs 0 --model DIR  a saved model beside the floors
    PYTHONPATH=. TITLER_TEST_DATA=... python tests/benchmarks/titles.py --on validation         what choices are made on

`parts.py` says which issues those are. Titles are lower-cased; ROUGE is F1 with stemming, BLEU the corpus's (`pipeline.evaluation.title_scores`).
Floors: the first 15 cleaned words of the body; the title of the training issue that is nearest by TF-IDF. Beside them a network that
learns from the same training issues, with the epoch that was best on validation.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.evaluation.calibration import bins, confidence
from pipeline.evaluation.title_scores import LEAD_WORDS, Scores, lead, rouge_l, score
from pipeline.predictor.predictor import Prediction, Predictor
from pipeline.text.engine import tokenizer
from tests.benchmarks import parts
from tests.benchmarks.learning import Learning, learn

Titler = Callable[[Sequence[str]], list[str]]
"""Bodies in; a title a body out, empty where none is given."""


class Predicts(Protocol):
    """A model, as far as it says titles."""

    def predict(self, bodies: Sequence[str | None]) -> list[Prediction]: ...


TESTS = ("test_repositories", "test_time")
ALL = 10**9
HEADS = ("R-1", "R-2", "R-L", "BLEU", "exact", "distinct", "abstained", "words")


def first_words(bodies: Sequence[str]) -> list[str]:
    """The floor that needs nothing."""
    return [lead(words) for words in tokenizer("titler")(bodies)]


def nearest_title(train: pa.Table) -> Titler:
    """The floor that remembers, from `train`'s bodies and titles."""
    from tests.benchmarks.tfidf import NearestTitle

    return NearestTitle(train["body"].to_pylist(), pc.utf8_lower(train["title"]).to_pylist())


def scores(titlers: Mapping[str, Titler], issues: pa.Table) -> dict[str, Scores]:
    """Each titler's figures on `issues` (title, body); see `pipeline.evaluation.title_scores.score`."""
    references = pc.utf8_lower(issues["title"]).to_pylist()
    bodies = issues["body"].to_pylist()
    return {name: score(titler(bodies), references) for name, titler in titlers.items()}


def table(found: Mapping[str, Scores]) -> str:
    """The figures, a row a titler; shares in %."""
    width = max(map(len, found))
    lines = [" ".join([f"{'':{width}}", *(f"{head:>9}" for head in HEADS)])]
    for name, row in found.items():
        shares = (100 * share for share in (row.exact_match, row.distinct, row.abstained))
        figures = (row.rouge1, row.rouge2, row.rougeL, row.bleu, *shares, row.mean_length)
        lines.append(" ".join([f"{name:{width}}", *(f"{figure:9.2f}" for figure in figures)]))
    return "\n".join(lines)


def by_models(models: Mapping[str, Predicts], issues: pa.Table) -> tuple[dict[str, Scores], list[str]]:
    """Each model's figures on `issues`, and what its confidence is worth there: a line of all its titles, then a line a bin."""
    references = pc.utf8_lower(issues["title"]).to_pylist()
    found: dict[str, Scores] = {}
    lines: list[str] = []
    for name, predictor in models.items():
        predictions = predictor.predict(issues["body"].to_pylist())
        found[name] = score([prediction.title for prediction in predictions], references)
        told = [
            (said, reference) for said, reference in zip(predictions, references, strict=True) if said.title
        ]
        if told:
            sure = np.array([said.confidence for said, _ in told])
            rouge = rouge_l([said.title for said, _ in told], [reference for _, reference in told])
            worth = confidence(sure, rouge)
            lines.append(
                f"{name}: ROUGE-L over 0.3 has {worth.alike:.0%} of its titles, {worth.alike_least_sure:.0%} of the least sure fifth, "
                f"{worth.alike_most_sure:.0%} of the surest; AUC {worth.auc:.2f}"
            )
            lines += [
                f"  confidence {one.low:.1f} to {one.high:.1f}: {one.alike:4.0%} of {one.titles:,}"
                for one in bins(sure, rouge)
            ]
    return found, lines


def repositories(issues: pa.Table) -> int:
    return int(pc.count_distinct(pc.utf8_lower(issues["repo"])).as_py())


def main() -> None:
    """Prints a table a part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--train", type=int, default=ALL, help="issues to learn from, drawn from all")
    parser.add_argument("--validate", type=int, default=2000, help="issues that choose the epoch")
    parser.add_argument("--scored", type=int, default=ALL, help="issues scored a table, drawn from all")
    parser.add_argument(
        "--on",
        choices=("tests", "validation"),
        default="tests",
        help="choices read validation, the table reads the tests",
    )
    parser.add_argument("--epochs", type=int, default=4, help="of a network that learns now; 0: none does")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument(
        "--pieces", type=int, default=1, help="epochs that a pass over the issues is parted into"
    )
    parser.add_argument("--variant", default="gru", help="the network that learns: gru is the article's")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="save it there")
    parser.add_argument(
        "--model", type=Path, nargs="+", default=[], metavar="DIR", help="models that `Predictor.save` wrote"
    )
    chosen = parser.parse_args()

    all_parts = parts.make(parts.read(parts.test_data()))
    train = parts.sample(all_parts.train, chosen.train)
    print(f"Floors learn from {len(train):,} of {len(all_parts.train):,} issues", flush=True)
    titlers: dict[str, Titler] = {
        f"first {LEAD_WORDS} words": first_words,
        "nearest by TF-IDF": nearest_title(train),
    }
    models: dict[str, Predictor] = {}
    if chosen.epochs:
        how = Learning(chosen.variant, chosen.epochs, chosen.batch, pieces=chosen.pieces)
        learned = learn(train, parts.sample(all_parts.validation, chosen.validate), how, chosen.variant)
        models[chosen.variant] = learned
        if chosen.keep:
            learned.save(chosen.keep)
    models |= {folder.name: Predictor.load(folder) for folder in chosen.model}
    for name in TESTS if chosen.on == "tests" else ("validation",):
        part = getattr(all_parts, name)
        issues = parts.sample(part, chosen.scored)
        print(f"\n{name}: {len(issues):,} of {len(part):,} issues, {repositories(issues):,} repositories")
        found, lines = by_models(models, issues)
        print("\n".join([table(scores(titlers, issues) | found), *lines]), flush=True)


if __name__ == "__main__":
    main()
