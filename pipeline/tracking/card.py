"""What MLflow's pages say in words: of the experiment, of the registered model, and of each model its card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipeline.networks.shape import units_of

if TYPE_CHECKING:
    from mlflow.entities import RunData

MODEL_TAG = "titler.model"
NOTE_TAG = "mlflow.note.content"
"""MLflow shows it, as Markdown, under Description."""
EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",
    NOTE_TAG: (
        "Titler's trainings: one run a model, named as the model is. A run's description says what it learned from and how good "
        "its titles are.\n\n"
        "Sort by `titles/rougeL`, and hold it against `titles/floor_rougeL` of the same run: a model under its floor is worse than "
        "copying the body's first words. `retrieval/recall_at_10` says the same of its embeddings, with a "
        "floor of its own. To compare trainings, tick their runs and press *Compare*."
    ),
}
"""MLflow would take an experiment without the first for one of generative AI, and open it on an empty page about traces."""
MODEL_NOTE = """Predicts the title of a GitHub issue from its body, with a confidence, and embeds the body.

The alias `champion` is the version that the nightly refresh uses, `previous` the one before it; `titler promote MODEL` moves both.

    import mlflow
    mlflow.set_tracking_uri("ADDRESS")
    mlflow.pyfunc.load_model("models:/NAME@champion").predict(["The window closes when I press Enter twice"])
"""
CARD_ROWS = (
    ("ROUGE-1", "titles", "rouge1", ".2f"),
    ("ROUGE-2", "titles", "rouge2", ".2f"),
    ("ROUGE-L", "titles", "rougeL", ".2f"),
    ("BLEU", "titles", "bleu", ".2f"),
    ("R@1", "retrieval", "recall_at_1", ".3f"),
    ("R@5", "retrieval", "recall_at_5", ".3f"),
    ("R@10", "retrieval", "recall_at_10", ".3f"),
    ("MRR", "retrieval", "mrr", ".3f"),
)
"""What a card's row is called, the figure's group and name in the run, and its form."""
USES = (
    "**For:** suggesting a title to whoever opens or sorts an issue, and finding issues that resemble one another. "
    "**Not for:** putting a title in an author's place unseen, or judging authors."
)
LANGUAGES = (
    "*Languages:* no issue was left out for its language, and which share is not in English was not counted; ROUGE sees only words of "
    "a to z and digits, so of other scripts these figures say nothing."
)
PRIVATE = {
    "words": "cleaning replaces e-mail addresses, URLs and telephone numbers, nothing else is filtered, and a word that many wrote may "
    "come back in a title.",
    "subwords": "cleaning replaces URLs and long numbers, nothing else is filtered, and what stands in a body may be copied into its "
    "title.",
}
TEMPLATES = {
    "words": "comments, headings and questions of issue forms were learned from like any text",
    "subwords": "comments and empty answers of issue forms were left out, their headings and questions learned from like any text",
}
MONOTONOUS = 0.1
"""Share of distinct titles under which a model's card warns; authors repeat few of theirs."""
UNTOLD = 0.55
"""AUC of the confidence under which a model's card warns."""


