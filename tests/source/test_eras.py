"""Every source day is in one era of GH Archive."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest

from pipeline.source.eras import ERAS, era_of
from pipeline.warehouse.protocol import FIRST_DAY


def test_the_eras_follow_one_another_and_the_second_is_the_first_that_can_be_read() -> None:
    assert [earlier.last for earlier, _ in pairwise(ERAS)] == [
        later.first - timedelta(days=1) for _, later in pairwise(ERAS)
    ]
    assert (ERAS[1].first, ERAS[-1].last) == (FIRST_DAY, None)


@pytest.mark.parametrize(
    ("day", "span"),
    [
        (date(2010, 1, 1), "2011-02-12 to 2014-12-31"),
        (date(2025, 4, 30), "2015-01-01 to 2025-04-30"),
        (date(2025, 5, 1), "2025-05-01 to 2025-10-06"),
        (date(2026, 1, 1), "since 2025-10-07"),
    ],
)
def test_a_day_has_the_era_in_which_it_is(day: date, span: str) -> None:
    assert era_of(day).span == span
