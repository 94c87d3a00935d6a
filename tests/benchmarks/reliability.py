"""How true the probabilities of a model's titles are: fitted on validation issues, judged on both test parts.

    TITLER_TEST_DATA=FOLDER PYTHONPATH=. .venv/bin/python tests/benchmarks/reliability.py --model DIR

The probability is that of a title with a ROUGE-L over 0.3 (`pipeline.evaluation.title_calibration`). A
training fits it to held-out issues, as here. The table has a row per bin of the probability: the number of
titles, their mean probability and the share that is alike. A perfect model has the same figure twice. Below
it: the Brier score, beside that of a constant; the expected calibration error; and what the default of
`model.abstain_probability` shows and withholds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.evaluation.title_calibration import calibrate, has_latin_letters
from pipeline.evaluation.title_confidence import ROUGE_THRESHOLD, confidence_bins
from pipeline.evaluation.title_scores import rouge_l
from pipeline.predictor.loading import load_faster
from pipeline.predictor.predictor import Model
from pipeline.settings import Model as ModelSettings
from tests.benchmarks import parts

TESTS = ("test_repositories", "test_time")


def scored(model: Model, issues: pa.Table) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Confidence, ROUGE-L (0 to 100) and repository of each title whose author's title can be scored."""
    predictions = model.predict(issues["body"].to_pylist())
    authors = pc.utf8_lower(issues["title"]).to_pylist()
    rows = [
        (prediction, author, repo)
        for prediction, author, repo in zip(predictions, authors, issues["repo"].to_pylist(), strict=True)
        if prediction.title and has_latin_letters(author)
    ]
    confidences = np.array([prediction.confidence for prediction, *_ in rows])
    rouge = rouge_l([prediction.title for prediction, *_ in rows], [author for _, author, _ in rows])
    return confidences, np.asarray(rouge), [repo for *_, repo in rows]


def main() -> None:
    """Prints a table for each test part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="folder of a saved model")
    parser.add_argument("--fitted", type=int, default=4000, help="number of validation issues")
    parser.add_argument("--scored", type=int, default=10**9, help="number of issues of each test part")
    arguments = parser.parse_args()
    split = parts.make(parts.read(parts.test_data()))
    model = load_faster(arguments.model)
    calibration = calibrate(*scored(model, parts.sample(split.validation, arguments.fitted)))
    assert calibration is not None
    print(f"fitted on {calibration.titles:,} validation issues: {calibration.curve.method}")
    limit = ModelSettings().abstain_probability
    for name in TESTS:
        confidences, rouge, _ = scored(model, parts.sample(getattr(split, name), arguments.scored))
        probabilities, alike = calibration.curve(confidences), rouge > ROUGE_THRESHOLD
        bins = confidence_bins(probabilities, rouge)
        print(f"\n{name}\n{'probability':12} {'titles':>7} {'mean':>6} {'alike':>6}")
        for row in bins:
            print(f"{row.low:.1f} to {row.high:.1f}   {row.titles:7,} {row.confidence:6.2f} {row.alike:6.2f}")
        share, shown = alike.mean(), probabilities >= limit
        error = sum(row.titles * abs(row.alike - row.confidence) for row in bins) / len(alike)
        brier = np.mean((probabilities - alike) ** 2)
        print(f"Brier score {brier:.3f} (constant {share * (1 - share):.3f}), calibration error {error:.3f}")
        print(
            f"alike: {share:.0%} of all titles, {alike[shown].mean():.0%} of the {shown.mean():.0%} with a "
            f"probability of at least {limit}, {alike[~shown].mean():.0%} of the rest"
        )


if __name__ == "__main__":
    main()
