"""index: embeddings in; the segments of a release, its recall, and the older neighbours of each issue out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline.contracts import (
    DUPLICATE_PAIRS,
    EMBEDDINGS,
    INDEX,
    SEGMENTS,
    SIMILAR_ISSUES,
    SIMILAR_ISSUES_V1,
)
from pipeline.errors import StoppedError, UsageError
from pipeline.index import duplicate_pairs, neighbour_batches
from pipeline.index.neighbour_rows import find_lists
from pipeline.index.ordering import DEFAULT_ORDERING
from pipeline.index.recall import measure_recall
from pipeline.index.segment import Segment
from pipeline.index.stored_orderings import named, store_ordering
from pipeline.lake.batches import Lake
from pipeline.lake.draft import Draft
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned
from pipeline.releases.index_figures import index_figures
from pipeline.settings import Compute, Index, Settings, Similar
from pipeline.stages import index
from pipeline.telemetry import Recording, sending
from tests.stages.literal_models import add_model
from tests.stages.literal_releases import Days, add_marks, embedded_release
from tests.support.collector import Collector
from tests.support.receivers import serving

DAYS = {"2015-01-01": {1: [1, 0], 2: [1, 1]}, "2015-01-02": {3: [0, 1], 4: [0, 0]}}


def settings(similar: Similar | None = None, **index_settings: Any) -> Settings:
    return Settings(index=Index(**index_settings), similar=similar or Similar())


def neighbours(release: Pinned, name: str = "everywhere") -> list[tuple[Any, ...]]:
    """Rows of similar_issues_v2 of one of the lists: the issue, the rank, the neighbour, whether it is a
    near-duplicate."""
    columns = ("issue_id", "rank", "similar_issue_id", "near_duplicate")
    return [
        tuple(row[column] for column in columns)
        for manifest in release.members[SIMILAR_ISSUES.name]
        for row in release.lake.read(manifest, SIMILAR_ISSUES).to_pylist()
        if row["list"] == name
    ]


def days_of(count: int, issues: int = 4, month: str = "2015-01") -> dict[str, dict[int, list[float]]]:
    """Days of a month with random vectors. Some vectors are equal."""
    year_and_month = int(month.replace("-", ""))
    random = np.random.default_rng(year_and_month)
    return {
        f"{month}-{day:02}": {
            10_000 * year_and_month + 100 * day + number: random.integers(-2, 3, 4).astype(float).tolist()
            for number in range(issues)
        }
        for day in range(1, count + 1)
    }


def published(lake: Lake, days: Days, chosen: Iterable[str], name: str, **options: Any) -> Pinned:
    """A release of some of the days, with its index."""
    release = embedded_release(lake, {day: days[day] for day in sorted(chosen)}, name)
    index.run(lake, release, settings(**options))
    return release


def test_the_neighbours_of_an_issue_are_the_older_ones_nearest_first(tmp_path: Path) -> None:
    release = embedded_release(Lake(str(tmp_path)), DAYS)
    outcome = index.run(release.lake, release, Settings())
    (segment,) = outcome.segments
    assert segment.partition == {"model": "m", "period": "2015-01", "repositories": "1-of-1"}
    assert (segment.figures["items"], segment.rows) == (3, 3)  # issue 4 has no vector
    assert {name: outcome.figures[name] for name in ("items", "recall_at_10", "recall_queries")} == {
        "items": 3,
        "recall_at_10": 1.0,
        "recall_queries": 3,
    }
    assert outcome.figures == index_figures(release)
    expected = [(2, 1, 1, True), (3, 1, 2, True), (3, 2, 1, False)]
    assert neighbours(release) == neighbours(release, "repository") == expected


def test_the_trace_of_an_index_has_its_steps_and_the_days_of_its_neighbours(tmp_path: Path) -> None:
    release = embedded_release(Lake(str(tmp_path)), DAYS)
    with serving(Collector()) as collector, sending(collector.address, Recording("index")):
        index.run(release.lake, release, Settings())
    steps = ["segments", "recall", "neighbours", "marked duplicates", "index"]
    assert [span.name for span in collector.spans] == steps
    attributes = {each.key: each.value.string_value for each in collector.spans[2].attributes}
    assert attributes["titler.partition.day"] == "2015-01-01 to 2015-01-02"


def test_an_issue_has_a_list_of_its_own_repository_that_looks_back_over_everything(tmp_path: Path) -> None:
    days: Days = {"2012-05-01": {1: [1, 0], 2: [1, 0]}, "2015-01-01": {3: [1, 0.1], 4: [1, 0.2]}}
    release = embedded_release(Lake(str(tmp_path)), days, repos={2: "c/d", 3: "c/d"})
    index.run(release.lake, release, settings(Similar(months=1)))
    assert neighbours(release, "repository") == [(3, 1, 2, True), (4, 1, 1, True)]
    assert neighbours(release, "everywhere") == [(2, 1, 1, True), (4, 1, 3, True)]


def test_the_probable_duplicates_of_a_day_are_stored_beside_its_neighbours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicate_pairs, "PAIR_PROBABILITY", 0.0)
    days: Days = {"2015-01-01": {1: [1, 0], 2: [0, 1]}, "2015-01-03": {3: [1, 0.1]}}
    release = published(Lake(str(tmp_path)), days, days, "r")
    lists, pairs = (release.members[table.name] for table in (SIMILAR_ISSUES, DUPLICATE_PAIRS))
    assert [each.partition for each in pairs] == [each.partition for each in lists]
    rows = release.lake.read(pairs[1], DUPLICATE_PAIRS).to_pylist()
    assert [(row["issue_id"], row["similar_issue_id"], row["similar_day"]) for row in rows] == [
        (3, 1, date(2015, 1, 1)),
        (3, 2, date(2015, 1, 1)),
    ]


@pytest.mark.parametrize("issues_per_shard", [1, 100])
def test_a_day_whose_probable_duplicates_are_missing_is_searched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, issues_per_shard: int
) -> None:
    monkeypatch.setattr(neighbour_batches, "ISSUES_PER_SHARD", issues_per_shard)
    lake = Lake(str(tmp_path))
    release = published(lake, DAYS, DAYS, "r")
    first = release.members.folders(DUPLICATE_PAIRS.name)
    lake.delete_folder(f"{DUPLICATE_PAIRS.name}/model=m/day=2015-01-02")
    again = embedded_release(lake, DAYS, "again")
    assert index.run(lake, again, settings()).days_searched == 1
    assert again.members.folders(DUPLICATE_PAIRS.name)[0] == first[0]


@pytest.mark.parametrize(
    ("killed_at", "searched_again"),
    [
        ("search 6", ["2015-01-03"]),
        ("commit 5", []),
        ("commit 6", []),
    ],
    ids=["in the second shard of a day", "before the day's lists are stored", "before its pairs are stored"],
)
def test_a_rerun_after_a_kill_searches_only_the_shards_that_were_not_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: str, searched_again: list[str]
) -> None:
    monkeypatch.setattr(neighbour_batches, "ISSUES_PER_SHARD", 2)
    lake, days, searched, committed = Lake(str(tmp_path)), days_of(3), list[str](), list[str]()
    commit = Draft.commit

    def search(segments: Any, issues: pa.Table, *arguments: Any) -> Any:
        searched.append(str(issues.column("day")[0]))
        if killed_at == f"search {len(searched)}":
            raise KeyboardInterrupt
        return find_lists(segments, issues, *arguments)

    def commit_batch(draft: Draft, figures: Any = None) -> Manifest:
        if draft.table in (SIMILAR_ISSUES.name, DUPLICATE_PAIRS.name):
            committed.append(draft.table)
            if killed_at == f"commit {len(committed)}":
                raise KeyboardInterrupt
        return commit(draft, figures)

    monkeypatch.setattr(neighbour_batches, "find_lists", search)
    monkeypatch.setattr(Draft, "commit", commit_batch)
    with pytest.raises(KeyboardInterrupt):
        index.run(lake, embedded_release(lake, days), settings())
    before = len(searched)
    index.run(lake, embedded_release(lake, days, "again"), settings())
    assert searched[before:] == searched_again
    pairs = Pinned(lake, "releases", "again").members[DUPLICATE_PAIRS.name]
    assert [len(batch.files) for batch in pairs] == [2, 2, 2]
    assert list(tmp_path.rglob("*.parquet.json")) == []  # no record of a finished part is left


def test_a_rerun_builds_and_searches_nothing(tmp_path: Path) -> None:
    release = embedded_release(Lake(str(tmp_path)), DAYS)
    first = index.run(release.lake, release, Settings())
    again = index.run(release.lake, release, Settings())
    assert (again.segments, again.figures) == (first.segments, first.figures)
    assert [(outcome.segments_built, outcome.days_searched) for outcome in (first, again)] == [(1, 2), (0, 0)]


def test_a_night_builds_the_segment_of_its_month_and_searches_the_neighbours_of_its_day(
    tmp_path: Path,
) -> None:
    lake, days = Lake(str(tmp_path)), {**days_of(3), **days_of(3, month="2015-02")}
    first = published(lake, days, list(days)[:5], "first")
    night = embedded_release(lake, days, "night")
    outcome = index.run(lake, night, Settings())
    assert (outcome.segments_built, outcome.days_searched) == (1, 1)
    for table in (SEGMENTS.name, SIMILAR_ISSUES.name, DUPLICATE_PAIRS.name):
        before, now = first.members.folders(table), night.members.folders(table)
        assert [folder in before for folder in now] == [True] * (len(now) - 1) + [False]


def test_a_closed_year_becomes_one_segment_and_the_neighbours_stay_the_same(tmp_path: Path) -> None:
    days = {**days_of(2, month="2015-11"), **days_of(2, month="2015-12"), **days_of(1, month="2016-01")}
    open_year = published(Lake(str(tmp_path / "a")), days, list(days)[:4], "r")
    closed = published(Lake(str(tmp_path / "b")), days, days, "r")
    assert [manifest.partition["period"] for manifest in open_year.members[SEGMENTS.name]] == [
        "2015-11",
        "2015-12",
    ]
    assert [manifest.partition["period"] for manifest in closed.members[SEGMENTS.name]] == ["2015", "2016-01"]
    rows = neighbours(open_year)
    assert neighbours(closed)[: len(rows)] == rows


def results(release: Pinned) -> dict[str, str]:
    """The digest of each day's neighbours."""
    return {manifest.day: manifest.digest for manifest in release.members[SIMILAR_ISSUES.name]}


