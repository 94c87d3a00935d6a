"""titler forget: an issue, a repository or an author is removed from a lake with two releases, and stays out.

Each test changes its own copy of the lake.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking._tracking_service.utils import _artifact_repos_cache

from pipeline.cli import query_reports, stage_runs, whole_job
from pipeline.cli.options import Context
from pipeline.contracts import (
    EMBEDDINGS,
    ISSUES,
    PREDICTOR,
    SEGMENTS,
    SIMILAR_ISSUES,
    TITLE_PREDICTIONS,
    VOCABULARY,
)
from pipeline.errors import DamagedBatchError, StoppedError, TitlerError
from pipeline.lake.batches import Lake
from pipeline.lake.forgotten import FORGOTTEN, Forgetting, ForgottenList, refuse_while_forgetting
from pipeline.lake.leases import hold_lease
from pipeline.lake.pinned import Pinned, pinned_names
from pipeline.releases.current import POINTER, current_release_id
from pipeline.releases.records import RECORD
from pipeline.settings import Settings
from pipeline.stages import clean, embed, extract, forget, index, plan, predict, publish, vectorize
from pipeline.stages.forget import DAMAGED_BATCHES, LOGGED_REPORTS, REPORTS, SAMPLES, Subject
from pipeline.stages.forget_damaged import check_not_needed
from pipeline.stages.forget_references import recount
from pipeline.stages.forget_verify import verify
from pipeline.warehouse import Query, connect
from tests.support import lakes
from tests.support.kill_at_step import Steps
from tests.support.republish import republish
from tests.warehouse.conftest import new_data_set, new_emulator

ONE, TWO, THREE = (date(2024, 1, day) for day in range(1, 4))
BECAUSE = "a request"


@pytest.fixture(scope="module")
def two_releases(built_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A lake with a release of two days, and a later one of three days, which is current."""
    settings = lakes.copy_lake(built_settings, tmp_path_factory.mktemp("forget") / "lake")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whole_job, "new_id", lambda: "20991231T000000Z")
        whole_job.run(Context.of(settings), [THREE], retrain=False, variant=None, epochs=None)
    return settings


def copy(settings: Settings, root: Path) -> Settings:
    """The settings of a copy of a lake. MLflow would go on writing to the files of the original: it remembers
    the place of a run by the run's id."""
    _artifact_repos_cache.clear()
    return lakes.copy_lake(settings, root)


@pytest.fixture
def settings(two_releases: Settings, tmp_path: Path) -> Settings:
    return copy(two_releases, tmp_path / "lake")


@pytest.fixture
def lake(settings: Settings) -> Lake:
    return Lake(settings.lake.root)


def sampled(settings: Settings) -> dict[str, Any]:
    """An issue whose title MLflow shows as a sample, and which is a neighbour of other issues."""
    (path,) = Path(settings.lake.root, "mlflow").rglob("sample_titles.json")
    table = json.loads(path.read_text())
    urls = [dict(zip(table["columns"], row, strict=True))["url"] for row in table["data"]]
    (neighbour,) = lakes.query(
        settings,
        f"SELECT MIN(similar_issue_url) FROM similar_issues WHERE similar_issue_url IN {tuple(urls)}",
    )
    return issue_of(settings, neighbour[0])


def issue_of(settings: Settings, url: str) -> dict[str, Any]:
    lake = Lake(settings.lake.root)
    for day in (ONE, TWO, THREE):
        current = lake.current(ISSUES.name, {"day": str(day)})
        assert current is not None
        for row in lake.read(current, ISSUES).to_pylist():
            if row["issue_url"] == url:
                return {**row, "day": day}
    raise AssertionError(url)


def found(settings: Settings, subject: Subject) -> dict[str, int]:
    """The places in which something of the subject is found, with the number of findings."""
    places = verify(Lake(settings.lake.root), settings, subject)
    return {place.place: place.findings for place in places if place.findings}


def run_stages_again(lake: Lake, settings: Settings, release: Pinned) -> dict[str, int]:
    """How many batches the stages of a release make that were made before."""
    outcome = index.run(lake, release, settings)
    return {
        "clean": clean.run(lake, settings, [day.day for day in release.plan.days]).made,
        "vectorize": vectorize.run(lake, settings, release).made,
        "embed": embed.run(lake, settings, release).made,
        "predict": predict.run(lake, settings, release).made,
        "segments": outcome.segments_built,
        "neighbours": outcome.days_searched,
        "days_with_other_history": outcome.figures["days_with_other_history"],
    }


