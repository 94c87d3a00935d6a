"""Converts between texts, the tokens of a preset, and Titler's ids.

Each preset has its own tokenizer, and Titler adds FIRST_TOKEN to the tokenizer's ids. So padding, unknown,
_start_ and _end_ have the same ids in every network: 0 is padding, 1 is unknown and never occurs, 2 is
_start_, 3 is _end_, and 4 + n is token n of the tokenizer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from pipeline.networks.shape import PAD, Ids

START = 2
END = 3
FIRST_TOKEN = 4
UNKNOWN_TOKEN = "<unk>"
Special = Literal["start", "end", "pad"]


@dataclass(frozen=True)
class Format:
    """The special tokens that a kind of network expects before and after a body, and before a title."""

    before_body: tuple[Special, ...]
    after_body: tuple[Special, ...]
    prompt: tuple[Special, ...]
    """what the decoder reads before the first token of a title"""


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "T5Seq2SeqLM": Format(before_body=(), after_body=("end",), prompt=("pad",)),
        "T5GemmaSeq2SeqLM": Format(before_body=(), after_body=("end",), prompt=("start",)),
        "BartSeq2SeqLM": Format(before_body=("start",), after_body=("end",), prompt=("end", "start")),
    }
)
"""The kinds of networks that can write titles, by the name of KerasHub's class."""


class Tokens:
    """Converts between texts and ids. `tokenizer` is a tokenizer of KerasHub, and `kind` is a key of
    FORMATS."""

    def __init__(self, tokenizer: Any, kind: str) -> None:
        self._tokenizer = tokenizer
        self._format = FORMATS[kind]

    @property
    def prompt(self) -> tuple[int, ...]:
        """The tokens that the decoder reads before the first token of a title, as ids of the tokenizer."""
        return self._special(self._format.prompt)

    @property
    def end(self) -> int:
        """The tokenizer's id of the token that ends a title."""
        return int(self._tokenizer.end_token_id)

    @property
    def padding(self) -> int:
        """The tokenizer's id of padding."""
        return int(self._tokenizer.pad_token_id)

    def unwritable(self, vocabulary: int) -> list[int]:
        """Returns the tokenizer's ids that no title may contain: the special tokens, the unknown token, and
        the ids without a token. `vocabulary` is the network's number of ids; the tokenizer may have fewer."""
        size = int(self._tokenizer.vocabulary_size())
        special = {int(number) for number in self._tokenizer.special_token_ids}
        if UNKNOWN_TOKEN in self._tokenizer.get_vocabulary():
            special.add(int(self._tokenizer.token_to_id(UNKNOWN_TOKEN)))
        return sorted({*special, *range(size, vocabulary)})

    def body_ids(self, texts: Sequence[str], length: int) -> Ids:
        """Converts the texts of n bodies to padded ids (n, length). A longer body is cut."""
        prefix, suffix = self._special(self._format.before_body), self._special(self._format.after_body)
        room = length - len(prefix) - len(suffix)
        return _padded([[*prefix, *tokens[:room], *suffix] for tokens in self._encoded(texts)], length)

    def title_ids(self, texts: Sequence[str], length: int) -> Ids:
        """Converts the texts of n titles to padded ids (n, length), from _start_ to _end_.

        A title that is too long is cut, and then has no _end_.
        """
        ids = np.full((len(texts), length), PAD, np.int32)
        for row, tokens in zip(ids, self._encoded(texts), strict=True):
            title = [START, *(FIRST_TOKEN + token for token in tokens), END][:length]
            row[: len(title)] = title
        return ids

    def texts(self, ids: Ids) -> list[str]:
        """Returns the texts of n titles, given as ids (n, length), up to _end_ or padding."""
        tokens = []
        for row in ids.tolist():
            stops = [position for position, number in enumerate(row) if number in (PAD, END)]
            title = row[: stops[0]] if stops else row
            tokens.append([number - FIRST_TOKEN for number in title if number >= FIRST_TOKEN])
        decoded = self._tokenizer.detokenize(tokens) if tokens else []
        return [" ".join(str(text).split()) for text in decoded]

    def _encoded(self, texts: Sequence[str]) -> list[list[int]]:
        if not texts:
            return []
        return [[int(token) for token in tokens] for tokens in self._tokenizer.tokenize(list(texts))]

    def _special(self, names: tuple[Special, ...]) -> tuple[int, ...]:
        return tuple(int(getattr(self._tokenizer, f"{name}_token_id")) for name in names)


def _padded(rows: Sequence[Sequence[int]], length: int) -> Ids:
    """Converts ids of the tokenizer to Titler's ids, padded to (n, length)."""
    ids = np.full((len(rows), length), PAD, np.int32)
    for row, tokens in zip(ids, rows, strict=True):
        row[: len(tokens)] = [FIRST_TOKEN + token for token in tokens]
    return ids
