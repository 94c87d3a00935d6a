"""Credentials: which account is used, that no secret is readable, and which errors are retried."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.api_core import exceptions
from google.auth.exceptions import RefreshError, TransportError

from pipeline import settings
from pipeline.errors import TitlerError, UsageError, WarehouseError
from pipeline.settings import Warehouse as Settings
from pipeline.warehouse.bigquery import BigQueryWarehouse
from pipeline.warehouse.bigquery.client import connect
from pipeline.warehouse.bigquery.errors import translated_errors
from tests.support.emulator import CANARY, Emulator, secrets_of, service_account


def test_without_a_project_it_says_which_setting_is_missing() -> None:
    with pytest.raises(UsageError, match=r"warehouse\.project is empty") as raised:
        BigQueryWarehouse(Settings(kind="bigquery"), "test")
    assert "TITLER_WAREHOUSE__PROJECT=" in raised.value.hint


def test_without_credentials_it_says_how_to_make_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with pytest.raises(UsageError, match="There are no credentials") as raised:
        connect(Settings(kind="bigquery", project="p"))
    assert "gcloud auth application-default login" in raised.value.hint


@pytest.mark.parametrize(
    "content", ["not json", '{"type": "service_account", "private_key": "canary-5b1f0e"}', "{}"]
)
def test_a_file_that_is_no_service_account_is_named_and_not_quoted(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key.json"
    path.write_text(content)
    with pytest.raises(UsageError, match=r"key\.json contains no credentials") as raised:
        connect(Settings(kind="bigquery", project="p", credentials_file=str(path)))
    assert CANARY not in str(raised.value)


def test_a_file_of_credentials_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match=r"warehouse\.credentials_file = nowhere\.json: no such file"):
        connect(Settings(kind="bigquery", project="p", credentials_file="nowhere.json"))


def test_a_service_account_asks_with_its_token(
    bigquery_settings: Settings, emulator: Emulator, tmp_path: Path
) -> None:
    account = service_account(tmp_path)
    configured = bigquery_settings.model_copy(update={"credentials_file": str(account)})
    emulator.proxy.authorizations.clear()
    assert BigQueryWarehouse(configured, "test").current_release() is None
    (token,) = emulator.proxy.authorizations
    assert token.startswith("Bearer ey")
    assert not [
        secret
        for secret in secrets_of(account)
        if secret in repr(configured) + repr(settings.Settings(warehouse=configured))
    ]


def test_an_unknown_server_is_not_waited_for_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("google.cloud.bigquery.retry.DEFAULT_RETRY._timeout", 0.1)
    warehouse = BigQueryWarehouse(
        Settings(kind="bigquery", project="p", endpoint="http://127.0.0.1:9"), "test"
    )
    with pytest.raises(WarehouseError, match="BigQuery did not answer while reading releases_v1"):
        warehouse.current_release()


def metadata_server_error() -> RefreshError:
    """The error of Google's library if the metadata server, which issues a pod's credentials, does not
    answer.
    """
    error = RefreshError("Failed to retrieve the token")
    error.__cause__ = TransportError("connection refused")
    return error


@pytest.mark.parametrize(
    (
        "error",
        "exit_code",
    ),  # 1: Airflow retries; 2: a mistake in the command or settings; 3: a person must decide
    [
        (TransportError("connection refused"), 1),
        (metadata_server_error(), 1),
        (RefreshError("server error", retryable=True), 1),
        (RefreshError("invalid_grant: the account was deleted"), 2),
        (exceptions.ServiceUnavailable("back soon"), 1),
        (exceptions.Forbidden("no bigquery.jobs.create", errors=[{"reason": "accessDenied"}]), 3),
        (exceptions.Forbidden("too many queries", errors=[{"reason": "quotaExceeded"}]), 1),
        (exceptions.BadRequest("Unrecognized name", errors=[{"reason": "invalidQuery"}]), 3),
        (exceptions.NotFound("no such data set", errors=[{"reason": "notFound"}]), 3),
    ],
)
def test_only_transient_errors_are_retried(error: Exception, exit_code: int) -> None:
    with (
        pytest.raises(TitlerError) as raised,
        translated_errors(Settings(kind="bigquery", project="p"), "asking"),
    ):
        raise error
    assert raised.value.exit_code == exit_code
