"""Subword units, for text mixed with code: byte pairs, after Sennrich et al. 2016 ("Neural Machine Translation of Rare Words with
Subword Units"), on bytes as GPT-2 has it, so that no text is unknown.

A text is parted into words: a run of letters, of digits or of other characters, with the blank in front of it, or a line break. A
word's bytes are joined pair by pair, the pairs that were the most frequent in training first. What begins with a blank begins a
word, so that units in a row are text again.

Ids: 0 pads, 1 is unknown and never comes, 2 is `_start_`, 3 `_end_`; the 256 bytes follow from 4, then what was joined, in order.
One table serves bodies and titles, so that a network may copy from one into the other.
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
from pipeline.networks.shape import AGAIN, PAD
from pipeline.text.markup import JOINER, prepare

START_ID: Final = 2
END_ID: Final = 3
FIRST_UNIT: Final = 4
BYTES: Final = 256
ISSUES_READ: Final = 100_000
"""Issues that units are learned from: of a quarter of these, 8,000 units part texts into as few (within 0.1%). Their texts, which are
held in memory together, come to about 65 MB."""
LONGEST_UNIT: Final = 16
"""Bytes: a longer one is a phrase of somebody's template."""
REMEMBERED: Final = 200_000
"""Words whose units are kept at hand, about 60 MB: a worker sees the same ones again and again."""

_WORDS: Final = re.compile(
    rf"\n| ?[^\W\d_]{{1,32}}| ?\d{{1,8}}| ?(?:[^\w\s{JOINER}]|_){{1,8}}"
)  # bounded: some text is one endless word
_FIELDS: Final = {"length", "merges", "start_end"}

# Our own processes are the parallel ones, a core each; and threads of the library's would be lost where one of them forks.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def words(prepared: str) -> list[str]:
    """The words of a text as `prepare` makes it, each with its blank; a character of theirs is a byte of UTF-8."""
    text = f" {prepared}".replace("\n", "\n ")
    return (
        _WORDS.findall(text)
        if text.isascii()
        else [word.encode().decode("latin-1") for word in _WORDS.findall(text)]
    )


