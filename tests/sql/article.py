"""The article's choice of issues (article_2018.sql) in Python, with each of its flaws to be corrected by itself."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from itertools import combinations
from pathlib import Path

SQL_2018 = (Path(__file__).parent / "article_2018.sql").read_text(encoding="utf-8")

FLAWS = {
    "quotes": "JSON_EXTRACT keeps JSON's quotes: they lengthen the text, and one beside a blank counts as a word",
    "escapes": r"and its escapes: each \r or \" lengthens the text, and \r counts as a word",
    "torn": r"the replacement of \n knows no escapes: it tears c:\path\new, which is c:\\path\\new in JSON",
    "markup": "what stands before and after a bracket, a star, a hash or a backtick counts as two words",
    "blanks": "SPLIT on one blank: of two blanks the second makes an empty word, and a tab or an ideographic space parts none",
}
_MARKUP = re.compile(r"[()\[\]#*`]")
_WORD = re.compile(r"[^\t-\r\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000 ]+")


def of_hours_of(year: int) -> str:
    """The article's query, over the days of another year than 2017: only the wildcard and the suffixes differ."""
    century, rest = divmod(year, 100)
    sql = SQL_2018.replace("day.2017*", f"day.{century}*")
    return sql.replace("'0101'", f"'{rest}0101'").replace("'1231'", f"'{rest}1231'")


def keeps(title: str, body: str | None, corrected: Collection[str] = ()) -> bool:
    """Whether the article learns from an issue, once the flaws `corrected` are; with all of them, whether we do."""
    if body is None:
        return False
    shown_title, shown_body = _shown(title, corrected), _shown(body, corrected)
    return (
        len(_words(shown_body, corrected)) >= 6
        and len(_words(shown_title, corrected)) >= 3
        and len(shown_title) <= 400
        and len(shown_body) <= 2000
    )


def explain(title: str, body: str | None, trainable: bool) -> tuple[str, ...] | None:
    """The fewest flaws without which the article would choose as we do; None where none of them explains it."""
    for count in range(len(FLAWS) + 1):
        for corrected in combinations(FLAWS, count):
            if keeps(title, body, corrected) == trainable:
                return corrected
    return None


def _shown(text: str, corrected: Collection[str]) -> str:
    content = text if "escapes" in corrected else json.dumps(text, ensure_ascii=False)[1:-1]
    return content if "quotes" in corrected else f'"{content}"'


def _words(text: str, corrected: Collection[str]) -> list[str]:
    if "torn" not in corrected:
        text = text.replace("\\n", " ")
    elif "escapes" not in corrected:
        text = re.sub(r"\\(.)", lambda escape: " " if escape[1] == "n" else escape[0], text)
    if "markup" not in corrected:
        text = _MARKUP.sub(" ", text)
    return _WORD.findall(text) if "blanks" in corrected else text.strip().split(" ")
