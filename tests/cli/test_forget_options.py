"""titler forget: what a user may name, and the reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.cli.stage_forget import _check_reason, _print_counted, _print_forgotten, _subject
from pipeline.errors import BudgetError, UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.forgotten import ForgottenList
from pipeline.stages.forget import (
    SAMPLES,
    UNFINISHED_WORK,
    Counted,
    Subject,
    _withdrawn_on_error,
    unfinished_on_error,
)
from tests.support.titler_in_process import titler


@pytest.mark.parametrize("author", ["@", " ", "https://github.com/ann", "ann smith", "ann/b"])
def test_what_cannot_be_a_login_is_refused(author: str) -> None:
    with pytest.raises(UsageError, match="is not the login of an account"):
        _subject(None, None, author)


@pytest.mark.parametrize("author", ["Ann", "@Ann", "helper[bot]", "ann-b_company"])
def test_a_login_may_have_an_at_sign_before_it(author: str) -> None:
    assert _subject(None, None, author).value == author.removeprefix("@")


@pytest.mark.parametrize("because", ["asked about https://github.com/A/b/issues/5", "asked about a/b#5"])
def test_a_reason_that_names_the_issue_in_either_form_is_refused(because: str) -> None:
    with pytest.raises(UsageError, match="--because contains"):
        _check_reason(_subject("A/b#5", None, None), because)


def test_a_wrong_address_of_the_lake_creates_no_lake(tmp_path: Path) -> None:
    root = tmp_path / "lak"
    for option in (["--because", "a request"], ["--dry-run"], ["--verify"]):
        done = titler("forget", "--repo", "a/b", *option, environment={"TITLER_LAKE__ROOT": str(root)})
        assert (done.returncode, done.stderr) == (
            2,
            f"titler: There is no lake at {root}, so nothing can be forgotten or searched in it.\n"
            "Check the setting lake.root: titler doctor\n",
        )
        assert not root.exists()


@pytest.mark.parametrize(("removed", "is_locked"), [({}, False), ({"issues_v1": 1}, True)])
def test_an_error_before_the_next_removal_says_if_an_interrupted_command_has_locked_the_lake(
    removed: dict[str, int], is_locked: bool
) -> None:
    lake = Lake(f"memory://locked{is_locked}")
    forgotten = ForgottenList.read(lake)
    forgetting = replace(Subject("repo", "a/b").begin(forgotten, "a request"), removed=removed)
    forgotten = forgotten.store(lake, forgetting)
    with pytest.raises(BudgetError) as raised, _withdrawn_on_error(lake, forgotten, forgetting):
        raise BudgetError("The budget is spent.")
    assert ("no other command may write to the lake" in raised.value.hint) == is_locked
    assert (ForgottenList.read(lake).unfinished is not None) == is_locked


def test_an_error_after_the_first_removal_says_that_the_lake_is_locked() -> None:
    with pytest.raises(BudgetError) as raised, unfinished_on_error():
        raise BudgetError("The budget is spent.", "Wait until midnight UTC.")
    assert raised.value.hint == (
        "Wait until midnight UTC.\n"
        "The removal has begun and is not finished. Until it is finished, no other command may write to the "
        "lake, and `titler status` says so. To finish it, run the same `titler forget` command again."
    )


@pytest.mark.parametrize(("value", "kind"), [("https://github.com/a/b/issues/1", "address"), ("12", "issue")])
def test_a_removal_that_matches_nothing_says_so_and_that_its_entry_stays(
    capsys: pytest.CaptureFixture[str], value: str, kind: str
) -> None:
    forgetting = Subject("issue", value).begin(
        ForgottenList.read(Lake(f"memory://nothing{kind}")), "a request"
    )
    assert list(forgetting.hashes) == [kind]
    _print_forgotten(replace(forgetting, removed={UNFINISHED_WORK: 1, SAMPLES: 0}))
    text = " ".join(capsys.readouterr().out.split())
    assert text.startswith("forget: 0 issues removed. The removal is recorded as ")
    assert "nothing in the lake matches this issue. " in text
    assert "there is no command that removes it from the list" in text


def test_a_removal_that_matches_something_does_not_warn(capsys: pytest.CaptureFixture[str]) -> None:
    forgetting = Subject("issue", "12").begin(ForgottenList.read(Lake("memory://something")), "a request")
    _print_forgotten(replace(forgetting, removed={"issues_v1": 1}))
    text = capsys.readouterr().out
    assert text.startswith("forget: 1 issue removed. ")
    assert "nothing in the lake matches" not in text


def test_a_dry_run_that_matches_nothing_prints_only_that(capsys: pytest.CaptureFixture[str]) -> None:
    _print_counted(Counted(rows={}, batches={}, issues=0))
    assert capsys.readouterr().out == (
        "forget: nothing would be removed, because nothing in the lake matches\n"
    )
