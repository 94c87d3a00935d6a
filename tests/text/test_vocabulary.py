"""The word vocabulary: counting, ids, padding, and its JSON; and the pair of vocabularies of a model."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import LakeError, UsageError
from pipeline.text.subwords import BytePairEncoding, SubwordVocabulary
from pipeline.text.vocabulary import Counts, Vocabularies, Vocabulary

DOCUMENTS = [["b", "a", "b"], ["c", "a"], [], ["d"]]
BODY = Vocabulary(("a", "b"), length=4, padding="pre", start_end=False)
TITLE = Vocabulary(("_start_", "fix", "_end_", "bug"), length=5, padding="post", start_end=True)

documents_of_few_words = st.lists(st.lists(st.sampled_from("abcdefg"), max_size=6), max_size=12)


def fit(documents, max_words: int = 100, start_end: bool = False):
    return Vocabulary.fit(Counts.of(documents), max_words, length=4, padding="pre", start_end=start_end)


def test_words_get_ids_by_count_and_ties_by_first_appearance():
    assert fit(DOCUMENTS).words == ("b", "a", "c", "d")
    assert fit(DOCUMENTS, max_words=3).words == ("b", "a", "c")


def test_the_size_includes_padding_and_unknown():
    assert fit(DOCUMENTS).size == 6


def test_start_and_end_are_counted_as_words_of_every_title():
    titles = [["fix", "a", "a"], ["bug"]]
    vocabulary = fit(titles, start_end=True)
    assert vocabulary.words == ("_start_", "a", "_end_", "fix", "bug")
    assert (vocabulary.start, vocabulary.end) == (2, 4)


@given(documents_of_few_words.filter(bool))
def test_framing_counts_is_the_same_as_counting_framed_documents(documents):
    framed = Counts.of([["_start_", *document, "_end_"] for document in documents])
    assert Counts.of(documents).framed() == framed


@given(documents_of_few_words, st.sampled_from([1, 2, 7]))
def test_merged_counts_of_parts_equal_the_counts_of_all_documents(documents, shards):
    size = len(documents) // shards + 1
    parts = [Counts.of(documents[begin : begin + size]) for begin in range(0, len(documents), size)]
    assert Counts.merge(parts) == Counts.of(documents)


@given(documents_of_few_words, documents_of_few_words, documents_of_few_words)
def test_merging_counts_is_associative(first, second, third):
    a, b, c = map(Counts.of, (first, second, third))
    assert Counts.merge([Counts.merge([a, b]), c]) == Counts.merge([a, Counts.merge([b, c])])


def test_bodies_are_padded_in_front_and_cut_at_the_end():
    assert BODY.ids([["a", "x"], ["a", "b", "b", "a", "x"], []]).tolist() == [
        [0, 0, 2, 1],
        [2, 3, 3, 2],
        [0, 0, 0, 0],
    ]


def test_titles_are_framed_padded_at_the_end_and_lose_their_end_if_too_long():
    assert TITLE.ids([["fix", "it"], ["fix", "bug", "bug"], ["fix", "bug", "bug", "bug"], []]).tolist() == [
        [2, 3, 1, 4, 0],
        [2, 3, 5, 5, 4],
        [2, 3, 5, 5, 5],
        [2, 4, 0, 0, 0],
    ]


def test_the_ids_of_no_documents_have_the_same_width():
    assert BODY.ids([]).shape == (0, 4)


def test_ids_become_words():
    assert TITLE.words_of([2, 3, 1, 4, 5]) == ["fix", "*unknown*"]
    assert TITLE.words_of([3, 0, 5]) == ["fix"]
    assert BODY.words_of(BODY.ids([["a", "b"]])[0]) == ["a", "b"]


def test_ids_become_text():
    assert TITLE.text_of([2, 3, 5, 4]) == "fix bug"


def test_a_document_with_any_word_of_the_vocabulary_has_known_content():
    assert BODY.has_known(BODY.ids([["a"], ["x"], [], ["x", "b"]])).tolist() == [True, False, False, True]


def test_an_id_of_another_vocabulary_is_an_error():
    with pytest.raises(UsageError, match="contains the id 6, but the vocabulary has the ids 0 to 5"):
        TITLE.words_of([2, 6])


def test_documents_without_words_are_an_error():
    with pytest.raises(UsageError, match="The 2 documents have 0 distinct words, and the limit is 8 words"):
        fit([[], []], max_words=8)


def test_too_few_words_for_start_and_end_are_an_error():
    with pytest.raises(UsageError, match="of 2 words is too small for titles"):
        fit([["a", "a", "a"]], max_words=2, start_end=True)


@given(
    st.lists(st.text(min_size=1), min_size=1, unique=True),
    st.integers(1, 99),
    st.sampled_from(["pre", "post"]),
)
def test_a_vocabulary_is_restored_from_json(words, length, padding):
    vocabulary = Vocabulary(tuple(words), length, padding, start_end=False)
    assert Vocabulary.from_json(vocabulary.to_json()) == vocabulary


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"words": None}, 'field "words" of the vocabulary file must be a list'),
        ({"words": []}, 'field "words" of the vocabulary file must be a list'),
        ({"words": ["a", 1]}, 'field "words" of the vocabulary file must be a list'),
        ({"words": ["a", "a"]}, "a word twice"),
        ({"length": 0}, "length = 0"),
        ({"length": True}, "length = True"),
        ({"padding": "both"}, "padding = 'both'"),
        ({"start_end": 1}, "start_end = 1"),
        ({"start_end": True}, "must contain _start_ and _end_"),
        (
            {"engine": "x"},
            "must have the fields length, padding, start_end, words, but it has the fields engine",
        ),
    ],
)
def test_the_error_for_a_damaged_vocabulary_names_the_damage(change, message):
    with pytest.raises(LakeError, match=message):
        Vocabulary.from_json(json.dumps(json.loads(BODY.to_json()) | change))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("[1]", "has the type list"),
        (BODY.to_json()[:-9], "not JSON"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_text_that_is_not_a_vocabulary_is_an_error(text, message):
    with pytest.raises(LakeError, match=message):
        Vocabulary.from_json(text)


def test_both_vocabularies_are_saved_in_two_files(tmp_path):
    Vocabularies(BODY, TITLE).save(tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "body_vocabulary.json",
        "title_vocabulary.json",
    ]
    assert Vocabularies.load(tmp_path / "new") == Vocabularies(BODY, TITLE)


ENCODING = BytePairEncoding.fit(["the tree", "the tree"], 300)
SUBWORDS = Vocabularies(
    SubwordVocabulary(ENCODING, 9, start_end=False), SubwordVocabulary(ENCODING, 5, start_end=True)
)


def test_subword_vocabularies_use_the_same_files_and_are_recognised(tmp_path):
    SUBWORDS.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "body_vocabulary.json",
        "title_vocabulary.json",
    ]
    loaded = Vocabularies.load(tmp_path)
    assert (loaded, loaded.id, loaded.units) == (SUBWORDS, SUBWORDS.id, "subwords")
    assert Vocabularies(BODY, TITLE).units == "words"


@pytest.mark.parametrize(
    "title", [TITLE, SubwordVocabulary(BytePairEncoding.fit(["a crash", "a crash"], 300), 5, start_end=True)]
)
def test_two_vocabularies_with_different_subwords_are_an_error(tmp_path, title):
    Vocabularies(SUBWORDS.body, title).save(tmp_path)
    with pytest.raises(LakeError, match="bodies and titles must both consist of words, or both of the same"):
        Vocabularies.load(tmp_path)


def test_the_id_is_a_digest_of_both_vocabularies():
    assert Vocabularies(BODY, TITLE).id == "0cfe4f517f6f"
    assert Vocabularies(TITLE, BODY).id != Vocabularies(BODY, TITLE).id


def test_the_id_of_the_same_vocabularies_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[str] = []
    to_json = Vocabulary.to_json

    def recorded(vocabulary: Vocabulary) -> str:
        texts.append(to_json(vocabulary))
        return texts[-1]

    monkeypatch.setattr(Vocabulary, "to_json", recorded)
    vocabularies = Vocabularies(BODY, TITLE)
    assert [vocabularies.id for _ in range(3)] == ["0cfe4f517f6f"] * 3
    assert len(texts) == 2


def test_the_error_for_a_missing_file_names_it(tmp_path):
    Vocabularies(BODY, TITLE).save(tmp_path)
    (tmp_path / "title_vocabulary.json").unlink()
    with pytest.raises(LakeError, match=r"title_vocabulary\.json cannot be read"):
        Vocabularies.load(tmp_path)


def test_the_error_for_a_damaged_file_names_it(tmp_path):
    Vocabularies(BODY, TITLE).save(tmp_path)
    (tmp_path / "body_vocabulary.json").write_text("{", encoding="ascii")
    with pytest.raises(LakeError, match=r"body_vocabulary\.json: The vocabulary file is not JSON"):
        Vocabularies.load(tmp_path)
