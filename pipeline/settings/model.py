"""The section `model` of the settings: the network, its training, and when its titles are shown."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.settings.section import Section


class Model(Section):
    """Which network is trained, and how. The default sizes are those of the article behind Titler."""

    variant: str = Field(
        default="copy", description="network: copy, gru (the article's) or gru_cudnn (gru for cuDNN on a GPU)"
    )
    embedding: Literal["champion", "new"] = Field(
        default="champion",
        description="copy: a new model takes the champion's embedding network and vocabularies, if sizes and "
        "text settings are the same (champion), or trains its own (new)",
    )
    embedding_size: int = Field(
        default=300,
        ge=1,
        description="size of a word's or subword's vector; copy: must equal hidden_size",
    )
    hidden_size: int = Field(
        default=300, ge=1, description="size of an issue's embedding and of the network's hidden layers"
    )
    learning_rate: float = Field(
        default=0.001,
        gt=0,
        description="Nadam's initial rate; copy lowers it in the second half of the epochs",
    )
    batch_size: int = Field(default=64, ge=1, description="issues per training batch; 1200 suits a large GPU")
    epochs: int = Field(default=7, ge=1, description="maximum number of training epochs")
    patience: int = Field(
        default=2, ge=1, description="training stops after this many epochs without a lower validation loss"
    )
    contrast_epochs: int = Field(
        default=6,
        ge=1,
        description="copy: number of epochs that train a new embedding network, before the epochs that train "
        "titles",
    )
    inference_batch_size: int = Field(
        default=512, ge=1, description="number of issues that are decoded together"
    )
    beam_width: int = Field(
        default=0,
        ge=0,
        description="candidate titles kept per step of beam search; 0: the network's default (gru 1, copy 4)",
    )
    promotion_margin: float = Field(
        default=0.5,
        ge=0,
        description="points of ROUGE-L (0 to 100) by which a new champion may be worse than the old",
    )
    promotion_retrieval_margin: float = Field(
        default=0.02,
        ge=0,
        le=1,
        description="R@10 (0 to 1) by which a new champion may be worse than the old",
    )
    floor_margin: float = Field(
        default=1.0,
        ge=0,
        description="points of ROUGE-L (0 to 100) by which titles must beat the body's first words; "
        "otherwise they are withheld",
    )
    abstain_below: float = Field(
        default=0.0, ge=0, le=1, description="confidence below which the model predicts no title"
    )
    abstain_precision: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="if above 0: training sets abstain_below so high that this share of the predicted titles "
        "has a ROUGE-L over 0.3",
    )
    abstain_probability: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="smallest probability (of being like the author's title) with which a title is predicted",
    )
    seed: int = Field(default=42, ge=0, description="random seed of the initial weights and of shuffling")
    sample_titles: int = Field(default=50, ge=0, description="predicted validation titles logged to MLflow")


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
ADDED_SETTINGS = frozenset({"floor_margin", "abstain_probability", "embedding"})
"""Settings under `model.*` that 0.1.0 did not have. The key of a model that 0.1.0 created must not depend on
them. Otherwise a newer version would not find that model."""
