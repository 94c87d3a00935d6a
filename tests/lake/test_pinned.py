"""Pins: what is opened stays as it was, whatever happens beside it."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from pipeline.contracts import ISSUES, SOURCE_HEALTH, TOKENS
from pipeline.errors import UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned, pin_days, superseded_issues


def ingest(lake: Lake, day: str, *issues: tuple[int, int]) -> None:
    """A day with issues, given as (issue id, hour of opening)."""
    rows = [
        {
            "issue_id": number,
            "issue_url": f"https://github.com/a/b/issues/{number}",
            "repo": "a/b",
            "number": number,
            "author": None,
            "title": "t",
            "body": None,
            "created_at": datetime.fromisoformat(day).replace(hour=hour, tzinfo=UTC),
            "event_id": f"{day}-{number}",
            "trainable": False,
        }
        for number, hour in issues
    ]
    draft = lake.draft(ISSUES.name, {"day": day})
    draft.write_table("part-00000.parquet", pa.Table.from_pylist(rows, schema=ISSUES.schema), ISSUES)
    source = draft.commit()
    health = {
        "day": datetime.fromisoformat(day).date(),
        "hours_found": 24,
        "hours_missing": [],
        "events": len(issues),
        "malformed": 0,
        "issues": len(issues),
        "trainable": 0,
        "usual_events": None,
        "verdict": "complete",
    }
    draft = lake.draft(SOURCE_HEALTH.name, {"day": day}, (source.digest,))
    draft.write_table(
        "part-00000.parquet", pa.Table.from_pylist([health], schema=SOURCE_HEALTH.schema), SOURCE_HEALTH
    )
    draft.commit()
    tokens = [
        {"issue_id": number, "repo": "a/b", "trainable": False, "body": [], "title": ["t"]}
        for number, _ in issues
    ]
    draft = lake.draft(TOKENS.name, {"day": day}, (source.digest,))
    draft.write_table("part-00000.parquet", pa.Table.from_pylist(tokens, schema=TOKENS.schema), TOKENS)
    draft.commit()


@pytest.fixture
def lake(tmp_path) -> Lake:
    return Lake(str(tmp_path))


def test_the_earliest_opened_event_wins_in_whichever_day_it_stands(lake):
    ingest(lake, "2015-01-01", (1, 9), (2, 10))
    ingest(lake, "2015-01-02", (2, 8), (3, 9))
    assert superseded_issues(lake, pin_days(lake, ["2015-01-01", "2015-01-02"])) == {"2015-01-02": [2]}


def test_a_backfilled_earlier_day_takes_the_issue_over(lake):
    ingest(lake, "2015-01-02", (2, 8))
    ingest(lake, "2015-01-01", (2, 10))
    assert superseded_issues(lake, pin_days(lake, ["2015-01-02", "2015-01-01"])) == {"2015-01-02": [2]}


def test_the_mask_drops_what_is_superseded(lake):
    ingest(lake, "2015-01-01", (1, 9))
    ingest(lake, "2015-01-02", (1, 8), (3, 9))
    plan = Pinned(lake, "releases", "r").open(pin_days(lake, ["2015-01-01", "2015-01-02"]), {})
    assert plan.keep_mask("2015-01-02", pa.array([1, 3]).to_numpy()).tolist() == [False, True]
    assert plan.keep_mask("2015-01-01", pa.array([1]).to_numpy()).tolist() == [True]


def test_a_plan_does_not_change_when_a_day_is_ingested_again(lake):
    ingest(lake, "2015-01-01", (1, 9))
    release = Pinned(lake, "releases", "r")
    before = release.open(pin_days(lake, ["2015-01-01"]), {"model": "m"})
    ingest(lake, "2015-01-01", (1, 9), (5, 10))
    assert release.open(pin_days(lake, ["2015-01-01"]), {"model": "other"}) == before
    assert release.issues(before.days[0]).rows == 1


def test_a_day_whose_tokens_are_of_older_issues_is_not_pinned(lake):
    ingest(lake, "2015-01-01", (1, 9))
    (old,) = pin_days(lake, ["2015-01-01"])
    draft = lake.draft(ISSUES.name, {"day": "2015-01-01"})
    new = draft.commit()
    with pytest.raises(UsageError, match="2015-01-01 has no current verdict"):
        pin_days(lake, ["2015-01-01"])
    lake.draft(SOURCE_HEALTH.name, {"day": "2015-01-01"}, (new.digest,)).commit()
    with pytest.raises(UsageError, match="2015-01-01 has no current tokens"):
        pin_days(lake, ["2015-01-01"])
    assert lake.manifest(old.issues).rows == 1


def test_what_was_never_opened_says_how_to_open_it(lake):
    with pytest.raises(UsageError, match="titler plan --release RELEASE"):
        Pinned(lake, "releases", "r").plan


def test_what_was_never_opened_is_told_with_what_was(lake):
    ingest(lake, "2015-01-01", (1, 9))
    Pinned(lake, "releases", "r").open(pin_days(lake, ["2015-01-01"]), {})
    lake.put_json("releases/current.json", {"release_id": "r"})
    with pytest.raises(UsageError, match=r"\(latest: r\)"):
        Pinned(lake, "releases", "other").plan


def test_a_stage_before_its_inputs_says_which_verb_makes_them(lake):
    with pytest.raises(UsageError, match="Make them first: titler embed --release r"):
        Pinned(lake, "releases", "r").members["embeddings_v1"]
    with pytest.raises(UsageError, match="Make them first: titler vectorize --model m"):
        Pinned(lake, "models", "m").members["vectors_v1"]


@pytest.mark.parametrize("name", ["", "..", "a/b", "-x", "a b"])
def test_a_name_that_is_no_name_is_refused(lake, name):
    with pytest.raises(UsageError, match="is no name"):
        Pinned(lake, "models", name)
