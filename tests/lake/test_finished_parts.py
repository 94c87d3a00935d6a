"""Finished files of incomplete batches: the next run of a command takes them and makes only the others."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.contracts import SIMILAR_ISSUES
from pipeline.lake.batches import Lake
from pipeline.lake.draft import Draft
from pipeline.lake.finished_parts import FinishedPart, FinishedParts
from pipeline.lake.sweep import sweep_batches
from tests.warehouse.events import neighbour

DAY = {"day": "2015-01-01"}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path))


def killed_draft(lake: Lake) -> Draft:
    """A draft whose command was killed after it had finished the file `a`."""
    draft = lake.draft("issues_v1", DAY, ("input",), {"parameter": 1})
    draft.write_file("a", b"content", 3)
    FinishedParts.of(draft).add(FinishedPart(draft.files[0], {"rows": 3}))
    return draft


def test_the_next_draft_with_the_same_inputs_and_parameters_gets_a_copy_of_the_file(lake: Lake) -> None:
    killed = killed_draft(lake)
    draft = lake.draft("issues_v1", DAY, ("input",), {"parameter": 1})
    part = FinishedParts.of(draft).take("a")
    assert part == FinishedPart(killed.files[0], {"rows": 3})
    draft.files.append(part.file)
    manifest = draft.commit()
    assert lake.read_file(manifest, manifest.files[0]) == b"content"
    assert lake.get(f"{killed.folder}/a") == b"content"


def test_the_rows_of_a_copy_have_the_batch_id_of_their_new_batch(lake: Lake) -> None:
    partition = {"model": "m", **DAY}
    rows = pa.Table.from_pylist([neighbour(2, 1)], schema=SIMILAR_ISSUES.schema)
    killed, draft = (lake.draft(SIMILAR_ISSUES.name, partition) for _ in range(2))
    killed.write_table("a", rows, SIMILAR_ISSUES)
    FinishedParts.of(killed).add(FinishedPart(killed.files[0], {}))
    part = FinishedParts.of(draft).take("a")
    assert part is not None
    draft.files.append(part.file)
    manifest = draft.commit()
    stored = lake.read_part(manifest, manifest.files[0]).to_pylist()
    day = date(2015, 1, 1)
    assert stored == [{**neighbour(2, 1), "source_day": day, "batch_id": manifest.batch_id}]
    assert part.file.content_sha256 == killed.files[0].content_sha256


def test_a_draft_with_other_inputs_or_parameters_gets_nothing(lake: Lake) -> None:
    killed_draft(lake)
    others = [
        lake.draft("issues_v1", DAY, ("other",), {"parameter": 1}),
        lake.draft("issues_v1", DAY, ("input",), {"parameter": 2}),
    ]
    assert [FinishedParts.of(draft).take("a") for draft in others] == [None, None]


@pytest.mark.parametrize("content", [b"contest", None])
def test_a_damaged_or_missing_file_is_not_taken(lake: Lake, content: bytes | None) -> None:
    killed = killed_draft(lake)
    lake.delete(f"{killed.folder}/a")
    if content is not None:
        lake.put(f"{killed.folder}/a", content)
    draft = lake.draft("issues_v1", DAY, ("input",), {"parameter": 1})
    assert FinishedParts.of(draft).take("a") is None


def test_a_forgotten_file_is_not_taken(lake: Lake) -> None:
    killed = killed_draft(lake)
    FinishedParts.of(killed).forget(["a", "b"])
    assert FinishedParts.of(killed).take("a") is None


def test_old_records_are_removed_with_the_files_that_they_name(lake: Lake) -> None:
    killed = killed_draft(lake)
    later = datetime.now(UTC) + timedelta(days=1)
    arguments = (lake, ["issues_v1"], ())
    assert sweep_batches(*arguments, datetime.now(UTC) - timedelta(days=2), keep_current_of=()).removed == 0
    assert FinishedParts.of(killed).take("a") is not None
    assert sweep_batches(*arguments, later, keep_current_of=()).removed == 1
    assert lake.names("issues_v1/day=2015-01-01") == []
