"""Opens presets. A preset is a network that others have trained, with its tokenizer.

A preset is given as a folder, as `hf://OWNER/NAME` (Hugging Face) or as `kaggle://OWNER/MODEL/keras/NAME`
(Kaggle). The preset's files have the format of KerasHub or that of Hugging Face. A preset is opened only to
train a model. The trained model has a copy of the preset's configuration and tokenizer, so nothing is
downloaded later.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
import keras_hub

from pipeline.errors import UsageError
from pipeline.networks.pretrained.t5_checkpoint import is_t5_checkpoint, load_t5
from pipeline.networks.pretrained.tokens import FORMATS

HUGGING_FACE, KAGGLE = "hf://", "kaggle://"
DOWNLOADED = ["*.json", "*.safetensors", "*.model", "*.txt", "*.spm", "*.h5", "*.md", "assets/*"]
"""Patterns of the files that are downloaded from Hugging Face. Weights in other formats are left out."""
_LICENCE = re.compile(r"^license(?:_name)?:\s*[\"']?([^\s\"'\[\]]+)", re.MULTILINE)
_FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---", re.DOTALL)


@dataclass(frozen=True)
class Origin:
    """The source of a preset, which is shown in the model's card."""

    preset: str
    """the preset as the user named it"""
    revision: str
    """the commit on Hugging Face; empty for other presets"""
    licence: str
    """the licence that the preset's README.md states; empty if it states none"""


def open_preset(name: str, dtype: str) -> tuple[Any, Origin]:
    """Returns the network of a preset, with its tokenizer, and the source of the preset.

    The network is an object of one of KerasHub's classes in FORMATS. `dtype` is the name of a Keras dtype
    policy. Raises UsageError if there is no such preset, or if its network cannot write titles.
    """
    folder = _folder(name)
    if folder is not None and is_t5_checkpoint(folder):
        task: Any = load_t5(folder, dtype)
    else:
        try:
            task = keras_hub.models.Seq2SeqLM.from_preset(str(folder) if folder else name, dtype=dtype)
        # KerasHub raises many types, also those of the libraries that download
        except Exception as error:
            raise _cannot_open(name, error) from None
    if type(task).__name__ not in FORMATS:
        raise UsageError(
            f"The preset {name} is a network of the kind {type(task).__name__}, which cannot write titles.",
            f"Choose a preset of one of these kinds: {', '.join(FORMATS)}",
        )
    return task, Origin(name, _revision(name, folder), _licence(folder))


def _folder(name: str) -> Path | None:
    """Returns the folder of a preset. A preset of Hugging Face is downloaded first.

    Returns None for a preset of Kaggle, because KerasHub downloads it.
    """
    if name.startswith(KAGGLE):
        return None
    if name.startswith(HUGGING_FACE):
        try:
            repository = name.removeprefix(HUGGING_FACE)
            return Path(huggingface_hub.snapshot_download(repository, allow_patterns=DOWNLOADED))
        # among others HFValidationError, RepositoryNotFoundError, OSError
        except Exception as error:
            raise _cannot_open(name, error) from None
    folder = Path(name)
    if not folder.is_dir():
        raise UsageError(
            f"model.preset is {name!r}, which is not a folder.",
            "Set it to a folder, hf://OWNER/NAME or kaggle://OWNER/MODEL/keras/NAME, for example:  "
            "TITLER_MODEL__PRESET=hf://google/flan-t5-small",
        )
    return folder


def _cannot_open(name: str, error: Exception) -> UsageError:
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return UsageError(
        f"The preset {name} cannot be opened: {reason}",
        "Check the setting model.preset, and that this machine can reach the preset.",
    )


def _revision(name: str, folder: Path | None) -> str:
    """Returns the commit of a preset from Hugging Face, and an empty string for any other preset.

    `folder` is the folder of the preset. Hugging Face's library names it after the commit.
    """
    return folder.name if folder is not None and name.startswith(HUGGING_FACE) else ""


def _licence(folder: Path | None) -> str:
    readme = folder / "README.md" if folder else None
    if readme is None or not readme.is_file():
        return ""
    front_matter = _FRONT_MATTER.match(readme.read_text(encoding="utf-8", errors="replace"))
    licence = _LICENCE.search(front_matter[1]) if front_matter else None
    return licence[1] if licence else ""