@pytest.mark.parametrize("seed", [1, 2])
def test_days_that_are_ingested_in_any_order_and_published_one_by_one_end_with_the_same_neighbours(
    tmp_path: Path, seed: int
) -> None:
    days = days_of(10)
    at_once = published(Lake(str(tmp_path / "at once")), days, days, "r")
    lake, order = Lake(str(tmp_path / "one by one")), np.random.default_rng(seed).permutation(list(days))
    for count in range(1, 11):
        release = published(lake, days, order[:count].tolist(), f"r{count}")
        assert index_figures(release)["days_with_other_history"] == 0
    assert results(release) == results(at_once)
    assert len(neighbours(release)) == 2 * 40 - 3


def test_a_backfill_searches_again_only_the_days_that_recompute_days_reaches(tmp_path: Path) -> None:
    lake, days, similar = Lake(str(tmp_path)), days_of(10), Similar(recompute_days=3)
    before = published(lake, days, [day for day in days if day != "2015-01-05"], "before", similar=similar)
    after = embedded_release(lake, days, "after")
    outcome = index.run(lake, after, settings(similar=similar))
    changed = [day for day, digest in results(after).items() if results(before).get(day) != digest]
    batches = {folder.split("/")[2] for folder in after.members.folders(SIMILAR_ISSUES.name)} - {
        folder.split("/")[2] for folder in before.members.folders(SIMILAR_ISSUES.name)
    }
    assert batches == {"day=2015-01-05"}  # a new partition; the days after it have new batches
    assert outcome.days_searched == 4
    assert set(changed) <= {"2015-01-05", "2015-01-06", "2015-01-07", "2015-01-08"}
    assert outcome.figures["days_with_other_history"] == 2  # the 9th and the 10th


