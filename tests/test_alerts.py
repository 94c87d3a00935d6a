"""Alerts are sent once per event, by every kind of notifier, to a real server.

If an alert cannot be sent, the command that sends it still succeeds.
"""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from pipeline import alerts, sample, settings
from pipeline.alerts import Message
from pipeline.errors import BudgetError, DailyBudgetError, StoppedError, UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.releases.current import point_to
from pipeline.releases.records import RECORD
from pipeline.settings import Alerts
from tests.support import titler_in_process
from tests.support.receivers import Relay, Webhook, serving
from tests.support.release_records import release_record

MESSAGE = Message(
    "2015-01-03 is partial: 23 of 24 hours, 560 events",
    "2015-01-03",
    "http://airflow/log",
    "titler run --day 2015-01-03\ntitler status",
)
TEXT = """\
2015-01-03 is partial: 23 of 24 hours, 560 events
Since: 2015-01-03
Link:  http://airflow/log
Next:  titler run --day 2015-01-03
       titler status"""
SECRET = "T0P-S3CR3T"
NOT_SENT = (
    "titler: An alert could not be sent by {kind} ({reason}). Check the settings alerts.*, then try them: "
    "titler alert --what test. The alert that was not sent: {what}"
)


@pytest.fixture
def webhook():
    """A server that takes alerts by POST."""
    with serving(Webhook()) as server:
        yield server


@pytest.fixture
def relay():
    """A mail server."""
    with serving(Relay()) as server:
        yield server


@pytest.fixture
def lake(tmp_path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def webhook_settings(address: str, **more: object) -> Alerts:
    return Alerts.model_validate({"kind": "webhook", "webhook_url": f"{address}/{SECRET}", **more})


def email_settings(relay: Relay, to: str) -> Alerts:
    return Alerts(kind="email", email_to=to, email_from="titler@example.org", smtp=relay.address)


def test_by_default_an_alert_is_one_line_on_standard_error(capsys):
    assert alerts.send(Alerts(), MESSAGE)
    assert capsys.readouterr() == (
        "",
        "titler alert: 2015-01-03 is partial: 23 of 24 hours, 560 events | since 2015-01-03 "
        "| http://airflow/log | next: titler run --day 2015-01-03 titler status\n",
    )


def test_a_webhook_gets_the_fields_and_a_text_that_chats_show(webhook, capsys):
    assert alerts.send(webhook_settings(webhook.address), MESSAGE)
    assert webhook.all() == [
        {
            "text": TEXT,
            "what": MESSAGE.what,
            "since": MESSAGE.since,
            "link": MESSAGE.link,
            "next": MESSAGE.next,
        },
    ]
    assert capsys.readouterr() == ("", "")


def test_the_subject_of_a_mail_says_what_happened(relay, capsys):
    assert alerts.send(email_settings(relay, "ada@example.org, grace@example.org"), MESSAGE)
    recipients, mail = relay.mails.get_nowait()
    assert recipients == ["ada@example.org", "grace@example.org"]
    assert (mail["From"], mail["To"]) == ("titler@example.org", "ada@example.org, grace@example.org")
    assert mail["Subject"] == "Titler: 2015-01-03 is partial: 23 of 24 hours, 560 events"
    assert mail.get_content().replace("\r\n", "\n") == f"{TEXT}\n"
    assert capsys.readouterr() == ("", "")


def test_a_message_without_a_link_has_no_link_line():
    text = Message("it is late", "now", "", "titler status").text
    assert text == "it is late\nSince: now\nNext:  titler status"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (500, "HTTP 500"),
        (404, "HTTP 404"),
        (302, "HTTP 302"),  # following a redirect would turn the POST into a GET and lose the message
    ],
)
def test_a_webhook_that_refuses_an_alert_is_reported_in_one_line(webhook, capsys, status, reason):
    webhook.status = status
    assert not alerts.send(webhook_settings(webhook.address), MESSAGE)
    assert capsys.readouterr() == (
        "",
        NOT_SENT.format(kind="webhook", reason=reason, what=MESSAGE.what) + "\n",
    )


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("http://127.0.0.1:9", "Connection refused"),
        ("http://", "URLError"),
        ("http://127.0.0.1:port", "InvalidURL"),
    ],
)
def test_an_unreachable_webhook_is_reported_in_one_line_without_its_address(capsys, address, reason):
    assert not alerts.send(webhook_settings(address), MESSAGE)
    errors = capsys.readouterr().err
    assert errors == NOT_SENT.format(kind="webhook", reason=reason, what=MESSAGE.what) + "\n"


