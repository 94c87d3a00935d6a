"""An issue's raw text made ready for subword units: GitHub's markup, code and machine output reduced to what tells of the issue.

    prepare("### Bug\\r\\n<!-- Describe it -->\\nSee **`TreeView`** at https://example.com/a/b")  ->  "bug\\nsee tree\\u2060view at url"

An issue is short and its template, its logs and its stack traces are not, while a network reads a few hundred units: so what
repeats in thousands of issues goes, and what names this one stays. Lines stay lines: an issue's first one often says it all.

Everything here takes time linear in the text, whatever it holds: each pattern begins at a rare mark, and what follows a mark is
read up to the next one, or a bounded number of characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final

JOINER: Final = "\u2060"
"""Marks where a word may be parted (camelCase) without a blank: U+2060 WORD JOINER, which the text itself loses first."""
CODE_LINES: Final = 3
"""Lines that a fenced block keeps from its beginning, beside those that name an error."""
LINE_CHARACTERS: Final = 300
"""Of a line of code: what is longer was made by a machine, for machines."""


def prepare(text: str) -> str:
    """`text` in lower case, an issue's line a line, without what only GitHub or a machine reads; see the module.

    JOINER stands where camelCase changes its case; without it, the characters are the text's own, or `url` and `0` in place of
    addresses and of long numbers, hashes and moments. Never raises.
    """
    text = _plain_characters(text)
    if "<!--" in text:
        text = _without_comments(text)
    lines: Sequence[str] = text.split("\n")
    if "```" in text or "~~~" in text:
        lines = list(_with_short_code(lines))
    text = "\n".join(_without_frames(lines))
    text = _without_markup(text)
    text = _without_numbers(text)
    text = _BEFORE_CAPITAL.sub(_parted, text).lower()
    return "\n".join(
        line
        for line in (" ".join(line.split()) for line in text.split("\n"))
        if _TELLS.search(line) and line != _NO_ANSWER
    )


_TELLS: Final = re.compile(r"[^\W_]")  # a line without a letter or a digit is decoration
_NO_ANSWER: Final = "no response"  # GitHub's, for a field of a form that was left empty
_BEFORE_CAPITAL: Final = re.compile(r"[A-Z](?:(?<=[a-z0-9].)|(?<=[A-Z].)(?=[a-z]))")  # treeView, HTTPServer


def _parted(capital: re.Match[str]) -> str:
    return JOINER + capital[0]


# --- characters ---------------------------------------------------------------------------------------------------

_INVISIBLE: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ud800-\udfff]+"
)
_MARKS: Final = re.compile(r"([^\w\s\x00-\x7f]{30})[^\w\s\x00-\x7f]+")


def _plain_characters(text: str) -> str:
    """NFKC, one kind of line break, and nothing that is not seen.

    Normalising sorts a letter's combining marks in the square of their number, so that a run of marks (or of other symbols, which
    nobody misses either) is cut first.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.isascii():
        text = unicodedata.normalize(
            "NFKC", _MARKS.sub(r"\1", text.replace("\u2028", "\n").replace("\u2029", "\n"))
        )
    return _INVISIBLE.sub("", text)


# --- comments, code, stack traces -----------------------------------------------------------------------------------


def _without_comments(text: str) -> str:
    """Without `<!-- ... -->`, what templates tell the author; one that is not closed ends with its paragraph."""
    parts: list[str] = []
    done = 0
    last_end = text.rfind("-->")
    while (begin := text.find("<!--", done)) >= 0:
        parts.append(text[done:begin])
        if begin < last_end and (end := text.find("-->", begin + 4)) >= 0:
            done = end + 3
        else:
            end = text.find("\n\n", begin)
            done = end if end >= 0 else len(text)
    return "".join([*parts, text[done:]])


_FENCE: Final = re.compile(r"[ \t>]*+(`{3,}+|~{3,}+)(?![^`\n]*`)")
_NAMES_AN_ERROR: Final = re.compile(r"error|exception|panic|fatal|fault", re.IGNORECASE)


def _with_short_code(lines: Sequence[str]) -> Iterator[str]:
    """Fenced blocks with their first lines and those that name an error alone; one that is never closed is no block."""
    block: list[str] = []
    fence = ""
    for line in lines:
        found = _FENCE.match(line) if "```" in line or "~~~" in line else None
        if not fence:
            if found:
                fence = found[1]
            else:
                yield line
        elif found and found[1].startswith(fence):
            yield from _short(list(_without_frames(block)))
            block, fence = [], ""
        else:
            block.append(line)
    yield from block


def _short(code: Sequence[str]) -> Iterator[str]:
    """The first lines of a block; then the first and the last line that name an error."""
    told = [line[:LINE_CHARACTERS] for line in code if _TELLS.search(line)]
    errors = [
        number for number, line in enumerate(told) if number >= CODE_LINES and _NAMES_AN_ERROR.search(line)
    ]
    yield from told[:CODE_LINES]
    yield from (told[number] for number in dict.fromkeys((*errors[:1], *errors[-1:])))


