"""Makes texts safe to print or log: characters that control a terminal become visible, and secrets are
masked. Every text that is printed or logged passes through this module.

Some characters control a terminal: an escape sequence moves the cursor or changes the window's title, and a
bidirectional override changes the order of the characters after it. Such a character is printed as its code,
for example `\\u001b`. In JSON, this code stands for the same character, so a JSON value keeps its content.

The settings register their secrets, such as the password in an address, so that they are masked. In errors
and logs, credentials in addresses that are not in the settings are masked, too: user, password, and
parameters such as `token=`.
JSON values are read by programs, and are not masked: if a mask replaced the digits of a number, the JSON
would be invalid.
"""

from __future__ import annotations

import logging
import re
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

MASK: Final = "***"
MIN_PASSWORD: Final = 4
MIN_TOKEN: Final = 16
"""Shorter passwords, and shorter users without a password and values of other parameters of an address, are
not looked for in texts: the user `titler` or the value `verify-full` would be masked everywhere. They are
masked where they stand in an address."""
_SECRET_NAMES: Final = (
    r"token|signature|sig|secret|password|passwd|pwd|credentials?|api[_-]?key|key|auth|code|"
    r"[a-z0-9-]*[_-](?:token|signature|secret|password|key|credentials?)"
)
_IS_SECRET_NAME: Final = re.compile(_SECRET_NAMES, re.IGNORECASE)
_SECRET_PARAMETER: Final = re.compile(rf"(?<=[?&;])({_SECRET_NAMES})=[^\s&#;'\"<>)]+", re.IGNORECASE)
_USER_OF_ADDRESS: Final = re.compile(r"(?<=://)[^\s/?#'\"<>]*@")
_OBEYED: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
"""Control characters other than the tabulator and the line break, characters that set the direction of text,
line and paragraph separators, and unpaired surrogates, which cannot be printed."""

_ADDRESS: Final = re.compile(r"://[^\s\"'<>\[\]{}\\]+")
LOG_FORMAT: Final = "%(levelname)s %(name)s: %(message)s"

_secrets: set[str] = set()


def with_codes(text: str) -> str:
    """Returns a text in which codes replace the characters that control a terminal, except line breaks and
    tabs. If the text is JSON, its content does not change: in JSON, a code stands for the same character."""
    return _OBEYED.sub(_code, text)


def printable(text: str) -> str:
    """Returns a text in which registered secrets are masked, and codes replace characters as in
    `with_codes`."""
    return with_codes(_without_registered(text))


def one_line(text: str) -> str:
    """Returns the same text as `printable`, except that codes also replace line breaks and tabs. So a text
    that strangers wrote cannot look like a line that Titler printed."""
    return printable(text).replace("\n", r"\u000a").replace("\t", r"\u0009")


def without_secrets(text: str) -> str:
    """Masks all credentials in a message that people read: registered ones, the user and the password of
    every address, and parameters of addresses such as `token=`."""
    if "://" in text:
        text = _USER_OF_ADDRESS.sub(f"{MASK}@", text)
    if "=" in text:
        text = _SECRET_PARAMETER.sub(rf"\1={MASK}", text)
    return _without_registered(text)


def register_secret(secret: str) -> None:
    """Registers a secret, so that this process masks it in all texts that it prints or logs, except in JSON.
    Does nothing if the secret is shorter than MIN_PASSWORD characters."""
    _secrets.update(
        each for each in (secret, quote(secret, safe=""), unquote(secret)) if len(each) >= MIN_PASSWORD
    )


def register_addresses(text: str) -> None:
    """Registers the credentials in all addresses of a text, so that they are masked.

    These are the credentials in an address:

    - The password, if it differs from the user name.
    - The user name, if it has at least MIN_TOKEN characters and there is no password.
    - The value of a parameter, if it has at least MIN_TOKEN characters, or if the parameter's name stands for
      a secret, such as `token`.
    """
    for address in _ADDRESS.findall(text):
        try:
            parts = urlsplit(f"x{address}")
        except ValueError:  # no host can have this name, so nothing will connect to it
            continue
        user, _, password = parts.netloc.rpartition("@")[0].partition(":")
        if password != user and (password or len(user) >= MIN_TOKEN):
            register_secret(password or user)
        for name, value in (*parse_qsl(parts.query), *parse_qsl(parts.fragment)):
            if len(value) >= MIN_TOKEN or _IS_SECRET_NAME.fullmatch(name):
                register_secret(value)


def configure_logging() -> None:
    """Configures logging: warnings and errors of all libraries are printed on standard error, made safe by
    this module."""
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter(LOG_FORMAT))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


class PrintableFormatter(logging.Formatter):
    """Formats log records so that they may be printed, with secrets masked."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the formatted record."""
        return printable(without_secrets(super().format(record)))


def _without_registered(text: str) -> str:
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def _code(character: re.Match[str]) -> str:
    return f"\\u{ord(character[0]):04x}"