def test_a_recipient_that_the_mail_server_refuses_is_reported(relay, capsys):
    assert not alerts.send(email_settings(relay, "ada@example.org, nobody@nowhere"), MESSAGE)
    assert "(the mail server refused a recipient of alerts.email_to)" in capsys.readouterr().err
    assert relay.mails.get_nowait()[0] == ["ada@example.org"]


def test_an_event_is_reported_by_one_alert(webhook, lake):
    for _ in range(2):
        assert alerts.send_once(lake, webhook_settings(webhook.address), MESSAGE, "day/2015-01-03/partial")
    assert len(webhook.all()) == 1


def test_an_alert_that_could_not_be_sent_is_sent_the_next_time(webhook, lake, capsys):
    webhook.status = 500
    assert not alerts.send_once(lake, webhook_settings(webhook.address), MESSAGE, "event")
    webhook.status = 200
    assert alerts.send_once(lake, webhook_settings(webhook.address), MESSAGE, "event")
    assert len(webhook.all()) == 2


def test_if_a_deferred_task_fails_later_in_the_same_attempt_a_second_alert_is_sent(webhook, lake):
    configured = webhook_settings(webhook.address, task="titler_ingest/run/extract/1")
    spent = DailyBudgetError("the budget is spent", "wait", event="budget/2015-01-03/x")
    alerts.alert_about_error(lake, configured, spent)
    assert alerts.send_once(lake, configured, MESSAGE, configured.task)
    assert len(webhook.all()) == 2


def test_an_error_sends_one_alert_for_all_attempts_of_the_failing_task(webhook, lake):
    error = StoppedError("r1 is stopped", "titler publish --release r1", event="release/r1/recall")
    for attempt in ("refresh/r1/publish/1", "refresh/r1/publish/2"):
        alerts.alert_about_error(lake, webhook_settings(webhook.address, task=attempt), error)
        assert alerts.was_sent(lake, attempt)
    (message,) = webhook.all()
    assert (message["what"], message["next"]) == ("r1 is stopped", "titler publish --release r1")


def test_only_an_error_with_an_event_sends_an_alert(webhook, lake):
    settings = webhook_settings(webhook.address)
    alerts.alert_about_error(lake, settings, UsageError("a mistake", "titler --help"))
    alerts.alert_about_error(lake, settings, BudgetError("too much", "less", event="budget/2015-01-03/x"))
    assert [message["what"] for message in webhook.all()] == ["too much"]


def test_the_oldest_events_are_removed_from_the_record_first(lake):
    old = datetime(2015, 1, 1, tzinfo=UTC)
    sent = {
        f"event-{number}": (old + timedelta(days=number)).isoformat()
        for number in range(alerts.MAX_REMEMBERED)
    }
    lake.put_json(alerts.SENT_FILE, sent)
    alerts.send_once(lake, Alerts(), MESSAGE, "the newest")
    remembered = [event for event in ("event-0", "event-1", "the newest") if alerts.was_sent(lake, event)]
    assert remembered == ["event-1", "the newest"]


@pytest.mark.parametrize("content", [b"{torn", b"[]"])
def test_an_alert_is_sent_although_the_record_of_sent_alerts_is_damaged(webhook, lake, content):
    lake.put(alerts.SENT_FILE, content)
    assert alerts.send_once(lake, webhook_settings(webhook.address), MESSAGE, "event")
    assert alerts.was_sent(lake, "event")
    assert len(webhook.all()) == 1


def test_an_alert_is_sent_although_the_lake_cannot_be_written(webhook, tmp_path, capsys):
    (tmp_path / "file").write_text("a file where the folder should be")
    lake = Lake(str(tmp_path / "file" / "lake"))
    assert alerts.send_once(lake, webhook_settings(webhook.address), MESSAGE, "event")
    assert len(webhook.all()) == 1
    assert capsys.readouterr().err == (
        f"titler: The record of sent alerts, {lake.root}/alerts/sent.json, cannot be written (LakeError), "
        "so this alert may be sent again. Check the lake: titler doctor\n"
    )


