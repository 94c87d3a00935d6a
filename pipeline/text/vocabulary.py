"""Counts words, chooses those that get an id, and stores the vocabulary of words as JSON.

A model has two vocabularies, one for bodies and one for titles. Either both consist of words, or both consist
of subwords (`pipeline.text.subwords`).

Id 0 is padding, and id 1 stands for every word outside the vocabulary. The words of the vocabulary have the
ids 2, 3 and so on, most frequent first. Equally frequent words are in the order of their first appearance.
The package ktext 0.40 gives words the same ids. Titles begin with `_start_` and end with `_end_`, which are
counted as words.
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
    "A vocabulary belongs to one model. Copy the model's files again, "
    "or create and train a new model: titler vocab, then titler train."
)


@dataclass(frozen=True)
class Counts:
    """How often each word occurs in a sequence of documents.

    `words[i]` occurs `counts[i]` times. Words are in the order of their first appearance. `documents` is the
    number of documents. `first_document_words` is the number of distinct words in the first document. The
    method `framed` needs this number, because the added `_end_` first appears after these words.
    """

    words: tuple[str, ...]
    counts: tuple[int, ...]
    documents: int
    first_document_words: int

    @classmethod
    def of(cls, token_lists: Sequence[Sequence[str]]) -> Counts:
        """Counts the words of several documents. Each document is a list of tokens (words)."""
        counter = Counter(chain.from_iterable(token_lists))
        first = len(set(token_lists[0])) if len(token_lists) else 0
        return cls(tuple(counter), tuple(counter.values()), len(token_lists), first)

    @classmethod
    def merge(cls, parts: Iterable[Counts]) -> Counts:
        """Adds up the counts of the parts of a sequence of documents. Returns the sum.

        Each part must have the counts of consecutive documents. The parts must be in the order of the
        documents. The operation is associative.
        """
        counter: Counter[str] = Counter()
        documents = first = 0
        for part in parts:
            first = first if documents else part.first_document_words
            documents += part.documents
            for word, count in zip(part.words, part.counts, strict=True):
                counter[word] += count
        return cls(tuple(counter), tuple(counter.values()), documents, first)

    def framed(self) -> Counts:
        """Returns the counts of the same documents, with `_start_` added before each document and `_end_`
        after it."""
        if not self.documents:
            return self
        first = self.first_document_words
        words = (START, *self.words[:first], END, *self.words[first:])
        counts = (self.documents, *self.counts[:first], self.documents, *self.counts[first:])
        return Counts(words, counts, self.documents, first + 2)


@dataclass(frozen=True)
class Vocabulary:
    """A vocabulary of words, and the form in which a document (a body or a title) is encoded.

    `words[i]` has the id i + 2. A document has `length` ids. `padding` is the side on which a shorter
    document is padded. If `start_end` is true, every document begins with `_start_` and ends with `_end_`. A
    document that is too long is cut at the end and loses its `_end_`.
    """

    words: tuple[str, ...]
    length: int
    padding: Padding
    start_end: bool

    @classmethod
    def fit(
        cls, counts: Counts, max_words: int, length: int, padding: Padding, start_end: bool
    ) -> Vocabulary:
        """Returns the vocabulary of the `max_words` most frequent words of `counts`.

        If `start_end` is true, `_start_` and `_end_` are two of these words. Raises UsageError if the
        vocabulary would be empty, or too small to include `_start_` and `_end_`.
        """
        counts = counts.framed() if start_end else counts
        order = sorted(  # stable: equally frequent words stay in order
            range(len(counts.words)), key=counts.counts.__getitem__, reverse=True
        )
        words = tuple(counts.words[position] for position in order[:max_words])
        if not words:
            raise UsageError(
                "The vocabulary is empty, but it must have at least one word. The "
                f"{counts.documents} documents have {len(counts.words)} distinct words, and the limit is "
                f"{max_words} words.",
                "See which days have trainable issues:  titler status",
            )
        if start_end and not {START, END} <= set(words):
            raise UsageError(
                f"A vocabulary of {max_words} words is too small for titles: {START} or {END} is not in it.",
                "Raise the limit:  TITLER_TEXT__TITLE_WORDS=4500",
            )
        return cls(words, length, padding, start_end)

    @property
    def size(self) -> int:
        """The number of ids: one per word, one for padding and one for unknown words."""
        return len(self.words) + FIRST_WORD

    @property
    def start(self) -> int:
        """The id of `_start_`, the first word of a title. Raises KeyError if `start_end` is false."""
        return self._id_of[START]

    @property
    def end(self) -> int:
        """The id of `_end_`, the last word of a title. Raises KeyError if `start_end` is false."""
        return self._id_of[END]

    @cached_property
    def _id_of(self) -> dict[str, int]:
        return {word: position for position, word in enumerate(self.words, FIRST_WORD)}

    def ids(self, token_lists: Sequence[Sequence[str]]) -> npt.NDArray[np.int32]:
        """Encodes n documents, each of which is a list of tokens (words). Returns their ids (n, length)."""
        id_of = self._id_of
        cut = (tokens[: self.length] for tokens in token_lists)
        framed = ([START, *tokens, END] for tokens in cut) if self.start_end else cut
        ids = ([id_of.get(token, UNKNOWN) for token in tokens] for tokens in framed)
        return pad(ids, len(token_lists), self.length, self.padding)

    def has_known(self, ids: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        """Returns one boolean per document (n,): whether it contains at least one word of the vocabulary.

        `ids` (n, length) are the ids of n documents. `_start_` and `_end_` count as words. Padding, and
        words outside the vocabulary, do not count.
        """
        return np.asarray((ids > UNKNOWN).any(axis=1), dtype=np.bool_)

    def text_of(self, ids: Sequence[int] | npt.NDArray[np.integer]) -> str:
        """Decodes the ids of one document. Returns its words, joined by blanks."""
        return " ".join(self.words_of(ids))

    def words_of(self, ids: Sequence[int] | npt.NDArray[np.integer]) -> list[str]:
        """Decodes the ids of one document, up to `_end_` or the padding at the end. Returns its words.

        Id 1 becomes `*unknown*`. Padding in front and `_start_` are left out. Raises UsageError for an id
        that is not in the vocabulary.
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
        """Returns the vocabulary as one JSON object in ASCII, one word per line.

        Equal vocabularies give the same text.
        """
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
        """Reads a vocabulary from the text that `to_json` returned. Raises LakeError for any other text."""
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise LakeError(f"The vocabulary file is not JSON: {error}.", _MAKE_AGAIN) from error
        if not isinstance(fields, dict) or set(fields) != _FIELDS:
            names = (
                f"the fields {', '.join(sorted(fields))}"
                if isinstance(fields, dict)
                else f"the type {type(fields).__name__}"
            )
            raise LakeError(
                f"The vocabulary file must have the fields {', '.join(sorted(_FIELDS))}, but it has {names}.",
                _MAKE_AGAIN,
            )
        words, start_end = fields["words"], fields["start_end"]
        length, padding = fields["length"], fields["padding"]
        if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
            raise LakeError(
                'The field "words" of the vocabulary file must be a list of at least one string.', _MAKE_AGAIN
            )
        if len(set(words)) != len(words):
            raise LakeError(
                "The vocabulary file contains a word twice, but each word must have one id.", _MAKE_AGAIN
            )
        valid_length = type(length) is int and length >= 1
        if not valid_length or padding not in ("pre", "post") or type(start_end) is not bool:
            raise LakeError(
                f"The vocabulary file has length = {length!r}, padding = {padding!r} and start_end = "
                f"{start_end!r}. The length must be a positive integer, padding must be pre or post, and "
                "start_end must be true or false.",
                _MAKE_AGAIN,
            )
        if start_end and not {START, END} <= set(words):
            raise LakeError(
                f"The vocabulary file of titles must contain {START} and {END}, but does not contain both.",
                _MAKE_AGAIN,
            )
        return cls(tuple(words), length, padding, start_end)


