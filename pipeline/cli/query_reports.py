"""Prints the results of the commands that query or check: status, cost, titles, similar issues and others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cli import mark_reports
from pipeline.cli.console import DAYS_LISTED, count, counts, error, print_json, print_table, say_wrapped
from pipeline.contracts import EVERYWHERE_LIST, REPOSITORY_LIST
from pipeline.errors import Finding
from pipeline.lake.forgotten import Forgetting
from pipeline.printed_text import one_line
from pipeline.progress import say
from pipeline.settings import Settings
from pipeline.warehouse.price import format_bytes, format_price

if TYPE_CHECKING:
    from pipeline.sample import Sample

GAPS_LISTED = 5
"""Maximum number of gaps that `titler status` lists. A gap is a span of days that were never extracted."""
INDENT = 10
LIST_HEADINGS = {REPOSITORY_LIST: "in the same repository:", EVERYWHERE_LIST: "in all repositories:"}
TEXT_REASONS = {
    "same": "the same body",
    "none": "without a text of its own",
    "automated": "a program's report",
}
"""What is printed for the values of `similar_text`. A text of its own is not mentioned."""
STATUS_COLUMNS = (
    ("day", "left"),
    ("hours", "right"),
    ("events", "right"),
    ("malformed", "right"),
    ("issues", "right"),
    ("trainable", "right"),
    ("verdict", "left"),
)


def status(
    value: dict[str, Any],
    as_json: bool,
    reasons: Mapping[str, str] | None = None,
    unreadable: Collection[str] = (),
) -> None:
    """Prints how complete the source days are, which model is in use, and which release is current.

    `value` is the return value of `serving.status.status`. `reasons` maps each incomplete day to the reason
    why the day is incomplete. `unreadable` are the keys of `value` (`days`, `model` or `release`) whose
    content could not be read. Nothing is printed about these keys.
    """
    if as_json:
        print_json(value)
        return
    if "days" not in unreadable:
        _days(value["days"], reasons or {})
    model, release = value["model"], value["release"]
    if model:
        say(f"model     {model['name']}, version {model['version']}, variant {model['variant']}")
        if model.get("titles_withheld"):
            say(f"{' ' * INDENT}titles withheld: {model['titles_withheld']}")
    elif "model" not in unreadable:
        say("model     there is no champion (model in use) yet")
    if release:
        say(
            f"release   {release['id']}, published {release['published_at'][:19]} UTC: "
            f"{count(release['issues'], 'issue')}, {count(release['index_items'], 'vector')} in the index, "
            f"recall@10 {release['recall_at_10']:.3f}, {release['age_hours']:,.1f} hours old"
        )
        if release.get("titles_withheld"):
            say(f"{' ' * INDENT}titles withheld: {release['titles_withheld']}")
    elif "release" not in unreadable:
        say("release   no release is published yet")


def unfinished_forgetting(unfinished: Forgetting) -> None:
    """Prints that a command `titler forget` is running or was interrupted. Until the command has finished,
    the current release may still show the data that the command removes."""
    say_wrapped(
        f"forget    The command titler forget --{unfinished.kind}, begun at {unfinished.begun_at[:16]} "
        "UTC, has not finished. Until it has, the current release may still show what it removes. "
        "If the command was interrupted, run it again.",
        0,
    )


def _days(days: Sequence[Mapping[str, Any]], reasons: Mapping[str, str]) -> None:
    say(f"days      {counts(Counter(day['verdict'] for day in days)) or 'none'}")
    if len(days) > DAYS_LISTED:
        say(
            f"{' ' * INDENT}{len(days) - DAYS_LISTED:,} earlier days are not shown. To see them, use --from "
            "and --to"
        )
    rows = [
        (
            day["day"],
            f"{day['hours_found']}/24",
            *(f"{day[name]:,}" for name in ("events", "malformed", "issues", "trainable")),
            day["verdict"] + (f": {reasons[day['day']]}" if day["day"] in reasons else ""),
        )
        for day in days[-DAYS_LISTED:]
    ]
    if rows:
        print_table(STATUS_COLUMNS, rows, INDENT)
    if missing := gaps([day["day"] for day in days]):
        spans = [first if first == last else f"{first} to {last}" for first, last in missing[:GAPS_LISTED]]
        suffix = " ..." if len(missing) > GAPS_LISTED else ""
        say(f"{' ' * INDENT}days that were never extracted: {', '.join(spans)}{suffix}")


def gaps(days: Sequence[str]) -> list[tuple[str, str]]:
    """Returns the gaps between `days`, which must be in ascending order. Each gap is a pair: the first and
    the last of the missing days.

    For example, Airflow leaves a gap when it is down, because it does not extract the missed days later.
    """
    missing = []
    for earlier_day, later_day in pairwise(map(date.fromisoformat, days)):
        if later_day - earlier_day > timedelta(days=1):
            missing.append((str(earlier_day + timedelta(days=1)), str(later_day - timedelta(days=1))))
    return missing


def stale(release: dict[str, Any], hours: float) -> None:
    """Prints on standard error that the current release is too old, and which command makes a new one.

    `hours` is the largest allowed age, the setting `alerts.stale_after_hours`.
    """
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    error(
        f"release {release['id']} is {release['age_hours']:,.1f} hours old, expected at most {hours:g} "
        f"(alerts.stale_after_hours); make a new one: titler run --day {yesterday}"
    )


def ready(value: dict[str, Any], as_json: bool) -> None:
    """Prints whether the source (GH Archive) already has the events of the day's last hour."""
    if as_json:
        print_json(value)
        return
    state = "has arrived" if value["ready"] else "has not arrived yet"
    say(f"ready: {value['day']}: {value['source']} {state}")