def test_stored_neighbours_say_in_how_many_days_and_issues_they_were_searched(tmp_path: Path) -> None:
    release = published(Lake(str(tmp_path)), days_of(3), days_of(3), "r")
    assert [manifest.figures for manifest in release.members[SIMILAR_ISSUES.name]] == [
        {"history_days": 1, "history_issues": 4, "all_days": 1, "all_issues": 4},
        {"history_days": 2, "history_issues": 8, "all_days": 2, "all_issues": 8},
        {"history_days": 3, "history_issues": 12, "all_days": 3, "all_issues": 12},
    ]


def test_issues_from_before_the_months_that_a_search_looks_back_are_no_neighbours(tmp_path: Path) -> None:
    days = {"2014-12-31": {1: [1, 0]}, "2015-01-31": {2: [1, 0]}, "2015-03-31": {3: [1, 0]}}
    release = published(Lake(str(tmp_path)), days, days, "r", similar=Similar(months=2))
    assert neighbours(release) == [(2, 1, 1, True), (3, 1, 2, True)]


def test_two_workers_give_the_same_result_as_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = {**days_of(3), **days_of(3, month="2015-02")}
    expected = published(Lake(str(tmp_path / "one process")), days, days, "r")
    monkeypatch.setattr(index, "ITEMS_WORTH_A_CLUSTER", 1)
    monkeypatch.setattr(neighbour_batches, "ISSUES_WORTH_A_CLUSTER", 1)
    lake = Lake(str(tmp_path / "two workers"))
    release = embedded_release(lake, days)
    index.run(lake, release, Settings(compute=Compute(workers=2)))
    for table in (SEGMENTS.name, SIMILAR_ISSUES.name, DUPLICATE_PAIRS.name):
        assert digests(release.members[table]) == digests(expected.members[table])


