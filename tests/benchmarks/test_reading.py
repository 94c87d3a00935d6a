"""The blind reading of titles."""

import argparse
import json

import pytest

from tests.benchmarks.reading import (
    BODY_CHARACTERS,
    agreement,
    count,
    make_reading,
    read_answers,
    reading_table,
    titles_from_file,
)

KEY = {"1a": ["copy"], "1b": ["the authors"], "2a": ["copy", "the authors"]}


def test_a_reading_has_the_titles_in_random_order_and_without_names():
    titles = {"copy": ["window closes"], "gru": ["add window"], "the authors": ["Window  shuts"]}
    reading = make_reading(["The window closes.\nAt once."], titles, seed=2)
    assert reading.text.split("\n## ")[1].splitlines() == [
        "1",
        "",
        "    The window closes.",
        "    At once.",
        "",
        "- 1a: window shuts",
        "- 1b: window closes",
        "- 1c: add window",
    ]
    assert reading.key == {"1a": ["the authors"], "1b": ["copy"], "1c": ["gru"]}


def test_equal_titles_stand_once_and_withheld_titles_not_at_all():
    reading = make_reading(["A", "B"], {"copy": ["slow", ""], "the authors": ["Slow", "Crash"]}, seed=0)
    assert (reading.key, reading.withheld) == (
        {"1a": ["copy", "the authors"], "2a": ["the authors"]},
        {"copy": 1, "the authors": 0},
    )


def test_a_reading_has_the_beginning_of_a_body():
    text = make_reading(["x" * (BODY_CHARACTERS + 1)], {"copy": ["slow"]}, seed=0).text
    assert f"\n    {'x' * BODY_CHARACTERS} [...]\n" in text


def test_answers_are_read_in_any_order_with_other_text_between():
    text = "My answers:\n2a KEEP\n- 1b: partly (a bit vague)\n**1A** no\n1b: no such file\n"
    assert read_answers(text, KEY) == {"2a": "keep", "1b": "partly", "1a": "no"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1a keep\n1b no\n", r"1 titles have no answer \(2a\), 0 answers"),
        ("1a keep\n1b no\n2a no\n3a no", r"0 titles have no answer \(\), 1 answers have no title \(3a\)"),
        ("1a keep\n1a no\n", "1a has two answers: keep and no"),
    ],
)
def test_answers_that_do_not_fit_the_reading_are_refused(text, message):
    with pytest.raises(SystemExit, match=message):
        read_answers(text, KEY)


def test_a_table_has_both_readers_and_their_mean():
    readers = [{"1a": "no", "1b": "keep", "2a": "keep"}, {"1a": "partly", "1b": "keep", "2a": "partly"}]
    table = reading_table(KEY, {"copy": 3}, readers).splitlines()
    assert [" ".join(line.split()) for line in table] == [
        "keep 1 partly 1 no 1 keep 2 partly 2 no 2 keep % partly % no % withheld",
        "copy 1 0 1 0 2 0 25.0 50.0 25.0 3",
        "the authors 2 0 0 1 1 0 75.0 25.0 0.0 0",
    ]


def test_the_agreement_is_cohens_kappa():
    first = dict(zip("abcdefghij", ["keep"] * 5 + ["no"] * 5, strict=True))
    second = dict(zip("abcdefghij", ["keep"] * 4 + ["partly"] + ["no"] * 5, strict=True))
    # Chance: .5 x .4 + .5 x .5 = .45, so kappa is (.9 - .45) / (1 - .45).
    assert agreement(first, second).startswith(
        "10 titles, the same answer to 90%; Cohen's kappa 0.82, 0.90 if"
    )
    assert agreement({"a": "no"}, {"a": "no"}).endswith("so Cohen's kappa is not defined")


def test_titles_of_another_system_come_from_a_file(tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("title,body\nslow,It is slow\ncrash,It crashes\n", encoding="utf-8")
    assert titles_from_file(path, ["It crashes\n", "It is slow"]) == ["crash", "slow"]
    with pytest.raises(SystemExit, match=r"other\.csv lacks 1 of the 1 bodies"):
        titles_from_file(path, ["It hangs"])


def test_the_command_counts_the_answers_of_two_files(tmp_path, capsys):
    (tmp_path / "key.json").write_text(json.dumps({"key": KEY, "withheld": {}}), encoding="utf-8")
    for name, answers in (("one", "1a no\n1b keep\n2a keep"), ("two", "1a no\n1b keep\n2a partly")):
        (tmp_path / name).write_text(answers, encoding="utf-8")
    files = [tmp_path / "one", tmp_path / "two"]
    count(argparse.Namespace(key=tmp_path / "key.json", answers=files))
    printed = capsys.readouterr().out.splitlines()
    assert printed[1].split() == ["copy", "1", "0", "1", "0", "1", "1", "25.0", "25.0", "50.0", "0"]
    assert printed[-1].startswith("3 titles, the same answer to 67%; Cohen's kappa 0.50")
