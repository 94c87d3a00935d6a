"""What a model reads of a body, and why it gives no title."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pipeline.networks.shape import Shape
from pipeline.predictor.explanation import ReadText, abstention_reasons, has_only_template, read_text
from pipeline.predictor.predictor import Model
from pipeline.text.subwords import BytePairEncoding, SubwordVocabulary
from pipeline.text.vocabulary import Vocabularies, Vocabulary

UNITS = BytePairEncoding.fit(["the window crash", "a crash of the window"], 280)


def model(variant: str, vocabularies: Vocabularies, **limits: float) -> Model:
    """A model whose network is never run."""
    body, title = vocabularies.body, vocabularies.title
    shape = Shape(body.size, title.size, body.length, title.length)
    network = cast(Any, SimpleNamespace(variant=variant, shape=shape))
    return Model(
        "m", network, vocabularies, "titler", limits.pop("abstain_below", 0.0), 16, **cast(Any, limits)
    )


SUBWORDS = model(
    "copy",
    Vocabularies(SubwordVocabulary(UNITS, 3, start_end=False), SubwordVocabulary(UNITS, 3, start_end=True)),
    abstain_below=0.2,
    abstain_probability=0.5,
)
WORDS = model(
    "gru",
    Vocabularies(
        Vocabulary(("crash", "window"), 3, "pre", False),
        Vocabulary(("_start_", "_end_", "crash"), 4, "post", True),
    ),
)


def test_a_model_of_subwords_reads_a_window_of_the_cleaned_body() -> None:
    body = "The **window** crash of the window<!-- a comment -->"
    assert read_text(SUBWORDS, body) == ReadText("subwords", 8, 3, "the window crash", "of the window", ())


def test_a_model_of_words_reads_a_window_and_does_not_know_all_words() -> None:
    assert read_text(WORDS, "A crash, a window, a crash") == ReadText(
        "words", 6, 3, "a crash a", "window a crash", ("a",)
    )
    assert read_text(WORDS, "Crash!") == ReadText("words", 1, 3, "crash", "", ())


@pytest.mark.parametrize(
    ("body", "confidence", "probability", "reasons"),
    [
        ("The window crash", 0.9, 0.8, {}),
        (None, 0.0, None, {"empty_body": "the issue has no body"}),
        (
            "<!-- nothing -->",
            0.0,
            None,
            {"no_known_words": "no word of the body, after cleaning, is in the model's vocabulary"},
        ),
        ("The window", 0.0, None, {"nothing_written": "the network wrote no title"}),
        (
            "The window",
            0.1,
            0.25,
            {
                "low_confidence": "the confidence 0.100 is below the model's limit 0.200",
                "low_probability": "the probability 0.250 that the title is like its author's is below the "
                "model's limit 0.500",
            },
        ),
    ],
)
def test_a_model_abstains_for_reasons(
    body: str | None, confidence: float, probability: float | None, reasons: dict[str, str]
) -> None:
    assert abstention_reasons(SUBWORDS, body, confidence, probability) == reasons


def test_a_template_that_nobody_filled_in_is_recognised() -> None:
    assert has_only_template("### Steps to reproduce\n<!-- tell us -->\n\n### Expected behavior\n")
    assert not has_only_template("### Steps to reproduce\nClick on the red button\n")
    assert not has_only_template("")
