"""The features of a pair of issues, and its probability."""

import numpy as np
import pytest

from pipeline.errors import TitlerError
from pipeline.index.ordering import (
    DEFAULT_MIN_PROBABILITY,
    DEFAULT_ORDERING,
    FEATURES,
    Ordering,
    pair_features,
)
from pipeline.index.ordering_fit import AT_MOST
from pipeline.index.repository_words import RepositoryWords
from pipeline.text.issue_terms import issue_terms

Texts = list[tuple[str, str]]
REPOSITORY: Texts = [
    ("Parser crashes with CS0103", "Compile the attached project and look at the log."),
    ("Window flickers on resize", "Drag the border quickly."),
    ("Upgrade guide is missing", "Where can one read about it?"),
    ("Slow start of the server", "It takes a minute after a restart."),
    ("Memory grows in the cache", "After a night the process is killed."),
]


def features(
    query: tuple[str, str], issues: Texts, cosines: list[float] | None = None, ages: list[float] | None = None
) -> dict[str, np.ndarray]:
    words = RepositoryWords(issue_terms(*zip(*issues, strict=True)), issue_terms([query[0]], [query[1]]))
    items = np.arange(len(issues))
    values = pair_features(
        words,
        0,
        items,
        np.array(cosines or [0.5] * len(issues), np.float32),
        np.array(ages or [30.0] * len(issues), np.float32),
    )
    assert values.shape == (len(issues), len(FEATURES))
    return dict(zip(FEATURES, values.T, strict=True))


def probability(query: tuple[str, str], item: tuple[str, str], cosine: float = 0.8) -> float:
    """The probability of a pair in a repository of other issues."""
    values = features(query, [item, *REPOSITORY], [cosine] + [0.2] * len(REPOSITORY))
    row = np.array([[values[name][0] for name in FEATURES]], np.float32)
    return float(DEFAULT_ORDERING.probabilities(row)[0])


@pytest.mark.parametrize(
    ("title", "other"),
    [
        ("Build fails with CS0103", "Build fails with CS0104"),
        ("Crash after update to 2.1.0", "Crash after update to 2.1.1"),
        ("readFile returns nothing", "readFiles returns nothing"),
        ("Cannot target net6", "Cannot target net7"),
        ("Install ends with 0x80070005", "Install ends with 0x80070057"),
        ("Wrong text in utf8", "Wrong text in utf16"),
        ("Build of x86 fails", "Build of x64 fails"),
        ("Server answers 404", "Server answers 403"),
        ("Compiler reports E0308", "Compiler reports E0309"),
        ("get_item blocks", "set_item blocks"),
        ("Support python3.11", "Support python3.12"),
        ("Leak in http2 client", "Leak in http3 client"),
    ],
)
def test_one_letter_apart_is_not_the_same(title, other):
    assert probability((title, ""), (other, "")) < 0.5 * probability((title, ""), (title, ""))


@pytest.mark.parametrize(
    ("title", "word", "other_word"),
    [
        ("The {} fails on large files", "parser", "calendar"),
        ("Document the {}", "cache", "scheduler"),
        ("Der {} stürzt beim Start ab", "Parser", "Kalender"),
        ("Adicionar modo escuro para o {}", "servidor", "painel"),
        ("Add dark mode to the {}", "search box", "dashboard"),
        ("Implement the iterator of {}", "maps", "sets"),
        ("Port {} to the new interface", "lexer", "linker"),
        ("Timeout in {} behind a proxy", "checkout", "login"),
        ("{} is not read on start", "config.toml", "secrets.toml"),
        ("Cannot load the model {}", "resnet50", "resnet101"),
        ("Crash after the update to {}", "2.1.0", "2.1.1"),
        ("Driver of the {} is missing", "GTX 1080", "GTX 1070"),
    ],
)
def test_an_issue_of_the_same_pattern_about_something_else_is_not_suggested(title, word, other_word):
    body = "It is about the {}, as the title says. Version 3 on Linux."
    issue, other = ((title.format(each), body.format(each)) for each in (word, other_word))
    assert probability(issue, other, cosine=0.9) < DEFAULT_MIN_PROBABILITY < probability(issue, issue, 0.98)


@pytest.mark.parametrize("issue", [("dead issue", "dead issue"), ("Test", ""), ("WIP", "wip"), ("", "")])
def test_a_copy_of_an_issue_without_content_is_not_suggested(issue: tuple[str, str]) -> None:
    assert probability(issue, issue, cosine=1.0) < DEFAULT_MIN_PROBABILITY


def test_a_copy_of_a_placeholder_with_a_body_that_many_have_is_not_suggested() -> None:
    placeholder = ("Placeholder issue", "Nothing to see here.")
    values = features(placeholder, [placeholder] * 5 + REPOSITORY, [1.0] * 5 + [0.2] * len(REPOSITORY))
    row = np.array([[values[name][0] for name in FEATURES]], np.float32)
    assert DEFAULT_ORDERING.probabilities(row)[0] < DEFAULT_MIN_PROBABILITY


@pytest.mark.parametrize("prefix", ["[Bug]: ", "[WinUI] ", "\U0001f41b ", ":bug: "])
def test_a_prefix_changes_nothing(prefix):
    title = "Parser loses comments"
    assert probability((prefix + title, ""), (title, "")) == probability((title, ""), (title, ""))


