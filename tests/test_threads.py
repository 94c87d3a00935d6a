"""Computing batches in parallel."""

import pytest

from pipeline.threads import map_on_cores


@pytest.mark.parametrize("count", [0, 1, 50])
def test_results_are_in_the_order_of_the_items(count: int) -> None:
    assert map_on_cores(lambda number: -number, range(count)) == [-number for number in range(count)]


def test_an_error_in_a_thread_is_raised() -> None:
    def fail_at_three(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number

    with pytest.raises(ValueError, match="three"):
        map_on_cores(fail_at_three, range(8))
