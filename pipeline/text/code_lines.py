"""Shortens code blocks, and removes the frames of stack traces.

For any text, the time of every function is linear in the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

CODE_LINES: Final = 3
"""Number of first lines of a fenced code block that are kept. Lines that name an error are kept as well."""
LINE_CHARACTERS: Final = 300
"""Number of characters kept of a line of code. Longer lines are machine output."""
LETTER_OR_DIGIT: Final = re.compile(r"[^\W_]")
"""The pattern of a letter or digit. A line without any is decoration."""
FENCE: Final = re.compile(r"[ \t>]*+(`{3,}+|~{3,}+)(?![^`\n]*`)")
NAMES_AN_ERROR: Final = re.compile(  # begins with a set of characters, which a search skips to
    r"[EePpFf](?i:(?<=e)(?:rror|xception)|(?<=p)anic|(?<=f)a(?:tal|ult))"
)


def with_short_code(lines: Sequence[str]) -> Iterator[str]:
    """Yields the lines of a text, in which the fenced code blocks are shortened.

    From each block, the frames of stack traces are removed, and `short_code` shortens the rest. The fences
    are left out. If a block has no closing fence, it is not shortened.
    """
    block: list[str] = []
    fence = ""
    for line in lines:
        marker = FENCE.match(line) if "```" in line or "~~~" in line else None
        if not fence:
            if marker:
                fence = marker[1]
            else:
                yield line
        elif marker and marker[1].startswith(fence):
            yield from short_code(list(without_frames(block)))
            block, fence = [], ""
        else:
            block.append(line)
    yield from block


def short_code(code: Sequence[str]) -> Iterator[str]:
    """Yields the first CODE_LINES lines of a code block, and up to two later lines that name an error.

    If more than two later lines name an error, the first and the last of them are yielded. Lines without
    letters and digits are left out. Lines that are too long are cut after LINE_CHARACTERS characters.
    """
    lines = [line[:LINE_CHARACTERS] for line in code if LETTER_OR_DIGIT.search(line)]
    yield from lines[:CODE_LINES]
    later = range(CODE_LINES, len(lines))
    first = next((number for number in later if NAMES_AN_ERROR.search(lines[number])), None)
    if first is not None:
        yield lines[first]
        last = next(number for number in reversed(later) if NAMES_AN_ERROR.search(lines[number]))
        if last > first:
            yield lines[last]


_FRAME: Final = re.compile(
    r'[ \t>]*+(?:File "[^"]*+", line \d|\.\.\. \d++ (?:more|common)|#\d++ +0x|\d++: +0x'
    r"|stack backtrace:|goroutine \d)"
)
_FRAME_AT: Final = re.compile(
    r"[ \t>]*+at \S"
)  # Java, JavaScript and C#. The line must also match _PLACE at its end.
_PLACE: Final = re.compile(
    r"(?::(?:line )?\d{1,9}\)?|\((?:Native Method|Unknown Source|<anonymous>|native)\))\s*+\Z"
)
_TRACEBACK: Final = "Traceback (most recent call last)"


def without_frames(lines: Sequence[str]) -> Iterator[str]:
    """Yields the lines without the frames of stack traces. A frame is, say, `at app.main(main.js:10)`.

    Frames are recognised inside and outside of code blocks. The line that begins a Python traceback is left
    out, too. The line with the name of the exception is kept.
    """
    indent = -1  # indent of a Python traceback's first line while its frames are skipped, otherwise -1
    for line in lines:
        if indent >= 0 and (not line.strip() or _indent(line) > indent):
            continue
        indent = -1
        if _TRACEBACK in line:
            indent = _indent(line)
        elif not _is_frame(line):
            yield line


def _is_frame(line: str) -> bool:
    first = line.lstrip(" \t>")[:1]
    if first == "a":
        return _FRAME_AT.match(line) is not None and _PLACE.search(line[-40:]) is not None
    return (first in ("F", ".", "#", "s", "g") or first.isdigit()) and _FRAME.match(line) is not None


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" \t>"))
