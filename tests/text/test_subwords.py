"""The subword vocabulary: merges learned from prepared texts, texts to ids, ids to texts, and its JSON."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import LakeError, UsageError
from pipeline.text import subwords
from pipeline.text.markup import JOINER, prepare
from pipeline.text.subwords import BytePairEncoding, SubwordVocabulary, split_words

TEXTS = ["the tree view crashes", "a crash of the tree\nthe view", "tree\u2060view: crash_now 42 crash"]
ENCODING = BytePairEncoding.fit(TEXTS, 300)
BODY = SubwordVocabulary(ENCODING, length=8, start_end=False)
TITLE = SubwordVocabulary(ENCODING, length=6, start_end=True)
AMPLE = SubwordVocabulary(ENCODING, length=4000, start_end=False)


def id_of(unit: str) -> int:
    return ENCODING.units.index(unit) + 4


def test_texts_are_split_at_joiners_digits_and_line_breaks_and_words_keep_their_blank():
    assert split_words("tree\u2060view 42x\nna_me(): é") == [
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


def test_an_endless_word_is_split():
    assert split_words("a" * 70) == [" " + "a" * 32, "a" * 32, "a" * 6]


def test_units_are_the_bytes_then_the_most_frequent_merges():
    assert ENCODING.units[:256] == tuple(map(chr, range(256)))
    assert {" the", " tree", " crash", "view"} <= set(ENCODING.units[256:])
    assert (ENCODING.size, len(ENCODING.units)) == (4 + len(ENCODING.units), len(set(ENCODING.units)))


def test_the_number_of_units_is_limited():
    assert BytePairEncoding.fit(TEXTS, 260).units == ENCODING.units[:260]


def test_learning_is_the_same_in_another_process_and_from_an_iterator():
    program = (
        "from pipeline.text.subwords import *; "
        f"vocabulary = SubwordVocabulary(BytePairEncoding.fit({TEXTS!r}, 300), 8, False); "
        "print(vocabulary.to_json(), end='')"
    )
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "7",
        "TOKENIZERS_PARALLELISM": "true",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    process = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, env=environment
    )
    assert (process.stdout, process.stderr) == (BODY.to_json(), "")
    assert BytePairEncoding.fit(iter(TEXTS), 300) == ENCODING


@pytest.mark.parametrize("texts", [[], ["", ""], ["ab"]])
def test_texts_without_a_repeated_pair_are_an_error(texts):
    with pytest.raises(UsageError, match="no pair of bytes occurs twice"):
        BytePairEncoding.fit(texts, 300)


def test_bodies_are_padded_and_cut_at_the_end():
    assert BODY.ids(["The Tree", "", "!!!", "the " * 9]).tolist() == [
        [id_of(" the"), id_of(" tree"), 0, 0, 0, 0, 0, 0],
        [0] * 8,
        [0] * 8,
        [id_of(" the")] * 8,
    ]


def test_titles_are_framed_and_lose_their_end_if_too_long():
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


def test_the_ids_of_no_texts_have_the_same_width():
    assert (BODY.ids([]).shape, BODY.ids([]).dtype.name) == ((0, 8), "int32")


def test_a_text_with_any_unit_has_known_content():
    assert TITLE.has_known(TITLE.ids(["the", "", "日"])).tolist() == [True, False, True]


def test_ids_become_text_up_to_the_end_without_blanks_in_camel_case():
    assert TITLE.text_of([2, *TITLE.ids(["TreeView"])[0, 1:3], 3, id_of(" the")]) == "treeview"
    assert (
        TITLE.text_of([id_of("\n"), id_of(" the"), id_of(" "), id_of(" tree"), 0, id_of(" the")])
        == "the tree"
    )
    assert TITLE.text_of([2, 1, 3]) == ""
    assert TITLE.text_of([id_of(" the"), id_of("\xc3"), id_of("x")]) == "thex"  # half a character


def test_an_id_of_another_vocabulary_is_an_error():
    with pytest.raises(
        UsageError, match=f"contains the id {BODY.size}, but the vocabulary has the ids 0 to {BODY.size - 1}"
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
def test_encoding_a_text_and_decoding_its_ids_returns_the_text(raw):
    for text, ids in zip(raw, AMPLE.ids(raw), strict=True):
        assert AMPLE.text_of(ids) == " ".join(prepare(text).replace(JOINER, "").split())
        assert 1 not in ids
        assert not {2, 3} & set(ids.tolist())


def test_ids_do_not_depend_on_the_cache(monkeypatch):
    ids = BODY.ids(["the tree", "a crash"] * 3).tolist()
    monkeypatch.setattr(subwords, "CACHED_WORDS", 2)
    assert (
        SubwordVocabulary(BytePairEncoding(ENCODING.merges), 8, start_end=False)
        .ids(["the tree", "a crash"] * 3)
        .tolist()
        == ids
    )


def test_pickling_leaves_out_the_cache():
    BODY.ids(["the tree"])
    assert pickle.loads(pickle.dumps(BODY)) == BODY
    assert len(pickle.dumps(BODY)) < 10_000


def test_a_vocabulary_records_the_preparation_of_its_bodies() -> None:
    problem_first = replace(BODY, preparation=2)
    assert "preparation" not in json.loads(BODY.to_json())
    assert json.loads(problem_first.to_json())["preparation"] == 2
    assert SubwordVocabulary.from_json(BODY.to_json()).preparation == 1
    assert SubwordVocabulary.from_json(problem_first.to_json()) == problem_first
    assert BODY.text_of(BODY.ids(["os: tree\ncrash"])[0]).startswith("os: tree")
    assert problem_first.text_of(problem_first.ids(["os: tree\ncrash"])[0]) == "crash"


def test_titles_are_prepared_the_same_whatever_the_preparation_of_bodies() -> None:
    assert replace(TITLE, preparation=2).ids(["os: tree"]).tolist() == TITLE.ids(["os: tree"]).tolist()


def test_a_vocabulary_is_restored_from_json():
    restored = SubwordVocabulary.from_json(TITLE.to_json())
    assert restored == TITLE
    assert restored.ids(["the tree"]).tolist() == TITLE.ids(["the tree"]).tolist()
    assert restored.to_json() == TITLE.to_json()
    assert TITLE.to_json().isascii()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"merges": None}, "has no merges"),
        ({"merges": []}, "has no merges"),
        ({"merges": [["a", "b"], ["a"]]}, r"Merge 1 .* is \['a'\]"),
        ({"merges": [["a", 1]]}, r"Merge 0 .* is \['a', 1\]"),
        (
            {"merges": [["ab", "c"]]},
            r"Merge 0 of the subword vocabulary file is \['ab', 'c'\]\. Expected two units",
        ),
        ({"merges": [["日", "c"]]}, "Merge 0 "),
        ({"length": 0}, "length = 0"),
        ({"length": True}, "length = True"),
        ({"start_end": 1}, "start_end = 1"),
        (
            {"preparation": 3},
            "version 3 of the text preparation, but this version of Titler supports only versions 1 to 2",
        ),
        ({"preparation": True}, "version True of the text preparation"),
        (
            {"words": []},
            "has the fields length, merges, start_end, words; expected the fields length, merges, start_end",
        ),
    ],
)
def test_the_error_for_a_damaged_vocabulary_names_the_damage(change, message):
    with pytest.raises(LakeError, match=message):
        SubwordVocabulary.from_json(json.dumps(json.loads(BODY.to_json()) | change))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON"),
        ("[1]", "has the type list"),
        (BODY.to_json()[:-9], "is not JSON"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_text_that_is_not_a_vocabulary_is_an_error(text, message):
    with pytest.raises(LakeError, match=message):
        SubwordVocabulary.from_json(text)
