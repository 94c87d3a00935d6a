"""Splits issues into terms, which a search by words compares.

    term_words("Crash in TreeView 2.1", None).values() -> "crash", "treeview", "tree", "view", "2.1"

A term is a word in lower case and without its ending, or an identifier. An identifier is a word with a digit,
an underscore, or a capital letter inside, such as `treeView`, `read_csv`, `CS0103` or `2.1`. An identifier is
a term as a whole, and its words are terms too. Markup, the lines of issue templates, and a title's prefixes
in brackets are left out. So are long numbers, hashes and dates in bodies, because hardly any of them occurs
in two issues. Chinese, Japanese, Korean and Thai have no blanks between words, so pairs of characters are
terms.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.text.character_units import CHARACTER
from pipeline.text.code_lines import LETTER_OR_DIGIT
from pipeline.text.markup import author_text, plain_title

IN_TITLE: Final = 1
"""The bit in `IssueTerms.kinds` of a term that occurs in the title."""
IDENTIFIER: Final = 2
"""The bit in `IssueTerms.kinds` of an identifier, a number or a version."""
MAX_COUNT: Final = 255
MAX_BODY_CHARACTERS: Final = 20_000
"""Number of characters of a body that are read. The rest of a longer body is a log in nearly all cases."""
_FUNCTION_WORDS: Final = frozenset(
    """
    about after all also am an and any are as at be because been but by can could did do does for from get
    had has have how if in into is it its just like me my of on one only or our out should since so some than
    that the their them then there these they this those to up use used using ve very was we were what when
    where which while who why will with would you your
    """.split()  # noqa: SIM905 - a list of a hundred short words is unreadable
)
"""Words that occur in most issues. They would only cost space and time."""
_MAX_TERM_CHARACTERS: Final = 60
_CACHED_WORDS: Final = 50_000
_ISSUES_PER_BLOCK: Final = 4096
"""Number of issues whose terms are sorted together."""
_TERM_BITS: Final = 32
_KIND_BITS: Final = 2


@dataclass(frozen=True)
class IssueTerms:
    """The distinct terms of n issues, issue by issue.

    Term j of issue i is at `offsets[i] + j` in the arrays `terms`, `counts` and `kinds`.
    """

    offsets: NDArray[np.int64]
    """(n + 1,): where the terms of an issue begin; the last one is the number of all terms"""
    terms: NDArray[np.uint32]
    """(total,): the hash of each term, ascending within an issue"""
    counts: NDArray[np.uint8]
    """(total,): occurrences of the term in title and body, at most MAX_COUNT"""
    kinds: NDArray[np.uint8]
    """(total,): the bits IN_TITLE and IDENTIFIER"""
    body_hashes: NDArray[np.uint64]
    """(n,): a hash of the author's text in the body, without case, white space and addresses; 0 if there is
    none"""
    automated: NDArray[np.bool_]
    """(n,): whether the title belongs to a program's report, such as an update of a dependency"""

    def __len__(self) -> int:
        return len(self.body_hashes)

    def slice(self, first: int, end: int) -> IssueTerms:
        """Returns the terms of the issues `first` to `end` - 1. Only the array `offsets` is copied."""
        start, stop = int(self.offsets[first]), int(self.offsets[end])
        return IssueTerms(
            self.offsets[first : end + 1] - start,
            self.terms[start:stop],
            self.counts[start:stop],
            self.kinds[start:stop],
            self.body_hashes[first:end],
            self.automated[first:end],
        )

    @staticmethod
    def concatenate(blocks: Sequence[IssueTerms]) -> IssueTerms:
        """Returns the terms of the issues of all `blocks`, in order. Without blocks, the result has no
        issues."""
        blocks = [_NO_ISSUES, *blocks]
        starts = np.cumsum([0, *(block.offsets[-1] for block in blocks[:-1])])
        offsets = [block.offsets[1:] + start for block, start in zip(blocks, starts, strict=True)]
        return IssueTerms(
            np.concatenate([np.zeros(1, np.int64), *offsets]),
            np.concatenate([block.terms for block in blocks]),
            np.concatenate([block.counts for block in blocks]),
            np.concatenate([block.kinds for block in blocks]),
            np.concatenate([block.body_hashes for block in blocks]),
            np.concatenate([block.automated for block in blocks]),
        )


