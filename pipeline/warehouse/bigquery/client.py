"""BigQuery's client: whose rights it has, where it asks, and what it raises, told to a person."""

from __future__ import annotations

import concurrent.futures
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import google.auth
import grpc
import requests.exceptions
from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import BigQueryReadClient
from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcTransport
from google.oauth2 import service_account

from pipeline.errors import BudgetError, TitlerError, UsageError, WarehouseError
from pipeline.settings import Warehouse as Settings

SCOPES = ("https://www.googleapis.com/auth/bigquery",)


class UnansweredError(WarehouseError):
    """Nobody knows whether what was asked for was done."""


class RejectedError(WarehouseError):
    """A statement that is wrong, or that names what is not there."""


DOCTOR = "See what it can reach and which rights are missing: titler doctor"
AGAIN = "Run the same command again: what is done is not done, or paid for, twice."
_UNREACHED = (
    exceptions.RetryError,
    exceptions.ServerError,
    requests.exceptions.RequestException,
    concurrent.futures.TimeoutError,
    ConnectionError,
)


def credentials_of(settings: Settings) -> Credentials:
    """A service account's from its file, none for an emulator, else application default credentials. Raises UsageError without any."""
    try:
        if settings.credentials_file:
            return service_account.Credentials.from_service_account_file(settings.credentials_file, scopes=SCOPES)
        if settings.endpoint:
            return AnonymousCredentials()
        return google.auth.default(scopes=SCOPES)[0]
    except FileNotFoundError:
        raise UsageError(f"warehouse.credentials_file = {settings.credentials_file}: no such file.", DOCTOR) from None
    except (ValueError, DefaultCredentialsError):  # their texts may quote the file, so they stay out of ours
        found = f"warehouse.credentials_file = {settings.credentials_file} is" if settings.credentials_file else "There are"
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
    return bigquery.Client(project=settings.project, credentials=credentials, location=settings.location, client_options=options)


def connect_storage(settings: Settings) -> BigQueryReadClient | None:
    """A client of the Storage Read API; None for an emulator whose `warehouse.storage_endpoint` is not said."""
    if not settings.endpoint:
        return BigQueryReadClient(credentials=credentials_of(settings))
    if not settings.storage_endpoint:
        return None
    return BigQueryReadClient(transport=BigQueryReadGrpcTransport(channel=grpc.insecure_channel(settings.storage_endpoint)))


def reason_of(error: exceptions.GoogleAPICallError) -> str:
    """BigQuery's one word for what went wrong, like `accessDenied`; empty where it gave none."""
    found = [str(one.get("reason", "")) for one in error.errors or () if isinstance(one, dict)]
    return next((reason for reason in found if reason), "")


@contextmanager
def told(settings: Settings, doing: str) -> Iterator[None]:
    """Raises as a TitlerError, with what to do next, whatever BigQuery or the way to it raises within."""
    try:
        yield
    except TitlerError:
        raise
    except GoogleAuthError as error:
        said = re.sub(r"[^ -~].*", "", str(error).splitlines()[0])[:200] if str(error) else type(error).__name__
        raise UsageError(f"BigQuery does not take the credentials while {doing}: {said}", DOCTOR) from None
    except exceptions.GoogleAPICallError as error:
        raise explained(settings, doing, error) from None
    except _UNREACHED as error:
        raise UnansweredError(f"BigQuery did not answer while {doing}: {_short(error)}", AGAIN) from None


def explained(settings: Settings, doing: str, error: exceptions.GoogleAPICallError) -> TitlerError:
    """What BigQuery answered, as an error that a person can act on."""
    reason, message = reason_of(error), error.message or str(error)
    if reason in ("quotaExceeded", "rateLimitExceeded", "resourcesExceeded"):
        return WarehouseError(
            f"BigQuery's quota stops {doing}: {message}",
            f"Wait until it is renewed (most are within a day), or have it raised in the project's quotas. {AGAIN}",
        )
    if reason == "bytesBilledLimitExceeded" or "bytes billed" in message:
        return BudgetError(
            f"BigQuery stopped {doing}, which would have billed more than is left of the budget: {message}",
            "See what it would cost: titler cost --day D; the budgets: warehouse.max_bytes_per_run, warehouse.max_bytes_per_day.",
            event=f"budget/{datetime.now(UTC).date()}/{doing}",
        )
    if isinstance(error, (exceptions.Forbidden, exceptions.Unauthorized)):
        return WarehouseError(f"BigQuery refuses {doing}: {message}", DOCTOR)
    if isinstance(error, exceptions.NotFound):
        place = f"{settings.project}:{settings.dataset}"
        return RejectedError(
            f"BigQuery does not find what {doing} needs: {message}",
            f"The data set must exist: bq --location={settings.location} mk --dataset {place}; what else is missing: titler doctor",
        )
    if isinstance(error, exceptions.ServerError):
        return WarehouseError(f"BigQuery failed while {doing}: {message}", AGAIN)
    return RejectedError(f"BigQuery rejects {doing}: {message}", DOCTOR)


def _short(error: BaseException) -> str:
    text = str(error).splitlines()[0] if str(error) else ""
    return text[:300] or type(error).__name__
