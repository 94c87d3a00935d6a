"""An issue is trainable if its title and its body are neither too short nor too long."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pipeline.settings import Text
from pipeline.source.trainable import (
    count_untrainable,
    count_words,
    is_trainable,
    thresholds,
    untrainable_reason,
    word_pattern,
)

LIMITS = thresholds(
    Text(min_body_words=3, min_title_words=2, max_title_characters=20, max_body_characters=40)
)
GOOD_TITLE, GOOD_BODY = "a good title", "a good enough body"
ISSUES = [
    (GOOD_TITLE, GOOD_BODY, ""),
    ("x", None, "no_body"),
    ("x", " \r\n", "no_body"),
    ("x", "two words", "short_body"),
    ("x", GOOD_BODY, "short_title"),
    ("a very very long title", "a body that goes on for far too long, really", "long_title"),
    (GOOD_TITLE, "a body that goes on for far too long, really", "long_body"),
]
"""Title, body, and the first reason why the issue is not trainable."""


@pytest.mark.parametrize(("title", "body", "reason"), ISSUES)
def test_the_first_reason_why_an_issue_is_not_trainable_is_returned(
    title: str, body: str | None, reason: str
) -> None:
    assert untrainable_reason(title, body or "", LIMITS) == reason
    assert is_trainable(title, body, LIMITS) == (not reason)


def test_an_issue_exactly_at_the_limits_is_trainable() -> None:
    assert untrainable_reason("x " + 18 * "y", "a b " + 36 * "c", LIMITS) == ""


def test_an_issue_is_counted_only_for_its_first_reason() -> None:
    titles, bodies, _ = zip(*ISSUES, strict=True)
    assert count_untrainable(pa.table({"title": titles, "body": bodies}), LIMITS) == {
        "no_body": 2,
        "short_body": 1,
        "short_title": 1,
        "long_title": 1,
        "long_body": 1,
    }


def test_the_default_thresholds_are_those_of_the_article() -> None:
    assert thresholds(Text()) == {
        "min_body_words": 6,
        "min_title_words": 3,
        "max_title_characters": 400,
        "max_body_characters": 2000,
        "word": word_pattern(2),
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("it does not start", 4),
        ("a\u3000b\u2028c\x1cd", 3),
        ("\x1cd e", 2),
        (" - ", 1),
        ("создать файл", 2),
        ("파일을 열 수 없음", 4),
        ("登录失败", 2),
        ("打开设置页面时程序崩溃", 6),
        ("点击,没有反应。", 3),
        ("使用VSCode打开", 2),
        ("ファイルを開けない", 5),
        ("もし もし \U00020000", 3),
        ("เปิดไฟล์ไม่ได้", 4),
        ("", 0),
    ],
)
def test_words_are_counted_by_blanks_or_where_a_script_has_none_by_characters(text: str, words: int) -> None:
    assert count_words(text, word_pattern(2)) == words


def test_a_setting_says_how_many_characters_are_a_word() -> None:
    assert [count_words("打开设置页面时程序崩溃", word_pattern(number)) for number in (1, 3, 20)] == [
        11,
        4,
        1,
    ]
