"""The subword vocabulary, for text mixed with code: byte-pair encoding (Sennrich et al. 2016, "Neural Machine
Translation of Rare Words with Subword Units") on bytes, as in GPT-2, so that every text can be encoded.

A text is split into words: a run of letters, of digits or of other characters, with the blank in front of it,
or a line break. The bytes of a word are merged pair by pair, in the order in which the merges were learned. A
unit that starts with a blank starts a word, so that joining units gives text again.

Ids: 0 is padding, 1 is unknown and never occurs, 2 is `_start_`, 3 is `_end_`, the 256 bytes follow from 4,
then the merged units in order. Bodies and titles share one table, so that a network can copy from a body into
its title.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from pipeline.errors import LakeError, UsageError
from pipeline.networks.shape import PAD, REPLACE_OR_RETRAIN
from pipeline.text.markup import JOINER, prepare
from pipeline.text.padding import pad

START_ID: Final = 2
END_ID: Final = 3
FIRST_UNIT: Final = 4
BYTES: Final = 256
MAX_TRAINING_ISSUES: Final = 100_000
"""Issues that merges are learned from. Merges learned from a quarter as many issues split texts into as few
units (within 0.1%). The texts are in memory at the same time and take about 65 MB."""
MAX_UNIT_BYTES: Final = 16
"""A longer unit is a phrase of some issue template."""
CACHED_WORDS: Final = 200_000
"""Words whose ids are cached, in about 60 MB: a worker encodes the same words again and again."""

_WORDS: Final = re.compile(
    rf"\n| ?[^\W\d_]{{1,32}}| ?\d{{1,8}}| ?(?:[^\w\s{JOINER}]|_){{1,8}}"
)  # bounded: some texts are a single endless word
_FIELDS: Final = {"length", "merges", "start_end"}


def _use_one_thread() -> None:
    """Titler runs one process per core already, and the library's threads would not survive a fork."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def split_words(prepared: str) -> list[str]:
    """The words of a text that `prepare` returned, each with the blank in front of it.

    A character stands for a UTF-8 byte.
    """
    words = _WORDS.findall(f" {prepared}".replace("\n", "\n "))
    return words if prepared.isascii() else [word.encode().decode("latin-1") for word in words]


@dataclass(frozen=True)
class BytePairEncoding:
    """The learned merges: `merges[i]` are the two units that are merged into one, in the order of merging.

    A unit is written as a string in which each character stands for a byte (Latin-1).
    """

    merges: tuple[tuple[str, str], ...]

    @classmethod
    def fit(cls, prepared: Iterable[str], max_units: int) -> BytePairEncoding:
        """Learns merges from texts that `prepare` returned, up to `max_units` units including the 256 bytes.

        Deterministic.

        Raises UsageError if there is nothing to merge, or if `max_units` has no room for more than the bytes.
        """
        _use_one_thread()
        engine = Tokenizer(models.BPE())
        engine.pre_tokenizer = pre_tokenizers.Split(JOINER, "removed")  # no byte is a JOINER
        trainer = trainers.BpeTrainer(
            vocab_size=max_units,
            min_frequency=2,
            show_progress=False,
            initial_alphabet=_alphabet(),
            max_token_length=MAX_UNIT_BYTES,
        )
        engine.train_from_iterator((JOINER.join(split_words(text)) for text in prepared), trainer)
        merges = json.loads(engine.to_str())["model"]["merges"]
        if not merges:
            raise UsageError(
                f"No pair of bytes occurs twice in the texts, or {max_units} units leave no room beyond the "
                f"{BYTES} bytes.",
                "See which days have trainable issues (titler status), "
                "or raise the limit:  TITLER_TEXT__SUBWORDS=8000",
            )
        return cls(tuple((left, right) for left, right in merges))

    @cached_property
    def units(self) -> tuple[str, ...]:
        """The units in the order of their ids, from FIRST_UNIT on."""
        return tuple(dict.fromkeys((*_alphabet(), *(left + right for left, right in self.merges))))

    @property
    def size(self) -> int:
        """The number of ids."""
        return FIRST_UNIT + len(self.units)

    def encode(self, prepared: Sequence[str]) -> Iterator[list[int]]:
        """The ids of texts that `prepare` returned, without `_start_` and `_end_`."""
        cache = self._cache
        for text in prepared:
            words = split_words(text)
            try:
                yield list(chain.from_iterable(map(cache.__getitem__, words)))
            except KeyError:
                self._fill_cache(words)
                yield list(chain.from_iterable(map(cache.__getitem__, words)))

    def _fill_cache(self, words: Sequence[str]) -> None:
        cache = self._cache
        missing = list({word for word in words if word not in cache})
        if len(cache) + len(missing) > CACHED_WORDS:
            cache.clear()
            missing = list(set(words))
        encodings = self._engine.encode_batch_fast(missing, add_special_tokens=False)
        ids = ([number + FIRST_UNIT for number in encoding.ids] for encoding in encodings)
        cache.update(zip(missing, ids, strict=True))

    @cached_property
    def _cache(self) -> dict[str, list[int]]:
        return {}

    @cached_property
    def _engine(self) -> Tokenizer:
        _use_one_thread()
        return Tokenizer(
            models.BPE({unit: number for number, unit in enumerate(self.units)}, list(self.merges))
        )

    def __reduce__(self) -> tuple[type[BytePairEncoding], tuple[Any, ...]]:
        return BytePairEncoding, (self.merges,)  # pickles without the cache


