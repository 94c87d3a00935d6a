"""Our version of ktext: literal texts, comparison with textacy's own functions, and hostile texts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.text import ktext
from pipeline.text.engine import textacy_preprocess, tokenizer
from pipeline.text.vocabulary import Counts, Vocabulary

TEXTACY = textacy_preprocess()
REAL = tokenizer("ktext")
LETTERS_AND_MARKS = [
    "a",
    "b1",
    "_",
    "-",
    ".",
    "/",
    "@",
    ":",
    "+",
    " ",
    "\n",
    ",",
    "!",
    "(",
    ")",
    "é",
    "\N{EN DASH}",
    "。",
    "\u3000",
    "\u0301",
    "\N{LATIN SMALL LETTER LONG S}",
    "\N{MATHEMATICAL SCRIPT CAPITAL X}",
]


def texts(*pieces: str) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from([*pieces, *LETTERS_AND_MARKS]), max_size=10).map("".join)


def test_the_two_example_sentences_of_the_article():
    # The article shows `*number*` and ids by first appearance; the code of ktext 0.40 gives these.
    sentences = ["The quick brown fox jumped over the lazy dog 42 times.", "The dog is lazy."]
    documents = [ktext.tokens(sentence) for sentence in sentences]
    assert documents == [
        ["the", "quick", "brown", "fox", "jumped", "over", "the", "lazy", "dog", "number", "times"],
        ["the", "dog", "is", "lazy"],
    ]
    assert documents == REAL(sentences)
    vocabulary = Vocabulary.fit(
        Counts.of(documents), max_words=8000, length=12, padding="pre", start_end=False
    )
    assert vocabulary.words == (
        "the",
        "lazy",
        "dog",
        "quick",
        "brown",
        "fox",
        "jumped",
        "over",
        "number",
        "times",
        "is",
    )
    assert vocabulary.ids(documents).tolist() == [
        [0, 2, 5, 6, 7, 8, 9, 2, 3, 4, 10, 11],
        [0, 0, 0, 0, 0, 0, 0, 0, 2, 4, 12, 3],
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("see https://example.com/a/b?c=d.", ["see", "url"]),
        ("http://10.0.0.1/x is private", ["http", "number", "0", "1", "x", "is", "private"]),
        ("http://8.8.8.8:53/x", ["url"]),
        ("try bit.ly/x1Y2", ["try", "url"]),
        ("ftp://user:secret@files.example.org", ["url"]),
        ("mail jo.doe+x@example.co.uk!", ["mail", "email"]),
        ("call (555) 123-4567 x89", ["call", "phone"]),
        ("1,234.5 -7 .5 2nd v1.2", ["number", "number", "number", "2nd", "v1", "2"]),
        ("$5 and 5 zł and 5€", ["usd", "number", "and", "number", "pln", "and", "number", "eur"]),
        ("Crème BRÛLÉE ﬁne x²", ["creme", "brulee", "fine", "x2"]),
        ("don't <b>`stop`</b> a_b ^ a|b", ["don", "t", "b", "stop", "b", "a", "b", "a", "b"]),
        ("ΟΔΟΣ ΟΔΟΣ`Σ", ["οδος", "οδοσ", "ς"]),
        ("a\r\nb\x0bc\u3000d\x1ce", ["a", "b", "c", "d", "e"]),
        (" \n ", []),
    ],
)
def test_words_of_a_text(text, words):
    assert ktext.tokens(text) == words
    assert REAL([text]) == [words]


@settings(max_examples=800, deadline=None)
@given(
    texts(
        "http://",
        "HTTPS://",
        "ftp://",
        "www.",
        "www1.",
        ".com",
        ".co.uk/",
        "/xyz",
        "8.8.8.8",
        "10.0.0.1",
        ":80",
        "-a",
        "//",
    )
)
def test_urls_are_replaced_as_textacy_does(text):
    assert ktext.replace_urls(text) == TEXTACY.replace_urls(text)


@settings(max_examples=800, deadline=None)
@given(texts("@a", "a.b@", "@x-y.zz", ".com", "..", "+", "a@b.cc", "1"))
def test_emails_are_replaced_as_textacy_does(text):
    assert ktext.replace_emails(text) == TEXTACY.replace_emails(text)


@settings(max_examples=800, deadline=None)
@given(texts("123", "4567", "555", "+1", "1 ", "ext.", "x", "#", "-", ".", " ", "٣"))
def test_phone_numbers_are_replaced_as_textacy_does(text):
    assert ktext.replace_phone_numbers(text) == TEXTACY.replace_phone_numbers(text)


@settings(max_examples=800, deadline=None)
@given(texts("1", "12", "000", ",000", " 000", ".000", ".", ",", "+", "-", "٣", "½", "0"))
def test_numbers_are_replaced_as_textacy_does(text):
    assert ktext.replace_numbers(text) == TEXTACY.replace_numbers(text)


@settings(max_examples=400, deadline=None)
@given(st.text(max_size=60) | texts("Σ", "`", "^", "$", "zł", "İ", "'", "<", "\r"))
def test_the_words_of_any_text_equal_those_of_ktext(text):
    assert [ktext.tokens(text)] == REAL([text])


HOSTILE = {  # text to repeat up to 200,000 characters: number of words then
    "a": 1,
    "a.": 100_000,
    "a-": 100_000,
    "a@": 100_000,
    "a+": 100_000,
    "a.b@": 100_000,
    "1": 1,
    "1,": 99_999,
    " 000": 50_000,
    "(": 0,
    "\n": 0,
    "\u3000": 0,
    "é": 1,
    "\u0301\u0327": 0,
    "a\u0301\u0327": 1,
    "ﷺ": 600_001,
    "@": 0,
    "www.a-": 66_666,
    "(http://a@": 40_000,
    "http://a.b。": 27_271,
    "/a-b.cc/": 37_500,
    "ftp://1.2.3.4:5": 53_330,
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("unit", HOSTILE)
def test_a_hostile_text_takes_linear_time(unit):  # quadratic time would be hours, over the time limit
    assert len(ktext.tokens(unit * (200_000 // len(unit)))) == HOSTILE[unit]


@pytest.mark.parametrize("unit", HOSTILE)  # short: each further "www.a-" takes ktext 2.6 times as long
def test_the_words_of_a_short_hostile_text_equal_those_of_ktext(unit):
    assert [ktext.tokens(unit * 6)] == REAL([unit * 6])