def test_an_issue_is_removed_from_every_place_and_both_releases_stay_whole(
    settings: Settings, lake: Lake
) -> None:
    issue = sampled(settings)
    subject = Subject("issue", issue["issue_url"])
    before = lakes.files(settings.lake.root)
    counted = forget.count(lake, settings, subject)
    assert {name: counted.rows[name] for name in (ISSUES.name, EMBEDDINGS.name, TITLE_PREDICTIONS.name)} == {
        ISSUES.name: 1,
        EMBEDDINGS.name: 1,
        TITLE_PREDICTIONS.name: 1,
    }
    places = found(settings, subject)
    assert {ISSUES.name, SIMILAR_ISSUES.name, "pages", "segments_v1", "mlflow", "releases"} <= places.keys()
    assert {name for name in places if name.startswith("duckdb: ")} >= {"duckdb: title_predictions_v1"}
    assert lakes.files(settings.lake.root) == before  # counting and searching change nothing
    issues_before = dict(lakes.query(settings, "SELECT release_id, issues FROM releases"))

    forgetting = forget.run(lake, settings, subject, BECAUSE)

    assert found(settings, subject) == {}
    assert forgetting.removed[ISSUES.name] == 1
    assert forgetting.removed[SIMILAR_ISSUES.name] > 1
    assert forgetting.removed[SAMPLES] == 1
    assert forgetting.removed[REPORTS] == 2
    assert forgetting.removed[LOGGED_REPORTS] == 2
    assert any("weights of model" in text for text in forgetting.remains)
    stored = (lake.get(FORGOTTEN) or b"").decode()
    assert issue["issue_url"] not in stored
    assert str(issue["issue_id"]) not in stored
    assert current_release_id(lake) == "20991231T000000Z"
    assert dict(lakes.query(settings, "SELECT release_id, issues FROM releases")) == {
        name: issues - 1 for name, issues in issues_before.items()
    }
    gaps = "SELECT issue_id FROM similar_issues GROUP BY issue_id, list HAVING COUNT(*) != MAX(rank)"  # ranks
    assert lakes.query(settings, gaps) == []
    for name in pinned_names(lake, "releases"):
        release = Pinned(lake, "releases", name)
        assert [lake.manifest(batch.folder) for table in release.members for batch in release.members[table]]
    current = Pinned(lake, "releases", "20991231T000000Z")
    assert set(run_stages_again(lake, settings, current).values()) == {0}
    assert plan.run(lake, settings, Pinned(lake, "releases", "next")).plan is None
    # a copy that somebody makes by hand is found
    lake.put("releases/note.txt", issue["issue_url"].encode())
    assert found(settings, subject) == {"releases": 1}


def test_neither_an_extraction_nor_a_rollback_brings_an_author_back(settings: Settings, lake: Lake) -> None:
    issue = sampled(settings)
    subject = Subject("author", issue["author"].upper())
    first = pinned_names(lake, "releases")[0]
    forgetting = forget.run(lake, settings, subject, BECAUSE)
    assert forgetting.removed[ISSUES.name] >= 1
    publish.rollback(lake, settings, first)
    titles = f"SELECT COUNT(*) FROM title_predictions WHERE issue_id = {issue['issue_id']}"
    assert lakes.query(settings, titles) == [(0,)]
    extract.run(lake, settings, [issue["day"]], again=True)
    assert found(settings, subject) == {}
    current = lake.current(ISSUES.name, {"day": str(issue["day"])})
    assert current is not None
    assert issue["issue_id"] not in lake.read(current, ISSUES).column("issue_id").to_pylist()


class KilledError(BaseException):
    """Stands for the end of the process."""


@contextmanager
def killed_at(step: int, steps: list[int]) -> Iterator[None]:
    """Ends the block before a step, or lets it end by itself if `step` is 0. Appends the number of steps."""
    with pytest.MonkeyPatch.context() as patch:
        counter = Steps(step, "before")
        patch.setattr("tests.support.kill_at_step.die", _raise)
        counter.watch(patch.setattr, mlflow=False)
        try:
            yield
        finally:
            steps.append(counter.count)