def digests(manifests: Sequence[Manifest]) -> list[str]:
    return [manifest.digest for manifest in manifests]


def test_an_index_with_too_low_a_recall_stores_no_neighbours(tmp_path: Path) -> None:
    vectors = np.random.default_rng(1).normal(size=(300, 2)).round(3).tolist()
    release = embedded_release(Lake(str(tmp_path)), {"2015-01-01": dict(enumerate(vectors, start=1))})
    with pytest.raises(StoppedError, match=r"recall@10 over 200 issues is 0\.\d+, expected at least 0\.99"):
        index.run(release.lake, release, settings(exact_items=0, trees=1, search_k=1, min_recall=0.99))
    assert (SEGMENTS.name in release.members, SIMILAR_ISSUES.name in release.members) == (False, False)
    outcome = index.run(release.lake, release, settings(exact_items=0))
    assert outcome.figures["recall_at_10"] == 1.0
    assert outcome.figures["segments"][0]["recall_at_10"] == 1.0
    assert len(neighbours(release)) == 2 * 300 - 3  # the oldest issue has no neighbour, the second has one


def test_the_recall_is_measured_again_if_the_settings_of_the_search_change(tmp_path: Path) -> None:
    release = embedded_release(Lake(str(tmp_path)), DAYS)
    index.run(release.lake, release, Settings())
    changed = index.run(release.lake, release, settings(seed=7))
    assert changed.segments_built == 0
    assert changed.figures["parameters"]["seed"] == 7


def after(base: str, release: Pinned, **facts: str) -> Pinned:
    """The same release, with further facts, planned when the release `base` was current."""
    release.open_pages(release.day_pages, {**release.facts, **facts}, base)
    return Pinned(release.lake, "releases", release.name)


def test_the_recall_is_measured_again_when_a_month_with_an_annoy_index_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[int] = []

    def measure(segments: Sequence[Segment], settings: Index, opened_since: int | None) -> tuple[float, int]:
        measured.append(len(segments))
        return measure_recall(segments, settings, opened_since)

    monkeypatch.setattr(index, "measure_recall", measure)
    lake, name = Lake(str(tmp_path)), ""
    days = {**days_of(3, 90, "2015-01"), **days_of(2, 90, "2015-02"), **days_of(1, 90, "2015-03")}
    for count in (3, 4, 5, 6):
        release = embedded_release(lake, {day: days[day] for day in list(days)[:count]}, f"r{count}")
        release = after(name, release) if name else release
        figures = index.run(lake, release, settings(exact_items=10, min_recall=0)).figures
        assert figures["recall_queries"] == 200
        assert figures["items"] == sum(segment["items"] for segment in figures["segments"])
        name = release.name
    assert measured == [1, 2, 3]  # the second day of February changes only the segment of the last month


def test_the_index_of_an_earlier_version_stays_as_it_is(tmp_path: Path) -> None:
    release = embedded_release(Lake(str(tmp_path)), DAYS)
    figures = {"items": 3, "size": 2, "recall_at_10": 0.9, "recall_queries": 3}
    release.members.put(INDEX, [release.lake.draft(INDEX, {"release": "r"}).commit(figures)])
    release.members.put(SIMILAR_ISSUES_V1.name, [])
    outcome = index.run(release.lake, release, Settings())
    assert (outcome.segments, outcome.figures) == ((), figures)
    assert (SEGMENTS.name in release.members, SIMILAR_ISSUES.name in release.members) == (False, False)