def issue_terms(titles: Sequence[str | None], bodies: Sequence[str | None]) -> IssueTerms:
    """Returns the terms of n issues, given as their authors wrote them. A missing text has no terms."""
    starts = range(0, max(len(titles), 1), _ISSUES_PER_BLOCK)
    blocks = [
        _terms_of_block(titles[start : start + _ISSUES_PER_BLOCK], bodies[start : start + _ISSUES_PER_BLOCK])
        for start in starts
    ]
    return blocks[0] if len(blocks) == 1 else IssueTerms.concatenate(blocks)


def _terms_of_block(titles: Sequence[str | None], bodies: Sequence[str | None]) -> IssueTerms:
    """Returns the terms of one block of issues. All terms of the block are sorted together in memory."""
    title_words, body_words = _NumberedWords(in_title=True), _NumberedWords(in_title=False)
    body_hashes, automated = [], []
    for title, body in zip(titles, bodies, strict=True):
        text = _body_text(body or "")
        title_words.add_text(_title_text(title or ""))
        body_words.add_text(text)
        body_hashes.append(_body_hash(text))
        automated.append(is_automated(title or ""))
    occurrences = np.sort(np.concatenate([title_words.occurrences(), body_words.occurrences()]))
    of_terms = occurrences >> np.uint64(_KIND_BITS)
    is_first = np.ones(len(of_terms), np.bool_)
    is_first[1:] = of_terms[1:] != of_terms[:-1]
    firsts = np.flatnonzero(is_first)
    of_terms, counts = of_terms[firsts], np.diff(firsts, append=len(occurrences))
    kinds = np.bitwise_or.reduceat(occurrences, firsts) if len(firsts) else occurrences
    issues = np.arange(len(titles) + 1, dtype=np.uint64) << np.uint64(_TERM_BITS)
    return IssueTerms(
        np.searchsorted(of_terms, issues).astype(np.int64),
        of_terms.astype(np.uint32),  # the last 32 bits: the term without the issue
        np.minimum(counts, MAX_COUNT).astype(np.uint8),
        (kinds & np.uint64((1 << _KIND_BITS) - 1)).astype(np.uint8),
        np.array(body_hashes, np.uint64),
        np.array(automated, np.bool_),
    )


class _NumberedWords(dict[str, int]):
    """The words of some issues: either those of their titles, or those of their bodies. Each distinct word
    gets a number, so that its terms are looked up only once, however often it occurs."""

    def __init__(self, in_title: bool) -> None:
        super().__init__()
        self._in_title = in_title
        self._numbers: list[int] = []
        self._lengths: list[int] = []

    def __missing__(self, word: str) -> int:
        self[word] = number = len(self)
        return number

    def add_text(self, text: str) -> None:
        """Adds the words of the next issue's text."""
        words = _WORD.findall(text)
        self._numbers += map(self.__getitem__, words)
        self._lengths.append(len(words))

    def occurrences(self) -> NDArray[np.uint64]:
        """Returns one integer per occurrence of a term. Its highest bits are the position of the issue, the
        next bits are the hash of the term, and the lowest bits are IN_TITLE and IDENTIFIER."""
        in_title = IN_TITLE if self._in_title else 0
        terms_of_words = [
            [
                term << _KIND_BITS | kind | in_title
                for subword in _parts_of_word(word)
                for term, kind, _ in _terms_of_word(subword, self._in_title)
            ]
            for word in self
        ]
        lengths = np.fromiter(map(len, terms_of_words), np.int64, len(terms_of_words))
        starts = np.cumsum(lengths) - lengths
        terms = np.fromiter(chain.from_iterable(terms_of_words), np.uint64, int(lengths.sum()))
        words = np.array(self._numbers, np.int64)
        issues = np.repeat(np.arange(len(self._lengths), dtype=np.uint64), np.array(self._lengths, np.int64))
        lengths = lengths[words]
        first_positions = np.cumsum(lengths) - lengths
        positions = np.arange(lengths.sum()) + np.repeat(starts[words] - first_positions, lengths)
        return np.repeat(issues << np.uint64(_TERM_BITS + _KIND_BITS), lengths) | terms[positions]


