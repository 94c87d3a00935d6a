"""Targets: which part of an author's title a network learns to write, and which titles it does not learn."""

from __future__ import annotations

import pytest

from pipeline.text.subwords import BytePairEncoding, SubwordVocabulary
from pipeline.text.title_targets import is_learnable, target_ids, title_target


@pytest.mark.parametrize(
    ("title", "target"),
    [
        ("[Bug]: the tree hangs", "the tree hangs"),
        ("[BUG] the tree hangs", "the tree hangs"),
        ("Bug: the tree hangs", "the tree hangs"),
        ("Feature request: draw the tree", "draw the tree"),
        ("[Bug] x/tools/cmd/godoc: tree hangs", "tree hangs"),
        ("cmd/compile, runtime: tree hangs", "tree hangs"),
        ("[iOS] tree hangs", "tree hangs"),
        ("🐛 [Bug] the tree hangs", "the tree hangs"),
        ("⚠️ Bug: the tree hangs", "the tree hangs"),
        ("🐛 🔥 [Bug] the tree hangs", "the tree hangs"),
        ("‼️ Bug: the tree hangs", "the tree hangs"),
        ("🐛 the tree hangs", "🐛 the tree hangs"),  # no prefix
        ("view: tree hangs", "view: tree hangs"),  # the body has the word
        ("[tree view] hangs often", "[tree view] hangs often"),
        ("If it is closed: tree hangs", "If it is closed: tree hangs"),  # no name, a sentence
        ("[Bug] hangs", "[Bug] hangs"),  # too short without it
        ("[link](address) is dead", "[link](address) is dead"),
        ("a::b is wrong", "a::b is wrong"),
        ("the tree hangs", "the tree hangs"),
    ],
)
def test_prefixes_that_the_body_does_not_show_are_not_learned(title: str, target: str) -> None:
    assert title_target(title, "the tree in the view hangs") == target


@pytest.mark.parametrize(
    ("title", "learnable"),
    [
        ("The tree hangs", True),
        ("Hanging trees", True),  # inflected
        ("Bug report", False),
        ("[BUG]", False),
        ("Update README.md", False),
        ("v1.2.3", False),
        ("Release 1.2.0", False),
        ("Bump lodash from 4.17.20 to 4.17.21", False),
        ("build(deps): bump x from 1 to 2", False),
        ("Colours of leaves", False),
        ("木が動かない", True),  # no words to compare
    ],
)
def test_titles_that_the_body_cannot_teach_are_not_learned(title: str, learnable: bool) -> None:
    assert is_learnable(title, "a hanging tree: the trees hang") is learnable


ENCODING = BytePairEncoding.fit(["the tree hangs: bug", "TreeView hangs"] * 2, 300)
BODY = SubwordVocabulary(ENCODING, 20, start_end=False, preparation=2)
TITLE = SubwordVocabulary(ENCODING, 10, start_end=True)


def test_targets_are_ids_without_the_units_of_the_prefix() -> None:
    bodies = BODY.ids(["the TreeView hangs"] * 3)
    targets, learnable = target_ids(
        BODY, TITLE, bodies, TITLE.ids(["Bug: TreeView hangs", "hangs", "the bug"])
    )
    assert targets.tolist() == TITLE.ids(["TreeView hangs", "hangs", "the bug"]).tolist()
    assert learnable.tolist() == [True, True, False]


def test_a_title_that_is_too_long_stays_without_its_end() -> None:
    titles = TITLE.ids(["Bug: the tree hangs the tree hangs the tree hangs"])
    targets, _ = target_ids(BODY, TITLE, BODY.ids(["the tree hangs"]), titles)
    assert TITLE.text_of(targets[0]) == TITLE.text_of(titles[0]).removeprefix("bug: ")
    assert TITLE.end not in targets
