"""A network from outside: what its ids stand for."""

import pytest

from pipeline.errors import UsageError
from pipeline.networks.in_keras import VARIANTS
from pipeline.networks.shape import NEAR_DUPLICATES, UNITS, units_of


def test_the_variant_decides_what_an_id_stands_for() -> None:
    assert [units_of(variant) for variant in ("gru", "gru_cudnn", "copy")] == ["words", "words", "subwords"]


def test_every_variant_reads_something() -> None:
    assert set(VARIANTS) <= set(UNITS)


def test_every_variant_says_what_is_near() -> None:
    assert list(NEAR_DUPLICATES) == list(UNITS)


def test_a_variant_that_there_is_not_is_refused() -> None:
    with pytest.raises(UsageError, match="'lstm' is no variant"):
        units_of("lstm")
