"""BigQuery's client: whose rights it has, where it asks, and what it raises, told to a person."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import google.auth
import grpc
import requests.exceptions
from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, TransportError
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import BigQueryReadClient
from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcTransport
from google.oauth2 import service_account

from pipeline.errors import BudgetError, TitlerError, UsageError, WarehouseError
from pipeline.settings import Warehouse as Settings

SCOPES = ("https://www.googleapis.com/auth/bigquery",)


REQUEST = 60  # seconds for one request; `warehouse.timeout` is for whole jobs
DOCTOR = "See what it can reach and which rights are missing: titler doctor"
AGAIN = "Run the same command again: what is done is not done, or paid for, twice."
TRANSIENT = (
    "backendError",
    "internalError",
    "jobBackendError",
    "jobInternalError",
    "rateLimitExceeded",
    "jobRateLimitExceeded",
)
_QUOTA = ("quotaExceeded", "rateLimitExceeded", "jobRateLimitExceeded")
_UNREACHED = (
    exceptions.RetryError,
    requests.exceptions.RequestException,
    concurrent.futures.TimeoutError,
    ConnectionError,
)


class UnansweredError(WarehouseError):
    """Nobody knows whether what was asked for was done."""


class RefusedError(WarehouseError):
    """What BigQuery will not do. `reason` is its own word for why, like `accessDenied`; `final` as with every error."""

    def __init__(self, reason: str, message: str, hint: str, *, final: bool = False) -> None:
        super().__init__(message, hint, final=final)
        self.reason = reason


class RejectedError(RefusedError):
    """A statement that is wrong, or that names what is not there."""


def credentials_of(settings: Settings) -> Credentials:
    """A service account's from its file, none for an emulator, else application default credentials. Raises UsageError without any."""
    try:
        if settings.credentials_file:
            return service_account.Credentials.from_service_account_file(
                settings.credentials_file, scopes=SCOPES
            )
        if settings.endpoint:
            return AnonymousCredentials()
        return google.auth.default(scopes=SCOPES)[0]
    except FileNotFoundError:
        raise UsageError(
            f"warehouse.credentials_file = {settings.credentials_file}: no such file.", DOCTOR
        ) from None
    except OSError as error:
        raise UsageError(
            f"warehouse.credentials_file = {settings.credentials_file} cannot be read: {error.strerror}.",
            DOCTOR,
        ) from None
    except (ValueError, DefaultCredentialsError):  # their texts may quote the file, so they stay out of ours
        found = (
            f"warehouse.credentials_file = {settings.credentials_file} is"
            if settings.credentials_file
            else "There are"
        )
        raise UsageError(
            f"{found} no credentials for Google Cloud.",
            "Make them: gcloud auth application-default login; or set warehouse.credentials_file to a service account's JSON file.",
        ) from None


def connect(settings: Settings) -> bigquery.Client:
    """A client of `warehouse.project`. Raises UsageError where that is empty, or without credentials."""
    if not settings.project:
        raise UsageError(
            "warehouse.project is empty, and BigQuery's warehouse needs the project that holds it and pays.",
            "Set it: TITLER_WAREHOUSE__PROJECT=my-project",
        )
    options = ClientOptions(api_endpoint=settings.endpoint) if settings.endpoint else None
    credentials = credentials_of(settings)
    return bigquery.Client(
        project=settings.project, credentials=credentials, location=settings.location, client_options=options
    )


def connect_storage(settings: Settings) -> BigQueryReadClient | None:
    """A client of the Storage Read API; None for an emulator whose `warehouse.storage_endpoint` is not said."""
    if not settings.endpoint:
        return BigQueryReadClient(credentials=credentials_of(settings))
    if not settings.storage_endpoint:
        return None
    return BigQueryReadClient(
        transport=BigQueryReadGrpcTransport(channel=grpc.insecure_channel(settings.storage_endpoint))
    )


@contextmanager
def told(settings: Settings, doing: str) -> Iterator[None]:
    """Raises as a TitlerError, with what to do next, whatever BigQuery or the way to it raises within."""
    try:
        yield
    except TitlerError:
        raise
    except TransportError as error:
        raise UnansweredError(f"BigQuery did not answer while {doing}: {_short(error)}", AGAIN) from None
    except GoogleAuthError as error:
        if error.retryable or isinstance(
            error.__cause__, TransportError
        ):  # the server of a pod's own credentials may be late
            raise UnansweredError(
                f"Google's credentials did not come while {doing}: {_short(error)}", AGAIN
            ) from None
        raise UsageError(
            f"BigQuery does not take the credentials while {doing}: {_short(error)}", DOCTOR
        ) from None
    except exceptions.GoogleAPICallError as error:
        found = [str(one.get("reason", "")) for one in error.errors or () if isinstance(one, dict)]
        reason = next((one for one in found if one), "")
        if isinstance(error, (exceptions.ServerError, exceptions.TooManyRequests)) and reason not in _QUOTA:
            raise UnansweredError(f"BigQuery failed while {doing}: {_short(error)}", AGAIN) from None
        denied = isinstance(error, (exceptions.Forbidden, exceptions.Unauthorized))
        missing = isinstance(error, exceptions.NotFound)
        raise refusal(
            settings,
            doing,
            reason or ("accessDenied" if denied else "notFound" if missing else ""),
            _short(error),
        ) from None
    except _UNREACHED as error:
        raise UnansweredError(f"BigQuery did not answer while {doing}: {_short(error)}", AGAIN) from None


def refusal(settings: Settings, doing: str, reason: str, message: str) -> TitlerError:
    """What BigQuery answered, or what a job ended with, as an error that a person can act on."""
    message = message.strip().partition("\n")[0]  # what follows is the job's name and place
    if reason == "bytesBilledLimitExceeded" or "bytes billed" in message:
        return BudgetError(
            f"BigQuery stopped {doing}, which would have billed more than is left of the budget: {message}",
            "See what it would cost: titler cost --day D; the budgets: warehouse.max_bytes_per_run, warehouse.max_bytes_per_day.",
            event=f"budget/{datetime.now(UTC).date()}/{doing}",
        )
    if reason in _QUOTA:
        hint = f"Wait until it is renewed (most are within a day), or have it raised in the project's quotas. {AGAIN}"
        return RefusedError(reason, f"BigQuery's quota stops {doing}: {message}", hint)
    if reason in TRANSIENT:
        return RefusedError(reason, f"BigQuery failed while {doing}: {message}", AGAIN)
    if reason == "accessDenied":
        return RefusedError(reason, f"BigQuery refuses {doing}: {message}", DOCTOR, final=True)
    if reason == "notFound":
        place = f"{settings.project}:{settings.dataset}"
        return RejectedError(
            reason,
            f"BigQuery does not find what {doing} needs: {message}",
            f"The data set must exist: bq --location={settings.location} mk --dataset {place}; what else is missing: titler doctor",
            final=True,
        )
    return RejectedError(reason, f"BigQuery rejects {doing}: {message}", DOCTOR, final=True)


def _short(error: BaseException) -> str:
    """Its first line."""
    text = str(getattr(error, "message", "") or error).strip()
    return text.splitlines()[0][:500] if text else type(error).__name__
