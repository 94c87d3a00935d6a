"""predict: padded ids and issues in, predicted titles with their origin out."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from pipeline.contracts import ISSUES, TITLE_PREDICTIONS, VECTORS
from pipeline.errors import LakeError
from pipeline.lake.batches import Lake
from pipeline.lake.damaged_batches import mark_damaged
from pipeline.lake.pinned import Pinned
from pipeline.predictor import batch_inference
from pipeline.predictor.predictor import Predictor
from pipeline.settings import Settings
from pipeline.stages import predict
from tests.predictor.small_predictors import subword_predictor
from tests.stages.literal_issues import issue, issues
from tests.stages.literal_releases import commit_table, vectorized_release


@pytest.fixture
def predictor(monkeypatch: pytest.MonkeyPatch) -> Predictor:
    """A predictor whose titles are the bodies."""
    predictor = subword_predictor()
    monkeypatch.setattr(batch_inference, "load_predictor", lambda lake, folder: predictor)
    return predictor


def test_each_issue_has_its_title_and_where_it_comes_from(predictor: Predictor, tmp_path: Path) -> None:
    rows = [issue(1, "Help", "**The** window"), issue(2, "No body", None)]
    release = vectorized_release(Lake(str(tmp_path)), predictor, {"2015-01-01": rows})
    (manifest,) = predict.run(release.lake, Settings(), release).manifests
    columns = {
        "repo": "rust-lang/rust",
        "created_at": datetime(2015, 1, 1, 12, tzinfo=UTC),
        "source_day": date(2015, 1, 1),
        "model": "m",
        "model_version": "3",
        "vocabulary": "v",
        "mlflow_run": "run of m",
        "issues_batch": release.issues(release.plan.days[0]).batch_id,
        "probability": None,  # the model has no calibration
        "author_association": None,
    }
    assert release.lake.read(manifest, TITLE_PREDICTIONS).to_pylist() == [
        {
            **columns,
            "issue_id": 1,
            "issue_url": "https://github.com/rust-lang/rust/issues/1",
            "title": "Help",
            "body_excerpt": "**The** window",
            "predicted_title": "the window",
            "confidence": 1.0,
            "abstained": False,
        },
        {
            **columns,
            "issue_id": 2,
            "issue_url": "https://github.com/rust-lang/rust/issues/2",
            "title": "No body",
            "body_excerpt": None,
            "predicted_title": "",
            "confidence": 0.0,
            "abstained": True,
        },
    ]


def test_each_day_of_a_release_is_titled_once(predictor: Predictor, tmp_path: Path) -> None:
    days = {"2015-01-01": [issue(1, "t", "the window")], "2015-01-02": [issue(2, "t", "the crash")]}
    release = vectorized_release(Lake(str(tmp_path)), predictor, days)
    first, again = (
        predict.run(release.lake, Settings(), release),
        predict.run(release.lake, Settings(), release),
    )
    assert (first.made, again.made, again.manifests) == (2, 0, first.manifests)
    assert release.members.folders(TITLE_PREDICTIONS.name) == [
        manifest.folder for manifest in first.manifests
    ]


def test_a_day_keeps_the_titles_that_the_plan_of_the_release_names(
    predictor: Predictor, tmp_path: Path
) -> None:
    days = {"2015-01-01": [issue(1, "t", "the window")], "2015-01-02": [issue(2, "t", "the crash")]}
    release = vectorized_release(Lake(str(tmp_path)), predictor, days)
    earlier = release.lake.draft(TITLE_PREDICTIONS.name, {"model": "earlier", "day": "2015-01-01"}).commit()
    after = Pinned(release.lake, "releases", "after")
    after.open(release.plan.days, release.plan.facts | {"kept_titles": {"2015-01-01": earlier.folder}})
    for table in (ISSUES.name, VECTORS.name):
        after.members.put(table, release.members[table])
    outcome = predict.run(release.lake, Settings(), after)
    assert outcome.made == 1
    assert [manifest.partition["model"] for manifest in outcome.manifests] == ["earlier", "m"]
    assert after.members.folders(TITLE_PREDICTIONS.name)[0] == earlier.folder
    mark_damaged(release.lake, earlier.folder)  # nobody can make the titles of an earlier champion again
    again = predict.run(release.lake, Settings(), after)
    assert [manifest.partition["model"] for manifest in again.manifests] == ["m", "m"]


def test_vectors_of_other_issues_are_refused(predictor: Predictor, tmp_path: Path) -> None:
    release = vectorized_release(Lake(str(tmp_path)), predictor, {"2015-01-01": [issue(1, "t", "b")]})
    (vectors,) = release.members[VECTORS.name]
    others = commit_table(release.lake, ISSUES, {"day": "2015-01-01"}, issues(issue(2, "t", "b")))
    with pytest.raises(LakeError, match=r"do not hold the same issues\.\n.*titler clean --day 2015-01-01"):
        predict.read_rows(vectors.files[0], release.lake, vectors, others)
