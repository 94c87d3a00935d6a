"""Explains the predicted title of an issue: what the model read, the titles that it considered, what it
copied from the body, and why it gave no title."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pipeline.contracts import PREDICTOR, TITLE_PREDICTIONS
from pipeline.errors import TitlerError
from pipeline.lake.pinned import Pinned
from pipeline.predictor.explanation import (
    abstention_reasons,
    candidates,
    copied_units,
    has_only_template,
    read_text,
)
from pipeline.predictor.loading import load_light_predictor
from pipeline.predictor.predictor import Model
from pipeline.releases.withheld_titles import WITHHELD
from pipeline.serving.stored_issue import issue_rows, open_files

CONFIDENCE_TOLERANCE = 1e-3
"""Two computations of a confidence may differ by this much, because Keras and NumPy round differently."""


def published_row(release: Pinned, day: str, issue_id: int) -> dict[str, Any] | None:
    """Returns an issue's row of title_predictions_v1, or None if the release has no titles yet."""
    if TITLE_PREDICTIONS.name not in release.members:
        return None
    batch = next(each for each in release.members[TITLE_PREDICTIONS.name] if each.day == day)
    (row,) = issue_rows(open_files(release.lake, batch), issue_id)
    return dict.fromkeys(TITLE_PREDICTIONS.schema.names) | row  # earlier versions have fewer columns


def explain_model(release: Pinned, row: Mapping[str, Any] | None) -> dict[str, Any]:
    """Describes the model that made the title of an issue. `row` is the issue's row of title_predictions_v1.
    If `row` is None, describes the model of the release. The key `keeps_earlier_titles` is true if the title
    was made by an earlier champion instead of the model of the release. A champion is the model that releases
    use."""
    of_title = row or release.facts
    embedding = release.facts.get("embedding")
    return {
        "name": of_title["model"],
        "version": of_title["model_version"],
        "mlflow_run": of_title["mlflow_run"],
        "vocabulary": of_title["vocabulary"],
        "variant": _variant(release, of_title["model"]),
        "keeps_earlier_titles": of_title["model"] != release.facts["model"],
        "embedding_model": embedding["model"] if embedding else release.facts["model"],
    }


def explain_title(
    release: Pinned, model: str, body: str | None, row: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Returns the published title of an issue, and what `model` computes now from its `body`:

    - `published`: the release's `title`, `confidence`, `probability` and `abstained`, or None
    - `withheld`: why the release shows no titles of `model`; None if it shows them
    - `read`: the part of the body that the model reads, and the part that it does not: see `ReadText`
    - `only_template`: whether the body is an issue template into which the author wrote nothing
    - `computed_now`: the same keys as `published`, with the values that `model` computes now. A further key,
      `agrees`, says whether title and confidence are as published. It is None if nothing is published
    - `limits`: the `confidence` and the `probability` below which the model gives no title
    - `abstained_because`: each reason why there is no title, with its explanation; empty if there is a title
    - `candidates`: the complete titles that the beam search found, the most probable one first
    - `copied`: the units (subwords) of the first candidate, each with the share of its probability that
      comes from copying; None if there is no candidate or if the network cannot copy
    - `problem`: why nothing could be computed, or None

    Computes with NumPy. Imports TensorFlow only if the network is a pre-trained one.
    """
    published = row and {
        "title": row["predicted_title"],
        **{name: row[name] for name in ("confidence", "probability", "abstained")},
    }
    withheld = release.facts.get(WITHHELD) if model == release.facts["model"] else None
    names = ("read", "computed_now", "limits", "abstained_because", "candidates", "copied")
    value = {
        "published": published,
        "withheld": withheld,
        "only_template": has_only_template(body),
        **dict.fromkeys(names),
        "problem": None,
    }
    try:
        predictor = load_light_predictor(release.lake, _predictor_folder(release, model))
    except TitlerError as error:
        return value | {"problem": error.message}
    return value | _computed(predictor, body, published, withheld)


def _variant(release: Pinned, model: str) -> str | None:
    """Returns the variant of a model's network, or None if the model was removed or is damaged."""
    try:
        return str(release.lake.manifest(_predictor_folder(release, model)).figures["variant"])
    except TitlerError:
        return None


def _predictor_folder(release: Pinned, model: str) -> str:
    """Returns the folder of a model's predictor. `model` is the release's model or an earlier champion."""
    if model == release.facts["model"]:
        return str(release.facts["predictor"])
    return Pinned(release.lake, "models", model).members[PREDICTOR][0].folder


def _computed(
    predictor: Model, body: str | None, published: Mapping[str, Any] | None, withheld: str | None
) -> dict[str, Any]:
    """Returns the values of `explain_title` that are computed now."""
    (prediction,) = predictor.predict([body])
    body_ids = predictor.vectors([body])
    titles = candidates(predictor, body_ids) if predictor.vocabularies.body.has_known(body_ids).all() else []
    units = copied_units(predictor, body_ids, titles[0]) if titles else None
    of_title = published or {"confidence": prediction.confidence, "probability": prediction.probability}
    reasons = abstention_reasons(predictor, body, of_title["confidence"], of_title["probability"])
    if withheld:
        reasons = {"withheld": f"the titles of this model are withheld: {withheld}", **reasons}
    return {
        "read": asdict(read_text(predictor, body or "")),
        "computed_now": {
            "title": prediction.title,
            "confidence": float(prediction.confidence),
            "probability": prediction.probability,
            "abstained": bool(prediction.abstained),
            "agrees": published
            and published["title"] == prediction.title
            and abs(published["confidence"] - prediction.confidence) < CONFIDENCE_TOLERANCE,
        },
        "limits": {"confidence": predictor.abstain_below, "probability": predictor.abstain_probability},
        "abstained_because": reasons,
        "candidates": [
            {
                "title": title.title,
                "confidence": title.confidence,
                "log_probability": title.log_probability,
            }
            for title in titles
        ],
        "copied": units and [asdict(unit) for unit in units],
    }
