"""From tokens to ids: counting words, choosing those that get an id, padding, and the JSON in which they travel.

A model has two vocabularies, of words or of subwords (`pipeline.text.subwords`): what follows is said of words.

Ids are ktext 0.40's: 0 pads, 1 is every word not kept, and the words kept follow from 2, by count, ties by first appearance
in document order. Titles are framed by `_start_` and `_end_`, which are counted as words of theirs.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from pipeline.errors import LakeError, UsageError
from pipeline.networks.shape import Unit
from pipeline.text.subwords import Subwords

PAD: Final = 0
UNKNOWN: Final = 1
FIRST_WORD: Final = 2
START: Final = "_start_"
END: Final = "_end_"
UNKNOWN_WORD: Final = "*unknown*"  # no token holds a `*`

Padding = Literal["pre", "post"]

_FIELDS: Final = {"words", "length", "padding", "start_end"}
_AGAIN: Final = "A vocabulary belongs to its model: see which are whole (titler status), or make both again (titler vocab, titler train)."


@dataclass(frozen=True)
class Counts:
    """How often the words of a run of documents occur: `words[i]`, in order of first appearance, `counts[i]` times.

    `documents` is their number, and `first` how many distinct words the first one has: enough to say where `_start_` and
    `_end_`, which tokens do not hold, would have appeared.
    """

    words: tuple[str, ...]
    counts: tuple[int, ...]
    documents: int
    first: int

    @classmethod
    def of(cls, token_lists: Sequence[Sequence[str]]) -> Counts:
        """The counts of documents, each a list of its tokens, in document order."""
        counter = Counter(chain.from_iterable(token_lists))
        first = len(set(token_lists[0])) if len(token_lists) else 0
        return cls(tuple(counter), tuple(counter.values()), len(token_lists), first)

    @classmethod
    def merge(cls, parts: Iterable[Counts]) -> Counts:
        """The counts of all documents, from those of consecutive runs in document order. Associative."""
        counter: Counter[str] = Counter()
        documents = first = 0
        for part in parts:
            first = first if documents else part.first
            documents += part.documents
            for word, count in zip(part.words, part.counts, strict=True):
                counter[word] += count
        return cls(tuple(counter), tuple(counter.values()), documents, first)

    def framed(self) -> Counts:
        """The same documents with `_start_` in front of each and `_end_` behind."""
        if not self.documents:
            return self
        words = (START, *self.words[: self.first], END, *self.words[self.first :])
        counts = (self.documents, *self.counts[: self.first], self.documents, *self.counts[self.first :])
        return Counts(words, counts, self.documents, self.first + 2)


@dataclass(frozen=True)
class Vocabulary:
    """The words that have an id, and the shape of a document's ids: `words[i]` has id i + 2, a document `length` ids.

    `padding` says on which side zeros stand; what is too long loses its end, `_end_` included. With `start_end` every
    document is framed by `_start_` and `_end_`.
    """

    words: tuple[str, ...]
    length: int
    padding: Padding
    start_end: bool

    @classmethod
    def fit(cls, counts: Counts, keep: int, length: int, padding: Padding, start_end: bool) -> Vocabulary:
        """The `keep` most frequent words of `counts`; with `start_end`, `_start_` and `_end_` are two of them.

        Raises UsageError where there are no words to keep, or so few are kept that `_start_` or `_end_` is not among them.
        """
        counts = counts.framed() if start_end else counts
        order = sorted(
            range(len(counts.words)), key=counts.counts.__getitem__, reverse=True
        )  # stable: ties stay in order
        words = tuple(counts.words[position] for position in order[:keep])
        if not words:
            raise UsageError(
                f"{counts.documents} documents hold {len(counts.words)} words, and {keep} are to be kept: the vocabulary is empty.",
                "See which days have trainable issues:  titler status",
            )
        if start_end and not {START, END} <= set(words):
            raise UsageError(
                f"{keep} words are too few for titles: {START} or {END} is not among the most frequent.",
                "Keep more:  TITLER_TEXT__TITLE_WORDS=4500",
            )
        return cls(words, length, padding, start_end)

    @property
    def size(self) -> int:
        """How many ids there are: the words, the padding, the unknown."""
        return len(self.words) + FIRST_WORD

    @property
    def start(self) -> int:
        """The id of `_start_`. KeyError where documents are not framed."""
        return self._id_of[START]

    @property
    def end(self) -> int:
        """The id of `_end_`. KeyError where documents are not framed."""
        return self._id_of[END]

    @cached_property
    def _id_of(self) -> dict[str, int]:
        return {word: position for position, word in enumerate(self.words, FIRST_WORD)}

    def ids(self, token_lists: Sequence[Sequence[str]]) -> npt.NDArray[np.int32]:
        """The ids of n documents, shape (n, length): cut at the end, padded on the side that `padding` says."""
        array = np.full((len(token_lists), self.length), PAD, dtype=np.int32)
        for row, tokens in zip(array, token_lists, strict=True):
            kept = tokens[: self.length]
            if self.start_end:
                kept = [START, *kept, END][: self.length]
            known = [self._id_of.get(token, UNKNOWN) for token in kept]
            begin = self.length - len(known) if self.padding == "pre" else 0
            row[begin : begin + len(known)] = known
        return array

    def known(self, ids: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        """(n,): whether a document has a known word at all; of titles, `_start_` and `_end_` are words."""
        return np.asarray((ids > UNKNOWN).any(axis=1), dtype=np.bool_)

    def text_of(self, ids: Sequence[int] | npt.NDArray[np.integer]) -> str:
        """`words_of` with blanks between them."""
        return " ".join(self.words_of(ids))

    def words_of(self, ids: Sequence[int] | npt.NDArray[np.integer]) -> list[str]:
        """The words of one document's ids. Padding in front and `_start_` are passed over; `_end_` or padding behind stops;
        id 1 reads `*unknown*`.

        Raises UsageError at an id that this vocabulary does not have.
        """
        words: list[str] = []
        for number in map(int, ids):
            if not 0 <= number < self.size:
                raise UsageError(
                    f"Id {number} in a document, where the vocabulary has 0 to {self.size - 1}.",
                    "The ids were made with another vocabulary: make them again with this one (titler vectorize).",
                )
            if number == PAD and self.padding == "pre":
                continue
            if number == PAD:
                break
            word = UNKNOWN_WORD if number == UNKNOWN else self.words[number - FIRST_WORD]
            if word == END:
                break
            if word != START:
                words.append(word)
        return words

    def to_json(self) -> str:
        """One JSON object in ASCII, a word a line; the same vocabulary always gives the same text."""
        return json.dumps(
            {
                "length": self.length,
                "padding": self.padding,
                "start_end": self.start_end,
                "words": self.words,
            },
            indent=0,
        )

    @classmethod
    def from_json(cls, text: str) -> Vocabulary:
        """What `to_json` wrote. Raises LakeError where it is anything else."""
        try:
            found = json.loads(text)
        except ValueError as error:
            raise LakeError(f"A vocabulary is not JSON: {error}.", _AGAIN) from error
        if not isinstance(found, dict) or set(found) != _FIELDS:
            seen = ", ".join(sorted(found)) if isinstance(found, dict) else type(found).__name__
            raise LakeError(f"A vocabulary has {seen}, expected {', '.join(sorted(_FIELDS))}.", _AGAIN)
        words, length, padding, start_end = (
            found["words"],
            found["length"],
            found["padding"],
            found["start_end"],
        )
        if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
            raise LakeError("A vocabulary's words are not a list of strings with at least one.", _AGAIN)
        if len(set(words)) != len(words):
            raise LakeError("A vocabulary has a word twice, expected one id a word.", _AGAIN)
        if (
            type(length) is not int
            or length < 1
            or padding not in ("pre", "post")
            or type(start_end) is not bool
        ):
            raise LakeError(
                f"A vocabulary has length {length!r}, padding {padding!r}, start_end {start_end!r}, "
                "expected a positive number, pre or post, true or false.",
                _AGAIN,
            )
        if start_end and not {START, END} <= set(words):
            raise LakeError(f"A vocabulary of titles lacks {START} or {END}.", _AGAIN)
        return cls(tuple(words), length, padding, start_end)


@dataclass(frozen=True)
class Vocabularies:
    """The two vocabularies that travel with a model, both of words, or both of subwords and then of the same ones."""

    body: Vocabulary | Subwords
    title: Vocabulary | Subwords

    @property
    def units(self) -> Unit:
        """What an id stands for."""
        return "subwords" if isinstance(self.body, Subwords) else "words"

    @property
    def id(self) -> str:
        """12 hexadecimal digits of the SHA-256 of both in JSON, the body's first, a line break between them."""
        return hashlib.sha256(f"{self.body.to_json()}\n{self.title.to_json()}".encode()).hexdigest()[:12]

    def save(self, directory: Path) -> None:
        """Writes `body_vocabulary.json` and `title_vocabulary.json` into `directory`, which is made where it is missing."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "body_vocabulary.json").write_text(self.body.to_json(), encoding="ascii")
        (directory / "title_vocabulary.json").write_text(self.title.to_json(), encoding="ascii")

    @classmethod
    def load(cls, directory: Path) -> Vocabularies:
        """What `save` wrote. Raises LakeError, naming the file, where one is missing or damaged, and where the two are not of one model."""
        body, title = _read(directory / "body_vocabulary.json"), _read(directory / "title_vocabulary.json")
        if isinstance(body, Subwords) and isinstance(title, Subwords) and body.units == title.units:
            return cls(body, replace(title, units=body.units))  # one table in memory, with what it remembers
        if isinstance(body, Subwords) or isinstance(title, Subwords):
            raise LakeError(
                f"{directory}: the vocabularies of bodies and titles do not have the same subwords.", _AGAIN
            )
        return cls(body, title)


def _read(path: Path) -> Vocabulary | Subwords:
    """What is there; a field that only subwords have tells them."""
    try:
        text = path.read_text(encoding="ascii")
        return Subwords.from_json(text) if '"merges":' in text else Vocabulary.from_json(text)
    except (OSError, UnicodeDecodeError) as error:
        raise LakeError(f"{path} cannot be read: {error}.", _AGAIN) from error
    except LakeError as error:
        raise LakeError(f"{path}: {error.message}", error.hint) from error
