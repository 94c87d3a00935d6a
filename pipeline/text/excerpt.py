"""Makes an excerpt of an issue's body. Replaces addresses and numbers, because they might identify a person
or a machine.
"""

from __future__ import annotations

import re

from pipeline.text.ktext import replace_emails, replace_numbers, replace_phone_numbers, replace_urls

EXCERPT_LENGTH = 280
"""Largest number of characters of an excerpt."""
_READ_LENGTH = 2_000
"""Characters of the body that are read, because the marks are usually shorter than what they replace."""
_LAST_ASCII_WORD = re.compile(r"[!-~]*\Z")
"""Where the text is cut, it might hold half of an address."""
_WHITE_SPACE = re.compile(r"\s+")


def excerpt(body: str | None) -> str | None:
    """Returns the first EXCERPT_LENGTH characters of a body on one line, or None if the body is blank.

    URLs, e-mail addresses, telephone numbers and numbers are replaced as ktext replaces them: by `*URL*`,
    `*EMAIL*`, `*PHONE*` and `*NUMBER*`. They are replaced before the text is cut, so that no part of an
    address or a number remains.
    """
    text = body or ""
    if len(text) > _READ_LENGTH:
        text = _LAST_ASCII_WORD.sub("", text[:_READ_LENGTH], count=1)
    text = replace_numbers(replace_phone_numbers(replace_emails(replace_urls(text))))
    return _WHITE_SPACE.sub(" ", text).strip()[:EXCERPT_LENGTH].rstrip() or None
