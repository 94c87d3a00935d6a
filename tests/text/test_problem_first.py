"""Bodies with the problem first: what is a template's goes, what is the author's stays."""

from __future__ import annotations

import sys

import pytest

from pipeline.text.markup import (
    JOINER,
    LATEST_PREPARATION,
    ORIGINAL_PREPARATION,
    PROBLEM_FIRST,
    prepare,
    prepare_body,
)
from pipeline.text.template_headings import LINE_CHARACTERS, section_of
from pipeline.text.template_lines import is_environment
from tests.text.test_markup import HOSTILE

FORM = """### Search before asking

- [X] I have searched the issues and found no similar feature requests.

### Environment

- OS: Ubuntu 20.04
- Python version: 3.11

| Package | Version |
|---|---|
| numpy | 1.26 |

### Steps to reproduce

1. Open the tree
2. Close it

### Expected behavior

It closes.

### Describe the bug
<!-- A clear and concise description of what the bug is. -->
The tree hangs.

### Are you willing to submit a PR?

- [ ] Yes I'd like to help by submitting a PR!"""
GO = """Please answer these questions before submitting your issue. Thanks!

1. What version of Go are you using (`go version`)?
go version go1.6 linux/amd64

2. What operating system and processor architecture are you using (`go env`)?
GOARCH="amd64"
GOBIN=""

3. What did you do?
Read a part.

4. What did you expect to see?
The content.

5. What did you see instead?
ReadForm fails."""
TASKS = "\n".join(f"i opened leaf {number};" for number in range(8))
LOG = "\n".join(
    ["It stops.", *(f"[INFO] step {number}" for number in range(9)), "[ERROR] disk full", "[INFO] bye"]
)


@pytest.mark.parametrize(
    ("raw", "prepared"),
    [
        (FORM, "the tree hangs.\nit closes.\n1. open the tree\n2. close it"),
        (GO, "read|form fails.\nthe content.\nread a part."),
        ("**Actual:** it hangs\n**Expected:** it opens", "it hangs\nit opens"),
        ("Steps to reproduce: open it\nActual result: it hangs", "it hangs\nopen it"),
        (
            "<x-h:h5>System information</x-h:h5>\nOpenCV => 3.1\nCompiler => gcc 5.4\n"
            "<x-h:h5>Detailed description</x-h:h5>\nIt hangs",
            "it hangs",
        ),
        ("It hangs\n```\nrustc 1.0\n```\n### Versions\n```\nnumpy 1.26\n```", "it hangs\nrustc 1.0"),
        ("It hangs\nrustc 1.9.0 (e4e8b6668 2016-05-18)\nbinary: rustc\nhost: x86_64", "it hangs"),
        ("Hi all,\n\nIt hangs.\n\nThanks in advance,\nJane Doe", "it hangs."),
        (LOG, "it stops.\n[info] step 0\n[info] step 1\n[info] step 2\n[error] disk full"),
        # the author's
        ("- [x] parse the tree\n- [ ] draw the tree", "parse the tree\ndraw the tree"),
        (
            "### Environment\nThe tree only hangs if it runs under a debugger.\n### Cause\nA lock",
            "cause\na lock\nthe tree only hangs if it runs under a debugger.",
        ),
        (
            "Environment:\nLinux\n\nThe tree hangs whenever I close it.\nAgain",
            "the tree hangs whenever i close it.\nagain",
        ),
        (
            "### System info\nThe error is:\n```\nthe tree\nfatal: gone\n```",
            "the error is:\nfatal: gone",
        ),
        # what a line about a system tells of a problem
        ("It stops.\ngcc: error: May: No such file", "it stops.\ngcc: error: may: no such file"),
        ("Docker: container exits with code 137", "docker: container exits with code 137"),
        ("It stops.\nlinux | build fails\nlinux | 6.1", "it stops.\nlinux | build fails"),
        ("memory: leaks 2GB per hour\nmemory: 2GB", "memory: leaks 2|gb per hour"),
        ("Version:\n1.2.3\n\nApp hangs on start", "app hangs on start"),
        (
            "It stops.\nCUDA: not found\nPython 3.8 (default, Jun 4 2021)",
            "it stops.\npython 3.8 (default, jun 4 2021)",
        ),
        (
            "### Environment\nLinux\n```\nSegmentation violation in foo()\n```",
            "segmentation violation in foo()",
        ),
        ("### Expected behavior\nIt opens\n### Reproduction\nopen()", "open()\nit opens"),
        (
            "### TensorFlow version\n2.9\n### Scenes\n- [ ] Chat\n- [X] Dashboard\n"
            "### What happened\nIt hangs",
            "scenes\nit hangs\nchat\ndashboard",
        ),
        ("What does 'go version' print?\ngo version devel +0\n\nWhat happened?\nIt hangs", "it hangs"),
        (TASKS, TASKS),
        ("问题描述:\n打开设置时程序崩溃\n环境:\nWindows 10", "打开设置时程序崩溃"),
        (
            "### Environment\n打开设置时程序崩溃,只在调试器下发生,重启以后也没有用",
            "打开设置时程序崩溃,只在调试器下发生,重启以后也没有用",
        ),
        ("- What did you do?\nClose it\n- What did you see instead?\nIt hangs", "it hangs\nclose it"),
        ("Version 1.2 hangs when the tree is closed", "version 1.2 hangs when the tree is closed"),
        ("version == 4.42 works, 4.43 fails", "version == 4.42 works, 4.43 fails"),
        ("| size | time |\n|---|---|\n| 10 | 3 s |", "| size | time |\n| 10 | 3 s |"),
        ("Description\nof a tree", "description\nof a tree"),
        (
            "Error: no such tree\nProblem with the tree: it hangs",
            "error: no such tree\nproblem with the tree: it hangs",
        ),
        ("```\n# Steps to reproduce\nrun()\n```", "steps to reproduce\nrun()"),
        ("```\nnever closed\nb", "never closed\nb"),
        # nothing but a template
        ("- OS: Linux", "os: linux"),
        ("", ""),
    ],
)
def test_the_problem_comes_first_and_the_template_goes(raw: str, prepared: str) -> None:
    assert prepare_body(raw, PROBLEM_FIRST).replace(JOINER, "|") == prepared


def test_a_process_does_not_remember_long_lines() -> None:
    line = "x" * (LINE_CHARACTERS + 1)
    references = sys.getrefcount(line)
    assert (section_of(line), is_environment(line)) == (None, False)
    assert sys.getrefcount(line) == references


def test_the_original_preparation_keeps_every_line_in_its_place() -> None:
    assert prepare_body(FORM, ORIGINAL_PREPARATION) == prepare(FORM)
    assert prepare(GO).splitlines()[-2:] == ["5. what did you see instead?", "read\u2060form fails."]
    assert LATEST_PREPARATION == PROBLEM_FIRST == 2


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "unit",
    [
        *HOSTILE,
        "|",
        "=",
        ":",
        "- [x] ",
        "**a**\n",
        "- OS: a\n",
        "version ",
        "os ",
        "a: b\n",
        "thanks\n",
        "};",
        "x-code>",
    ],
)
def test_a_hostile_body_takes_no_time_in_the_square_of_its_length(unit: str) -> None:
    prepare_body(unit * (50_000 // len(unit)), PROBLEM_FIRST)
