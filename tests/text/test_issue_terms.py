"""The terms of an issue."""

import numpy as np
import pytest

from pipeline.text.issue_terms import (
    IDENTIFIER,
    IN_TITLE,
    IssueTerms,
    _terms_of_word,
    is_automated,
    issue_terms,
    term_words,
)

TEMPLATE = "### Describe the bug\n{}\n### Environment\nOS: Linux\n"


def words(title: str | None, body: str | None = None) -> set[str]:
    return set(term_words(title, body).values())


def kinds(title: str, body: str = "") -> dict[str, int]:
    terms = issue_terms([title], [body])
    shown = term_words(title, body)
    return {shown[int(term)]: int(kind) for term, kind in zip(terms.terms, terms.kinds, strict=True)}


def counts(title: str, body: str = "") -> dict[str, int]:
    terms = issue_terms([title], [body])
    shown = term_words(title, body)
    return {shown[int(term)]: int(count) for term, count in zip(terms.terms, terms.counts, strict=True)}


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Crash in the parser", {"crash", "parser"}),
        ("TreeView hangs", {"treeview", "tree", "view", "hangs"}),
        ("read_csv fails", {"read_csv", "read", "csv", "fails"}),
        ("error CS0103 in 2.1.0", {"error", "cs0103", "cs", "2.1.0"}),
        ("C# and C++", {"c#", "c++"}),
        ("0x80070005", {"0x80070005"}),
        ("读取失败", {"读取", "取失", "失败"}),
    ],
)
def test_a_title_has_its_words_and_identifiers_as_terms(title, expected):
    assert words(title) == expected


@pytest.mark.parametrize(
    "title",
    ["[Bug]: Hangs", "\U0001f41b [WinUI] Hangs", ":bug: Hangs", "Bug: Hangs", "[a][b] hangs", "【x】hangs"],
)
def test_prefixes_and_emoji_are_no_terms(title):
    assert words(title) == {"hangs"}


def test_a_title_of_prefixes_alone_keeps_its_words():
    assert words("[iphone] [tablet]") == {"iphone", "tablet"}


@pytest.mark.parametrize(
    ("one", "other"), [("crash", "crashes"), ("file", "files"), ("stop", "stopped"), ("crash", "crashing")]
)
def test_forms_of_a_word_are_one_term(one, other):
    assert term_words(one, None).keys() == term_words(other, None).keys()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CS0103", "CS0104"),
        ("2.1.0", "2.1.1"),
        ("readFile", "readFiles"),
        ("net6", "net7"),
        ("0x80070005", "0x80070057"),
        ("utf8", "utf16"),
        ("x86", "x64"),
        ("v1", "v2"),
        ("E0308", "E0309"),
        ("get_item", "set_item"),
        ("C", "C#"),
        ("404", "403"),
    ],
)
def test_identifiers_that_differ_in_one_letter_are_two_terms(one, other):
    assert not set(term_words(f"fails with {one}", None)) >= set(term_words(f"fails with {other}", None))


def test_the_kind_of_a_term_says_where_it_stands_and_whether_it_is_an_identifier():
    assert kinds("crash in read_csv", "crash of mem_copy with CS1") == {
        "crash": IN_TITLE,
        "read_csv": IN_TITLE | IDENTIFIER,
        "read": IN_TITLE,
        "csv": IN_TITLE,
        "mem_copy": IDENTIFIER,
        "mem": 0,
        "copy": 0,
        "cs1": IDENTIFIER,
        "cs": 0,
    }


def test_occurrences_in_title_and_body_are_counted_together():
    assert counts("crash", "crash after crash " + "loop " * 300) == {"crash": 3, "loop": 255}


def test_terms_ascend_within_an_issue():
    terms = issue_terms(["b a d c e", "z y x w v u"], [None, None])
    for first, end in zip(terms.offsets, terms.offsets[1:], strict=False):
        assert (np.diff(terms.terms[first:end].astype(np.int64)) > 0).all()


def test_a_template_without_an_answer_has_no_terms_and_no_body():
    terms = issue_terms(["Hangs"], [TEMPLATE.format("")])
    assert (len(terms.terms), terms.body_hashes.tolist()) == (1, [0])


def test_bodies_that_differ_in_template_case_and_white_space_have_the_same_hash():
    hashes = issue_terms(
        [None] * 3,
        [
            TEMPLATE.format("The  window hangs at midnight after login"),
            "the window hangs\nat midnight after login",
            "the window hangs at noon after login",
        ],
    ).body_hashes
    assert hashes[0] == hashes[1] != hashes[2]


def test_long_numbers_hashes_and_dates_of_a_body_are_no_terms():
    assert words(None, "at 2024-01-02 pid 1234567 commit 1a2b3c4d5e0f 0xdeadbeef11") == {"pid", "commit"}


def test_a_word_that_is_too_long_for_a_term_is_not_remembered():
    before = _terms_of_word.cache_info().currsize
    assert len(issue_terms(["a1" * 31], ["b2" * 10_000]).terms) == 0
    assert _terms_of_word.cache_info().currsize == before


def test_issues_without_text_have_no_terms():
    terms = issue_terms([None, ""], [None, ""])
    assert (terms.offsets.tolist(), len(terms.terms)) == ([0, 0, 0], 0)


@pytest.mark.parametrize(
    "title",
    [
        "Bump lodash from 4.17.20 to 4.17.21",
        "chore(deps): update dependency react to v18",
        "An in-range update of babel is breaking the build \U0001f6a8",
        "Dependency Dashboard",
        "Nightly build failed on main",
        "Scheduled CI run failed #123",
        "Weekly tests have failed on 2024-01-01",
        "CVE-2021-1234 (High) detected in lodash",
    ],
)
def test_reports_of_programs_are_automated(title):
    assert is_automated(title)


@pytest.mark.parametrize(
    "title",
    [
        "Update from 1.2 to 1.3 breaks login",
        "Build fails",
        "Bump allocator crashes",
        "Add a dashboard",
        "Update README to Markdown",
        "Upgrade Java to 17",
        "Nightly build broken on Windows",
        "Nightly tests are passing even if they fail",
    ],
)
def test_reports_of_people_are_not_automated(title):
    assert not is_automated(title)


def test_slices_put_together_again_are_the_issues():
    titles, bodies = ["one crash", None, "two hangs now"], ["body", "", "more text"]
    terms = issue_terms(titles, bodies)
    again = IssueTerms.concatenate([terms.slice(0, 1), terms.slice(1, 1), terms.slice(1, 3)])
    for name in ("offsets", "terms", "counts", "kinds", "body_hashes", "automated"):
        assert getattr(again, name).tolist() == getattr(terms, name).tolist()
        assert getattr(again, name).dtype == getattr(terms, name).dtype


def test_no_parts_are_no_issues():
    assert len(IssueTerms.concatenate([])) == 0
