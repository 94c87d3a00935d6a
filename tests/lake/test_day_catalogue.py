"""The catalogue of days: always the same as if all days were read anew, however days were ingested."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.contracts import DUPLICATE_MARKS, ISSUES, SOURCE_HEALTH, TOKENS
from pipeline.errors import LakeError
from pipeline.lake import day_catalogue
from pipeline.lake.batches import Lake
from pipeline.lake.changed_days import list_changes
from pipeline.lake.day_catalogue import CATALOGUE, CatalogueUpdate, CurrentHealth, update_catalogue
from pipeline.lake.duplicate_openings import duplicate_openings
from pipeline.lake.local_cache import LocalCache
from pipeline.lake.members import MANIFEST_PAGE
from pipeline.lake.pages import read_page_files, read_pages
from pipeline.lake.pinned import pin_days
from tests.lake.test_pinned import ingest

ONE, TWO, THREE = "2014-12-31", "2015-01-01", "2015-01-02"


def update(lake: Lake) -> CatalogueUpdate:
    return update_catalogue(lake, lambda: (), list_changes(lake))


def replace_issues(lake: Lake, day: str) -> None:
    """Starts to ingest a day again: its verdict and its tokens are those of the issues before."""
    lake.draft(ISSUES.name, {"day": day}, ["again"]).commit()


def content(lake: Lake, updated: CatalogueUpdate) -> dict[str, Any]:
    """What the pages of a catalogue say about each day."""
    catalogue = updated.catalogue
    return {
        "days": [day.content for day in catalogue.plan(lake).days],
        "superseded": catalogue.plan(lake).superseded,
        "issues": [
            manifest.digest
            for page in read_pages(lake, catalogue.manifests[ISSUES.name].values(), MANIFEST_PAGE)
            for manifest in page
        ],
        "marks": [
            (manifest.day, manifest.digest)
            for page in read_pages(lake, catalogue.manifests[DUPLICATE_MARKS.name].values(), MANIFEST_PAGE)
            for manifest in page
        ],
        "health": [
            list(manifest.inputs)
            for page in read_pages(lake, catalogue.manifests[SOURCE_HEALTH.name].values(), MANIFEST_PAGE)
            for manifest in page
        ],
        "periods": [
            list(names)
            for names in (
                catalogue.days,
                catalogue.ids,
                *(catalogue.manifests[table] for table in sorted(catalogue.manifests)),
            )
        ],
    }


def test_a_new_day_is_added_and_only_its_month_is_written_anew(lake: Lake) -> None:
    for number, day in enumerate((ONE, TWO), start=1):
        ingest(lake, day, (number, 9))
    first = update(lake)
    ingest(lake, THREE, (3, 9))
    second = update(lake)
    assert [day.day for day in second.plan.days] == [ONE, TWO, THREE]
    assert list(second.catalogue.days) == ["2014", "2015-01"]
    assert second.catalogue.days["2014"] == first.catalogue.days["2014"]
    assert second.catalogue.days["2015-01"] != first.catalogue.days["2015-01"]


def test_marks_are_catalogued_where_a_day_has_them(lake: Lake) -> None:
    ingest(lake, ONE, (1, 9))
    ingest(lake, TWO, (2, 9))
    before = update(lake)
    assert before.catalogue.manifests[DUPLICATE_MARKS.name] == {}
    assert [day.duplicate_marks_digest for day in before.plan.days] == ["", ""]
    ingest(lake, TWO, (2, 9), marks=["500"])  # the same issues, extracted again
    after = update(lake)
    assert list(after.catalogue.manifests[DUPLICATE_MARKS.name]) == ["2015-01"]
    assert [bool(day.duplicate_marks) for day in after.plan.days] == [False, True]
    assert after.plan.days[0].content == before.plan.days[0].content
    assert after.plan.days[1].content != before.plan.days[1].content
    assert after.catalogue.days["2014"] == before.catalogue.days["2014"]


def test_a_day_without_marks_is_stored_as_before_there_were_marks(lake: Lake) -> None:
    ingest(lake, ONE, (1, 9))
    (page,) = read_page_files(lake, list(update(lake).catalogue.days.values()))
    assert sorted(json.loads(page)["days"][0]) == [
        *("day", "health", "health_digest", "issues", "issues_digest", "tokens", "tokens_digest")
    ]


def test_nothing_new_writes_nothing(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest(lake, ONE, (1, 9))
    first = update(lake)
    monkeypatch.setattr(Lake, "put", lambda lake, path, data: pytest.fail(f"{path} was written"))
    assert update(lake) == first


def test_a_day_that_is_being_ingested_again_stays_as_it_was_until_all_its_stages_have_run(lake: Lake) -> None:
    ingest(lake, ONE, (1, 9))
    before = update(lake)
    replace_issues(lake, ONE)
    during = update(lake)
    assert (during.days_as_before, during.plan) == ((ONE,), before.plan)
    ingest(lake, ONE, (1, 9), (2, 10))
    after = update(lake)
    assert after.days_as_before == ()
    assert after.plan.days == tuple(pin_days(lake, [ONE]))


def test_a_new_day_without_tokens_is_not_ready_at_each_update_until_it_is_cleaned(lake: Lake) -> None:
    issues = lake.draft(ISSUES.name, {"day": ONE}).commit()
    lake.draft(SOURCE_HEALTH.name, {"day": ONE}, [issues.digest]).commit()
    assert update(lake).days_not_ready == update(lake).days_not_ready == (ONE,)
    lake.draft(TOKENS.name, {"day": ONE}, [issues.digest]).commit()


def test_without_a_catalogue_a_day_that_is_being_ingested_again_stays_as_in_the_current_release(
    lake: Lake,
) -> None:
    ingest(lake, ONE, (1, 9))
    pinned = pin_days(lake, [ONE])
    replace_issues(lake, ONE)
    updated = update_catalogue(lake, lambda: pinned, list_changes(lake))
    assert (updated.days_as_before, updated.plan.days) == ((ONE,), tuple(pinned))


def test_a_day_that_changes_after_the_marks_were_listed_waits_for_the_next_update(lake: Lake) -> None:
    ingest(lake, ONE, (1, 9))
    changes = list_changes(lake)
    ingest(lake, TWO, (2, 9))
    first = update_catalogue(lake, lambda: (), changes)
    assert [day.day for day in first.plan.days] == [ONE, TWO]  # the first catalogue has all days
    changes = list_changes(lake)
    ingest(lake, THREE, (3, 9))
    second = update_catalogue(lake, lambda: (), changes)
    assert [day.day for day in second.plan.days] == [ONE, TWO]
    assert [day.day for day in update(lake).plan.days] == [ONE, TWO, THREE]


def test_a_day_that_an_earlier_version_did_not_clean_waits_for_its_tokens(lake: Lake) -> None:
    issues = lake.draft(ISSUES.name, {"day": ONE}).commit()
    lake.draft(SOURCE_HEALTH.name, {"day": ONE}, [issues.digest]).commit()
    lake.delete_folder("days/changed")  # it left no marks
    assert update(lake).days_not_ready == update(lake).days_not_ready == (ONE,)
    assert list(CurrentHealth(lake)) == [ONE]


def test_a_file_of_another_program_among_the_marks_is_no_mark(lake: Lake) -> None:
    lake.put("days/changed/.DS_Store", b"")
    assert list_changes(lake) == []


def test_the_mark_of_a_batch_that_may_still_become_current_stays_until_it_is_old(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(lake, ONE, (1, 9))
    lake.put(f"days/changed/{ONE},{ISSUES.name},abcdef,1", b"")
    update(lake)
    assert [change.batch_id for change in list_changes(lake)] == ["abcdef"]
    monkeypatch.setattr(day_catalogue, "MARKS_KEPT", timedelta(days=-1))
    update(lake)
    assert list_changes(lake) == []


def test_a_catalogue_that_was_deleted_is_made_again(lake: Lake) -> None:
    for number, day in enumerate((ONE, TWO), start=1):
        ingest(lake, day, (number, 9), (9, number))
    before = content(lake, update(lake))
    lake.delete(CATALOGUE)
    assert content(lake, update(lake)) == before


def test_health_comes_from_the_catalogue_and_from_the_days_that_have_changed_since(lake: Lake) -> None:
    for number, day in enumerate((ONE, TWO), start=1):
        ingest(lake, day, (number, 9))
    update(lake)
    ingest(lake, TWO, (2, 9), (3, 9))
    ingest(lake, THREE, (4, 9))
    health = CurrentHealth(lake)
    assert health.changed_days == {TWO, THREE}
    expected = {day: lake.current(SOURCE_HEALTH.name, {"day": day}) for day in (ONE, TWO, THREE)}
    assert dict(health) == expected
    assert CurrentHealth(lake)[ONE] == expected[ONE]
    assert CurrentHealth(lake).get("2015-02-01") is None


def test_a_damaged_page_is_an_error_and_not_a_catalogue_without_its_days(lake: Lake, tmp_path: Path) -> None:
    ingest(lake, ONE, (1, 9))
    (name,) = update(lake).catalogue.days.values()
    lake.put(f"pages/{name}", b"{}")
    another_machine = Lake(lake.root, LocalCache(str(tmp_path / "another cache")))
    with pytest.raises(LakeError, match="is damaged: its SHA-256"):
        update(another_machine)


def test_another_range_of_ids_than_that_of_the_page_is_damage(lake: Lake) -> None:
    ingest(lake, TWO, (3, 9), (1, 9))
    catalogue = update(lake).catalogue
    catalogue.check_ids(lake)
    (page,) = catalogue.ids.values()
    damaged = replace(catalogue, ids={"2015-01": replace(page, first=2)})
    with pytest.raises(
        LakeError, match=r"has the ids 2 to 3, but this page has the ids 1 to 3\.\nDelete this"
    ):
        damaged.check_ids(lake)


DAYS = ("2013-06-01", "2014-12-30", "2014-12-31", "2015-01-01", "2015-01-02", "2015-02-01")
Openings = dict[int, int]
"""From the id of an issue to the hour at which it was opened."""


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(DAYS),
            st.tuples(
                st.dictionaries(st.integers(1, 6), st.integers(0, 23), max_size=4),
                st.sampled_from([None, [], ["500"], ["501"]]),
            ),
        ),
        min_size=1,
        max_size=8,
    ),
    st.integers(0, 2**32),
)
def test_the_catalogue_does_not_depend_on_the_order_of_ingestion_or_on_earlier_updates(
    tmp_path_factory: pytest.TempPathFactory,
    ingested: list[tuple[str, tuple[Openings, Sequence[str] | None]]],
    seed: int,
) -> None:
    """Days are ingested, and again with other issues, with an update in between now and then. In the end the
    catalogue is that of a lake that has only the last state of each day, and which is read at once."""
    folder, dice = tmp_path_factory.mktemp("lakes"), random.Random(seed)
    lake = Lake(str(folder / "step by step"))
    for day, (openings, marks) in ingested:
        ingest(lake, day, *openings.items(), marks=marks)
        if dice.random() < 0.5:
            update(lake)
    updated = update(lake)
    at_once = Lake(str(folder / "at once"))
    for day, (openings, marks) in sorted(dict(ingested).items()):
        ingest(at_once, day, *openings.items(), marks=marks)
    assert content(lake, updated) == content(at_once, update(at_once))
    pinned = [(day.day, day.issues) for day in updated.plan.days]
    assert updated.plan.superseded == duplicate_openings(lake, pinned)
    current = set().union(*(day.batch_ids for day in updated.plan.days))
    assert [change for change in list_changes(lake) if change.batch_id in current] == []


def test_ingest_writes_what_an_hour_of_opening_says(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    ingest(lake, ONE, (1, 9))
    (row,) = lake.read(lake.manifest(pin_days(lake, [ONE])[0].issues), ISSUES).to_pylist()
    assert row["created_at"] == datetime(2014, 12, 31, 9, tzinfo=UTC)
