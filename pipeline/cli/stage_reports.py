"""Prints the result of each stage when it has finished."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pipeline.alerts import describe_day
from pipeline.cli import hour_reports, mark_reports
from pipeline.cli.console import DAYS_LISTED, count, counts, print_json, some_days
from pipeline.contracts import SEGMENTS
from pipeline.lake.batches import Lake
from pipeline.lake.embedding_network import taken_network
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned
from pipeline.progress import say
from pipeline.releases.abstained_share import ABSTAINED
from pipeline.releases.index_figures import MARKED
from pipeline.releases.kept_titles import kept_titles
from pipeline.releases.marked_recall import RECALL, accepted_fall
from pipeline.settings import Settings, public_address
from pipeline.usage import Usage
from pipeline.warehouse.price import format_price

if TYPE_CHECKING:
    from pipeline.compute.derived_batches import Outcome
    from pipeline.stages.collect import Collected
    from pipeline.stages.index import IndexOutcome
    from pipeline.stages.plan import PlanOutcome
    from pipeline.tracking import Version

SAMPLES_LISTED = 5
"""Maximum number of sample titles that `titler evaluate` prints."""


def timing(verb: str, usage: Usage) -> None:
    """Prints the duration of a stage and the peak memory of its processes."""
    worker = f", and {usage.worker_peak_mib:,.0f} MiB in the largest worker process"
    peak = f"peak memory {usage.peak_mib:,.0f} MiB{worker if usage.worker_peak_mib else ''}"
    say(f"    {verb} took {usage.seconds:.1f} s; {peak}")


def batches(lake: Lake, verb: str, outcome: Outcome, partition: str = "day") -> None:
    """Prints how many rows a stage returned, how many days it wrote, and how many days existed already.

    `verb` is the stage's command. `partition` is "day", or "file" if the data comes from a user's file.
    """
    reused = len(outcome.manifests) - outcome.made
    place = lake.path(outcome.manifests[0].table) if outcome.manifests else lake.root
    also = f", {count(reused, partition)} reused" if reused else ""
    say(f"{verb}: {count(outcome.rows, 'row')}, {count(outcome.made, partition)} written{also} -> {place}")


def extracted(lake: Lake, settings: Settings, outcome: Outcome, health: list[dict[str, Any]]) -> None:
    """Prints what `extract` read and which days are not complete.

    `health` has one row per day, from the table source_health_v1. The row says how complete the day is.
    """
    batches(lake, "extract", outcome)
    costs = [manifest.figures["cost"] for manifest in outcome.manifests if "cost" in manifest.figures]
    if costs:
        billed = sum(cost["bytes_billed"] for cost in costs)
        say(f"    BigQuery billed {format_price(settings.warehouse, billed)} when these days were extracted")
    events = sum(row["events"] for row in health)
    issues, trainable = (sum(row[column] for row in health) for column in ("issues", "trainable"))
    verdicts = counts(Counter(row["verdict"] for row in health))
    say(
        f"    {count(events, 'event')}; {trainable:,} of {count(issues, 'issue')} can be used for training; "
        f"days: {verdicts}"
    )
    _untrainable(outcome.manifests)
    mark_reports.extracted(settings, outcome.manifests)
    hour_reports.extracted(settings, outcome)
    for manifest in outcome.manifests:
        if manifest.figures["malformed"]:
            lines = count(manifest.figures["malformed"], "malformed line")
            quarantine = lake.path(manifest.figures["quarantine"])
            say(f"    {manifest.day}: the source has {lines}, moved to quarantine -> {quarantine}")
    for day, available in list(outcome.unchanged_days.items())[:DAYS_LISTED]:
        say(
            f"    {day}: the stored data of this day was kept, because the source has lost data since the "
            f"extraction. The source now has only {available}."
        )
        say(f"    To extract the day anyway: titler extract --day {day} --again")
    for row in [row for row in health if row["verdict"] != "complete"][:DAYS_LISTED]:
        say(f"    {describe_day(row)}")


def _untrainable(issues: Sequence[Manifest]) -> None:
    reasons: Counter[str] = Counter()
    for manifest in issues:
        reasons.update(manifest.figures["untrainable"])
    if reasons.total():
        named = Counter({name.replace("_", " "): number for name, number in reasons.items()})
        say(f"    issues that are not used for training, by reason: {counts(named)}")


def file_extracted(lake: Lake, path: Path, issues: Manifest, is_new: bool) -> None:
    """Prints how many issues were read from a user's file, and how many rows were left out.

    `issues` describes the stored issues. `is_new` is False if they were stored by an earlier command and are
    reused.
    """
    figures = issues.figures
    read = "read" if is_new else "reused"
    say(
        f"extract: {read} {count(issues.rows, 'row')} of {path}; {figures['trainable']:,} of them can be "
        f"used for training -> {lake.path(issues.folder)}"
    )
    _untrainable([issues])
    if figures["repeated"]:
        say(
            f"    left out {count(figures['repeated'], 'row')}, because an earlier row has the same URL or "
            "the same text"
        )
    if unreadable := figures.get("unreadable_times"):  # the figure is missing in batches of Titler 0.1
        say(
            f"    in {count(unreadable, 'row')}, the value of created_at is not a time. This does not "
            "matter for training, which uses no dates"
        )
    if figures["by_row"]:
        say(
            "    The file has too few repositories, so training and validation may have rows of the same "
            "repositories. This makes the scores of the evaluation too high"
        )


def no_day_is_cleaned() -> None:
    """Prints that `titler vocab` created no model, because no day is cleaned yet."""
    say("vocab: no model was created, because no day is cleaned yet")


def vocabulary(lake: Lake, model: Pinned, manifest: Manifest) -> None:
    """Prints the sizes of a new model's vocabularies, and how many issues are held out from its training.

    Also prints whether the model takes its vocabularies and its embedding network from another model.
    """
    figures, facts = manifest.figures, model.facts
    say(
        f"vocab: model {model.name} has {count(figures['train'], 'issue')} for training. Its vocabulary "
        f"{figures['id']} has {figures['body_size']:,} ids for bodies and {figures['title_size']:,} ids for "
        f"titles -> {lake.path(manifest.folder)}"
    )
    say(
        f"    {figures['validation']:,} other issues are held out for validation, and {figures['test']:,} "
        "for testing"
    )
    if network := taken_network(model.plan):
        say(
            f"    the vocabulary and the embedding network are taken from model {network.model}, so only "
            "the title network will be trained"
        )
    elif reason := facts.get("new_embedding_because"):
        say(f"    a new embedding network will be trained: {reason}")


def epoch(figures: Any) -> None:
    """Prints the loss, the accuracy and the duration of one training epoch.

    `figures` are its measurements: `ContrastFigures` if the epoch trained the embeddings, or `EpochFigures`
    if it trained the titles.
    """
    number, loss, seconds = figures.epoch, figures.loss, figures.seconds
    if figures.group == "contrast":
        accuracy = f"{figures.accuracy:.1%} of titles matched to the right body"
        say(f"    contrastive pre-training, pass {number}: loss {loss:.4f}, {accuracy}, {seconds:.0f} s")
        return
    accuracy = f"{figures.validation_token_accuracy:.1%} of validation tokens predicted correctly"
    validation_loss = f"validation loss {figures.validation_loss:.4f}"
    say(f"    epoch {number}: loss {loss:.4f}, {validation_loss}, {accuracy}, {seconds:.0f} s")


def trained(lake: Lake, settings: Settings, model: str, manifest: Manifest) -> None:
    """Prints a trained model's number of epochs, validation loss, and version in MLflow."""
    figures = manifest.figures
    say(
        f"train: model {model} (variant {figures['variant']}) was trained for "
        f"{count(figures['epochs'], 'epoch')}, best validation loss {figures['validation_loss']:.4f} "
        f"-> {lake.path(manifest.folder)}"
    )
    if figures.get("embedding_model", model) != model:
        say(f"    the embedding network was taken from model {figures['embedding_model']}")
    threshold = figures.get("abstain_below", 0)
    if threshold > 1:
        say(
            "    the model will never give a title, because no minimum confidence raises the share of good "
            "titles to the setting model.abstain_precision. To get titles, train another model with a "
            "lower value of this setting"
        )
    elif threshold > 0:
        say(f"    the model gives no title if its confidence is below {threshold:.2f}")
    version = f"version {figures['version']} of {settings.tracking.model_name}"
    say(f"    MLflow run {figures['mlflow_run']}, {version} -> {public_address(settings.tracking_uri)}")


