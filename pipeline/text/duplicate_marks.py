"""Finds duplicate marks: comments in which somebody calls an issue a duplicate of another one.

    find_mark("Closing as a dupe of #12, thanks!", "owner/repo", 34)  -> IssueReference("owner/repo", 12)
    find_mark("Not a duplicate of #12.", "owner/repo", 34)            -> None

Precision matters more than recall, because a model learns from the marks what a duplicate is. These are not
marks:

- text that is quoted, struck out, or written as code or in an HTML comment
- negations, questions and mere possibilities: "isn't a dup of #12", "Duplicate of #12?", "might be a
  duplicate"
- a statement about an issue other than the commented one: "#12 is a duplicate of this", "#11 duplicates #12"
- a statement that calls the commented issue a duplicate of itself
- a statement such as "duplicate of" with the address (URL) of a pull request or a discussion

"Probably a duplicate" and "looks like a duplicate" are marks. In "duplicate of #1 and #2", only #1 counts.
The issue that a mark refers to may be newer than the commented issue. Many English wordings are recognised.
In some other languages, only the plain phrases are recognised.

Each pattern matches only a limited length of text, so the time is linear in the length of the comment.
Only the first MAX_CHARACTERS of a comment are read, and only its first MAX_REFERENCES references to issues
count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

MAX_CHARACTERS: Final = 20_000
MAX_REFERENCES: Final = 200
"""The sentence around each reference is read. So a comment that consists of references would take twenty
times as long as other text of the same length."""
VERSION: Final = 2
"""Part of the parameters of a batch of marks. Increase it when `find_mark` reads comments differently."""


class IssueReference(NamedTuple):
    """An issue that a comment mentions: its repository (owner/name) and its number."""

    repo: str
    number: int


def find_mark(body: str, repo: str, number: int) -> IssueReference | None:
    """If a comment calls the commented issue a duplicate of another issue, returns the other issue. Otherwise
    returns None.

    `body` is the text of the comment, in Markdown. `repo` (owner/name) and `number` are those of the
    commented issue. A reference without a repository is to an issue of `repo`.
    """
    text, references = _with_tokens(_own_words(body[:MAX_CHARACTERS]), repo)
    for line in text.split("\n"):
        for index in (*_named_after(line), *_named_before(line)):
            reference = references[index]
            return None if reference == (repo, number) else reference
    return None


# --- what the author says: without quotes, code and markup
# ----------------------------------------------------------

_ELEMENT: Final = re.compile(
    r"<!--.*?(?:-->|\Z)|<(pre|code|blockquote|del|s|strike)\b[^<>]{0,200}>.*?(?:</\1\s*>|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})")
_INLINE_CODE: Final = re.compile(r"(`{1,3})[^`\n]+\1|~~[^~\n]+~~")
_LINK: Final = re.compile(r"!?\[([^\[\]\n]{0,300})\]\(\s*<?([^()<>\s]{1,500})>?[^()\n]{0,200}\)")
_EMPHASIS: Final = re.compile(r"\*++|(?<!\w)_++|(?<!_)_++(?!\w)")
_WRAPPED: Final = re.compile(r"\n(?=[ \t]*(?:[a-z#]|https?:))")
_LIST_FOLLOWS: Final = re.compile(r"\b(of|to|as):?[ \t]*\n\s*(?:[-*+]\s)?")


def _own_words(body: str) -> str:
    """Returns a comment without quotes, code, HTML comments and emphasis. A line break that only wraps a
    sentence becomes a blank."""
    text = body.replace("\r\n", "\n").replace("\r", "\n")
    text = _INLINE_CODE.sub(" ", "\n".join(_unquoted(_ELEMENT.sub(" ", text).split("\n"))))
    text = _EMPHASIS.sub("", _LINK.sub(_link_target, text))
    return _LIST_FOLLOWS.sub(r"\1 ", _WRAPPED.sub(" ", text))


def _unquoted(lines: list[str]) -> Iterator[str]:
    """Yields the lines of a comment. Quotes and code become empty lines. GitHub shows a line directly below a
    quote as part of the quote. But people who answer by mail write there, so such a line counts as the
    author's own.
    """
    fence, in_paragraph = "", False
    for line in lines:
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not line[mark.end() :].strip():
                fence = ""
            yield ""
        elif mark:
            fence = mark[1]
            yield ""
        elif line.lstrip().startswith(">") or (not in_paragraph and line.startswith(("    ", "\t"))):
            yield ""
        else:
            in_paragraph = bool(line.strip())
            yield line


def _link_target(link: re.Match[str]) -> str:
    """Returns the text that replaces a Markdown link.

    If the link does not lead to an issue, a pull request or a discussion, the text is the link's label.
    Otherwise it is the link's target, unless the label contains a word such as "duplicate". With such a word,
    it is the label and then the target, or only the label if this also contains a reference to an issue.
    """
    label, target = link[1], link[2]
    if not _REFERENCE.fullmatch(target):
        return label
    if not _DUPLICATE.search(label):
        return f" {target} "
    return label if _REFERENCE.search(label) else f"{label} {target} "


# --- references to issues
# ----------------------------------------------------------

_REFERENCE: Final = re.compile(  # only ASCII letters around a number are part of it: Chinese has no blanks
    r"""
    <?(?:https?://)?(?:www\.)?github\.com/
        (?P<address>[\w.-]{1,39}/[\w.-]{1,100})/(?P<page>issues|pull|discussions)/(?P<in_address>\d{1,9})
        (?:[/?\#][^\s<>()\[\]"',;*]{0,200}(?<![.:!?]))?>?(?![a-z0-9_])
    | (?<![a-z0-9_/\#&.-])(?P<repo>[\w.-]{1,39}/[\w.-]{1,100})?\#(?P<number>\d{1,9})(?![a-z0-9_]|\.\d)
    | (?<![\w-])gh-(?P<short>\d{1,9})(?![a-z0-9_]|\.\d)
    | \b(?:issue|bug|ticket)\s{1,3}(?:no\.?\s{0,3}|number\s{1,3})?(?P<plain>\d{1,9})(?![a-z0-9_]|\.\d)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_OPEN, _CLOSE = "\ue000", "\ue001"  # of Unicode's private use area
_TOKEN: Final = rf"{_OPEN}(\d+){_CLOSE}"


def _with_tokens(text: str, repo: str) -> tuple[str, list[IssueReference]]:
    """Replaces every reference to an issue by a token. Returns the new text and the list of the references.
    A token contains the position of its reference in this list."""
    references: list[IssueReference] = []

    def token(match: re.Match[str]) -> str:
        number = int(match["in_address"] or match["number"] or match["short"] or match["plain"])
        if number == 0 or match["page"] in ("pull", "discussions"):
            return " page "
        named = match["address"] or match["repo"] or repo
        references.append(IssueReference(repo if named.lower() == repo.lower() else named, number))
        return f"{_OPEN}{len(references) - 1}{_CLOSE}"

    text = text.replace(_OPEN, " ").replace(_CLOSE, " ")
    return _REFERENCE.sub(token, text, count=MAX_REFERENCES), references


# --- what is said about them
# ----------------------------------------------------------

_WORD: Final = (
    r"(?:(?<![\w#-])(?:dup(?:licat(?:e[sd]?|ing|ion|[oa])?|licad[oa]|likat\w{0,2}|lcate|lciate|e[sd]?|s|'d)?"
    r"|doublons?)(?![\w(-])|дубл[а-яё]{0,8}|重[复複]|중복)"  # noqa: RUF001 (Cyrillic is meant)
)
_DUPLICATE: Final = re.compile(_WORD, re.IGNORECASE)
_OF: Final = r"of|to|with|for|de|do|da|du|von|vom|zu|di|od"
_THE_ISSUE: Final = (
    r"(?:(?:the|an?|this|that|existing|open|closed|older|earlier|original|previous|other|known|same|upstream|"
    r"issue|bug|report|ticket|request|thread|one|at|in|here|see|is)\b[\s:]{1,3}){0,6}"
)
_SEE: Final = (
    r"(?:please\s)?(?:see(?:\salso)?|cf\.?|refer\sto|in\sfavou?r\sof|superseded\sby|same\sas|original(?:\sis)?|"
    r"(?:already\s|is\s|was\s|being\s|it's\s)*"
    r"(?:reported|filed|tracked|tracking|covered|discussed|fixed|addressed|resolved|handled|raised|opened)"
    r"(?:\s(?:this|it))?\s(?:in|as|by|at|under|with|here|on|over\sat))"
)
_NAMED_AFTER: Final = re.compile(
    rf"(?P<word>{_WORD})(?:"
    rf"(?:\s(?:issue|bug|report|request))?\s{{0,3}}(?:{_OF})\b[\s:]{{0,3}}{_THE_ISSUE}"  # duplicate of #1
    rf"|[\s:(>=\u2192\u2013\u2014-]{{1,5}}(?:issue\s|bug\s)?"  # dup #1, duplicate: #1
    rf"|[\s,.;:!()\u2013\u2014-]{{1,5}}{_SEE}[\s:]{{1,3}}{_THE_ISSUE}"  # duplicate, see #1
    rf"){_TOKEN}",
    re.IGNORECASE,
)
_CLOSING_AS: Final = (
    r"(?:(?:and|so|thus|hence|therefore|then|i'?m|i\sam|i'?ll|we'?re|will|let'?s|going\sto|gonna)\s){0,3}"
    r"(?:(?:clos|mark|flag|resolv|label)(?:e|ed|es|ing)?(?:\s(?:this|it|the|issue|one|out|bug)){0,3}\sas"
    r"|this\sis|it\sis|it's)\s(?:(?:an?|the|another|being|just)\s){0,2}"
)
_NAMED_BEFORE: Final = re.compile(
    rf"{_TOKEN}(?:[\s,.;:!)\u2013\u2014-]{{1,5}}{_CLOSING_AS}(?P<word>{_WORD})(?!\s(?:{_OF})\b|[\s:]{{1,3}}{_OPEN})"
    rf"|\s?(?:是|为|の|と|와|과|의)?\s?(?P<asian>重[复複]|중복))",
    re.IGNORECASE,
)
_NEGATION: Final = re.compile(
    r"\b(?:not|no|never|neither|nor|cannot|\w{0,9}n['\u2019]t|(?:is|are|was|does|do|did|wo|ca)nt|nicht|kein\w{0,2}|"
    r"pas|não|nao|non|не|нет|nie)\b|[\u4e0d\u6ca1\u6c92]|아니",
    re.IGNORECASE,
)
_DOUBT: Final = re.compile(
    r"\b(?:possibl[ey]|potential(?:ly)?|maybe|perhaps|unless|whether|if|wonder\w{0,5}|partial(?:ly)?|partly|half|"
    r"(?:may|might|could|can)\s(?:\w{1,9}\s){0,3}be(?!\s(?:closed|marked|resolved))|"
    r"posible\w{0,5}|poss[ií]vel\w{0,5}|peut-être|vielleicht|möglich\w{0,8}|возможно)\b|\b(?:may|might|could)\s$|可能",
    re.IGNORECASE,
)
_QUESTION: Final = re.compile(
    r"^\W*(?:is|are|was|isn't|could|can|might|would)\s(?:this|it|that|these)\b", re.I
)
_OF_ANOTHER: Final = re.compile(
    rf"{_OPEN}|\b(?:that|those|other|another)\s(?:issue|bug|report|ticket|one|pr)\b|"
    r"\b(?:which|they|them)\b|"
    r"\b(?:has|have|had|with)\s(?:(?:an?|another|some)\s)?$",
    re.IGNORECASE,
)
_IN_BRACKETS: Final = re.compile(rf"{_CLOSE}\s?\($")
"""Text in brackets after a reference is about the referenced issue: "#1 (duplicate of #2)"."""
_TAKEN_BACK: Final = re.compile(
    r"\b(?:by mistake|mistakenly|wrong(?:ly)?|incorrect(?:ly)?|in error|except|"
    r"but (?:it|this)(?:'s| is)? ?n[o'])",
    re.IGNORECASE,
)
_PLURAL: Final = re.compile(r"(?:duplicates|dupes|dups|doublons)$", re.IGNORECASE)
_OF_SEVERAL: Final = re.compile(r"\b(?:are|as|be|been|were)\b", re.IGNORECASE)
_NOUN_FOLLOWS: Final = re.compile(
    r"\b(?:the|these|its|their|and|or|many|more|some|any|all|further|possible)\s$", re.IGNORECASE
)
_SENTENCE_END: Final = re.compile(r"[.!?]+(?=\s|$)|[\u3002\uff01\uff1f]")  # also of Chinese
_CLAUSE_END: Final = re.compile(
    r"[,;:()\[\]\u2013\u2014\uff0c\uff1b\uff1a]|\s-+\s|\b(?:but|however|so)\b", re.IGNORECASE
)
_LONGEST_SENTENCE: Final = 400
"""How many characters before and after a phrase are searched for the ends of its sentence."""


def _named_after(line: str) -> Iterator[int]:
    """Yields the references that follow "duplicate of" or similar words, as positions in the list that
    `_with_tokens` returns."""
    for match in _NAMED_AFTER.finditer(line):
        is_one = not _PLURAL.search(match["word"]) or _is_verb_or_of_several(line, match)
        if is_one and _is_said(line, match.start()) and _is_statement(line, match.start(), match.end()):
            yield int(match[2])


def _named_before(line: str) -> Iterator[int]:
    """Yields the references before "closing as duplicate" or similar words, as positions in the list that
    `_with_tokens` returns."""
    for match in _NAMED_BEFORE.finditer(line):
        if _is_said(line, match.start()) and _is_statement(line, match.start(), match.end()):
            yield int(match[1])


def _is_verb_or_of_several(line: str, match: re.Match[str]) -> bool:
    """Returns whether "duplicates" in a match is a verb, as in "this duplicates #1", or a predicate about
    several issues, as in "these are duplicates of #1". Returns False for a list, as in "duplicates: #1"."""
    clause = line[_clause_start(line, match.start()) : match.start()]
    between = line[match.end("word") : match.end()]
    if between.startswith(f" {_OPEN}"):
        return not _NOUN_FOLLOWS.search(clause)
    return between.startswith(" ") and bool(_OF_SEVERAL.search(clause))


def _is_said(line: str, position: int) -> bool:
    """Returns whether the clause at `position` says of the commented issue that it is a duplicate."""
    start = _clause_start(line, position)
    clause = line[start:position]
    if _IN_BRACKETS.search(line, max(start - 20, 0), start):
        return False
    return not any(pattern.search(clause) for pattern in (_NEGATION, _DOUBT, _QUESTION, _OF_ANOTHER))


def _is_statement(line: str, start: int, end: int) -> bool:
    """Returns False if the sentence around `line[start:end]` is a question, or if it takes back that the
    issue is a duplicate, as in "marked as duplicate by mistake". Otherwise returns True."""
    following = _SENTENCE_END.search(line, end, end + _LONGEST_SENTENCE)
    stop = following.end() if following else end + _LONGEST_SENTENCE
    is_question = following is not None and following[0][-1] in "?\uff1f"
    return not is_question and not _TAKEN_BACK.search(line[_sentence_start(line, start) : stop])


def _sentence_start(line: str, position: int) -> int:
    earliest = max(position - _LONGEST_SENTENCE, 0)
    return max((end.end() for end in _SENTENCE_END.finditer(line, earliest, position)), default=earliest)


def _clause_start(line: str, position: int) -> int:
    start = _sentence_start(line, position)
    return max((end.end() for end in _CLAUSE_END.finditer(line, start, position)), default=start)