def cost(settings: Settings, value: dict[str, Any], as_json: bool, *, again: bool = False) -> None:
    """Prints what it would cost to extract days from BigQuery: in total, per day, and per era. An era is a
    period of GH Archive in which days have similar prices. If `again` is true, the costs include days that
    are already in the lake. Also prints which budgets the extraction would exceed."""
    if as_json:
        print_json(value)
        return
    warehouse, days = settings.warehouse, value["days"]
    if warehouse.kind != "bigquery":
        say("cost: nothing. warehouse.kind is duckdb, so issues come from hour files, which are free")
        return
    in_lake = 0 if again else sum(day["in_lake"] for day in days)
    also = f"; days already in the lake, which cost nothing: {in_lake}" if in_lake else ""
    price = format_price(warehouse, value["bytes"])
    say(f"cost: BigQuery would bill {price} for {count(len(days) - in_lake, 'day')}{also}")
    for day in days[:DAYS_LISTED]:
        price = (
            f"{format_price(warehouse, day['bytes'])}; "
            f"the whole table has {format_bytes(day['table_bytes'] or 0)}"
            if day["bytes"]
            else "nothing: GH Archive lacks this day"
        )
        say(f"    {day['day']}  {'in the lake' if day['in_lake'] and not again else price}")
    if len(days) > DAYS_LISTED:
        say(f"    {len(days) - DAYS_LISTED} more days are not shown. To see them, use --json")
    for era in value["eras"]:
        say(
            f"    {era['span']} ({era['era']}): {count(era['days'], 'day')}, "
            f"{format_price(warehouse, era['bytes'])}; 365 days of this era cost "
            f"${era['usd_per_year']:,.2f}"
        )
    if not again:
        mark_reports.cost([day["day"] for day in days if day["lacks_marks"]])
    _budgets(value)


def _budgets(value: Mapping[str, Any]) -> None:
    """Prints, for each budget, which days exceed it on their own. If no day does, prints whether all days
    together exceed the budget."""
    for setting in ("max_bytes_per_run", "max_bytes_per_day"):
        limit = value[setting]
        budget = f"warehouse.{setting} = {limit:,} bytes ({format_bytes(limit)})"
        if oversized := [day["day"] for day in value["days"] if day["bytes"] > limit]:
            suffix = f" and {len(oversized) - DAYS_LISTED} more" if len(oversized) > DAYS_LISTED else ""
            say(
                f"    These days would be refused, because each alone needs more than {budget}: "
                f"{', '.join(oversized[:DAYS_LISTED])}{suffix}"
            )
        elif value["bytes"] > limit:
            say(f"    The extraction would be refused, because BigQuery would bill more than {budget}")


def title(value: dict[str, Any], as_json: bool) -> None:
    """Prints a predicted title and, in parentheses, its confidence. If the title is withheld, prints the
    reason. If the model abstains (gives no title), prints two values of the title that it would give: the
    confidence and, if known, the probability that the title is like the author's. The model abstains if one
    of these values is too low."""
    if as_json:
        print_json(value)
    elif value.get("withheld"):
        say(f"(no title: the titles of this model are withheld: {value['withheld']})")
    elif value["abstained"]:
        probability = value.get("probability")
        estimates = f"a confidence of {value['confidence']:.2f}"
        if probability is not None:
            estimates += f", and a probability of {probability:.2f} that it is like the author's title"
        say(f"(no title: the model abstains. If it gave a title, the title would have {estimates})")
    else:
        say(f"{one_line(value['title'])}  ({value['confidence']:.2f})")


def exported(release: str, folder: Path, items: int) -> None:
    """Prints how many vectors `titler export` wrote."""
    say(f"export: {count(items, 'vector')} of release {release} -> {folder.absolute()}")


