"""Inputs of the fuzz tests: strategies of hypothesis that make right and wrong inputs of each kind.

Most inputs are made of pieces that have a meaning where they are read, because random characters are refused
at the first one. An edited input is a right one in which some pieces are inserted, removed or repeated. Texts
are short: whether long ones take linear time is tested elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import Any

from hypothesis import strategies as st

from tests.warehouse.events import commented, event, opened

ODD = (
    *("", " ", "\n", "\r\n", "\t", "\x00", "\x1b[31m", "\x85", "\u2028", "\u202e", "\ufeff", "\ufffd"),
    *("\ud83d", "\udc00", "\U0001f600", "é", "\u0301\u0327", "ﷺ", "İ", "Σ", "中文", "\u0e01", "٣", "½"),
    *(
        "0",
        "-1",
        "1e999",
        "-0.0",
        "NaN",
        "9" * 25,
        "9" * 5000,
        "2015-01-03",
        "2015-01-03T05:00:00Z",
        "1" * 13,
    ),
    *(
        "null",
        "true",
        "[]",
        "{}",
        '"',
        "'",
        "\\",
        "`",
        ",",
        ";",
        ":",
        "/",
        "//",
        "#",
        "@",
        "%",
        "=",
        "&",
        "?",
    ),
    *("(", ")", "[", "]", "{", "}", "<", ">", "|", "-", "_", "*", "+", ".", "..", "~", "$", "!", "a" * 300),
)
"""Pieces that are unusual everywhere."""
IN_TEXTS = (
    *(
        "http://",
        "https://a.b/c",
        "www.",
        "a@b.cc",
        "github.com/a/b/issues/1",
        "duplicate of #12",
        "#7",
        "GH-7",
    ),
    *(
        "```\n",
        "~~~",
        "<!--",
        "-->",
        "<details>",
        "</pre>",
        "- [ ] ",
        "### Steps\n",
        "**Bug**\n",
        "> ",
        "| a |",
    ),
    *("at a.b(C.java:1)\n", 'File "a.py", line 1\n', "Traceback (most recent call last)\n", "1.2.3", "0x1f"),
    *("deadbeef", "11:11:11", "555-1234", "TreeView", "read_csv", "It crashes.", "thanks\n", "OS: Linux\n"),
)
IN_ADDRESSES = (
    *(
        "https://github.com/",
        "http://",
        "//",
        "www.",
        "github.com",
        "api.github.com/repos/",
        "/issues/",
        "/pull/",
    ),
    *("a/b", "owner", "repo.js", "#12", "12", "/", "?q=1", "#issuecomment-1", "[x](", ")", "<", ">", "GH-1"),
)
IN_SETTINGS = (
    *(
        "[source]\n",
        "[lake]\n",
        "[text]\n",
        "[index]\n",
        "[model]\n",
        "[serve]\n",
        "[alerts]\n",
        "[nonsense]\n",
    ),
    *(
        'hours = "https://u:p@h/?token=t"\n',
        "hours = []\n",
        'root = "s3://b"\n',
        "trees = 5\n",
        "trees = -1\n",
    ),
    *('kind = "webhook"\n', "late_hours = 99\n", "min_recall = nan\n", 'token = "x"\n', "cache_gib = inf\n"),
    *(
        "hours = [{base = 1}]\n",
        "x.y.z = 1\n",
        "a = 2015-01-01\n",
        '"""',
        "'''",
        "= \n",
        "#\n",
        "workers = 1.5\n",
    ),
)
VARIABLES = (
    *(
        "TITLER_LAKE__ROOT",
        "TITLER_SOURCE__HOURS",
        "TITLER_INDEX__TREES",
        "TITLER_ALERTS",
        "TITLER_SERVE__TOKEN",
    ),
    *("TITLER_MODEL__VARIANT", "TITLER_NONSENSE", "TITLER_", "titler_index__trees", "TITLER_ALERTS__KIND"),
)
IN_ROWS = (
    *(
        '{"title": "a", "body": "b"}\n',
        '{"title": null}\n',
        '{"issue_title": "a", "body": null}\n',
        "[",
        "]\n",
    ),
    *(
        '"labels": ["a"]',
        '"labels": "[1"',
        '"created_at": 1e400',
        "title,body\n",
        "a,b\n",
        '"a""b",c\n',
        '\\"x',
    ),
    *(
        "issue_url,issue_title,body\n",
        "title\tbody\n",
        "[" * 2000,
        '{"title":' * 2000,
        "title;body\n",
        ",,,\n",
    ),
)
TEXT = st.one_of(
    st.text(max_size=30),
    st.lists(st.sampled_from((*ODD, *IN_TEXTS)), max_size=12).map("".join),
    st.tuples(st.sampled_from((*ODD, *IN_TEXTS)), st.integers(1, 400)).map(
        lambda pair: (pair[0] * pair[1])[:600]
    ),
)
ADDRESS = st.lists(st.sampled_from((*IN_ADDRESSES, *ODD)), max_size=8).map("".join)
_SCALAR = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from((2**63, -(2**63) - 1, 10**30, 0.5, float("nan"), float("inf"), 1e300)),
    st.sampled_from((*ODD, "opened", "created", "IssuesEvent", "IssueCommentEvent")),
)


