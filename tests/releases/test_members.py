"""The content of a release in the warehouse: rows of release_members_v1, and batches to load."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from pipeline.contracts import (
    DUPLICATE_MARKS,
    DUPLICATE_PAIRS,
    EMBEDDINGS,
    ISSUES,
    SIMILAR_ISSUES,
    SIMILAR_ISSUES_V1,
    SOURCE_HEALTH,
    TITLE_PREDICTIONS,
)
from pipeline.errors import UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned
from pipeline.releases.members import member_keys, published_tables, release_content
from pipeline.settings import Settings
from pipeline.settings import Warehouse as WarehouseSettings
from pipeline.warehouse import Batch


def commit(lake: Lake, table: str, rows: int) -> Manifest:
    draft = lake.draft(table, {"day": "2015-01-03"})
    draft.write_file("part-00000.parquet", table.encode(), rows=rows)
    return draft.commit()


@pytest.fixture
def release(tmp_path: Path) -> Pinned:
    """A release with issues and source health, but without titles."""
    release = Pinned(Lake(str(tmp_path)), "releases", "r")
    release.open([], {})
    for table, rows in ((ISSUES.name, 3), (SOURCE_HEALTH.name, 1)):
        release.members.put(table, [commit(release.lake, table, rows)])
    return release


def test_embeddings_are_published_if_the_setting_says_so() -> None:
    tables = (
        *("source_health_v1", "duplicate_marks_v1", "title_predictions_v1", "similar_issues_v2"),
        "duplicate_pairs_v1",
    )
    assert published_tables(Settings()) == tables
    with_embeddings = Settings(warehouse=WarehouseSettings(embeddings=True))
    assert published_tables(with_embeddings) == (*tables, EMBEDDINGS.name)


def test_members_are_the_batches_of_issues_and_of_the_published_tables(release: Pinned) -> None:
    content = release_content(release, [SOURCE_HEALTH.name], complete=True)
    manifests = [release.members[table][0] for table in (ISSUES.name, SOURCE_HEALTH.name)]
    assert content.members == [
        {
            "release_id": "r",
            "table_name": manifest.table,
            "day": date(2015, 1, 3),
            "batch_id": manifest.batch_id,
            "digest": manifest.digest,
            "rows": manifest.rows,
            "model": None,
        }
        for manifest in manifests
    ]
    assert content.keys == {(one.table, "2015-01-03", one.batch_id) for one in manifests}
    assert member_keys(content.members) == content.keys


def test_a_batch_of_titles_names_the_model_that_wrote_them(release: Pinned) -> None:
    titles = release.lake.draft(TITLE_PREDICTIONS.name, {"model": "m", "day": "2015-01-03"}).commit()
    release.members.put(TITLE_PREDICTIONS.name, [titles])
    members = release_content(release, [TITLE_PREDICTIONS.name], complete=True).members
    assert [(row["table_name"], row["model"]) for row in members] == [
        ("issues_v1", None),
        ("title_predictions_v1", "m"),
    ]


def test_only_batches_of_published_tables_are_loaded(release: Pinned) -> None:
    health = release.members[SOURCE_HEALTH.name][0]
    files = (release.lake.path(f"{health.folder}/part-00000.parquet"),)
    assert release_content(release, [SOURCE_HEALTH.name], complete=True).batches == {
        SOURCE_HEALTH.name: [
            Batch(health.batch_id, date(2015, 1, 3), 1, files, digests=(health.files[0].sha256,))
        ]
    }


def test_the_openings_that_the_plan_skips_are_published(release: Pinned) -> None:
    release.plan.superseded["2015-01-03"] = [7, 9]
    assert release_content(release, [SOURCE_HEALTH.name], complete=True).superseded == [
        {"release_id": "r", "day": date(2015, 1, 3), "issue_id": 7},
        {"release_id": "r", "day": date(2015, 1, 3), "issue_id": 9},
    ]


def test_a_table_without_batches_is_refused_if_the_release_must_be_complete(release: Pinned) -> None:
    message = r"^Release r has no title_predictions_v1 yet\.\nRun first: titler predict --release r$"
    with pytest.raises(UsageError, match=message):
        release_content(release, [TITLE_PREDICTIONS.name], complete=True)


@pytest.mark.parametrize("table", [DUPLICATE_MARKS.name, DUPLICATE_PAIRS.name])
def test_a_release_of_an_earlier_version_has_no_duplicate_marks_and_pairs(
    release: Pinned, table: str
) -> None:
    content = release_content(release, [table], complete=True)
    assert content.batches == {table: []}


def test_a_table_without_batches_is_empty_if_the_release_may_be_incomplete(release: Pinned) -> None:
    content = release_content(release, [TITLE_PREDICTIONS.name], complete=False)
    assert content.batches == {TITLE_PREDICTIONS.name: []}
    assert [row["table_name"] for row in content.members] == [ISSUES.name]


def test_a_release_of_an_earlier_version_has_its_similar_issues_in_the_earlier_table(release: Pinned) -> None:
    earlier = commit(release.lake, SIMILAR_ISSUES_V1.name, rows=2)
    release.members.put(SIMILAR_ISSUES_V1.name, [earlier])
    content = release_content(release, [SIMILAR_ISSUES.name], complete=True)
    assert {table: [batch.batch_id for batch in batches] for table, batches in content.batches.items()} == {
        "similar_issues_v1": [earlier.batch_id]
    }
    assert [row["table_name"] for row in content.members] == ["issues_v1", "similar_issues_v1"]
