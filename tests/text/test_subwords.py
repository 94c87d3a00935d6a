"""Subwords: units learned from prepared texts, texts to ids, ids to texts, and the JSON in which they travel."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import LakeError, UsageError
from pipeline.text import subwords
from pipeline.text.markup import JOINER, prepare
from pipeline.text.subwords import Subwords, Units, words

TEXTS = ["the tree view crashes", "a crash of the tree\nthe view", "tree\u2060view: crash_now 42 crash"]
UNITS = Units.fit(TEXTS, 300)
BODY = Subwords(UNITS, length=8, start_end=False)
TITLE = Subwords(UNITS, length=6, start_end=True)
AMPLE = Subwords(UNITS, length=4000, start_end=False)


def id_of(unit: str) -> int:
    return UNITS.texts.index(unit) + 4


def test_words_keep_their_blanks_and_part_where_a_joiner_a_digit_or_a_line_break_stands():
    assert words("tree\u2060view 42x\nna_me(): é") == [
        " tree",
        "view",
        " 42",
        "x",
        "\n",
        " na",
        "_",
        "me",
        "():",
        " \xc3\xa9",
    ]


def test_an_endless_word_is_parted():
    assert words("a" * 70) == [" " + "a" * 32, "a" * 32, "a" * 6]


def test_units_are_the_bytes_then_what_comes_together_most():
    assert UNITS.texts[:256] == tuple(map(chr, range(256)))
    assert {" the", " tree", " crash", "view"} <= set(UNITS.texts[256:])
    assert (UNITS.size, len(UNITS.texts)) == (4 + len(UNITS.texts), len(set(UNITS.texts)))


def test_as_many_units_are_kept_as_were_asked_for():
    assert Units.fit(TEXTS, 260).texts == UNITS.texts[:260]


def test_the_same_texts_give_the_same_units_in_another_process_and_from_an_iterator():
    program = f"from pipeline.text.subwords import *; print(Subwords(Units.fit({TEXTS!r}, 300), 8, False).to_json(), end='')"
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "7",
        "TOKENIZERS_PARALLELISM": "true",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    found = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, env=environment
    )
    assert (found.stdout, found.stderr) == (BODY.to_json(), "")
    assert Units.fit(iter(TEXTS), 300) == UNITS


@pytest.mark.parametrize("texts", [[], ["", ""], ["ab"]])
def test_texts_without_a_pair_that_comes_twice_make_no_units(texts):
    with pytest.raises(UsageError, match="No two bytes come together twice"):
        Units.fit(texts, 300)


def test_bodies_are_padded_behind_and_cut_at_the_end():
    assert BODY.ids(["The Tree", "", "!!!", "the " * 9]).tolist() == [
        [id_of(" the"), id_of(" tree"), 0, 0, 0, 0, 0, 0],
        [0] * 8,
        [0] * 8,
        [id_of(" the")] * 8,
    ]


def test_titles_are_framed_padded_behind_and_lose_their_end_when_too_long():
    the = id_of(" the")
    assert TITLE.ids(["the", "the " * 4, "the " * 5, ""]).tolist() == [
        [2, the, 3, 0, 0, 0],
        [2, the, the, the, the, 3],
        [2, the, the, the, the, the],
        [2, 3, 0, 0, 0, 0],
    ]


def test_bodies_and_titles_have_the_same_ids():
    assert (BODY.size, BODY.start, BODY.end) == (TITLE.size, 2, 3)
    assert (
        BODY.ids(["treeView"])[0, :2].tolist()
        == TITLE.ids(["treeView"])[0, 1:3].tolist()
        == [id_of(" tree"), id_of("view")]
    )


def test_ids_of_no_texts_are_an_empty_array_of_the_same_width():
    assert (BODY.ids([]).shape, BODY.ids([]).dtype.name) == ((0, 8), "int32")


def test_known_is_what_has_a_unit():
    assert TITLE.known(TITLE.ids(["the", "", "日"])).tolist() == [True, False, True]


def test_ids_read_back_as_text_up_to_their_end_without_blanks_in_camel_case():
    assert TITLE.text_of([2, *TITLE.ids(["TreeView"])[0, 1:3], 3, id_of(" the")]) == "treeview"
    assert (
        TITLE.text_of([id_of("\n"), id_of(" the"), id_of(" "), id_of(" tree"), 0, id_of(" the")])
        == "the tree"
    )
    assert TITLE.text_of([2, 1, 3]) == ""
    assert TITLE.text_of([id_of(" the"), id_of("\xc3"), id_of("x")]) == "thex"  # half a character


def test_an_id_of_another_vocabulary_is_refused():
    with pytest.raises(
        UsageError, match=f"Id {BODY.size} in a document, where the vocabulary has 0 to {BODY.size - 1}"
    ):
        BODY.text_of([2, BODY.size])


@given(
    st.lists(
        st.text(max_size=200)
        | st.lists(st.sampled_from(["the ", "tree", "View", "Ünï", "日本", "👍", "_", "\n", "0", "."])).map(
            "".join
        )
    )
)
def test_a_text_comes_back_from_its_ids(raw):
    for text, ids in zip(raw, AMPLE.ids(raw), strict=True):
        assert AMPLE.text_of(ids) == " ".join(prepare(text).replace(JOINER, "").split())
        assert 1 not in ids
        assert not {2, 3} & set(ids.tolist())


def test_ids_do_not_depend_on_what_is_remembered(monkeypatch):
    ids = BODY.ids(["the tree", "a crash"] * 3).tolist()
    monkeypatch.setattr(subwords, "REMEMBERED", 2)
    assert Subwords(Units(UNITS.merges), 8, start_end=False).ids(["the tree", "a crash"] * 3).tolist() == ids


def test_units_travel_to_a_worker():
    BODY.ids(["the tree"])
    assert pickle.loads(pickle.dumps(BODY)) == BODY
    assert len(pickle.dumps(BODY)) < 10_000


def test_a_vocabulary_comes_back_from_json():
    back = Subwords.from_json(TITLE.to_json())
    assert back == TITLE
    assert back.ids(["the tree"]).tolist() == TITLE.ids(["the tree"]).tolist()
    assert back.to_json() == TITLE.to_json()
    assert TITLE.to_json().isascii()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"merges": None}, "no list of merges"),
        ({"merges": []}, "no list of merges"),
        ({"merges": [["a", "b"], ["a"]]}, r"\['a'\] as merge 1"),
        ({"merges": [["a", 1]]}, r"\['a', 1\] as merge 0"),
        ({"merges": [["ab", "c"]]}, r"\['ab', 'c'\] as merge 0, expected two units that come before it"),
        ({"merges": [["日", "c"]]}, "as merge 0"),
        ({"length": 0}, "length 0"),
        ({"length": True}, "length True"),
        ({"start_end": 1}, "start_end 1"),
        ({"words": []}, "has length, merges, start_end, words, expected length, merges, start_end"),
    ],
)
def test_a_damaged_vocabulary_is_refused_with_what_was_found(change, message):
    with pytest.raises(LakeError, match=message):
        Subwords.from_json(json.dumps(json.loads(BODY.to_json()) | change))


@pytest.mark.parametrize(
    ("text", "message"), [("", "not JSON"), ("[1]", "has list"), (BODY.to_json()[:-9], "not JSON")]
)
def test_what_is_no_vocabulary_is_refused(text, message):
    with pytest.raises(LakeError, match=message):
        Subwords.from_json(text)
