"""extract --from-file: literal rows of a file in, rows of issues_v1 out, in a partition that is not a day."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.contracts import ISSUES
from pipeline.errors import UsageError
from pipeline.lake.batches import Lake
from pipeline.settings import Model, Settings, Text
from pipeline.stages import extract_file

BODY = "it crashes whenever I open the settings page"
SETTINGS = Settings(text=Text(max_body_characters=200))


def lines(path: Path, *rows: Mapping[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def filler(count: int = 40) -> list[dict[str, Any]]:
    """Rows of as many repositories, enough to be split."""
    return [{"title": f"Title number {n}", "body": f"{BODY} {n}", "repo": f"o/r{n}"} for n in range(count)]


def extracted(folder: Path, path: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows and the figures of the batch of a file."""
    lake = Lake(str(folder / "lake"))
    manifest, is_new = extract_file.run(lake, SETTINGS, path)
    assert is_new
    return lake.read(manifest, ISSUES).to_pylist(), manifest.figures


def test_repository_and_number_come_from_the_quoted_address_of_the_articles_csv(tmp_path: Path) -> None:
    rows = [
        f'"""https://github.com/o/r{n}/issues/{n + 7}""",Title number {n},{BODY} {n}\n' for n in range(40)
    ]
    (tmp_path / "a.csv").write_text("issue_url,issue_title,body\n" + "".join(rows), encoding="utf-8")
    (first, *_), figures = extracted(tmp_path, tmp_path / "a.csv")
    assert {**first, "issue_id": 0} == {
        "issue_id": 0,
        "issue_url": "https://github.com/o/r0/issues/7",
        "repo": "o/r0",
        "number": 7,
        "author": None,
        "title": "Title number 0",
        "body": f"{BODY} 0",
        "created_at": extract_file.NO_DATE,
        "event_id": "",
        "trainable": True,
        "author_association": None,
        "source": None,
    }
    assert (figures["file"], figures["trainable"], figures["by_row"]) == ("a.csv", 40, False)


def test_pull_requests_are_rows_like_issues(tmp_path: Path) -> None:
    pull = {
        "title": "Fix the parser",
        "body": BODY,
        "html_url": "https://github.com/o/r/pull/3",
        "created_at": "2015-01-02T03:04:05Z",
    }
    (first, *_), _ = extracted(tmp_path, lines(tmp_path / "a.jsonl", pull, *filler()))
    assert (first["issue_url"], first["repo"], first["number"], first["created_at"], first["trainable"]) == (
        "https://github.com/o/r/pull/3",
        "o/r",
        3,
        datetime(2015, 1, 2, 3, 4, 5, tzinfo=UTC),
        True,
    )


def test_a_row_without_repository_and_address_is_identified_by_its_text(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "a.jsonl", *[{"title": f"Title number {n}", "body": f"{BODY} {n}"} for n in range(40)]
    )
    rows, _ = extracted(tmp_path, path)
    assert [row["repo"] == row["issue_url"] and len(row["repo"]) == 64 for row in rows] == [True] * 40
    assert len({row["repo"] for row in rows}) == 40


def test_repeated_rows_are_left_out_and_rows_that_are_not_trainable_are_counted(tmp_path: Path) -> None:
    more: list[dict[str, Any]] = [
        {"title": "Title number 0", "body": f"{BODY} 0", "url": "u"},
        {"title": "Another title now", "body": f"{BODY} other", "url": "u"},
        {"title": "A short body", "body": "it crashes"},
        {"title": "No body at all", "body": None},
        {"title": "short title", "body": BODY},
        {"title": "A long body indeed", "body": f"{BODY} " * 20},
    ]
    rows, figures = extracted(tmp_path, lines(tmp_path / "a.jsonl", *filler(), *more))
    assert [(row["title"], row["trainable"]) for row in rows[40:]] == [
        ("Title number 0", True),
        ("A short body", False),
        ("No body at all", False),
        ("short title", False),
        ("A long body indeed", False),
    ]
    assert (figures["trainable"], figures["repeated"]) == (41, 1)
    assert figures["untrainable"] == {
        "no_body": 1,
        "short_body": 1,
        "short_title": 1,
        "long_title": 0,
        "long_body": 1,
    }


