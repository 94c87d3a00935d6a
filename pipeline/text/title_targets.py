"""What a title network learns to write: the author's title without what its body cannot teach.

    title_target("[Bug]: x/tools: tree hangs", "The tree hangs") -> "tree hangs"
    is_learnable("v1.2.3", "The tree hangs") -> False

Used for training only. Scores compare with the authors' own titles. Every function takes time linear in the
length of the texts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from pipeline.text.markup import JOINER

MIN_WORDS: Final = 2
"""A title that would keep fewer words keeps its prefix."""
MIN_SHARED: Final = 0.2
"""Smallest share of a title's words that must stand in its body."""
_MAX_PREFIXES: Final = 3
_LABELS: Final = frozenset(
    """
    bug bugs bugfix issue feature feat request report question questions enhancement improvement
    proposal rfc docs doc documentation help wanted urgent fix chore refactor test tests perf
    performance ci build style task todo discussion suggestion idea support security regression epic
    wip draft error crash
    """.split()  # noqa: SIM905
)
_BRACKETED: Final = re.compile(r"\s*\[([^\[\]\n]{1,40})\](?!\()[\s:|-]*")
_BEFORE_COLON: Final = re.compile(r"\s*([\w./+@#*-]{2,60}(?:(?:, ?| |\()[\w./+@#*)-]{1,60}){0,3}): *(?=\S)")
_WORD: Final = re.compile(r"[^\W_]+")
STOP_WORDS: Final = frozenset(
    """
    a an and are as at be but by can cannot do does doesn for from has have how i if in into is isn
    it its my no not of on or should so t s that the then there this to too using was we what when
    where which why will with without you
    """.split()  # noqa: SIM905
)
_TEMPLATES_TITLE: Final = re.compile(
    r"(?:new |simple |another |possible |small |minor )?(?:bug|issue|error|problem|question|feature"
    r"|enhancement|test|help|crash|docs?|documentation|update|fix|typo)s?"
    r"(?: (?:report|request|title|found|fix|fixes|needed|please|me|update|updates|readme|readme md))?"
    r"|(?:update|create|edit) [\w.]{1,20} md|your (?:issue )?title(?: here)?|title(?: here)?|no title"
    r"|untitled|todo"
)
_BARE_VERSION: Final = re.compile(
    r"(?:new )?(?:release|version|bump(?: version)?(?: to)?|tag|v)?"
    r"[ :]*v?\d+(?:[._-][^\W_]+)+(?: release)?|\d+",
    re.IGNORECASE,
)
_ROBOTS_TITLE: Final = re.compile(
    r"(?:(?:build|chore|fix|ci)(?:\([\w ,-]{1,30}\))?!?: )?(?:bump \S+ from \S+ to \S+"
    r"|update dependency \S+ to |pin dependenc|lock file maintenance|update \S+ requirement from )"
    r"|an in-range update of |dependency dashboard",
    re.IGNORECASE,
)


def training_titles(titles: Sequence[str], prepared_bodies: Sequence[str]) -> tuple[list[str], list[bool]]:
    """Returns what the network is to write for each prepared body, and whether it can learn to."""
    bodies = [body.replace(JOINER, "") for body in prepared_bodies]
    targets = [title_target(title, body) for title, body in zip(titles, bodies, strict=True)]
    return targets, [is_learnable(target, body) for target, body in zip(targets, bodies, strict=True)]


def title_target(title: str, body: str) -> str:
    """Returns `title` without prefixes that its body does not show: `[Bug]:`, `cmd/compile:`.

    `body` is the text that the network reads, in lower case. Labels such as `[Bug]` are always left out.
    """
    words: set[str] | None = None
    rest = title
    for _ in range(_MAX_PREFIXES):
        prefix = _BRACKETED.match(rest) or _BEFORE_COLON.match(rest)
        if not prefix:
            break
        parts = _WORD.findall(prefix[1].lower())
        if not _LABELS.issuperset(parts):
            is_path = prefix[0].lstrip().startswith("[") or " " not in prefix[1].replace(", ", ",")
            if words is None:
                words = set(_WORD.findall(body.lower()))
            if not is_path or words.issuperset(parts):
                break
        rest = rest[prefix.end() :]
    return rest if rest != title and len(_WORD.findall(rest)) >= MIN_WORDS else title


def is_learnable(title: str, body: str, min_shared: float = MIN_SHARED) -> bool:
    """Whether a network can learn to write `title` from `body`, the text that it reads, in lower case.

    It cannot from a template's title, a bare version, a robot's, or one that shares too few words with the
    body. Titles without any word that counts, such as those of other scripts, are not judged by their words.
    """
    if _ROBOTS_TITLE.match(title) or _BARE_VERSION.fullmatch(title.strip()):
        return False
    words = _WORD.findall(title.lower())
    if _TEMPLATES_TITLE.fullmatch(" ".join(words)[:80]):
        return False
    counted = {word[:5] for word in words if word not in STOP_WORDS and word.isascii()}
    if not counted or not title.isascii():
        return True
    known = {word[:5] for word in _WORD.findall(body.lower())}
    return len(counted & known) >= min_shared * len(counted)
