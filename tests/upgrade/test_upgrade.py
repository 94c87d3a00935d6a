"""Lakes that earlier versions of Titler wrote: every verb reads them, reuses their batches and gives the same
answers as then."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipeline import sample
from pipeline.cli import app
from pipeline.contracts import ISSUES, PREDICTOR, SEGMENTS
from pipeline.errors import UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned, pinned_names
from pipeline.releases.current import current_release_id
from pipeline.source import hour_files
from pipeline.stages import collect
from tests.support.unpacked_lake import UnpackedLake, unpack
from tests.upgrade.write_lake import BODY

ARCHIVES = sorted(Path(__file__).parent.glob("lake-*.tar.xz"))
"""One archive per published version, written by `write_lake.py`."""
Titler = Callable[..., str]


@pytest.fixture(params=ARCHIVES, ids=lambda path: path.name.removesuffix(".tar.xz"))
def old(request: pytest.FixtureRequest, tmp_path: Path) -> UnpackedLake:
    """A lake of an earlier version, unpacked."""
    return unpack(request.param, tmp_path)


@pytest.fixture
def titler(old: UnpackedLake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Titler:
    """Returns a function that runs a verb on the old lake and returns what the verb printed.

    For `collect`, it is an hour after the last release was planned. Today, all models that are not used
    would be old enough to be removed.
    """
    monkeypatch.setenv("TITLER_ALERTS__STALE_AFTER_HOURS", "0")
    lake = Lake(str(old.folder / "lake"))
    planned = Pinned(lake, "releases", pinned_names(lake, "releases")[-1]).opened_at
    soon = datetime.fromisoformat(planned) + timedelta(hours=1)
    monkeypatch.setattr(collect, "run", partial(collect.run, current_time=soon))

    def run(command: str, *arguments: str, settings: str = "settings.toml") -> str:
        options = ["--settings", str(old.folder / settings)]
        capsys.readouterr()
        assert app(args=[*options, *command.split(), *arguments], standalone_mode=False) in (None, 0)
        return capsys.readouterr().out

    return run


@pytest.fixture
def words_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts words so that no other issue of the old lakes is trainable than in the earlier version."""
    monkeypatch.setenv("TITLER_TEXT__CHARACTERS_PER_WORD", "20")


def test_words_of_extracted_days_are_counted_again_without_the_source(
    old: UnpackedLake, titler: Titler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hour_files, "fetch", None)
    before = [day["trainable"] for day in old.expected["status"]["days"]]
    assert "3 days written" in titler("extract --from 2024-01-01 --to 2024-01-03")
    after = [day["trainable"] for day in json.loads(titler("status --json"))["days"]]
    assert after == [number + 2 for number in before]  # an issue in Chinese and one in Japanese per day


@pytest.mark.usefixtures("words_as_before")
def test_extracted_and_cleaned_days_are_reused(old: UnpackedLake, titler: Titler) -> None:
    before = old.manifests()
    assert "0 days written, 3 days reused" in titler("extract --from 2024-01-01 --to 2024-01-03")
    assert "0 days written, 3 days reused" in titler("clean --from 2024-01-01 --to 2024-01-03")
    assert old.manifests() == before


@pytest.mark.parametrize(("settings", "days"), [("settings.toml", 2), ("words.toml", 3)], ids=["copy", "gru"])
def test_a_model_is_reused_stage_by_stage(
    old: UnpackedLake, titler: Titler, settings: str, days: int
) -> None:
    lake, before = Lake(str(old.folder / "lake")), old.manifests()
    name = "words" if settings == "words.toml" else old.expected["status"]["model"]["name"]
    predictor = Pinned(lake, "models", name).members[PREDICTOR][0]
    lake.delete(f"models/{name}/members/{PREDICTOR}.json")  # train must now find it by its key
    titler(f"vocab {name}", settings=settings)
    assert f"0 days written, {days} days reused" in titler(f"vectorize --model {name}", settings=settings)
    titler(f"train {name}", settings=settings)
    assert Pinned(lake, "models", name).members[PREDICTOR][0] == predictor
    assert old.manifests() == before


