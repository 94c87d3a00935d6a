"""The word vocabulary: counting words, choosing the words that get an id, and the JSON file it is stored in.

A model has two vocabularies, one for bodies and one for titles: both of words, or both of subwords
(`pipeline.text.subwords`).

Ids are those of ktext 0.40: 0 is padding, 1 is every word outside the vocabulary, and the vocabulary's words
follow from 2, most frequent first, ties by first appearance in document order. Titles are framed by `_start_`
and `_end_`, which are counted as words.
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
from typing import Final

import numpy as np
import numpy.typing as npt

from pipeline.errors import LakeError, UsageError
from pipeline.networks.shape import PAD
from pipeline.networks.variants import Unit
from pipeline.text.padding import Padding, pad
from pipeline.text.subwords import SubwordVocabulary, unknown_id

UNKNOWN: Final = 1
FIRST_WORD: Final = 2
START: Final = "_start_"
END: Final = "_end_"
UNKNOWN_WORD: Final = "*unknown*"  # no token contains a `*`

_FIELDS: Final = {"words", "length", "padding", "start_end"}
_MAKE_AGAIN: Final = (
    "A vocabulary belongs to its model: see which models are complete (titler status), "
    "or make both again (titler vocab, titler train)."
)


@dataclass(frozen=True)
class Counts:
    """How often words occur in a sequence of documents: `words[i]`, in order of first appearance, `counts[i]`
    times.

    `documents` is the number of documents. `first_document_words` is the number of distinct words of the
    first one: it tells where `_start_` and `_end_`, which tokens do not contain, would have appeared first.
    """

    words: tuple[str, ...]
    counts: tuple[int, ...]
    documents: int
    first_document_words: int

    @classmethod
    def of(cls, token_lists: Sequence[Sequence[str]]) -> Counts:
        """Counts documents, each a list of tokens, in document order."""
        counter = Counter(chain.from_iterable(token_lists))
        first = len(set(token_lists[0])) if len(token_lists) else 0
        return cls(tuple(counter), tuple(counter.values()), len(token_lists), first)

    @classmethod
    def merge(cls, parts: Iterable[Counts]) -> Counts:
        """The counts of all documents, from those of consecutive parts in document order. Associative."""
        counter: Counter[str] = Counter()
        documents = first = 0
        for part in parts:
            first = first if documents else part.first_document_words
            documents += part.documents
            for word, count in zip(part.words, part.counts, strict=True):
                counter[word] += count
        return cls(tuple(counter), tuple(counter.values()), documents, first)

    def framed(self) -> Counts:
        """The counts of the same documents with `_start_` in front of each and `_end_` behind."""
        if not self.documents:
            return self
        first = self.first_document_words
        words = (START, *self.words[:first], END, *self.words[first:])
        counts = (self.documents, *self.counts[:first], self.documents, *self.counts[first:])
        return Counts(words, counts, self.documents, first + 2)


@dataclass(frozen=True)
class Vocabulary:
    """The ids of words, and the form of a document: `words[i]` has id i + 2, a document has `length` ids.

    `padding` is the side on which a document is padded. A document that is too long loses its end, `_end_`
    included. With `start_end` every document is framed by `_start_` and `_end_`.
    """

    words: tuple[str, ...]
    length: int
    padding: Padding
    start_end: bool

    @classmethod
    def fit(
        cls, counts: Counts, max_words: int, length: int, padding: Padding, start_end: bool
    ) -> Vocabulary:
        """The `max_words` most frequent words of `counts`; with `start_end`, `_start_` and `_end_` are two of
        them.

        Raises UsageError if the vocabulary would be empty, or too small to include `_start_` and `_end_`.
        """
        counts = counts.framed() if start_end else counts
        order = sorted(  # stable: ties stay in order
            range(len(counts.words)), key=counts.counts.__getitem__, reverse=True
        )
        words = tuple(counts.words[position] for position in order[:max_words])
        if not words:
            raise UsageError(
                f"The vocabulary is empty: {counts.documents} documents with {len(counts.words)} words, "
                f"limit {max_words}.",
                "See which days have trainable issues:  titler status",
            )
        if start_end and not {START, END} <= set(words):
            raise UsageError(
                f"{max_words} words are too few for titles: {START} or {END} is not among the most frequent.",
                "Raise the limit:  TITLER_TEXT__TITLE_WORDS=4500",
            )
        return cls(words, length, padding, start_end)

    @property
    def size(self) -> int:
        """The number of ids: the words, padding and unknown."""
        return len(self.words) + FIRST_WORD

    @property
    def start(self) -> int:
        """The id of `_start_`. Raises KeyError if documents are not framed."""
        return self._id_of[START]

    @property
    def end(self) -> int:
        """The id of `_end_`. Raises KeyError if documents are not framed."""
        return self._id_of[END]

    @cached_property
    def _id_of(self) -> dict[str, int]:
        return {word: position for position, word in enumerate(self.words, FIRST_WORD)}

    def ids(self, token_lists: Sequence[Sequence[str]]) -> npt.NDArray[np.int32]:
        """(n, length): the ids of n documents, each a list of tokens."""
        id_of = self._id_of
        cut = (tokens[: self.length] for tokens in token_lists)
        framed = ([START, *tokens, END] for tokens in cut) if self.start_end else cut
        ids = ([id_of.get(token, UNKNOWN) for token in tokens] for tokens in framed)
        return pad(ids, len(token_lists), self.length, self.padding)

    def has_known(self, ids: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        """(n,): whether a document of `ids` (n, length) has any word of the vocabulary; `_start_` and `_end_`
        count.
        """
        return np.asarray((ids > UNKNOWN).any(axis=1), dtype=np.bool_)

    def text_of(self, ids: Sequence[int] | npt.NDArray[np.integer]) -> str:
        """`words_of`, joined by blanks."""
        return " ".join(self.words_of(ids))

    def words_of(self, ids: Sequence[int] | npt.NDArray[np.integer]) -> list[str]:
        """The words of one document's ids, up to `_end_` or the padding at the end; id 1 becomes `*unknown*`.

        Padding in front and `_start_` are left out. Raises UsageError for an id that is not in the
        vocabulary.
        """
        words: list[str] = []
        for number in map(int, ids):
            if not 0 <= number < self.size:
                raise unknown_id(number, self.size)
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
        """One JSON object in ASCII, one word per line; equal vocabularies give the same text."""
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
        """Reads what `to_json` wrote. Raises LakeError for anything else."""
        try:
            fields = json.loads(text)
        except ValueError as error:
            raise LakeError(f"A vocabulary is not JSON: {error}.", _MAKE_AGAIN) from error
        if not isinstance(fields, dict) or set(fields) != _FIELDS:
            names = ", ".join(sorted(fields)) if isinstance(fields, dict) else type(fields).__name__
            raise LakeError(f"A vocabulary has {names}, expected {', '.join(sorted(_FIELDS))}.", _MAKE_AGAIN)
        words, start_end = fields["words"], fields["start_end"]
        length, padding = fields["length"], fields["padding"]
        if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
            raise LakeError("A vocabulary's words are not a list of strings with at least one.", _MAKE_AGAIN)
        if len(set(words)) != len(words):
            raise LakeError("A vocabulary has a word twice, expected one id per word.", _MAKE_AGAIN)
        valid_length = type(length) is int and length >= 1
        if not valid_length or padding not in ("pre", "post") or type(start_end) is not bool:
            raise LakeError(
                f"A vocabulary has length {length!r}, padding {padding!r}, start_end {start_end!r}, "
                "expected a positive integer, pre or post, true or false.",
                _MAKE_AGAIN,
            )
        if start_end and not {START, END} <= set(words):
            raise LakeError(f"A vocabulary of titles lacks {START} or {END}.", _MAKE_AGAIN)
        return cls(tuple(words), length, padding, start_end)


@dataclass(frozen=True)
class Vocabularies:
    """The two vocabularies that are stored with a model: both of words, or both of subwords with the same
    encoding.
    """

    body: Vocabulary | SubwordVocabulary
    title: Vocabulary | SubwordVocabulary

    @property
    def units(self) -> Unit:
        """What one id stands for."""
        return "subwords" if isinstance(self.body, SubwordVocabulary) else "words"

    @property
    def id(self) -> str:
        """The first 12 hexadecimal digits of the SHA-256 of both as JSON: body, line break, title."""
        return hashlib.sha256(f"{self.body.to_json()}\n{self.title.to_json()}".encode()).hexdigest()[:12]

    def save(self, directory: Path) -> None:
        """Writes `body_vocabulary.json` and `title_vocabulary.json` into `directory`, which is created if
        missing.
        """
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "body_vocabulary.json").write_text(self.body.to_json(), encoding="ascii")
        (directory / "title_vocabulary.json").write_text(self.title.to_json(), encoding="ascii")

    @classmethod
    def load(cls, directory: Path) -> Vocabularies:
        """Reads what `save` wrote.

        Raises LakeError, naming the file, if one is missing or damaged or the two do not match.
        """
        body, title = _read(directory / "body_vocabulary.json"), _read(directory / "title_vocabulary.json")
        if (
            isinstance(body, SubwordVocabulary)
            and isinstance(title, SubwordVocabulary)
            and body.encoding == title.encoding
        ):
            return cls(body, replace(title, encoding=body.encoding))  # one object, so that both use one cache
        if isinstance(body, SubwordVocabulary) or isinstance(title, SubwordVocabulary):
            raise LakeError(
                f"{directory}: the vocabularies of bodies and titles do not have the same subwords.",
                _MAKE_AGAIN,
            )
        return cls(body, title)


def _read(path: Path) -> Vocabulary | SubwordVocabulary:
    """Reads a vocabulary of either kind; only that of subwords has the field `merges`."""
    try:
        text = path.read_text(encoding="ascii")
        return SubwordVocabulary.from_json(text) if '"merges":' in text else Vocabulary.from_json(text)
    except (OSError, UnicodeDecodeError) as error:
        raise LakeError(f"{path} cannot be read: {error}.", _MAKE_AGAIN) from error
    except LakeError as error:
        raise LakeError(f"{path}: {error.message}", error.hint) from error
