"""Splits text into exactly the tokens of the package ktext 0.40, in time linear in the length of the text.

ktext cleans text with textacy 0.6.2 and splits it with `text_to_word_sequence` of Keras 2.2.4. The steps are:

1. Short URLs, then other URLs, become `*URL*`.
2. E-mail addresses become `*EMAIL*`.
3. Telephone numbers become `*PHONE*`.
4. Numbers become `*NUMBER*`.
5. 15 currency symbols become their ISO 4217 codes.
6. Accents are removed. Punctuation becomes blanks. Letters become lower case.
7. The text is split at blanks.

textacy itself is too slow for some texts. Its patterns for URLs and e-mail addresses restart at every letter
of a long word, which takes quadratic time. Its pattern for hosts tries every way to split a host into labels.
In a text such as `www.a-www.a-www.a-`, each further label more than doubles the time. The functions of this
module find the same strings in linear time. Each function starts at a rare character (`.`, `://`, `@`), and
reads every part of the text a bounded number of times. The tests compare each function with that of textacy.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

Span = tuple[int, int]

CURRENCIES: Final = {
    "$": "USD",
    "zł": "PLN",
    "£": "GBP",
    "¥": "JPY",
    "฿": "THB",
    "₡": "CRC",
    "₦": "NGN",
    "₩": "KRW",
    "₪": "ILS",
    "₫": "VND",
    "€": "EUR",
    "₱": "PHP",
    "₲": "PYG",
    "₴": "UAH",
    "₹": "INR",
}


def tokens(text: str) -> list[str]:
    """Returns the words of `text`, cleaned exactly as by ktext 0.40, without `_start_` and `_end_`."""
    return _words(replace_numbers(replace_phone_numbers(replace_emails(replace_urls(text)))))


def replace_urls(text: str) -> str:
    """Replaces URLs by `*URL*`: first short URLs, such as `bit.ly/x1`, then all other URLs."""
    if "/" in text:
        text = _replace(text, _short_urls(text), "*URL*")
    return _replace(text, _urls(text), "*URL*")


def replace_emails(text: str) -> str:
    """Replaces e-mail addresses by `*EMAIL*`."""
    return _replace(text, _emails(text), "*EMAIL*") if "@" in text else text


def replace_phone_numbers(text: str) -> str:
    """Replaces North American telephone numbers by `*PHONE*`."""
    return _PHONE.sub("*PHONE*", text) if _SEVEN_DIGITS.search(text) else text


def replace_numbers(text: str) -> str:
    """Replaces numbers by `*NUMBER*`. A number may have a sign and thousands separators."""
    return _NUMBER.sub("*NUMBER*", text)


def _replace(text: str, spans: Iterator[Span], mark: str) -> str:
    parts: list[str] = []
    copied = 0
    for start, end in spans:
        parts += text[copied:start], mark
        copied = end
    return "".join([*parts, text[copied:]]) if parts else text


# --- URLs
# ---------------------------------------------------------------------------------------------------------

_FREE: Final = re.compile(r"(?<![\w/.])")  # where a URL may begin
_HOST: Final = re.compile(r"\w++(?:-\w++)*")  # word characters and single hyphens; reversed text matches, too
_SHORT_TAIL: Final = re.compile(
    r"\.(?<=\w\.)(?=([a-z]{2,12}(?:\.[a-z]{2,12}){0,2}/[^\s.,?!'\"|+]{2,12})(?![\w?!+&/]))",
    re.IGNORECASE,
)
_HTTP_BACKWARDS: Final = re.compile(r"//:s?ptth", re.IGNORECASE)


def _short_urls(text: str) -> Iterator[Span]:
    """Yields the start and the end of each short URL: `[http[s]://]host.domain/path`.

    The path has 2 to 12 characters. This function searches for `.domain/path`, then for the start of the URL
    in front of it. The host contains no `.`, so the hosts of two short URLs never overlap.
    """
    last_end = position = 0
    while tail := _SHORT_TAIL.search(text, position):
        dot = tail.start()
        start = _short_url_start(text, max(last_end, text.rfind(".", last_end, dot) + 1), dot)
        if start is None:
            position = dot + 1
        else:
            last_end = position = tail.end(1)
            yield start, last_end


def _short_url_start(text: str, floor: int, dot: int) -> int | None:
    """Returns the start of the short URL whose host ends at `dot`, or None if there is no such URL.

    The URL may not start before `floor`. If several starts are possible, returns the leftmost one.
    """
    host = _HOST.match(text[floor:dot][::-1])
    if host is None:
        return None
    begin = dot - host.end()
    scheme = _HTTP_BACKWARDS.match(text[max(floor, begin - 8) : begin][::-1])
    if scheme and _FREE.match(text, begin - scheme.end()):
        return begin - scheme.end()
    if _FREE.match(text, begin):
        return begin
    hyphen = text.find("-", begin, dot)  # within the host, a URL may only begin after a hyphen
    return None if hyphen < 0 else hyphen + 1


_SCHEME: Final = re.compile(r"[hHfFwW](?<![\w/.].)(?i:(?<=h)ttps?://|(?<=f)tp://|(?<=w)ww\d{0,3}\.)")
_GAP: Final = re.compile(r"\s")
_AFTER_HOST: Final = r"(?::\d{2,5})?(?:/\S*)?(?![\w?!+&/])"
_PUBLIC_IP: Final = re.compile(
    r"(?!(?:10|127)(?:\.\d{1,3}){3})(?!(?:169\.254|192\.168)(?:\.\d{1,3}){2})(?!172\.(?:1[6-9]|2\d|3[0-1])(?:\.\d{1,3}){2})"
    r"(?:[1-9]\d?|1\d\d|2[01]\d|22[0-3])(?:\.(?:1?\d{1,2}|2[0-4]\d|25[0-5])){2}(?:\.(?:[1-9]\d?|1\d\d|2[0-4]\d|25[0-4]))"
    + _AFTER_HOST
)
_LETTER: Final = r"a-z\u00a1-\uffff"
_LABEL: Final = rf"[{_LETTER}0-9]++(?:-[{_LETTER}0-9]++)*"
_LABELS: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.IGNORECASE)
_TOP_LEVEL: Final = re.compile(rf"[{_LETTER}]{{2,}}{_AFTER_HOST}", re.IGNORECASE)


class _Hosts:
    """Finds where the URLs in a text end.

    A host name may begin inside another one. In `www.a-www.b`, each `www.` is followed by a host name:
    `a-www.b` and `b`. Both end at the same position. Therefore the host name that was scanned last is
    cached, so that its end is not searched for again.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.begin = self.stop = 0  # the host that was scanned last
        self.dot = self.end = -1  # that host's last dot before a top-level domain, and the end of its URL

    def end_of(self, start: int) -> int:
        """Returns the end of the URL whose host name starts at `start`, or -1 if there is none."""
        if ip := _PUBLIC_IP.match(self.text, start):
            return ip.end()
        if not self.begin <= start < self.stop:
            self._scan(start)
        return self.end if self.dot > start else -1

    def _scan(self, start: int) -> None:
        labels = _LABELS.match(self.text, start)
        self.begin, self.stop = start, labels.end() if labels else start
        self.dot = self.text.rfind(".", self.begin, self.stop)
        while self.dot >= 0:
            if top := _TOP_LEVEL.match(self.text, self.dot + 1):
                self.end = top.end()
                return
            self.dot = self.text.rfind(".", self.begin, self.dot)