_FRAME: Final = re.compile(
    r'[ \t>]*+(?:File "[^"]*+", line \d|\.\.\. \d++ (?:more|common)|#\d++ +0x|\d++: +0x|stack backtrace:|goroutine \d)'
)
_FRAME_AT: Final = re.compile(r"[ \t>]*+at \S")  # of Java, JavaScript and C#, where it ends like
_PLACE: Final = re.compile(
    r"(?::(?:line )?\d{1,9}\)?|\((?:Native Method|Unknown Source|<anonymous>|native)\))\s*+\Z"
)
_TRACEBACK: Final = "Traceback (most recent call last)"


def _without_frames(lines: Sequence[str]) -> Iterator[str]:
    """Without the frames of stack traces, in code or out of it: the lines that name the exception stay."""
    indent = -1  # of a Python traceback's head, while its frames pass
    for line in lines:
        if indent >= 0 and (not line.strip() or _indent(line) > indent):
            continue
        indent = -1
        if _TRACEBACK in line:
            indent = _indent(line)
        elif not (_FRAME.match(line) or (_FRAME_AT.match(line) and _PLACE.search(line[-40:]))):
            yield line


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" \t>"))


# --- markup ---------------------------------------------------------------------------------------------------------

_TAG_NAMES: Final = (
    "details|summary|br|hr|p|div|span|img|a|b|i|u|s|em|strong|code|pre|kbd|samp|var|tt|ul|ol|li|dl|dt|dd|h[1-6]|table|thead|tbody"
    "|tr|td|th|sub|sup|blockquote|center|font|del|ins|small|big|input|picture|source|video|section|article|align|g-emoji"
)
_TAG: Final = re.compile(rf"<(?:/|(?=[a-z]))(?:{_TAG_NAMES})(?:[\s/][^<>]*+)?>", re.IGNORECASE)
_LINK: Final = re.compile(r"!?\[([^\[\]\n]*+)\]\([^()\n]*+\)")
_ADDRESS: Final = re.compile(
    r"(?:https?|ftp|file)://[^\s<>()\[\]\"'`|]*+|(?<![\w.])www\.[^\s<>()\[\]\"'`|]++", re.IGNORECASE
)
_LINE_START: Final = re.compile(
    r"^[ \t]*+(?:>[ \t]*+)*+(?:#{1,6}[ \t]++|[-*+•][ \t]++)?+(?:\[[ xX]?\](?!\()[ \t]*+)?+", re.MULTILINE
)
_STARS: Final = re.compile(r"(?<![\w*])\*++(?=[^\s*./])|(?<=[^\s*])\*++(?!\w|[./]\w)")  # neither a*b nor *.py
_UNDERSCORES: Final = re.compile(r"(?<!\w)_([^_\s][^_\n]*+)_(?!\w)")
_RUN: Final = re.compile(r"([\W_])(?<=\S)\1\1++")
_ENTITIES: Final = {
    "&lt;": "<",
    "&gt;": ">",
    "&quot;": '"',
    "&#39;": "'",
    "&nbsp;": " ",
    "&amp;": "&",
}  # &amp; last: &amp;lt; is &lt;


def _without_markup(text: str) -> str:
    """Without Markdown's and HTML's own characters; what is marked up stays."""
    if "<" in text:
        text = _TAG.sub(" ", text)
    if "](" in text:
        text = _LINK.sub(r"\1", _LINK.sub(r"\1", text))  # twice: an image in a link, as badges are
    if "://" in text or "www." in text:
        text = _ADDRESS.sub("url", text)
    if "&" in text:
        for entity, character in _ENTITIES.items():
            text = text.replace(entity, character)
    text = _LINE_START.sub("", text)
    text = text.replace("`", "").replace("~~", "")
    if "*" in text:
        text = _STARS.sub("", text)
    if "_" in text:
        text = _UNDERSCORES.sub(r"\1", text)
    return _RUN.sub(" ", text)


# --- numbers --------------------------------------------------------------------------------------------------------

_HASH: Final = re.compile(
    r"[0-9a-f](?<![\w.].)(?:(?<=0)x[0-9a-f]++|(?:(?<=\d)|(?=[a-f]*+\d))[0-9a-f]{6,}+(?:-[0-9a-f]{4}){0,3}(?:-[0-9a-f]{12})?)(?!\w)",
    re.IGNORECASE,
)
_MOMENT: Final = re.compile(
    r"\d(?<!\d.)(?:\d{3}[-/]\d\d?[-/]\d\d?(?!\d)(?:[T ]\d\d?:\d\d)?|\d?:\d\d(?=:\d\d)|\d?/\d\d?/\d{4}(?!\d))"
    r"(?:(?::\d\d)*+(?:[.,]\d++)?(?: ?[AP]M\b|Z|[+-]\d\d:?\d\d)?+)",
    re.IGNORECASE,
)
_LONG_NUMBER: Final = re.compile(r"\d(?<![\d.].)(?:\d*+\.)?+\d{4,}+(?!\.?\d)")


def _without_numbers(text: str) -> str:
    """With `0` for hashes, addresses in memory, moments in time and numbers of five digits or more: none comes twice.

    Versions (1.2.3), codes (404) and years stay: they name things.
    """
    return _LONG_NUMBER.sub("0", _HASH.sub("0", _MOMENT.sub("0", text)))
