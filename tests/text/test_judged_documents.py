"""Tokens, vocabularies and vectors, held to what ktext 0.40 made of 6,000 documents."""

from __future__ import annotations

from math import ceil

import pytest

from pipeline.text.engine import tokenizer
from pipeline.text.ktext import tokens
from pipeline.text.vocabulary import Counts, Vocabulary


def test_the_tokens_of_bodies_are_ktexts(bodies):
    assert [tokens(text) for text in bodies.texts] == bodies.tokens


def test_the_tokens_of_titles_are_ktexts(titles):
    # ktext's own have no _start_ and _end_ either: its processor adds them to the documents it counts
    assert [tokens(text) for text in titles.texts] == titles.tokens


def test_the_ids_of_bodies_are_ktexts(bodies):
    documents = [tokens(text) for text in bodies.texts]
    vocabulary = Vocabulary.fit(Counts.of(documents), keep=8000, length=70, padding="pre", start_end=False)
    assert dict(zip(vocabulary.words, range(2, vocabulary.size), strict=True)) == bodies.word_ids
    assert (vocabulary.ids(documents) == bodies.vectors).all()


def test_the_ids_of_titles_are_ktexts(titles):
    documents = [tokens(text) for text in titles.texts]
    vocabulary = Vocabulary.fit(Counts.of(documents), keep=4500, length=12, padding="post", start_end=True)
    assert dict(zip(vocabulary.words, range(2, vocabulary.size), strict=True)) == titles.word_ids
    assert (vocabulary.ids(documents) == titles.vectors).all()


@pytest.mark.parametrize("shards", [1, 2, 7])
def test_the_number_of_shards_changes_no_id(titles, shards):
    size = ceil(len(titles.tokens) / shards)
    counts = Counts.merge(
        Counts.of(titles.tokens[begin : begin + size]) for begin in range(0, len(titles.tokens), size)
    )
    vocabulary = Vocabulary.fit(counts, keep=4500, length=12, padding="post", start_end=True)
    assert dict(zip(vocabulary.words, range(2, vocabulary.size), strict=True)) == titles.word_ids


def test_both_engines_make_the_same_tokens_of_hard_documents(hard_texts):
    assert tokenizer("titler")(hard_texts) == tokenizer("ktext")(hard_texts)
