"""The section `model` of the settings: which network is trained, how it is trained, and when titles are
shown."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.settings.section import Section


class Model(Section):
    """Which network is trained, and how. The default sizes are those of the article of 2018 that Titler is
    based on."""

    variant: str = Field(
        default="copy",
        description='name of the network to train: "copy", which can copy text from the body into the title; '
        '"gru", the network of the article that Titler grew out of (Hamel Husain, 2018); "gru_cudnn", a '
        'variant of "gru" that is faster on a GPU; or "pretrained", which fine-tunes a network that others '
        "trained, for GPUs",
    )
    preset: str = Field(
        default="",
        description='if model.variant is "pretrained": the network to fine-tune. A folder, hf://OWNER/NAME '
        "(Hugging Face) or kaggle://OWNER/MODEL/keras/NAME (Kaggle)",
    )
    embedding: Literal["champion", "new"] = Field(
        default="champion",
        description='if model.variant is "copy" or "pretrained": where a new model gets its embedding '
        'network and vocabularies. With "new", it trains its own. With "champion", it takes those of the '
        "champion if the champion has the same sizes and text settings; otherwise it trains its own",
    )
    embedding_size: int = Field(
        default=300,
        ge=1,
        description='length of the vector of a word or subword. If model.variant is "copy", it must equal '
        "model.hidden_size",
    )
    hidden_size: int = Field(
        default=300,
        ge=1,
        description="length of an issue's embedding, and size of the network's hidden layers",
    )
    learning_rate: float = Field(
        default=0.0,
        ge=0,
        description="initial learning rate. Set to 0 for the network's default: 0.001 for gru and gru_cudnn, "
        "0.006 for copy, 0.0003 for pretrained. Each epoch that does not lower the validation loss halves "
        'the learning rate. If model.variant is "copy" or "pretrained", the rate also falls linearly, '
        "from this value to 0 over the epochs",
    )
    batch_tokens: int = Field(
        default=16384,
        ge=1,
        description='if model.variant is "pretrained": maximum number of body tokens per training batch, '
        "including padding",
    )
    accumulation_steps: int = Field(
        default=1,
        ge=1,
        description='if model.variant is "pretrained": number of training batches whose gradients are '
        "averaged before the weights change. Raise it if model.batch_tokens must be low because the GPU has "
        "little memory",
    )
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32",
        description='if model.variant is "pretrained": number format of the computations. bfloat16 is faster '
        "on a GPU and needs less memory; the weights stay in float32",
    )
    batch_size: int = Field(
        default=64, ge=1, description="number of issues per training batch. 1200 suits a large GPU"
    )
    epochs: int = Field(default=7, ge=1, description="maximum number of training epochs")
    patience: int = Field(
        default=2,
        ge=1,
        description="training stops after this number of consecutive epochs without a lower validation loss",
    )
    contrast_epochs: int = Field(
        default=6,
        ge=1,
        description='if model.variant is "copy" or "pretrained": number of epochs that train a new embedding '
        "network. They come before the epochs that train titles",
    )
    inference_batch_size: int = Field(
        default=512, ge=1, description="number of issues whose titles are predicted together"
    )
    beam_width: int = Field(
        default=0,
        ge=0,
        description="number of candidate titles that beam search keeps at each step. Set to 0 for the "
        'network\'s default: 4 if model.variant is "copy" or "pretrained", otherwise 1',
    )
    promotion_margin: float = Field(
        default=0.5,
        ge=0,
        description="largest allowed drop in ROUGE-L (0 to 100) from the current champion to a model that "
        "replaces it",
    )
    promotion_retrieval_margin: float = Field(
        default=0.02,
        ge=0,
        le=1,
        description="largest allowed drop in recall@10 (0 to 1) from the current champion to a model that "
        "replaces it",
    )
    floor_margin: float = Field(
        default=1.0,
        ge=0,
        description="margin in ROUGE-L (0 to 100) by which a model's titles must beat the first words of the "
        "body. Otherwise its titles are withheld: stored, but not shown",
    )
    abstain_below: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="minimum confidence (0 to 1) of a predicted title. Below it, the model gives no title",
    )
    abstain_precision: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="minimum share (0 to 1) of good titles among the titles that a model gives. A title is "
        "good if its ROUGE-L against the author's title is over 0.3. Training raises the model's minimum "
        "confidence until this share is reached. Set to 0 to use model.abstain_below",
    )
    abstain_probability: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="minimum probability (0 to 1) that a predicted title is like the author's title (its "
        "ROUGE-L is over 0.3). Below this probability, the model gives no title",
    )
    seed: int = Field(
        default=42, ge=0, description="random seed of the initial weights and of the order of the issues"
    )
    sample_titles: int = Field(
        default=50,
        ge=0,
        description="number of validation issues whose predicted titles are logged to MLflow as samples",
    )


NOT_TRAINING_SETTINGS = frozenset(
    {
        "promotion_margin",
        "promotion_retrieval_margin",
        "floor_margin",
        "sample_titles",
        "inference_batch_size",
        "beam_width",
    }
)
"""Settings under `model.*` that training does not read, so its MLflow run does not log them as parameters."""
PRESET_SETTINGS = frozenset({"preset", "batch_tokens", "accumulation_steps", "precision"})
"""Settings under `model.*` that only the network `pretrained` reads."""
ADDED_SETTINGS = frozenset({"floor_margin", "abstain_probability", "embedding"}) | PRESET_SETTINGS
"""Settings under `model.*` that 0.1.0 did not have. The key of a model that 0.1.0 created must not depend on
them. Otherwise a newer version would not find that model."""