def term_words(title: str | None, body: str | None) -> dict[int, str]:
    """Maps the hash of each term of an issue to the word that the term came from, in lower case.

    If several words have the same term, the first one is used. The title is read before the body.
    """
    words: dict[int, str] = {}
    for text, is_title in ((_title_text(title or ""), True), (_body_text(body or ""), False)):
        for word in dict.fromkeys(_WORD.findall(text)):
            for subword in _parts_of_word(word):
                for term, _, shown in _terms_of_word(subword, is_title):
                    words.setdefault(term, shown)
    return words


def is_automated(title: str) -> bool:
    """Returns whether an issue was written by a program, judged by its title. Examples are an update of a
    dependency, or a failed nightly build."""
    return _AUTOMATED.match(_title_text(title)) is not None or _AUTOMATED.match(title) is not None


_AUTOMATED: Final = re.compile(
    r"\s*+(?:(?:build|chore|fix|deps?|ci)(?:\(deps[\w-]*\))?!?: *)?(?:"
    r"(?:bump|update|upgrade) (?:dependency [\w@/.:-]+|[\w@/.:-]+ (?:requirement )?from \S+) "
    r"to (?:version )?\S+ *\Z"
    r"|an in-range update of \S+ is breaking the build|dependency dashboard *\Z"
    r"|action required: fix renovate config|\S+ \((?:critical|high|medium|low)\) detected in "
    r"|cve-\d{4}-\d+ \((?:critical|high|medium|low)\)"
    r"|(?:scheduled|nightly|daily|weekly|automated) (?:\S{1,30} ){0,3}"
    r"(?:build|tests?|run|job|workflow|ci)(?: has| have| is| are| was)? (?:failed|failing|failures?|fails)"
    r"(?: (?:on|for|at) \S+)?[\W\d]*\Z"
    r"|(?:build|workflow|pipeline) \S{1,60} (?:failed|is failing) *\Z)",
    re.IGNORECASE,
)
_PREFIX: Final = re.compile(
    r"[^\w\[\u3010]*+(?:\[[^\[\]]{0,40}\]|\u3010[^\u3010\u3011]{0,40}\u3011)[^\w\[\u3010]*+"
)
_LABEL: Final = re.compile(
    r"(?:bug|bug report|feature|feature request|issue|question|help|rfc|docs?)(?:\([^()]{0,30}\))?: ",
    re.IGNORECASE,
)
_SHORTCODE: Final = re.compile(r":[a-z][a-z0-9_]{1,30}:")


@lru_cache(maxsize=1)  # wanted for the terms, for the words, and to recognise a program's report
def _title_text(title: str) -> str:
    """Returns a title without its prefixes, such as `[Bug]:`, unless nothing else would be left."""
    text = whole = _SHORTCODE.sub(" ", plain_title(title))
    while (prefix := _PREFIX.match(text)) or (prefix := _LABEL.match(text)):
        text = text[prefix.end() :]
    return text if LETTER_OR_DIGIT.search(text) else whole


@lru_cache(maxsize=1)  # a query's terms and their words are both wanted
def _body_text(body: str) -> str:
    """Returns what the author wrote in a body: without markup, and without the lines of an issue template.
    Code and logs are shortened."""
    return author_text(body[:MAX_BODY_CHARACTERS])


