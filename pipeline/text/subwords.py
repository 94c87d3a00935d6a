"""The subword vocabulary, for text mixed with code. Subwords are called units here.

The encoding is byte-pair encoding (Sennrich et al. 2016, "Neural Machine Translation of Rare Words with
Subword Units"). It works on bytes, as in GPT-2, so that every text can be encoded. A text is first split into
words. A word is a line break, or a run of letters, of digits or of other characters. A blank belongs to the
word that follows, so the text can be restored by joining units. Then the bytes of a word are merged pair by
pair into units, in the order in which the merges were learned.

Id 0 is padding. Id 1 stands for unknown text and never occurs. Id 2 is `_start_`, and id 3 is `_end_`. Ids 4
to 259 are the 256 bytes. The merged units follow in the order in which they were learned. Bodies and titles
have the same ids, so that a network can copy units from a body into its title.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
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
from pipeline.text.character_units import counted, with_characters
from pipeline.text.markup import JOINER, LATEST_PREPARATION, ORIGINAL_PREPARATION, prepare, prepare_body
from pipeline.text.padding import pad

START_ID: Final = 2
END_ID: Final = 3
FIRST_UNIT: Final = 4
BYTES: Final = 256
MAX_TRAINING_ISSUES: Final = 100_000
"""Maximum number of issues that merges are learned from. More would not help: a quarter of them already gives
merges that split texts into as few units (within 0.1%). All texts are in memory and take about 65 MB."""
MAX_UNIT_BYTES: Final = 16
"""Maximum length of a unit in bytes. Longer units would be phrases of issue templates."""
CACHED_WORDS: Final = 50_000
"""Maximum number of words whose ids are cached, in about 15 MB. Workers encode the same words many times."""

_WORDS: Final = re.compile(
    rf"\n| ?[^\W\d_]{{1,32}}| ?\d{{1,8}}| ?(?:[^\w\s{JOINER}]|_){{1,8}}"
)  # the lengths are bounded, because some texts are a single endless word
_FIELDS: Final = {"length", "merges", "start_end"}


def _use_one_thread() -> None:
    """Makes the library `tokenizers` use one thread, unless the variable TOKENIZERS_PARALLELISM is set.

    Titler already runs one process per core. The library's threads would also not survive a fork.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def split_words(prepared: str) -> list[str]:
    """Splits a text into words. A blank belongs to the word that follows.

    `prepared` is a text that `pipeline.text.markup.prepare` returned. Each word is encoded in UTF-8
    and returned as a string with one character per byte (Latin-1). For example, the byte E4 (hexadecimal)
    becomes the character U+00E4.
    """
    words = _WORDS.findall(f" {prepared}".replace("\n", "\n "))
    return words if prepared.isascii() else [word.encode().decode("latin-1") for word in words]


