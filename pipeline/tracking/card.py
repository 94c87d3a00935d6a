"""Writes texts that MLflow shows: the description of the registered model, and a card for each model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipeline.networks.variants import variant_of
from pipeline.settings import public_address

if TYPE_CHECKING:
    from mlflow.entities import RunData

MODEL_TAG = "titler.model"
WITHHELD_TAG = "titler.titles_withheld"
ACCEPTED_TAG = "titler.titles_accepted_because"
MODEL_NOTE = """Predicts the title of a GitHub issue from its body, with a confidence, and embeds the body.

The alias `champion` marks the version that nightly releases use. `previous` marks the champion before it.
`titler promote MODEL` moves both aliases.

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
"""The rows of the score table in a card: heading, group and name of the metric in the run, number format."""
USES = (
    "**Use it for** suggesting a title to the author or triager of an issue, and for finding similar issues. "
    "**Do not use it for** replacing an author's title without review, or for judging authors."
)
LANGUAGES = (
    "*Languages:* issues in every language were used; the share that is not in English was not measured. "
    "ROUGE counts only words of the letters a to z and digits, so these figures say nothing about text in "
    "other scripts."
)
PRIVATE_DATA = {
    "words": "cleaning replaces e-mail addresses, URLs and telephone numbers but filters nothing else, and "
    "a word that many authors used can appear in a title.",
    "subwords": "cleaning replaces URLs and long numbers but filters nothing else, and any text of a body "
    "may be copied into its title.",
}
TEMPLATES = {
    "words": "the comments, headings and questions of issue forms were used for training like any other text",
    "subwords": "the comments and empty answers of issue forms were removed, but their headings and "
    "questions were used for training like any other text",
}
RELIABILITY = "`reliability.png` and `reliability.json` (how good titles are, by probability); "
LOW_DISTINCT_SHARE = 0.1
"""If the share of distinct titles is lower, a card warns. Authors' own titles are nearly all distinct."""
LOW_CONFIDENCE_AUC = 0.55
"""If the AUC of the confidence is not above this, a card warns. An AUC of 0.5 is no better than chance."""


def model_note(uri: str, model_name: str) -> str:
    """Returns the description of the registered model. It contains `uri`, the address of MLflow, without
    the user and password that the address may have."""
    return MODEL_NOTE.replace("ADDRESS", str(public_address(uri))).replace("NAME", model_name)


def card(run: RunData) -> str:
    """Returns a model's description in Markdown: summary (first line), training data, scores, uses, limits.

    Next to each score, the description shows the floor: the score of a simple method that needs no model.
    `run` has the metrics and parameters of the model's training.
    """
    parameters, metrics = run.params, run.metrics
    training = _training_data(parameters)
    if "titles/rougeL" not in metrics:
        return f"Not evaluated yet:  `titler evaluate {run.tags[MODEL_TAG]}`\n\n{training}".rstrip()
    paragraphs = [
        _summary(metrics),
        _withheld(run.tags),
        training,
        f"Evaluated on {metrics['titles/issues']:,.0f} issues of repositories that were not used for "
        "training:",
        _score_table(metrics),
        _retrieval(metrics),
        _confidence(metrics, float(parameters.get("abstain_precision", 0))),
        _probability(metrics),
        _variety(metrics),
        USES,
        _limits(variant_of(parameters["variant"]).units if "variant" in parameters else "words"),
        "Artifacts: `losses.png`; `confidence.png` and `confidence.json` (how good titles are, by "
        f"confidence); {RELIABILITY if 'titles_probability/brier' in metrics else ''}"
        "`sample_titles.json` (its titles next to the authors'); `days.json` and "
        "`batches.json` (its training data, with digests); `settings.json`; `vocabulary`.",
    ]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


def _training_data(parameters: Mapping[str, str]) -> str:
    """Returns a paragraph on a model's training data and network.

    `parameters` are the parameters of the MLflow run. If the run did not log the number of training issues,
    returns an empty string.
    """
    if "train_issues" not in parameters:
        return ""
    data = (
        f"the file `{parameters['file']}`"
        if "days" not in parameters
        else (f"days {parameters['first_day']} to {parameters['last_day']} ({parameters['days']})")
    )
    body, title = int(parameters["body_vocabulary"]), int(parameters["title_vocabulary"])
    vocabulary = f"vocabularies of {body:,} body words and {title:,} title words"
    if variant_of(parameters["variant"]).units == "subwords":
        vocabulary = f"a vocabulary of {body:,} subwords"
    return (
        f"Trained on **{int(parameters['train_issues']):,} issues**, {data}: network "
        f"`{parameters['variant']}`, hidden size {parameters['hidden_size']}, {vocabulary}."
        f"{_preset(parameters)}{_embedding(parameters)}{_teacher(parameters)}"
    )


def _preset(parameters: Mapping[str, str]) -> str:
    """Returns a sentence that names the preset from which the title network was fine-tuned, and the preset's
    licence. Returns an empty string if the title network was not fine-tuned from a preset."""
    if not parameters.get("preset"):
        return ""
    revision, licence = (parameters.get(f"preset_{name}") for name in ("revision", "licence"))
    text = f" Its title network was fine-tuned from the preset `{parameters['preset']}`"
    text += f", revision `{revision}`" if revision else ""
    return text + (
        f", which has the licence `{licence}`."
        if licence
        else ". The preset does not state a licence: look it up before you publish titles."
    )


def _embedding(parameters: Mapping[str, str]) -> str:
    """Returns a sentence that says from which other model the embedding network was taken. Returns an empty
    string if the model trained its own."""
    if "embedding_digest" not in parameters:
        return ""
    return (
        f" Only its title network was trained: it has the embedding network and the vocabulary of the model "
        f"`{parameters['embedding_model']}`."
    )