def next_after_training(model: str) -> None:
    """Prints the commands to type after a model was trained on a file."""
    say(f"    next: titler evaluate {model}; then titler promote {model}")


def evaluated(figures: dict[str, Any], as_json: bool) -> None:
    """Prints the scores of an evaluation and some sample titles. With `as_json`, prints the scores as JSON,
    without the sample titles."""
    if as_json:
        print_json({name: value for name, value in figures.items() if name != "samples"})
        return
    rouge = f"{figures['rouge1']:.2f}/{figures['rouge2']:.2f}/{figures['rougeL']:.2f}"
    scores = f"ROUGE-1/2/L {rouge} and BLEU {figures['bleu']:.2f}"
    author = f" by model {figures['model']}" if "model" in figures else ""
    say(f"evaluate: the titles{author} of {count(figures['issues'], 'issue')} have {scores}")
    say(
        f"    {figures['exact_match']:.1%} of the titles equal the author's title, {figures['distinct']:.1%} "
        f"are distinct, {figures['abstained']:.1%} are empty, and a title has {figures['mean_length']:.1f} "
        "words on average"
    )
    if "lead_rougeL" in figures:
        lead = f"{figures['lead_rouge1']:.2f}/{figures['lead_rouge2']:.2f}/{figures['lead_rougeL']:.2f}"
        say(f"    first words of the body as the title: ROUGE-1/2/L {lead}")
    near = figures.get("retrieval")
    if near:
        recall = f"{near['recall_at_1']:.3f}/{near['recall_at_5']:.3f}/{near['recall_at_10']:.3f}"
        say(
            f"    search for an issue's body by its title, among {count(near['issues'], 'issue')}: "
            f"recall@1/5/10 {recall}, MRR {near['mrr']:.3f}; recall@10 of TF-IDF "
            f"{near['floor_recall_at_10']:.3f}"
        )
    if confidence := figures.get("confidence"):
        say(
            f"    titles with a ROUGE-L over 0.3: {confidence['alike']:.1%} of all titles, "
            f"{confidence['alike_least_sure']:.1%} of the least confident fifth, "
            f"{confidence['alike_most_sure']:.1%} of the most confident fifth"
        )
    if figures.get("champion"):
        recall = f", recall@10 {near['champion_recall_at_10']:.3f}" if near else ""
        rouge_l = f"ROUGE-L {figures['champion_rougeL']:.2f}"
        say(f"    champion {figures['champion']} on the same issues: {rouge_l}{recall}")
    if probability := figures.get("probability"):
        say(
            "    the model's estimates of the probability that a title has a ROUGE-L over 0.3: method "
            f"{probability['method']}, Brier score {probability['brier']:.3f}, calibration error "
            f"{probability['calibration_error']:.3f}; {probability['abstained']:.1%} of the issues get no "
            f"title ({_abstention_thresholds(figures)})"
        )
    for sample in figures.get("samples", [])[:SAMPLES_LISTED]:
        say(f"    {sample['title']!r} -> {sample['predicted']!r} ({sample['confidence']:.2f})")


