"""Markup: an issue's raw text in, what tells of the issue out. A `|` stands where camelCase may be parted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.text.markup import JOINER, prepare

JAVA = """```java
java.lang.NullPointerException: name is null
	at com.example.Users.find(Users.java:12)
	at com.example.Main$1.run(Native Method)
Caused by: java.io.IOException: closed
	... 12 more
```"""
PYTHON = """Traceback (most recent call last):
  File "app.py", line 3, in <module>
    main()

  File "app.py", line 9, in main
    raise Unlucky(13)
app.Unlucky: 13
Any idea?"""
SCRIPT = """~~~ js
TypeError: x is not a function
    at new Tree (/srv/app/tree.js:10:3)
    at async load (file:///srv/app/load.mjs:4)
~~~"""
LONG = (
    "```\n"
    + "\n".join(f"step {number}" for number in range(9))
    + "\nfatal: no space\nstep 10\nerror: gave up\nbye\n```"
)


@pytest.mark.parametrize(
    ("raw", "prepared"),
    [
        ("Crash!\r\n\r\n\tWhen  closing\rtwice", "crash!\nwhen closing\ntwice"),
        ("", ""),
        ("???\n-----\n}", ""),  # lines that tell nothing
        # templates
        ("<!-- Fill\nthis -->Broken<!--and this-->", "broken"),
        ("Broken <!-- never\nclosed\n\nreally", "broken\nreally"),
        ("a <!-- b --> c <!-- d", "a c"),
        ("### Steps to reproduce\n1. Open\n2) Close", "steps to reproduce\n1. open\n2) close"),
        ("- [ ] On Linux\n* [x] On Mac\n+ [X]Both\n- [] None", "on linux\non mac\nboth\nnone"),
        ("### Logs\n\n_No response_", "logs"),  # GitHub's word for a field left empty
        # HTML
        ("<details><summary>Log</summary>it broke<br/>twice</details>", "log it broke twice"),
        ("a List<String> of <my-widget>", "a list<string> of <my-widget>"),
        ("x &lt; y &amp;&amp; z&nbsp;&gt; &amp;lt;", "x < y && z > &lt;"),
        # links
        ("See [the docs](https://example.com/a 'x') and ![shot 1](a.png)", "see the docs and shot 1"),
        ("See [the docs](https://example.com/a)!", "see the docs!"),
        ("[![build](https://ci/b.svg)](https://ci) ok", "build ok"),
        ("at https://example.com/a/b?c=d#e, or (www.example.com)", "at url or (url)"),
        # emphasis
        ("**Bold**, *slanted* and _this_, `code`, ~~gone~~", "bold, slanted and this, code, gone"),
        (
            "a*b, 2 * 3, *.py, __init__, snake_case, **kwargs",
            "a*b, 2 * 3, *.py, __init__, snake_case, kwargs",
        ),
        ("> > quoted\n>more", "quoted\nmore"),
        ("Title\n=====\n| a | b |\n|---|:-:|\n| 1 | 2 |", "title\n| a | b |\n| 1 | 2 |"),
        ("wait..... what ??? a -- b :tada:", "wait what a -- b :tada:"),
        # code
        (LONG, "step 0\nstep 1\nstep 2\nfatal: no space\nerror: gave up"),
        ("```\nnever closed\nb\nc\nd\n", "never closed\nb\nc\nd"),
        ("````\n```\nx\n```\n````\ny", "x\ny"),
        ("use ```one``` or\n```two```", "use one or\ntwo"),
        ("```\n" + "x" * 999 + "\n```", "x" * 300),
        (JAVA, "java.lang.null|pointer|exception: name is null\ncaused by: java.io.io|exception: closed"),
        (PYTHON, "app.unlucky: 13\nany idea?"),
        (SCRIPT, "type|error: x is not a function"),
        ("At least (I think) it works\nat 10:30 (again)", "at least (i think) it works\nat 10:30 (again)"),
        # numbers
        ("#12345 of 1234, 404, v1.2.3, 10.0.19045, 0.1234567", "#0 of 1234, 404, v1.2.3, 10.0.19045, 0"),
        ("at 0x00c4 and 154d9f9ea21, not defaced, cafe", "at 0 and 0, not defaced, cafe"),
        ("550e8400-e29b-41d4-a716-446655440000", "0"),
        ("2025-02-24 17:04:58,046 - x", "0 - x"),
        ("2024-01-01T00:00:00.000Z, 10:11:12, 1/2/2024 3:04", "0, 0, 0 3:04"),
        ("main.rs:10:20: unused", "main.rs:10:20: unused"),
        # words
        ("treeView HTTPServer getURL iPhone6 OpenAI", "tree|view http|server get|url i|phone6 open|ai"),
        (
            "\uff26\uff55\uff4c\uff4c ﬁne \u200bzero\ufeff \ud800 ÄRGER Привет 日本語 👍🏽 ok",
            "full fine zero ärger привет 日本語 👍🏽 ok",
        ),
    ],
)
def test_a_text_is_prepared(raw, prepared):
    assert prepare(raw).replace(JOINER, "|") == prepared


@given(st.text() | st.text(alphabet="aA1 \n\r\t`~*_<>!-[](){}#|.:/@&;é\u0301\u2060\ud800"))
def test_whatever_comes_in_lines_of_single_blanks_in_lower_case_come_out(raw):
    prepared = prepare(raw)
    assert prepared == prepared.lower()
    for line in prepared.split("\n") if prepared else []:
        assert line == " ".join(line.split()) != ""
    prepared.encode()  # no half of a surrogate pair


HOSTILE = [
    *(
        "a",
        "A",
        "Aa",
        "0",
        "0f",
        "f",
        "é\u0301",
        "\u0301\u0316",
        "👍",
        "\n",
        "\r",
        " ",
        "\t",
        "-",
        "_",
        " _a",
        "*a",
        "**é",
    ),
    *(
        "`",
        "```\n",
        "```a\n",
        "~~~\n",
        "<",
        "<a ",
        "<a /",
        "<!--",
        "<!-- -->",
        "[",
        "[](",
        "![",
        "](",
        "[x]",
        "[a](b",
        "& ",
        "&amp;",
        "&#",
    ),
    *(
        "http://",
        "www.",
        "://",
        ">",
        "> ",
        "# ",
        "- ",
        "- [ ] ",
        "1/",
        "1:",
        "11:11:",
        "1.",
        "12345.",
        "-aaaa",
        "12345678-",
        "2024-",
        "0x",
    ),
    *("at a", "at a(:1)\n", 'File "', "Traceback (most recent call last)\n ", "\u2060", "x\u2060"),
]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("unit", HOSTILE)
def test_a_hostile_text_takes_no_time_in_the_square_of_its_length(
    unit,
):  # that would be an hour: the limit decides
    prepare(unit * (300_000 // len(unit)))
    prepare("x " + unit * (300_000 // len(unit)) + " x")
