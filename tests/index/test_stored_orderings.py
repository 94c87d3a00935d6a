"""Learned orderings in the lake: they never change, one of them is in use, and damage is an error."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import LakeError
from pipeline.index.ordering import DEFAULT_ORDERING
from pipeline.index.stored_orderings import (
    is_of_this_version,
    named,
    ordering_in_use,
    ordering_of_release,
    store_ordering,
    stored_ordering,
    use_default_ordering,
    use_ordering,
)
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned

LEARNED = named(replace(DEFAULT_ORDERING, bias=-3.0, calibration=((-2.0, -1.0), (2.0, 3.0))))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(str(tmp_path))
    store_ordering(lake, LEARNED, {"pairs": 7}, "the run")
    return lake


def release(lake: Lake, name: str, **facts: str) -> Pinned:
    pinned = Pinned(lake, "releases", name)
    pinned.open([], facts)
    return pinned


def test_the_version_of_an_ordering_depends_on_its_content() -> None:
    assert named(replace(LEARNED, version="x")) == LEARNED
    other = named(replace(LEARNED, calibration=()))
    assert other.version != LEARNED.version
    assert is_of_this_version(other.version)
    assert is_of_this_version(DEFAULT_ORDERING.version)
    assert not is_of_this_version(f"another{LEARNED.version}")


def test_an_ordering_is_read_as_it_was_stored_and_is_not_overwritten(lake: Lake) -> None:
    store_ordering(lake, LEARNED, {"pairs": 9}, "another run")
    stored = stored_ordering(lake, LEARNED.version)
    assert stored is not None
    assert (stored.ordering, stored.figures, stored.mlflow_run) == (LEARNED, {"pairs": 7}, "the run")


def test_new_releases_use_the_ordering_that_was_chosen_last(lake: Lake) -> None:
    assert ordering_in_use(lake) is None
    use_ordering(lake, LEARNED.version)
    assert ordering_in_use(lake) == LEARNED.version
    use_default_ordering(lake)
    assert ordering_in_use(lake) is None


def test_a_release_has_the_ordering_that_it_names_unless_another_version_of_titler_learned_it(
    lake: Lake,
) -> None:
    assert ordering_of_release(release(lake, "a", ordering=LEARNED.version)) == LEARNED
    assert ordering_of_release(release(lake, "b")) == DEFAULT_ORDERING
    assert ordering_of_release(release(lake, "c", ordering="0-1-abc")) == DEFAULT_ORDERING
    use_ordering(lake, "0-1-abc")
    assert ordering_in_use(lake) is None


def test_a_missing_or_damaged_ordering_is_an_error_that_says_what_to_do(lake: Lake) -> None:
    use_ordering(lake, LEARNED.version)
    path = f"orderings/{LEARNED.version}.json"
    content = lake.get(path) or b""
    lake.put(path, content.replace(b'"cosine"', b'"sine"'))
    with pytest.raises(LakeError, match=r"has weights for .*sine.*; expected"):
        ordering_in_use(lake)
    lake.put(path, b"{}")
    with pytest.raises(LakeError, match="is damaged: it has no key `version`"):
        ordering_in_use(lake)
    lake.delete(path)
    with pytest.raises(LakeError, match=r"is missing, but a release or the file") as raised:
        ordering_in_use(lake)
    assert "run: titler plan" in str(raised.value)
