"""Scores of titles."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.evaluation.title_scores import lead, rouge_l, score_titles


def test_the_scores_of_a_published_system_are_reproduced() -> None:
    if "TITLER_TEST_DATA" not in os.environ:
        pytest.skip("TITLER_TEST_DATA is not set: no published titles to score")
    folder = Path(os.environ["TITLER_TEST_DATA"], "prtiger")
    predicted, references = (
        (folder / name).read_text().splitlines() for name in ("bart.txt", "title-test-1.txt")
    )
    scores = score_titles(predicted, references)
    assert (scores.issues, round(scores.rouge1, 2), round(scores.rouge2, 2), round(scores.rougeL, 2)) == (
        4382,
        47.21,
        25.28,
        43.14,
    )


def test_the_references_get_full_scores() -> None:
    titles = ["crash when the window is closed", "Add a dark theme for the editor"]
    scores = score_titles(titles, titles)
    assert [scores.rouge1, scores.rouge2, scores.rougeL, scores.bleu, scores.exact_match] == pytest.approx(
        [100, 100, 100, 100, 1]
    )


def test_rouge_1_is_the_f1_of_shared_words() -> None:
    scores = score_titles(["fix crash"], ["fix crash on startup now today"])
    assert scores.rouge1 == pytest.approx(100 * 2 * (1 * 2 / 6) / (1 + 2 / 6))


def test_rouge_l_per_title_averages_to_the_score() -> None:
    predicted, references = (
        ["fix crash", "", "dark theme"],
        ["fix crash on startup now today", "a", "Dark themes"],
    )
    assert rouge_l(predicted, references).tolist() == pytest.approx([50, 0, 100])
    assert score_titles(predicted, references).rougeL == pytest.approx(50)


def test_rouge_ignores_case_and_inflection() -> None:
    assert score_titles(["Crashes Windows"], ["crash window"]).rougeL == pytest.approx(100)


def test_exact_match_is_a_share_and_ignores_case() -> None:
    assert score_titles(["fix it", "no"], ["Fix it ", "yes"]).exact_match == 0.5


def test_distinct_is_low_if_all_titles_are_the_same() -> None:
    assert score_titles(["the same"] * 4, ["a", "b", "c", "d"]).distinct == 0.25


def test_withheld_titles_score_zero_and_have_no_words() -> None:
    scores = score_titles(["", "one two"], ["one two", "one two"])
    assert [scores.rouge1, scores.exact_match, scores.mean_length, scores.abstained] == pytest.approx(
        [50, 0.5, 1, 0.5]
    )


def test_words_out_of_order_count_in_rouge_1_but_not_in_rouge_2() -> None:
    scores = score_titles(["crash startup"], ["startup crash"])
    assert [scores.rouge1, scores.rouge2, scores.rougeL] == pytest.approx([100, 0, 50])


def test_bleu_is_that_of_the_corpus_and_ignores_case() -> None:
    """Papineni 2002: 7 of 8 words match, 5 of 6 bigrams, 3 of 4 trigrams, 1 of 2 4-grams; equal lengths."""
    scores = score_titles(
        ["Fix crash on startup", "add dark theme now"], ["fix crash on startup", "add dark theme today"]
    )
    assert scores.bleu == pytest.approx(100 * (7 / 8 * 5 / 6 * 3 / 4 * 1 / 2) ** (1 / 4))


def test_rouge_is_zero_for_another_script_but_exact_match_counts() -> None:
    scores = score_titles(["启动时崩溃"], ["启动时崩溃"])
    assert [scores.rouge1, scores.exact_match] == [0, 1]


def test_the_floor_is_the_first_15_words() -> None:
    assert lead([str(number) for number in range(20)]) == "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14"
    assert lead(["two", "words"]) == "two words"


@pytest.mark.parametrize(("predicted", "references"), [([], []), (["a"], ["a", "b"])])
def test_unequal_or_empty_lists_are_an_error(predicted: list[str], references: list[str]) -> None:
    with pytest.raises(UsageError, match=f"{len(predicted)} titles and {len(references)} references"):
        score_titles(predicted, references)
