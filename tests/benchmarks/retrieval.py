"""How well duplicates are found: the rank of the older issue of a pair among all older issues.

    PYTHONPATH=. TITLER_TEST_DATA=... python tests/benchmarks/retrieval.py [--model DIR ...]

1,360 pairs of rust-lang/rust in which a maintainer marked the newer issue as a duplicate; candidates are all
issues with a lower number, of any length. DIR is the folder of a saved model, as `titles.py --keep DIR`
writes it. `evaluate` takes any embedding function.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.evaluation.retrieval import RetrievalScores, score_ranks
from pipeline.networks.bag_of_units import unit
from tests.benchmarks.parts import test_data

if TYPE_CHECKING:
    from pipeline.predictor.predictor import Predictor

Embed = Callable[[pa.Table], Any]
"""Issues (n rows of number, title, body) -> (n, size), dense or sparse. A large dot product means similar."""
QUERIES_PER_BLOCK = 128


def read(folder: Path) -> tuple[pa.Table, list[tuple[int, int]]]:
    """Rust's issues by number (number, title, body; empty if missing), and the pairs (newer, older)."""
    issues = pq.read_table(folder / "issues" / "rust.parquet", columns=["number", "kind", "title", "body"])
    issues = issues.filter(pc.equal(issues["kind"], "issue")).drop_columns("kind").sort_by("number")
    issues = issues.set_column(2, "body", pc.fill_null(issues["body"], ""))
    lines = (folder / "duplicates" / "rust.tsv").read_text().splitlines()[1:]
    return issues, [(int(newer), int(older)) for newer, older in (line.split("\t") for line in lines)]


def evaluate(issues: pa.Table, pairs: Sequence[tuple[int, int]], embed: Embed) -> RetrievalScores:
    """The scores of an embedding of `issues`, which are in order of number.

    Raises ValueError for an embedding that is not finite, KeyError for a pair with an unknown issue.
    """
    row_of = {number: row for row, number in enumerate(issues["number"].to_pylist())}
    rows = [(row_of[newer], row_of[older]) for newer, older in pairs]
    return score_ranks(ranks(embed(issues), rows))


def ranks(vectors: Any, pairs: Sequence[tuple[int, int]]) -> npt.NDArray[np.int64]:
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


def main() -> None:
    """Prints one table."""
    from tests.benchmarks import tfidf

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, nargs="+", default=[], metavar="DIR")
    models = parser.parse_args().model
    issues, pairs = read(test_data())
    rows: dict[str, Embed] = {
        "TF-IDF, title and body": lambda issues: tfidf.embed(
            [f"{row['title']}\n{row['body']}" for row in issues.to_pylist()]
        ),
        "TF-IDF, body": lambda issues: tfidf.embed(issues["body"].to_pylist()),
        **{folder.name: by_model(folder) for folder in models},
    }
    print(f"{len(pairs):,} pairs among {len(issues):,} issues of rust-lang/rust")
    print(f"{'':24} {'R@1':>6} {'R@5':>6} {'R@10':>6} {'MRR':>6}")
    for name, embed in rows.items():
        scores = evaluate(issues, pairs, embed)
        print(
            f"{name:24} {scores.recall_at_1:6.3f} {scores.recall_at_5:6.3f} {scores.recall_at_10:6.3f} "
            f"{scores.mrr:6.3f}"
        )


if __name__ == "__main__":
    main()
