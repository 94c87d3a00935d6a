"""The table of the network's variants."""

import pytest

from pipeline.errors import UsageError
from pipeline.networks.in_keras.implementations import IMPLEMENTATIONS as IN_KERAS
from pipeline.networks.in_numpy.implementations import IMPLEMENTATIONS as IN_NUMPY
from pipeline.networks.variants import VARIANTS, variant_of


def test_the_variant_decides_what_an_id_stands_for() -> None:
    units = [variant_of(variant).units for variant in ("gru", "gru_cudnn", "copy")]
    assert units == ["words", "words", "subwords"]


def test_every_variant_that_reads_ids_has_an_implementation_in_keras_and_one_in_numpy() -> None:
    of_ids = [name for name, variant in VARIANTS.items() if not variant.reads_texts]
    assert list(IN_KERAS) == list(IN_NUMPY) == of_ids


def test_an_unknown_variant_is_refused_with_a_list_of_the_variants() -> None:
    with pytest.raises(UsageError, match=r"(?s)'lstm' is not a variant.*gru, gru_cudnn, copy"):
        variant_of("lstm")
