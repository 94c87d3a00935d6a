"""What a maintainer types, and which issues answer."""

import numpy as np
import pytest

from pipeline import ann
from pipeline.answers import canonical, others

URL = "https://github.com/owner/repo/issues/12"


@pytest.mark.parametrize(
    "typed", [URL, f" {URL}\r\n", f"{URL}/", f"{URL}#issuecomment-1", f"{URL}?x=y", f"{URL}/?x=/#top/\n", URL.replace("https", "http")]
)
def test_an_issues_url_is_known_however_a_shell_or_a_browser_gives_it(typed):
    assert canonical(typed) == URL


@pytest.mark.parametrize("typed", ["crash when opening", f"{URL} crashes", f"see {URL}", "https", f"{URL}\n{URL}"])
def test_anything_else_is_a_text(typed):
    assert canonical(typed) is None


@pytest.fixture
def index(tmp_path):
    ann.build([np.array([[1, 0], [1, 1], [0, 1]], dtype=np.float32)], 2, tmp_path / "a.ann", trees=3, seed=1)
    return ann.Index(tmp_path / "a.ann", 2)


def test_an_issue_is_not_its_own_neighbour(index):
    assert [item for item, _ in others(index, index.vector(0), 0, 1, 100)] == [1]


def test_asked_for_more_neighbours_than_there_are_all_are_given(index):
    assert [item for item, _ in others(index, index.vector(0), 0, 1000, 100)] == [1, 2]
    assert [item for item, _ in others(index, index.vector(0), None, 1000, 100)] == [0, 1, 2]
