"""A plugin for Airflow that refuses a backfill of titler_ingest whose days do not begin at midnight UTC.

Airflow's form reads dates in the time zone that is chosen in Airflow's menu. If this is the time zone of New
York, Airflow would leave out the first of the days that a user typed. If it is the time zone of Shanghai,
Airflow would leave out the last. If a user requests such a backfill, the plugin answers with an error that
says what to do.

Set Airflow's `[core] plugins_folder` to this folder, or copy this file into the existing plugins folder.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Application = Callable[[Message, Receive, Send], Awaitable[None]]

DAG_ID = "titler_ingest"
PATHS = ("/backfills", "/backfills/dry_run")


def refusal(content: Any) -> str:
    """Returns the reason for refusing a backfill, or an empty string if it is allowed. Backfills of other
    DAGs than titler_ingest are always allowed.

    `content` is the JSON value that the form sends to Airflow's REST API.
    """
    if not isinstance(content, dict) or content.get("dag_id") != DAG_ID:
        return ""
    for name in ("from_date", "to_date"):
        try:
            moment = datetime.fromisoformat(content[name])
            in_utc = moment.astimezone(UTC) if moment.tzinfo else None
        except (LookupError, TypeError, ValueError, OverflowError):  # Airflow itself refuses it
            continue
        if in_utc and in_utc.time() != time():
            return (
                f"{name} is {in_utc:%Y-%m-%d %H:%M} UTC, but {DAG_ID} ingests whole days in UTC. "
                "Choose UTC as the time zone in Airflow's menu (the clock), and dates at 00:00."
            )
    return ""


class MidnightUtc:
    """ASGI middleware that checks requests for backfills. If `refusal` returns a reason, answers the request
    with HTTP status 400 and this reason."""

    def __init__(self, app: Application) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        is_backfill = scope["type"] == "http" and scope["method"] == "POST" and scope["path"].endswith(PATHS)
        if not is_backfill:
            await self.app(scope, receive, send)
            return
        messages = [await receive()]
        while messages[-1].get("more_body"):
            messages.append(await receive())
        try:
            reason = refusal(json.loads(b"".join(message.get("body", b"") for message in messages)))
        except (ValueError, RecursionError):  # not JSON, or too deep: Airflow itself refuses it
            reason = ""
        if reason:
            body = json.dumps({"detail": reason}).encode()
            headers = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": 400, "headers": headers})
            await send({"type": "http.response.body", "body": body})
            return
        unread = iter(messages)

        async def receive_again() -> Message:
            return next(unread, None) or await receive()

        await self.app(scope, receive_again, send)


class TitlerBackfills(AirflowPlugin):
    name = "titler_backfills"
    fastapi_root_middlewares = [{"name": "midnight UTC", "middleware": MidnightUtc}]  # noqa: RUF012 - Airflow's base class declares it so
