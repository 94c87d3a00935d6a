"""The article's choice of issues (article_2018.sql) in Python.

Each of its flaws can be corrected separately.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from itertools import combinations
from pathlib import Path

from tests.warehouse.events import EXTRACT

SQL_2018 = (Path(__file__).parent / "article_2018.sql").read_text(encoding="utf-8")

FLAWS = {
    "quotes": "JSON_EXTRACT keeps JSON's quotes: they count as characters, and as a word beside a blank",
    "escapes": r"and its escapes: each \r or \" lengthens the text, and \r counts as a word",
    "torn": r"the replacement of \n knows no escapes: it tears c:\path\new, which is c:\\path\\new in JSON",
    "markup": "what stands before and after a bracket, a star, a hash or a backtick counts as two words",
    "blanks": "SPLIT on one blank: two blanks make an empty word; tabs and ideographic spaces do not split",
    "scripts": "a sentence in Chinese, Japanese or Thai has no blanks, so it counts as one word",
}
OUR_WORD = str(EXTRACT.parameters["word"])
_MARKUP = re.compile(r"[()\[\]#*`]")
_WORD = re.compile(r"[^\t-\r\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000 ]+")


def of_hours_of(year: int) -> str:
    """The article's query for another year than 2017: only the wildcard and the suffixes differ."""
    century, year_in_century = divmod(year, 100)
    sql = SQL_2018.replace("day.2017*", f"day.{century}*")
    return sql.replace("'0101'", f"'{year_in_century}0101'").replace("'1231'", f"'{year_in_century}1231'")


def learns_from(title: str, body: str | None, corrected: Collection[str] = ()) -> bool:
    """Whether the article learns from an issue after the flaws `corrected` are corrected.

    With all flaws corrected: whether Titler learns from it.
    """
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
    """The fewest flaws whose correction makes the article choose as we do. None if no set of flaws does."""
    for count in range(len(FLAWS) + 1):
        for corrected in combinations(FLAWS, count):
            if learns_from(title, body, corrected) == trainable:
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
    words = _WORD.findall(text) if "blanks" in corrected else text.strip().split(" ")
    if "scripts" not in corrected:
        return words
    return [part for word in words for part in re.findall(OUR_WORD, word) or [""]]
