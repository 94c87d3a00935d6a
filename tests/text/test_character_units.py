"""Units for characters: a title in Chinese is not cut after eight of them."""

from __future__ import annotations

from collections import Counter

from pipeline.text.character_units import counted, with_characters
from pipeline.text.subwords import BytePairEncoding

ENGLISH = [
    "the tree view crashes when the view is closed",
    "a crash of the tree, the view and the branch",
] * 5


def test_frequent_characters_become_units_and_rare_ones_stay_bytes() -> None:
    encoding = BytePairEncoding.fit([*ENGLISH, *["\u6728"] * 5, "\u68ee"], 300)
    assert [len(ids) for ids in encoding.encode(["\u6728", "\u68ee"])] == [1, 3]
    assert encoding.size <= 304


def test_texts_in_other_scripts_change_no_merge() -> None:
    counts: Counter[str] = Counter()
    assert list(counted(["caf\xe9 \u043f\u043e", "a"], counts)) == ["caf\xe9 \u043f\u043e", "a"]
    merges = [("a", "b"), ("ab", "c")]
    assert with_characters(merges, counts) == merges


def test_characters_take_the_place_of_the_last_merges_up_to_a_tenth() -> None:
    merges = [("a", chr(number)) for number in range(98, 118)]
    characters = Counter({"\u6728": 9, "\u68ee": 8, "\u6797": 2})
    tree = [("\xe6", "\x9c"), ("\xe6\x9c", "\xa8")]
    assert with_characters(merges, characters) == [*merges[:18], *tree]
