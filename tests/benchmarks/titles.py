"""Predicted titles compared with the authors', on repositories and on later issues not used for training.

    PYTHONPATH=. TITLER_TEST_DATA=... python tests/benchmarks/titles.py            all issues: hours on a CPU
    PYTHONPATH=. TITLER_TEST_DATA=... python tests/benchmarks/titles.py --train 8000 --scored 1000 --epochs 3
    PYTHONPATH=. TITLER_TEST_DATA=... python tests/benchmarks/titles.py --epochs 0 --model DIR a saved model
    PYTHONPATH=. TITLER_TEST_DATA=... python tests/benchmarks/titles.py --on validation        to make choices

`parts.py` splits the issues. Titles are lower-cased; ROUGE is F1 with stemming, BLEU the corpus's
(`pipeline.evaluation.title_scores`). Floors: the first 15 cleaned words of the body; the title of the
training issue that is most similar by TF-IDF. A network is trained on the same issues; its best epoch on
validation counts.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.evaluation.calibration import confidence_bins, score_confidence
from pipeline.evaluation.title_scores import LEAD_WORDS, Scores, lead, rouge_l, score_titles
from pipeline.predictor.predictor import Prediction, Predictor
from pipeline.text.engine import tokenizer
from pipeline.text.markup import LATEST_PREPARATION
from tests.benchmarks import parts
from tests.benchmarks.learning import Learning, learn

Titler = Callable[[Sequence[str]], list[str]]
"""From bodies to one title per body, empty if it abstains."""


class Predicts(Protocol):
    """A model that predicts titles."""

    def predict(self, bodies: Sequence[str | None]) -> list[Prediction]: ...


TESTS = ("test_repositories", "test_time")
ALL = 10**9
HEADS = ("R-1", "R-2", "R-L", "BLEU", "exact", "distinct", "abstained", "words")


def first_words(bodies: Sequence[str]) -> list[str]:
    """The floor without training: the first words of the body."""
    return [lead(words) for words in tokenizer("titler")(bodies)]


def nearest_title(train: pa.Table) -> Titler:
    """The floor that looks up the title of the most similar body in `train`."""
    from tests.benchmarks.tfidf import NearestTitle

    return NearestTitle(train["body"].to_pylist(), pc.utf8_lower(train["title"]).to_pylist())


def scores(titlers: Mapping[str, Titler], issues: pa.Table) -> dict[str, Scores]:
    """The scores of each titler on `issues` (title, body); see
    `pipeline.evaluation.title_scores.score_titles`.
    """
    references = pc.utf8_lower(issues["title"]).to_pylist()
    bodies = issues["body"].to_pylist()
    return {name: score_titles(titler(bodies), references) for name, titler in titlers.items()}


def table(found: Mapping[str, Scores]) -> str:
    """The scores, one row per titler; shares in %."""
    width = max(map(len, found))
    lines = [" ".join([f"{'':{width}}", *(f"{head:>9}" for head in HEADS)])]
    for name, row in found.items():
        shares = (100 * share for share in (row.exact_match, row.distinct, row.abstained))
        figures = (row.rouge1, row.rouge2, row.rougeL, row.bleu, *shares, row.mean_length)
        lines.append(" ".join([f"{name:{width}}", *(f"{figure:9.2f}" for figure in figures)]))
    return "\n".join(lines)


def by_models(models: Mapping[str, Predicts], issues: pa.Table) -> tuple[dict[str, Scores], list[str]]:
    """The scores of each model on `issues`, and lines about its confidence: one for all titles, then one per
    bin.
    """
    references = pc.utf8_lower(issues["title"]).to_pylist()
    found: dict[str, Scores] = {}
    lines: list[str] = []
    for name, predictor in models.items():
        predictions = predictor.predict(issues["body"].to_pylist())
        found[name] = score_titles([prediction.title for prediction in predictions], references)
        shown = [pair for pair in zip(predictions, references, strict=True) if pair[0].title]
        if shown:
            confidences = np.array([prediction.confidence for prediction, _ in shown])
            rouge = rouge_l(
                [prediction.title for prediction, _ in shown], [reference for _, reference in shown]
            )
            scores = score_confidence(confidences, rouge)
            lines.append(
                f"{name}: ROUGE-L over 0.3: {scores.alike:.0%} of its titles, "
                f"{scores.alike_least_sure:.0%} of the fifth with the lowest confidence, "
                f"{scores.alike_most_sure:.0%} of the fifth with the highest; AUC {scores.auc:.2f}"
            )
            lines += [
                f"  confidence {row.low:.1f} to {row.high:.1f}: {row.alike:4.0%} of {row.titles:,}"
                for row in confidence_bins(confidences, rouge)
            ]
    return found, lines


def repositories(issues: pa.Table) -> int:
    return int(pc.count_distinct(pc.utf8_lower(issues["repo"])).as_py())


def main() -> None:
    """Prints one table per part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--train", type=int, default=ALL, help="number of training issues, a sample of all")
    parser.add_argument("--validate", type=int, default=2000, help="number of issues that choose the epoch")
    parser.add_argument("--scored", type=int, default=ALL, help="number of issues per table, a sample of all")
    parser.add_argument(
        "--on",
        choices=("tests", "validation"),
        default="tests",
        help="use validation for choices, the tests for the table",
    )
    parser.add_argument("--epochs", type=int, default=4, help="of the network to train; 0: train none")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument(
        "--pieces", type=int, default=1, help="number of epochs that one pass over the issues is split into"
    )
    parser.add_argument("--variant", default="gru", help="the network to train; gru is the article's")
    parser.add_argument("--contrast-epochs", type=int, default=Learning.contrast_epochs)
    parser.add_argument(
        "--preparation",
        type=int,
        default=LATEST_PREPARATION,
        help="of bodies, for subwords; 1: lines in order",
    )
    parser.add_argument(
        "--authors-titles", action="store_true", help="learn from all titles as their authors wrote them"
    )
    parser.add_argument("--keep", type=Path, metavar="DIR", help="save the trained model in DIR")
    parser.add_argument(
        "--model", type=Path, nargs="+", default=[], metavar="DIR", help="folders of saved models"
    )
    arguments = parser.parse_args()

    all_parts = parts.make(parts.read(parts.test_data()))
    train = parts.sample(all_parts.train, arguments.train)
    print(f"Floors use {len(train):,} of {len(all_parts.train):,} issues", flush=True)
    titlers: dict[str, Titler] = {
        f"first {LEAD_WORDS} words": first_words,
        "nearest by TF-IDF": nearest_title(train),
    }
    models: dict[str, Predictor] = {}
    if arguments.epochs:
        how = Learning(
            arguments.variant,
            arguments.epochs,
            arguments.batch,
            pieces=arguments.pieces,
            contrast_epochs=arguments.contrast_epochs,
            preparation=arguments.preparation,
            authors_titles=arguments.authors_titles,
        )
        learned = learn(train, parts.sample(all_parts.validation, arguments.validate), how, arguments.variant)
        models[arguments.variant] = learned
        if arguments.keep:
            learned.save(arguments.keep)
    models |= {folder.name: Predictor.load(folder) for folder in arguments.model}
    for name in TESTS if arguments.on == "tests" else ("validation",):
        part = getattr(all_parts, name)
        issues = parts.sample(part, arguments.scored)
        print(f"\n{name}: {len(issues):,} of {len(part):,} issues, {repositories(issues):,} repositories")
        found, lines = by_models(models, issues)
        print("\n".join([table(scores(titlers, issues) | found), *lines]), flush=True)


if __name__ == "__main__":
    main()
