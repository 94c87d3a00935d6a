"""The days that `extract` leaves out because the BigQuery budget is too small, and the error about them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from pipeline.errors import BudgetError, OversizedDayError

OVERSIZED_DAYS_LISTED = 5


class RefusedDay(NamedTuple):
    """A day that was not extracted because the BigQuery budget is too small, and the error that says so."""

    day: date
    error: BudgetError


def refusal_of(refused: Sequence[RefusedDay], days: int, again: bool) -> BudgetError:
    """Returns the error about the days that were not extracted because the budget is too small.

    The error contains the command that extracts the remaining days. If `again` is true, the user must not
    repeat the original command, because it would extract the finished days once more. Days that each cost
    more than a whole budget are named one by one, up to OVERSIZED_DAYS_LISTED of them. `days` is the number
    of all requested days.
    """
    if days == 1:
        return refused[0].error
    oversized = [day for day in refused if isinstance(day.error, OversizedDayError)]
    waiting = [day for day in refused if not isinstance(day.error, OversizedDayError)]
    messages, hints = [], []
    if waiting:
        error, first, last = waiting[0].error, waiting[0].day, waiting[-1].day
        command = f"titler extract --from {first} --to {last}{' --again' if again else ''}"
        which = "To continue with the days that are left"
        left = f"{len(waiting)} days are left." if len(waiting) > 1 else "1 day is left."
        messages.append(f"{error.message} {left}")
        if again:
            hints.append(f"{which}, type this command, after midnight UTC or with a larger budget: {command}")
        else:
            hints.append(f"{error.hint}\n{which}: {command}")
    else:
        error = oversized[0].error
    messages += [day.error.message for day in oversized[:OVERSIZED_DAYS_LISTED]]
    hints += [day.error.hint for day in oversized[:OVERSIZED_DAYS_LISTED]]
    if unlisted := oversized[OVERSIZED_DAYS_LISTED:]:
        messages.append(f"{len(unlisted)} more days, up to {unlisted[-1].day}, are also too large.")
    return type(error)("\n".join(messages), "\n".join(hints), event=error.event)