def similar(rows: list[dict[str, Any]], as_json: bool, *, show_all: bool = False) -> None:
    """Prints lists of similar issues, with the most probable duplicates first. Each issue has its probability
    (0 to 1), URL, title, and the reasons for the probability. If there are two lists, each has a heading.

    Issues whose probability is too low are left out, unless `show_all` is true. If all issues are left out,
    prints the highest of their probabilities instead. A release made by an earlier version of Titler has no
    probabilities. For such a release, prints the angular distance (0 to 2), and leaves out no issue.
    """
    shown = _shown(rows, show_all)
    if as_json:
        print_json(shown)
        return
    if not shown:
        best = max((row["probability"] for row in rows), default=None)
        say(
            "no issue is similar enough"
            + ("" if best is None else f" (highest probability: {best:.2f}). To show all issues: --all")
        )
    several = len({row["list"] for row in rows}) > 1
    for number, row in enumerate(shown):
        if several and (number == 0 or shown[number - 1]["list"] != row["list"]):
            say(LIST_HEADINGS[row["list"]])
        _similar_issue(row)


def similar_of_file(drafts: Iterable[Mapping[str, Any]], as_json: bool, *, show_all: bool = False) -> None:
    """Prints similar issues for each row of a file. For each row, prints a line with its number and its
    address or title, followed by what `similar` prints. If no search was possible for a row, prints the
    problem instead. With `as_json`, prints one JSON array after the search has finished for all rows.
    `show_all` has the same meaning as in `similar`."""
    if as_json:
        print_json([{**draft, "similar": _shown(draft["similar"], show_all)} for draft in drafts])
        return
    for draft in drafts:
        say(f"row {draft['row']}: {one_line(draft['issue_url'] or draft['title'])}")
        if draft["problem"]:
            say(one_line(draft["problem"]))
        else:
            similar(draft["similar"], as_json, show_all=show_all)


def _shown(rows: list[dict[str, Any]], show_all: bool) -> list[dict[str, Any]]:
    return [row for row in rows if show_all or row["suggested"] in (True, None)]


def _similar_issue(row: Mapping[str, Any]) -> None:
    """Prints one similar issue."""
    reasons = []
    if row["near_duplicate"]:
        reasons.append("near-duplicate")
    if row["words_in_common"]:
        reasons.append(f"words in common: {row['words_in_common']}")
    if row["similar_text"] in TEXT_REASONS:
        reasons.append(TEXT_REASONS[row["similar_text"]])
    if (row["group_size"] or 1) > 1:
        reasons.append(f"stands for {row['group_size']} issues with the same text")
    value = f"{row['distance']:.3f}" if row["probability"] is None else f"{row['probability']:.2f}"
    suffix = f"  ({'; '.join(reasons)})" if reasons else ""
    say(one_line(f"{value}  {row['issue_url']}  {row['title']}{suffix}"))


def downstream(value: dict[str, Any], as_json: bool) -> None:
    """Prints how well a model's embeddings predict two facts about an issue: its labels, and the number of
    days that it stays open. These predictions are called downstream tasks.
    """
    if as_json:
        print_json(value)
        return
    pulls = value["pull_requests"]
    also = f"; left out {count(pulls, 'pull request')} of the file" if pulls else ""
    tasks = ", ".join(task.replace("_", " ") for task in value["tasks"])
    say(
        f"evaluate: model {value['model']} was measured on the downstream tasks ({tasks}) with "
        f"{count(value['issues'], 'issue')} of {value['file']}{also}"
    )
    for task, figures in value["tasks"].items():
        name = task.replace("_", " ")
        if figures["skipped"]:
            say(f"    {name}: not measured: {figures['skipped']}")
            continue
        sides = []
        for side in ("train", "test"):
            positives = figures[f"positives_{side}"]
            share = "" if positives is None else f" ({positives:,} positive)"
            sides.append(f"{figures[side]:,} issues{share}")
        say(f"    {name}: trained on {sides[0]}, tested on {sides[1]}, split by {figures['split']}")
        for figure in figures["embedding"]:
            values = ", ".join(
                f"{features.replace('_', ' ')} {figures[features][figure]:.3f}"
                for features in ("embedding", "bag_of_words", "majority")
            )
            say(f"        {figure.replace('_', ' '):<28}{values}")


def sampled(result: Sample) -> None:
    """Prints how many hour files, events and issues `titler sample` has generated."""
    say(
        f"sample: wrote {count(result.files, 'hour file')} of {result.days[0]} to {result.days[-1]}, with "
        f"{count(result.events, 'event')}, {count(result.issues, 'opened issue')} and "
        f"{count(len(result.duplicates), 'planted duplicate')} -> {result.directory}"
    )


def alert_sent(kind: str, sent_before: bool) -> None:
    """Prints whether an alert was sent, and how it was sent.

    `kind` is the setting `alerts.kind`, such as `email`. If `sent_before` is true, no alert was sent, because
    an earlier alert was about the same event (had the same key).
    """
    say(
        "alert: not sent, because an alert with this key was sent before"
        if sent_before
        else f"alert: sent by {kind}"
    )


def doctor(findings: list[Finding]) -> bool:
    """Prints one line per finding of `titler doctor`, and what to do about each problem. Returns True if
    every check passed."""
    for finding in findings:
        say(f"{'ok   ' if finding.passed else 'WRONG'}  {finding.subject:<12} {finding.message}")
        if finding.advice:
            say(f"{'':<20}{finding.advice}")
    return all(finding.passed for finding in findings)
