"""Predicted titles compared with the authors', on repositories and on later issues not used for training.

    export PYTHONPATH=. TITLER_TEST_DATA=...
    python tests/benchmarks/titles.py                                       all issues: hours on a CPU
    python tests/benchmarks/titles.py --train 8000 --scored 1000 --epochs 3
    python tests/benchmarks/titles.py --epochs 0 --model DIR                a saved model
    python tests/benchmarks/titles.py --on validation                       to make choices
    ... --semantic "$(tests/benchmarks/install_semantic.sh)"                with the column `meaning`
    ... --show 20 --seed 7                                                  and 20 issues side by side
    ... --json                                                              the same as one JSON value

`parts.py` splits the issues. Titles are lower-cased; ROUGE is F1 with stemming, BLEU the corpus's
(`pipeline.evaluation.title_scores`). The columns template, repeated and invented are shares of titles with a
fault that readers notice (`title_faults.py`); meaning is 100 times the mean cosine with the author's title
(`semantic.py`). Floors: the first 15 cleaned words of the body; the title of the training issue that is most
similar by TF-IDF. A network is trained on the same issues; its best epoch on validation counts.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.evaluation.title_confidence import confidence_bins, score_confidence
from pipeline.evaluation.title_scores import LEAD_WORDS, Scores, lead, rouge_l, score_titles
from pipeline.predictor.loading import load_faster
from pipeline.predictor.predictor import Prediction
from pipeline.text.engine import tokenizer
from pipeline.text.markup import LATEST_PREPARATION
from tests.benchmarks import parts
from tests.benchmarks.learning import Learning, learn
from tests.benchmarks.semantic import INSTALL, Encode, SentenceEncoder, Similarity
from tests.benchmarks.title_faults import Faults, faults

Titler = Callable[[Sequence[str]], list[str]]
"""From bodies to one title per body, empty if it abstains."""


class Predicts(Protocol):
    """A model that predicts titles."""

    def predict(self, bodies: Sequence[str | None]) -> list[Prediction]: ...


@dataclass(frozen=True)
class Row:
    """The figures of one titler on one part."""

    scores: Scores
    faults: Faults
    meaning: float | None
    """100 times the mean cosine with the author's title; None if it was not measured"""

    @property
    def as_json(self) -> dict[str, float | None]:
        """One flat object."""
        return {**asdict(self.scores), **asdict(self.faults), "meaning": self.meaning}


TESTS = ("test_repositories", "test_time")
ALL = 10**9
HEADS = ("R-1", "R-2", "R-L", "BLEU", "exact", "distinct", "abstained", "words")
FAULT_HEADS = ("template", "repeated", "invented")
AUTHORS = "the authors"


def first_words(bodies: Sequence[str]) -> list[str]:
    """The floor without training: the first words of the body."""
    return [lead(words) for words in tokenizer("titler")(bodies)]


def nearest_title(train: pa.Table) -> Titler:
    """The floor that looks up the title of the most similar body in `train`."""
    from tests.benchmarks.tfidf import NearestTitle

    return NearestTitle(train["body"].to_pylist(), pc.utf8_lower(train["title"]).to_pylist())


def rows(
    titles: Mapping[str, Sequence[str]], issues: pa.Table, encode: Encode | None = None
) -> dict[str, Row]:
    """The figures of each titler's titles for `issues` (title, body), and of the authors' own titles.

    `encode` measures the meaning; without it, it is not measured.
    """
    bodies, authors = issues["body"].to_pylist(), issues["title"].to_pylist()
    references = pc.utf8_lower(issues["title"]).to_pylist()
    similarity = Similarity(encode, references) if encode else None
    return {
        name: Row(
            score_titles(given, references), faults(given, bodies), similarity(given) if similarity else None
        )
        for name, given in (*titles.items(), (AUTHORS, authors))
    }


def table(figures_by_titler: Mapping[str, Row]) -> str:
    """The figures, one row per titler; shares in %."""
    width = max(map(len, figures_by_titler))
    has_meaning = all(row.meaning is not None for row in figures_by_titler.values())
    heads = (*HEADS, *FAULT_HEADS, *(["meaning"] if has_meaning else []))
    lines = [" ".join([f"{'':{width}}", *(f"{head:>9}" for head in heads)])]
    for name, row in figures_by_titler.items():
        scores = row.scores
        shares = (100 * share for share in (scores.exact_match, scores.distinct, scores.abstained))
        figures = [scores.rouge1, scores.rouge2, scores.rougeL, scores.bleu, *shares, scores.mean_length]
        figures += [100 * share for share in asdict(row.faults).values()]
        figures += [row.meaning] if row.meaning is not None else []
        lines.append(" ".join([f"{name:{width}}", *(f"{figure:9.2f}" for figure in figures)]))
    return "\n".join(lines)


def confidence(predictions: Sequence[Prediction], references: Sequence[str]) -> dict[str, Any]:
    """How well a model's confidence tells which of its titles are good; empty if it withheld all titles."""
    shown = [pair for pair in zip(predictions, references, strict=True) if pair[0].title]
    if not shown:
        return {}
    confidences = np.array([prediction.confidence for prediction, _ in shown])
    rouge = rouge_l([prediction.title for prediction, _ in shown], [reference for _, reference in shown])
    bins = [asdict(row) for row in confidence_bins(confidences, rouge)]
    return {**asdict(score_confidence(confidences, rouge)), "bins": bins}


