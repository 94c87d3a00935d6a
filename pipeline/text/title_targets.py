"""Derives training titles from authors' titles, by removing prefixes that do not occur in the body.

    title_target("[Bug]: x/tools: tree hangs", "The tree hangs") -> "tree hangs"
    is_learnable("v1.2.3", "The tree hangs") -> False

Training titles are the titles that a network learns to write. Evaluations compare a network's titles with the
authors' own titles.

For any texts, the time of every function is linear in the length of the texts.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np
import numpy.typing as npt

from pipeline.networks.shape import PAD, Ids
from pipeline.text.subwords import SubwordVocabulary

MIN_WORDS: Final = 2
"""The smallest number of words in a title without its prefix. With fewer words, the prefix is not removed."""
MIN_SHARED: Final = 0.2
"""The smallest share of a title's words that must occur in its body for the title to be learnable."""
_MAX_PREFIXES: Final = 3
_LABELS: Final = frozenset(
    """
    bug bugs bugfix issue feature feat request report question questions enhancement improvement
    proposal rfc docs doc documentation help wanted urgent fix chore refactor test tests perf
    performance ci build style task todo discussion suggestion idea support security regression epic
    wip draft error crash
    """.split()  # noqa: SIM905
)
_EMOJI: Final = r"\u203c\u2049\u2122\u2139\u2300-\u2bff\ufe0f\u200d\U0001f000-\U0001faff"
_LEADING_EMOJI: Final = rf"\s*(?:[{_EMOJI}][{_EMOJI}\s]{{0,11}})?"
"""Emoji in front of a prefix, such as the one of `🐛 [Bug]`, with the blanks around them."""
_BRACKETED: Final = re.compile(_LEADING_EMOJI + r"\[([^\[\]\n]{1,40})\](?!\()[\s:|-]*")
_BEFORE_COLON: Final = re.compile(
    _LEADING_EMOJI + r"([\w./+@#*-]{2,60}(?:(?:, ?| |\()[\w./+@#*)-]{1,60}){0,3}): *(?=\S)"
)
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


def target_ids(
    body: SubwordVocabulary, title: SubwordVocabulary, bodies: Ids, titles: Ids
) -> tuple[Ids, npt.NDArray[np.bool_]]:
    """Derives training titles from the authors' titles. Returns the ids of the training titles (n, title
    length), and a mask (n,) that says whether each title can be learned.

    `bodies` (n, body length) are the ids of the bodies, and `titles` (n, title length) are the ids of the
    authors' titles. `body` is the vocabulary of the bodies, and `title` is the vocabulary of the titles. The
    ids of a body cover only the part that the network reads. The rest of the body has no influence.
    """
    targets = titles.copy()
    learnable = np.ones(len(titles), dtype=np.bool_)
    for row, (body_ids, ids) in enumerate(zip(bodies, titles, strict=True)):
        text, body_text = title.text_of(ids), body.text_of(body_ids)
        target = title_target(text, body_text)
        learnable[row] = is_learnable(target, body_text)
        if target != text:
            targets[row] = _without_prefix(title, ids, target)
    return targets, learnable


def _without_prefix(title: SubwordVocabulary, ids: Ids, target: str) -> Ids:
    """Removes a prefix from the ids of a title. Returns the remaining ids, with padding at the end.

    `target` is the text of the title without the prefix. If it begins in the middle of a unit (subword), the
    prefix cannot be removed, and all ids are returned.
    """
    for position in range(2, len(ids)):
        if title.text_of(ids[position:]) == target:
            shortened = np.full_like(ids, PAD)
            shortened[0] = ids[0]
            shortened[1 : len(ids) - position + 1] = ids[position:]
            return shortened
    return ids


def title_target(title: str, body: str) -> str:
    """Returns `title` without prefixes that its body does not contain, such as `cmd/compile:`.

    Labels such as `[Bug]` are removed even if the body contains them. If fewer than MIN_WORDS words would
    remain, the title is returned with its prefixes. `body` is the text that the network reads, in lower case.
    """
    words: set[str] | None = None
    title_without_prefixes = title
    for _ in range(_MAX_PREFIXES):
        prefix = _BRACKETED.match(title_without_prefixes) or _BEFORE_COLON.match(title_without_prefixes)
        if not prefix:
            break
        parts = _WORD.findall(prefix[1].lower())
        if not _LABELS.issuperset(parts):
            is_path = prefix.re is _BRACKETED or " " not in prefix[1].replace(", ", ",")
            if words is None:
                words = set(_WORD.findall(body.lower()))
            if not is_path or words.issuperset(parts):
                break
        title_without_prefixes = title_without_prefixes[prefix.end() :]
    return (
        title_without_prefixes
        if title_without_prefixes != title and len(_WORD.findall(title_without_prefixes)) >= MIN_WORDS
        else title
    )


def is_learnable(title: str, body: str, min_shared: float = MIN_SHARED) -> bool:
    """Returns whether a network can learn to write `title` from `body`.

    `body` is the text that the network reads, in lower case. A title cannot be learned in these cases:

    - It is the default title of an issue template, a robot's title or only a version number.
    - The share of its words that occur in the body is less than `min_shared`. Stop words do not count.
      This case never applies to a title with characters outside ASCII.
    """
    if _ROBOTS_TITLE.match(title) or _BARE_VERSION.fullmatch(title.strip()):
        return False
    words = _WORD.findall(title.lower())
    if _TEMPLATES_TITLE.fullmatch(" ".join(words)[:80]):
        return False
    counted = {word[:5] for word in words if word not in STOP_WORDS and word.isascii()}
    if not counted or not title.isascii():
        return True
    body_stems = {word[:5] for word in _WORD.findall(body.lower())}
    return len(counted & body_stems) >= min_shared * len(counted)
