"""The argument and the options of `titler similar`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import UsageError

IssueOrText = Annotated[
    str | None,
    typer.Argument(
        metavar="URL|TEXT|-",
        help="Address of an issue of the current release (URL or OWNER/REPO#NUMBER), or any text. Use - to "
        "read the address or the text from standard input.",
    ),
]
DraftsFile = Annotated[
    Path | None,
    typer.Option(
        "--from-file",
        metavar="FILE",
        help="Find similar issues for each row of this file, which has titles and bodies. The file can be "
        "JSON, Parquet, CSV or TSV. With --json, the result is one array with an object per row.",
    ),
]
PerList = Annotated[int, typer.Option("-k", min=1, max=1000, help="Number of issues to show in each list.")]
DraftTitle = Annotated[
    str | None,
    typer.Option(
        "--title",
        metavar="TITLE",
        help="Title of an issue that you have not opened yet. The argument TEXT is then the body of this "
        "issue.",
    ),
]
OfRepository = Annotated[
    str | None,
    typer.Option(
        "--repo",
        metavar="OWNER/REPO",
        help="Search only this repository. All its issues are searched, whatever their age.",
    ),
]
SameRepository = Annotated[
    bool,
    typer.Option(
        "--same-repo",
        help="Search only the issue's own repository. All its issues are searched, whatever their age.",
    ),
]
Everywhere = Annotated[
    bool,
    typer.Option(
        "--everywhere",
        help="Show only the list of similar issues from all repositories. Without this option, there is "
        "also a list from the repository of the given issue. Without --since, the search of all repositories "
        "goes back only as many months as the setting similar.months says.",
    ),
]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="DATE", help="Search only issues that were opened on this day or later."),
]
ShowAll = Annotated[
    bool,
    typer.Option(
        "--all", help="Also show issues whose probability is below the setting similar.min_probability."
    ),
]


def check_query(query: str | None, from_file: Path | None, title: str | None) -> None:
    """Raises UsageError in these cases:

    - Both or neither of `query` (an issue or a text) and `from_file` are given.
    - `title` is given together with a file or with the address of an issue.
    - `query` is only a number, which is probably the id of an issue.
    """
    has_other_title = title is not None and (from_file is not None or _is_issue(query or ""))
    if (query is None) == (from_file is None) or has_other_title:
        raise UsageError(
            "Give exactly one of these: an issue, a text, or --from-file FILE. Use --title only with a text.",
            "For one issue or text: titler similar URL|TEXT|-\n"
            "For each row of a file with titles and bodies: titler similar --from-file FILE",
        )
    if title is None and query and query.strip().isdecimal():
        raise UsageError(
            f"{query.strip()} is only a number. This command finds an issue by its address, not by its id.",
            "Give the issue as https://github.com/OWNER/REPO/issues/NUMBER or OWNER/REPO#NUMBER.\n"
            f"If the number is the id of an issue, this prints its address: titler explain {query.strip()}",
        )


def _is_issue(text: str) -> bool:
    from pipeline.serving.addresses import issue_url

    with suppress(UsageError):  # the address of something else, such as a repository
        return issue_url(text) is not None
    return False
