"""How well duplicates are found: the rank of the older issue of a pair among all older issues of its
repository.

    PYTHONPATH=. python tests/benchmarks/retrieval.py --issues FILE --duplicates FILE --model DIR [--json]

FILE are issues (Parquet: repo, number, kind, title, body, created_at) and pairs that a maintainer called
duplicates (TSV: newer, older, or repo, newer, older). DIR is the folder of a saved model, as `titles.py
--keep DIR` writes it. Three orders are measured: TF-IDF, the vectors alone, and the order that a release
publishes. Precision and coverage are those of the suggestions among all issues of the file: a suggestion that
is not in the file of pairs counts as wrong.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.evaluation.retrieval import RetrievalScores, score_ranks
from pipeline.index.ordering import DEFAULT_MIN_PROBABILITY, DEFAULT_ORDERING, Ordering
from pipeline.networks.bag_of_units import unit
from tests.benchmarks.duplicates import CandidateSearch, Duplicates, Embed

if TYPE_CHECKING:
    from pipeline.predictor.predictor import Predictor

QUERIES_PER_BLOCK = 128
LISTED = 10
"""Number of issues in a list that a release publishes."""
BINS = 10


@dataclass(frozen=True)
class Suggestions:
    """Figures of the published order among all issues of a file."""

    scores: RetrievalScores
    precision: float
    """share of the suggested pairs that are marked, 0 to 1; 0 without a suggestion"""
    coverage: float
    """share of all issues that have a suggestion, 0 to 1"""
    marked_suggested: float
    """share of the marked pairs that are suggested, 0 to 1"""
    brier: float
    """mean squared difference between probability and mark, over the best candidate of each issue"""
    calibration_error: float
    """mean absolute difference between mean probability and share of marks, over ten bins of equal size
    of the best candidates"""
    milliseconds: float
    """CPU milliseconds per issue, without embedding and without the search by vector"""


def evaluate(data: Duplicates, embed: Embed) -> RetrievalScores:
    """The scores of an embedding.

    Raises ValueError for an embedding that is not finite.
    """
    vectors = embed(data.issues)
    found = [
        ranks(
            vectors[rows],
            [
                (newer - rows.start, older - rows.start)
                for newer, older in data.pairs.tolist()
                if rows.start <= newer < rows.stop
            ],
        )
        for rows in data.repositories
    ]
    return score_ranks(np.concatenate(found))


def ranks(vectors: Any, pairs: list[tuple[int, int]]) -> npt.NDArray[np.int64]:
    """(len(pairs),): the rank, from 1, of `vectors[older]` among `vectors[:newer]` by similarity to
    `vectors[newer]`.

    Ties take the worst rank, so that an embedding that is the same for every text gains nothing by it.
    """
    ranked: list[int] = []
    for start in range(0, len(pairs), QUERIES_PER_BLOCK):
        block = pairs[start : start + QUERIES_PER_BLOCK]
        product = vectors[[newer for newer, _ in block]] @ vectors.T
        similarity = np.asarray(product.toarray() if hasattr(product, "toarray") else product)
        if not np.isfinite(similarity).all():
            raise ValueError("an embedding has values that are not finite numbers")
        ranked += [
            int(np.count_nonzero(row[:newer] >= row[older]))
            for row, (newer, older) in zip(similarity, block, strict=True)
        ]
    return np.array(ranked, dtype=np.int64)


def published(
    data: Duplicates,
    vectors: npt.NDArray[np.floating],
    ordering: Ordering = DEFAULT_ORDERING,
    min_probability: float = DEFAULT_MIN_PROBABILITY,
) -> Suggestions:
    """The figures of the order that a release publishes.

    An older issue that is not among the candidates has the worst rank. A release suggests what is among the
    first LISTED and has at least `min_probability`.
    """
    search = CandidateSearch(data, vectors)
    rank_of: list[int] = []
    best: list[tuple[float, bool]] = []
    suggested = right = issues_with_suggestion = 0
    for candidates in search:
        probabilities = ordering.probabilities(candidates.features)
        order = np.argsort(-probabilities, kind="stable")
        best.append((float(probabilities[order[0]]), bool(candidates.marked[order[0]])))
        is_suggested = probabilities[order[:LISTED]] >= min_probability
        suggested += int(is_suggested.sum())
        right += int(candidates.marked[order[:LISTED]][is_suggested].sum())
        issues_with_suggestion += bool(is_suggested.any())
        marked = probabilities[candidates.marked]
        rank_of += [int(np.count_nonzero(probabilities >= each)) for each in marked]
        older_issues = candidates.row - next(r.start for r in data.repositories if candidates.row < r.stop)
        rank_of += [older_issues] * (len(data.older_of.get(candidates.row, ())) - len(marked))
    brier, calibration_error = calibration(*(np.array(values, float) for values in zip(*best, strict=True)))
    return Suggestions(
        scores=score_ranks(np.array(rank_of, np.int64)),
        precision=right / max(suggested, 1),
        coverage=issues_with_suggestion / len(data.issues),
        marked_suggested=right / max(len(data.pairs), 1),
        brier=brier,
        calibration_error=calibration_error,
        milliseconds=1000 * search.seconds / len(data.issues),
    )


def calibration(
    probabilities: npt.NDArray[np.float64], marks: npt.NDArray[np.float64]
) -> tuple[float, float]:
    """The Brier score (Brier 1950) and the expected calibration error over BINS bins of equal size
    (Naeini 2015)."""
    order = np.argsort(probabilities, kind="stable")
    bins = np.array_split(order, BINS)
    error = sum(
        len(each) * abs(float(probabilities[each].mean() - marks[each].mean())) for each in bins if len(each)
    )
    return float(np.mean((probabilities - marks) ** 2)), error / len(order)


def by_model(folder: Path) -> Embed:
    """The embedding of a saved model, of bodies and, if the network reads them, titles.

    Raises LakeError like `Predictor.load`.
    """
    from pipeline.predictor.predictor import Predictor

    return by_predictor(Predictor.load(folder))


def by_predictor(predictor: Predictor) -> Embed:
    """The embedding of a model, of bodies and, if the network reads them, titles."""

    def embed(issues: pa.Table) -> npt.NDArray[np.floating]:
        bodies, titles = (issues[name].to_pylist() for name in ("body", "title"))
        return unit(predictor.embed_vectors(predictor.vectors(bodies), predictor.title_ids(titles)))

    return embed


def by_tfidf(issues: pa.Table) -> Any:
    """The TF-IDF of title and body."""
    from tests.benchmarks import tfidf

    return tfidf.embed([f"{row['title']}\n{row['body']}" for row in issues.to_pylist()])


def measure(data: Duplicates, embed: Embed) -> dict[str, Any]:
    """All figures, as `--json` prints them."""
    vectors = embed(data.issues)
    figures = asdict(published(data, vectors))
    return {
        "published": figures.pop("scores"),
        "vectors": asdict(evaluate(data, lambda _: vectors)),
        "tfidf": asdict(evaluate(data, by_tfidf)),
        **figures,
        "pairs": len(data.pairs),
        "pairs_left_out": data.left_out,
    }


def report(figures: dict[str, Any]) -> str:
    """The figures as a table."""
    lines = [
        f"{figures['pairs']:,} pairs, {figures['pairs_left_out']:,} left out (repeated, or issue missing)",
        f"{'':16} {'R@1':>6} {'R@5':>6} {'R@10':>6} {'MRR':>6}",
    ]
    for name, label in (("tfidf", "TF-IDF"), ("vectors", "vectors alone"), ("published", "published order")):
        values = " ".join(f"{value:6.3f}" for value in figures[name].values())
        lines.append(f"{label:16} {values}")
    lines.append(
        f"suggestions: precision {figures['precision']:.3f}, for {figures['coverage']:.2%} of all issues, "
        f"{figures['marked_suggested']:.2%} of the marked pairs"
    )
    lines.append(
        f"Brier score {figures['brier']:.4f}, calibration error {figures['calibration_error']:.4f}, "
        f"{figures['milliseconds']:.2f} ms of CPU per issue"
    )
    return "\n".join(lines)


def main() -> None:
    """Prints one table, or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--issues", type=Path, required=True, metavar="FILE")
    parser.add_argument("--duplicates", type=Path, required=True, metavar="FILE")
    parser.add_argument("--model", type=Path, required=True, metavar="DIR")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    figures = measure(Duplicates.read(arguments.issues, arguments.duplicates), by_model(arguments.model))
    print(json.dumps(figures) if arguments.json else report(figures))


if __name__ == "__main__":
    main()
