"""Recognises headings and questions of issue templates, and says what the section below a heading is about.

    section_of("### Steps to reproduce") -> Heading(section=Section.STEPS, text="")

Issue templates ask the same questions in thousands of issues. A model that learns from the questions copies
them into titles. Only the wordings in this module are recognised. Every other heading is treated as the
author's own text.

Every function takes one line. A line longer than LINE_CHARACTERS is never recognised, so the time is bounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Final

LINE_CHARACTERS: Final = 160
"""Maximum length of a line of a template. A longer line is treated as the author's own text."""
CACHED_LINES: Final = 20_000
"""Number of different lines whose meaning a process remembers. Lines of more than LINE_CHARACTERS are not
remembered: so many of them could take gigabytes."""


class Section(IntEnum):
    """What a section of an issue is about. A section with a lower number matters more for the title."""

    PROBLEM = 0
    """what is wrong or wished for, and everything outside of known sections"""
    EXPECTED = 1
    """expected behaviour"""
    STEPS = 2
    """steps or code to reproduce the problem"""
    CONTEXT = 3
    """alternatives, further information, logs"""
    ENVIRONMENT = 4
    """versions, systems, check lists, questions about the author: the answers do not name the problem"""


@dataclass(frozen=True)
class Heading:
    """A heading of an issue template.

    `section` says what the section below the heading is about. `text` is the author's text that follows the
    heading in the same line; it may be empty.
    """

    section: Section
    text: str


