"""titler forget: what a user may name, and the reason."""

from __future__ import annotations

import pytest

from pipeline.cli.stage_forget import _check_reason, _subject
from pipeline.errors import UsageError


@pytest.mark.parametrize("author", ["@", " ", "https://github.com/ann", "ann smith", "ann/b"])
def test_what_cannot_be_a_login_is_refused(author: str) -> None:
    with pytest.raises(UsageError, match="is not the login of an account"):
        _subject(None, None, author)


@pytest.mark.parametrize("author", ["Ann", "@Ann", "helper[bot]", "ann-b_company"])
def test_a_login_may_have_an_at_sign_before_it(author: str) -> None:
    assert _subject(None, None, author).value == author.removeprefix("@")


@pytest.mark.parametrize("because", ["asked about https://github.com/A/b/issues/5", "asked about a/b#5"])
def test_a_reason_that_names_the_issue_in_either_form_is_refused(because: str) -> None:
    with pytest.raises(UsageError, match="--because names"):
        _check_reason(_subject("A/b#5", None, None), because)
