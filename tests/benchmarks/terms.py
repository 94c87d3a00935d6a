"""Processor time of the terms of issues, the largest part of building a segment, in two versions of the code.

    PYTHONPATH=. TITLER_TEST_DATA=FOLDER .venv/bin/python tests/benchmarks/terms.py --before CHECKOUT

CHECKOUT is a folder with another version of this repository. The two versions take turns after every 500
issues, so other programs on the machine slow both. The terms must be equal.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.benchmarks.night import texts

ROOT = Path(__file__).parents[2]
TURN = 500
"""Issues that a version handles before it is the other one's turn."""
VERSION = """
import hashlib, sys, time
import pyarrow.parquet as pq
from pipeline.text.issue_terms import issue_terms
issues = pq.read_table(sys.argv[1])
for line in sys.stdin:
    turn = issues.slice(int(line), int(sys.argv[2]))
    titles, bodies = turn["title"].to_pylist(), turn["body"].to_pylist()
    began = time.process_time()
    terms = issue_terms(titles, bodies)
    seconds = time.process_time() - began
    arrays = (terms.offsets, terms.terms, terms.counts, terms.kinds, terms.body_hashes, terms.automated)
    print(seconds, hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest(), flush=True)
"""
"""The program that each version runs: for each line that it reads, the terms of TURN issues."""


def ask(process: subprocess.Popen[str], first: int) -> tuple[float, str]:
    """Returns the processor seconds of a turn, and the digest of its terms."""
    assert process.stdin is not None
    assert process.stdout is not None
    print(first, file=process.stdin, flush=True)
    seconds, digest = process.stdout.readline().split()
    return float(seconds), digest


def main() -> None:
    """Prints one line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--before", type=Path, required=True, metavar="CHECKOUT")
    parser.add_argument("--issues", type=int, default=4000)
    chosen = parser.parse_args()
    rows = texts(chosen.issues)
    with tempfile.TemporaryDirectory(prefix="titler-") as folder:
        path = Path(folder, "issues.parquet")
        pq.write_table(pa.table({name: [row[name] for row in rows] for name in ("title", "body")}), path)
        versions = [
            subprocess.Popen(
                [sys.executable, "-B", "-c", VERSION, str(path), str(TURN)],
                cwd=checkout,
                env={"PYTHONPATH": str(checkout)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for checkout in (chosen.before.resolve(), ROOT)
        ]
        seconds = [0.0, 0.0]
        for first in range(0, len(rows), TURN):
            order = (0, 1) if first // TURN % 2 else (1, 0)
            turn = {version: ask(versions[version], first) for version in order}
            if turn[0][1] != turn[1][1]:
                sys.exit(f"The terms of the {TURN} issues from number {first} on are not equal.")
            for version in order:
                seconds[version] += turn[version][0]
        for process in versions:
            process.communicate()
    before, after = (1000 * each / len(rows) for each in seconds)
    figures = f"{before:.2f} before, {after:.2f} now; {before / after:.2f} times"
    print(f"{len(rows):,} issues, ms per issue: {figures}")


if __name__ == "__main__":
    main()