def _abstention_thresholds(figures: dict[str, Any]) -> str:
    """Returns a text with the minimum probability and the minimum confidence of a title. Below either of
    them, the evaluated model gives no title."""
    thresholds = f"minimum probability {figures['probability']['abstain_probability']:g}"
    if minimum := figures["confidence"].get("abstain_below"):
        thresholds += f", minimum confidence {minimum:.2f}"
    return thresholds


def promoted(result: dict[str, Any], accept_because: str = "") -> None:
    """Prints which model is the champion, and whether its titles are withheld (stored, but not shown).

    `accept_because` is the user's reason for showing the titles although they are not good enough. If they
    are good enough, prints that the reason was not stored.
    """
    verb = "is now" if result["moved"] else "was already"
    say(f"promote: model {result['model']} (version {result['version']}) {verb} champion")
    if "titles_withheld" in result:
        _withheld(result["titles_withheld"], result["model"])
    if accepted := result.get("titles_accepted"):
        say(
            f"    the titles are not good enough ({accepted['titles']}), but they are shown, because a user "
            f"accepted them: {accepted['because']}"
        )
    elif accept_because:
        say("    --accept was not needed: the titles are shown without it. The reason was not stored")


def _withheld(reason: str, model: str) -> None:
    """Prints why the titles of a model are not shown, and the command that shows them anyway."""
    say(f"    titles withheld: {reason}")
    say(f'    To show these titles in the next release: titler promote {model} --accept --because "..."')


