"""Sends alerts to standard error, to a webhook or by email, as the setting `alerts.kind` says.

An alert is a message about an event that needs a person. Each event is reported once. If an alert cannot be
sent, the command prints the reason in one line and continues.
"""

from __future__ import annotations

import json
import os
import smtplib
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import localtime, make_msgid
from http.client import HTTPMessage
from typing import IO, Any

from pipeline.errors import ExitCode, LakeError, TitlerError
from pipeline.lake.batches import Lake
from pipeline.lake.json_documents import Document, delete_and_repeat
from pipeline.printed_text import printable, without_secrets
from pipeline.settings import Alerts

SENT_FILE = "alerts/sent.json"
MAX_REMEMBERED = 1000
"""Maximum number of events in SENT_FILE, the record of sent alerts. The oldest are removed."""
SENT_DOCUMENT: Document[dict[str, str]] = Document(
    dict[str, str],
    "the record of sent alerts: an object from the names of events to times",
    delete_and_repeat,
)
TIMEOUT = 10  # seconds that a server may take to answer


@dataclass(frozen=True)
class Message:
    """The content of an alert.

    `what` says in one line what happened. `since` is the time or the source day at which the problem began.
    `link` is the address of a page with more information, or empty. `next` has the commands to type next, one
    per line.
    """

    what: str
    since: str
    link: str
    next: str

    @property
    def text(self) -> str:
        """The message as text, one field per line. The first line says what happened."""
        link = [f"Link:  {self.link}"] if self.link else []
        next_lines = "Next:  " + self.next.replace("\n", "\n       ")
        return "\n".join([self.what, f"Since: {self.since}", *link, next_lines])


def time_text() -> str:
    """Returns the current time in the format of alerts: `2015-01-03 04:12 UTC`."""
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"


def send_once(lake: Lake, alerts: Alerts, message: Message, event: str) -> bool:
    """Sends a message unless an alert about the same event was sent before. `event` is the event's name.

    Returns True if the message is sent now or was sent before. In both cases, the alert is recorded under two
    names: the event's name and `alerts.task`, which is the id of the attempt if an Airflow task runs this
    command. If this attempt fails, `titler alert` finds its id in the record and sends no second alert.

    Returns False if sending fails. The next call with the same event then tries again.
    """
    sent = _sent_events(lake)
    if event not in sent and not send(alerts, message):
        return False
    _remember(lake, sent, [event, alerts.task])
    return True


def alert_about_error(lake: Lake, alerts: Alerts, error: TitlerError) -> None:
    """Sends an alert about an error, unless an alert about the event `error.event` was sent before. If
    `error.event` is empty, no alert is sent.

    If the error makes Airflow defer the task (pause it), the task continues later in the same attempt. If the
    task then fails, `titler alert` must still send an alert about the failure. So this function does not
    record the alert about the deferral under the attempt's id.
    """
    if error.event:
        if error.exit_code == ExitCode.DEFERRED:
            alerts = alerts.model_copy(update={"task": ""})
        send_once(lake, alerts, Message(error.message, time_text(), alerts.link, error.hint), error.event)


def alert_about_days(lake: Lake, alerts: Alerts, health: Iterable[Mapping[str, Any]]) -> None:
    """Sends an alert about each source day that is not complete: one alert per day and verdict (partial,
    collapsed or missing).

    `health` has rows of the table source_health_v1, which say how complete each day is.
    """
    no_task = alerts.model_copy(update={"task": ""})  # an incomplete day does not make an Airflow task fail
    for row in health:
        day, verdict = str(row["day"]), row["verdict"]
        if verdict != "complete":
            command = f"titler status --day {day}" if verdict == "collapsed" else f"titler run --day {day}"
            message = Message(describe_day(row), day, alerts.link, command)
            send_once(lake, no_task, message, day_event(day, verdict))


def day_event(day: str, verdict: str) -> str:
    """Returns the name of the event for a source day and its verdict, such as `day/2015-01-03/partial`."""
    return f"day/{day}/{verdict}"


def describe_day(row: Mapping[str, Any]) -> str:
    """Describes a day in one line: `2015-01-03 is partial: 23 of 24 hours found`.

    `row` is the day's row of the table source_health_v1, which says how complete the day is.
    """
    hours = f" ({row['hours_found']} of 24 hours found)" if row["verdict"] == "collapsed" else ""
    return f"{row['day']} is {row['verdict']}: {row['reason']}{hours}"


def was_sent(lake: Lake, event: str) -> bool:
    """Returns whether an alert about this event was sent before."""
    return event in _sent_events(lake)