def _urls(text: str) -> Iterator[Span]:
    """Yields the start and the end of each URL: `scheme[user@]host[:port][/path]`.

    A scheme is `http://`, `https://`, `ftp://` or `www.`. A URL contains no white space. If it contains
    several `@`, the part `user` ends at the last `@` that is followed by a host.
    """
    hosts = _Hosts(text)
    position, gap, at, at_end = 0, -1, -1, -1
    while scheme := _SCHEME.search(text, position):
        start, host = scheme.span()
        if host > gap:
            space = _GAP.search(text, host)
            gap = space.start() if space else len(text)
            at, at_end = _last_usable_at(text, host, gap, hosts)
        end = at_end if at > host else hosts.end_of(host)
        if end < 0:
            position = start + 1
        else:
            position = end
            yield start, end


def _last_usable_at(text: str, begin: int, end: int, hosts: _Hosts) -> Span:
    """Finds the last `@` in `text[begin:end]` that is followed by a host name.

    Returns the position of this `@`, and the end of the URL with this host name. Returns (-1, -1) if there is
    no such `@`.
    """
    at = text.rfind("@", begin, end)
    while at >= 0:
        if (at_end := hosts.end_of(at + 1)) >= 0:
            return at, at_end
        at = text.rfind("@", begin, at)
    return -1, -1


# --- e-mail
# -------------------------------------------------------------------------------------------------------

