"""Makes the texts of strangers safe to show on a page.

Every text is escaped and cut to a maximum length. The element <bdi> isolates it from the direction of
the text around it.
Characters that are invisible, or that change the order of the characters after them, are replaced by their
code, such as U+202E. An address becomes a link only if it is an address at https://github.com.
"""

from __future__ import annotations

import re
import unicodedata

from markupsafe import Markup

GITHUB_ADDRESS = re.compile(r"https://github\.com/[A-Za-z0-9._~/#?=&%+-]*")
JOINERS = "\u200c\u200d"
"""Invisible characters that must stay: Persian words and composed emoji need them. They do not change the
order of characters."""
_REPLACED = ("Cc", "Cf", "Cs", "Co", "Cn")
"""Categories of Unicode: control, format, surrogate, private use, unassigned."""
_HAS_REPLACED = re.compile(r"[^\x20-\x7e]")


def shown_text(text: str, characters: int) -> Markup:
    """Returns the first `characters` characters of a text as HTML. If the text is longer, the HTML ends
    with the number of characters of the whole text.

    Each run of white space, line breaks included, becomes one space. The HTML has the elements <bdi> and
    <span> only.
    """
    words = " ".join(text[: 4 * characters].split())
    beginning = words[:characters]
    html = Markup("<bdi>{}</bdi>").format(_with_codes(beginning))
    if len(text) <= 4 * characters and len(words) <= characters:
        return html
    return html + Markup('<span class="cut">… ({} characters)</span>').format(f"{len(text):,}")


def _with_codes(text: str) -> Markup:
    """Returns a text as HTML in which each invisible character is replaced by its code."""
    if not _HAS_REPLACED.search(text):
        return Markup.escape(text)
    return Markup("").join(
        Markup('<span class="code">U+{}</span>').format(f"{ord(character):04X}")
        if unicodedata.category(character) in _REPLACED and character not in JOINERS
        else Markup.escape(character)
        for character in text
    )


def is_github_address(url: str) -> bool:
    """Returns whether `url` is an address at https://github.com. Only such an address becomes a link."""
    return GITHUB_ADDRESS.fullmatch(url) is not None