def send(alerts: Alerts, message: Message) -> bool:
    """Sends a message and returns whether that succeeded. Raises no errors.

    Neither the message nor what is printed contains secrets, or characters that control a terminal. If
    sending fails, prints one line on standard error.
    """
    message = Message(
        _shown(" ".join(message.what.split())), _shown(message.since), message.link, _shown(message.next)
    )
    try:
        {"log": _log, "webhook": _post, "email": _mail}[alerts.kind](alerts, message)
    except Exception as error:  # of any kind: a failing alert must not stop the command that sends it
        _print_error(
            f"titler: An alert could not be sent by {alerts.kind} ({_reason(error)}). Check the settings "
            f"alerts.*, then try them: titler alert --what test. The alert that was not sent: {message.what}"
        )
        return False
    return True


def _log(alerts: Alerts, message: Message) -> None:
    link = f" | {message.link}" if message.link else ""
    _print_error(f"titler alert: {message.what} | since {message.since}{link} | next: {message.next}")


def _post(alerts: Alerts, message: Message) -> None:
    body = json.dumps({"text": message.text, **asdict(message)}, ensure_ascii=False).encode()
    request = urllib.request.Request(
        alerts.webhook_url.get_secret_value().strip(),
        body,
        {"Content-Type": "application/json; charset=utf-8", "User-Agent": "titler"},
    )
    with urllib.request.build_opener(_NoRedirects).open(request, timeout=TIMEOUT):
        pass


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Refuses redirects. A redirect would turn the POST request into a GET request without the message, so
    the server might answer 200 although it has not received the message."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> None:
        return None


def _mail(alerts: Alerts, message: Message) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = alerts.email_from, alerts.email_to, f"Titler: {message.what}"
    mail["Date"], mail["Message-ID"] = localtime(), make_msgid(domain=alerts.email_from.rpartition("@")[2])
    mail.set_content(message.text)
    host, _, port = alerts.smtp.rpartition(":")
    with smtplib.SMTP(host, int(port), local_hostname=socket.gethostname(), timeout=TIMEOUT) as server:
        refused = server.send_message(mail)
    if refused:
        raise smtplib.SMTPRecipientsRefused(refused)


def _reason(error: BaseException) -> str:
    """Returns in a few words why an alert could not be sent.

    The words contain neither the address nor text from the server, because both may contain secrets.
    """
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code}"
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, BaseException):
        return _reason(error.reason)
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "the mail server refused a recipient of alerts.email_to"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"SMTP {error.smtp_code}"
    if isinstance(error, TimeoutError):
        return f"the server did not answer within {TIMEOUT} s"
    if isinstance(error, OSError) and type(error).__module__ == "builtins" and (error.errno or 0) > 0:
        return os.strerror(error.errno or 0)
    return type(error).__name__


def _print_error(text: str) -> None:
    print(_shown(" ".join(text.split())), file=sys.stderr, flush=True)


def _shown(text: str) -> str:
    return printable(without_secrets(text))


def _sent_events(lake: Lake) -> dict[str, str]:
    """Reads the record of sent alerts. Maps the name of each event to the time (ISO 8601) at which its alert
    was sent.

    If the record cannot be read, returns an empty dict. Some alerts may then be sent twice, which is better
    than losing an alert.
    """
    try:
        return lake.get_json(SENT_FILE, SENT_DOCUMENT) or {}
    except Exception as error:  # the alert may be about the lake itself, so it must still be sent
        reason = error.message.rstrip(".") if isinstance(error, LakeError) else type(error).__name__
        _print_error(
            f"titler: The record of sent alerts, {lake.path(SENT_FILE)}, cannot be read ({reason}), "
            "so an alert may be sent twice. The next alert that is sent replaces the record."
        )
        return {}


def _remember(lake: Lake, sent: Mapping[str, str], events: Iterable[str]) -> None:
    """Adds `events` to `sent`, the record of sent alerts, and stores the record. Skips names that are empty
    or already in the record."""
    sent_at = datetime.now(UTC).isoformat(timespec="seconds")
    new = {event: sent_at for event in events if event and event not in sent}
    if not new:
        return
    newest = sorted({**sent, **new}.items(), key=lambda item: item[1])[-MAX_REMEMBERED:]
    try:
        lake.put_json(SENT_FILE, dict(newest))
    except Exception as error:  # the alert may be about the lake itself
        reason = type(error).__name__
        _print_error(
            f"titler: The record of sent alerts, {lake.path(SENT_FILE)}, cannot be written ({reason}), "
            "so this alert may be sent again. Check the lake: titler doctor"
        )