_KEY_WORDS: Final = re.compile(r"[^\W_]+")
_ASCII_KEY: Final = {code: chr(code).lower() if chr(code).isalnum() else " " for code in range(128)}
_DETERMINERS: Final = r"(?:the |your |a |an |my |this |any )?"
_SECTION_PATTERNS: Final = {
    Section.PROBLEM: (
        r"(?:bug ?|问题|問題)?(?:描述|说明|説明)|问题|问题现象|現象|概要|문제 ?설명|question|"
        r"(?:brief |short |detailed |general |bug |issue |problem |feature "
        r"|problem or feature )?description"
        r"(?: of (?:the )?(?:bug|issue|problem|feature))?"
        rf"|(?:please )?(?:describe|explain) {_DETERMINERS}(?:bug|issue|problem|feature|feature request"
        rf"|enhancement|suggestion|proposal"
        r"|idea|question|solution)(?: briefly| clearly)?"
        r"|describe the (?:solution|feature|behaviou?r) you (?:d like|would like|want)"
        r"|describe the feature(?: and the current behaviou?r state)?"
        r"|describe the (?:current|actual|observed) behaviou?r"
        rf"|(?:what (?:is|s) )?{_DETERMINERS}(?:actual|current|observed|existing|buggy"
        rf"|wrong) (?:behaviou?r|results?|outcome|output|situation)(?: is)?"
        r"|what (?:actually )?(?:happened|happens|is happening)(?: instead)?|what (?:did"
        r"|do) you (?:actually )?(?:see|get|observe|observed)(?: instead)?"
        r"|what went wrong|(?:what (?:is|s) )?the (?:problem|bug|issue)|what (?:is|s) (?:wrong"
        r"|the (?:current|actual) behaviou?r)"
        r"|bug|bug report|bug summary|issue summary|summary|problem|problem statement|issue|overview"
        r"|actual|instead|observed"
        r"|feature|feature request|the feature|feature motivation|the feature motivation and pitch"
        r"|motivation|motivation pitch|proposal"
        r"|describe the proposed (?:behaviou?r|feature|change)|describe your proposed solution"
        r"|describe the workflow you want to enable"
        r"|(?:is )?your feature request related to a problem(?: please describe)?"
        r"|is your feature request related to a problem(?: please describe)?"
        r"|what (?:is|s) the (?:use case|feature)(?: or problem)?|use case|request|current behaviou?r|what"
    ),
    Section.EXPECTED: (
        r"(?:期望|预期|預期)(?:的)?(?:行为|结果|結果|表现)|期待する(?:動作|結果)|예상 ?결과|"
        r"what (?:you|i|did you) expect(?:ed)?(?: (?:to happen|to see|instead))|"
        rf"(?:what (?:is|s) |describe )?{_DETERMINERS}(?:expected|desired|correct"
        rf"|expected or desired)(?: correct)? (?:behaviou?r|results?|outcome|output)(?: is)?"
        r"|what (?:did|do|would) you (?:expect|expected)(?: (?:to (?:see|happen|get)|to see instead))?"
        r"|expected|expectation|expectations"
        r"|what (?:should|did you expect should) (?:have happened|happen)(?: instead)?|what you expected"
        r"|what was expected"
        r"|what (?:is|s) the expected output what do you see instead|expected vs actual(?: behaviou?r)?"
    ),
    Section.STEPS: (
        r"(?:复现|重现|如何复现)(?:步骤|方法)?|再現(?:手順|方法)|재현 ?방법|reproducible code example|"
        r"(?:minimal )?(?:complete )?verifiable example|mcve"
        r"|instructions? to reproduce(?: the)? (?:issue|bug|problem)|"
        r"(?:minimal |the |detailed |exact )?(?:steps?|instructions?|procedure)(?: code)?(?: (?:required "
        r"|needed |taken )?(?:to|for) (?:reproduce|repro|replicate|reproducing|reproduction))?"
        r"(?: (?:the|this) (?:behaviou?r|problem|issue|bug|error))?"
        r"|(?:how )?to (?:reproduce|repro|replicate)(?: (?:the|this) (?:behaviou?r|problem|issue|bug"
        r"|error))?(?: as minimally and precisely as possible)?"
        r"|(?:minimal )?(?:repro|reproduction|reproducing|replication|reproducible)(?: (?:steps?|code"
        r"|example|sample|case|script|link|code snippet))?"
        r"|what (?:steps|step) (?:will|can|would) reproduce (?:the|this) (?:problem|issue|bug)"
        r"|what did you (?:do|run)|reproduce|reproduce steps|repro case"
        r"|(?:standalone |sample |minimal |test |example )*code(?: (?:example|sample"
        r"|snippet))?(?: (?:to reproduce|for reproducing)(?: (?:the|this) (?:issue|problem|bug))?)?"
        r"|provide the (?:exact sequence of )?(?:commands|steps)[a-z ]{0,60}|steps code to reproduce"
        r"|minimal codes to reproduce"
        r"|code example to reproduce the issue steps to reproduce the issue"
        r"|describe steps code to reproduce the behavior"
    ),
    Section.CONTEXT: (
        r"related (?:issues?|prs?|links?|scenes?)|supplemental info(?:rmation)?|"
        r"(?:any |some )?(?:additional|other|more|further|extra|any other)(?: relevant)? (?:context|info"
        r"|information|notes?|details?|comments?|description)(?: logs)?"
        r"|other info logs|(?:relevant |full |error |console |debug |crash |complete |runtime )*(?:logs?"
        r"|log output|stack ?traces?|traceback|screenshots?|log files?|console output)"
        r"(?: (?:or|and) (?:logs?|screenshots?|stack ?traces?|videos?|output))*"
        r"|screenshots videos|logs stacktrace|describe (?:any )?alternatives(?: you (?:ve"
        r"|have) considered)?(?: if relevant)?|alternatives?(?: solutions?)?(?: considered)?"
        r"|possible (?:solution|fix|implementation|workaround)|workarounds?|work around"
        r"|suggest(?:ed)? (?:a )?(?:fix|solution)|proposed solution|recording of the bug|links?"
        r"|please provide any additional information below|anything else(?: (?:we|i) (?:need"
        r"|should) (?:to )?know)?|any other comments?|notes|references?|attachments|context"
        r"|any other relevant information|error messages?(?: stack traces? or logs)?"
        r"|seen anything similar|pictures or drawings"
    ),
    Section.ENVIRONMENT: (
        r"(?:运行|系统|软件)?(?:环境|版本)(?:信息)?|(?:実行)?環境|환경"
        r"|is this a regression|debug info(?:rmation)?|"
        r"[a-z]{1,12} priority|(?:models?|installation|device|[a-z]{1,12} version"
        r"|operating system) information|contributing|source|custom code"
        r"|have you reproduced the bug with [a-z ]{1,30}|what does go version print|"
        rf"{_DETERMINERS}(?:my |test(?:ing)? |runtime |host |build |local |development )?(?:environment"
        rf"|env|system|desktop|smartphone|setup|platform|device|server|client|mobile)"
        r"(?: (?:info|information|details?|setup|version|versions|specs?|specifications?|data"
        r"|configuration|report|settings|description|and version))*"
        r"|(?:desktop|smartphone|environment|system|server|mobile"
        r"|env)(?: information)?(?: please complete the following information)"
        r"|please describe your (?:setup|environment)"
        r"|(?:software |package |library |relevant |installed |affected |dependency |product |app "
        r"|application |build )?versions?(?: (?:info|information|number|numbers|details?|of (?:packages"
        r"|software|components?)|used|affected|and (?:environment|platform)|release number))?"
        r"|(?:which|what) (?:versions?|operating systems?|os|compiler|revision|platforms?|browsers?|goos"
        r"|device|environment|hardware|python|java|distribution|product)\b[a-z0-9 $.]{0,80}"
        r"|what (?:is|s) (?:your|the) (?:environment|goos|\$goos|os|operating system|version|browser"
        r"|platform|setup)[a-z0-9 $]{0,60}"
        r"|does this issue reproduce with the latest release|go env output|output of (?:go env|go version"
        r"|rustc version|rustc version verbose|flutter doctor)"
        r"|(?:before (?:submitting|asking|you|opening|filing)[a-z ]{0,40}|search before asking"
        r"|is there an existing issue[a-z ]{0,30}|have you (?:searched|read|checked)[a-z ]{0,50})"
        r"|prerequisites?|(?:pre |issue |submission |pr |pull request )*check ?lists?(?: (?:for"
        r"|before) [a-z ]{1,30})?|issue submission checklist|preliminary checks|first check"
        r"|initial checks|checks"
        r"|faq check|code of conduct|i agree to (?:follow )?[a-z ]{0,40}|are you willing to (?:submit"
        r"|contribute)[a-z ]{0,30}|are you going to work on this|your contribution"
        r"|(?:do you )?want to (?:help|contribute)[a-z ]{0,40}|severity|priority|urgency|frequency|impact"
        r"|how often does this happen|who can help|information|tasks"
        r"|twitter linkedin details|contact details|reproducibility|labels|component|components"
        r"|affected components?|issue type|type of issue|type|area|blocking usage of gradio"
        r"|in which part of the opencv library you got the issue"
        r"|please state the information for your system|build information|operating system|os|hardware"
        r"|browsers?|installation|installation method"
        r"|what browsers are you seeing the problem on|dependencies|os version|dependency versions"
        r"|posted on utopian io rewarding open source contributors"
    ),
}
_HEADING: Final = re.compile(
    "|".join(f"(?P<{section.name}>{pattern})" for section, pattern in _SECTION_PATTERNS.items())
)
ENVIRONMENT_KEY: Final = re.compile(
    r"(?:(?:my|your|the|host|target|build|client|server|mobile|desktop|base|system|current|guest"
    r"|installed|kernel|chrome|app|latest) )*"
    r"(?:os|operating systems?|os platform(?: and distribution)?|operating system platform|os version"
    r"|os arch|platform|platform s|architecture|arch|distribution|distro|kernel"
    r"|browsers?|browser version|device|devices?|phone|smartphone|hardware|cpu|gpus?"
    r"|gpu model(?: and memory)?|gpu type|ram|memory|processor|machine|compiler|compilers?"
    r"|mobile device|ide|shell|terminal|locale|time ?zone|goos|goarch|environment|env|branch|commit"
    r"|commit hash|commit date|binary|host|llvm version"
    r"|(?:[a-z0-9.+/@-]+ ){0,4}versions?(?: s)?(?: used| number| info| gpu| cpu gpu tpu"
    r"| if compiling from source)?|version of [a-z .]{1,30}|release"
    r"|python|pytorch|torch|torchvision|tensorflow|tf|keras|numpy|cuda|cudnn|cuda cudnn"
    r"|cuda cudnn version|node|nodejs|npm|yarn|java|jdk|jre|ruby|php|go|rust|rustc|cargo|dotnet|net"
    r"|docker|kubernetes|opencv|gcc|clang|cmake|bazel|android|ios|macos|windows|linux|ubuntu|chrome"
    r"|firefox|safari|flutter|dart|scala|spark"
    r"|have i written custom code[a-z ]*|[a-z]+ installed from(?: source or binary)?"
    r"|mobile device[a-z0-9 ]*|using (?:distributed|gpu)[a-z ]*in script|how you installed [a-z ]+"
    r"|tracker|priority|category|affected|difficulty|pr|assignee|target version|severity|reproducibility"
    r"|type of issue|urgency|profile|server type|integrations)"
)
"""The pattern of a key of the environment, such as `OS` or `Python version`.

A line with the markup of a heading and such a key is a heading.
"""
_ALSO_WORDS: Final = frozenset(
    """
    actual alternatives area attachments bug checks client code component components context
    contributing dependencies description desktop device env expected feature frequency hardware
    impact information installation instead issue labels link links log logs mobile motivation notes
    observed os overview platform priority problem proposal question reference references reproduce
    request server setup severity source step steps summary system tasks title type urgency version
    versions what workaround workarounds
    """.split()  # noqa: SIM905 - a list of a hundred short words is unreadable
)
"""Headings that are also ordinary words.

Without markup, a colon or a question mark, such a word is the author's text and not a heading.
"""
_MARKED: Final = re.compile(
    r"[ \t>]*+(?:#{1,6}+[ \t]*+|\*\*|__|={2,}+ |<h[1-6][^<>]{0,40}>|<[\w-]{1,20}:h[1-6]>|(?:- )?\d[.)] ?)"
)
_TAGS: Final = re.compile(r"</?[\w:-]{1,30}[^<>]{0,40}>|\([^()]{0,80}\)|:[a-z_]{2,30}:")
_MARKERS: Final = re.compile(r"[\W_]*(?:\d{1,2}[.)] *)?[\W_]*")
_ITEM: Final = re.compile(r"[ \t>]*+[-*+•] ")


