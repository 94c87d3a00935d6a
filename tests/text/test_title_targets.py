"""Targets: which part of an author's title a network learns to write, and which titles it does not learn."""

from __future__ import annotations

import pytest

from pipeline.text.title_targets import is_learnable, title_target, training_titles


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


def test_targets_are_compared_with_bodies_without_joiners() -> None:
    titles = ["TreeView: hangs again", "ListView: hangs again"]
    assert training_titles(titles, ["the tree\u2060view hangs"] * 2) == (
        ["TreeView: hangs again", "hangs again"],
        [True, True],
    )
