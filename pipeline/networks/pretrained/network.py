"""The variant `pretrained` with its weights: it embeds issues, and writes titles for texts.

The two tasks have different inputs. The embedding is computed from the units (subwords) of the model's
vocabulary, as in the variant `copy`. The title network reads texts, which its own tokenizer splits.

The files of a network are:

- `shape.json`: the sizes of the embedding, and the lengths of bodies and titles
- `network.keras`: the table of the embeddings, which NumPy can read without Keras
- `title_network.json`: the configuration of the title network, and the origin of its preset
- `title_network.weights.h5`: the weights of the title network
- `vocabulary.*`, `merges.txt`: the files of the tokenizer, whose names KerasHub chooses
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np
import numpy.typing as npt
from keras import ops

from pipeline.errors import LakeError
from pipeline.networks.bag_of_units import embedding
from pipeline.networks.in_keras.devices import default_device
from pipeline.networks.in_keras.length_bucketing import bucketed, lengths, trimmed
from pipeline.networks.in_keras.network import padded_batches
from pipeline.networks.in_keras.teacher_forcing import TeacherForcing, over_targets
from pipeline.networks.in_numpy.weights_file import read_table
from pipeline.networks.pretrained.presets import Origin, open_preset
from pipeline.networks.pretrained.title_model import TitleModel, TitleSearch
from pipeline.networks.pretrained.tokens import END, FIRST_TOKEN, Tokens
from pipeline.networks.shape import (
    BATCH_SIZE,
    PAD,
    REPLACE_OR_RETRAIN,
    WEIGHTS_FILE,
    Description,
    Floats,
    Ids,
    Shape,
)
from pipeline.networks.variants import variant_of

VARIANT = "pretrained"
CONFIG_FILE = "title_network.json"
TITLE_WEIGHTS_FILE = "title_network.weights.h5"
GRADIENT_NORM_LIMIT = 1.0
MAX_HYPOTHESES = 256
"""Maximum number of hypotheses (partial titles) that are decoded together. Their caches are the largest
arrays: 7 MiB per hypothesis for FLAN-T5 small, with bodies of 256 tokens, in float32."""


@dataclass(frozen=True)
class Fitting:
    """The settings with which the title network is fine-tuned."""

    precision: str = "float32"
    """`float32`, or `bfloat16`: computes in bfloat16, with weights in float32"""
    batch_tokens: int = 16384
    """maximum number of body tokens in a training batch, padding included"""
    accumulation_steps: int = 1
    """number of training batches whose gradients are averaged before the weights change"""


@dataclass(frozen=True)
class Written:
    """The titles that the network wrote for n bodies, with their mean log probabilities."""

    titles: list[str]
    log_probability: Floats
    """mean natural logarithm of the probabilities of a title's tokens, including that of _end_: (n,)"""


