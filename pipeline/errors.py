"""The errors that `titler` prints, and its exit codes.

An error says what was found, what was expected and which command to type next.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from enum import IntEnum

from pipeline.printed_text import without_secrets


class ExitCode(IntEnum):
    """The exit codes of `titler`. They tell a script, or Airflow, how a command ended."""

    DONE = 0
    RETRYABLE = 1
    MISUSE = 2
    DECISION_NEEDED = 3
    DEFERRED = 4
    NOT_READY = 75
    SKIPPED = 99
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """The meaning of the exit code, in one line."""
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.DONE: "done",
    ExitCode.RETRYABLE: "failed; running the same command again may help",
    ExitCode.MISUSE: "the command, its options or the settings are wrong",
    ExitCode.DECISION_NEEDED: "stopped until a person decides; running the command again changes nothing",
    ExitCode.DEFERRED: "the day's byte budget is spent; the same command continues after midnight UTC",
    ExitCode.NOT_READY: "the data is not ready yet (EX_TEMPFAIL of sysexits.h); run the command again later",
    ExitCode.SKIPPED: "only with `--skip-code 99`: there was nothing to do, and Airflow skips the task",
    ExitCode.INTERRUPTED: "interrupted by SIGINT (128 + 2); the same command continues where it stopped",
}


class TitlerError(Exception):
    """A failure that a person can act on.

    The command prints the error without a traceback and exits with `exit_code`. `message` says what was found
    and what was expected. `hint` says what to do next, with a command where possible. The hint may be empty.

    `event` names the problem. If it is not empty, the command also sends an alert, unless an alert with the
    same `event` was sent before. If `final` is true, running the command again cannot help, and the exit code
    is DECISION_NEEDED. Credentials in the message and in the hint are masked.
    """

    exit_code = ExitCode.RETRYABLE

    def __init__(self, message: str, hint: str = "", event: str = "", *, final: bool = False) -> None:
        self.message, self.hint = without_secrets(message), without_secrets(hint)
        super().__init__(self.message)
        self.event = event
        if final:
            self.exit_code = ExitCode.DECISION_NEEDED

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class UsageError(TitlerError):
    """Raised for a mistake in the command, its options, the settings or an input file."""

    exit_code = ExitCode.MISUSE


class ContractError(TitlerError):
    """Raised if the data of a table does not match its contract, which declares the columns and types of the
    table."""

    exit_code = ExitCode.DECISION_NEEDED


class SourceError(TitlerError):
    """Raised if hour files cannot be read, or if their content does not have the format of GH Archive."""


class LakeError(TitlerError):
    """Raised if a file of the lake, such as a manifest, is missing or damaged, or cannot be written."""


class DamagedBatchError(LakeError):
    """Raised if a file of a batch is missing, or does not match the batch's manifest."""


class BudgetError(TitlerError):
    """Raised instead of starting a BigQuery job that would cost more than the settings allow."""

    exit_code = ExitCode.DECISION_NEEDED


class DailyBudgetError(BudgetError):
    """Raised instead of starting a BigQuery job for which the budget of this UTC day no longer suffices. The
    budget of the next day will suffice."""

    exit_code = ExitCode.DEFERRED


class OversizedDayError(BudgetError):
    """Raised instead of starting a BigQuery job if the jobs of its source day alone cost more than the whole
    budget of a command or of a UTC day. Other source days may cost less."""


class StoppedError(TitlerError):
    """Raised if a release fails its checks and is therefore not published."""

    exit_code = ExitCode.DECISION_NEEDED


class WarehouseError(TitlerError):
    """Raised if the warehouse fails or refuses a request, for example because of missing permissions, an
    exceeded quota or a changed table."""


@dataclass(frozen=True)
class Finding:
    """The result of one check of `titler doctor`.

    `subject` names what was checked, and `message` says what was found. If the check failed, `advice` says
    what to do.
    """

    subject: str
    passed: bool
    message: str
    advice: str = ""


_RETRY = "then run the same command again."
_DISK_ADVICE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), f"Free disk space, {_RETRY}"),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), f"Fix the permissions, {_RETRY}"),
    errno.EFBIG: f"Raise the limit of a file's size (ulimit -f), {_RETRY}",
    errno.EMFILE: f"Raise the limit of open files (ulimit -n), {_RETRY}",
    errno.EIO: f"The disk may be failing. Check it, {_RETRY}",
}


def disk_error(error: BaseException) -> TitlerError | None:
    """Returns a TitlerError if `error` was caused by a disk that is full, read-only, failing or inaccessible.
    Otherwise returns None."""
    if not isinstance(error, OSError) or error.errno not in _DISK_ADVICE:
        return None
    place = f"{error.filename}: " if error.filename else ""
    return TitlerError(f"{place}{error.strerror}.", disk_advice(error))


def disk_advice(error: OSError) -> str:
    """Returns what to do if the operating system reports `error` for a file or folder."""
    return _DISK_ADVICE.get(error.errno or 0, f"Free disk space or fix the permissions, {_RETRY}")
