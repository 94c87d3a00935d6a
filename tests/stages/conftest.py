"""Two bases of hour files, in folders and on a web server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.source import hour_requests
from tests.support.hour_bases import Bases, FailingHandler, serve, settings_of, two_bases


@pytest.fixture
def bases(tmp_path: Path) -> Bases:
    """Both bases have all hours, with one event each."""
    return two_bases(tmp_path)


@pytest.fixture
def served_bases(bases: Bases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bases]:
    """The same bases on a web server. Requests that fail are sent again at once."""
    monkeypatch.setattr(hour_requests, "PAUSES", (0.0, 0.0))
    monkeypatch.setattr(FailingHandler, "failing", {})
    with serve(tmp_path) as address:
        yield bases._replace(settings=settings_of(address, tmp_path / "lake"))