def titler(lake: Lake, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return titler_in_process.titler(*arguments, environment={"TITLER_LAKE__ROOT": lake.root, **variables})


def webhook_variables(webhook: Webhook) -> dict[str, str]:
    return {"TITLER_ALERTS__KIND": "webhook", "TITLER_ALERTS__WEBHOOK_URL": f"{webhook.address}/{SECRET}"}


def test_the_verb_alert_sends_its_options_once_per_deduplication_key(webhook, lake):
    options = [
        "--what",
        "it is\nlate",
        "--since",
        "04:00",
        "--link",
        "http://airflow",
        "--next",
        "titler status",
        "--dedupe",
        "night",
    ]
    first, second = (titler(lake, "alert", *options, **webhook_variables(webhook)) for _ in range(2))
    assert (first.returncode, first.stdout) == (0, "alert: sent by webhook\n")
    assert (second.returncode, second.stdout) == (
        0,
        "alert: not sent, because an alert with this key was sent before\n",
    )
    (message,) = webhook.all()
    del message["text"]
    assert message == {
        "what": "it is late",
        "since": "04:00",
        "link": "http://airflow",
        "next": "titler status",
    }


def test_the_verb_alert_without_a_deduplication_key_sends_every_time(webhook, lake):
    for _ in range(2):
        assert titler(lake, "alert", "--what", "a test", **webhook_variables(webhook)).returncode == 0
    assert [message["what"] for message in webhook.all()] == ["a test"] * 2


@pytest.mark.parametrize("option", [(), ("--debug",)])
def test_the_verb_alert_fails_with_one_line_if_the_alert_cannot_be_sent(webhook, lake, option):
    webhook.status = 403
    process = titler(lake, *option, "alert", "--what", "a test", **webhook_variables(webhook))
    assert (process.returncode, process.stdout) == (1, "")
    assert process.stderr == NOT_SENT.format(kind="webhook", reason="HTTP 403", what="a test") + "\n"


@pytest.fixture(scope="module")
def hours(tmp_path_factory) -> Path:
    """Hour files of two days: the first lacks one hour, the second all of them."""
    folder = tmp_path_factory.mktemp("hours")
    sample.write(folder, days=2, first_day=date(2024, 1, 1), issues_per_day=60)
    (folder / "2024-01-01-7.json.gz").unlink()
    for path in folder.glob("2024-01-02-*"):
        path.unlink()
    return folder


def test_an_incomplete_day_is_reported_by_one_alert_with_the_command_to_type(webhook, lake, hours):
    variables = {
        **webhook_variables(webhook),
        "TITLER_SOURCE__HOURS": str(hours),
        "TITLER_ALERTS__LINK": "http://airflow/log",
    }
    for _ in range(2):
        process = titler(lake, "extract", "--from", "2024-01-01", "--to", "2024-01-02", **variables)
        assert (process.returncode, process.stderr) == (0, "")
    partial, missing = webhook.all()
    assert partial["what"] == "2024-01-01 is partial: 23 of 24 hours found"
    assert (partial["since"], partial["link"], partial["next"]) == (
        "2024-01-01",
        "http://airflow/log",
        "titler run --day 2024-01-01",
    )
    assert missing["what"] == "2024-01-02 is missing: no hour of 24 found"


def test_a_missing_day_fails_the_command_on_demand_and_is_one_alert(webhook, lake, hours):
    variables = {
        **webhook_variables(webhook),
        "TITLER_SOURCE__HOURS": str(hours),
        "TITLER_ALERTS__TASK": "titler_ingest/run/extract/1",
    }
    process = titler(lake, "extract", "--day", "2024-01-02", "--fail-if-missing", **variables)
    assert process.returncode == 3
    assert process.stderr.splitlines() == [
        "titler: The source has no readable data for 2024-01-02.",
        "When the source has the day, extract it:             titler extract --day 2024-01-02",
        "To publish the day as missing with the next release: titler clean --day 2024-01-02",
    ]
    process = titler(lake, "alert", "--what=failed", "--dedupe=titler_ingest/run/extract/1", **variables)
    assert process.returncode == 0
    assert [message["what"] for message in webhook.all()] == ["2024-01-02 is missing: no hour of 24 found"]
    process = titler(lake, "extract", "--day", "2024-01-01", "--fail-if-missing", **variables)
    assert process.returncode == 0  # partial


def test_an_extraction_succeeds_although_its_alert_cannot_be_sent(webhook, lake, hours):
    webhook.status = 500
    process = titler(
        lake, "extract", "--day", "2024-01-01", **webhook_variables(webhook), TITLER_SOURCE__HOURS=str(hours)
    )
    assert process.returncode == 0
    what = "2024-01-01 is partial"
    assert process.stderr.startswith(NOT_SENT.format(kind="webhook", reason="HTTP 500", what=what))
    assert len(process.stderr.splitlines()) == 1


def test_printed_settings_do_not_contain_the_webhook_address(monkeypatch):
    for name, value in {"KIND": "webhook", "WEBHOOK_URL": f"https://example.org/{SECRET}"}.items():
        monkeypatch.setenv(f"TITLER_ALERTS__{name}", value)
    loaded = settings.load()
    assert SECRET in loaded.alerts.webhook_url.get_secret_value()
    assert SECRET not in f"{loaded!r} {loaded} {loaded.model_dump_json()} {loaded.model_dump()}"


def test_the_report_of_titler_doctor_does_not_contain_the_webhook_address(webhook, lake):
    report = titler(lake, "doctor", **webhook_variables(webhook), TITLER_SOURCE__HOURS="none").stdout
    assert "alerts.webhook_url='**********'" in report
    assert SECRET not in report


@pytest.mark.parametrize(
    "toml",
    [
        f'[alerts]\nkind = "webhook"\nwebhook_url = "ftp://{SECRET}"',
        f'[alerts]\nwebhook_url = ["{SECRET}"]',
        f'alerts = "https://{SECRET}"',
        f'[alerts]\nkind = "email"\nwebhook_url = "https://{SECRET}"',
        f'[alerts]\nkind = "pager"\nwebhook_url = "https://{SECRET}"',
    ],
)
def test_errors_about_the_settings_do_not_contain_the_webhook_address(tmp_path, toml):
    file = tmp_path / "s.toml"
    file.write_text(toml)
    with pytest.raises(UsageError, match="alerts") as raised:
        settings.load(file)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"KIND": "webhook"}, "kind = webhook needs alerts.webhook_url"),
        (
            {"KIND": "webhook", "WEBHOOK_URL": "file:///etc/hostname"},
            "an address that starts with https:// or http://",
        ),
        (
            {"KIND": "email", "EMAIL_TO": "ada@example.org"},
            "kind = email needs alerts.email_to and alerts.email_from",
        ),
        ({"SMTP": "relay"}, r"alerts\.smtp = 'relay'"),
    ],
)
def test_settings_that_lack_the_address_for_alerts_are_refused(monkeypatch, variables, message):
    for name, value in variables.items():
        monkeypatch.setenv(f"TITLER_ALERTS__{name}", value)
    with pytest.raises(UsageError, match=message):
        settings.load()


