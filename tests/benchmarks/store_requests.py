"""Requests of a night to the bucket of the lake, by verb, for histories of different lengths.

    PYTHONPATH=. python tests/benchmarks/store_requests.py
    PYTHONPATH=. python tests/benchmarks/store_requests.py --days 365,3650
    PYTHONPATH=. python tests/benchmarks/store_requests.py --days 60 --paths collect

A night has one new day. `cold` is a machine whose local cache is empty, `idle` a run that finds nothing new.
A listing counts once per 1,000 names, as an object store bills it. The history is invented: one issue a day.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.support.long_history import Requests
from tests.test_store_requests import requests_of_nights


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", default="365,3650", help="lengths of the history in days")
    parser.add_argument("--paths", help="print the paths that a verb requests, or `all` verbs")
    arguments = parser.parse_args()
    columns = {}
    for days in map(int, arguments.days.split(",")):
        for cold in (True, False):
            with tempfile.TemporaryDirectory() as folder:
                nights = requests_of_nights(Path(folder), days, cold=cold)
            columns[f"{days:,} {'cold' if cold else 'night'}"] = nights["night"]
            if not cold:
                columns[f"{days:,} idle"] = nights["idle"]
    if arguments.paths:
        print_paths(columns, arguments.paths)
    else:
        print_table(columns)


def print_paths(columns: Mapping[str, Requests], verb: str) -> None:
    """Prints each request of a verb, or of `all` verbs, with its path."""
    for name, requests in columns.items():
        for requesting, kind, path in requests.paths:
            if verb in (requesting, "all"):
                print(f"{name:14} {requesting:10} {kind:7} {path}")


def print_table(columns: Mapping[str, Requests]) -> None:
    """Prints the number of requests by verb and by kind."""
    verbs = list(dict.fromkeys(verb for requests in columns.values() for verb in requests.of_verb))
    print(f"| verb | {' | '.join(columns)} |")
    print(f"|---|{'---:|' * len(columns)}")
    for verb in verbs:
        cells = [sum(requests.of_verb.get(verb, {}).values()) for requests in columns.values()]
        print(f"| {verb} | {' | '.join(map(str, cells))} |")
    for kind in ("GET", "PUT", "DELETE", "LIST"):
        cells = [sum(counts[kind] for counts in requests.of_verb.values()) for requests in columns.values()]
        print(f"| of all, {kind} | {' | '.join(map(str, cells))} |")
    print(f"| all | {' | '.join(str(requests.total) for requests in columns.values())} |")


if __name__ == "__main__":
    main()
