"""The command `titler forget`, and what it prints."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli import report_command
from pipeline.cli.console import count, print_table, say_wrapped
from pipeline.cli.options import Context, app, context
from pipeline.errors import ExitCode, UsageError
from pipeline.progress import say

if TYPE_CHECKING:
    from pipeline.lake.forgotten import Forgetting
    from pipeline.stages.forget import Counted, Subject
    from pipeline.stages.forget_verify import Searched

_LOGIN = re.compile(r"[\w-]+(?:\[bot\])?", re.ASCII)
EXAMPLE = 'titler forget --author LOGIN --because "a request of 2015-01-04"'

DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be removed, and change nothing.")]
Verify = Annotated[
    bool,
    typer.Option(
        "--verify",
        help="Search all files and tables for the issue, repository or author. Print what was searched "
        "and found, and change nothing. Exit with code 3 if anything was found.",
    ),
]


@app.command()
def forget(
    issue: Annotated[
        str | None,
        typer.Option(
            "--issue",
            metavar="ADDRESS|ID",
            help="Issue to remove: its address (URL or OWNER/REPO#NUMBER) or its id at GitHub.",
        ),
    ] = None,
    repo: Annotated[
        str | None,
        typer.Option(
            "--repo", metavar="OWNER/REPO", help="Remove all present and later issues of this repository."
        ),
    ] = None,
    author: Annotated[
        str | None,
        typer.Option(
            "--author",
            metavar="LOGIN",
            help="Remove all present and later issues and duplicate marks of this account.",
        ),
    ] = None,
    because: Annotated[
        str,
        typer.Option(
            "--because",
            metavar="REASON",
            help="Reason for the removal. It is recorded, so it must not name anybody.",
        ),
    ] = "",
    dry_run: DryRun = False,
    verify: Verify = False,
) -> None:
    """Remove an issue, a repository or an author from all tables and releases, and from the sample titles of
    models. Later releases will not contain the removed data. Print what was removed, and what cannot be
    removed, such as trained weights.

    This command changes published releases. It does not start while another command writes to the lake, and
    no other command can write to the lake until it has finished. If it is interrupted, run it again: it
    continues.

    Example: titler forget --issue OWNER/REPO#123 --because "a request of 2015-01-04"
    """
    subject = _subject(issue, repo, author)
    if dry_run and verify:
        raise UsageError(
            "--dry-run and --verify cannot be given together.", "Give only one of the two options."
        )
    if verify:
        _verify(context(), subject)
    elif dry_run:
        from pipeline.stages.forget import count as count_rows

        _print_counted(count_rows(context().lake, context().settings, subject))
    else:
        _check_reason(subject, because)
        _forget(context(), subject, because)


def _verify(current: Context, subject: Subject) -> None:
    from pipeline.stages.forget_verify import verify

    places = verify(current.lake, current.settings, subject)
    _print_searched(places)
    if any(place.findings for place in places):
        raise typer.Exit(ExitCode.DECISION_NEEDED)


def _forget(current: Context, subject: Subject, because: str) -> None:
    from pipeline.stages import forget as stage

    forgetting = stage.run(current.lake, current.settings, subject, because)
    _print_forgotten(forgetting)
    _write_report_again(current, forgetting)


def _subject(issue: str | None, repo: str | None, author: str | None) -> Subject:
    from pipeline.serving.addresses import issue_url, repository_name
    from pipeline.stages.forget import Subject

    chosen = [name for name, value in (("issue", issue), ("repo", repo), ("author", author)) if value]
    if len(chosen) != 1:
        raise UsageError(
            "Give --because and exactly one of --issue, --repo and --author.", f"For example: {EXAMPLE}"
        )
    if issue:
        url = issue if issue.isdecimal() else issue_url(issue)
        if url is None:
            raise UsageError(
                f"--issue {issue}: this is not the address of an issue.",
                "Give the issue as https://github.com/OWNER/REPO/issues/NUMBER, as OWNER/REPO#NUMBER, or "
                "by its id at GitHub.",
            )
        return Subject("issue", url)
    if repo:
        return Subject("repo", repository_name(repo))
    login = str(author).strip().removeprefix("@")
    if not _LOGIN.fullmatch(login):
        raise UsageError(
            f"--author {author}: this is not the login of an account.",
            "Give the login as in the address https://github.com/LOGIN, for example: --author octocat",
        )
    return Subject("author", login)


def _check_reason(subject: Subject, because: str) -> None:
    if not because.strip():
        raise UsageError(
            "--because is missing: the lake records why something was forgotten.", f"For example: {EXAMPLE}"
        )
    if any(name.lower() in because.lower() for name in (subject.value, subject.named[1])):
        raise UsageError(
            f"--because contains {subject.value}, but the reason is recorded and stays in the lake.",
            f"Give a reason that names nobody, for example: {EXAMPLE}",
        )


def _print_counted(counted: Counted) -> None:
    if counted.is_empty:
        say("forget: nothing would be removed, because nothing in the lake matches")
        return
    say(f"forget: {count(counted.issues, 'issue')} would be removed")
    rows = [
        (place, f"{number:,}", f"{counted.batches.get(place, 0):,}" if place in counted.batches else "")
        for place, number in counted.rows.items()
    ]
    print_table([("place", "left"), ("rows", "right"), ("batches written again", "right")], rows, 4)
    say(
        "    New batches without these rows would replace the old batches in all releases and models. "
        "Nothing was changed"
    )


def _print_forgotten(forgetting: Forgetting) -> None:
    from pipeline.stages.forget import has_removed

    # A subject that was given by its id has a hash of this id, even if no issue has the id.
    issues = len(forgetting.hashes.get("issue", ())) if has_removed(forgetting) else 0
    say(
        f"forget: {count(issues, 'issue')} removed. The removal is recorded as {forgetting.id} in "
        "forgotten.json"
    )
    if not has_removed(forgetting):
        say_wrapped(
            f"nothing in the lake matches this {forgetting.kind}. Whatever it names is left out of later "
            "extractions, even if it was a typing error: there is no command that removes it from the list. "
            "If it was a typing error, run the command again with the right name. To check a name before: "
            "--dry-run",
            4,
        )
    rows = [(place, f"{number:,}") for place, number in forgetting.removed.items() if number]
    if rows:
        print_table([("place", "left"), ("removed", "right")], rows, 4)
    for text in forgetting.remains:
        say_wrapped(f"remains: {text}", 4)
    say_wrapped(
        "remains: the original at the source, texts of other people that mention what was removed, and "
        "copies outside of the lake, such as exports and logs",
        4,
    )


def _write_report_again(current: Context, forgetting: Forgetting) -> None:
    from pipeline.releases.current import current_release_id
    from pipeline.stages.forget import REPORTS

    release_id = current_release_id(current.lake)
    if release_id and forgetting.removed.get(REPORTS):
        report_command.write_after_publication(current, current.release(release_id))


def _print_searched(places: Sequence[Searched]) -> None:
    columns = [
        ("place", "left"),
        ("files", "right"),
        ("rows", "right"),
        ("found", "right"),
        ("mentions", "right"),
    ]
    rows = [
        (
            place.place,
            *(f"{number:,}" for number in (place.files, place.rows, place.findings, place.mentions)),
        )
        for place in places
    ]
    print_table(columns, rows, 0)
    findings = sum(place.findings for place in places)
    say(f"forget --verify: {count(findings, 'finding')}")
