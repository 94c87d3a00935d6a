"""Tokens, vocabularies and ids, compared with the output of ktext 0.40 for 6,000 documents."""

from __future__ import annotations

from math import ceil

import pytest

from pipeline.text.engine import tokenizer
from pipeline.text.ktext import tokens
from pipeline.text.vocabulary import Counts, Vocabulary


def test_the_tokens_of_bodies_equal_those_of_ktext(bodies):
    assert [tokens(text) for text in bodies.texts] == bodies.tokens


def test_the_tokens_of_titles_equal_those_of_ktext(titles):
    # without _start_ and _end_: ktext adds them only to the documents that it counts
    assert [tokens(text) for text in titles.texts] == titles.tokens


def test_the_ids_of_bodies_equal_those_of_ktext(bodies):
    documents = [tokens(text) for text in bodies.texts]
    vocabulary = Vocabulary.fit(
        Counts.of(documents), max_words=8000, length=70, padding="pre", start_end=False
    )
    assert dict(zip(vocabulary.words, range(2, vocabulary.size), strict=True)) == bodies.word_ids
    assert (vocabulary.ids(documents) == bodies.vectors).all()


def test_the_ids_of_titles_equal_those_of_ktext(titles):
    documents = [tokens(text) for text in titles.texts]
    vocabulary = Vocabulary.fit(
        Counts.of(documents), max_words=4500, length=12, padding="post", start_end=True
    )
    assert dict(zip(vocabulary.words, range(2, vocabulary.size), strict=True)) == titles.word_ids
    assert (vocabulary.ids(documents) == titles.vectors).all()


@pytest.mark.parametrize("parts", [1, 2, 7])
def test_ids_do_not_depend_on_the_number_of_parts(titles, parts):
    size = ceil(len(titles.tokens) / parts)
    counts = Counts.merge(
        Counts.of(titles.tokens[begin : begin + size]) for begin in range(0, len(titles.tokens), size)
    )
    vocabulary = Vocabulary.fit(counts, max_words=4500, length=12, padding="post", start_end=True)
    assert dict(zip(vocabulary.words, range(2, vocabulary.size), strict=True)) == titles.word_ids


def test_both_engines_give_the_same_tokens_for_hard_documents(hard_texts):
    assert tokenizer("titler")(hard_texts) == tokenizer("ktext")(hard_texts)