def test_a_new_model_trains_its_own_embedding_network_because_its_text_is_prepared_in_another_way(
    titler: Titler,
) -> None:
    reason = "has another preparation of the text, that of an earlier version of Titler"
    assert reason in titler("vocab new --from 2024-01-01 --to 2024-01-02")


def test_a_model_that_was_trained_from_a_file_is_reused(old: UnpackedLake, titler: Titler) -> None:
    before = old.manifests()
    printed = titler("train", "--from-file", str(old.folder / "issues.jsonl"))
    assert "extract: reused 60 rows of " in printed
    assert "60 of them can be used for training" in printed
    assert old.manifests() == before


def test_a_release_is_reused_stage_by_stage(old: UnpackedLake, titler: Titler) -> None:
    lake, before = Lake(str(old.folder / "lake")), old.manifests()
    release = current_release_id(lake)
    for verb in ("vectorize", "embed", "predict"):
        assert "0 days written, 3 days reused" in titler(f"{verb} --release {release}")
    titler(f"index --release {release}")
    titler(f"publish --release {release}")
    assert "removed 0 releases, 0 models, 0 batches" in titler("collect")
    assert old.manifests() == before
    assert current_release_id(lake) == release


@pytest.mark.usefixtures("words_as_before")
def test_a_run_over_the_same_days_creates_no_release(old: UnpackedLake, titler: Titler) -> None:
    before = old.manifests()
    printed = titler("run --from 2024-01-01 --to 2024-01-03")
    assert (
        f"no release was created: nothing is new since release {old.expected['status']['release']['id']}"
        in printed
    )
    assert old.manifests() == before


def without_age(status: dict[str, Any]) -> dict[str, Any]:
    """Returns the status without the keys that depend on the time of the call."""
    release = {name: value for name, value in status["release"].items() if name not in ("age_hours", "stale")}
    return {**status, "release": release}