def _raise() -> None:
    raise KilledError


def test_a_repository_is_removed_wherever_the_command_was_killed_before(
    two_releases: Settings, tmp_path: Path
) -> None:
    """Until it has finished, other commands and other subjects are refused."""
    repo = sampled(two_releases)["repo"]
    subject = Subject("repo", repo)
    steps: list[int] = []
    whole = copy(two_releases, tmp_path / "whole")
    with killed_at(0, steps):
        forget.run(Lake(whole.lake.root), whole, subject, BECAUSE)
    expected = lakes.query(
        whole, "SELECT issue_id, list, rank, similar_issue_id FROM similar_issues ORDER BY ALL"
    )
    for share in (0.3, 0.93):
        copied = copy(two_releases, tmp_path / f"killed {share}")
        lake = Lake(copied.lake.root)
        with pytest.raises(KilledError), killed_at(int(steps[0] * share), []):
            forget.run(lake, copied, subject, BECAUSE)
        with pytest.raises(TitlerError, match="has not finished"):
            refuse_while_forgetting(lake)
        with pytest.raises(TitlerError, match="was interrupted"):
            forget.run(lake, copied, Subject("author", "somebody"), BECAUSE)
        forgetting = forget.run(lake, copied, subject, BECAUSE)
        assert found(copied, subject) == {}
        assert forgetting.removed[ISSUES.name] >= 1
        similar = lakes.query(
            copied, "SELECT issue_id, list, rank, similar_issue_id FROM similar_issues ORDER BY ALL"
        )
        assert similar == expected
    current = Pinned(lake, "releases", "20991231T000000Z")
    assert set(run_stages_again(lake, copied, current).values()) == {0}


def test_nothing_is_forgotten_while_another_command_writes(settings: Settings, lake: Lake) -> None:
    with hold_lease(lake, "embed", "r"), pytest.raises(TitlerError, match="`titler embed` began at"):
        forget.run(lake, settings, Subject("repo", "a/b"), BECAUSE)
    assert ForgottenList.read(lake).forgettings == ()


