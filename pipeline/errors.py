"""What goes wrong, told to a person: what was found, what was expected, what to type next."""

from __future__ import annotations

FINAL = 3  # the exit code of what waits for a person


class TitlerError(Exception):
    """A failure that a person can act on. The command prints it as it stands and exits with `exit_code`.

    1: trying again may help. 2: the command is mistaken. 3: nothing changes until a person decides. Airflow tries only the first again.

    `message` says what was found and what was expected; `hint`, where there is one, is the next step,
    a command where possible. `event` names what wakes a person, once; empty where nobody is to be woken. `final` makes one of 1 one of 3.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "", event: str = "", *, final: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.event = event
        if final:
            self.exit_code = FINAL

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class UsageError(TitlerError):
    """A mistake in what was asked for: options, settings, a file that is not what it was said to be."""

    exit_code = 2


class ContractError(TitlerError):
    """A table that is not what `contracts.py` declares."""

    exit_code = FINAL


class SourceError(TitlerError):
    """Hour files that cannot be had or are not GH Archive's."""


class LakeError(TitlerError):
    """A batch, manifest or pointer that is missing or damaged."""


class BudgetError(TitlerError):
    """Work that would cost more than the settings allow; nothing of it was begun."""

    exit_code = FINAL


class StoppedError(TitlerError):
    """A release that its audit keeps from being published."""

    exit_code = FINAL


class WarehouseError(TitlerError):
    """A warehouse that refuses or fails: rights, quotas, tables that someone changed."""
