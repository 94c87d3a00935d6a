"""Processor seconds per 1,000 titles of `copy`, in Keras and in NumPy, and ROUGE-L of the titles.

    PYTHONPATH=. .venv/bin/python tests/benchmarks/processor_time.py                  fresh weights
    PYTHONPATH=. .venv/bin/python tests/benchmarks/processor_time.py --model DIR --bodies FILE
    PYTHONPATH=. TITLER_TEST_DATA=... .venv/bin/python tests/benchmarks/processor_time.py --model DIR
    PYTHONPATH=. TITLER_TEST_DATA=... .venv/bin/python tests/benchmarks/processor_time.py --model DIR \\
        --widths 4 1 --greedy-first 0.5 0.7

The issues are of the validation part of `parts.py`, or the first ones of a Parquet file with the column
`body`. Without a model, weights are fresh and bodies generated, as in `decoding.py`: then no title ends
before the maximum length, and there is nothing to score.

A row is an implementation and a beam width. A model with a shortlist is also timed without it. With
`--greedy-first` further rows decode all issues greedily, and again with the first beam width those whose
confidence is below the threshold. Processor time is user and system time of all threads, without loading,
without compiling and without the preparation of texts. All rows take turns, so that other load on the machine
affects all of them; the mean of the rounds counts.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.evaluation.title_scores import score_titles
from pipeline.networks.in_keras import build, saving
from pipeline.networks.in_numpy.network import LightNetwork
from pipeline.networks.in_numpy.weights_file import read_weights
from pipeline.networks.shape import WEIGHTS_FILE, Description, Ids
from pipeline.text.vocabulary import Vocabularies
from tests.benchmarks import parts
from tests.benchmarks.decoding import END, SHAPES, START, bodies

Titles = tuple[Ids, np.ndarray[Any, Any]]
"""ids (n, T) and mean log probabilities (n,)"""


def decoder(network: Any, width: int) -> Callable[[Ids], Titles]:
    """Decodes with one beam width."""

    def decode(ids: Ids) -> Titles:
        decoded = network.decode(ids, START, END, beam_width=width)
        return decoded.ids, decoded.log_probability

    return decode


def greedy_first(network: Any, width: int, threshold: float) -> Callable[[Ids], Titles]:
    """Decodes greedily, and again with a beam width what has a confidence below the threshold."""

    def decode(ids: Ids) -> Titles:
        titles, logs = decoder(network, 1)(ids)
        unsure = np.exp(logs) < threshold
        titles[unsure], logs[unsure] = decoder(network, width)(ids[unsure])
        return titles, logs

    return decode


def issues_to_title(arguments: argparse.Namespace, folder: Path) -> tuple[Ids, list[str]]:
    """The ids of the bodies, and the authors' titles; none if only bodies are given or generated."""
    if arguments.model is None:
        return bodies("copy", arguments.issues), []
    vocabulary = Vocabularies.load(folder).body
    if arguments.bodies is not None:
        texts = pq.read_table(arguments.bodies, columns=["body"])["body"].to_pylist()[: arguments.issues]
        return vocabulary.ids([text or "" for text in texts]), []
    issues = parts.sample(parts.make(parts.read(parts.test_data())).validation, arguments.issues)
    return vocabulary.ids(issues["body"].to_pylist()), pc.utf8_lower(issues["title"]).to_pylist()


def main() -> None:
    """Prints one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, metavar="DIR", help="folder of a saved model of `copy`")
    parser.add_argument("--bodies", type=Path, metavar="FILE", help="Parquet file with the column `body`")
    parser.add_argument("--issues", type=int, default=1000)
    parser.add_argument("--widths", type=int, nargs="+", default=[4], help="beam widths")
    parser.add_argument("--greedy-first", type=float, nargs="*", default=[], metavar="CONFIDENCE")
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="titler-") as temporary:
        folder = arguments.model or Path(temporary)
        if arguments.model is None:
            saving.save(build("copy", SHAPES["copy"], seed=0), folder)
        networks = {"Keras": saving.load(folder), "NumPy": LightNetwork.load(folder)}
        description = Description.read(folder)
        if description.shortlist is not None:
            whole = replace(description, shortlist=None)
            networks["NumPy, no shortlist"] = LightNetwork(whole, read_weights(folder / WEIGHTS_FILE))
        ids, references = issues_to_title(arguments, folder)
    rows = {
        f"{name}, beam width {width}": decoder(network, width)
        for width in arguments.widths
        for name, network in networks.items()
    }
    width = arguments.widths[0]
    for threshold in arguments.greedy_first:
        rows[f"NumPy, greedy, {width} below {threshold}"] = greedy_first(networks["NumPy"], width, threshold)
    titles = {name: decode(ids)[0] for name, decode in rows.items()}  # compiles
    seconds = {name: (0.0, 0.0) for name in rows}
    for _ in range(arguments.rounds):
        for name, decode in rows.items():
            processor, wall = time.process_time(), time.perf_counter()
            decode(ids)
            taken = (time.process_time() - processor, time.perf_counter() - wall)
            seconds[name] = (seconds[name][0] + taken[0], seconds[name][1] + taken[1])
    print_table(arguments, folder, titles, seconds, references)


def print_table(
    arguments: argparse.Namespace,
    folder: Path,
    titles: dict[str, Ids],
    seconds: dict[str, tuple[float, float]],
    references: list[str],
) -> None:
    """Prints processor and elapsed seconds per 1,000 titles, and how good the titles are."""
    first = next(iter(titles))
    count = len(titles[first])
    print(f"{count:,} titles, {arguments.rounds} rounds")
    heads = f"{'processor s':>11} {'of first':>9} {'elapsed s':>9} {'same':>7} {'units':>6} {'ROUGE-L':>8}"
    print(f"{'':28} {heads}")
    for name, ids in titles.items():
        processor, wall = (1000 * second / count / arguments.rounds for second in seconds[name])
        same = (ids == titles[first]).all(axis=1).mean()
        units = ((ids != 0) & (ids != END)).sum(axis=1).mean()
        rouge = ""
        if references:
            vocabulary = Vocabularies.load(folder).title
            rouge = f"{score_titles([vocabulary.text_of(row) for row in ids], references).rougeL:8.2f}"
        ratio = seconds[name][0] / seconds[first][0]
        print(f"{name:28} {processor:11.2f} {ratio:9.0%} {wall:9.2f} {same:7.1%} {units:6.1f} {rouge:>8}")


if __name__ == "__main__":
    main()
