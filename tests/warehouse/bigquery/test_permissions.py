"""What Titler may do in BigQuery, as `titler doctor` reports it, and what grants a missing permission."""

from __future__ import annotations

from pathlib import Path

from pipeline.cli import doctor
from pipeline.errors import Finding
from pipeline.settings import Settings as AllSettings
from pipeline.settings import Warehouse as Settings
from pipeline.warehouse.bigquery.permissions import check_permissions
from tests.support.emulator import Answer, Emulator, Request, service_account


def test_the_doctor_says_project_identity_data_sets_and_permissions(
    bigquery_settings: Settings, emulator: Emulator, tmp_path: Path
) -> None:
    account = service_account(tmp_path)
    probes = list(check_permissions(bigquery_settings.model_copy(update={"credentials_file": str(account)})))
    assert [probe.subject for probe in probes] == [
        "bigquery",
        "data sets",
        "queries",
        "data set",
        "tables",
        "source",
        "results",
    ]
    assert all(probe.passed for probe in probes)
    assert probes[0].message == "project titler-test, as titler@titler-test.iam.gserviceaccount.com"
    assert bigquery_settings.dataset in probes[1].message


def test_the_doctor_names_the_permission_that_is_missing(
    bigquery_settings: Settings, emulator: Emulator
) -> None:
    denied = Answer.error(
        403,
        "accessDenied",
        "Access Denied: Permission bigquery.tables.create denied on dataset titler-test:d",
    )

    def deny(request: Request, forward: object) -> Answer | None:
        return (
            denied
            if request.method == "POST" and request.path.partition("?")[0].endswith("/tables")
            else None
        )

    with emulator.proxy.intervene(deny):
        wrong = [probe for probe in check_permissions(bigquery_settings) if not probe.passed]
    (probe,) = wrong
    assert probe.subject == "tables"
    assert "bigquery.tables.create denied" in probe.message
    assert probe.advice == (
        "Needs bigquery.tables.create, .update, .delete. "
        f"Grant: roles/bigquery.dataEditor on titler-test:{bigquery_settings.dataset}"
    )


def test_the_doctor_says_how_to_create_a_missing_data_set(bigquery_settings: Settings) -> None:
    wrong = [
        probe
        for probe in check_permissions(bigquery_settings.model_copy(update={"dataset": "nowhere"}))
        if not probe.passed
    ]
    assert [probe.subject for probe in wrong] == ["data set", "tables", "results"]
    assert wrong[0].advice == (
        "Needs bigquery.datasets.get. Create the data set: bq --location=US mk --dataset titler-test:nowhere"
    )


def test_the_doctor_says_how_to_create_a_missing_data_set_for_views(bigquery_settings: Settings) -> None:
    missing = bigquery_settings.model_copy(update={"views_dataset": "nowhere"})
    findings = [probe for probe in check_permissions(missing) if not probe.passed]
    assert [(finding.subject, finding.advice) for finding in findings] == [
        (
            "views data set",
            "Needs bigquery.datasets.get. "
            "Create the data set: bq --location=US mk --dataset titler-test:nowhere",
        ),
        (
            "views",
            "Needs bigquery.tables.create, .update, .delete. "
            "Grant: roles/bigquery.dataEditor on titler-test:nowhere",
        ),
    ]


def test_the_doctor_names_the_data_set_and_its_current_release(bigquery_settings: Settings) -> None:
    *_, finding = doctor._check_warehouse(AllSettings(warehouse=bigquery_settings))
    message = f"BigQuery, titler-test.{bigquery_settings.dataset}: no release is published yet"
    assert finding == Finding("warehouse", True, message)
