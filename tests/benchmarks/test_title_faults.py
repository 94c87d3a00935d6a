"""Faults of titles that readers notice."""

import pytest

from tests.benchmarks.title_faults import Faults, faults, invented, repeated_words, words_of_template

FORM = """\
### Describe the bug
<!-- A clear description -->
The cursor jumps when I paste.

**Actual behavior:** it stays at the end

- [x] I have searched the tracker

### Environment
- OS: Windows 10
- Editor 1.6.0

Extension|Author (truncated)|Version
---|---|---
vscode-open-in-github|sys|1.6.0

### Additional context
_No response_
"""


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("the cursor jumps", []),
        ("cursor stays at the end", []),
        ("Cursor jumps on Windows", ["windows"]),
        ("vscode-open-in-github|sys| 1.6.0", ["vscode", "open", "github", "sys"]),
        ("describe the bug", ["describe", "bug"]),
        ("a clear cursor", ["clear"]),
        ("searched the tracker", ["searched", "tracker"]),
        ("no response", ["response"]),
        ("actual cursor", ["actual"]),
        ("a word that the body lacks", []),
    ],
)
def test_a_word_that_the_body_has_only_on_lines_of_a_template(title, words):
    assert words_of_template(title, FORM) == words


@pytest.mark.parametrize(
    "body",
    [
        "Java crashes when the window closes",
        "I tried this: a || b, then Java crashes",
        "Environment\nlinux\n\nJava crashes",
        "### Versions\n1.2\nWhenever I open a window and close the first one again after that, Java crashes.",
        "## Summary: Java crashes",
    ],
)
def test_the_authors_own_line_is_no_template(body):
    assert words_of_template("java crashes", body) == []


@pytest.mark.parametrize(
    "line", ["Java: 17", "java version = 17", "| java | 17 |", "- [ ] java is installed", "GOFLAGS=java"]
)
def test_a_line_of_an_environment_table_needs_no_heading(line):
    assert words_of_template("java crashes", f"It crashes.\n{line}") == ["java"]


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("window does not open the window", ["window"]),
        ("add add button", ["add"]),
        ("Crash crash", ["crash"]),
        ("the end of the file", []),
        ("1.1 or 404 and 404 in go and go", []),
        ("tree-view of a tree", []),
    ],
)
def test_a_word_that_stands_twice(title, words):
    assert repeated_words(title) == words


@pytest.mark.parametrize(
    ("title", "body", "tokens"),
    [
        ("error 404 in foo_bar", "foo_bar gives 404", []),
        ("error 405 in foo_baz", "foo_bar gives 404", ["405", "foo_baz"]),
        ("broken since 1.2", "Since V1.2.3 it is broken", []),
        ("broken since v1.2.3", "since 1.2.3", []),
        ("broken since 1.2", "since 0.1.2 and 11.2", ["1.2"]),
        ("no wheel for x86 and ax86", "no wheel for x86_64", ["ax86"]),
        ("(TreeView) is slow", "the treeview is slow", []),
        ("TreeView is slow", "the list is slow", ["TreeView"]),
        ("std::io and a.py fail", "`a.py` fails", ["std::io"]),
        ("e.g. an ordinary, invented word!", "nothing", []),
    ],
)
def test_an_identifier_that_does_not_stand_in_the_body(title, body, tokens):
    assert invented(title, body) == tokens


def test_withheld_titles_do_not_count():
    titles = ["cursor jumps", "windows windows 11", "", ""]
    assert faults(titles, [FORM] * 4) == Faults(template=0.5, repeated=0.5, invented=0.5)
    assert faults([""], [FORM]) == Faults(0, 0, 0)
