"""Translates BigQuery's errors into Titler's errors, which say what failed and which command to run next."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import requests.exceptions
from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError, TransportError

from pipeline.errors import BudgetError, TitlerError, UsageError, WarehouseError
from pipeline.settings import Warehouse as Settings

DOCTOR = "See what can be reached and which permissions are missing: titler doctor"
RERUN = "Run the same command again: finished work is not repeated, and not paid for twice."
TRANSIENT_REASONS = (
    "backendError",
    "internalError",
    "jobBackendError",
    "jobInternalError",
    "rateLimitExceeded",
    "jobRateLimitExceeded",
)
_QUOTA_REASONS = ("quotaExceeded", "rateLimitExceeded", "jobRateLimitExceeded")
_UNREACHABLE = (
    exceptions.RetryError,
    requests.exceptions.RequestException,
    concurrent.futures.TimeoutError,
    ConnectionError,
)


class UnansweredError(WarehouseError):
    """Raised if BigQuery did not answer a request. The request may or may not have taken effect."""


class RefusedError(WarehouseError):
    """Raised if BigQuery refused a request, for example because a permission is missing.

    `reason` is BigQuery's own code, such as `accessDenied`. `final` means that a retry cannot help.
    """

    def __init__(self, reason: str, message: str, hint: str, *, final: bool = False) -> None:
        super().__init__(message, hint, final=final)
        self.reason = reason


class RejectedError(RefusedError):
    """Raised if a SQL statement is wrong, or if it refers to something that does not exist in BigQuery."""


@contextmanager
def translated_errors(settings: Settings, action: str) -> Iterator[None]:
    """Turns errors of BigQuery, of the network or of the credentials into a TitlerError with a hint.

    Use it in a `with` statement. `action` completes the sentence "BigQuery failed while ...".
    """
    try:
        yield
    except TitlerError:
        raise
    except TransportError as error:
        raise _unanswered(action, error) from None
    except GoogleAuthError as error:
        # A metadata server, which issues the credentials of a pod, may answer late.
        if error.retryable or isinstance(error.__cause__, TransportError):
            raise UnansweredError(
                f"Google did not issue credentials while {action}: {_first_line(error)}", RERUN
            ) from None
        raise UsageError(
            f"BigQuery did not accept the credentials while {action}: {_first_line(error)}", DOCTOR
        ) from None
    except exceptions.GoogleAPICallError as error:
        raise _api_error(settings, action, error) from None
    except _UNREACHABLE as error:
        raise _unanswered(action, error) from None


def refusal(settings: Settings, action: str, reason: str, message: str) -> TitlerError:
    """Returns the error to raise after a job failed, or after BigQuery refused a request.

    `reason` is BigQuery's code, such as `accessDenied`, and `message` is BigQuery's message. `action`
    completes the sentence "BigQuery failed while ...".
    """
    # the lines after the first repeat the job's name and location
    message = message.strip().partition("\n")[0]
    if reason == "bytesBilledLimitExceeded" or "bytes billed" in message:
        return BudgetError(
            f"BigQuery stopped a query while {action}, because the query would have exceeded the budget: "
            f"{message}",
            "To estimate the cost: titler cost --day DAY\n"
            "To raise a budget, set warehouse.max_bytes_per_run or warehouse.max_bytes_per_day.",
            event=f"budget/{datetime.now(UTC).date()}/{action}",
        )
    if reason in _QUOTA_REASONS:
        hint = f"Wait until the quota renews (usually within a day), or raise it in the project. {RERUN}"
        return RefusedError(reason, f"A quota of BigQuery was exceeded while {action}: {message}", hint)
    if reason in TRANSIENT_REASONS:
        return RefusedError(reason, f"BigQuery failed while {action}: {message}", RERUN)
    if reason == "accessDenied" and "gs://" in message:
        hint = "Grant the identity that publishes roles/storage.objectViewer on the lake's bucket."
        return RefusedError(
            reason, f"BigQuery denied access to the lake while {action}: {message}", hint, final=True
        )
    if reason == "accessDenied":
        return RefusedError(reason, f"BigQuery denied access while {action}: {message}", DOCTOR, final=True)
    if reason == "notFound":
        commands = "".join(
            f"\n    bq --location={settings.location} mk --dataset {settings.project}:{name}"
            for name in (settings.dataset, settings.views_dataset)
            if name
        )
        return RejectedError(
            reason,
            f"Something that BigQuery needs was not found while {action}: {message}",
            f"If a data set does not exist, create it:{commands}\nTo see what else is missing: titler doctor",
            final=True,
        )
    return RejectedError(
        reason, f"BigQuery rejected the request while {action}: {message}", DOCTOR, final=True
    )


def _unanswered(action: str, error: Exception) -> UnansweredError:
    return UnansweredError(f"BigQuery did not answer while {action}: {_first_line(error)}", RERUN)


def _api_error(settings: Settings, action: str, error: exceptions.GoogleAPICallError) -> TitlerError:
    reasons = [str(detail.get("reason", "")) for detail in error.errors or () if isinstance(detail, dict)]
    reason = next(filter(None, reasons), "")
    is_server_error = isinstance(error, (exceptions.ServerError, exceptions.TooManyRequests))
    if is_server_error and reason not in _QUOTA_REASONS:
        return UnansweredError(f"BigQuery failed while {action}: {_first_line(error)}", RERUN)
    if not reason and isinstance(error, (exceptions.Forbidden, exceptions.Unauthorized)):
        reason = "accessDenied"
    if not reason and isinstance(error, exceptions.NotFound):
        reason = "notFound"
    return refusal(settings, action, reason, _first_line(error))


def _first_line(error: BaseException) -> str:
    text = str(getattr(error, "message", "") or error).strip()
    return text.splitlines()[0][:500] if text else type(error).__name__