def _teacher(parameters: Mapping[str, str]) -> str:
    """Returns a sentence that names the model's teacher. A teacher is another model, or a file, from whose
    titles the model also learned. Returns an empty string if it learned only from the authors' titles."""
    if parameters.get("teacher_used") != "True":
        return ""
    name, weight = parameters["teacher"], parameters["teacher_weight"]
    return f" It also learned from titles of the teacher `{name}`, which have the weight {weight}."


def _summary(metrics: Mapping[str, float]) -> str:
    rouge, floor = metrics["titles/rougeL"], metrics["titles/floor_rougeL"]
    text = (
        f"ROUGE-L {rouge:.2f}, {_above(rouge, floor)} its floor of {floor:.2f} "
        "(the score of copying the body's first words)."
    )
    if "retrieval/recall_at_10" in metrics:
        recall, floor = metrics["retrieval/recall_at_10"], metrics["retrieval/floor_recall_at_10"]
        text += (
            f" R@10 {recall:.3f}, {_above(recall, floor)} its floor of {floor:.3f} "
            "(the score of counting shared words)."
        )
    return text


def _withheld(tags: Mapping[str, str]) -> str:
    """Returns a paragraph for a model whose titles are not better than the first words of the body. It says
    whether releases show these titles. Returns an empty string for any other model.

    `tags` are the tags of the model's MLflow run.
    """
    if WITHHELD_TAG in tags:
        return f"**Titles withheld**: {tags[WITHHELD_TAG]}. Releases of this model show no title."
    if ACCEPTED_TAG in tags:
        return f"**Titles accepted** although they do not beat the floor: {tags[ACCEPTED_TAG]}"
    return ""


def _above(value: float, floor: float) -> str:
    return "above" if value > floor else "NOT above"


def _score_table(metrics: Mapping[str, float]) -> str:
    headings = {"": "model", "floor_": "floor"}
    if "titles/champion_rougeL" in metrics:
        headings["champion_"] = "champion at that time"
    lines = [f"| | {' | '.join(headings.values())} |", f"|:---|{' ---: |' * len(headings)}"]
    for heading, group, name, number_format in CARD_ROWS:
        if f"{group}/{name}" in metrics:
            keys = [f"{group}/{prefix}{name}" for prefix in headings]
            cells = [format(metrics[key], number_format) if key in metrics else "" for key in keys]
            lines.append(f"| {heading} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _retrieval(metrics: Mapping[str, float]) -> str:
    if "retrieval/issues" not in metrics:
        return ""
    issues = metrics["retrieval/issues"]
    return (
        "R@k: how often a search for an issue's title, as `titler similar` does it, finds the issue's own "
        f"body among the k nearest of {issues:,.0f}. The floor is TF-IDF, which counts the words that title "
        f"and body share. By chance R@10 is {min(1, 10 / issues):.3f}."
    )


def _confidence(metrics: Mapping[str, float], precision: float) -> str:
    if "titles_confidence/alike" not in metrics:
        return ""
    auc = metrics["titles_confidence/auc"]
    warning = (
        ""
        if auc > LOW_CONFIDENCE_AUC
        else ": it separates good titles from poor ones hardly better than chance"
    )
    text = (
        f"Confidence: {metrics['titles_confidence/alike']:.0%} of its titles are close to the author's "
        f"(ROUGE-L over 0.3): {metrics['titles_confidence/alike_least_sure']:.0%} of the fifth with the "
        f"lowest confidence, {metrics['titles_confidence/alike_most_sure']:.0%} of the fifth with the "
        f"highest (AUC {auc:.2f}){warning}."
    )
    threshold = metrics["titles_confidence/abstain_below"]
    if threshold > 1:
        text += (
            f" It ALWAYS abstains: at no threshold were {precision:.0%} (model.abstain_precision) of the "
            "remaining titles close."
        )
    elif threshold > 0:
        text += f" It abstains below a confidence of {threshold:.2f}"
        text += f", chosen on these same issues so that {precision:.0%} are close." if precision else "."
    return text


def _probability(metrics: Mapping[str, float]) -> str:
    if "titles_probability/brier" not in metrics:
        return ""
    brier, share_alike = metrics["titles_probability/brier"], metrics["titles_probability/alike"]
    text = (
        "Probability that a title is close to the author's, on repositories that it was not fitted to: Brier "
        f"score {brier:.3f} (a constant {share_alike:.0%} would have {share_alike * (1 - share_alike):.3f}), "
        f"expected calibration error {metrics['titles_probability/calibration_error']:.3f}."
    )
    if (threshold := metrics["titles_probability/abstain_probability"]) > 0:
        text += (
            f" Below {threshold:.2f} it gives no title: it abstains on "
            f"{metrics['titles_probability/abstained']:.0%} of the issues"
        )
        share_close = metrics.get("titles_probability/alike_given")
        text += "." if share_close is None else f", and {share_close:.0%} of the other titles are close."
    return text


def _variety(metrics: Mapping[str, float]) -> str:
    distinct = metrics["titles/distinct"]
    warning = ": it gives nearly every issue the same title" if distinct < LOW_DISTINCT_SHARE else ""
    abstained = metrics["titles/abstained"]
    return (
        f"{distinct:.0%} of its titles are distinct{warning}; it abstained on {abstained:.0%} of the issues."
    )


def _limits(units: str) -> str:
    return (
        f"**Limits.** {LANGUAGES} *Private data:* it was trained only on public text, which can contain "
        f"names and secrets; {PRIVATE_DATA[units]} *Templates:* {TEMPLATES[units]}, so a title may repeat a "
        "form's words instead of the author's answers."
    )