def _alphabet() -> list[str]:
    return [chr(byte) for byte in range(BYTES)]


@dataclass(frozen=True)
class SubwordVocabulary:
    """The ids of subwords, and the form of a document: `length` ids, padded at the end.

    A document that is too long loses its end, `_end_` included. With `start_end` every document is framed by
    `_start_` and `_end_`.
    """

    encoding: BytePairEncoding
    length: int
    start_end: bool

    @property
    def size(self) -> int:
        """The number of ids: the units and the four ids before them."""
        return self.encoding.size

    @property
    def start(self) -> int:
        """The id of `_start_`."""
        return START_ID

    @property
    def end(self) -> int:
        """The id of `_end_`."""
        return END_ID

    def ids(self, texts: Sequence[str]) -> npt.NDArray[np.int32]:
        """(n, length): the ids of n texts as their authors wrote them."""
        max_characters = (
            2 * MAX_UNIT_BYTES * self.length
        )  # of `length` units, with a JOINER after each character
        encoded = self.encoding.encode([prepare(text)[:max_characters] for text in texts])
        if self.start_end:
            encoded = ([START_ID, *ids[: self.length - 1], END_ID] for ids in encoded)
        return pad(encoded, len(texts), self.length, "post")

    def has_known(self, ids: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        """(n,): whether a document of `ids` (n, length) has any unit."""
        return np.asarray((ids >= FIRST_UNIT).any(axis=1), dtype=np.bool_)

    def text_of(self, ids: Sequence[int] | npt.NDArray[np.integer]) -> str:
        """The text of one document's ids, up to `_end_` or padding, with single blanks.

        Bytes that are not valid UTF-8 are left out. Raises UsageError for an id that is not in the
        vocabulary.
        """
        units: list[str] = []
        for number in map(int, ids):
            if not 0 <= number < self.size:
                raise unknown_id(number, self.size)
            if number in (PAD, END_ID):
                break
            if number >= FIRST_UNIT:
                units.append(self.encoding.units[number - FIRST_UNIT])
        return " ".join("".join(units).encode("latin-1").decode("utf-8", "ignore").split())

    def to_json(self) -> str:
        """One JSON object in ASCII; equal vocabularies give the same text."""
        return json.dumps(
            {"length": self.length, "start_end": self.start_end, "merges": self.encoding.merges}, indent=0
        )

    @classmethod
    def from_json(cls, text: str) -> SubwordVocabulary:
        """Reads what `to_json` wrote. Raises LakeError for anything else."""
        try:
            fields = json.loads(text)
        except ValueError as error:
            raise LakeError(f"A subword vocabulary is not JSON: {error}.", REPLACE_OR_RETRAIN) from error
        if not isinstance(fields, dict) or set(fields) != _FIELDS:
            names = ", ".join(sorted(fields)) if isinstance(fields, dict) else type(fields).__name__
            raise LakeError(
                f"A subword vocabulary has {names}, expected {', '.join(sorted(_FIELDS))}.",
                REPLACE_OR_RETRAIN,
            )
        merges, length, start_end = fields["merges"], fields["length"], fields["start_end"]
        if type(length) is not int or length < 1 or type(start_end) is not bool:
            raise LakeError(
                f"A subword vocabulary has length {length!r}, start_end {start_end!r}, "
                "expected a positive integer, true or false.",
                REPLACE_OR_RETRAIN,
            )
        return cls(BytePairEncoding(tuple(_check_merges(merges))), length, start_end)


def _check_merges(merges: Any) -> Iterator[tuple[str, str]]:
    """The merges of a file. Raises LakeError if one is not a pair of units that earlier merges made."""
    units = set(_alphabet())
    if not isinstance(merges, list) or not merges:
        raise LakeError("A subword vocabulary has no list of merges, or an empty one.", REPLACE_OR_RETRAIN)
    for number, pair in enumerate(merges):
        if (
            not isinstance(pair, list)
            or len(pair) != 2
            or not all(isinstance(unit, str) and unit in units for unit in pair)
        ):
            raise LakeError(
                f"A subword vocabulary has {pair!r} as merge {number}, "
                "expected two units that come before it.",
                REPLACE_OR_RETRAIN,
            )
        units.add(pair[0] + pair[1])
        yield pair[0], pair[1]


def unknown_id(number: int, size: int) -> UsageError:
    """The error for an id that a vocabulary of `size` ids does not have."""
    return UsageError(
        f"Id {number} in a document, where the vocabulary has 0 to {size - 1}.",
        "The ids were made with another vocabulary: make them again with this one (titler vectorize).",
    )
