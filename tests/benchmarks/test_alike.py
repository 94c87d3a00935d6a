"""The program that draws titles for a reader."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.alike import draw, useless_half


def test_titles_are_drawn_beside_their_authors_and_sorted_by_likeness(tmp_path: Path) -> None:
    (tmp_path / "title-test-1.txt").write_text("fix the crash\nadd a dark theme\n")
    (tmp_path / "itape.txt").write_text("fix a crash\nremove everything\n")
    (tmp_path / "prsum.txt").write_text("update\nadd dark theme\n")
    not_alike, alike = draw(tmp_path, drawn=2)
    assert sorted(title for *_, title in not_alike) == ["remove everything", "update"]
    assert sorted((author, title) for _, author, title in alike) == [
        ("add a dark theme", "add dark theme"),
        ("fix the crash", "fix a crash"),
    ]


def test_half_are_useless_between_the_two_shares() -> None:
    assert useless_half(27 / 40, 3 / 30) == pytest.approx(0.304, abs=0.001)
