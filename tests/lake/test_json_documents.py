"""Reading JSON documents: their form, what the errors say, and objects whose keys depend on the subject."""

from __future__ import annotations

import json
import pickle
from dataclasses import asdict, dataclass
from typing import Any

import pytest
from pydantic import ConfigDict

from pipeline.errors import LakeError
from pipeline.lake.batches import Lake
from pipeline.lake.draft import Draft
from pipeline.lake.finished_parts import FinishedPart, FinishedParts
from pipeline.lake.json_documents import (
    ABSENT,
    AnyObject,
    Document,
    JsonObject,
    KnownKeys,
    delete_and_repeat,
    delete_and_run,
    object_with,
)
from pipeline.lake.manifest import File
from pipeline.lake.pinned import Pinned


@dataclass(frozen=True)
class Size:
    __pydantic_config__ = ConfigDict(extra="forbid")

    rows: int
    figures: AnyObject


SIZE: Document[Size] = Document(Size, "a size", delete_and_run("titler index --release NAME"))


def parse(text: str) -> Size:
    return SIZE.parse(text.encode(), "/lake", "releases/r/size.json")


def test_a_document_has_the_form_of_its_kind() -> None:
    assert parse('{"rows": 3, "figures": {"recall": 0.5, "skew": NaN}}').rows == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is not valid JSON (EOF while parsing a value at line 1 column 0)"),
        ("[]", "it is an empty list (input should be an object)"),
        ("[1]", "it is a list (input should be an object)"),
        ("null", "it is null (input should be an object)"),
        ('{"rows": 3}', "it has no key `figures`"),
        (
            '{"rows": "3", "figures": {}}',
            '`rows` is "3" (input should be a valid integer)',
        ),
        ('{"rows": true, "figures": {}}', "`rows` is true (input should be a valid integer)"),
        ('{"rows": {}, "figures": {}}', "`rows` is an empty object (input should be a valid integer)"),
        (
            json.dumps({"rows": "a" * 100, "figures": {}}),
            f'`rows` is "{"a" * 59}... (input should be a valid integer)',
        ),
    ],
)
def test_the_error_names_the_file_what_was_found_what_was_expected_and_what_helps(
    text: str, message: str
) -> None:
    with pytest.raises(LakeError) as raised:
        parse(text)
    assert str(raised.value) == (
        f"The file /lake/releases/r/size.json is damaged: {message}. Expected a size.\n"
        "Delete this file, then run: titler index --release r"
    )


def test_a_key_of_a_newer_version_is_not_called_damage() -> None:
    with pytest.raises(LakeError) as raised:
        parse('{"rows": 3, "figures": {}, "colour": "red"}')
    assert str(raised.value) == (
        "The file /lake/releases/r/size.json has the key `colour`, which this version of Titler does not "
        "know. Expected a size.\nUse the version of Titler that wrote the file, or a newer one."
    )


def test_a_missing_figure_is_an_error_that_names_the_file_and_the_key() -> None:
    figures = parse('{"rows": 3, "figures": {"recall": 0.5, "near": {"mrr": 1.0}}}').figures
    assert (figures["recall"], figures.get("items"), figures["near"]["mrr"]) == (0.5, None, 1.0)
    with pytest.raises(
        LakeError, match=r"size\.json is damaged or .* the key `items`, but the keys are: recall,"
    ):
        figures["items"]
    with pytest.raises(
        LakeError, match=r"size\.json is damaged or .* the key `issues`, but the keys are: mrr\."
    ):
        figures["near"]["issues"]


def test_an_object_stays_one_when_it_is_copied_or_sent_to_another_process() -> None:
    size = parse('{"rows": 3, "figures": {"recall": 0.5}}')
    assert asdict(size) == {"rows": 3, "figures": {"recall": 0.5}}
    figures = pickle.loads(pickle.dumps(size.figures))
    assert (figures, type(figures), figures.path) == (
        {"recall": 0.5},
        JsonObject,
        "/lake/releases/r/size.json",
    )


@pytest.mark.parametrize("time", ["2015-01)04T03:12:00+00:00", "2015-01-04T03:12:00", "yesterday"])
def test_a_manifest_whose_time_cannot_be_read_is_damaged(lake: Lake, time: str) -> None:
    batch = lake.draft("tokens_v1", {"day": "2015-01-01"}).commit()
    lake.put_json(f"{batch.folder}/manifest.json", {**asdict(batch), "created_at": time})
    with pytest.raises(LakeError, match=r"manifest\.json is damaged: `created_at` is "):
        lake.manifest(batch.folder)


class Facts(KnownKeys):
    model: str
    neighbours: int = ABSENT


def test_an_object_with_known_keys_keeps_the_others_and_adds_none() -> None:
    facts: Document[dict[str, Any]] = Document(object_with(Facts), "facts", delete_and_repeat)
    assert facts.parse(b'{"model": "m", "colour": "red"}', "/lake", "f.json") == {
        "model": "m",
        "colour": "red",
    }
    with pytest.raises(LakeError, match=r'`neighbours` is "3" \(input should be a valid integer\)'):
        facts.parse(b'{"model": "m", "neighbours": "3"}', "/lake", "f.json")


@pytest.fixture
def lake(tmp_path: Any) -> Lake:
    return Lake(str(tmp_path / "lake"))


def test_a_fact_that_a_plan_lacks_is_an_error_that_names_the_plan(lake: Lake) -> None:
    release = Pinned(lake, "releases", "r")
    release.open([], {"model": "m"})
    assert release.facts["model"] == "m"
    with pytest.raises(LakeError, match=r"releases/r/plan\.json is damaged or .* the key `predictor`, but"):
        release.facts["predictor"]


@pytest.mark.parametrize(
    "facts", [{"model": 1}, {"neighbours": "10"}, {"predictor": "../m"}, {"embedding": {}}]
)
def test_a_fact_of_another_type_is_damage(lake: Lake, facts: dict[str, Any]) -> None:
    plan = {"facts": facts, "opened_at": "2015-01-04T03:12:00+00:00", "base": None, "day_pages": {}}
    lake.put_json("releases/r/plan.json", plan)
    with pytest.raises(LakeError, match=r"plan\.json is damaged: .*`facts\."):
        Pinned(lake, "releases", "r").is_open()


@pytest.mark.parametrize(
    "content", [b"[]", b"{}", b"null", b'{"folder": "a", "file": {}, "counts": {}}', b"[" * 100_000]
)
def test_a_damaged_record_of_a_finished_file_is_refused_until_it_is_deleted(
    lake: Lake, content: bytes
) -> None:
    draft: Draft = lake.draft("issues_v1", {"day": "2015-01-01"})
    parts = FinishedParts.of(draft)
    draft.write_file("a", b"content", 1)
    part = FinishedPart(draft.files[0], {"rows": 1})
    parts.add(part)
    assert parts.take("a") == FinishedPart(File("a", 1, 7, draft.files[0].sha256), {"rows": 1})
    record = f"issues_v1/day=2015-01-01/parts/{draft.key}/a.json"
    lake.put(record, content)
    with pytest.raises(LakeError, match=r"a\.json is damaged: .*\nDelete this file, then run the same"):
        parts.take("a")
    lake.delete(record)
    assert parts.take("a") is None