@dataclass(frozen=True)
class BytePairEncoding:
    """A byte-pair encoding: a list of `merges`, in the order in which they were learned.

    A merge is a pair of units (subwords) that are joined into one unit. A unit is a string of bytes in
    Latin-1: for example, the byte E4 (hexadecimal) is written as the character U+00E4.
    """

    merges: tuple[tuple[str, str], ...]

    @classmethod
    def fit(cls, prepared: Iterable[str], max_units: int, characters: bool = True) -> BytePairEncoding:
        """Learns a byte-pair encoding. The same texts always give the same encoding.

        `prepared` are texts that `pipeline.text.markup.prepare` returned. The encoding has at most
        `max_units` units (subwords), including the 256 bytes. If `characters` is true, frequent characters of
        Chinese, Japanese, Korean and Thai get units of their own (`pipeline.text.character_units`). Raises
        UsageError if no pair of bytes occurs twice, or if `max_units` is not greater than 256.
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
        counts: Counter[str] = Counter()
        texts = counted(prepared, counts)
        engine.train_from_iterator((JOINER.join(split_words(text)) for text in texts), trainer)
        merges = json.loads(engine.to_str())["model"]["merges"]
        if not merges:
            raise UsageError(
                "No subword can be learned. Either no pair of bytes occurs twice in the texts, or the limit "
                f"of {max_units} subwords is too low: {BYTES} of them are single bytes.",
                "To see which days have trainable issues: titler status\n"
                "To raise the limit: TITLER_TEXT__SUBWORDS=8000",
            )
        learned = [(left, right) for left, right in merges]
        return cls(tuple(with_characters(learned, counts) if characters else learned))

    @cached_property
    def units(self) -> tuple[str, ...]:
        """The units (subwords) in the order of their ids. The first one has the id FIRST_UNIT."""
        return tuple(dict.fromkeys((*_alphabet(), *(left + right for left, right in self.merges))))

    @property
    def size(self) -> int:
        """The number of ids: one per unit (subword), and four for padding, unknown, `_start_` and `_end_`."""
        return FIRST_UNIT + len(self.units)

    def encode(self, prepared: Sequence[str]) -> Iterator[list[int]]:
        """Yields the ids of each text, without `_start_` and `_end_`.

        `prepared` are texts that `pipeline.text.markup.prepare` returned.
        """
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
    """A vocabulary of subwords, and the form in which a document (a body or a title) is encoded.

    A document has `length` ids. A shorter document is padded at the end. If `start_end` is true, every
    document begins with `_start_` and ends with `_end_`. A document that is too long is cut at the end and
    loses its `_end_`. `preparation` says how bodies are prepared: it is one of the numbers in
    `pipeline.text.markup`. All titles are prepared in the same way.
    """

    encoding: BytePairEncoding
    length: int
    start_end: bool
    preparation: int = ORIGINAL_PREPARATION

    @property
    def size(self) -> int:
        """The number of ids: one per unit (subword), and four for padding, unknown, `_start_` and `_end_`."""
        return self.encoding.size

    @property
    def start(self) -> int:
        """The id of `_start_`, the first token of a title."""
        return START_ID

    @property
    def end(self) -> int:
        """The id of `_end_`, the last token of a title."""
        return END_ID

    def prepared(self, texts: Sequence[str]) -> list[str]:
        """Removes markup and machine output from texts, which are given as their authors wrote them.

        The method `ids_of_prepared` encodes the result.
        """
        if self.start_end:
            return [prepare(text) for text in texts]
        return [prepare_body(text, self.preparation) for text in texts]

    def ids(self, texts: Sequence[str]) -> npt.NDArray[np.int32]:
        """Encodes n texts, given as their authors wrote them. Returns their ids (n, length)."""
        return self.ids_of_prepared(self.prepared(texts))

    def ids_of_prepared(self, prepared: Sequence[str]) -> npt.NDArray[np.int32]:
        """Encodes n texts that the method `prepared` returned. Returns their ids (n, length)."""
        max_characters = (
            2 * MAX_UNIT_BYTES * self.length
        )  # of `length` units, with a JOINER after each character
        encoded = self.encoding.encode([text[:max_characters] for text in prepared])
        if self.start_end:
            encoded = ([START_ID, *ids[: self.length - 1], END_ID] for ids in encoded)
        return pad(encoded, len(prepared), self.length, "post")

    def has_known(self, ids: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        """Returns whether each of n documents contains at least one unit (subword), as booleans (n,).

        `ids` (n, length) are the ids of the documents. Padding, unknown, `_start_` and `_end_` are not units.
        """
        return np.asarray((ids >= FIRST_UNIT).any(axis=1), dtype=np.bool_)

    def text_of(self, ids: Sequence[int] | npt.NDArray[np.integer]) -> str:
        """Decodes one document's ids, up to `_end_` or padding. Returns its text, without `_start_`.

        White space becomes single blanks. Bytes that are not valid UTF-8 are left out. Raises UsageError for
        an id that is not in the vocabulary.
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
        """Returns the vocabulary as one JSON object in ASCII. Equal vocabularies give the same text.

        The id of a vocabulary is computed from this text. Older vocabularies have no field `preparation`. So
        that their text and id stay the same, the field is left out if its value is ORIGINAL_PREPARATION.
        """
        fields: dict[str, Any] = {"length": self.length, "start_end": self.start_end}
        if self.preparation != ORIGINAL_PREPARATION:
            fields["preparation"] = self.preparation
        return json.dumps(fields | {"merges": self.encoding.merges}, indent=0)

    @classmethod
    def from_json(cls, text: str) -> SubwordVocabulary:
        """Reads a vocabulary from the text that `to_json` returned. Raises LakeError for any other text."""
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise LakeError(
                f"The subword vocabulary file is not JSON: {error}.", REPLACE_OR_RETRAIN
            ) from error
        if not isinstance(fields, dict) or set(fields) - {"preparation"} != _FIELDS:
            names = (
                f"the fields {', '.join(sorted(fields))}"
                if isinstance(fields, dict)
                else f"the type {type(fields).__name__}"
            )
            raise LakeError(
                f"The subword vocabulary file has {names}; expected the fields {', '.join(sorted(_FIELDS))}.",
                REPLACE_OR_RETRAIN,
            )
        merges, length, start_end = fields["merges"], fields["length"], fields["start_end"]
        if type(length) is not int or length < 1 or type(start_end) is not bool:
            raise LakeError(
                f"The subword vocabulary file has length = {length!r} and start_end = {start_end!r}. The "
                "length must be a positive integer, and start_end must be true or false.",
                REPLACE_OR_RETRAIN,
            )
        preparation = fields.get("preparation", ORIGINAL_PREPARATION)
        if type(preparation) is not int or not ORIGINAL_PREPARATION <= preparation <= LATEST_PREPARATION:
            raise LakeError(
                f"The subword vocabulary file was made with version {preparation!r} of the text preparation, "
                f"but this version of Titler supports only versions {ORIGINAL_PREPARATION} to "
                f"{LATEST_PREPARATION} of the preparation.",
                "Use the version of Titler that trained the model, or a newer one.",
            )
        return cls(BytePairEncoding(tuple(_check_merges(merges))), length, start_end, preparation)


def _check_merges(merges: Any) -> Iterator[tuple[str, str]]:
    """Yields the merges of a stored vocabulary. Raises LakeError if a merge is not a pair of existing units.

    A unit (subword) exists if it is a single byte, or if an earlier merge made it.
    """
    units = set(_alphabet())
    if not isinstance(merges, list) or not merges:
        raise LakeError(
            "The subword vocabulary file has no merges (pairs of subwords to join); expected at least one.",
            REPLACE_OR_RETRAIN,
        )
    for number, pair in enumerate(merges):
        if (
            not isinstance(pair, list)
            or len(pair) != 2
            or not all(isinstance(unit, str) and unit in units for unit in pair)
        ):
            raise LakeError(
                f"Merge {number} of the subword vocabulary file is {pair!r}. Expected two units (subwords). "
                "Each unit must be a byte or the result of an earlier merge.",
                REPLACE_OR_RETRAIN,
            )
        units.add(pair[0] + pair[1])
        yield pair[0], pair[1]


def unknown_id(number: int, size: int) -> UsageError:
    """Returns the error for a document that contains the id `number`, although the vocabulary has only `size`
    ids."""
    return UsageError(
        f"A document contains the id {number}, but the vocabulary has the ids 0 to {size - 1}.",
        "The document was made with another vocabulary. Make it again with this vocabulary:  titler "
        "vectorize",
    )