@dataclass(frozen=True)
class Vocabularies:
    """The pair of vocabularies that is stored with a model: one for bodies and one for titles.

    Both consist of words, or both consist of subwords with the same encoding.
    """

    body: Vocabulary | SubwordVocabulary
    title: Vocabulary | SubwordVocabulary

    @property
    def units(self) -> Unit:
        """What one id stands for: a word or a subword. The value is "words" or "subwords"."""
        return "subwords" if isinstance(self.body, SubwordVocabulary) else "words"

    @cached_property
    def id(self) -> str:
        """An id of this pair of vocabularies: the first 12 hexadecimal digits of a SHA-256.

        The hashed text is the JSON of the vocabulary of bodies, a line break and the JSON of the vocabulary
        of titles. The id is computed only once per object, because each day of a release needs it.
        """
        return hashlib.sha256(f"{self.body.to_json()}\n{self.title.to_json()}".encode()).hexdigest()[:12]

    def save(self, directory: Path) -> None:
        """Writes `body_vocabulary.json` and `title_vocabulary.json` into `directory`.

        The folder is created if it does not exist.
        """
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "body_vocabulary.json").write_text(self.body.to_json(), encoding="ascii")
        (directory / "title_vocabulary.json").write_text(self.title.to_json(), encoding="ascii")

    @classmethod
    def load(cls, directory: Path) -> Vocabularies:
        """Reads the vocabularies that `save` wrote into `directory`.

        Raises LakeError if a file is missing or damaged. Also raises it if only one vocabulary consists of
        subwords, or if the two consist of different subwords.
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
                f"{directory}: the vocabularies of bodies and titles must both consist of words, or both of "
                "the same subwords.",
                _MAKE_AGAIN,
            )
        return cls(body, title)


def _read(path: Path) -> Vocabulary | SubwordVocabulary:
    """Reads a vocabulary from a JSON file. It is a vocabulary of words or of subwords.

    Raises LakeError if the file is missing or damaged.
    """
    try:
        text = path.read_text(encoding="ascii")
        return SubwordVocabulary.from_json(text) if '"merges":' in text else Vocabulary.from_json(text)
    except (OSError, UnicodeDecodeError) as error:
        raise LakeError(f"{path} cannot be read: {error}.", _MAKE_AGAIN) from error
    except LakeError as error:
        raise LakeError(f"{path}: {error.message}", error.hint) from error
