"""The section `serve` of the settings: the limits of the HTTP server, and its token."""

from __future__ import annotations

from pydantic import Field, SecretStr

from pipeline.settings.section import Section


class Serve(Section):
    """The HTTP server `titler serve`: who may use it, and the limits on requests."""

    token: SecretStr = Field(
        default=SecretStr(""),
        description="secret that every request must have in its header, as `Authorization: Bearer TOKEN`. If "
        "it is empty, the server answers everybody, but only at a loopback address. Set it as an "
        "environment variable",
    )
    workers: int = Field(
        default=0,
        ge=0,
        description="number of processes that compute answers. Each process computes one answer at a "
        "time. Set to 0 for one process per CPU core",
    )
    max_waiting: int = Field(
        default=64,
        ge=0,
        description="number of requests that may wait for a free process. Further requests are answered "
        "with the status 503",
    )
    timeout_seconds: float = Field(
        default=10,
        gt=0,
        description="maximum number of seconds that a request may wait for a free process. Computing its "
        "answer may then take up to the same number of seconds",
    )
    max_request_bytes: int = Field(
        default=1_048_576,
        ge=1,
        description="largest size of the body of a request, in bytes. Larger requests are answered with "
        "the status 413",
    )
    max_batch: int = Field(
        default=50,
        ge=1,
        description="largest number of issues in one request for titles. A request with more issues is "
        "answered with the status 413",
    )
    refresh_seconds: float = Field(
        default=30,
        gt=0,
        description="number of seconds between two checks whether another release has become current",
    )
    compared_issues: int = Field(
        default=1_500_000,
        ge=0,
        description="for searches in all repositories: largest number of issues that each process compares "
        "with a query (an issue or a draft) one by one. The most recent issues are compared in this way. "
        "Older issues are searched with Annoy, which can miss some. Each compared issue takes about 350 "
        "bytes of memory in each process",
    )
