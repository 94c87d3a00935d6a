"""Prints the list of releases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.cli.console import count, print_json, say_wrapped, some_days, table_lines
from pipeline.progress import say
from pipeline.warehouse.price import format_bytes

INDENT = 4
COLUMNS = (
    ("release", "left"),
    ("issues", "right"),
    ("days", "right"),
    ("recall", "right"),
    ("duplicates", "right"),
    ("titles", "right"),
    ("size", "right"),
)
LEGEND = (
    "recall: recall@10 of the index. duplicates: share of the marked pairs whose older issue is listed. "
    "titles: ROUGE-L of the model's titles / of the body's first words. size: of all batches; releases share "
    "most of them."
)
STATUS = {
    "current": "current",
    "published": "not current",
    "rolled_back": "rolled back",
    "stopped": "not published",
    "unfinished": "not published",
    "damaged": "damaged",
}


def releases(rows: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    """Prints a table of the releases that `serving.releases.releases` returned. Each row is followed by lines
    about the state and the model of the release, and how it differs from the previous release."""
    if as_json:
        print_json(list(rows))
        return
    if not rows:
        say("there is no release yet. To make one: titler run --from 2015-01-01 --to 2015-01-01")
        return
    header, *lines = table_lines(COLUMNS, [_cells(row) for row in rows])
    say(header)
    for line, row in zip(lines, rows, strict=True):
        say(line)
        for sentence in _sentences(row):
            say_wrapped(sentence, INDENT)
    say_wrapped(LEGEND, 0)


def _cells(row: Mapping[str, Any]) -> list[str]:
    titles, duplicates = row["titles"] or {}, row["duplicates"]
    scores = [f"{titles[name]:.1f}" for name in ("rougeL", "floor_rougeL") if titles.get(name) is not None]
    return [
        row["id"],
        _number(row["issues"], ",d"),
        _number(row["days"], ",d"),
        _number(row["recall_at_10"], ".3f"),
        _number(duplicates and duplicates["recall_at_10"], ".2f"),
        "withheld" if titles.get("withheld") else "/".join(scores) or "-",
        "-" if row["bytes"] is None else format_bytes(row["bytes"]),
    ]


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _sentences(row: Mapping[str, Any]) -> Iterator[str]:
    """Yields the lines below a release's row: its state, model and changes, what is wrong with it, and the
    command to type next."""
    yield _state(row)
    if model := row["model"]:
        former = row["changes"] and row["changes"]["model"]
        suffix = f" (before: {former['name']}, version {former['version']})" if former else ""
        yield f"model {model['name']}, version {model['version']}{suffix}"
    if (row["titles"] or {}).get("withheld"):
        yield f"titles withheld: {row['titles']['withheld']}"
    if row["changes"]:
        yield _changes(row["changes"])
    if row["stopped"]:
        yield f"stopped at {_minute(row['stopped']['at'])}: {row['stopped']['reason']}"
    if row["next"]:
        yield f"next: {row['next']}"
    if row["problem"]:
        yield f"problem: {row['problem']}"


def _state(row: Mapping[str, Any]) -> str:
    status = STATUS[row["status"]] + (", current" if row["current"] and row["status"] == "damaged" else "")
    if row["published_at"]:
        return f"{status}, published {_minute(row['published_at'])} by {row['published_by']}"
    return f"{status}, planned {_minute(row['opened_at'])}" if row["opened_at"] else status


def _changes(changes: Mapping[str, Any]) -> str:
    parts = [
        f"{count(len(days), 'day')} {name} ({some_days(days)})"
        for name in ("added", "replaced", "removed")
        if (days := changes[f"days_{name}"])
    ]
    return f"since {changes['since']}: {', '.join(parts) or 'the same days'}"


def _minute(time: str) -> str:
    """Returns a time without its seconds. For example, turns `2015-01-04T03:12:00+00:00` into
    `2015-01-04 03:12 UTC`."""
    return f"{time[:16].replace('T', ' ')} UTC"
