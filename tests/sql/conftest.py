"""What is slow to start, once a session."""

from __future__ import annotations

import pytest

from tests.sql.googlesql import GoogleSQL


@pytest.fixture(scope="session")
def googlesql() -> GoogleSQL:
    return GoogleSQL.of_titler()
