"""For all tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def _code_of_this_tree() -> Iterator[None]:
    """MLflow puts a loaded model's own copy of `pipeline` first on the path, where processes that a later module starts would find it."""
    before = list(sys.path)
    yield
    sys.path[:] = before
