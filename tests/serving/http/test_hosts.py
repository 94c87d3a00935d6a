"""Where the server may listen."""

from __future__ import annotations

import socket

import pytest

from pipeline.errors import UsageError
from pipeline.serving.http.gate import is_loopback
from pipeline.serving.http.server import check_host, listen


def test_loopback_addresses() -> None:
    hosts = ("127.0.0.1", "127.8.0.1", "::1", "localhost", "0.0.0.0", "::", "10.0.0.1", "titler.example")
    assert [host for host in hosts if is_loopback(host)] == ["127.0.0.1", "127.8.0.1", "::1", "localhost"]


def test_another_address_than_a_loopback_one_needs_a_token() -> None:
    check_host("0.0.0.0", has_token=True)
    with pytest.raises(UsageError, match=r"--host 0\.0\.0\.0 is not a loopback .*\n.*TITLER_SERVE__TOKEN="):
        check_host("0.0.0.0", has_token=False)


def test_a_port_in_use_is_a_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        with pytest.raises(UsageError, match=rf"127\.0\.0\.1, port {port}: Address already in use"):
            listen("127.0.0.1", port)


def test_a_name_that_cannot_be_a_host_is_a_clear_error() -> None:
    with pytest.raises(UsageError, match=r"The server cannot listen at a{64}, port 0: "):
        listen("a" * 64, 0)
