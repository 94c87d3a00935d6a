"""The eras of GH Archive's data, which differ in the form and the number of events. The price of a source day
in BigQuery depends on its era.

The dates are written here because no programming interface reports them. They are public knowledge: the
format changed in 2015, GH Archive has missed most events other than pushes since May 2025, and GitHub has
published shorter events since 2025-10-07.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Era:
    """A period in which GH Archive's data has the same form. `last` is its last day, or None for the present
    era."""

    name: str
    first: date
    last: date | None

    @property
    def span(self) -> str:
        """The first and the last day, such as `2015-01-01 to 2025-04-30`."""
        return f"{self.first} to {self.last}" if self.last else f"since {self.first}"


ERAS = (
    Era("Timeline API, which Titler cannot read", date(2011, 2, 12), date(2014, 12, 31)),
    Era("all events", date(2015, 1, 1), date(2025, 4, 30)),
    Era("many events missing", date(2025, 5, 1), date(2025, 10, 6)),
    Era("many events missing, and shorter events", date(2025, 10, 7), None),
)
"""The eras, the earliest first. GH Archive begins on 2011-02-12."""


def era_of(day: date) -> Era:
    """Returns the era of a source day. The first era is also returned for days before its first day."""
    return next((era for era in reversed(ERAS) if day >= era.first), ERAS[0])
