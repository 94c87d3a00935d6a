"""Derived batches: existing ones are reused, the others are made file by file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.compute import derived_batches
from pipeline.compute.derived_batches import Derivation, Outcome, derive_batches, worth_a_cluster
from pipeline.contracts import TOKENS
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.settings import Compute


def write_source(lake: Lake, day: str, *files: list[int]) -> Manifest:
    """A batch of files with these issue ids."""
    draft = lake.draft(TOKENS.name, {"source": "raw", "day": day})
    for number, ids in enumerate(files):
        rows = [
            {"issue_id": issue_id, "repo": "a/b", "trainable": True, "body": ["x"], "title": ["y"]}
            for issue_id in ids
        ]
        table = pa.Table.from_pylist(rows, schema=TOKENS.schema)
        draft.write_table(f"part-{number:05d}.parquet", table, TOKENS)
    return draft.commit()


def set_title(rows: pa.Table, title: str) -> pa.Table:
    titles = pa.array([[title]] * len(rows), pa.list_(pa.string()))
    return rows.set_column(rows.column_names.index("title"), "title", titles)


def derive(
    lake: Lake,
    sources: list[Manifest],
    title: str = "new",
    work: Callable[[pa.Table, str], pa.Table] = set_title,
) -> Outcome:
    derivations = [
        Derivation(source, {"day": source.day}, (source.digest,), {"title": title}) for source in sources
    ]
    return derive_batches(lake, TOKENS, derivations, work, title, label="derive", compute=Compute(workers=1))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path))


def test_a_batch_has_one_file_per_file_of_its_source(lake: Lake) -> None:
    source = write_source(lake, "2015-01-01", [1, 2], [3])
    outcome = derive(lake, [source])
    (manifest,) = outcome.manifests
    assert (outcome.made, outcome.rows, outcome.sources) == (1, 3, (source,))
    assert [(file.name, file.rows) for file in manifest.files] == [
        ("part-00000.parquet", 2),
        ("part-00001.parquet", 1),
    ]
    rows = lake.read(manifest, TOKENS).to_pylist()
    assert [(row["issue_id"], row["title"]) for row in rows] == [(1, ["new"]), (2, ["new"]), (3, ["new"])]
    assert (manifest.inputs, manifest.parameters) == ((source.digest,), {"title": "new"})


def test_an_existing_batch_is_reused_and_becomes_current(lake: Lake) -> None:
    source = write_source(lake, "2015-01-01", [1])
    first, other, again = derive(lake, [source]), derive(lake, [source], "other"), derive(lake, [source])
    assert (first.made, other.made, again.made) == (1, 1, 0)
    assert again.manifests == first.manifests
    assert lake.current(TOKENS.name, {"day": "2015-01-01"}) == first.manifests[0]


def test_only_missing_batches_are_made_and_the_order_is_kept(lake: Lake) -> None:
    sources = [write_source(lake, f"2015-01-0{number}", [number]) for number in (1, 2, 3)]
    derive(lake, sources[1:2])
    outcome = derive(lake, sources)
    assert outcome.made == 2
    assert [manifest.day for manifest in outcome.manifests] == ["2015-01-01", "2015-01-02", "2015-01-03"]


def test_a_source_without_files_has_an_empty_batch(lake: Lake) -> None:
    outcome = derive(lake, [write_source(lake, "2015-01-01")])
    assert (outcome.made, outcome.manifests[0].files) == (1, ())


def test_an_error_leaves_no_batch(lake: Lake) -> None:
    source = write_source(lake, "2015-01-01", [1], [2])

    def fail_on_the_second_file(rows: pa.Table) -> pa.Table:
        if rows.column("issue_id").to_pylist() == [2]:
            raise ZeroDivisionError
        return rows

    derivation = Derivation(source, {"day": "2015-01-01"}, (source.digest,), {})
    arguments: dict[str, Any] = {"label": "derive", "compute": Compute(workers=1)}
    with pytest.raises(ZeroDivisionError):
        derive_batches(lake, TOKENS, [derivation], fail_on_the_second_file, **arguments)
    assert lake.current(TOKENS.name, {"day": "2015-01-01"}) is None


def test_a_cluster_pays_off_above_a_number_of_rows(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(derived_batches, "ROWS_WORTH_A_CLUSTER", 3)
    small, large = write_source(lake, "2015-01-01", [1, 2, 3]), write_source(lake, "2015-01-02", [4])
    assert not worth_a_cluster([small])
    assert worth_a_cluster([small, large])


def fail_on(issue_id: int) -> Callable[[pa.Table, str], pa.Table]:
    """Returns work that fails on the file with this issue."""

    def work(rows: pa.Table, title: str) -> pa.Table:
        if issue_id in rows.column("issue_id").to_pylist():
            raise ZeroDivisionError
        return set_title(rows, title)

    return work


def test_finished_days_and_files_survive_an_error_and_only_the_others_are_made(lake: Lake) -> None:
    sources = [write_source(lake, "2015-01-01", [1]), write_source(lake, "2015-01-02", [2], [3], [4])]
    with pytest.raises(ZeroDivisionError):
        derive(lake, sources, work=fail_on(3))
    assert lake.current(TOKENS.name, {"day": "2015-01-01"}) is not None
    assert lake.current(TOKENS.name, {"day": "2015-01-02"}) is None
    outcome = derive(lake, sources, work=fail_on(2))  # the file with issue 2 is not made again
    assert outcome.made == 1
    assert [row["issue_id"] for row in lake.read(outcome.manifests[1], TOKENS).to_pylist()] == [2, 3, 4]


def test_no_record_of_a_finished_file_is_left_when_a_batch_is_complete(lake: Lake) -> None:
    source = write_source(lake, "2015-01-01", [1], [2])
    (manifest,) = derive(lake, [source]).manifests
    assert lake.names(f"{TOKENS.name}/day=2015-01-01/parts/{manifest.key}") == []
