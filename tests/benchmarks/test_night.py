"""The benchmark of a night: the lakes that it makes, how it counts, and what it prints.

No test has a whole run: it takes half a minute even for a few issues, because each verb is a process.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from pipeline.contracts import PREDICTOR
from pipeline.index.release_days import days_of_release
from pipeline.index.segment_build import SegmentToBuild, build_segment
from pipeline.index.segment_plan import plan_segments
from pipeline.lake.batches import Lake
from pipeline.lake.folder_store import FolderStore
from pipeline.lake.pinned import Pinned
from pipeline.predictor.loading import load_predictor
from pipeline.settings import Compute, LakeSettings, Settings
from pipeline.stages import embed, index, plan, predict, vectorize
from tests.benchmarks.night import Cost, as_json, print_table, verbs_of_night
from tests.predictor.small_predictors import word_predictor
from tests.stages.literal_models import FakeRegistry, add_predictor
from tests.support.counted_titler import CountedOperations
from tests.support.issue_history import IssueHistory, Pool, issues_per_day

COSTS = {"extract": Cost(1.0, 2.0, 300.0, 4, 2**20), "predict": Cost(5.0, 6.0, 200.0, 7, 2**21)}


def test_issues_are_spread_evenly_over_the_months_and_their_days() -> None:
    counts = issues_per_day(180, 3, date(2024, 3, 30))
    assert (min(counts), max(counts), len(counts)) == ("2024-01-01", "2024-03-30", 31 + 29 + 30)
    assert [
        sum(counts[day] for day in counts if day.startswith(f"2024-0{month}")) for month in (1, 2, 3)
    ] == [
        60,
        60,
        60,
    ]
    assert set(counts.values()) == {1, 2, 3}


def test_a_night_uses_all_batches_of_a_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Lake(str(tmp_path / "lake"))
    settings = Settings(lake=LakeSettings(root=lake.root), compute=Compute(workers=1))
    figures = {"variant": "gru", "vocabulary": word_predictor().vocabularies.id, "hidden_size": 5}
    model = add_predictor(lake, "m", word_predictor(), figures={**figures, "mlflow_run": "run of m"})
    (predictor,) = model.members[PREDICTOR]
    texts = [
        {"repo": f"a/b{number}", "title": "t", "body": "crash window close error"} for number in range(3)
    ]
    pool = Pool.of(texts, load_predictor(lake, predictor.folder))
    history = IssueHistory(lake, settings, pool, predictor)
    for day, count in (("2023-12-31", 4), ("2024-01-01", 3), ("2024-01-02", 6)):
        history.add_day(day, count)
    history.add_segments("2024-01-03")
    history.add_neighbours()
    monkeypatch.setattr(plan, "open_tracking", lambda settings, lake: FakeRegistry("m"))
    planned = plan.run(lake, settings, Pinned(lake, "releases", "r"))
    release = Pinned(lake, "releases", "r")
    made = [stage.run(lake, settings, release).made for stage in (vectorize, embed, predict)]
    indexed = index.run(lake, release, settings)
    assert planned.plan is not None
    assert made == [0, 0, 0]
    assert (indexed.figures["items"], indexed.segments_built, indexed.days_searched) == (13, 1, 0)
    of_2023 = SegmentToBuild(plan_segments(days_of_release(release), settings.index)[0])
    built = build_segment(of_2023, lake, "m", 5, settings.index)
    assert [(file.name, file.sha256) for file in built.files] == [
        (file.name, file.sha256) for file in indexed.segments[0].files
    ]


def test_store_operations_are_counted_as_the_requests_of_a_bucket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for method in ("put", "get", "delete", "names", "written", "modified", "delete_folder"):
        monkeypatch.setattr(FolderStore, method, getattr(FolderStore, method))  # undone after the test
    counted, store = CountedOperations(), FolderStore(tmp_path)
    counted.start()
    for number in range(1001):
        store.put(f"a/{number}", b"xyz")
    store.get("a/0")
    store.delete("a/0")
    store.names("a")  # 1,000 names
    store.delete_folder("a")
    counted.write(tmp_path / "counts.json")
    assert json.loads((tmp_path / "counts.json").read_text()) == {
        "operations": {"PUT": 1001, "GET": 1, "DELETE": 1001, "LIST": 2},
        "bytes_written": 3003,
    }


def test_the_verbs_of_a_night_are_those_of_the_two_daily_dags() -> None:
    assert [arguments[0] for arguments in verbs_of_night(date(2024, 12, 31), "night")] == [
        *("extract", "clean", "plan", "vectorize", "embed", "predict", "index", "publish", "collect")
    ]


def test_a_lake_is_one_json_object_with_the_figures_of_each_verb() -> None:
    assert as_json(10_000, COSTS) == {
        "issues": 10_000,
        "cpu_seconds": 6.0,
        "wall_seconds": 8.0,
        "peak_mib": 300.0,
        "store_operations": 11,
        "bytes_written": 3 * 2**20,
        "verbs": {
            "extract": {
                "cpu_seconds": 1.0,
                "wall_seconds": 2.0,
                "peak_mib": 300.0,
                "store_operations": 4,
                "bytes_written": 2**20,
            },
            "predict": {
                "cpu_seconds": 5.0,
                "wall_seconds": 6.0,
                "peak_mib": 200.0,
                "store_operations": 7,
                "bytes_written": 2**21,
            },
        },
    }


def test_the_table_has_the_titles_as_a_line_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    print_table({10_000: COSTS})
    assert capsys.readouterr().out.splitlines()[2:] == [
        "| 10,000 | extract | 1.0 | 2.0 | 300 | 4 | 1.0 |",
        "| 10,000 | all but titles | 1.0 | 2.0 | 300 | 4 | 1.0 |",
        "| 10,000 | titles (predict) | 5.0 | 6.0 | 200 | 7 | 2.0 |",
        "| 10,000 | all | 6.0 | 8.0 | 300 | 11 | 3.0 |",
    ]