def test_the_similar_issues_and_segments_of_an_earlier_version_stay_as_they_are(tmp_path: Path) -> None:
    release = published(Lake(str(tmp_path)), DAYS, DAYS, "r")
    segments, figures = release.members.folders(SEGMENTS.name), index_figures(release)
    release.members.put(SIMILAR_ISSUES_V1.name, [])
    release.lake.delete(release.file(f"members/{SIMILAR_ISSUES.name}.json"))
    again = Pinned(release.lake, "releases", "r")
    outcome = index.run(again.lake, again, Settings())
    assert ([segment.folder for segment in outcome.segments], outcome.figures) == (segments, figures)
    assert SIMILAR_ISSUES.name not in again.members


@pytest.mark.parametrize("missing", [f"members/{SEGMENTS.name}.json", "index.json"])
def test_what_is_missing_of_an_earlier_version_is_made_again(tmp_path: Path, missing: str) -> None:
    release = published(Lake(str(tmp_path)), DAYS, DAYS, "r")
    earlier = release.members[SIMILAR_ISSUES.name]
    release.members.put(SIMILAR_ISSUES_V1.name, earlier)
    for name in (f"members/{SIMILAR_ISSUES.name}.json", missing):
        release.lake.delete(release.file(name))
    again = Pinned(release.lake, "releases", "r")
    outcome = index.run(again.lake, again, Settings())
    assert outcome.figures["items"] == index_figures(again)["items"] == 3
    assert again.members.folders(SEGMENTS.name) == release.members.folders(SEGMENTS.name)
    assert again.members.folders(SIMILAR_ISSUES_V1.name) == [batch.folder for batch in earlier]
    assert SIMILAR_ISSUES.name not in again.members


def test_a_large_day_is_searched_in_shards_with_the_same_neighbours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    days: Days = {**days_of(2, issues=7), "2015-01-03": {8: [0, 0, 0, 0]}}
    monkeypatch.setattr(duplicate_pairs, "PAIR_PROBABILITY", 0.0)
    whole = published(Lake(str(tmp_path / "whole")), days, days, "r")
    monkeypatch.setattr(neighbour_batches, "ISSUES_PER_SHARD", 3)
    release = published(Lake(str(tmp_path / "shards")), days, days, "r")
    batches = release.members[SIMILAR_ISSUES.name]
    assert [(len(batch.files), batch.figures["all_days"]) for batch in batches] == [(3, 1), (3, 2), (1, 3)]
    assert neighbours(release, "repository") == neighbours(whole, "repository")
    assert neighbours(release) == neighbours(whole)
    pairs, expected = (each.members[DUPLICATE_PAIRS.name] for each in (release, whole))
    assert [len(batch.files) for batch in pairs] == [3, 3, 1]
    rows = [release.lake.read(batch, DUPLICATE_PAIRS).to_pylist() for batch in pairs]
    assert rows == [whole.lake.read(batch, DUPLICATE_PAIRS).to_pylist() for batch in expected]
    assert [len(of_day) for of_day in rows] == [21, 70, 0]
    assert list(tmp_path.rglob("*.parquet.json")) == []  # no record of a finished part is left


def test_a_release_without_issues_has_no_segments(tmp_path: Path) -> None:
    release = embedded_release(Lake(str(tmp_path)), {"2015-01-01": {}})
    outcome = index.run(release.lake, release, Settings())
    assert (outcome.segments, outcome.figures["items"], neighbours(release)) == ((), 0, [])


def test_the_figures_are_json(tmp_path: Path) -> None:
    release = published(Lake(str(tmp_path)), DAYS, DAYS, "r")
    assert json.loads(json.dumps(index_figures(release)))["segments"] == [
        {"period": "2015-01", "repositories": "1-of-1", "items": 3, "recall_at_10": 1.0}
    ]


