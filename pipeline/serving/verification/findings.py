"""The results of a verification: what is damaged, and what was read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from pipeline.errors import TitlerError

Value = TypeVar("Value")


@dataclass
class Damage:
    """One thing that is damaged. `problem` says what was found and expected, and `remedy` says what to type.
    `used_by` are the releases, models and days that are affected, such as "release 20150104T031200Z"."""

    problem: str
    remedy: str
    used_by: set[str] = field(default_factory=set)


class Findings:
    """Collects the damage that a verification finds. Each problem is listed once."""

    def __init__(self) -> None:
        self._damages: dict[str, Damage] = {}

    def add(self, error: TitlerError, used_by: str, remedy: str = "") -> None:
        """Adds the damage that an error describes. `remedy`, if given, replaces the hint of the error."""
        damage = self._damages.setdefault(error.message, Damage(error.message, remedy or error.hint))
        damage.used_by.add(used_by)

    def attempt(self, read: Callable[[], Value], used_by: str) -> Value | None:
        """Returns `read()`. If it raises a TitlerError, adds the error and returns None."""
        try:
            return read()
        except TitlerError as error:
            self.add(error, used_by)
            return None

    def sorted(self) -> list[Damage]:
        """Returns all damage that was found, sorted by message."""
        return [self._damages[problem] for problem in sorted(self._damages)]