def section_of(line: str) -> Heading | None:
    """Returns the heading if the line contains a heading of an issue template, otherwise None."""
    return _section_of(line) if len(line) <= LINE_CHARACTERS else None


@lru_cache(maxsize=CACHED_LINES)  # lines of templates occur in many issues
def _section_of(line: str) -> Heading | None:
    if not line.strip() or line.lstrip()[:1] == "|":
        return None
    is_marked = _MARKED.match(line) is not None
    section = _section_by_wording(line)
    if section is None and is_marked_heading(line) and ENVIRONMENT_KEY.fullmatch(plain_key(line)):
        return Heading(Section.ENVIRONMENT, "")
    if section is not None:
        is_clear = is_marked or line.rstrip(" *_").endswith((":", "?")) or plain_key(line) not in _ALSO_WORDS
        return (
            Heading(section, "")
            if is_clear and (is_marked or not _ITEM.match(line) or line.rstrip(" *_").endswith("?"))
            else None
        )
    label, colon, text = line.partition(":")
    if colon and text.strip(" *_") and not text.startswith("//") and (is_marked or not _ITEM.match(line)):
        section = _section_by_wording(label)
        # A key of the environment and its value in one line are left to `is_environment`.
        if section is not None and section != Section.ENVIRONMENT and plain_key(label) != "what":
            return Heading(section, text.lstrip(" *_:"))
    return None


