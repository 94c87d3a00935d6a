"""A secret in any address of the settings is in nothing that Titler prints, logs or stores."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline import printed_text
from pipeline.settings import Settings, load
from pipeline.source import hour_requests
from pipeline.tracking.card import model_note
from tests.support import hour_bases
from tests.support.titler_in_process import titler

SECRET = "s3cr3t-Pa55word-0"
PARAMETERS = f"token={SECRET}1&X-Amz-Signature={SECRET}2&anything={SECRET}3"
CLOSED = f"user:{SECRET}@127.0.0.1:1/base?{PARAMETERS}"
"""The rest of an address at which nothing listens."""
NO_MLFLOW = "http://127.0.0.1:1"  # spares the creation of a database
DAY = str(hour_bases.DAY)
ADDRESSES = {
    "TITLER_SOURCE__HOURS": f"http://{CLOSED}",
    "TITLER_SOURCE__HOURS ": json.dumps([{"base": f"https://{CLOSED}", "kind": "crawl-time"}, "nowhere"]),
    "TITLER_SOURCE__HOURS  ": f"ftp://{CLOSED}",
    "TITLER_SOURCE__HOURS   ": json.dumps([{"base": f"https://{CLOSED}", "kind": "wrong"}]),
    "TITLER_LAKE__ROOT": f"s3://{CLOSED}",
    "TITLER_LAKE__ROOT ": f"gs://{SECRET}@bucket/lake",
    "TITLER_TRACKING__URI": f"http://{CLOSED}",
    "TITLER_TRACKING__URI ": f"postgresql://{CLOSED}",
    "TITLER_COMPUTE__SCHEDULER_ADDRESS": f"tcp://{CLOSED}",
    "TITLER_COMPUTE__SCHEDULER_ADDRESS ": f"nonsense://{CLOSED}",
    "TITLER_ALERTS__WEBHOOK_URL": f"https://{CLOSED}",
    "TITLER_ALERTS__WEBHOOK_URL ": f"ftp://{CLOSED}",
    "TITLER_SERVE__TOKEN": SECRET,
}
"""A wrong address for each setting. Blanks at the end make the names distinct."""
COMMANDS = {
    "TITLER_SOURCE__HOURS": (("extract", "--day", DAY),),
    "TITLER_LAKE__ROOT": (("status",), ("doctor",)),
    "TITLER_ALERTS__WEBHOOK_URL": (("alert", "--what", "test"),),
    "TITLER_SERVE__TOKEN": (("serve", "--host", "203.0.113.1"),),
}
"""The commands that are run, if not the usual ones: those that use the address."""
OTHERS = {"TITLER_ALERTS__WEBHOOK_URL": {"TITLER_ALERTS__KIND": "webhook"}}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hour_requests, "PAUSES", ())
    monkeypatch.setattr(printed_text, "_secrets", set())


def files_with_secret(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


@pytest.mark.parametrize("name", ADDRESSES)
def test_no_command_prints_or_stores_a_secret(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    variable = name.strip()
    environment = {
        "TITLER_SOURCE__HOURS": str(tmp_path),
        "TITLER_LAKE__ROOT": str(tmp_path / "lake"),
        "TITLER_LINEAGE__FILE": str(tmp_path / "lineage.jsonl"),
        "TITLER_TRACKING__URI": NO_MLFLOW,
        **OTHERS.get(variable, {}),
        variable: ADDRESSES[name],
    }
    for arguments in COMMANDS.get(variable, (("extract", "--day", DAY), ("doctor",))):
        result = titler(*arguments, environment=environment)
        assert SECRET not in result.stdout + result.stderr, arguments
    assert SECRET not in "".join(map(printed_text.PrintableFormatter().format, caplog.records))
    assert files_with_secret(tmp_path) == []


def test_a_base_with_a_password_is_read_and_its_secret_is_stored_nowhere(tmp_path: Path) -> None:
    (tmp_path / "served").mkdir()
    bases = hour_bases.two_bases(tmp_path / "served")
    with hour_bases.serve(bases.archive) as address:
        environment = {
            "TITLER_SOURCE__HOURS": address.replace("://", f"://user:{SECRET}@"),
            "TITLER_LAKE__ROOT": str(tmp_path / "lake"),
            "TITLER_LINEAGE__FILE": str(tmp_path / "lineage.jsonl"),
            "TITLER_TRACKING__URI": NO_MLFLOW,
        }
        for arguments in (("extract", "--day", DAY), ("doctor",)):
            result = titler(*arguments, environment=environment)
            assert SECRET not in result.stdout + result.stderr
        assert f"{address} has 0 of the 24 hour files" in result.stdout
    assert (tmp_path / "lake" / "issues_v1").is_dir()
    assert files_with_secret(tmp_path) == []


def test_settings_that_mlflow_gets_have_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, address in ADDRESSES.items():
        if name.endswith(("HOURS", "URI", "ADDRESS", "URL", "TOKEN")):
            monkeypatch.setenv(name, address)
    public = load().public()
    assert SECRET not in str(public)
    assert public["tracking"]["uri"] == "http://127.0.0.1:1/base"
    assert SECRET not in model_note(ADDRESSES["TITLER_TRACKING__URI"], "titler")


def test_a_lake_with_credentials_in_its_address_is_refused() -> None:
    result = titler("status", environment={"TITLER_LAKE__ROOT": f"s3://key:{SECRET}@bucket/lake"})
    assert result.returncode == 2
    assert result.stderr.splitlines()[0] == (
        "titler: lake.root = 's3://***@bucket/lake': the address must have no user, password or parameters. "
        "Give credentials as environment variables (see docs/lake.md)."
    )


def test_the_settings_know_all_addresses() -> None:
    """A new setting with an address or a secret belongs in the table above."""
    names = {
        f"TITLER_{section}__{name}".upper()
        for section, field in Settings.model_fields.items()
        for name in type(field.default).model_fields
        if name in ("hours", "root", "uri") or name.endswith(("_address", "_url", "token"))
    }
    assert names == {name.strip() for name in ADDRESSES}
