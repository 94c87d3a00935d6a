"""The audit stops a release with a collapsed day that nobody accepted, or with too low a recall."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.contracts import INDEX, ISSUES, SOURCE_HEALTH, TITLE_PREDICTIONS
from pipeline.errors import StoppedError, UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.lake.plan import PinnedDay
from pipeline.provenance import user_name
from pipeline.releases.audit import audit, collect_acceptances
from pipeline.releases.marked_recall import accepted_fall, check_marked_recall, smallest_fall
from pipeline.settings import Settings

COLLAPSED = {"verdict": "collapsed", "reason": "31 issues where 412 are usual"}
FACTS = {"model": "m", "model_version": "3", "vocabulary": "v", "mlflow_run": "run"}


def open_release(
    folder: Path,
    days: dict[str, dict[str, Any]],
    name: str = "r",
    recall: float = 1.0,
    facts: Mapping[str, Any] | None = None,
    titles_figures: Mapping[str, Any] | None = None,
    index_figures: Mapping[str, Any] | None = None,
) -> Pinned:
    """A release with an index. `days` maps each day to the figures of its verdict. A day has two titles."""
    lake = Lake(str(folder))
    pinned, health, titles = [], [], []
    for day, figures in days.items():
        issues = lake.draft(ISSUES.name, {"day": day}).commit()
        draft = lake.draft(SOURCE_HEALTH.name, {"day": day}, (str(figures),))
        draft.write_file("part-00000.parquet", json.dumps(figures).encode())
        health.append(draft.commit({"hours_found": 24, "events": 35, **figures}))
        draft = lake.draft(TITLE_PREDICTIONS.name, {"model": "m", "day": day})
        draft.write_file("part-00000.parquet", b"", rows=2)
        titles.append(draft.commit(titles_figures))
        folders = (issues.folder, "", health[-1].folder)
        pinned.append(PinnedDay(day, *folders, issues.digest, "", health[-1].digest))
    index = lake.draft(INDEX, {"release": name}).commit(
        {"items": 2 * len(days), "recall_at_10": recall, "recall_queries": 200, **(index_figures or {})}
    )
    release = Pinned(lake, "releases", name)
    release.open(pinned, {**FACTS, **(facts or {})})
    release.members.put(SOURCE_HEALTH.name, health)
    release.members.put(TITLE_PREDICTIONS.name, titles)
    release.members.put(INDEX, [index])
    return release


def stopped(folder: Path, days: dict[str, dict[str, Any]], name: str = "r") -> StoppedError:
    """The error with which the audit stops a release of these days."""
    with pytest.raises(StoppedError) as raised:
        audit(Settings(), open_release(folder, days, name), {}, [])
    return raised.value


def test_a_collapsed_day_stops_the_release_with_the_reason_and_the_next_commands(tmp_path: Path) -> None:
    reason = "31 issues where 412 are usual for a Saturday"
    error = stopped(tmp_path, {"2015-01-03": {"verdict": "collapsed", "reason": reason}})
    assert str(error).splitlines() == [
        "2015-01-03: 31 issues where 412 are usual for a Saturday (24 of 24 hours found), "
        "so the day has collapsed and stops release r.",
        "See what the source gave:  titler status --day 2015-01-03",
        "Fetch it again:            titler extract --day 2015-01-03 --again; "
        "then clean it and plan another release",
        'Accept it as it is:        titler publish --release r --accept 2015-01-03 --because "..."',
    ]


def test_several_collapsed_days_are_named_and_accepted_together(tmp_path: Path) -> None:
    days = {
        "2015-01-03": COLLAPSED,
        "2015-01-04": {"verdict": "partial"},
        "2015-01-05": COLLAPSED,
        "2015-01-06": COLLAPSED,
    }
    lines = str(stopped(tmp_path, days)).splitlines()
    assert lines[1] == "Also collapsed: 2015-01-05, 2015-01-06."
    assert lines[-1].endswith('--accept 2015-01-03 --accept 2015-01-05 --accept 2015-01-06 --because "..."')


def test_a_verdict_without_a_reason_is_described_by_its_events(tmp_path: Path) -> None:
    """Older versions of Titler stored no reason."""
    error = stopped(tmp_path, {"2015-01-03": {"verdict": "collapsed", "events": 99, "usual_events": 1000}})
    assert error.message.startswith(
        "2015-01-03: 99 events where 1,000 are usual (24 of 24 hours found), so the day has collapsed"
    )


def test_a_collapsed_day_that_stops_several_releases_is_one_event(tmp_path: Path) -> None:
    first, second, third = (
        stopped(tmp_path / name, {"2015-01-03": {**COLLAPSED, "events": events}}, name)
        for name, events in (("a", 35), ("b", 35), ("c", 36))
    )
    assert first.event == second.event == "stopped/2015-01-03=35"
    assert third.event == "stopped/2015-01-03=36"


def test_the_record_of_a_release_that_passes_has_its_figures(tmp_path: Path) -> None:
    days = {"2015-01-03": {"verdict": "complete"}, "2015-01-04": {"verdict": "partial"}}
    assert audit(Settings(), open_release(tmp_path, days), {}, []) == {
        "release_id": "r",
        "published_by": user_name(),
        **FACTS,
        "days": 2,
        "issues": 4,
        "index_items": 4,
        "recall_at_10": 1.0,
        "accepted": "[]",
    }


def test_the_record_says_that_titles_are_withheld_or_were_accepted(tmp_path: Path) -> None:
    days = {"2015-01-03": {"verdict": "complete"}}
    reason = "ROUGE-L 2.98, first words 15.6"
    acceptance = {"titles": reason, "because": "a test", "by": "someone", "at": "2015-01-04"}
    withheld, accepted = (
        audit(Settings(), open_release(tmp_path / name, days, facts={name: value}), {}, [])
        for name, value in (("titles_withheld", reason), ("titles_accepted", acceptance))
    )
    assert withheld["titles_withheld"] == reason
    assert ("titles_accepted" in withheld, "titles_withheld" in accepted) == (False, False)
    assert json.loads(accepted["titles_accepted"]) == [acceptance]


def test_a_rise_of_the_share_without_a_title_stops_the_release_until_it_is_accepted(tmp_path: Path) -> None:
    published = [{"release_id": "q", "accepted": "[]", "abstained": 0.25}]
    release = open_release(tmp_path, {"2015-01-03": {"verdict": "complete"}}, titles_figures={"abstained": 1})
    with pytest.raises(
        StoppedError, match=r"50\.0% of the issues have no title, compared with 25\.0% in release q"
    ):
        audit(Settings(), release, {}, published)
    record = audit(Settings(), release, {"abstained": "a careful model"}, published)
    assert (record["abstained"], record["accepted"]) == (0.5, "[]")
    assert [entry["because"] for entry in json.loads(record["titles_accepted"])] == ["a careful model"]


def test_the_record_has_the_calibration_of_its_model(tmp_path: Path) -> None:
    predictor = Lake(str(tmp_path)).draft("predictor", {"model": "m"}).commit({"calibration": {"brier": 0.2}})
    facts = {"predictor": predictor.folder}
    release = open_release(tmp_path, {"2015-01-03": {"verdict": "complete"}}, facts=facts)
    assert json.loads(audit(Settings(), release, {}, [])["calibration"]) == {"brier": 0.2}


def test_duplicate_openings_are_not_counted(tmp_path: Path) -> None:
    release = open_release(tmp_path, {"2015-01-03": {"verdict": "complete"}})
    release.plan.superseded["2015-01-03"] = [7]
    assert audit(Settings(), release, {}, [])["issues"] == 1


def test_an_accepted_day_does_not_stop_the_release(tmp_path: Path) -> None:
    release = open_release(tmp_path, {"2015-01-03": COLLAPSED})
    record = audit(Settings(), release, {"2015-01-03": "a holiday"}, [])
    (acceptance,) = json.loads(record["accepted"])
    assert (acceptance["day"], acceptance["because"], acceptance["by"]) == (
        "2015-01-03",
        "a holiday",
        user_name(),
    )


def test_an_acceptance_counts_for_later_releases_while_the_counts_of_the_day_are_equal(
    tmp_path: Path,
) -> None:
    first = open_release(tmp_path, {"2015-01-03": COLLAPSED}, "a")
    published = [audit(Settings(), first, {"2015-01-03": "a holiday"}, [])]
    equal = open_release(tmp_path, {"2015-01-03": COLLAPSED}, "b")
    assert audit(Settings(), equal, {}, published)["accepted"] == published[0]["accepted"]
    other = open_release(tmp_path, {"2015-01-03": {**COLLAPSED, "events": 34}}, "c")
    with pytest.raises(StoppedError, match="2015-01-03"):
        audit(Settings(), other, {}, published)


def test_a_day_that_is_not_in_the_release_cannot_be_accepted(tmp_path: Path) -> None:
    release = open_release(tmp_path, {"2015-01-03": COLLAPSED})
    message = (
        r"^The day 2015-01-04 is not in release r, so it cannot be accepted\.\n"
        r"Accept only days of the release: .*\nTo list all days .*: titler status$"
    )
    with pytest.raises(UsageError, match=message):
        collect_acceptances(release, {"2015-01-04": "a holiday"}, [])


def test_a_low_recall_stops_the_release(tmp_path: Path) -> None:
    release = open_release(tmp_path, {"2015-01-03": {"verdict": "complete"}}, recall=0.5)
    settings = Settings()
    with pytest.raises(StoppedError) as raised:
        audit(settings, release, {}, [])
    assert str(raised.value).splitlines() == [
        "Release r is stopped: recall@10 over 200 issues is 0.500, "
        f"expected at least {settings.index.min_recall} (index.min_recall).",
        f"More trees raise the recall: TITLER_INDEX__TREES={2 * settings.index.trees} "
        "titler index --release r",
    ]
    assert raised.value.event == "release/r/recall"


def marked(recall: float, pairs: int = 1000, **changes: Any) -> dict[str, Any]:
    return {"pairs": pairs, "recall_at_10": recall, **changes}


def record(figures: Mapping[str, Any], name: str = "q", **changes: Any) -> dict[str, Any]:
    return {"release_id": name, "accepted": "[]", "marked_duplicates": json.dumps(figures), **changes}


@pytest.mark.parametrize(
    ("now", "before", "stopped"),
    [
        (marked(0.6), record(marked(0.7)), True),
        (marked(0.69), record(marked(0.7)), False),  # within the interval
        (marked(0.8), record(marked(0.7)), False),
        (marked(0.3, pairs=199), record(marked(0.7)), False),  # too few pairs
        (marked(0.3), record(marked(0.7, pairs=199)), False),
        (marked(0.5, repositories="held out"), record(marked(0.7)), False),  # other repositories
        (None, record(marked(0.7)), False),
        (marked(0.6), {"release_id": "q", "accepted": "[]"}, False),  # of an earlier version of Titler
        (marked(0.6), record(marked(0.7), rolled_back=True), False),
    ],
)
def test_a_significant_fall_of_the_recall_of_marked_duplicates_stops_the_release(
    now: Mapping[str, Any] | None, before: Mapping[str, Any], stopped: bool
) -> None:
    if not stopped:
        assert check_marked_recall("r", now, [before], 200, "") is None
        return
    with pytest.raises(StoppedError) as raised:
        check_marked_recall("r", now, [before], 200, "")
    assert raised.value.message == (
        "Release r is stopped: of 1,000 pairs of issues that somebody marked as duplicates, 60.0% are "
        "listed, compared with 70.0% of 1,000 in release q. A fall of this size is unlikely to be chance."
    )
    assert 'titler publish --release r --accept recall --because "..."' in str(raised.value)


def test_the_smallest_fall_is_that_of_newcombe() -> None:
    """His table II has the differences 56/70 - 48/80 and 9/10 - 3/10, by method 10."""
    assert round(smallest_fall((56 / 70, 70), (48 / 80, 80)), 4) == 0.0524
    assert round(smallest_fall((9 / 10, 10), (3 / 10, 10)), 4) == 0.1705


def test_an_accepted_fall_is_in_the_record(tmp_path: Path) -> None:
    days = {"2015-01-03": {"verdict": "complete"}}
    release = open_release(tmp_path, days, index_figures={"marked": marked(0.6)})
    published = [record(marked(0.7))]
    with pytest.raises(StoppedError, match=r"60\.0% are listed"):
        audit(Settings(), release, {}, published)
    stored = audit(Settings(), release, {"recall": "another model"}, published)
    assert (accepted_fall(stored) or {})["because"] == "another model"
    assert stored["accepted"] == "[]"
