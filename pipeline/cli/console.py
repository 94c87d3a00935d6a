"""What the command prints: plain lines, and JSON where asked for."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.alerts import describe_day
from pipeline.lake.batches import Lake, Manifest
from pipeline.progress import say
from pipeline.settings import Settings
from pipeline.warehouse.price import priced, size

if TYPE_CHECKING:
    from pipeline.cli.doctor import Finding
    from pipeline.networks.in_keras.training import Figures
    from pipeline.sample import Sample
    from pipeline.stages import Outcome
    from pipeline.stages.collect import Collected
    from pipeline.stages.plan import Planned
    from pipeline.tracking import Version

DAYS_LISTED = 10
GAPS_LISTED = 5
PLURALS = {"batch": "batches"}


def error(message: str) -> None:
    print(f"titler: {message}", file=sys.stderr, flush=True)


def answer(value: Any) -> None:
    """One JSON value."""
    say(json.dumps(value, ensure_ascii=False, indent=1))


def count(number: int, thing: str) -> str:
    """`3 issues`, `1 issue`; more than three digits in groups."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {PLURALS.get(thing, f'{thing}s')}"


def took(verb: str, seconds: float, own: float, worker: float) -> None:
    """`own` and `worker` in MiB; 0 where there was no worker."""
    say(
        f"    {verb} took {seconds:.1f} s; peak memory {own:,.0f} MiB{f', of a worker {worker:,.0f} MiB' if worker else ''}"
    )


def batches(lake: Lake, verb: str, outcome: Outcome, thing: str = "day") -> None:
    found = len(outcome.manifests) - outcome.made
    where = lake.path(outcome.manifests[0].table) if outcome.manifests else lake.root
    there = f", {count(found, thing)} there already" if found else ""
    say(f"{verb}: {count(outcome.rows, 'row')}, {count(outcome.made, thing)} made{there} -> {where}")


def extracted(lake: Lake, settings: Settings, outcome: Outcome, health: list[dict[str, Any]]) -> None:
    batches(lake, "extract", outcome)
    costs = [manifest.figures["cost"] for manifest in outcome.manifests if "cost" in manifest.figures]
    if costs:
        say(
            f"    BigQuery billed {priced(settings.warehouse, sum(cost['bytes_billed'] for cost in costs))} for these days, once"
        )
    verdicts = Counter(row["verdict"] for row in health)
    trainable = sum(row["trainable"] for row in health)
    say(
        f"    {count(sum(row['events'] for row in health), 'event')}; {trainable:,} of the issues are trainable; days: "
        + _counts(verdicts)
    )
    _untrainable(outcome.manifests)
    for manifest in outcome.manifests:
        if manifest.figures["malformed"]:
            say(
                f"    {manifest.day}: {count(manifest.figures['malformed'], 'line')} in quarantine -> "
                f"{lake.path(manifest.figures['quarantine'])}"
            )
    for day, left in list(outcome.kept.items())[:DAYS_LISTED]:
        say(f"    {day} stays as it is: the source has {left} that it was taken with.")
        say(f"    Take it nonetheless: titler extract --day {day} --again")
    for row in [row for row in health if row["verdict"] != "complete"][:DAYS_LISTED]:
        say(f"    {describe_day(row)}")


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in counter.items() if number)


def _untrainable(issues: Sequence[Manifest]) -> None:
    why: Counter[str] = Counter()
    for manifest in issues:
        why.update(manifest.figures["untrainable"])
    if why.total():
        say(
            "    not trainable: "
            + _counts(Counter({name.replace("_", " "): number for name, number in why.items()}))
        )


def taken(lake: Lake, path: Path, issues: Manifest, made: bool) -> None:
    """What was read of a file that a model learns from."""
    figures = issues.figures
    again = "" if made else ", there already"
    say(
        f"take: {count(issues.rows, 'row')} of {path}, {figures['trainable']:,} trainable{again} -> {lake.path(issues.folder)}"
    )
    _untrainable([issues])
    if figures["repeated"]:
        say(
            f"    {count(figures['repeated'], 'row')} left out: the address, or the text without one, was there before"
        )
    if figures["by_row"]:
        say(
            "    too few repositories for whole ones to learn and to validate: split by row, which flatters the figures"
        )


