"""What the title network of a model learns from."""

from __future__ import annotations

from typing import Any

from pipeline.stages.title_network import title_batches
from tests.predictor.small_predictors import SUBWORDS


class Recorder:
    """Stands for a network that reads texts; returns the texts that it gets."""

    def token_ids(self, *texts: object) -> tuple[object, ...]:
        return texts


def test_a_title_network_that_reads_texts_gets_what_the_units_spell() -> None:
    bodies = SUBWORDS.body.ids(["It CRASHED"])
    titles = SUBWORDS.title.ids(["Bug", "It crashed again and again and again"])
    batches = title_batches(
        Recorder(),  # type: ignore[arg-type]
        SUBWORDS,
        lambda epoch: iter([(bodies, titles)]),
    )
    texts: tuple[Any, ...] = next(batches(1))
    body_texts, title_texts, complete = texts
    assert "it crashed".startswith(body_texts[0])
    assert title_texts[0] == "bug"
    assert complete.tolist() == [True, False]  # the second title has more units than fit
