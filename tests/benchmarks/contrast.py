"""How well duplicates are found after contrastive pre-training alone, by the text that it reads.

    PYTHONPATH=. TITLER_TEST_DATA=... python tests/benchmarks/contrast.py --train 30000 --epochs 3

One row per preparation of bodies and kind of titles: the authors', as the pre-training uses them, or what a
title network learns to write (`pipeline.text.title_targets`). Duplicates as in `retrieval.py`.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from pipeline.dataset.repository_runs import RUN_LENGTH
from pipeline.networks.shape import Shape
from pipeline.predictor.predictor import Predictor
from pipeline.text.markup import LATEST_PREPARATION, ORIGINAL_PREPARATION
from tests.benchmarks import learning, parts, retrieval
from tests.benchmarks.duplicates import Duplicates


def main() -> None:
    """Prints one row per training."""
    from pipeline.networks.in_keras import build
    from pipeline.networks.in_keras.contrastive_training import ContrastiveTraining

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--train", type=int, default=30_000, help="number of training issues")
    parser.add_argument("--epochs", type=int, default=3)
    arguments = parser.parse_args()
    train = parts.sample(parts.make(parts.read(parts.test_data())).train, arguments.train)
    folder = parts.test_data()
    data = Duplicates.read(folder / "issues" / "rust.parquet", folder / "duplicates" / "rust.tsv")
    print(f"{'preparation':<12}{'titles':<10}{'pairs':>8}{'R@1':>7}{'R@5':>7}{'R@10':>7}{'MRR':>7}")
    for preparation in range(ORIGINAL_PREPARATION, LATEST_PREPARATION + 1):
        for titles in ("authors'", "targets"):
            settings = replace(
                learning.Learning("copy"), preparation=preparation, authors_titles=titles == "authors'"
            )
            vocabularies, pairs = learning.training_pairs(train, settings)
            body, title = vocabularies.body, vocabularies.title
            network = build("copy", Shape(body.size, title.size, body.length, title.length), settings.seed)
            training, batches = ContrastiveTraining(network.model), replace(pairs, run_length=RUN_LENGTH)
            training.begin(batches(0))
            for epoch in range(1, arguments.epochs + 1):
                training.epoch(epoch, batches(epoch))
            training.finish()
            predictor = Predictor("copy", network, vocabularies, "titler", abstain_below=0.0, batch_size=512)
            scores = retrieval.evaluate(data, retrieval.by_predictor(predictor))
            figures = (scores.recall_at_1, scores.recall_at_5, scores.recall_at_10, scores.mrr)
            print(
                f"{preparation:<12}{titles:<10}{len(pairs.bodies):>8,}"
                + "".join(f"{figure:>7.3f}" for figure in figures),
                flush=True,
            )


if __name__ == "__main__":
    main()