def is_marked_heading(line: str) -> bool:
    """Returns whether a line has the markup of a heading, such as `###`, whatever its words are."""
    stripped = line.strip()
    return bool(
        stripped[:1] in ("#", "<", "*", "=")
        and len(line) <= LINE_CHARACTERS
        and (
            (stripped.startswith("#") and stripped.lstrip("#")[:1] in (" ", "\t"))
            or re.match(r"<[\w-]{0,20}:?h[1-6]\b", stripped)
            or (
                stripped.startswith("**")
                and stripped.rstrip(":").endswith("**")
                and stripped.count("**") == 2
            )
            or ((stripped.startswith("== ") or stripped.startswith("=== ")) and stripped.endswith("=="))
        )
    )


def plain_key(text: str) -> str:
    """Returns the words of a line in lower case, without markup, numbering and text in parentheses."""
    if "<" in text or "(" in text or text.count(":") > 1:
        text = _TAGS.sub(" ", text)
    if not text[:1].isalpha():
        text = _MARKERS.sub("", text, count=1)
    if text.isascii():  # several times as quick as the pattern
        return " ".join(text.translate(_ASCII_KEY).split())
    return " ".join(_KEY_WORDS.findall(text.lower()))


def _section_by_wording(text: str) -> Section | None:
    key = plain_key(text)
    heading = _HEADING.fullmatch(key) if len(key) <= 110 else None
    return Section[heading.lastgroup] if heading and heading.lastgroup else None
