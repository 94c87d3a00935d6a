"""Part of the stage `train`: builds the network, and the training batches of its title network.

The lake stores the issues as ids of the model's vocabularies. But a title network of the variant `pretrained`
has a tokenizer of its own. For this variant, the ids are converted back to text, and the tokenizer splits
this text. The ids stand for subwords, and joining the subwords gives back the prepared text without its line
breaks. In this way, models of the variants `pretrained` and `copy` read the same table vectors_v1, and all
later stages treat them alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from pipeline.dataset.training_batches import Ids
from pipeline.networks.variants import require_libraries, variant_of
from pipeline.stages.training_inputs import TrainingInputs
from pipeline.text.vocabulary import Vocabularies

if TYPE_CHECKING:
    from pipeline.networks.in_keras.network import Network
    from pipeline.networks.pretrained.network import PretrainedNetwork

Data = Callable[[int], Iterator[tuple[Ids, Ids]]]
"""A function that takes the number of an epoch, and yields its training batches: bodies and titles."""


def build_network(inputs: TrainingInputs) -> Network | PretrainedNetwork:
    """Returns the network to train: with random weights, or with the weights of the preset `model.preset`.

    Raises UsageError if the preset cannot be opened, or if a library that it needs is not installed.
    """
    settings = inputs.network_settings
    variant = settings["variant"]
    if not variant_of(variant).reads_texts:
        from pipeline.networks.in_keras import build

        return build(variant, inputs.shape, seed=settings["seed"])
    require_libraries(variant)
    from pipeline.networks.pretrained.network import Fitting, PretrainedNetwork

    fitting = Fitting(settings["precision"], settings["batch_tokens"], settings["accumulation_steps"])
    return PretrainedNetwork.from_preset(settings["preset"], inputs.shape, fitting, settings["seed"])


def origin(network: Network | PretrainedNetwork) -> dict[str, str]:
    """Returns the source of the network's preset, as parameters of the run in MLflow. Returns an empty dict
    if the network has no preset."""
    facts = getattr(network, "origin", None)
    if facts is None:
        return {}
    return {"preset_revision": facts.revision, "preset_licence": facts.licence}


def title_batches(network: Network | PretrainedNetwork, vocabularies: Vocabularies, data: Data) -> Data:
    """Converts the batches `data` from ids of the vocabularies to ids that the title network reads. Returns
    `data` itself if the network has no tokenizer of its own."""
    token_ids: Any = getattr(network, "token_ids", None)
    if token_ids is None:
        return data

    def batches(epoch: int) -> Iterator[tuple[Ids, Ids]]:
        for bodies, titles in data(epoch):
            yield token_ids(
                [vocabularies.body.text_of(ids) for ids in bodies],
                [vocabularies.title.text_of(ids) for ids in titles],
                (titles == vocabularies.title.end).any(axis=1),
            )

    return batches