def test_headings_of_a_template_change_nothing():
    body = "Comments are lost."
    template = f"### Describe the bug\n{body}\n### Environment\n- OS: Linux"
    assert probability(("Parser", template), ("Parser", body)) == probability(
        ("Parser", body), ("Parser", body)
    )


def test_an_older_issue_that_only_one_of_two_identifiers_matches_is_less_probable():
    both = probability(("CS0103 in readFile", ""), ("CS0103 in readFile", ""))
    assert probability(("CS0103 in readFile", ""), ("CS0104 in readFile", "")) < both


def test_a_recent_issue_is_more_probable_than_an_old_one():
    same = ("Parser loses comments", "")
    values = features(same, [same, same], [0.8, 0.8], [10.0, 2000.0])
    recent, old = DEFAULT_ORDERING.probabilities(np.stack([values[name] for name in FEATURES], axis=1))
    assert recent > old


def test_the_order_of_the_items_does_not_change_their_features():
    query = ("Parser crashes with CS0103", "The log names CS0103.")
    words = RepositoryWords(issue_terms(*zip(*REPOSITORY, strict=True)), issue_terms([query[0]], [query[1]]))
    cosines, ages = np.linspace(0.1, 0.9, 5, dtype=np.float32), np.arange(5, dtype=np.float32) * 100
    values = pair_features(words, 0, np.arange(5), cosines, ages)
    rng = np.random.default_rng(0)
    for _ in range(5):
        order = rng.permutation(5)
        assert pair_features(words, 0, order, cosines[order], ages[order]).tolist() == values[order].tolist()


def test_features_are_bounded_whatever_the_texts_are():
    values = features(("a1 " * 300, "b " * 3000), [("", ""), ("a1", "b " * 5000), *REPOSITORY])
    assert all(np.isfinite(each).all() and np.abs(each).max() <= 2 for each in values.values())


def test_an_issue_compared_with_itself_shares_everything():
    values = features(REPOSITORY[0], REPOSITORY, [1.0, 0, 0, 0, 0], [0.0] * 5)
    assert {
        name: round(float(each[0]), 3) for name, each in values.items() if name not in ("crowd", "bm25_lead")
    } == {
        "cosine": 1.0,
        "cosine_gap": 0.0,
        "bm25": 1.0,
        "bm25_of_best": 1.0,
        "title_overlap": 1.0,
        "title_conflict": 0.0,
        "same_title": 1.0,
        "identifiers": 1.0,
        "missing_identifiers": 0.0,
        "added_identifiers": 0.0,
        "same_body": 1.0,
        "age": 0.0,
        "same_day": 1.0,
    }


def test_an_unknown_age_is_that_of_a_year():
    unknown, year = (
        features(REPOSITORY[0], REPOSITORY[:1], ages=[age])["age"] for age in (float("nan"), 365.0)
    )
    assert unknown.tolist() == year.tolist()


def test_a_body_that_many_issues_have_says_nothing():
    issues = [
        (f"title {number}", "as above, please help") for number in ("one", "two", "three", "four", "five")
    ]
    assert features(("title six", "as above, please help"), issues)["same_body"].tolist() == [0, 0, 0, 0, 0]
    assert features(("title six", "as above, please help"), issues[:4])["same_body"].tolist() == [1, 1, 1, 1]


def test_no_candidates_have_no_features():
    words = RepositoryWords(issue_terms(["a"], [""]), issue_terms(["a"], [""]))
    nothing = np.zeros(0, np.float32)
    assert pair_features(words, 0, np.zeros(0, np.int64), nothing, nothing).shape == (0, len(FEATURES))


def test_an_ordering_is_read_as_it_was_written():
    assert Ordering.from_json(DEFAULT_ORDERING.to_json()) == DEFAULT_ORDERING


def test_a_calibration_changes_the_probabilities_but_not_the_order():
    weights = tuple(1.0 if name == "cosine" else 0.0 for name in FEATURES)
    plain = Ordering("plain", weights, 0.0)
    calibrated = Ordering("calibrated", weights, 0.0, ((-1.0, -4.0), (1.0, -2.0)))
    features = np.zeros((5, len(FEATURES)), np.float32)
    features[:, FEATURES.index("cosine")] = [-1.5, -1, 0, 1, 1.5]
    log_odds = np.array([-4.5, -4, -3, -2, -1.5])  # straight between the points, and parallel outside
    assert calibrated.probabilities(features) == pytest.approx(1 / (1 + np.exp(-log_odds)))
    assert calibrated.log_odds(features).tolist() == plain.log_odds(features).tolist()
    assert Ordering.from_json(calibrated.to_json()) == calibrated


def test_a_feature_whose_default_weight_is_negative_may_only_speak_against_a_pair():
    weights = dict(zip(FEATURES, DEFAULT_ORDERING.weights, strict=True))
    assert {name for name in FEATURES if weights[name] < 0} <= AT_MOST.keys() <= set(FEATURES)


def test_an_ordering_of_other_features_is_an_error():
    values = DEFAULT_ORDERING.to_json()
    values["weights"].pop("cosine")
    with pytest.raises(TitlerError, match="uses the features cosine"):
        Ordering.from_json(values)
    with pytest.raises(TitlerError, match="has 1 weights"):
        Ordering("1", (1.0,), 0.0)