_AT: Final = re.compile(r"@(?=\w)")  # what follows any other `@` is no host
_NO_EMAIL_BEFORE: Final = re.compile(r"(?<![\w@.)])")
_LOCAL_BACKWARDS: Final = re.compile(r"[\w+-]++(?:\.[\w+-]++)*")
_AFTER_SIGN: Final = re.compile(r"(?<=[+-])[\w+-]")
_DOMAIN: Final = re.compile(r"\w++(?:-\w++)*(?:\.[a-z]{2,}+(?!\w)){1,3}", re.IGNORECASE)


def _emails(text: str) -> Iterator[Span]:
    """Yields the start and the end of each e-mail address: `local@host.domain`.

    Reads backwards and forwards from each `@`. An address contains only one `@`.
    """
    last_end = floor = 0
    while sign_of_address := _AT.search(text, max(last_end, floor)):
        at = sign_of_address.start()
        domain = _DOMAIN.match(text, at + 1)
        local = _LOCAL_BACKWARDS.match(text[max(last_end, floor) : at][::-1]) if domain else None
        floor = at + 1
        if domain is None or local is None:
            continue
        begin = at - local.end()
        if not _NO_EMAIL_BEFORE.match(text, begin):
            sign = _AFTER_SIGN.search(
                text, begin + 1, at
            )  # within the local part, an address may only begin after a sign
            if sign is None:
                continue
            begin = sign.start()
        last_end = domain.end()
        yield begin, last_end


# --- telephone numbers and numbers: these patterns are bounded, or fail at the first mismatch
# -----------------------

_SEVEN_DIGITS: Final = re.compile(r"\d\d\d[ .-]?\d{4}")
_PHONE: Final = re.compile(
    r"(?<![\w)])(?:\+?1[ .-]?)?(?:\(?\d{3}\)?[ .-]?)?\d{3}[ .-]?\d{4}"
    r"(?:\s?(?:ext\.?|[#x-])\s?\d{2,6})?(?!\w)"
)
# A search for a pattern that begins with a character class is fast; lookbehinds then choose the branch.
_GROUPED: Final = r"\d{0,2}(?:(?:,\d{3})+(?:\.\d*)?|(?:[ .]\d{3})+(?:,\d*)?)"
_NUMBER: Final = re.compile(
    r"[+–\-.,\d](?<![\w,.].)"  # noqa: RUF001 - the dash is textacy's
    rf"(?:(?<=[1-9]){_GROUPED}|(?<=\d)(?:\d*?[.,]\d+|\d*)|(?<=[.,])\d+|(?<=[^.,\d])(?:[1-9]{_GROUPED}|\d*?[.,]\d+|\d+))(?:$|\b)",
)


# --- words
# --------------------------------------------------------------------------------------------------------

_KERAS_FILTERS: Final = frozenset('!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n')  # text_to_word_sequence's default
_CASE_IGNORABLE: Final = frozenset(
    "^`"
)  # lower() reads them to decide whether a Σ before them is final, so they are removed later


class _Characters(dict[int, str | None]):
    """A translation table for `str.translate`. It replaces each character by its NFKD decomposition, removes
    combining marks and replaces punctuation by blanks.

    The punctuation includes the characters that Keras's `text_to_word_sequence` filters, except those in
    _CASE_IGNORABLE, which are removed later. Each character is decomposed by itself. Normalising a whole text
    would also sort the combining marks of each letter, which takes quadratic time. Their order does not
    matter here, because all combining marks are removed.
    """

    def __missing__(self, code: int) -> str | None:
        self[code] = "".join(map(_word_character, unicodedata.normalize("NFKD", chr(code)))) or None
        return self[code]


def _word_character(character: str) -> str:
    """Returns "" for a combining mark, a blank for punctuation, and any other character unchanged."""
    if unicodedata.combining(character):
        return ""
    is_punctuation = unicodedata.category(character).startswith("P")
    return " " if is_punctuation or character in _KERAS_FILTERS - _CASE_IGNORABLE else character


_CHARACTERS: Final = _Characters()
_ASCII: Final = {
    code: " " if chr(code) in _KERAS_FILTERS | {"'"} else chr(code).lower() for code in range(128)
}


def _words(text: str) -> list[str]:
    """Returns the words of a text, in lower case and without accents and punctuation.

    Currency symbols become their codes. Text in ASCII has a translation table of its own, which is faster.
    """
    if text.isascii():
        return text.replace("$", "USD").translate(_ASCII).split()
    for symbol, code in CURRENCIES.items():
        text = text.replace(symbol, code)
    return text.translate(_CHARACTERS).lower().replace("^", " ").replace("`", " ").split()
