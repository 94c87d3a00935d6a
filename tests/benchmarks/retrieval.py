"""How near duplicates lie: for an issue that a maintainer called a duplicate, the rank of the older one among all older issues.

    PYTHONPATH=. TITLER_TEST_DATA=... python tests/benchmarks/retrieval.py [--model DIR ...]

1,360 pairs of rust-lang/rust; candidates are all issues of a lower number, whatever their length. DIR is a folder that a model
was saved in: `titles.py --keep DIR` writes one. `evaluate` takes any function that embeds and needs NumPy and Arrow alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.evaluation.retrieval import Retrieval, retrieval
from pipeline.networks.bag_of_units import unit
from tests.benchmarks.parts import test_data

Embed = Callable[[pa.Table], Any]
"""Issues (n rows of number, title, body) -> (n, size), dense or SciPy's sparse. Issues are near where the dot product is large."""
QUERIES_TOGETHER = 128


def read(folder: Path) -> tuple[pa.Table, list[tuple[int, int]]]:
    """Rust's issues by number (number, title, body; a body that is not there is empty), and the pairs (newer, older)."""
    issues = pq.read_table(folder / "issues" / "rust.parquet", columns=["number", "kind", "title", "body"])
    issues = issues.filter(pc.equal(issues["kind"], "issue")).drop_columns("kind").sort_by("number")
    issues = issues.set_column(2, "body", pc.fill_null(issues["body"], ""))
    lines = (folder / "duplicates" / "rust.tsv").read_text().splitlines()[1:]
    return issues, [(int(newer), int(older)) for newer, older in (line.split("\t") for line in lines)]


def evaluate(issues: pa.Table, pairs: Sequence[tuple[int, int]], embed: Embed) -> Retrieval:
    """The figures of an embedding of `issues`, which come by number.

    Raises ValueError for an embedding with what is no number, KeyError for a pair whose issue is not there.
    """
    row_of = {number: row for row, number in enumerate(issues["number"].to_pylist())}
    rows = [(row_of[newer], row_of[older]) for newer, older in pairs]
    return retrieval(ranks(embed(issues), rows))


def ranks(vectors: Any, pairs: Sequence[tuple[int, int]]) -> npt.NDArray[np.int64]:
    """(len(pairs),): from 1, where `vectors[older]` stands among `vectors[:newer]`, nearest to `vectors[newer]` first.

    The last of equals, so that an embedding which is the same of everything gains nothing by it.
    """
    found = []
    for start in range(0, len(pairs), QUERIES_TOGETHER):
        some = pairs[start : start + QUERIES_TOGETHER]
        product = vectors[[newer for newer, _ in some]] @ vectors.T
        similarity = np.asarray(product.toarray() if hasattr(product, "toarray") else product)
        if not np.isfinite(similarity).all():
            raise ValueError("an embedding holds what is no number")
        found += [
            np.count_nonzero(row[:newer] >= row[older])
            for row, (newer, older) in zip(similarity, some, strict=True)
        ]
    return np.array(found, dtype=np.int64)


def by_model(folder: Path) -> Embed:
    """The embedding of a saved model: it reads bodies, and titles where its network does. Raises LakeError as `Predictor.load`."""
    from pipeline.predictor.predictor import Predictor

    predictor = Predictor.load(folder)

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
        found = evaluate(issues, pairs, embed)
        print(
            f"{name:24} {found.recall_at_1:6.3f} {found.recall_at_5:6.3f} {found.recall_at_10:6.3f} {found.mrr:6.3f}"
        )


if __name__ == "__main__":
    main()
