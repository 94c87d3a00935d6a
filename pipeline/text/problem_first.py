"""Moves the lines about an issue's problem to the front, and removes the lines of its issue template.

    author_lines(["### Version", "1.2", "### What happened?", "It hangs"]) -> ["It hangs"]

`template_headings` and `template_lines` recognise the lines of a template. A line that they do not recognise
is kept, but it may move to the end. A section is the lines below a heading. The lines of a section stay in
order, and so do several sections about the same subject.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from pipeline.text.code_lines import (
    FENCE,
    LETTER_OR_DIGIT,
    LINE_CHARACTERS,
    short_code,
    without_frames,
)
from pipeline.text.template_headings import Section, is_marked_heading, section_of
from pipeline.text.template_lines import (
    TELLS_A_PROBLEM,
    is_check,
    is_environment,
    is_filler,
    is_short_answer,
    is_sign_off,
    is_templates_check,
)

LOG_LINES: Final = 6
"""A run of at least this many lines that look like a log or code is shortened like a code block."""
_CODE_TAG: Final = re.compile(r"<(/?)[\w]{1,20}-code>", re.IGNORECASE)
"""The pattern of a tag around code in exported issues, such as `<denchmark-code>`."""
_MACHINE: Final = re.compile(
    r"[ \t>]*+(?:\[?\d{4}[-/]\d\d[-/]\d\d|\[?\d\d?:\d\d:\d\d|\[ ?(?:debug|info|warn|warning|error|trace"
    r"|fatal|fail)\b|(?:debug|info|warn|warning|trace)[ :\]]|[ivwef]/\S"
    r"|\d{1,5}[:>] |\+[-=+]{3}|at [\w$.<>]+\(|#\d+ |=+\d+=+|0x[0-9a-f]{4}|import \w|from \w[\w.]* import"
    r"|#include|using \w[\w.]*;|package \w|def \w+\(|return\b|>>> |\$ \w|\} ?else|</?[a-z][\w:.-]*[ >/])"
    r"|[ \t>]*+[)}\]]+[,;]?\s*+\Z",
    re.IGNORECASE,
)


_CODE_CHARACTER: Final = re.compile(r"[=(){}\[\]]")
_Line = tuple[str, bool]
"""A line, and whether it is a line of a code block."""


def author_lines(lines: Sequence[str]) -> list[str]:
    """Returns the lines of an issue without its issue template. The lines about the problem come first.

    Code and logs are shortened. Greetings, signatures and lines about versions and systems are left out.
    Returns an empty list if the author wrote nothing into the template.
    """
    sections: dict[Section, list[str]] = {section: [] for section in Section}
    problem, environment = Section.PROBLEM, Section.ENVIRONMENT  # quicker in the loop
    section, is_marked = problem, False
    marked = list(_with_code_marked(lines))
    last = _last_author_line(marked)
    for number, (line, is_code) in enumerate(marked):
        if is_code or not line.strip():
            if section is not environment or TELLS_A_PROBLEM.search(line):
                sections[section].append(line)
            continue
        heading = section_of(line)
        if number > last or is_templates_check(line) or (heading is None and is_filler(line)):
            continue
        if is_check(line):
            sections[Section.CONTEXT].append(line)  # an option of an issue form, or an author's task
        elif heading:
            section, is_marked = heading.section, is_marked_heading(line)
            if heading.text and not is_filler(heading.text):
                sections[section].append(heading.text)
        elif is_marked_heading(line):
            section = problem if section in (environment, Section.CONTEXT) else section
            sections[section].append(line)
        elif is_environment(line) or (section is environment and is_short_answer(line)):
            continue
        else:
            if section is environment and not is_marked:
                section = problem  # a sentence ends a section whose heading has no markup
            sections[section].append(line)
    ordered_lines = [line for part in _order(sections) for line in _with_short_logs(sections[part])]
    return ordered_lines if any(map(LETTER_OR_DIGIT.search, ordered_lines)) else []


def _order(sections: Mapping[Section, Sequence[str]]) -> list[Section]:
    """Returns the subjects of an issue's sections in the order in which the sections are put together.

    The expected behaviour usually comes second, after the problem. If an issue has no lines about the
    problem, the steps to reproduce come before the expected behaviour. Otherwise the issue would begin with
    the opposite of its problem.
    """
    order = list(Section)
    if not any(map(LETTER_OR_DIGIT.search, sections[Section.PROBLEM])):
        order.remove(Section.EXPECTED)
        order.insert(order.index(Section.STEPS) + 1, Section.EXPECTED)
    return order


def _last_author_line(lines: Sequence[_Line]) -> int:
    """Returns the index of the last line before the author's signature. The caller drops the later lines.

    A signature is a name in the line after thanks or regards. If there is no signature, as in many issues,
    no line is dropped: returns the number of lines, which is greater than every index.
    """
    filled = (number for number in range(len(lines) - 1, -1, -1) if lines[number][0].strip())
    last, last_but_one = (*islice(filled, 2), -1, -1)[:2]
    if (
        next(filled, -1) >= 0
        and not lines[last][1]
        and len(lines[last][0].split()) <= 3
        and is_sign_off(lines[last_but_one][0])
    ):
        return last_but_one
    return len(lines)


def _with_code_marked(lines: Sequence[str]) -> Iterator[_Line]:
    """Yields the lines of a text, and whether each is a line of a code block. Shortens code blocks.

    A code block without an end is treated as text.
    """
    if not any("```" in line or "~~~" in line or "-code>" in line for line in lines):
        yield from ((line, False) for line in lines)
        return
    block: list[str] = []
    fence = ""
    for line in lines:
        opening = _opening(line) if "`" in line or "~" in line or "<" in line else ""
        if not fence:
            if opening:
                fence, block = opening, [line]
            else:
                yield line, False
        elif _closes(line, opening, fence):
            first = _CODE_TAG.sub("", block[0]) if fence == "</" else ""
            final = _CODE_TAG.sub("", line) if fence == "</" else ""
            for short in short_code(list(without_frames([first, *block[1:], final]))):
                yield short, True
            block, fence = [], ""
        else:
            block.append(line)
    for line in block:
        yield line, False


def _opening(line: str) -> str:
    """Returns the fence that closes the code block which `line` opens, or "" if it opens none."""
    if "```" in line or "~~~" in line:
        marker = FENCE.match(line)
        return marker[1] if marker else ""
    if "-code>" in line and "</" not in line and (tag := _CODE_TAG.match(line.lstrip())) and not tag[1]:
        return "</"
    return ""


def _closes(line: str, opening: str, fence: str) -> bool:
    if fence == "</":
        return "-code>" in line and "</" in line
    return opening.startswith(fence)


def _with_short_logs(lines: Sequence[str]) -> Iterator[str]:
    """Yields the lines of a text, but only some lines of each log.

    A log is a run of at least LOG_LINES lines that look like a log or like code.
    """
    run: list[str] = []
    for line in lines:
        if _is_machine_output(line[:LINE_CHARACTERS]) and not is_check(line):
            run.append(line)
        elif run and not line.strip():
            continue
        else:
            yield from short_code(run) if len(run) >= LOG_LINES else run
            run = []
            yield line
    yield from short_code(run) if len(run) >= LOG_LINES else run


def _is_machine_output(line: str) -> bool:
    """Returns whether a line looks like a line of a log or of code."""
    end = line.rstrip()[-1:]
    return (
        end in ("{", "}")
        or (end == ";" and _CODE_CHARACTER.search(line) is not None)
        or _MACHINE.match(line) is not None
    )
