"""Creates clients for BigQuery and its Storage Read API, with the credentials that the settings choose."""

from __future__ import annotations

import google.auth
import grpc
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import DefaultCredentialsError
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import BigQueryReadClient
from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcTransport
from google.oauth2 import service_account

from pipeline.errors import UsageError
from pipeline.settings import Warehouse as Settings
from pipeline.warehouse.bigquery.errors import DOCTOR

SCOPES = (
    "https://www.googleapis.com/auth/bigquery",
    "https://www.googleapis.com/auth/devstorage.read_only",  # load jobs read the lake's bucket
)
REQUEST_TIMEOUT = 60  # seconds for one request; the setting warehouse.timeout limits whole jobs


def credentials_of(settings: Settings) -> Credentials:
    """Returns the credentials for Google Cloud.

    If warehouse.credentials_file is set, returns the credentials of the service account in that file.
    Otherwise returns anonymous credentials for an emulator, and Google's application default credentials for
    BigQuery.

    Raises UsageError if there are no credentials, or if the file cannot be used.
    """
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
    except (ValueError, DefaultCredentialsError):  # the original message may quote secrets from the file
        path = settings.credentials_file
        message = (
            f"warehouse.credentials_file = {path} contains no credentials for Google Cloud."
            if path
            else "There are no credentials for Google Cloud."
        )
        raise UsageError(
            message,
            "Create credentials: gcloud auth application-default login; "
            "or set warehouse.credentials_file to a service account's JSON file.",
        ) from None


def connect(settings: Settings) -> bigquery.Client:
    """Returns a BigQuery client for the project in the setting `warehouse.project`.

    Raises UsageError if the project is not set, or if there are no credentials that can be used.
    """
    if not settings.project:
        raise UsageError(
            "warehouse.project is empty. The BigQuery warehouse needs a project, "
            "which stores the data and pays for queries.",
            "Set the project: TITLER_WAREHOUSE__PROJECT=my-project",
        )
    options = ClientOptions(api_endpoint=settings.endpoint) if settings.endpoint else None
    credentials = credentials_of(settings)
    return bigquery.Client(
        project=settings.project, credentials=credentials, location=settings.location, client_options=options
    )


def connect_storage(settings: Settings) -> BigQueryReadClient | None:
    """Returns a client for the Storage Read API.

    Returns None for an emulator if the setting `warehouse.storage_endpoint` is empty.
    """
    if not settings.endpoint:
        return BigQueryReadClient(credentials=credentials_of(settings))
    if not settings.storage_endpoint:
        return None
    return BigQueryReadClient(
        transport=BigQueryReadGrpcTransport(channel=grpc.insecure_channel(settings.storage_endpoint))
    )
