"""Recognises lines that do not describe the problem: environment, check lists, instructions, greetings.

    is_environment("- OS: Ubuntu 20.04") -> True

Such lines occur in thousands of issues, and a model that copies from bodies copies them into titles. Only the
wordings in this module are recognised. Every other line is treated as the author's own text. The module
`template_headings` recognises headings.

Every function takes one line. Its time is at most linear in the length of the line.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from pipeline.text.template_headings import CACHED_LINES, ENVIRONMENT_KEY, LINE_CHARACTERS, plain_key

_PAIR: Final = re.compile(
    r"[ \t>]*+(?:[-*+•] |\|\|? ?|[(\[])?[ \t*_`]*+([^:=|\n]{1,110}?)[ \t*_`]*(?::|=>|=(?!=)|\|)([^\n]*)"
)
_VERSION_OUTPUT: Final = re.compile(
    r"[ \t>$%#]*+(?:go version (?:go\d|devel)|rustc \d+\.\d|cargo \d+\.\d|rustc --?v|go version$|go env$"
    r"|java version \"|openjdk version|java\(tm\)|openjdk (?:64|runtime)|java hotspot"
    r"|python \d\.\d+\.\d+ \(|gcc \(|gcc version|g\+\+ \(|clang version|linux \S+ \d+\.\d+\.\d+"
    r"|darwin \S+ \d|uname -a|(?:set )?c?go[a-z0-9_]{2,20}=|(?:pk)?g_config=|(?:cc|cxx)=\""
    r"|cgo_[a-z]{1,10}=|distributor id:|codename:|microsoft windows \[version|binary: rustc"
    r"|node v?\d+\.\d+\.\d+$|npm v?\d+\.\d+\.\d+$|swift version|ruby \d\.\d\.\d|php \d\.\d\.\d+ \()",
    re.IGNORECASE,
)
_CHECK: Final = re.compile(r"[ \t>]*+(?:[-*+•][ \t]++|\d+[.)][ \t]++)?\[ ?[xX\u2713yY]? ?\](?!\()[ \t]*+")
_CHECK_TEXT: Final = re.compile(
    r"\b(?:i(?: have|'ve|ve|\u2019ve)? (?:already )?(?:search|read|check|review|look|verif|confirm|tried"
    r"|agree"
    r"|updat|test|understand|follow|am |report|includ|provid|filled|made sure|added)"
    r"|searched|existing issues?|duplicate|code of conduct|documentation and found|latest (?:version"
    r"|release|main|master)|willing to|submit(?:ting)? a pr|open a pull request"
    r"|contributing|guidelines|official(?:ly)? (?:example|supported)|my own|faq|yes\b|no\b"
    r"|there is reproducer|had a look at|this is (?:a|not)|reproduc(?:ible|er) code|bug exists)",
    re.IGNORECASE,
)
_INSTRUCTIONS: Final = re.compile(
    r"(?:a )?(?:clear and concise|concise|clear|short|brief) (?:and concise )?description (?:of"
    r"|about) [a-z' .\[\],]{0,120}"
    r"|(?:if applicable|optional)[,:]? ?(?:please )?(?:add|attach|include|provide) (?:screenshots?"
    r"|videos?|logs?)[a-z' ,]{0,60}|add any other (?:context|relevant)[a-z' ,]{0,80}"
    r"|please answer these questions before submitting (?:your|an) issue[a-z.! ]{0,20}"
    r"|if possible,? (?:please )?(?:include|provide) a (?:link|recipe|complete)[a-z .,'()]{0,120}"
    r"|a complete runnable program is good[a-z .,/]{0,80}|a link on play.golang.org is best[a-z. ]{0,20}"
    r"|ex\. i'm always frustrated when \[?.{0,10}"
    r"|go to ['\"\u2018\u201c][ .]*['\"\u2019\u201d]|click on ['\"\u2018\u201c][ .]*['\"\u2019\u201d]"
    r"|scroll down to ['\"\u2018\u201c][ .]*['\"\u2019\u201d]"
    r"|see error|steps to reproduce the behavio(?:u)?r:?"
    r"|please (?:fill|complete|provide|include|describe|use|make sure|note that|remove|delete|read|search"
    r"|check)[^.:]{0,90}(?:template|below|issue|before|information|searching|submitting)[^.:]{0,40}[.:!]?"
    r"|you can collect some of this information using (?:our )?environment capture[a-z ]{0,30}"
    r"|include any logs or source code that would be helpful[a-z .,]{0,120}"
    r"|note: we would appreciate a bug report:?.{0,80}"
    r"|note: the compiler unexpectedly panicked\. this is a bug\."
    r"|note: run with `?rust_backtrace=1`? .{0,40}"
    r"|if you do not know the root cause of the problem, please post according to this template:?"
    r"|latest release: run \"?(?:&quot;)?hg pull -u.{0,40}|reproduce the problem\. thanks\."
    r"|click to expand!?|please (?:add|write|put|paste|enter)[^.:]{0,60}(?:here|below)[.:!]?"
    r"|before filing a bug, please check whether it has been fixed since.{0,20}"
    r"|latest release\. search the issue tracker and check that you're running the"
    r"|latest version of go:|run &?(?:quot;)?\"?go version.{0,30}compare against"
    r"|install it and retry what you did to reproduce the problem\.?"
    r"|during handling of the above exception, another exception occurred:"
    r"|the above exception was the direct cause of the following exception:"
    r"|(?:n/?a|none|no response|not applicable|same as above|see above|a bug happened!?|yes|no|tbd)[.!]?",
    re.IGNORECASE,
)
_SIGN_OFF: Final = re.compile(
    r"(?:many |much )?(?:thanks|thank you|thx|cheers|regards|(?:best|kind|warm) regards|best|sincerely"
    r"|greetings|yours)(?: (?:so much|very much|a lot|in advance|again|for (?:your|the|any"
    r"|all)[a-z ]{0,40}))?[\W_]*"
    r"|thanks?(?: you)?[,.!]? (?:in advance|and regards|for (?:your|the) (?:help|time"
    r"|great work)[a-z ]{0,30})[\W_]*|sent from my [a-z0-9 ]{1,20}\.?"
    r"|(?:signed-off-by|co-authored-by|reported-by):.{0,100}|any (?:help|ideas?|suggestions?"
    r"|thoughts)(?: (?:is|are|would be))?(?: (?:much |greatly |very )?(?:appreciated|welcome))?[\W_]*"
    r"|please help[\W_]*",
    re.IGNORECASE,
)
_GREETING: Final = re.compile(
    r"(?:hi|hello|hey|dear|greetings|good (?:morning|afternoon|day|evening))(?:[ ,]+(?:all|there|everyone"
    r"|guys|folks|team|everybody|sir|devs?|developers|maintainers|together|again))?[\W_]*"
    r"|by \*\*[\w.+@-]{1,60}\*\*:",
    re.IGNORECASE,
)
_VERSION_NUMBER: Final = re.compile(r"\d+\.\d")
_ADDRESS: Final = re.compile(r"https?://[^\s<>()]*|<[^<>]*>")
_MAX_VALUE_WORDS: Final = 9
_MAX_ANSWER_WORDS: Final = 5
TELLS_A_PROBLEM: Final = re.compile(
    r"error|exception|panic|fatal|\b(?:fault|fail|crash|hang|hung|freezes|froze\b|leak|abort|exit|kill"
    r"|segmentation|violation|brok|stuck|stop|no such|not work|no longer|never|cannot|can't|unable|missing"
    r"|does ?n|denied|refused|invalid|undefined|unexpected|wrong|slow|timed out)",
    re.IGNORECASE,
)
"""The pattern of words that tell a problem. A line with one of them is no answer about the environment."""


def is_environment(line: str) -> bool:
    """Returns whether a line names a version or a system: `OS: Linux`, or the output of `go version`."""
    return len(line) <= LINE_CHARACTERS and _is_environment(line)


@lru_cache(maxsize=CACHED_LINES)  # lines of templates occur in many issues
def _is_environment(line: str) -> bool:
    if _VERSION_OUTPUT.match(line):
        return True
    pair = _PAIR.match(line) if ":" in line or "=" in line or "|" in line else None
    if not pair or len(pair[2].split()) > _MAX_VALUE_WORDS or pair[2].startswith("//"):
        return False
    is_key = ENVIRONMENT_KEY.fullmatch(plain_key(pair[1])) is not None
    return is_key and not TELLS_A_PROBLEM.search(pair[2])


def is_check(line: str) -> bool:
    """Returns whether a line is an item of a check list, such as `- [x] I searched the issues`."""
    return "[" in line and _CHECK.match(line) is not None


def is_templates_check(line: str) -> bool:
    """Returns whether a line is a check list item of an issue template, such as `- [x] I searched`.

    An item that the author wrote, such as a task, does not count.
    """
    item = _CHECK.match(line) if "[" in line else None
    return (
        item is not None and _CHECK_TEXT.search(line[item.end() : item.end() + LINE_CHARACTERS]) is not None
    )


def is_filler(line: str) -> bool:
    """Returns whether a line is a template's instruction, an answer such as `N/A`, a greeting or thanks."""
    if len(line) > LINE_CHARACTERS:
        return False
    text = line.strip(" \t>*_-#`")
    return bool(_INSTRUCTIONS.fullmatch(text) or _SIGN_OFF.fullmatch(text) or _GREETING.fullmatch(text))


def is_sign_off(line: str) -> bool:
    """Returns whether a line consists of thanks or regards. The author's name may follow in the next line."""
    return len(line) <= LINE_CHARACTERS and _SIGN_OFF.fullmatch(line.strip(" \t>*_-")) is not None


def is_short_answer(line: str) -> bool:
    """Returns whether a line is only a short answer, such as a version.

    Lines about the environment, items of check lists and rows of tables count as short answers. The caller
    must have checked that the line is below a heading about the environment (versions, systems).
    """
    if is_environment(line) or is_check(line) or line.lstrip()[:1] == "|":
        return True
    if TELLS_A_PROBLEM.search(line):
        return False
    words = len(line.split())
    if not line.isascii():  # some scripts have no blanks between words
        words = max(words, len(line) // 4)
    if words <= _MAX_ANSWER_WORDS:
        return True
    has_version = _PAIR.match(line) or _VERSION_NUMBER.search(_ADDRESS.sub("", line[:LINE_CHARACTERS]))
    return words <= 2 * _MAX_ANSWER_WORDS and bool(has_version)