def confidence_lines(name: str, figures: Mapping[str, Any]) -> list[str]:
    """What `confidence` returned, as lines: one for all titles, then one per bin."""
    if not figures:
        return []
    return [
        f"{name}: ROUGE-L over 0.3: {figures['alike']:.0%} of its titles, "
        f"{figures['alike_least_sure']:.0%} of the fifth with the lowest confidence, "
        f"{figures['alike_most_sure']:.0%} of the fifth with the highest; AUC {figures['auc']:.2f}",
        *(
            f"  confidence {row['low']:.1f} to {row['high']:.1f}: {row['alike']:4.0%} of {row['titles']:,}"
            for row in figures["bins"]
        ),
    ]


def side_by_side(
    titles: Mapping[str, Sequence[str]], issues: pa.Table, count: int, seed: int
) -> list[dict[str, str]]:
    """`count` of `issues` (url, title), drawn with `seed`: the address, the author's title and those of each
    titler."""
    drawn = np.random.default_rng(seed).choice(len(issues), min(count, len(issues)), replace=False).tolist()
    urls, authors = issues["url"].to_pylist(), issues["title"].to_pylist()
    return [
        {
            "url": urls[row] or "",
            AUTHORS: authors[row],
            **{name: given[row] for name, given in titles.items()},
        }
        for row in drawn
    ]


def listing(shown: Sequence[Mapping[str, str]]) -> list[str]:
    """What `side_by_side` returned, as lines: a block per issue."""
    width = max((len(name) for issue in shown for name in issue if name != "url"), default=0)
    lines: list[str] = []
    for issue in shown:
        given = [(name, title) for name, title in issue.items() if name != "url"]
        lines += ["", issue["url"], *(f"  {name:{width}}  {title or '(withheld)'}" for name, title in given)]
    return lines


def repositories(issues: pa.Table) -> int:
    return int(pc.count_distinct(pc.utf8_lower(issues["repo"])).as_py())


def measure(
    issues: pa.Table,
    titlers: Mapping[str, Titler],
    models: Mapping[str, Predicts],
    encode: Encode | None = None,
    show: int = 0,
    seed: int = 0,
) -> dict[str, Any]:
    """Everything that is printed about a part: its table, figures of the confidence, titles to show."""
    bodies, references = issues["body"].to_pylist(), pc.utf8_lower(issues["title"]).to_pylist()
    predictions = {name: model.predict(bodies) for name, model in models.items()}
    by_model = {name: [row.title for row in given] for name, given in predictions.items()}
    return {
        "issues": len(issues),
        "repositories": repositories(issues),
        "rows": rows({name: titler(bodies) for name, titler in titlers.items()} | by_model, issues, encode),
        "confidence": {name: confidence(given, references) for name, given in predictions.items()},
        "shown": side_by_side(by_model, issues, show, seed),
    }


def print_report(report: Mapping[str, Any], heading: str, seed: int) -> None:
    """Prints what `measure` returned."""
    print(f"\n{heading}")
    print(table(report["rows"]))
    for name, figures in report["confidence"].items():
        print("\n".join(confidence_lines(name, figures)))
    if report["shown"]:
        print(f"\n{len(report['shown'])} of these issues, drawn at random with seed {seed}:")
        print("\n".join(listing(report["shown"])))
    sys.stdout.flush()


def parse_arguments() -> argparse.Namespace:
    """The options of the command line."""
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
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="DIR",
        help="save the trained model in DIR; if the training is interrupted, the same command resumes it",
    )
    parser.add_argument(
        "--model", type=Path, nargs="+", default=[], metavar="DIR", help="folders of saved models"
    )
    parser.add_argument(
        "--semantic",
        type=Path,
        metavar="DIR",
        help=f"measure meaning with the encoder that {INSTALL} installs",
    )
    parser.add_argument("--show", type=int, default=0, metavar="N", help="also print the titles of N issues")
    parser.add_argument("--seed", type=int, default=0, help="of the draw of the issues to show")
    parser.add_argument("--json", action="store_true", help="print one JSON value")
    return parser.parse_args()


def main() -> None:
    """Prints one table per part."""
    arguments = parse_arguments()
    progress = sys.stderr if arguments.json else sys.stdout
    encode = SentenceEncoder.load(arguments.semantic) if arguments.semantic else None
    if encode is None:
        print(f"meaning is not measured: {INSTALL} installs the encoder for --semantic", file=sys.stderr)

    all_parts = parts.make(parts.read(parts.test_data()))
    train = parts.sample(all_parts.train, arguments.train)
    print(f"Floors use {len(train):,} of {len(all_parts.train):,} issues", file=progress, flush=True)
    titlers: dict[str, Titler] = {
        f"first {LEAD_WORDS} words": first_words,
        "nearest by TF-IDF": nearest_title(train),
    }
    models: dict[str, Predicts] = {}
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
        learned = learn(
            train,
            parts.sample(all_parts.validation, arguments.validate),
            how,
            arguments.variant,
            lambda figures: print(figures, file=progress, flush=True),
            arguments.keep / "checkpoint" if arguments.keep else None,
        )
        models[arguments.variant] = learned
        if arguments.keep:
            learned.save(arguments.keep)
            shutil.rmtree(arguments.keep / "checkpoint")
    models |= {folder.name: load_faster(folder) for folder in arguments.model}
    reports = []
    for name in TESTS if arguments.on == "tests" else ("validation",):
        part = getattr(all_parts, name)
        issues = parts.sample(part, arguments.scored)
        report = measure(issues, titlers, models, encode, arguments.show, arguments.seed)
        if not arguments.json:
            sizes = f"{len(issues):,} of {len(part):,} issues, {report['repositories']:,} repositories"
            print_report(report, f"{name}: {sizes}", arguments.seed)
        figures = {row: figures.as_json for row, figures in report["rows"].items()}
        reports.append({"part": name, **report, "rows": figures})
    if arguments.json:
        print(json.dumps(reports, indent=1))


if __name__ == "__main__":
    main()