@dataclass(frozen=True)
class Units:
    """The table: `merges[i]` are the two units that, joined, are a unit, in the order in which they are joined.

    A unit is written as a text of which each character is a byte (Latin-1).
    """

    merges: tuple[tuple[str, str], ...]

    @classmethod
    def fit(cls, prepared: Iterable[str], keep: int) -> Units:
        """At most `keep` units, the 256 bytes among them, of texts as `prepare` makes them: the same texts give the same units.

        Raises UsageError where the texts hold nothing to join, or `keep` leaves room for nothing but bytes.
        """
        engine = Tokenizer(models.BPE())
        engine.pre_tokenizer = pre_tokenizers.Split(JOINER, "removed")  # no byte is a joiner
        trainer = trainers.BpeTrainer(
            vocab_size=keep,
            min_frequency=2,
            show_progress=False,
            initial_alphabet=_alphabet(),
            max_token_length=LONGEST_UNIT,
        )
        engine.train_from_iterator((JOINER.join(words(text)) for text in prepared), trainer)
        merges = json.loads(engine.to_str())["model"]["merges"]
        if not merges:
            raise UsageError(
                f"No two bytes come together twice in the texts, or {keep} units have no room for more than the {BYTES} bytes.",
                "See which days have trainable issues (titler status), or keep more:  TITLER_TEXT__SUBWORDS=8000",
            )
        return cls(tuple((left, right) for left, right in merges))

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The units in the order of their ids, from FIRST_UNIT."""
        return tuple(dict.fromkeys((*_alphabet(), *(left + right for left, right in self.merges))))

    @property
    def size(self) -> int:
        """How many ids there are."""
        return FIRST_UNIT + len(self.texts)

    def encode(self, prepared: Sequence[str]) -> Iterator[list[int]]:
        """The ids of texts as `prepare` makes them, without `_start_` and `_end_`."""
        known = self._ids_of
        for text in prepared:
            found = words(text)
            try:
                yield list(chain.from_iterable(map(known.__getitem__, found)))
            except KeyError:
                self._remember(found)
                yield list(chain.from_iterable(map(known.__getitem__, found)))

    def _remember(self, found: Sequence[str]) -> None:
        known = self._ids_of
        new = list({word for word in found if word not in known})
        if len(known) + len(new) > REMEMBERED:
            known.clear()
            new = list(set(found))
        encoded = self._engine.encode_batch_fast(new, add_special_tokens=False)
        known.update(
            zip(new, ([number + FIRST_UNIT for number in each.ids] for each in encoded), strict=True)
        )

    @cached_property
    def _ids_of(self) -> dict[str, list[int]]:
        return {}

    @cached_property
    def _engine(self) -> Tokenizer:
        return Tokenizer(
            models.BPE({unit: number for number, unit in enumerate(self.texts)}, list(self.merges))
        )

    def __reduce__(self) -> tuple[type[Units], tuple[Any, ...]]:
        return Units, (self.merges,)  # without what is at hand


def _alphabet() -> list[str]:
    return [chr(byte) for byte in range(BYTES)]


@dataclass(frozen=True)
class Subwords:
    """A vocabulary of units, and the shape of a document's ids: `length` of them, zeros behind; what is too long loses its end,
    `_end_` included. With `start_end` every document is framed by `_start_` and `_end_`.
    """

    units: Units
    length: int
    start_end: bool

    @property
    def size(self) -> int:
        """How many ids there are: the units and the four before them."""
        return self.units.size

    @property
    def start(self) -> int:
        """The id of `_start_`."""
        return START_ID

    @property
    def end(self) -> int:
        """The id of `_end_`."""
        return END_ID

    def ids(self, texts: Sequence[str]) -> npt.NDArray[np.int32]:
        """The ids of n texts as their authors wrote them, shape (n, length)."""
        array = np.full((len(texts), self.length), PAD, dtype=np.int32)
        room = self.length - 1 if self.start_end else self.length
        reach = (
            2 * LONGEST_UNIT * self.length
        )  # characters that so many units can be made of, if a joiner follows each
        for row, found in zip(
            array, self.units.encode([prepare(text)[:reach] for text in texts]), strict=True
        ):
            kept = [START_ID, *found[:room], END_ID][: self.length] if self.start_end else found[:room]
            row[: len(kept)] = kept
        return array

    def known(self, ids: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        """(n,): whether a document has a unit at all."""
        return np.asarray((ids >= FIRST_UNIT).any(axis=1), dtype=np.bool_)

    def text_of(self, ids: Sequence[int] | npt.NDArray[np.integer]) -> str:
        """The text of one document's ids, up to its `_end_` or padding, with single blanks; bytes that are no character are left out.

        Raises UsageError at an id that this vocabulary does not have.
        """
        units: list[str] = []
        for number in map(int, ids):
            if not 0 <= number < self.size:
                raise UsageError(
                    f"Id {number} in a document, where the vocabulary has 0 to {self.size - 1}.",
                    "The ids were made with another vocabulary: make them again with this one (titler vectorize).",
                )
            if number in (PAD, END_ID):
                break
            if number >= FIRST_UNIT:
                units.append(self.units.texts[number - FIRST_UNIT])
        return " ".join("".join(units).encode("latin-1").decode("utf-8", "ignore").split())

    def to_json(self) -> str:
        """One JSON object in ASCII; the same vocabulary always gives the same text."""
        return json.dumps(
            {"length": self.length, "start_end": self.start_end, "merges": self.units.merges}, indent=0
        )

    @classmethod
    def from_json(cls, text: str) -> Subwords:
        """What `to_json` wrote. Raises LakeError where it is anything else."""
        try:
            found = json.loads(text)
        except ValueError as error:
            raise LakeError(f"A vocabulary of subwords is not JSON: {error}.", AGAIN) from error
        if not isinstance(found, dict) or set(found) != _FIELDS:
            seen = ", ".join(sorted(found)) if isinstance(found, dict) else type(found).__name__
            raise LakeError(
                f"A vocabulary of subwords has {seen}, expected {', '.join(sorted(_FIELDS))}.", AGAIN
            )
        merges, length, start_end = found["merges"], found["length"], found["start_end"]
        if type(length) is not int or length < 1 or type(start_end) is not bool:
            raise LakeError(
                f"A vocabulary of subwords has length {length!r}, start_end {start_end!r}, expected a positive number, true or false.",
                AGAIN,
            )
        return cls(Units(tuple(_merges(merges))), length, start_end)


def _merges(found: Any) -> Iterator[tuple[str, str]]:
    """The merges of a file. Raises LakeError where one is no pair of units that come before it."""
    there = set(_alphabet())
    if not isinstance(found, list) or not found:
        raise LakeError("A vocabulary of subwords has no list of merges with at least one.", AGAIN)
    for number, pair in enumerate(found):
        if (
            not isinstance(pair, list)
            or len(pair) != 2
            or not all(isinstance(part, str) and part in there for part in pair)
        ):
            raise LakeError(
                f"A vocabulary of subwords has {pair!r} as merge {number}, expected two units that come before it.",
                AGAIN,
            )
        there.add(pair[0] + pair[1])
        yield pair[0], pair[1]