def keys_of(expected: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """The keys of `value` that an earlier version had. Later versions only add keys."""
    return {
        name: keys_of(expected[name], value[name]) if isinstance(expected[name], dict) else value[name]
        for name in expected
    }


def test_status_title_and_similar_give_the_same_answers_as_the_earlier_version(
    old: UnpackedLake, titler: Titler
) -> None:
    status, title = json.loads(titler("status --json")), json.loads(titler("title --json", BODY))
    assert without_age(keys_of(old.expected["status"], status)) == without_age(old.expected["status"])
    assert (status["model"]["titles_withheld"], status["release"]["titles_withheld"]) == (None, None)
    assert keys_of(old.expected["title"], title) == pytest.approx(old.expected["title"])
    assert (title["withheld"], title["probability"]) == (None, None)  # a model without calibration
    similar = json.loads(titler("similar -k 5 --json", BODY))
    assert [row.pop("distance") for row in similar] == pytest.approx(
        [row.pop("distance") for row in old.expected["similar"]]
    )
    assert [keys_of(before, row) for before, row in zip(old.expected["similar"], similar, strict=True)] == (
        old.expected["similar"]
    )
    assert {row["list"] for row in similar} == {"everywhere"}
    assert {(row["probability"], row["suggested"]) for row in similar} == {(None, None)}


def test_the_champion_has_the_same_evaluation_as_in_the_earlier_version(
    old: UnpackedLake, titler: Titler
) -> None:
    figures, expected = json.loads(titler("evaluate --json")), old.expected["evaluate"]
    for group in ("retrieval", "confidence"):
        assert figures.pop(group) == pytest.approx(expected.pop(group))
    assert figures == pytest.approx(expected)


def test_a_rollback_makes_the_first_release_current_again(old: UnpackedLake, titler: Titler) -> None:
    lake = Lake(str(old.folder / "lake"))
    first, second = pinned_names(lake, "releases")
    assert current_release_id(lake) == second
    assert f"release {first} is current: 120 issues of 2 days" in titler(f"rollback {first}")
    assert current_release_id(lake) == first


def test_a_new_day_is_published_together_with_the_existing_days(old: UnpackedLake, titler: Titler) -> None:
    before = old.manifests()
    sample.write(old.folder / "hours", days=1, seed=3, first_day=date(2024, 1, 4), issues_per_day=60)
    printed = titler("run --day 2024-01-04")
    for verb in ("vectorize", "embed", "predict"):
        assert re.search(rf"^{verb}: \d+ rows, 1 day written, 3 days reused", printed, re.MULTILINE)
    assert "of 4 days" in printed
    assert old.manifests() > before


def published_lists(lake: Lake) -> set[str]:
    """The lists of similar issues that an analyst sees in the warehouse."""
    with duckdb.connect(str(Path(lake.path("warehouse.duckdb"))), read_only=True) as warehouse:
        return {row[0] for row in warehouse.execute("SELECT DISTINCT list FROM similar_issues").fetchall()}


def test_the_next_release_has_segments_and_the_earlier_release_still_answers(
    old: UnpackedLake, titler: Titler
) -> None:
    earlier = old.expected["status"]["release"]["id"]
    sample.write(old.folder / "hours", days=1, seed=3, first_day=date(2024, 1, 4), issues_per_day=60)
    titler("run --day 2024-01-04")
    lake = Lake(str(old.folder / "lake"))
    release = Pinned(lake, "releases", str(current_release_id(lake)))
    assert [manifest.partition["period"] for manifest in release.members[SEGMENTS.name]] == ["2024-01"]
    assert json.loads(titler("status --json"))["release"]["index_items"] == 240
    similar = json.loads(titler("similar -k 5 --all --json", BODY))
    assert [row["list"] for row in similar] == ["everywhere"] * 5
    assert all(0 <= row["probability"] <= 1 for row in similar)
    assert published_lists(lake) == {"repository", "everywhere"}
    titler("collect")
    titler(f"rollback {earlier}")
    assert published_lists(lake) == {"everywhere"}
    similar = json.loads(titler("similar -k 5 --json", BODY))
    assert [row["issue_url"] for row in similar] == [row["issue_url"] for row in old.expected["similar"]]
    url = similar[0]["issue_url"]
    assert url not in [row["issue_url"] for row in json.loads(titler("similar --json", url))]


def test_what_needs_segments_says_so_for_a_release_of_an_earlier_version(
    old: UnpackedLake, titler: Titler
) -> None:
    url = old.expected["similar"][0]["issue_url"]
    with pytest.raises(UsageError, match="Its index cannot be searched by repository"):
        titler("similar --same-repo", url)
    with pytest.raises(UsageError, match=r"Copy the files issues\.ann and ids\.parquet from "):
        titler("export", str(old.folder / "out"))


def test_a_report_about_an_old_release_leaves_out_what_it_lacks(
    old: UnpackedLake, titler: Titler, tmp_path: Path
) -> None:
    file = tmp_path / "page.html"
    titler("report", "--out", str(file))
    assert re.findall(r"<h2[^>]*>([^<]*)</h2>", file.read_text()) == [
        "What is in it, and what changed",
        "Source health",
        "Checks",
        "Title quality",
        "Drift",
    ]


def test_an_issue_is_forgotten_in_a_lake_of_an_earlier_version(old: UnpackedLake, titler: Titler) -> None:
    lake = Lake(str(old.folder / "lake"))
    current = lake.current(ISSUES.name, {"day": lake.days(ISSUES.name)[0]})
    assert current is not None
    issue = lake.read(current, ISSUES).to_pylist()[0]
    titler("forget --because", "a request", "--issue", issue["issue_url"])
    assert "forget --verify: 0 findings" in titler("forget --verify --issue", issue["issue_url"])
    assert titler("similar --all", "the window closes", "-k", "3")
