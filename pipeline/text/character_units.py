"""Adds units (subwords) for whole characters of Chinese, Japanese, Korean and Thai to a byte-pair encoding.

If few texts are in one of these scripts, byte-pair encoding learns no units for the script's characters. Each
character then takes two or three units. A title has 24 units by default, so it would end after about eight
characters. Therefore the most frequent characters get units of their own.

Byte-pair encoding learns a list of merges. Each merge joins two units into a longer one. The merges for the
new units replace the merges that were learned last. If the texts have no characters of these scripts, no
merge is replaced.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final

CHARACTER: Final = re.compile("[\u0e01-\u0e5b\u3041-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
MIN_COUNT: Final = 5
"""A character that occurs less often than this gets no unit of its own."""
MAX_SHARE: Final = 0.1
"""The largest share of the merges that may be replaced by merges for characters."""

Merge = tuple[str, str]


def counted(texts: Iterable[str], counts: Counter[str]) -> Iterator[str]:
    """Yields `texts` unchanged, and adds their Chinese, Japanese, Korean and Thai characters to `counts`."""
    for text in texts:
        if not text.isascii():
            counts.update(CHARACTER.findall(text))
        yield text


def with_characters(merges: Sequence[Merge], counts: Counter[str]) -> list[Merge]:
    """Returns a copy of the list `merges` in which merges for frequent characters replace the last merges.

    `merges` is a byte-pair encoding. A merge is a pair of units (subwords) that are joined into a longer
    unit. The new merges join the bytes of a character into one unit. The result has at most as many merges as
    `merges`. `counts` says how often each character occurs. A unit is a string of bytes in Latin-1: for
    example, the byte E4 (hexadecimal) is written as the character U+00E4.
    """
    characters = [character for character, count in counts.most_common() if count >= MIN_COUNT]
    limit = int(MAX_SHARE * len(merges))
    added = _character_merges(merges[: len(merges) - limit], characters, limit)
    retained_merges = list(merges[: len(merges) - len(added)])
    return retained_merges + _character_merges(retained_merges, characters, len(added))


def _character_merges(merges: Sequence[Merge], characters: Sequence[str], limit: int) -> list[Merge]:
    """Returns the merges (pairs of units, that is, of subwords) that join the bytes of each of `characters`
    into one unit.

    The caller appends them to `merges`. There are at most `limit` new merges. If this is not enough for all
    characters, the last characters get no units of their own.
    """
    rank = {merge: number for number, merge in enumerate(merges)}
    added: list[Merge] = []
    for character in characters:
        units = list(character.encode().decode("latin-1"))
        while len(units) > 1:
            pairs = [(rank.get(pair, len(rank)), place) for place, pair in enumerate(pairwise(units))]
            lowest, place = min(pairs)
            if lowest == len(rank):
                if len(added) == limit:
                    return added
                rank[units[place], units[place + 1]] = len(rank)
                added.append((units[place], units[place + 1]))
            units[place : place + 2] = [units[place] + units[place + 1]]
    return added
