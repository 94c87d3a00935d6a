"""Models and releases in the lake: their plans, members and notes, and the errors about their names."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from pipeline.contracts import DUPLICATE_MARKS, ISSUES, SOURCE_HEALTH, TOKENS, VECTORS
from pipeline.errors import LakeError, UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.json_documents import delete_and_repeat
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import BatchKey, Note, Pinned, pin_days
from tests.warehouse.events import mark


def write_marks(lake: Lake, day: str, event_ids: Sequence[str] | None) -> dict[str, Any]:
    """Writes the duplicate marks of a day. Returns what the figures of its issues say about them."""
    if event_ids is None:
        return {}
    draft = lake.draft(DUPLICATE_MARKS.name, {"day": day}, (), {"marks": event_ids})
    rows = pa.Table.from_pylist([mark(event_id) for event_id in event_ids], schema=DUPLICATE_MARKS.schema)
    draft.write_table("part-00000.parquet", rows, DUPLICATE_MARKS)
    return {DUPLICATE_MARKS.name: {"batch": draft.commit().folder, "marks": len(event_ids), "incomplete": 0}}


def ingest(lake: Lake, day: str, *issues: tuple[int, int], marks: Sequence[str] | None = None) -> None:
    """Writes the issues, source health and tokens of a day. Each issue is (issue id, hour of opening).
    `marks` are the event ids of its duplicate marks, or None if an earlier version extracts the day."""
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
    source = draft.commit(write_marks(lake, day, marks))
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


def test_the_keep_mask_is_false_for_superseded_issues(lake):
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


def test_a_day_whose_verdict_or_tokens_were_made_from_older_issues_cannot_be_pinned(lake):
    ingest(lake, "2015-01-01", (1, 9))
    (old,) = pin_days(lake, ["2015-01-01"])
    draft = lake.draft(ISSUES.name, {"day": "2015-01-01"})
    new = draft.commit()
    with pytest.raises(UsageError, match="Day 2015-01-01 has no verdict yet: its last extraction"):
        pin_days(lake, ["2015-01-01"])
    lake.draft(SOURCE_HEALTH.name, {"day": "2015-01-01"}, (new.digest,)).commit()
    with pytest.raises(UsageError, match="Day 2015-01-01 has not been cleaned since it was last extracted"):
        pin_days(lake, ["2015-01-01"])
    assert lake.manifest(old.issues).rows == 1


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            "releases",
            r"No release is named r \(latest releases: none\)\.\n.* this one: titler plan --release r$",
        ),
        ("models", r"No model is named r \(latest models: none\)\.\n.* this one: titler vocab r$"),
    ],
)
def test_the_error_about_an_unknown_name_says_how_to_create_it(lake, kind, message):
    with pytest.raises(UsageError, match=message):
        _ = Pinned(lake, kind, "r").plan


def test_the_error_about_an_unknown_name_lists_the_latest_names(lake):
    ingest(lake, "2015-01-01", (1, 9))
    Pinned(lake, "releases", "r").open(pin_days(lake, ["2015-01-01"]), {})
    lake.put_json("releases/current.json", {"release_id": "r"})
    with pytest.raises(UsageError, match=r"No release is named other \(latest releases: r\)"):
        _ = Pinned(lake, "releases", "other").plan


@pytest.mark.parametrize(
    ("kind", "table", "message"),
    [
        (
            "releases",
            "embeddings_v1",
            r"Release x has no embeddings_v1 yet\.\nRun first: titler embed --release x$",
        ),
        ("models", "vectors_v1", r"Model x has no vectors_v1 yet\.\nRun first: titler vectorize --model x$"),
        ("models", "predictor", r"Model x has no predictor yet\.\nRun first: titler train x$"),
    ],
)
def test_the_error_about_a_missing_table_names_the_verb_that_adds_it(lake, kind, table, message):
    pinned = Pinned(lake, kind, "x")
    pinned.open([], {})
    with pytest.raises(UsageError, match=message):
        pinned.members[table]


def test_the_plan_of_another_release_is_damage(lake):
    Pinned(lake, "releases", "a").open([], {})
    lake.put("releases/b/plan.json", lake.get("releases/a/plan.json"))
    with pytest.raises(LakeError, match=r"plan of the release a\. Expected the plan of b\.\nRestore it"):
        Pinned(lake, "releases", "b").is_open()


def test_a_release_that_was_not_created_has_no_members(lake):
    with pytest.raises(UsageError, match="No release is named x"):
        Pinned(lake, "releases", "x").members["embeddings_v1"]


def test_a_page_of_manifests_that_two_releases_share_is_read_once(lake, monkeypatch):
    batch = lake.draft(TOKENS.name, {"day": "2015-01-01"}).commit()
    for name in ("a", "b"):
        Pinned(lake, "releases", name).members.put(TOKENS.name, [batch])
    paths_read: list[str] = []
    get = Lake.get

    def record_and_get(lake: Lake, path: str) -> bytes | None:
        paths_read.append(path)
        return get(lake, path)

    monkeypatch.setattr(Lake, "get", record_and_get)
    shared_pages: dict[str, Sequence[Manifest]] = {}
    for name in ("a", "b"):
        assert Pinned(lake, "releases", name, shared_pages).members[TOKENS.name] == [batch]
    (page,) = shared_pages
    assert paths_read == [
        "releases/a/members/tokens_v1.json",
        f"pages/{page}",
        "releases/b/members/tokens_v1.json",
    ]


EVALUATION = Note("evaluation", dict[str, float], "figures", delete_and_repeat)


def test_notes_are_stored_beside_the_plan(lake):
    release = Pinned(lake, "releases", "r")
    assert release.notes[EVALUATION] is None
    release.notes[EVALUATION] = {"rougeL": 30.5}
    assert json.loads(lake.get("releases/r/evaluation.json") or b"") == {"rougeL": 30.5}
    assert Pinned(lake, "releases", "r").notes[EVALUATION] == {"rougeL": 30.5}


@pytest.mark.parametrize("name", ["", "..", "a/b", "-x", "a b"])
def test_an_invalid_name_is_refused(lake, name):
    with pytest.raises(
        UsageError,
        match=r"is not a valid model name\. A name has 1 to 100 letters, digits, '_', '\.' and '-'",
    ):
        Pinned(lake, "models", name)


def test_a_batch_that_was_found_damaged_is_made_again_although_the_release_before_lists_it(lake):
    key = BatchKey(VECTORS.name, {"vocabulary": "v", "day": "2015-01-01"}, ("i",), {})
    batch = lake.draft(key.table, key.partition, key.inputs).commit()
    Pinned(lake, "releases", "before").members.put(VECTORS.name, [batch])
    release = Pinned(lake, "releases", "r")
    release.open_pages({}, {}, base="before")
    assert release.find_all([key]) == [batch]
    lake.delete_folder(batch.folder)  # as the message about a damaged file says
    with pytest.raises(LakeError, match=r"has no manifest\.json"):
        lake.manifest(batch.folder)
    assert Pinned(lake, "releases", "r").find_all([key]) == [None]