def card(run: RunData) -> str:
    """What a run's model is good for, what it learned from, its figures with their floors, its limits, in Markdown; the first line says
    the most."""
    known, figures = run.params, run.metrics
    learned = ""
    if "train_issues" in known:
        days = (
            f"days {known['first_day']} to {known['last_day']} ({known['days']})"
            if "days" in known
            else f"the file `{known['file']}`"
        )
        sizes = f"{int(known['body_vocabulary']):,} words of bodies and {int(known['title_vocabulary']):,} of titles"
        if units_of(known["variant"]) == "subwords":
            sizes = f"{int(known['body_vocabulary']):,} subwords"
        learned = (
            f"Learned from **{int(known['train_issues']):,} issues**, {days}: "
            f"the network `{known['variant']}` with a state of {known['hidden_size']}, {sizes}."
        )
    if "titles/rougeL" not in figures:
        return f"Not evaluated yet:  `titler evaluate {run.tags[MODEL_TAG]}`\n\n{learned}".rstrip()
    own, floor = figures["titles/rougeL"], figures["titles/floor_rougeL"]
    paragraphs = [
        f"ROUGE-L {own:.2f}, {'above' if own > floor else 'NOT above'} its floor of {floor:.2f}, which copies the body's first words."
        f"{_nearest(figures)}",
        learned,
        f"On {figures['titles/issues']:,.0f} issues of repositories that it did not learn from:",
        _table(figures),
        _retrieval(figures),
        _confidence(figures, float(known.get("abstain_precision", 0))),
        _said(figures),
        USES,
        _limits(units_of(known["variant"]) if "variant" in known else "words"),
        "Artifacts: `losses.png`; `confidence.png` and `confidence.json`, what a confidence is worth; `sample_titles.json`, its titles "
        "beside the authors'; `days.json` and `batches.json`, what it was made of, with digests; `settings.json`; `vocabulary`.",
    ]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


def _nearest(figures: Mapping[str, float]) -> str:
    if "retrieval/recall_at_10" not in figures:
        return ""
    own, floor = figures["retrieval/recall_at_10"], figures["retrieval/floor_recall_at_10"]
    return f" R@10 {own:.3f}, {'above' if own > floor else 'NOT above'} its floor of {floor:.3f}, which counts shared words."


def _table(figures: Mapping[str, float]) -> str:
    heads = {
        "": "model",
        "floor_": "floor",
        **({"champion_": "champion then"} if "titles/champion_rougeL" in figures else {}),
    }
    lines = [f"| | {' | '.join(heads.values())} |", f"|:---|{' ---: |' * len(heads)}"]
    for head, group, name, form in CARD_ROWS:
        if f"{group}/{name}" in figures:
            cells = [
                format(figures[key], form) if (key := f"{group}/{prefix}{name}") in figures else ""
                for prefix in heads
            ]
            lines.append(f"| {head} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _retrieval(figures: Mapping[str, float]) -> str:
    if "retrieval/issues" not in figures:
        return ""
    issues = figures["retrieval/issues"]
    return (
        f"R@k: how often an issue's title, asked as `titler similar` asks, finds its own body among the k nearest of {issues:,.0f}. "
        f"Their floor is TF-IDF, the words that both share; by chance R@10 is {min(1, 10 / issues):.3f}."
    )


def _confidence(figures: Mapping[str, float], precision: float) -> str:
    if "titles_confidence/alike" not in figures:
        return ""
    text = (
        f"Confidence: {figures['titles_confidence/alike']:.0%} of its titles are alike the author's, that is have a ROUGE-L over 0.3, "
        f"{figures['titles_confidence/alike_least_sure']:.0%} of the fifth it is least sure of and "
        f"{figures['titles_confidence/alike_most_sure']:.0%} of the fifth it is surest of (AUC {figures['titles_confidence/auc']:.2f})"
        f"{'' if figures['titles_confidence/auc'] > UNTOLD else ': it tells good titles from poor ones hardly better than chance'}."
    )
    least = figures["titles_confidence/abstain_below"]
    if least > 1:
        text += f" It gives NO title at all, for no confidence led to the share of {precision:.0%} that was asked for."
    elif least > 0:
        text += f" It gives no title under a confidence of {least:.2f}"
        text += f", which was set on these same issues for a share of {precision:.0%}." if precision else "."
    return text


def _said(figures: Mapping[str, float]) -> str:
    distinct = figures["titles/distinct"]
    return (
        f"{distinct:.0%} of its titles are distinct{': it says nearly the same of everything' if distinct < MONOTONOUS else ''}; "
        f"it abstained from {figures['titles/abstained']:.0%}."
    )


def _limits(units: str) -> str:
    return (
        f"**Limits.** {LANGUAGES} *Private data:* it learned from public text alone, but names and secrets that authors wrote stand in "
        f"that, too; {PRIVATE[units]} *Templates:* {TEMPLATES[units]}, so a title may repeat a form's words instead of what the author "
        "filled in."
    )