def json_values(keys: Sequence[str]) -> st.SearchStrategy[Any]:
    """JSON values whose objects have some of these keys."""
    names = st.sampled_from([*keys, "x"])
    shallow = st.one_of(_SCALAR, st.lists(_SCALAR, max_size=2), st.dictionaries(names, _SCALAR, max_size=3))
    return st.one_of(_SCALAR, st.lists(shallow, max_size=2), st.dictionaries(names, shallow, max_size=8))


def edited(originals: Sequence[bytes], pieces: Sequence[str]) -> st.SearchStrategy[bytes]:
    """One of some contents with up to four edits. An edit replaces a few bytes by a piece, or by nothing, or
    repeats a part."""
    edit = st.tuples(st.integers(0, 1000), st.integers(0, 30), st.sampled_from(pieces), st.integers(0, 9))
    return st.tuples(st.sampled_from(originals), st.lists(edit, max_size=4)).map(_apply)


def _apply(drawn: tuple[bytes, list[tuple[int, int, str, int]]]) -> bytes:
    content, edits = drawn
    for place, length, piece, repeats in edits:
        start = place * len(content) // 1000
        middle = piece.encode("utf-8", "surrogatepass") if repeats < 7 else content[start:] * (repeats - 6)
        content = content[:start] + middle + content[start + length :]
    return content


def _with_other_value(drawn: tuple[dict[str, Any], list[tuple[str, Any]]]) -> bytes:
    """Replaces values of an event, of its payload and of its issue by others."""
    value: dict[str, Any] = json.loads(json.dumps(drawn[0]))
    places = (value, value["payload"], value["payload"].get("issue", {}))
    for key, other in drawn[1]:
        next((place for place in places if key in place), value)[key] = other
    return json.dumps(value).encode()


