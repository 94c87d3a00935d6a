"""What wakes a person: one message an event, over the notifier that the settings choose. Its failure never fails the work."""

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

from pipeline.errors import TitlerError
from pipeline.lake.batches import Lake
from pipeline.settings import Alerts

SENT = "alerts/sent.json"
REMEMBERED = 1000  # events; older ones are forgotten
PATIENCE = 10  # seconds that a server may take


@dataclass(frozen=True)
class Message:
    """What happened, since when, where to look, what to type next: `next` may have several lines, `link` may be empty."""

    what: str
    since: str
    link: str
    next: str

    @property
    def text(self) -> str:
        """For a person: a line a part, its first line alone says what happened."""
        link = [f"Link:  {self.link}"] if self.link else []
        return "\n".join(
            [self.what, f"Since: {self.since}", *link, "Next:  " + self.next.replace("\n", "\n       ")]
        )


def now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"


def tell(lake: Lake, alerts: Alerts, message: Message, event: str) -> bool:
    """Sends a message unless its event has been told already. False where it could not be sent: the next call tries again.

    What an error tells counts for `alerts.task`, the task that fails of it, too: one event is one message.
    """
    sent = _sent(lake)
    if event not in sent and not send(alerts, message):
        return False
    _remember(lake, sent, [event, alerts.task])
    return True


def tell_error(lake: Lake, alerts: Alerts, error: TitlerError) -> None:
    """Tells of an error that is an event."""
    if error.event:
        tell(lake, alerts, Message(error.message, now(), alerts.link, error.hint), error.event)


def tell_days(lake: Lake, alerts: Alerts, health: Iterable[Mapping[str, Any]]) -> None:
    """Tells of every day that is not complete, once a day and verdict. `health` are rows of source_health_v1."""
    for row in health:
        day, verdict = str(row["day"]), row["verdict"]
        if verdict != "complete":
            command = f"titler status --day {day}" if verdict == "collapsed" else f"titler run --day {day}"
            message = Message(describe_day(row), day, alerts.link, command)
            tell(
                lake, alerts.model_copy(update={"task": ""}), message, f"day/{day}/{verdict}"
            )  # no task fails of it


def describe_day(row: Mapping[str, Any]) -> str:
    """`2015-01-03 is partial: 23 of 24 hours found`."""
    found = f" ({row['hours_found']} of 24 hours found)" if row["verdict"] == "collapsed" else ""
    return f"{row['day']} is {row['verdict']}: {row['reason']}{found}"


def was_told(lake: Lake, event: str) -> bool:
    return event in _sent(lake)


def send(alerts: Alerts, message: Message) -> bool:
    """Sends one message. False, with one line on standard error that names no secret, where the notifier fails."""
    try:
        {"log": _log, "webhook": _post, "email": _mail}[alerts.kind](alerts, message)
    except Exception as error:  # whatever it is: the work that it tells of goes on
        _line(
            f"titler: No alert could be sent by {alerts.kind} ({_reason(error)}). It would have said: {message.what}"
        )
        return False
    return True


def _log(alerts: Alerts, message: Message) -> None:
    link = f" | {message.link}" if message.link else ""
    _line(f"titler alert: {message.what} | since {message.since}{link} | next: {message.next}")


def _post(alerts: Alerts, message: Message) -> None:
    body = json.dumps({"text": message.text, **asdict(message)}, ensure_ascii=False).encode()
    request = urllib.request.Request(
        alerts.webhook_url.get_secret_value().strip(),
        body,
        {"Content-Type": "application/json; charset=utf-8", "User-Agent": "titler"},
    )
    with urllib.request.build_opener(_Stay).open(request, timeout=PATIENCE):
        pass


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: it would turn the message into a GET, which the other side answers with 200 and forgets."""

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
    with smtplib.SMTP(host, int(port), local_hostname=socket.gethostname(), timeout=PATIENCE) as server:
        refused = server.send_message(mail)
    if refused:
        raise smtplib.SMTPRecipientsRefused(refused)


def _reason(error: BaseException) -> str:
    """In a few words, none of which the other side or the address chose."""
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code}"
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, BaseException):
        return _reason(error.reason)
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "a recipient of alerts.email_to is refused"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"SMTP {error.smtp_code}"
    if isinstance(error, TimeoutError):
        return f"no answer within {PATIENCE} s"
    if (
        isinstance(error, OSError)
        and error.errno
        and error.errno > 0
        and type(error).__module__ == "builtins"
    ):
        return os.strerror(error.errno)
    return type(error).__name__


def _line(text: str) -> None:
    print(" ".join(text.split()), file=sys.stderr, flush=True)


def _sent(lake: Lake) -> dict[str, str]:
    """Events that were told, with when; none where they cannot be read: twice is better than never."""
    try:
        found = lake.get_json(SENT)
    except Exception as error:  # the lake may be what the message is about
        _line(
            f"titler: Which alerts were sent before cannot be read ({type(error).__name__}): {lake.path(SENT)}"
        )
        return {}
    return {str(event): str(at) for event, at in found.items()} if isinstance(found, dict) else {}


def _remember(lake: Lake, sent: Mapping[str, str], events: Iterable[str]) -> None:
    added = {
        event: datetime.now(UTC).isoformat(timespec="seconds")
        for event in events
        if event and event not in sent
    }
    if not added:
        return
    newest = sorted({**sent, **added}.items(), key=lambda item: item[1])[-REMEMBERED:]
    try:
        lake.put_json(SENT, dict(newest))
    except Exception as error:  # as above
        _line(
            f"titler: That an alert was sent cannot be remembered ({type(error).__name__}): {lake.path(SENT)}"
        )
