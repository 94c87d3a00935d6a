"""What MLflow's pages say in words: of the experiment, of the registered model, and of each model its card."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
        "copying the body's first words. To compare trainings, tick their runs and press *Compare*."
    ),
}
"""MLflow would take an experiment without the first for one of generative AI, and open it on an empty page about traces."""
MODEL_NOTE = """Predicts the title of a GitHub issue from its body, with a confidence, and embeds the body.

The alias `champion` is the version that the nightly refresh uses, `previous` the one before it; `titler promote MODEL` moves both.

    import mlflow
    mlflow.set_tracking_uri("ADDRESS")
    mlflow.pyfunc.load_model("models:/NAME@champion").predict(["The window closes when I press Enter twice"])
"""
CARD_ROWS = (("ROUGE-1", "rouge1"), ("ROUGE-2", "rouge2"), ("ROUGE-L", "rougeL"), ("BLEU", "bleu"))
MONOTONOUS = 0.1
"""Share of distinct titles under which a model's card warns; authors repeat few of theirs."""


def card(run: RunData) -> str:
    """How good a run's model is, what it learned from, and where to look further, in Markdown; the first line says the most."""
    known, figures = run.params, run.metrics
    learned = ""
    if "train_issues" in known:
        learned = (
            f"Learned from **{int(known['train_issues']):,} issues**, days {known['first_day']} to {known['last_day']} ({known['days']}): "
            f"the network `{known['variant']}` with a state of {known['hidden_size']}, {int(known['body_vocabulary']):,} words of bodies "
            f"and {int(known['title_vocabulary']):,} of titles."
        )
    if "titles/rougeL" not in figures:
        return f"Not evaluated yet:  `titler evaluate {run.tags[MODEL_TAG]}`\n\n{learned}".rstrip()
    own, floor = figures["titles/rougeL"], figures["titles/floor_rougeL"]
    heads = {"": "model", "floor_": "floor", **({"champion_": "champion then"} if "titles/champion_rougeL" in figures else {})}
    lines = [
        f"ROUGE-L {own:.2f}, {'above' if own > floor else 'NOT above'} its floor of {floor:.2f}, which copies the body's first words.",
        "",
        learned,
        "",
        f"On {figures['titles/issues']:,.0f} issues of repositories that it did not learn from:",
        "",
        f"| | {' | '.join(heads.values())} |",
        f"|:---|{' ---: |' * len(heads)}",
    ]
    for head, name in CARD_ROWS:
        cells = [f"{figures[key]:.2f}" if (key := f"titles/{prefix}{name}") in figures else "" for prefix in heads]
        lines.append(f"| {head} | {' | '.join(cells)} |")
    distinct = figures["titles/distinct"]
    lines += [
        "",
        f"{distinct:.0%} of its titles are distinct{': it says nearly the same of everything' if distinct < MONOTONOUS else ''}; "
        f"it abstained from {figures['titles/abstained']:.0%}.",
        "",
        "Artifacts: `losses.png`; `sample_titles.json`, its titles beside the authors'; `days.json`, the pinned days; `vocabulary`.",
    ]
    return "\n".join(lines)
