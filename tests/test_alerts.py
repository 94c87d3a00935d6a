"""What wakes a person: one message an event, by each notifier, to real servers; a notifier that fails fails nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from pipeline import alerts, sample, settings
from pipeline.alerts import Message
from pipeline.errors import BudgetError, StoppedError, UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.releases.current import point_to
from pipeline.releases.records import RECORD
from pipeline.settings import Alerts
from tests.support.receivers import Relay, Webhook, serving

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


@pytest.fixture
def webhook():
    with serving(Webhook()) as server:
        yield server


@pytest.fixture
def relay():
    with serving(Relay()) as server:
        yield server


@pytest.fixture
def lake(tmp_path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def by_webhook(address: str, **more: object) -> Alerts:
    return Alerts.model_validate({"kind": "webhook", "webhook_url": f"{address}/{SECRET}", **more})


def by_mail(relay: Relay, to: str) -> Alerts:
    return Alerts(kind="email", email_to=to, email_from="titler@example.org", smtp=relay.address)


def test_by_default_it_is_one_line_on_standard_error(capsys):
    assert alerts.send(Alerts(), MESSAGE)
    assert capsys.readouterr() == (
        "",
        "titler alert: 2015-01-03 is partial: 23 of 24 hours, 560 events | since 2015-01-03 | http://airflow/log "
        "| next: titler run --day 2015-01-03 titler status\n",
    )


def test_a_webhook_gets_the_parts_and_a_text_that_chats_show(webhook, capsys):
    assert alerts.send(by_webhook(webhook.address), MESSAGE)
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


def test_a_mail_says_in_its_subject_what_happened(relay, capsys):
    assert alerts.send(by_mail(relay, "ada@example.org, grace@example.org"), MESSAGE)
    recipients, mail = relay.mails.get_nowait()
    assert recipients == ["ada@example.org", "grace@example.org"]
    assert (mail["From"], mail["To"]) == ("titler@example.org", "ada@example.org, grace@example.org")
    assert mail["Subject"] == "Titler: 2015-01-03 is partial: 23 of 24 hours, 560 events"
    assert mail.get_content().replace("\r\n", "\n") == f"{TEXT}\n"
    assert capsys.readouterr() == ("", "")


def test_a_message_without_a_link_has_no_line_for_it():
    assert (
        Message("it is late", "now", "", "titler status").text
        == "it is late\nSince: now\nNext:  titler status"
    )


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (500, "HTTP 500"),
        (404, "HTTP 404"),
        (302, "HTTP 302"),
    ],  # a redirect would be followed as a GET, and the message lost
)
def test_a_webhook_that_does_not_take_it_is_one_line(webhook, capsys, status, reason):
    webhook.status = status
    assert not alerts.send(by_webhook(webhook.address), MESSAGE)
    assert capsys.readouterr() == (
        "",
        f"titler: No alert could be sent by webhook ({reason}). It would have said: {MESSAGE.what}\n",
    )


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("http://127.0.0.1:9", "Connection refused"),
        ("http://", "URLError"),
        ("http://127.0.0.1:port", "InvalidURL"),
    ],
)
def test_an_address_that_leads_nowhere_is_one_line_without_the_address(capsys, address, reason):
    assert not alerts.send(by_webhook(address), MESSAGE)
    assert (
        capsys.readouterr().err
        == f"titler: No alert could be sent by webhook ({reason}). It would have said: {MESSAGE.what}\n"
    )


def test_a_recipient_that_the_relay_refuses_is_one_line(relay, capsys):
    assert not alerts.send(by_mail(relay, "ada@example.org, nobody@nowhere"), MESSAGE)
    assert "(a recipient of alerts.email_to is refused)" in capsys.readouterr().err
    assert relay.mails.get_nowait()[0] == ["ada@example.org"]


def test_an_event_is_told_once(webhook, lake):
    for _ in range(2):
        assert alerts.send_once(lake, by_webhook(webhook.address), MESSAGE, "day/2015-01-03/partial")
    assert len(webhook.all()) == 1


def test_what_could_not_be_told_is_told_the_next_time(webhook, lake, capsys):
    webhook.status = 500
    assert not alerts.send_once(lake, by_webhook(webhook.address), MESSAGE, "event")
    webhook.status = 200
    assert alerts.send_once(lake, by_webhook(webhook.address), MESSAGE, "event")
    assert len(webhook.all()) == 2


def test_an_error_tells_for_the_task_that_fails_of_it_and_for_each_of_its_attempts(webhook, lake):
    error = StoppedError("r1 is stopped", "titler publish --release r1", event="release/r1/recall")
    for attempt in ("refresh/r1/publish/1", "refresh/r1/publish/2"):
        alerts.alert_about_error(lake, by_webhook(webhook.address, task=attempt), error)
        assert alerts.was_sent(lake, attempt)
    (message,) = webhook.all()
    assert (message["what"], message["next"]) == ("r1 is stopped", "titler publish --release r1")


def test_an_error_that_is_no_event_wakes_nobody(webhook, lake):
    alerts.alert_about_error(lake, by_webhook(webhook.address), UsageError("Which days?", "Give --day"))
    alerts.alert_about_error(
        lake, by_webhook(webhook.address), BudgetError("too much", "less", event="budget/2015-01-03/x")
    )
    assert [message["what"] for message in webhook.all()] == ["too much"]


def test_events_long_past_are_forgotten_the_oldest_first(lake):
    old = datetime(2015, 1, 1, tzinfo=UTC)
    lake.put_json(
        alerts.SENT_FILE,
        {
            f"event-{number}": (old + timedelta(days=number)).isoformat()
            for number in range(alerts.MAX_REMEMBERED)
        },
    )
    alerts.send_once(lake, Alerts(), MESSAGE, "the newest")
    told = [event for event in ("event-0", "event-1", "the newest") if alerts.was_sent(lake, event)]
    assert told == ["event-1", "the newest"]


@pytest.mark.parametrize("content", [b"{torn", b"[]"])
def test_a_memory_that_is_damaged_keeps_no_message_back(webhook, lake, content):
    lake.put(alerts.SENT_FILE, content)
    assert alerts.send_once(lake, by_webhook(webhook.address), MESSAGE, "event")
    assert alerts.was_sent(lake, "event")
    assert len(webhook.all()) == 1


def test_a_lake_that_cannot_be_written_keeps_no_message_back(webhook, tmp_path, capsys):
    (tmp_path / "file").write_text("no folder")
    assert alerts.send_once(Lake(str(tmp_path / "file" / "lake")), by_webhook(webhook.address), MESSAGE, "event")
    assert len(webhook.all()) == 1
    assert "titler: That an alert was sent cannot be remembered (LakeError)" in capsys.readouterr().err


def titler(lake: Lake, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "TITLER_LAKE__ROOT": lake.root,
        **more,
    }
    return subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )


def to(webhook: Webhook) -> dict[str, str]:
    return {"TITLER_ALERTS__KIND": "webhook", "TITLER_ALERTS__WEBHOOK_URL": f"{webhook.address}/{SECRET}"}


def test_the_verb_sends_what_it_is_given_and_an_event_once(webhook, lake):
    words = [
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
    first, second = (titler(lake, "alert", *words, **to(webhook)) for _ in range(2))
    assert (first.returncode, first.stdout) == (0, "alert: sent by webhook\n")
    assert (second.returncode, second.stdout) == (0, "alert: nothing sent: this event was told before\n")
    assert [{name: value for name, value in found.items() if name != "text"} for found in webhook.all()] == [
        {"what": "it is late", "since": "04:00", "link": "http://airflow", "next": "titler status"},
    ]


def test_the_verb_without_an_event_sends_every_time(webhook, lake):
    for _ in range(2):
        assert titler(lake, "alert", "--what", "a test", **to(webhook)).returncode == 0
    assert [message["what"] for message in webhook.all()] == ["a test"] * 2


@pytest.mark.parametrize("option", [(), ("--debug",)])
def test_the_verb_fails_with_one_line_where_nothing_could_be_sent(webhook, lake, option):
    webhook.status = 403
    done = titler(lake, *option, "alert", "--what", "a test", **to(webhook))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "titler: No alert could be sent by webhook (HTTP 403). It would have said: a test\n"


@pytest.fixture(scope="module")
def hours(tmp_path_factory) -> Path:
    """Two days: the first lacks an hour, the second all of them."""
    folder = tmp_path_factory.mktemp("hours")
    sample.write(folder, days=2, first_day=date(2024, 1, 1), issues_per_day=60)
    (folder / "2024-01-01-7.json.gz").unlink()
    for path in folder.glob("2024-01-02-*"):
        path.unlink()
    return folder


def test_a_day_that_is_not_complete_is_told_once_with_its_command(webhook, lake, hours):
    for _ in range(2):
        given = {
            **to(webhook),
            "TITLER_SOURCE__HOURS": str(hours),
            "TITLER_ALERTS__LINK": "http://airflow/log",
        }
        done = titler(lake, "extract", "--from", "2024-01-01", "--to", "2024-01-02", **given)
        assert (done.returncode, done.stderr) == (0, "")
    partial, missing = webhook.all()
    assert partial["what"] == "2024-01-01 is partial: 23 of 24 hours found"
    assert (partial["since"], partial["link"], partial["next"]) == (
        "2024-01-01",
        "http://airflow/log",
        "titler run --day 2024-01-01",
    )
    assert missing["what"] == "2024-01-02 is missing: no hour of 24 found"


def test_a_notifier_that_fails_does_not_fail_the_work(webhook, lake, hours):
    webhook.status = 500
    done = titler(lake, "extract", "--day", "2024-01-01", **to(webhook), TITLER_SOURCE__HOURS=str(hours))
    assert done.returncode == 0
    assert done.stderr.startswith(
        "titler: No alert could be sent by webhook (HTTP 500). It would have said: 2024-01-01 is partial"
    )
    assert len(done.stderr.splitlines()) == 1


def test_the_secret_is_in_no_representation_of_the_settings(monkeypatch):
    for name, value in {"KIND": "webhook", "WEBHOOK_URL": f"https://example.org/{SECRET}"}.items():
        monkeypatch.setenv(f"TITLER_ALERTS__{name}", value)
    found = settings.load()
    assert SECRET in found.alerts.webhook_url.get_secret_value()
    assert SECRET not in f"{found!r} {found} {found.model_dump_json()} {found.model_dump()}"


def test_the_secret_is_in_no_report_of_the_doctors(webhook, lake):
    report = titler(lake, "doctor", **to(webhook), TITLER_SOURCE__HOURS="none").stdout
    assert "alerts.webhook_url=SecretStr('**********')" in report
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
def test_the_secret_is_in_no_message_about_the_settings(tmp_path, toml):
    file = tmp_path / "s.toml"
    file.write_text(toml)
    with pytest.raises(UsageError, match="alerts") as raised:
        settings.load(file)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "message"),
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
def test_a_notifier_that_lacks_its_address_is_found_out_by_any_command(monkeypatch, given, message):
    for name, value in given.items():
        monkeypatch.setenv(f"TITLER_ALERTS__{name}", value)
    with pytest.raises(UsageError, match=message):
        settings.load()


def published(lake: Lake, hours_ago: float) -> None:
    """A release that became current so long ago."""
    record = {"release_id": "r1", "issues": 3, "index_items": 3, "recall_at_10": 1.0}
    record["published_at"] = (datetime.now(UTC) - timedelta(hours=hours_ago)).isoformat()
    Pinned(lake, "releases", "r1").notes[RECORD] = record
    point_to(lake, "r1")


@pytest.mark.parametrize(
    ("age", "limit", "stale"),
    [(29.9, "30", False), (30.1, "30", True), (1000, "0", False), (2, "1.5", True)],
)
def test_a_release_is_stale_when_it_is_older_than_the_setting_says(lake, age, limit, stale):
    published(lake, age)
    done = titler(lake, "status", "--json", TITLER_ALERTS__STALE_AFTER_HOURS=limit)
    found = json.loads(done.stdout)["release"]
    assert (found["age_hours"], found["stale"], done.returncode) == (age, stale, int(stale))


def test_a_stale_release_is_one_line_with_the_next_command(lake):
    published(lake, 40)
    done = titler(lake, "status")
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    assert done.stdout.endswith("recall@10 1.000, 40.0 hours old\n")
    assert done.stderr == (
        "titler: release r1 is 40.0 hours old, expected at most 30 (alerts.stale_after_hours); "
        f"make a new one: titler run --day {yesterday}\n"
    )
    assert done.returncode == 1