def planned(release: str, outcome: PlanOutcome) -> None:
    """Prints the release that `plan` created, or why it created none."""
    if outcome.plan is None:
        say(f"plan: no release was created: {outcome.reason}")
    else:
        days = outcome.plan.days
        span = f"{count(len(days), 'day')} from {days[0].day} to {days[-1].day}"
        say(f"plan: release {release} uses model {outcome.plan.facts['model']} and {span}")
        if network := taken_network(outcome.plan):
            owner = network.model
            say(
                f"    the embedding network comes from model {owner}, so embeddings and similar issues of "
                "earlier releases are reused"
            )
        if kept_days := kept_titles(outcome.plan):
            say(
                f"    days that keep the titles of earlier champions: {len(kept_days):,}; the last of these "
                f"days is {max(kept_days)}"
            )
        superseded = sum(len(ids) for ids in outcome.plan.superseded.values())
        if superseded:
            text = "if several days have an event that opens the same issue, only the earliest event is used"
            say(f"    left out {count(superseded, 'duplicate opening')}: {text}")
    if outcome.days_as_before:
        say(
            "    the data of the current release is used for days that are being ingested again: "
            f"{some_days(outcome.days_as_before)}"
        )
    if outcome.days_not_ready:
        say(
            "    new days that are left out, because they are not cleaned yet: "
            f"{some_days(outcome.days_not_ready)}"
        )
    if outcome.days_judged_again:
        say(
            "    days whose completeness was judged again, because earlier days were added: "
            f"{some_days(outcome.days_judged_again)}"
        )


def indexed(lake: Lake, outcome: IndexOutcome) -> None:
    """Prints the size and the recall of a release's index, and which parts of it are new."""
    figures, segments = outcome.figures, outcome.segments
    recall = f"recall@10 {figures['recall_at_10']:.3f}"
    vectors = f"the index has {count(figures['items'], 'vector')} and {recall}"
    if "segments" not in figures:
        say(f"index: {vectors}; it was made by an earlier version of Titler")
        return
    say(f"index: {vectors} -> {lake.path(SEGMENTS.name)}")
    say(
        f"    segments: {len(segments):,}, of which {outcome.segments_built:,} were built now; days whose "
        f"similar issues were computed now: {outcome.days_searched:,}"
    )
    if other := figures["days_with_other_history"]:
        say(
            f"    the similar issues of {count(other, 'day')} may be incomplete or outdated, because much "
            "older issues were added or changed after these similar issues were computed"
        )
    if marked := figures.get(MARKED):
        mark_reports.measured(marked)


def published(
    settings: Settings,
    record: dict[str, Any],
    verb: str = "publish",
    accepted: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Prints which release is current now.

    `verb` is the command that made it current: `publish` or `rollback`. `accepted` maps each fault that the
    user accepts to the user's reason. The record of the release contains a reason only if the fault had to be
    accepted. For each other fault, also prints that the reason was not stored.
    """
    say(
        f"{verb}: release {record['release_id']} is current: {count(record['issues'], 'issue')} of "
        f"{count(record['days'], 'day')}, model {record['model']} -> {settings.warehouse_name}"
    )
    if record.get("titles_withheld"):
        _withheld(record["titles_withheld"], record["model"])
    stored = {
        (entry.get("day", ABSTAINED), entry["because"])
        for name in ("accepted", "titles_accepted")
        for entry in json.loads(record.get(name) or "[]")
    }
    if fall := accepted_fall(record):
        stored.add((RECALL, fall["because"]))
    for fault, because in accepted.items():
        if (fault, because) not in stored:
            say(f"    --accept {fault} was not needed to publish the release. The reason was not stored")


def rolled_back(settings: Settings, record: dict[str, Any], champion: Version | None) -> None:
    """Prints which release is current after a rollback.

    The next release will use the champion. If the champion is not the model of the current release, also
    prints the command that makes the current release's model the champion.
    """
    published(settings, record, "rollback")
    if champion is not None and champion.model != record["model"]:
        say(
            f"    The champion is {champion.model}, so the next release will use that model. To use "
            f"{record['model']} instead:"
        )
        say(f'    titler promote {record["model"]} --force --because "..."')


def collected(settings: Settings, result: Collected) -> None:
    """Prints how many releases, models and batches `collect` removed."""
    say(
        f"collect: removed {count(len(result.releases), 'release')}, {count(len(result.models), 'model')}, "
        f"{count(result.batches, 'batch')}; the setting release.keep retains at most "
        f"{count(settings.release.keep, 'published release')}"
    )