def nothing_to_learn_from() -> None:
    say("vocab: no model opened: no day is cleaned yet")


def vocabulary(lake: Lake, model: str, manifest: Manifest) -> None:
    figures = manifest.figures
    say(
        f"vocab: model {model}, vocabulary {figures['id']} of {figures['body_size']:,} body and {figures['title_size']:,} title ids "
        f"from {count(figures['train'], 'issue')} -> {lake.path(manifest.folder)}"
    )
    say(f"    {figures['validation']:,} more validate, {figures['test']:,} are kept for testing")


def epoch(figures: Figures) -> None:
    from pipeline.networks.in_keras.contrastive_training import (
        ContrastFigures,
    )  # whoever has figures has imported it

    if isinstance(figures, ContrastFigures):
        say(
            f"    contrast {figures.epoch}: loss {figures.loss:.4f}, own body nearest {figures.accuracy:.1%}, {figures.seconds:.0f} s"
        )
        return
    say(
        f"    epoch {figures.epoch}: loss {figures.loss:.4f}, validation loss {figures.validation_loss:.4f}, "
        f"next tokens right {figures.validation_token_accuracy:.1%}, {figures.seconds:.0f} s"
    )


def trained(lake: Lake, settings: Settings, model: str, manifest: Manifest) -> None:
    figures = manifest.figures
    say(
        f"train: model {model} ({figures['variant']}), {count(figures['epochs'], 'epoch')}, "
        f"best validation loss {figures['validation_loss']:.4f} "
        f"-> {lake.path(manifest.folder)}"
    )
    least = figures.get("abstain_below", 0)
    if least > 1:
        say(
            "    it gives NO title at all: no confidence led to the share of model.abstain_precision; train another with a lower one"
        )
    elif least > 0:
        say(f"    it gives no title under a confidence of {least:.2f}")
    say(
        f"    MLflow run {figures['mlflow_run']}, version {figures['version']} of {settings.tracking.model_name} -> {settings.tracking_uri}"
    )


def learned(model: str) -> None:
    say(f"    next: titler evaluate {model}; then titler promote {model}")


def evaluated(figures: dict[str, Any], as_json: bool) -> None:
    if as_json:
        answer({name: value for name, value in figures.items() if name != "samples"})
        return
    say(
        f"evaluate: ROUGE-1/2/L {figures['rouge1']:.2f}/{figures['rouge2']:.2f}/{figures['rougeL']:.2f}, BLEU {figures['bleu']:.2f}, "
        f"{count(figures['issues'], 'issue')}"
    )
    say(
        f"    {figures['exact_match']:.1%} exact, {figures['distinct']:.1%} distinct, {figures['abstained']:.1%} abstained, "
        f"{figures['mean_length']:.1f} words a title"
    )
    if "lead_rougeL" in figures:
        say(
            f"    first words of the body: {figures['lead_rouge1']:.2f}/{figures['lead_rouge2']:.2f}/{figures['lead_rougeL']:.2f}"
        )
    near = figures.get("retrieval")
    if near:
        say(
            f"    titles find their own bodies among {count(near['issues'], 'issue')}: "
            f"R@1/5/10 {near['recall_at_1']:.3f}/{near['recall_at_5']:.3f}/{near['recall_at_10']:.3f}, MRR {near['mrr']:.3f}; "
            f"by shared words R@10 {near['floor_recall_at_10']:.3f}"
        )
    if sure := figures.get("confidence"):
        say(
            f"    ROUGE-L over 0.3: {sure['alike']:.1%} of titles, {sure['alike_least_sure']:.1%} of the least sure fifth, "
            f"{sure['alike_most_sure']:.1%} of the surest"
        )
    if figures.get("champion"):
        theirs = f", R@10 {near['champion_recall_at_10']:.3f}" if near else ""
        say(
            f"    champion {figures['champion']} on the same issues: ROUGE-L {figures['champion_rougeL']:.2f}{theirs}"
        )
    for sample in figures.get("samples", [])[:5]:
        say(f"    {sample['title']!r} -> {sample['predicted']!r} ({sample['confidence']:.2f})")


