"""Text that is printed: what a terminal obeys is shown as its code, and secrets are masked."""

from __future__ import annotations

import json
import logging

import pytest

from pipeline import alerts, printed_text
from pipeline.cli import console, query_reports
from pipeline.errors import TitlerError
from pipeline.printed_text import one_line, printable, register_addresses, without_secrets
from pipeline.progress import say
from pipeline.settings import Alerts, public_address

HOSTILE = "a\x1b]0;owned\x07\x1b[2J\u202egnp\u2069\x9bx\r\ud83d"
SHOWN = r"a\u001b]0;owned\u0007\u001b[2J\u202egnp\u2069\u009bx\u000d\ud83d"


@pytest.fixture(autouse=True)
def _no_registered_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(printed_text, "_secrets", set())


def test_what_a_terminal_obeys_is_shown_as_its_code() -> None:
    assert printable(HOSTILE) == SHOWN


def test_line_breaks_tabulators_emoji_and_other_scripts_stay() -> None:
    text = "one\ttwo\nสวัสดี 中文 👩\u200d👩\u200d👧 e\u0301"
    assert printable(text) == text


def test_a_text_of_strangers_stays_on_one_line() -> None:
    assert one_line("a\ntitler: all is well") == r"a\u000atitler: all is well"


def test_a_printed_json_value_stays_the_same_value(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_json({"title": HOSTILE})
    output = capsys.readouterr().out
    assert json.loads(output) == {"title": HOSTILE}
    assert output.isascii()


def test_lines_tables_errors_and_logs_are_printable(capsys: pytest.CaptureFixture[str]) -> None:
    say(HOSTILE)
    console.print_table([("title", "left")], [[f"{HOSTILE}\nx"]], 0)
    console.say_wrapped(HOSTILE, 0)
    console.error(HOSTILE)
    assert alerts.send(Alerts(), alerts.Message(HOSTILE, HOSTILE, "", HOSTILE))
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [SHOWN, "title", rf"{SHOWN}\u000ax", SHOWN.replace("\\u000d", " ")]
    assert "\x1b" not in printed.err
    record = logging.LogRecord("titler", logging.WARNING, "", 0, "%s", (HOSTILE,), None)
    assert printed_text.PrintableFormatter("%(message)s").format(record) == SHOWN


def test_a_similar_issue_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    row = {
        "issue_url": "https://github.com/a/b/issues/1",
        "title": "a\n0.99  https://evil.example  b\x1b[1A",
        "distance": 0.5,
        "probability": 0.5,
        "list": "everywhere",
        "suggested": True,
        "near_duplicate": False,
        "words_in_common": "a\u202eb",
        "similar_text": "own",
        "group_size": 1,
    }
    query_reports.similar([row], False)
    assert capsys.readouterr().out == (
        r"0.50  https://github.com/a/b/issues/1  a\u000a0.99  https://evil.example  b\u001b[1A"
        "  (words in common: a\\u202eb)\n"
    )


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("https://user:secret@host/a is gone", "https://***@host/a is gone"),
        ("tcp://t0ken@host:8786", "tcp://***@host:8786"),
        ("https://u:p@ss@host/", "https://***@host/"),
        ("https://host/f?a=1&X-Amz-Signature=abc&b=2", "https://host/f?a=1&X-Amz-Signature=***&b=2"),
        ("url='https://host/f?token=abc'", "url='https://host/f?token=***'"),
        ("gs://bucket/f?GoogleAccessId=x&sig=a%2Fb", "gs://bucket/f?GoogleAccessId=x&sig=***"),
        ("https://host/log?try_number=1&map_index=-1", "https://host/log?try_number=1&map_index=-1"),
        ("mail me at a@b.cc", "mail me at a@b.cc"),
        ("https://github.com/a/b/issues/1", "https://github.com/a/b/issues/1"),
    ],
)
def test_credentials_in_addresses_are_masked(text: str, masked: str) -> None:
    assert without_secrets(text) == masked
    assert str(TitlerError(text, text)) == f"{masked}\n{masked}"


def test_a_registered_secret_is_masked_wherever_it_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    register_addresses("https://user:pass%2Fword@host/x?version=2024010120240101&token=abcd&mode=fast")
    say("pass%2Fword pass/word 2024010120240101 abcd fast user")
    console.error("pass/word")
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("*** *** *** *** fast user\n", "titler: ***\n")


@pytest.mark.parametrize(
    "address", ["postgresql://titler@db/x?sslmode=verify-full", "postgresql://titler:titler@db/x"]
)
def test_what_is_no_secret_is_not_masked(address: str) -> None:
    register_addresses(address)
    assert printable("type: titler doctor, verify-full") == "type: titler doctor, verify-full"


def test_a_json_value_that_contains_a_secret_stays_the_same_value(capsys: pytest.CaptureFixture[str]) -> None:
    register_addresses("postgresql://user:1234@db/x postgresql://user:mlflow@db/x")
    value = {"mlflow_run": "a", "issue_id": 512345, "title": "?token=abc"}
    console.print_json(value)
    assert json.loads(capsys.readouterr().out) == value


def test_an_address_without_a_valid_host_is_no_error() -> None:
    register_addresses("https://a\u2100b/ https://user:p4ssword@b/")  # \u2100 stands for a/c
    assert printable("p4ssword") == "***"
    assert public_address("https://user:p4ssword@[a/b?c#d") == "https://[a/b"


@pytest.mark.parametrize("unit", ["://", "a", "://a", "?token=", "&a-", "@", "\x1b", "?key=a&"])
def test_a_long_text_is_made_printable_in_linear_time(unit: str) -> None:
    printable(without_secrets(unit * (1_000_000 // len(unit))))  # quadratic: minutes, over the time limit
