"""The section `alerts` of the settings: where alerts are sent."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from pipeline.settings.section import Section


class Alerts(Section):
    """Where alerts are sent. An alert reports a failure or a problem that needs a person."""

    kind: Literal["log", "webhook", "email"] = Field(
        default="log", description="how alerts are sent: log (one line on standard error), webhook or email"
    )
    webhook_url: SecretStr = Field(
        default=SecretStr(""),
        description="if alerts.kind is webhook: URL to which an alert is sent as JSON in a POST request. The "
        "URL is a secret, so set it as an environment variable",
    )
    email_to: str = Field(
        default="", description="if alerts.kind is email: addresses of the recipients, separated by commas"
    )
    email_from: str = Field(default="", description="if alerts.kind is email: address of the sender")
    smtp: str = Field(
        default="localhost:25",
        pattern=r"^.+:\d+$",
        description="if alerts.kind is email: HOST:PORT of a mail server that needs no login",
    )
    link: str = Field(
        default="",
        description="link that is added to every alert. Airflow's DAGs set it to the address of the task's "
        "log",
    )
    task: str = Field(
        default="",
        description="name of the Airflow task that runs the command. Airflow's DAGs set it, so that Airflow "
        "sends no second alert about the same failure",
    )
    stale_after_hours: float = Field(
        default=30,
        ge=0,
        description="maximum age of the current release in hours. If the release is older, `titler status` "
        "exits with code 1. Set to 0 to allow any age",
    )

    @model_validator(mode="after")
    def _check_address(self) -> Self:
        """Raises ValueError if alerts are sent by webhook or email, but a needed address is not set.

        Without this check, the error would only occur when the first alert is sent.
        """
        if self.kind == "webhook" and not self.webhook_url.get_secret_value().startswith(
            ("https://", "http://")
        ):
            raise ValueError(
                "alerts.kind = webhook needs alerts.webhook_url, an address that starts with https:// or "
                "http://"
            )
        if self.kind == "email" and not (self.email_to and self.email_from):
            raise ValueError("alerts.kind = email needs alerts.email_to and alerts.email_from")
        return self