def downstream(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        answer(found)
        return
    pulls = found["pull_requests"]
    left_out = f", {count(pulls, 'pull request')} left out" if pulls else ""
    say(
        f"evaluate: downstream of model {found['model']}, {count(found['issues'], 'issue')} of {found['file']}{left_out}"
    )
    for task, figures in found["tasks"].items():
        name = task.replace("_", " ")
        if figures["skipped"]:
            say(f"    {name}: no figures: {figures['skipped']}")
            continue
        shares = [(figures[f"positives_{side}"], figures[side]) for side in ("train", "test")]
        sides = [
            f"{rows:,}" if positives is None else f"{rows:,} ({positives:,} are)"
            for positives, rows in shares
        ]
        say(f"    {name}: {sides[0]} train, {sides[1]} test, split by {figures['split']}")
        for figure in figures["embedding"]:
            values = ", ".join(
                f"{way.replace('_', ' ')} {figures[way][figure]:.3f}"
                for way in ("embedding", "bag_of_words", "majority")
            )
            say(f"        {figure.replace('_', ' '):<28}{values}")


def promoted(result: dict[str, Any]) -> None:
    verb = "is now" if result["moved"] else "was already"
    say(f"promote: model {result['model']} (version {result['version']}) {verb} champion")


def planned(release: str, result: Planned) -> None:
    if result.plan is None:
        say(f"plan: no release opened: {result.reason}")
    else:
        days = result.plan.days
        say(
            f"plan: release {release}, model {result.plan.facts['model']}, {count(len(days), 'day')} from {days[0].day} to {days[-1].day}"
        )
        doubled = sum(len(ids) for ids in result.plan.superseded.values())
        if doubled:
            say(f"    {count(doubled, 'issue')} opened again on a later day: the earliest counts")
    if result.kept:
        say(f"    being ingested again, so kept as they were: {_some(result.kept)}")
    if result.left_out:
        say(f"    not cleaned yet, so left out: {_some(result.left_out)}")
    if result.judged:
        say(f"    judged again by the days that came before them: {_some(result.judged)}")


def _some(days: tuple[str, ...]) -> str:
    return ", ".join(days[:DAYS_LISTED]) + (" ..." if len(days) > DAYS_LISTED else "")


def indexed(lake: Lake, manifest: Manifest) -> None:
    figures = manifest.figures
    say(
        f"index: {count(figures['items'], 'vector')}, recall@10 {figures['recall_at_10']:.3f} -> {lake.path(manifest.folder)}"
    )


def published(settings: Settings, row: dict[str, Any], verb: str = "publish") -> None:
    say(
        f"{verb}: release {row['release_id']} is current: {count(row['issues'], 'issue')} of {count(row['days'], 'day')}, "
        f"model {row['model']} -> {settings.warehouse_name}"
    )


def rolled_back(settings: Settings, row: dict[str, Any], champion: Version | None) -> None:
    published(settings, row, "rollback")
    if champion is not None and champion.model != row["model"]:
        say(
            f"    the champion is {champion.model}, and the next refresh will use it; to stay with {row['model']}:"
        )
        say(f'    titler promote {row["model"]} --force --because "..."')


def collected(settings: Settings, result: Collected) -> None:
    say(
        f"collect: removed {count(len(result.releases), 'release')}, {count(len(result.models), 'model')}, "
        f"{count(result.batches, 'batch')}; release.keep is {settings.release.keep}"
    )


def sampled(result: Sample) -> None:
    say(
        f"sample: {count(result.files, 'hour file')}, {result.days[0]} to {result.days[-1]}, {count(result.events, 'event')}, "
        f"{count(result.issues, 'opened issue')}, {count(len(result.duplicates), 'planted duplicate')} -> {result.directory}"
    )


def status(value: dict[str, Any], as_json: bool, reasons: Mapping[str, str] | None = None) -> None:
    """`reasons`: day -> why it is not complete."""
    if as_json:
        answer(value)
        return
    days = value["days"]
    say(f"days      {_counts(Counter(day['verdict'] for day in days)) or 'none'}")
    if days:
        say("          day         hours   events  malformed   issues  trainable  verdict")
        if len(days) > DAYS_LISTED:
            say(f"          ... {len(days) - DAYS_LISTED:,} earlier days: --from and --to choose")
        for day in days[-DAYS_LISTED:]:
            why = f": {reasons[day['day']]}" if reasons and day["day"] in reasons else ""
            say(
                f"          {day['day']}  {day['hours_found']:>2}/24 {day['events']:>9,} {day['malformed']:>9,} "
                f"{day['issues']:>9,} {day['trainable']:>9,}  {day['verdict']}{why}"
            )
    if never := gaps([day["day"] for day in days]):
        listed = ", ".join(
            first if first == last else f"{first} to {last}" for first, last in never[:GAPS_LISTED]
        )
        say(f"          never taken: {listed}{' ...' if len(never) > GAPS_LISTED else ''}")
    model, release = value["model"], value["release"]
    say(
        f"model     {model['name']}, version {model['version']}, variant {model['variant']}"
        if model
        else "model     none is champion"
    )
    if release:
        say(
            f"release   {release['id']}, published {release['published_at'][:19]} UTC: {count(release['issues'], 'issue')}, "
            f"{release['index_items']:,} in the index, recall@10 {release['recall_at_10']:.3f}, "
            f"{release['age_hours']:,.1f} hours old"
        )
    else:
        say("release   none is published")


def gaps(days: Sequence[str]) -> list[tuple[str, str]]:
    """First and last of the days that are missing between days, which are in order: an Airflow that was down does not make up for them."""
    found = []
    for before, after in pairwise(map(date.fromisoformat, days)):
        if after - before > timedelta(days=1):
            found.append((str(before + timedelta(days=1)), str(after - timedelta(days=1))))
    return found


def stale(release: dict[str, Any], hours: float) -> None:
    """One line: which release is too old, and what makes a new one."""
    error(
        f"release {release['id']} is {release['age_hours']:,.1f} hours old, expected at most {hours:g} (alerts.stale_after_hours); "
        f"make a new one: titler run --day {datetime.now(UTC).date() - timedelta(days=1)}"
    )


def alerted(kind: str, told: bool) -> None:
    say("alert: nothing sent: this event was told before" if told else f"alert: sent by {kind}")


def ready(value: dict[str, Any], as_json: bool) -> None:
    if as_json:
        answer(value)
        return
    say(f"ready: {value['day']}: {value['source']} is {'there' if value['ready'] else 'not there yet'}")


def cost(settings: Settings, value: dict[str, Any], as_json: bool) -> None:
    if as_json:
        answer(value)
        return
    if settings.warehouse.kind != "bigquery":
        say("cost: nothing: issues come from hour files, which are free (warehouse.kind is duckdb)")
        return
    house, days = settings.warehouse, value["days"]
    there = sum(day["in_lake"] for day in days)
    say(
        f"cost: {priced(house, value['bytes'])} for {count(len(days) - there, 'day')}{f', {there} more are in the lake' if there else ''}"
    )
    for day in days[:DAYS_LISTED]:
        price = priced(house, day["bytes"]) if day["bytes"] else "not in GH Archive"
        say(f"    {day['day']}  {'in the lake' if day['in_lake'] else price}")
    if len(days) > DAYS_LISTED:
        say(f"    ... {len(days) - DAYS_LISTED} more: --json lists them")
    for setting in ("max_bytes_per_run", "max_bytes_per_day"):
        if value["bytes"] > value[setting]:
            say(
                f"    more than warehouse.{setting} = {value[setting]:,} bytes ({size(value[setting])}), so that much would be refused"
            )


def title(value: dict[str, Any], as_json: bool) -> None:
    if as_json:
        answer(value)
    elif value["abstained"]:
        say(f"(no title: the model abstains at confidence {value['confidence']:.2f})")
    else:
        say(f"{value['title']}  ({value['confidence']:.2f})")


def similar(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        answer(rows)
        return
    for row in rows:
        say(
            f"{row['distance']:.3f}  {row['issue_url']}  {row['title']}{'  (near-duplicate)' if row['near_duplicate'] else ''}"
        )


def doctor(findings: list[Finding]) -> bool:
    """Prints the findings; True where nothing is wrong."""
    for finding in findings:
        say(f"{'ok   ' if finding.good else 'WRONG'}  {finding.subject:<12} {finding.found}")
        if finding.advice:
            say(f"{'':<20}{finding.advice}")
    return all(finding.good for finding in findings)