EVENTS = (opened(), commented("Duplicate of #12"), event("PushEvent"), opened(title="x" * 50, body=None))
_EVENT_KEYS = (
    "id",
    "type",
    "actor",
    "repo",
    "payload",
    "created_at",
    "action",
    "issue",
    "title",
    "body",
    "number",
)
LINE = st.one_of(
    edited([json.dumps(each).encode() for each in EVENTS], ODD),
    st.tuples(
        st.sampled_from(EVENTS),
        st.lists(st.tuples(st.sampled_from(_EVENT_KEYS), json_values(("name",))), max_size=2),
    ).map(_with_other_value),
    st.binary(max_size=20),
).map(lambda line: line.replace(b"\n", b""))
"""A line of an hour file."""
ROWS = st.tuples(
    st.sampled_from((".json", ".jsonl", ".csv", ".tsv", ".parquet", ".JSON.gz")),
    edited([piece.encode() for piece in IN_ROWS], (*IN_ROWS, *ODD)),
)
"""The ending and the content of a user's file of issues."""
SETTINGS = st.tuples(
    st.lists(st.sampled_from((*IN_SETTINGS, *IN_SETTINGS, *ODD)), max_size=4).map("".join),
    st.dictionaries(
        st.sampled_from(VARIABLES),
        st.sampled_from(
            [piece for piece in (*ODD, "[1]", '["a", "a"]', "{}", "webhook") if "\0" not in piece]
        ),
        max_size=1,
    ),
)
"""The text of a settings file, and environment variables."""
_REQUEST_KEYS = ("text", "address", "title", "body", "repo", "k", "everywhere", "since")
REQUEST = st.tuples(
    st.sampled_from(("GET", "POST", "HEAD", "PUT")),
    st.one_of(
        st.sampled_from(
            ("/title", "/similar", "/issues/a/b/1", "/health", "/ready", "/metrics", "/", "/docs")
        ),
        st.lists(st.sampled_from(("/", "issues", "a", "b", *ODD)), max_size=5).map(
            lambda parts: "/" + "".join(parts)
        ),
    ),
    st.dictionaries(
        st.sampled_from(("host", "content-type", "content-length", "authorization")),
        st.sampled_from(
            ("localhost", "application/json", "5", "9" * 5000, "Basic ====", "Bearer é", "evil.example", "")
        ),
        max_size=2,
    ),
    st.one_of(
        st.builds(lambda value: json.dumps(value).encode(), json_values(_REQUEST_KEYS)),
        st.binary(max_size=20),
        st.sampled_from(
            (b"[" * 50_000, b'{"text":' * 5_000, b'{"k": ' + b"9" * 5000 + b"}", b'{"text": "\\ud83d"}')
        ),
    ),
)
"""The method, the path, the headers and the body of a request."""


def requests_of_release(urls: Sequence[str]) -> st.SearchStrategy[tuple[str, str, dict[str, str], bytes]]:
    """Requests to a server that has a release open, most of which it can answer. `urls` are those of issues
    of the release."""
    address = st.one_of(st.sampled_from(urls), ADDRESS)
    repo = st.one_of(st.sampled_from([_path_of(url).rpartition("/issues/")[0] for url in urls]), ADDRESS)
    options: dict[str, st.SearchStrategy[Any]] = {
        "repo": repo,
        "k": st.sampled_from((1, 10, 100, 101, 0, 2**63)),
        "everywhere": st.booleans(),
        "since": st.sampled_from(("2024-01-01", "2024-01-02", "9999-12-31", "0001-01-01", "2024-02-30")),
    }
    texts: list[dict[str, st.SearchStrategy[Any]]] = [
        {"text": TEXT},
        {"text": address},
        {"address": address},
        {"title": TEXT, "body": TEXT},
    ]
    similar = st.one_of([st.fixed_dictionaries(each, optional=options) for each in texts])
    body = st.fixed_dictionaries({"body": st.one_of(TEXT, st.none())})
    title = st.one_of(body, st.lists(body, max_size=3))
    known = st.sampled_from(urls).map(lambda url: _path_of(url).replace("/issues/", "/"))
    stored = st.one_of(known, ADDRESS).map(lambda path: f"/issues/{path}")
    return st.one_of(
        st.builds(lambda form: ("POST", "/similar", {}, json.dumps(form).encode()), similar),
        st.builds(lambda form: ("POST", "/title", {}, json.dumps(form).encode()), title),
        st.builds(lambda path: ("GET", path, {}, b""), stored),
    )


def _path_of(url: str) -> str:
    """Returns OWNER/REPO/issues/NUMBER."""
    return url.removeprefix("https://github.com/")


DAY_OF_EVENTS = date(2015, 1, 3)


def as_json(value: Any) -> bytes:
    """Returns the JSON of a value."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
