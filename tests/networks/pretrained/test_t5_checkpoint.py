"""A T5 checkpoint in the format of Hugging Face becomes the same network in KerasHub."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("keras_hub", reason="needs the extra `pretrained`: make install")

from pipeline.errors import UsageError
from pipeline.networks.pretrained.t5_checkpoint import is_t5_checkpoint, load_t5
from tests.networks.pretrained import t5_in_numpy
from tests.networks.pretrained.tiny_presets import write_t5


@pytest.mark.parametrize("flan", [True, False])
def test_a_converted_checkpoint_gives_the_probabilities_of_t5(flan: bool, tmp_path: Path) -> None:
    tensors = write_t5(tmp_path, flan=flan)
    config = json.loads((tmp_path / "config.json").read_text())
    body, title = [*range(5, 45), 1], [0, 9, 8, 7, 30, 4]
    logits = load_t5(tmp_path, "float32")(
        {
            "encoder_token_ids": np.array([[*body, 0, 0]]),
            "encoder_padding_mask": np.array([[1] * len(body) + [0, 0]]),
            "decoder_token_ids": np.array([title]),
            "decoder_padding_mask": np.ones((1, len(title)), int),
        }
    )
    logs = np.asarray(logits)[0].astype(np.float64)
    logs -= np.log(np.exp(logs).sum(axis=-1, keepdims=True))
    expected = t5_in_numpy.log_probabilities(tensors, config, body, title)
    np.testing.assert_allclose(logs, expected, atol=2e-4)


def test_the_tokenizer_is_that_of_the_checkpoint(tmp_path: Path) -> None:
    write_t5(tmp_path, layers=1)
    tokenizer = load_t5(tmp_path, "float32").preprocessor.tokenizer
    ids = tokenizer.tokenize(["the window closes"])[0]
    assert tokenizer.detokenize([ids]) == ["the window closes"]


def test_only_a_folder_with_a_t5_configuration_is_a_t5_checkpoint(tmp_path: Path) -> None:
    assert not is_t5_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bart"}')
    assert not is_t5_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "t5"}')
    assert is_t5_checkpoint(tmp_path)


def test_a_checkpoint_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    write_t5(tmp_path, layers=1)
    (tmp_path / "spiece.model").unlink()
    with pytest.raises(UsageError, match=r"spiece\.model is missing"):
        load_t5(tmp_path, "float32")


def test_a_checkpoint_without_weights_is_refused(tmp_path: Path) -> None:
    write_t5(tmp_path, layers=1)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(UsageError, match=r"no readable tensor shared\.weight"):
        load_t5(tmp_path, "float32")


def test_a_network_that_kerashub_does_not_support_is_refused(tmp_path: Path) -> None:
    write_t5(tmp_path, layers=1)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "feed_forward_proj": "gated-silu"}))
    with pytest.raises(UsageError, match="feed_forward_proj = gated-silu"):
        load_t5(tmp_path, "float32")
