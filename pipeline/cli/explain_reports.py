"""Prints the result of `titler explain` as sections with short lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.cli.console import count, print_json, print_table, say_wrapped
from pipeline.printed_text import one_line
from pipeline.progress import say

INDENT = 4
TEXT_CHARACTERS = 300
"""Largest number of characters of a text that are printed."""
CANDIDATES_LISTED = 5
SMALLEST_CONTRIBUTION = 0.005
"""Parts of the log odds that are smaller are not printed: they would be shown as 0.00."""
COPIED = 0.5
"""A unit counts as copied if this share of its probability is that of being copied."""
NO_PARTS = (
    "cannot be computed: the index no longer compares the two issues, or the ordering is not in the lake"
)
BATCH_COLUMNS = (("table", "left"), ("batch", "left"), ("rows", "right"), ("made", "left"))


def explanation(value: Mapping[str, Any], as_json: bool) -> None:
    """Prints the return value of `serving.explain.explain`."""
    if as_json:
        print_json(dict(value))
        return
    issue = value["issue"]
    author = issue["author"] or "an unknown account"
    opened = f"id {issue['issue_id']}, opened {_time(issue['created_at'])} by {author}"
    _section(issue["issue_url"], [issue["title"], opened])
    _section("release", _release_lines(value))
    _section("model", _model_lines(value["model"]))
    _section("source", _source_lines(value))
    say("batches")
    rows = [
        (batch["table"], batch["batch_id"], f"{batch['rows']:,}", _time(batch["created_at"]))
        for batch in value["batches"]
    ]
    print_table(BATCH_COLUMNS, rows, INDENT)
    _title_sections(value["title"])
    _neighbours_section(value["neighbours"])


def _section(heading: str, lines: Iterable[str]) -> None:
    say(one_line(heading))
    for line in lines:
        say_wrapped(line, INDENT)


def _time(text: str) -> str:
    return f"{text[:16].replace('T', ' ')} UTC"


def _release_lines(value: Mapping[str, Any]) -> Iterable[str]:
    yield _name_of_release(value["release"])
    other_releases = [each for each in value["releases"] if each["id"] != value["release"]["id"]]
    names = ", ".join(_name_of_release(each) for each in other_releases)
    yield f"other releases with this issue: {names or 'none'}"
    for damaged in value["damaged_releases"]:
        yield f"release {damaged['id']} was not read: {damaged['problem']}"


def _name_of_release(release: Mapping[str, Any]) -> str:
    if release["published_at"] is None:
        return f"{release['id']} (not published)"
    return f"{release['id']}{' (current)' if release['current'] else ''}"


def _model_lines(model: Mapping[str, Any]) -> Iterable[str]:
    variant = f", variant {model['variant']}" if model["variant"] else ""
    yield f"{model['name']}, version {model['version']}{variant}"
    yield f"MLflow run {model['mlflow_run']}"
    yield f"vocabulary {model['vocabulary']}"
    if model["embedding_model"] != model["name"]:
        yield f"embedding network of model {model['embedding_model']}"
    if model["keeps_earlier_titles"]:
        yield "an earlier champion, whose titles the release keeps for the issue's day"


def _source_lines(value: Mapping[str, Any]) -> Iterable[str]:
    source = value["source"]
    reason = f": {source['reason']}" if source["reason"] else ""
    yield f"day {source['day']}, {source['verdict']}{reason} ({source['hours_found']} of 24 hours)"
    yield f"event {value['issue']['event_id']}, hour {source['hour']} (UTC)"
    if source["base"]:
        yield f"event read from {source['base']}"
    else:
        yield (
            "it is unknown where the event was read from, because an earlier version of Titler extracted the "
            "day"
        )
    if source["sha256"]:
        yield f"SHA-256 of the file of this hour: {source['sha256']}"
    if source["base"] and source["hour_base"] != source["base"]:
        was_read = f"was read from {source['hour_base']}" if source["hour_base"] else "was not read"
        yield f"the file of this hour {was_read}: the event was in the file of another hour"
    for opening in value["openings"]:
        if not opening["counts"]:
            yield (
                f"also opened on {opening['day']} (event {opening['event_id']}, {opening['issue_url']}): not "
                "used, because the earliest event counts"
            )


def _title_sections(title: Mapping[str, Any]) -> None:
    _section("title", _title_lines(title))
    if title["problem"]:
        return
    _section("text that the model reads", _text_lines(title))
    if not title["candidates"]:
        return
    say("candidate titles, computed now with the model named above")
    rows = [
        (f"{each['confidence']:.3f}", each["title"] or "(no text)")
        for each in title["candidates"][:CANDIDATES_LISTED]
    ]
    print_table((("", "right"), ("", "left")), rows, INDENT)
    if title["copied"] is not None:
        _section(
            "subwords of the first candidate that are copied from the body", _copied_lines(title["copied"])
        )


def _title_lines(title: Mapping[str, Any]) -> Iterable[str]:
    published = title["published"]
    if published is None:
        yield "the release has no titles yet"
    elif published["abstained"]:
        yield "none: the model abstains"
    else:
        prefix = "none: withheld. The model predicted: " if title["withheld"] else ""
        yield f"{prefix}{published['title']}  (confidence {published['confidence']:.3f})"
    if published and published["probability"] is not None:
        yield f"probability that the title is like the author's title: {published['probability']:.3f}"
    for explanation_of_reason in (title["abstained_because"] or {}).values():
        yield f"no title is shown, because {explanation_of_reason}"
    if title["only_template"]:
        yield "the body has only the text of an issue template"
    if title["problem"]:
        yield f"nothing can be computed: {title['problem']}"
    elif published:
        yield _agreement(title["computed_now"])


def _agreement(computed: Mapping[str, Any]) -> str:
    if computed["agrees"]:
        return "computed again now: the result equals the published one"
    text = computed["title"] or "no title"
    return f"computed again now: the result is DIFFERENT: {text} (confidence {computed['confidence']:.3f})"


def _text_lines(title: Mapping[str, Any]) -> Iterable[str]:
    read = title["read"]
    yield (
        f"{read['prepared']:,} {read['units']} after cleaning; the model reads at most {read['window']:,}"
        + ("" if read["not_read"] else ", so it reads the whole text")
    )
    yield _shortened(read["text"]) or "(nothing)"
    if read["not_read"]:
        yield f"not read: {_shortened(read['not_read'])}"
    if read["unknown_words"]:
        yield f"not in the vocabulary: {_shortened(', '.join(read['unknown_words']))}"


def _shortened(text: str) -> str:
    return text if len(text) <= TEXT_CHARACTERS else f"{text[:TEXT_CHARACTERS]} ..."


def _copied_lines(units: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    copied = [unit for unit in units if unit["copied"] >= COPIED]
    yield (
        f"{len(copied)} of {count(len(units), 'subword')}; the number after each subword is the share of "
        "its probability that comes from copying"
    )
    yield "  ".join(f"{_visible(unit['unit'])} {unit['copied']:.2f}" for unit in units)


def _visible(unit: str) -> str:
    """Returns a subword without the white space around it. If the subword has only white space, such as a
    line break, returns its escape sequence."""
    return unit.strip() or repr(unit)[1:-1]


def _neighbours_section(neighbours: Mapping[str, Any]) -> None:
    if neighbours["problem"]:
        _section("similar issues of the repository", [f"none: {neighbours['problem']}"])
        return
    if not neighbours["issues"]:  # -k 0
        return
    say_wrapped(
        "similar issues of the repository. The parts of each probability are computed now, with the weights "
        f"of ordering {neighbours['ordering']}",
        0,
    )
    for issue in neighbours["issues"]:
        say_wrapped(f"{issue['probability']:.2f}  {issue['issue_url']}  {issue['title']}", INDENT)
        parts = issue["parts"]
        if parts is None:
            say_wrapped(NO_PARTS, 3 * INDENT)
            continue
        rows = [("bias", "", "", f"{parts['bias']:+.2f}")]
        rows += [
            (
                feature["name"],
                f"{feature['value']:.2f}",
                f"x {feature['weight']:+.2f}",
                f"{feature['contribution']:+.2f}",
            )
            for feature in parts["features"]
            if abs(feature["contribution"]) >= SMALLEST_CONTRIBUTION
        ]
        rows.append(
            ("log odds", "", "", f"{parts['log_odds']:+.2f} -> probability {parts['probability']:.2f}")
        )
        print_table((("", "left"), ("", "right"), ("", "left"), ("", "left")), rows, 3 * INDENT)
