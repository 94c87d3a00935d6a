"""The shortlist: which units decoding considers besides those of the body."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import LakeError
from pipeline.networks.in_keras import Shape, build, saving
from pipeline.networks.shape import Description
from pipeline.networks.shortlist import most_frequent_units

START, END = 2, 3
TITLES = [
    np.array([[START, 7, 8, END], [START, 9, END, 0]], np.int32),
    np.array([[START, 7, 6, END]], np.int32),
]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (5, [0, 1, 2, 3, 7]),  # 7 stands in two titles
        (6, [0, 1, 2, 3, 6, 7]),  # 6, 8 and 9 are equally frequent: the lowest id comes first
        (9, [0, 1, 2, 3, 4, 6, 7, 8, 9]),  # 4 and 5 stand in no title
    ],
)
def test_the_shortlist_has_the_most_frequent_units_of_titles(size: int, expected: list[int]) -> None:
    shortlist = most_frequent_units(TITLES, 10, size, (START, END))
    assert shortlist is not None
    assert shortlist.tolist() == expected


def test_the_shortlist_has_the_marker_of_the_end_even_if_every_title_is_cut() -> None:
    cut = np.array([[START, 7, 8, 9]] * 5, np.int32)
    shortlist = most_frequent_units([cut], 10, 5, (START, END))
    assert shortlist is not None
    assert shortlist.tolist() == [0, 1, START, END, 7]


@pytest.mark.parametrize("size", [0, 10, 11])
def test_there_is_no_shortlist_if_it_would_have_all_units_or_none(size: int) -> None:
    assert most_frequent_units(TITLES, 10, size, (START, END)) is None


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a saved network with a shortlist."""
    network = build("copy", Shape(10, 10, 5, 4, embedding_size=4, hidden_size=4, layers=1), seed=1)
    network.shortlist = most_frequent_units(TITLES, 10, 5, (START, END))
    folder = tmp_path_factory.mktemp("saved")
    saving.save(network, folder)
    return folder


def test_the_shortlist_is_stored_with_the_network(saved: Path) -> None:
    stored = saving.load(saved).shortlist
    assert stored is not None
    assert stored.tolist() == [0, 1, 2, 3, 7]


@pytest.mark.parametrize("shortlist", ["none", [], [1, 0], [0, 1, 1], [0, 2], [0, 1, 10], [[0, 1]], {"a": 1}])
def test_a_damaged_shortlist_is_named(saved: Path, tmp_path: Path, shortlist: object) -> None:
    (tmp_path / "network.keras").touch()
    content = json.loads((saved / "shape.json").read_text())
    (tmp_path / "shape.json").write_text(json.dumps({**content, "shortlist": shortlist}))
    with pytest.raises(LakeError, match=r"shape\.json is damaged"):
        Description.read(tmp_path)


@pytest.mark.parametrize(
    "content",
    ["[]", "{}", "null", "[" * 100_000, '{"variant": 1, "shape": {}}', '{"variant": "copy", "shape": 1}'],
)
def test_a_description_that_is_json_of_another_form_is_damaged(tmp_path: Path, content: str) -> None:
    (tmp_path / "network.keras").touch()
    (tmp_path / "shape.json").write_text(content)
    with pytest.raises(LakeError, match=r"shape\.json is damaged"):
        Description.read(tmp_path)
