"""Scores of titles."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.evaluation.title_scores import lead, rouge_l, score


def test_a_published_systems_titles_score_what_was_published() -> None:
    if "TITLER_TEST_DATA" not in os.environ:
        pytest.skip("TITLER_TEST_DATA is not set: no published titles to score")
    folder = Path(os.environ["TITLER_TEST_DATA"], "prtiger")
    predicted, references = (
        (folder / name).read_text().splitlines() for name in ("bart.txt", "title-test-1.txt")
    )
    scores = score(predicted, references)
    assert (scores.issues, round(scores.rouge1, 2), round(scores.rouge2, 2), round(scores.rougeL, 2)) == (
        4382,
        47.21,
        25.28,
        43.14,
    )


def test_the_references_themselves_score_full_marks() -> None:
    titles = ["crash when the window is closed", "Add a dark theme for the editor"]
    scores = score(titles, titles)
    assert [scores.rouge1, scores.rouge2, scores.rougeL, scores.bleu, scores.exact_match] == pytest.approx(
        [100, 100, 100, 100, 1]
    )


def test_half_the_words_in_order_score_half() -> None:
    scores = score(["fix crash"], ["fix crash on startup now today"])
    assert scores.rouge1 == pytest.approx(100 * 2 * (1 * 2 / 6) / (1 + 2 / 6))


def test_each_titles_own_rouge_is_what_the_mean_is_of() -> None:
    predicted, references = (
        ["fix crash", "", "dark theme"],
        ["fix crash on startup now today", "a", "Dark themes"],
    )
    assert rouge_l(predicted, references).tolist() == pytest.approx([50, 0, 100])
    assert score(predicted, references).rougeL == pytest.approx(50)


def test_stems_and_case_do_not_matter_to_rouge() -> None:
    assert score(["Crashes Windows"], ["crash window"]).rougeL == pytest.approx(100)


def test_exact_match_is_a_share_that_ignores_case() -> None:
    assert score(["fix it", "no"], ["Fix it ", "yes"]).exact_match == 0.5


def test_a_model_that_says_the_same_of_everything_is_seen() -> None:
    assert score(["the same"] * 4, ["a", "b", "c", "d"]).distinct == 0.25


def test_titles_not_given_count_as_nothing_right_and_no_words() -> None:
    scores = score(["", "one two"], ["one two", "one two"])
    assert [scores.rouge1, scores.exact_match, scores.mean_length, scores.abstained] == pytest.approx(
        [50, 0.5, 1, 0.5]
    )


def test_a_word_out_of_order_counts_for_its_own_sake_alone() -> None:
    scores = score(["crash startup"], ["startup crash"])
    assert [scores.rouge1, scores.rouge2, scores.rougeL] == pytest.approx([100, 0, 50])


def test_bleu_is_the_corpuss_and_ignores_case() -> None:
    """Papineni's: of 8 words 7 are right, of 6 pairs 5, of 4 triples 3, of 2 fours 1; the lengths are equal."""
    scores = score(
        ["Fix crash on startup", "add dark theme now"], ["fix crash on startup", "add dark theme today"]
    )
    assert scores.bleu == pytest.approx(100 * (7 / 8 * 5 / 6 * 3 / 4 * 1 / 2) ** (1 / 4))


def test_a_title_in_another_script_scores_nothing_by_rouge_and_is_an_exact_match() -> None:
    scores = score(["启动时崩溃"], ["启动时崩溃"])
    assert [scores.rouge1, scores.exact_match] == [0, 1]


def test_the_floor_is_the_first_15_words() -> None:
    assert lead([str(number) for number in range(20)]) == "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14"
    assert lead(["two", "words"]) == "two words"


@pytest.mark.parametrize(("predicted", "references"), [([], []), (["a"], ["a", "b"])])
def test_nothing_to_score_is_a_users_mistake(predicted: list[str], references: list[str]) -> None:
    with pytest.raises(UsageError, match=f"{len(predicted)} titles and {len(references)} references"):
        score(predicted, references)
