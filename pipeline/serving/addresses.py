"""Recognises the addresses of issues and the names of repositories in the forms that people write."""

from __future__ import annotations

import re

from pipeline.errors import UsageError

_OWNER, _NAME = r"[A-Za-z0-9][A-Za-z0-9_-]*", r"[A-Za-z0-9._-]+"
_REPOSITORY = rf"(?P<repo>{_OWNER}/{_NAME})"
_SCHEME, _WWW = r"(?:(?:https?:)?//)?", r"(?:www\.)?"
_END = r"(?:[/?#]\S*)?"
_FORMS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"{_SCHEME}{_WWW}github\.com/{_REPOSITORY}/(?:issues|pull)/(?P<number>\d+){_END}",
        rf"{_SCHEME}api\.github\.com/repos/{_REPOSITORY}/(?:issues|pulls)/(?P<number>\d+){_END}",
        rf"{_REPOSITORY}/(?:issues|pull)/(?P<number>\d+){_END}",
        rf"{_REPOSITORY}#(?P<number>\d+){_END}",
    )
)
"""An issue's page, its address in GitHub's API, and two short forms. Issues and pull requests share their
numbers, and GitHub leads from one form of the address to the other."""
_MOST_DIGITS = 18
"""Largest number of digits in the number of an issue. More digits do not fit into a 64-bit integer."""
_GITHUB = "https://github.com/"
_MARKDOWN_LINK = re.compile(r"\[[^\n]*\]\(\s*<?(?P<target>[^\s<>()\[\]]+)>?(?:\s+[\"'][^\n\"']*[\"'])?\s*\)")
"""The target has no brackets, and the title no quotation marks. Otherwise the time for a text with many links
would grow with the square of its length."""
_ENCLOSED = re.compile(r"<(?P<a>[^\s<>]+)>|\"(?P<b>[^\s\"]+)\"|'(?P<c>[^\s']+)'|`(?P<d>[^\s`]+)`")
_OTHER_ADDRESS = re.compile(
    rf"[a-z][a-z0-9+.-]*://\S*|{_WWW}(?:[a-z0-9-]+\.)*github\.com(?:[/?#]\S*)?|www\.\S+|#\d+|GH-\d+",
    re.IGNORECASE,
)
_REPOSITORY_ADDRESS = re.compile(rf"(?:{_SCHEME}{_WWW}github\.com/)?{_REPOSITORY}/?", re.IGNORECASE)


def issue_url(text: str) -> str | None:
    """Converts the address of an issue to its URL in the form that GH Archive uses:
    https://github.com/OWNER/NAME/issues/NUMBER. Keeps the letter case of owner and name.

    Hour files may contain issues of servers other than GitHub. So every address of another server that begins
    with http:// or https:// counts as the address of an issue. It is returned with https://, and without
    query string, fragment and trailing slash.

    Returns None if `text` is not an address. Raises UsageError if `text` is the address of something else,
    such as a repository, or if the number of the issue is too long.
    """
    address = _unwrapped(text)
    for form in _FORMS:
        if match := form.fullmatch(address):
            return f"{_GITHUB}{match['repo']}/issues/{_number(match)}"
    if not _OTHER_ADDRESS.fullmatch(address):
        return None
    other = re.fullmatch(r"https?://(?P<path>[^\s?#]+)\S*", address, re.IGNORECASE)
    if other and not re.match(rf"{_WWW}(?:api\.)?github\.com(?:/|$)", other["path"], re.IGNORECASE):
        return f"https://{other['path'].rstrip('/')}"
    raise UsageError(
        f"{address} is not the address of an issue.",
        "Give the issue as https://github.com/OWNER/REPO/issues/NUMBER or OWNER/REPO#NUMBER.",
    )


def _number(address: re.Match[str]) -> int:
    """Returns the number of the issue in an address. Raises UsageError if the number is too long."""
    digits = address["number"]
    if len(digits) > _MOST_DIGITS:
        raise UsageError(
            f"{address['repo']}#{digits[:_MOST_DIGITS]}... is not the address of an issue: its number has "
            f"{len(digits):,} digits.",
            f"Check the number. The number of an issue has at most {_MOST_DIGITS} digits.",
        )
    return int(digits)


def is_on_github(url: str) -> bool:
    """Returns whether `url`, a result of `issue_url`, is the URL of an issue on GitHub."""
    return url.startswith(_GITHUB)


def repository_name(text: str) -> str:
    """Returns the name of a repository, OWNER/NAME. `text` is this name, or the address of the repository on
    GitHub. Raises UsageError if `text` has another form."""
    match = _REPOSITORY_ADDRESS.fullmatch(_unwrapped(text))
    if match is None:
        raise UsageError(
            f"--repo {text}: this is not the name of a repository.",
            "Give the repository as OWNER/REPO, for example: --repo rust-lang/rust",
        )
    return match["repo"]


def _unwrapped(text: str) -> str:
    """Removes everything that may enclose an address: white space, a Markdown link, brackets, quotation
    marks, emphasis, and punctuation at its end."""
    stripped = re.sub(r"(?<=[\w/)>])[.,;:!?]+$", "", text.strip())
    stripped = re.sub(r"^([*_(]{1,3})(\S+?)([*_)]{1,3})$", r"\2", stripped)
    if match := _MARKDOWN_LINK.fullmatch(stripped):
        return match["target"]
    if match := _ENCLOSED.fullmatch(stripped):
        return next(group for group in match.groups() if group)
    return stripped