def test_a_release_without_embeddings_is_refused(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    release = Pinned(lake, "releases", "r")
    release.open([], {"predictor": add_model(lake).folder})
    with pytest.raises(
        UsageError, match=rf"r has no {EMBEDDINGS.name} yet\.\nRun first: titler embed --release r"
    ):
        index.run(lake, release, Settings())


def test_a_release_says_how_many_marked_duplicates_of_its_last_months_it_lists(tmp_path: Path) -> None:
    days: Days = {
        "2014-06-01": {1: [1, 0], 2: [1, 0.1]},
        "2015-01-01": {3: [1, 0.2], 4: [0, 1]},
        "2015-01-02": {5: [1, 0.3], 8: [0.1, 1]},
    }
    release = embedded_release(Lake(str(tmp_path)), days)
    marked = {
        "2014-06-02": [(2, 1)],  # too long ago
        "2015-01-02": [(5, 3), (3, 5), (8, 7), (98, 1)],  # 7 and 98 are not in the release
        "2015-02-20": [(8, 1)],  # said later; 4 is nearer, and so is 3, and two are listed
    }
    add_marks(release, marked)
    figures = index.run(release.lake, release, settings(Similar(marked_months=1, min_probability=0))).figures
    assert figures["marked"] == {
        "pairs": 2,
        "pairs_without_older": 1,
        "recall_at_1": 0.5,
        "recall_at_5": 0.5,
        "recall_at_10": 0.5,
        "suggested": 8,
        "suggested_marked": 1,
        "precision": 0.125,
        "repositories": "all",
    }
    assert figures == index_figures(release)


def test_only_held_out_repositories_are_measured_if_any_of_the_lists_has_a_learned_ordering(
    tmp_path: Path,
) -> None:
    lake, similar = Lake(str(tmp_path)), Similar(recompute_days=0, min_probability=0)
    held_out, other = "owner/1", "owner/2"
    repos = {1: held_out, 2: held_out, 5: held_out, 3: other, 4: other, 6: other}
    days: Days = {
        "2015-01-01": {number: [1, 0.1 * number] for number in (1, 2, 3, 4)},
        "2015-01-02": {5: [1, 0], 6: [1, 0]},
    }
    first_day = {"2015-01-01": days["2015-01-01"]}
    learned = named(replace(DEFAULT_ORDERING, bias=-1.0))
    store_ordering(lake, learned, {"calibration": {"brier": 0.1}}, "run")

    def measured(name: str, of_days: Days, base: str, **facts: str) -> tuple[str, str, int]:
        release = after(base, embedded_release(lake, of_days, name, repos), **facts)
        add_marks(release, {"2015-01-02": [(2, 1), (4, 3)]}, repos)
        figures = index.run(lake, release, settings(similar)).figures
        return figures["ordering"]["version"], figures["marked"]["repositories"], figures["marked"]["pairs"]

    default = DEFAULT_ORDERING.version
    assert measured("first", first_day, "none") == (default, "all", 2)
    # An ordering was learned, but no day was searched with it.
    assert measured("same", first_day, "first", ordering=learned.version) == (learned.version, "all", 2)
    assert measured("next", days, "first", ordering=learned.version) == (learned.version, "held out", 1)
    # The default ordering is used again, but the second day was searched with the learned one.
    assert measured("back", days, "next") == (default, "held out", 1)


def test_days_keep_the_ordering_that_they_were_searched_with(tmp_path: Path) -> None:
    """Another ordering is for new days, and for those that are searched again for another reason."""
    lake, days, similar = Lake(str(tmp_path)), days_of(4), Similar(recompute_days=0)
    chosen = [day for day in days if day != "2015-01-02"]
    before = embedded_release(lake, {day: days[day] for day in chosen[:2]}, "before")
    index.run(lake, before, settings(similar))
    learned = named(replace(DEFAULT_ORDERING, bias=-1.0))
    store_ordering(lake, learned, {"calibration": {"brier": 0.1}}, "run")
    night = after("before", embedded_release(lake, days, "night"), ordering=learned.version)
    outcome = index.run(lake, night, settings(similar))
    assert outcome.days_searched == 2
    assert [batch.parameters["ordering"] for batch in night.members[SIMILAR_ISSUES.name]] == [
        DEFAULT_ORDERING.version,
        learned.version,
        DEFAULT_ORDERING.version,
        learned.version,
    ]
    assert outcome.figures["ordering"] == {
        "version": learned.version,
        "learned": {"calibration": {"brier": 0.1}},
    }
    again = index.run(lake, night, settings(similar))
    assert (again.days_searched, again.figures) == (0, outcome.figures)
    # A change of another parameter lets all days be searched again, with the new ordering.
    other = after("night", embedded_release(lake, days, "other"), ordering=learned.version)
    assert index.run(lake, other, settings(Similar(recompute_days=0, months=1))).days_searched == 4
    assert {batch.parameters["ordering"] for batch in other.members[SIMILAR_ISSUES.name]} == {learned.version}