def _body_hash(text: str) -> int:
    letters = "".join(text.lower().split())
    if not LETTER_OR_DIGIT.search(letters):
        return 0
    digest = hashlib.blake2b(letters.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1


_WORD: Final = re.compile(r"\w+(?:(?:[.\-+']|::)\w+)*(?:\+\+|#)?")


def _parts_of_word(word: str) -> Iterable[str]:
    """Returns the word itself, or its pairs of characters if its script has no blanks between words. Returns
    nothing for a word that is too long to have terms. Such a word would only fill the cache of
    `_terms_of_word`."""
    if word.isascii() or not CHARACTER.search(word):
        return (word,) if len(word.strip("_")) <= _MAX_TERM_CHARACTERS else ()
    return [word[at : at + 2] for at in range(max(len(word) - 1, 1))]


_SUBWORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\dA-Z_]+|\d+")
_SIMPLE: Final = re.compile(r"[^\W\d_]+")
_IDENTIFIER: Final = re.compile(
    r".*\d|.*[^\W_]_+[^\W_]|.*[a-z][A-Z]|.*::|[^\W\d_]+\.[^\W\d_]+\Z|\w(?:\+\+|#)", re.DOTALL
)
_PIECES: Final = re.compile(r"\.(?=[^\W\d])|::|['\-](?=[^\W\d])")
_MACHINE_NUMBER: Final = re.compile(
    r"\d{5,}(?:[.\-]\d+)*|0x(?!8[0-9a-f]{7}\Z)[0-9a-f]+"  # 0x8... of 8 digits are error codes of Windows
    r"|(?=[a-f\-]*\d)[0-9a-f]{7,}(?:-[0-9a-f]{4}){0,3}(?:-[0-9a-f]{12})?"
    r"|\d{4}-\d\d?-\d\d?(?:t\d\d?)?|\d+\.\d{5,}"
)


@lru_cache(maxsize=_CACHED_WORDS)
def _terms_of_word(word: str, in_title: bool) -> tuple[tuple[int, int, str], ...]:
    """Returns the terms of a word: the hash, the kind and the text of each.

    In a body, a number that looks as if a machine wrote it, such as a hash or a date, has no terms. In titles
    all numbers are terms, because authors write them on purpose.
    """
    lower = word.lower().strip("_")
    if len(lower) > _MAX_TERM_CHARACTERS or not lower or lower == "url" or lower in _FUNCTION_WORDS:
        return ()
    if word.isascii() and word.isalpha() and (word.islower() or word.isupper() or word.istitle()):
        return (_term_of_plain_word(lower),) if len(lower) > 1 else ()  # quicker for most words
    if not in_title and _MACHINE_NUMBER.fullmatch(lower):
        return ()
    if not _IDENTIFIER.match(word.strip("_")):
        subwords = [
            subword
            for subword in _SIMPLE.findall(lower)
            if len(subword) > 1 and subword not in _FUNCTION_WORDS
        ]
        return tuple(map(_term_of_plain_word, subwords))
    if word.isascii() and word.isdigit():
        return (_term(lower, IDENTIFIER, lower),)
    wholes = {lower: None}
    if word.lower() != lower or not word.isidentifier():  # otherwise the word is its only piece
        wholes |= dict.fromkeys(piece.lower() for piece in _PIECES.split(word) if _IDENTIFIER.match(piece))
    words = {
        subword.lower() for subword in _SUBWORD.findall(word) if len(subword) > 1 and not subword.isdigit()
    }
    return (
        *(_term(whole, IDENTIFIER, whole) for whole in wholes),
        *map(_term_of_plain_word, sorted(words - wholes.keys() - _FUNCTION_WORDS)),
    )


@lru_cache(maxsize=_CACHED_WORDS)
def _term_of_plain_word(word: str) -> tuple[int, int, str]:
    return _term(stem(word), 0, word)


def _term(term: str, kind: int, shown: str) -> tuple[int, int, str]:
    return zlib.crc32(term.encode("utf-8", "surrogatepass")), kind, shown


def stem(word: str) -> str:
    """Returns an English word without the ending of its plural, past or -ing form: `crashes` -> `crash`.

    Two words with the same stem need not be related, and the stem need not be a word. The rules are a small
    part of Porter's rules (1980).
    """
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 5 and word.endswith("ing"):
        return _single_consonant(word[:-3])
    if len(word) > 4 and word.endswith("ed"):
        return _single_consonant(word[:-2])
    if len(word) > 4 and word.endswith(("ches", "shes", "sses", "xes", "zes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    return word[:-1] if len(word) > 4 and word.endswith("e") else word


def _single_consonant(word: str) -> str:
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "sl" else word


_NO_ISSUES: Final = issue_terms([], [])