def test_no_command_writes_and_the_status_says_so_until_it_has_finished(
    settings: Settings, lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    unfinished = Forgetting("a", "repo", BECAUSE, "me", "2015-01-04T03:12:00+00:00", {"repo": ["hash"]})
    ForgottenList.read(lake).store(lake, unfinished)
    context = Context.of(settings)
    with pytest.raises(TitlerError, match="has not finished"):
        stage_runs.collect(context)
    with pytest.raises(TitlerError, match="has not finished"):
        publish.rollback(lake, settings, pinned_names(lake, "releases")[0])
    query_reports.unfinished_forgetting(unfinished)
    printed = " ".join(capsys.readouterr().out.split())
    assert "the current release may still show what it removes" in printed


def test_a_damaged_batch_that_the_current_release_does_not_need_is_deleted_after_a_publication(
    settings: Settings, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (Pinned(lake, "releases", name) for name in pinned_names(lake, "releases"))
    segments = first.members[SEGMENTS.name]
    (damaged,) = (batch for batch in segments if batch not in second.members[SEGMENTS.name])
    # as Titler 0.1 wrote lists: without the manifests
    lake.put_json(first.file(f"members/{SEGMENTS.name}.json"), [batch.folder for batch in segments])
    lake.put(f"{damaged.folder}/{damaged.files[0].name}", b"damaged")
    subject = Subject("repo", sampled(settings)["repo"])
    with monkeypatch.context() as patch:
        patch.setattr(forget, "publish_again", stop)
        with pytest.raises(StoppedError):
            forget.run(lake, settings, subject, BECAUSE)
    assert lake.names(damaged.folder) != []  # views of the warehouse may still read it
    forgetting = forget.run(lake, settings, subject, BECAUSE)
    assert forgetting.removed[DAMAGED_BATCHES] == 1
    assert lake.names(damaged.folder) == []
    assert found(settings, subject) == {}


def stop(*_: object) -> None:
    raise StoppedError("a check refuses the release")


def test_the_next_removal_leaves_out_a_release_whose_batch_was_deleted(lake: Lake) -> None:
    first = Pinned(lake, "releases", pinned_names(lake, "releases")[0])
    folders = first.members.folders(SEGMENTS.name)
    lake.put_json(first.file(f"members/{SEGMENTS.name}.json"), folders)
    lake.delete_folder(folders[0])
    recount(lake)
    assert first.notes[RECORD]["issues"] > 0


@pytest.mark.parametrize("table", [PREDICTOR, VOCABULARY])
def test_a_damaged_batch_of_the_champion_stops_a_removal_before_it_begins(
    settings: Settings, lake: Lake, table: str
) -> None:
    model = Pinned(lake, "models", pinned_names(lake, "models")[0])
    batch = model.members[table][0]
    for name in pinned_names(lake, "releases"):  # no release has the model
        lake.delete_folder(f"releases/{name}")
    lake.delete(POINTER)
    with pytest.raises(DamagedBatchError, match="damaged"):
        check_not_needed(lake, settings, {batch.folder: DamagedBatchError("damaged")})


def test_a_damaged_vocabulary_is_noticed_before_anything_is_removed(settings: Settings, lake: Lake) -> None:
    model = Pinned(lake, "models", pinned_names(lake, "models")[0])
    vocabulary = model.members[VOCABULARY][0]
    lake.put(f"{vocabulary.folder}/{vocabulary.files[0].name}", b"damaged")
    with pytest.raises(DamagedBatchError, match="vocabulary"):
        forget.run(lake, settings, Subject("repo", sampled(settings)["repo"]), BECAUSE)
    assert ForgottenList.read(lake).forgettings == ()


def test_nothing_is_removed_if_the_current_release_needs_a_damaged_batch_or_mlflow_cannot_be_read(
    settings: Settings, lake: Lake
) -> None:
    subject = Subject("repo", "a/b")
    database = Path(lake.root, "mlflow.db")
    intact = database.read_bytes()
    database.write_bytes(b"not a database" * 1000)
    with pytest.raises(TitlerError, match="MLflow"):
        forget.run(lake, settings, subject, BECAUSE)
    database.write_bytes(intact)
    current = lake.current(ISSUES.name, {"day": str(THREE)})
    assert current is not None
    lake.put(f"{current.folder}/{current.files[0].name}", b"damaged")
    with pytest.raises(DamagedBatchError, match="is damaged"):
        forget.run(lake, settings, subject, BECAUSE)
    assert ForgottenList.read(lake).forgettings == ()


def keep_one_repository(settings: Settings) -> None:
    """Forgets all repositories but the largest one: the emulator is slow to take many rows."""
    lake = Lake(settings.lake.root)
    issues = [lake.current(ISSUES.name, {"day": day}) for day in lake.days(ISSUES.name)]
    repos = Counter(
        repo for batch in issues if batch for repo in lake.read(batch, ISSUES, ["repo"])["repo"].to_pylist()
    )
    _, *others = [repo for repo, _ in repos.most_common()]
    forgotten = ForgottenList.read(lake)
    hashes = {"repo": [forgotten.hash_of("repo", repo) for repo in others]}
    forgotten.store(lake, Forgetting("a", "repo", BECAUSE, "me", "2015-01-04T03:12:00+00:00", hashes))
    forget.run(lake, settings, Subject("repo", others[0]), BECAUSE)  # continues with all of them


def test_rows_are_deleted_from_bigquery_and_it_says_until_when_they_can_be_recovered(
    built_settings: Settings, tmp_path: Path
) -> None:
    settings = copy(built_settings, tmp_path / "lake")
    lake = Lake(settings.lake.root)
    keep_one_repository(settings)
    ((url,),) = lakes.query(settings, "SELECT MIN(similar_issue_url) FROM similar_issues")
    subject = Subject("issue", url)
    with new_emulator(tmp_path / "emulator") as emulator, new_data_set(emulator) as section:
        on_bigquery = settings.model_copy(update={"warehouse": section})
        republish(lake, on_bigquery, str(current_release_id(lake)))
        of_issue = "SELECT issue_id FROM title_predictions_v1 WHERE issue_url = @url"
        rows = connect(on_bigquery, "test").query(Query("of the issue", of_issue, {"url": url}))
        assert len(rows) == 1
        forgetting = forget.run(lake, on_bigquery, subject, BECAUSE)
        assert found(on_bigquery, subject) == {}
    assert any("Google can recover them until" in text for text in forgetting.remains)
