"""The address of an issue is recognised in every form in which people write it, and is never a text."""

from __future__ import annotations

import pytest

from pipeline.errors import UsageError
from pipeline.serving.addresses import issue_url, repository_name

URL = "https://github.com/owner/repo/issues/12"


@pytest.mark.parametrize(
    "text",
    [
        URL,
        f" {URL}\r\n",
        f"{URL}/",
        f"{URL}#issuecomment-1",
        f"{URL}?x=y",
        f"{URL}/?x=/#top/\n",
        f"{URL}.",
        f"{URL}/comments",
        "http://github.com/owner/repo/issues/12",
        "HTTPS://GitHub.com/owner/repo/Issues/12",
        "github.com/owner/repo/issues/12",
        "www.github.com/owner/repo/issues/12",
        "https://www.github.com/owner/repo/issues/12",
        "https://github.com/owner/repo/pull/12",
        "https://api.github.com/repos/owner/repo/issues/12",
        "api.github.com/repos/owner/repo/issues/12/comments",
        "https://api.github.com/repos/owner/repo/pulls/12",
        "owner/repo#12",
        "owner/repo/issues/12",
        f"<{URL}>",
        "<owner/repo#12>",
        f'"{URL}"',
        f"`{URL}`",
        f"[it crashes]({URL})",
        f"[owner/repo#12](<{URL}>)",
        f'[[Bug] it crashes (again)]({URL} "a title")',
    ],
)
def test_an_issue_is_recognised_by_its_address(text: str) -> None:
    assert issue_url(text) == URL


def test_the_letter_case_of_a_repository_stays_as_it_is_written() -> None:
    assert issue_url("Owner/Repo.js#7") == "https://github.com/Owner/Repo.js/issues/7"


@pytest.mark.parametrize(
    "text",
    [
        "crash when opening",
        f"{URL} crashes",
        f"see {URL}",
        f"{URL}\n{URL}",
        f"[it crashes]({URL}) again",
        "https",
        "owner/repo",
        "and/or",
        "C#12",
        "src/main.py/open",
        "it fails in github.com",
    ],
)
def test_a_text_is_no_address(text: str) -> None:
    assert issue_url(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "https://github.com/owner/repo",
        "github.com/owner/repo/issues",
        "https://github.com/owner/repo/issues/new",
        "https://github.com",
        "https://api.github.com/repos/owner/repo",
        "www.example.com",
        "ftp://github.com/owner/repo/issues/12",
        "#12",
        "GH-12",
    ],
)
def test_an_address_that_names_no_issue_is_an_error_and_never_a_text(text: str) -> None:
    with pytest.raises(
        UsageError, match=r"is not the address of an issue\.\nGive the issue as https://github\.com/"
    ):
        issue_url(text)


def test_an_issue_of_another_server_is_recognised_by_its_address() -> None:
    assert issue_url("http://git.example.com/a/b/issues/3/?x#y") == "https://git.example.com/a/b/issues/3"


@pytest.mark.parametrize(
    "text", ["owner/repo", "https://github.com/owner/repo", "github.com/owner/repo/", "<owner/repo>"]
)
def test_a_repository_is_named_by_owner_and_name_or_by_its_address(text: str) -> None:
    assert repository_name(text) == "owner/repo"


@pytest.mark.parametrize("text", ["repo", "owner/repo/issues/12", "https://example.com/owner/repo", ""])
def test_another_name_of_a_repository_is_refused(text: str) -> None:
    with pytest.raises(
        UsageError, match=r"this is not the name of a repository\.\nGive the repository as OWNER/REPO"
    ):
        repository_name(text)


@pytest.mark.parametrize("link", ["](", "](a", '](a "', "](a) "])
def test_a_long_text_with_many_links_is_a_text(link: str) -> None:
    """A search whose time grows with the square of the length would not end within hours."""
    assert issue_url("[" + link * 200_000 + "x") is None


@pytest.mark.parametrize("prefix", ["owner/repo#", "https://github.com/owner/repo/issues/"])
def test_an_address_whose_number_is_too_long_is_refused(prefix: str) -> None:
    assert issue_url(prefix + "9" * 18) == "https://github.com/owner/repo/issues/" + "9" * 18
    with pytest.raises(UsageError) as raised:
        issue_url(prefix + "9" * 5000)
    assert str(raised.value) == (
        "owner/repo#999999999999999999... is not the address of an issue: its number has 5,000 digits.\n"
        "Check the number. The number of an issue has at most 18 digits."
    )