class PretrainedNetwork:
    """A network of the variant `pretrained`, for training and inference. Its weights are in `model`."""

    def __init__(self, task: Any, origin: Origin, shape: Shape, fitting: Fitting) -> None:
        """`task` is a network of KerasHub with a tokenizer. `shape` has the sizes of the embedding, and the
        lengths of bodies and titles. The embedding measures these lengths in units (subwords), and the title
        network measures them in tokens."""
        self.variant = VARIANT
        self.shape = shape
        self.shortlist: Ids | None = None
        self.eight_bits = False
        """never used: decoding considers all tokens of the preset"""
        self.origin = origin
        self.fitting = fitting
        self.tokens = Tokens(task.preprocessor.tokenizer, type(task).__name__)
        self.model = TitleModel(task, self.tokens, shape.body_vocabulary, shape.hidden_size)
        self._searches: dict[int, TitleSearch] = {}

    @classmethod
    def from_preset(cls, preset: str, shape: Shape, fitting: Fitting, seed: int) -> PretrainedNetwork:
        """Returns a network with the weights of a preset, and a random table of embeddings.

        Sets the random seeds of Python, NumPy and the backend. Raises UsageError if the preset cannot be
        opened.
        """
        keras.utils.set_random_seed(seed)
        task, origin = open_preset(preset, _dtype(fitting.precision))
        return cls(task, origin, shape, fitting)

    @property
    def identity(self) -> dict[str, Any]:
        """The facts that identify this network in a checkpoint, besides the network's shape and variant."""
        config = json.dumps(self._config(), sort_keys=True, default=str)
        return {"fitting": asdict(self.fitting), "title_network": hashlib.sha256(config.encode()).hexdigest()}

    def teacher_forcing(self) -> TeacherForcing:
        """Returns the model, the loss, the metrics and the settings with which the title network is
        trained."""
        return over_targets(
            self.model,
            self.shape.title_length,
            functools.partial(bucketed, tokens=self.fitting.batch_tokens),
            gradient_norm_limit=GRADIENT_NORM_LIMIT,
            optimizer=self._optimizer,
        )

    def _optimizer(self, learning_rate: float, global_clipnorm: float | None) -> keras.Optimizer:
        """Creates Nadam, which averages the gradients of `accumulation_steps` training batches."""
        steps = self.fitting.accumulation_steps
        return keras.optimizers.Nadam(
            learning_rate,
            global_clipnorm=global_clipnorm,
            gradient_accumulation_steps=steps if steps > 1 else None,
        )

    def token_ids(
        self, bodies: Sequence[str], titles: Sequence[str], complete: npt.NDArray[np.bool_]
    ) -> tuple[Ids, Ids]:
        """Converts the prepared bodies and titles of n issues to a training batch: the ids of the bodies
        (n, body_length) and of the titles (n, title_length).

        `complete` (n,) says which titles were not cut. The other titles get no _end_, so that the network
        does not learn to stop in the middle of a word.
        """
        title_ids = self.tokens.title_ids(titles, self.shape.title_length)
        title_ids[(title_ids == END) & ~complete[:, None]] = PAD
        return self.tokens.body_ids(bodies, self.shape.body_length), title_ids

    def encode(
        self, body_ids: npt.ArrayLike, batch_size: int = BATCH_SIZE, *, title_ids: npt.ArrayLike | None = None
    ) -> Floats:
        """Returns the embeddings (n, hidden_size) of n issues.

        Bodies are ids (n, body_length). Titles are ids (n, title_length), or None to embed bodies alone.
        Raises UsageError for ids that do not fit the network's shape.
        """
        bodies = self.shape.checked_bodies(body_ids)
        titles = None if title_ids is None else self.shape.checked_titles(title_ids, len(bodies))
        return embedding(np.asarray(ops.convert_to_numpy(self.model.table.embeddings)), bodies, titles)

    def write(self, bodies: Sequence[str], batch_size: int = BATCH_SIZE, beam_width: int = 0) -> Written:
        """Writes titles for prepared texts, by beam search.

        A beam width of 1 is greedy decoding. 0 stands for the variant's default beam width.
        """
        width = beam_width or variant_of(VARIANT).beam_width
        ids = self.tokens.body_ids(bodies, self.shape.body_length)
        order = np.argsort(lengths(ids), kind="stable")
        search = self._search(width)
        titles, scores = [], []
        for batch, rows in padded_batches(ids[order], min(batch_size, max(1, MAX_HYPOTHESES // width))):
            decoded = search.predict_on_batch(trimmed(batch))
            titles += self.tokens.texts(np.asarray(decoded[0])[:rows])
            scores += np.asarray(decoded[2])[:rows].tolist()
        original_order = np.argsort(order)
        return Written([titles[row] for row in original_order], np.array(scores, np.float32)[original_order])

    def _search(self, width: int) -> TitleSearch:
        if width not in self._searches:
            vocabulary = FIRST_TOKEN + self.model.task.backbone.vocabulary_size
            sizes = Shape(vocabulary, vocabulary, self.shape.body_length, self.shape.title_length)
            self._searches[width] = TitleSearch(self.model, sizes, width)
        return self._searches[width]

    def save(self, directory: Path) -> None:
        """Writes the files of the network into `directory`, which is created if it does not exist."""
        directory.mkdir(parents=True, exist_ok=True)
        Description(VARIANT, self.shape, self.shortlist).write(directory)
        # a model of its own, so that the table is read without the title network
        units = keras.Input((None,), dtype="int32")
        keras.Model(units, self.model.table(units)).save(directory / WEIGHTS_FILE)
        self.model.task.backbone.save_weights(directory / TITLE_WEIGHTS_FILE)
        self.model.task.preprocessor.tokenizer.save_assets(str(directory))
        config = json.dumps(self._config(), indent=2, sort_keys=True)
        (directory / CONFIG_FILE).write_text(config + "\n", encoding="utf-8")

    def _config(self) -> dict[str, Any]:
        backbone = {
            name: value
            for name, value in self.model.task.backbone.get_config().items()
            if name not in ("dtype", "name", "trainable")
        }
        return {
            "kind": type(self.model.task).__name__,
            "backbone": backbone,
            "origin": asdict(self.origin),
            "fitting": asdict(self.fitting),
        }

    @classmethod
    def load(cls, directory: Path) -> PretrainedNetwork:
        """Loads the network that `save` wrote into a folder. Raises LakeError if a file is missing or
        damaged, or if weights are not finite numbers."""
        shape = Description.read(directory).shape
        try:
            config = json.loads((directory / CONFIG_FILE).read_text(encoding="utf-8"))
            fitting, origin = Fitting(**config["fitting"]), Origin(**config["origin"])
            task = _task(config, directory, fitting.precision)
            network = cls(task, origin, shape, fitting)
            network.model.table.embeddings.assign(read_table(directory))
        except LakeError:
            raise
        # Keras and h5py raise many types: ValueError, KeyError, TypeError, OSError
        except Exception as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise LakeError(
                f"The files of the title network in {directory} are damaged: {reason}", REPLACE_OR_RETRAIN
            ) from None
        if not all(np.isfinite(weights).all() for weights in network.model.get_weights()):
            raise LakeError(f"{directory} has weights that are not finite numbers.", REPLACE_OR_RETRAIN)
        return network


def _task(config: dict[str, Any], directory: Path, precision: str) -> Any:
    """Returns the title network that is stored in a folder, with its tokenizer."""
    kind = getattr(keras_hub.models, config["kind"])
    # On a CPU, computing in bfloat16 would be slower than in float32.
    on_cpu = default_device().startswith("cpu")
    dtype = _dtype("float32" if on_cpu else precision)
    backbone = kind.backbone_cls.from_config({**config["backbone"], "dtype": dtype})
    backbone.load_weights(directory / TITLE_WEIGHTS_FILE)
    tokenizer = kind.preprocessor_cls.tokenizer_cls(**_NO_VOCABULARY[config["kind"]])
    tokenizer.load_assets(str(directory))
    return kind(backbone, kind.preprocessor_cls(tokenizer))


_NO_VOCABULARY: dict[str, dict[str, Any]] = {
    "T5Seq2SeqLM": {"proto": None},
    "T5GemmaSeq2SeqLM": {"proto": None},
    "BartSeq2SeqLM": {"vocabulary": None, "merges": None},
}
"""The arguments with which KerasHub makes a tokenizer whose files are read later."""


def _dtype(precision: str) -> str:
    """Returns the name of Keras's dtype policy for a precision."""
    return "mixed_bfloat16" if precision == "bfloat16" else precision
