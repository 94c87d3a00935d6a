"""Some fuzz inputs of each kind. `python -m tests.faults.fuzz` gives as many as you like."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.settings import Settings
from tests.faults.fuzz import OF_RELEASE, kinds, run_kind, send_request

INPUTS = 5_000
SEED = 1
REQUESTS = 100
"""Requests to an open release. Each takes a few milliseconds."""
SLOW = {"settings": 0.5, "HTTP requests": 0.5}
"""Kinds of which the tests give fewer inputs."""
NAMES = (
    *("texts", "addresses", "lines of hour files", "files of issues", "settings"),
    *("documents of the lake", "HTTP requests"),
)


@pytest.mark.parametrize("name", NAMES)
def test_every_input_is_answered_or_refused(name: str) -> None:
    with kinds() as all_kinds:
        assert set(all_kinds) == set(NAMES)
        kind = all_kinds[name]
        outcomes = run_kind(kind, int(INPUTS * kind.share * SLOW.get(name, 1)), SEED)
    assert outcomes.faults == {}
    assert outcomes.counts["answered"]


def test_every_request_to_an_open_release_is_answered_or_refused(two_releases: Settings) -> None:
    with kinds(two_releases) as all_kinds:
        outcomes = run_kind(all_kinds[OF_RELEASE], REQUESTS, SEED)
    assert outcomes.faults == {}
    assert outcomes.counts["answered"] > REQUESTS / 4


def test_a_content_length_of_thousands_of_digits_is_too_large(tmp_path: Path) -> None:
    assert not send_request(tmp_path)(("POST", "/title", {"content-length": "9" * 5000}, b"{}"))