def test_training_needs_no_dates_so_those_that_are_no_times_are_only_counted(tmp_path: Path) -> None:
    times = ["01/03/2021", "2021-03-01 10:00:00 UTC", None, ""]
    rows = [{**row, "created_at": time} for row, time in zip(filler(), times, strict=False)]
    rows, figures = extracted(tmp_path, lines(tmp_path / "a.jsonl", *rows, *filler()))
    assert [row["created_at"].year for row in rows[:4]] == [1970, 2021, 1970, 1970]
    assert figures["unreadable_times"] == 1


def test_a_file_of_one_repository_is_split_by_row_and_says_so(tmp_path: Path) -> None:
    rows, figures = extracted(
        tmp_path, lines(tmp_path / "a.jsonl", *({**row, "repo": "o/r"} for row in filler()))
    )
    assert (figures["by_row"], len({row["repo"] for row in rows})) == (True, 40)


def test_half_a_surrogate_pair_becomes_the_replacement_character(tmp_path: Path) -> None:
    rows, _ = extracted(
        tmp_path,
        lines(tmp_path / "a.jsonl", {"title": "Half \ud83d of it", "body": f"{BODY} \ude00"}, *filler()),
    )
    assert (rows[0]["title"], rows[0]["body"][-1]) == ("Half \ufffd of it", "\ufffd")


def test_the_same_content_is_extracted_once_whatever_the_file_is_called(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    first, first_is_new = extract_file.run(lake, SETTINGS, lines(tmp_path / "a.jsonl", *filler()))
    again, again_is_new = extract_file.run(lake, SETTINGS, lines(tmp_path / "b.jsonl", *filler()))
    assert (first_is_new, again_is_new, again.batch_id) == (True, False, first.batch_id)
    stricter = Settings(text=Text(min_body_words=9))
    other, other_is_new = extract_file.run(lake, stricter, tmp_path / "a.jsonl")
    assert (other_is_new, other.batch_id == first.batch_id) == (True, False)
    assert lake.days(ISSUES.name) == []


def test_a_large_file_has_several_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract_file, "ROWS_PER_PART", 16)
    pq.write_table(pa.Table.from_pylist(filler()), tmp_path / "a.parquet")
    manifest, _ = extract_file.run(Lake(str(tmp_path / "lake")), SETTINGS, tmp_path / "a.parquet")
    assert [file.rows for file in manifest.files] == [16, 16, 8]


def test_a_file_without_trainable_rows_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    path = lines(
        tmp_path / "a.jsonl",
        {"title": "A short body", "body": "it crashes"},
        {"title": "No body", "body": ""},
    )
    with pytest.raises(
        UsageError,
        match=r"a\.jsonl: 0 of 2 rows can be used "
        r"\(the others cannot, by reason: 1 no body, 1 short body\), 0 for training",
    ):
        extract_file.run(lake, SETTINGS, path)
    assert lake.names(ISSUES.name) in ([], [f"file={extract_file.file_digest(path)[:16]}"])
    assert lake.current(ISSUES.name, {"file": extract_file.file_digest(path)[:16]}) is None


def test_only_the_same_training_has_the_same_model_name() -> None:
    def name(
        settings: Settings = SETTINGS,
        digest: str = "ab",
        epochs: int | None = None,
        teacher: dict[str, str] | None = None,
        embedding: str | None = None,
    ) -> str:
        return extract_file.model_name(settings, digest, None, epochs, teacher, embedding)

    assert name() == name(Settings(text=Text(max_body_characters=200), model=Model(sample_titles=1)))
    others = [
        *(name(Settings()), name(digest="cd"), name(epochs=2), name(teacher={"teacher": "large"})),
        *(name(embedding="new"), name(SETTINGS.model_copy(update={"model": Model(embedding="new")}))),
    ]
    assert len({name(), *others}) == 7


def test_the_default_settings_give_the_model_name_that_0_1_0_gave() -> None:
    name = extract_file.model_name(Settings(), "d" * 64, None, None)
    assert name == "file-3720a25462f1"
    slow = Settings(model=Model(learning_rate=0.001))  # the default of 0.1.0, but not of this version
    assert extract_file.model_name(slow, "d" * 64, None, None) != name
