"""Requests to a base of hour files that fail are sent again."""

from __future__ import annotations

import pytest

from pipeline.errors import SourceError
from pipeline.source import hour_requests
from pipeline.source.hour_requests import request_all


def test_only_what_failed_is_requested_again_and_at_most_three_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hour_requests, "PAUSES", (0.0, 0.0))
    requested: list[str] = []
    failures = {"fine": 0, "fails twice": 2, "fails": 3}

    def request(name: str) -> str:
        requested.append(name)
        if requested.count(name) <= failures[name]:
            raise SourceError(f"{name} {requested.count(name)}")
        return name

    results = request_all(request, list(failures))
    assert [str(result) for result in results] == ["fine", "fails twice", "fails 3"]
    assert sorted(requested) == ["fails"] * 3 + ["fails twice"] * 3 + ["fine"]