def publish_release(lake: Lake, hours_ago: float) -> None:
    """Writes the record of a release that became current `hours_ago` hours ago."""
    published_at = (datetime.now(UTC) - timedelta(hours=hours_ago)).isoformat()
    Pinned(lake, "releases", "r1").notes[RECORD] = release_record("r1", published_at)
    point_to(lake, "r1")


@pytest.mark.parametrize(
    ("age", "limit", "stale"),
    [(29.9, "30", False), (30.1, "30", True), (1000, "0", False), (2, "1.5", True)],
)
def test_a_release_is_stale_if_it_is_older_than_the_setting(lake, age, limit, stale):
    publish_release(lake, age)
    process = titler(lake, "status", "--json", TITLER_ALERTS__STALE_AFTER_HOURS=limit)
    release = json.loads(process.stdout)["release"]
    assert (release["age_hours"], release["stale"], process.returncode) == (age, stale, int(stale))


def test_a_stale_release_is_reported_in_one_line_with_the_next_command(lake):
    publish_release(lake, 40)
    process = titler(lake, "status")
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    assert process.stdout.endswith("recall@10 1.000, 40.0 hours old\n")
    assert process.stderr == (
        "titler: release r1 is 40.0 hours old, expected at most 30 (alerts.stale_after_hours); "
        f"make a new one: titler run --day {yesterday}\n"
    )
    assert process.returncode == 1
