"""`titler explain`: one issue of a real small release, from its hour file to its title and similar issues."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.lake.batches import Lake
from pipeline.releases.current import require_current
from pipeline.settings import Settings
from tests.support.titler_in_process import titler

ADDRESS = "makebelieve-marmot/ladder-kit#146498"
TWICE = "73888600073"
"""The id of an issue with an `opened` event on both days."""
NO_BODY = "73888600076"


@pytest.fixture(scope="module")
def environment(shared_settings: Settings) -> dict[str, str]:
    return {"TITLER_LAKE__ROOT": shared_settings.lake.root}


@pytest.fixture(scope="module")
def explained(environment: dict[str, str]) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(titler("explain", ADDRESS, "--json", environment=environment).stdout)
    return value


def test_the_issue_and_its_source_are_those_of_the_hour_file(
    explained: dict[str, Any], shared_settings: Settings
) -> None:
    hours = Path(shared_settings.source.bases[0].base)
    assert explained["issue"] == {
        "issue_id": 73888700088,
        "issue_url": "https://github.com/makebelieve-marmot/ladder-kit/issues/146498",
        "repo": "makebelieve-marmot/ladder-kit",
        "number": 146498,
        "author": "nobody-otto-891",
        "title": "[BUG] Parser fails with SyntaxError on Node 18",
        "trainable": True,
        "event_id": "738887000491",
        "created_at": "2024-01-02T14:23:52+00:00",
    }
    assert explained["source"] == {
        "day": "2024-01-02",
        "verdict": "complete",
        "reason": None,
        "hours_found": 24,
        "base": hours.name,
        "hour": 14,
        "hour_base": hours.name,
        "sha256": hashlib.sha256((hours / "2024-01-02-14.json.gz").read_bytes()).hexdigest(),
    }


def test_the_release_the_model_and_the_batches_are_those_of_the_lake(
    explained: dict[str, Any], shared_settings: Settings
) -> None:
    release = require_current(Lake(shared_settings.lake.root))
    facts = release.facts
    assert (explained["release"]["id"], explained["release"]["current"]) == (release.name, True)
    assert explained["releases"] == [explained["release"]]
    assert explained["model"] == {
        "name": facts["model"],
        "version": "1",
        "mlflow_run": facts["mlflow_run"],
        "vocabulary": facts["vocabulary"],
        "variant": "copy",
        "keeps_earlier_titles": False,
        "embedding_model": facts["model"],
    }
    batches = {batch["table"]: (batch["batch_id"], batch["rows"]) for batch in explained["batches"]}
    days = {"issues_v1": 151, "tokens_v1": 151, "vectors_v1": 151, "embeddings_v1": 151}
    assert {table: batches[table][1] for table in days} == days
    assert {table: batches[table][0] for table in release.members} == {
        table: release.members[table][-1].batch_id for table in release.members
    }


def test_the_title_that_is_computed_now_agrees_with_the_published_one(explained: dict[str, Any]) -> None:
    title = explained["title"]
    best, *worse = title["candidates"]
    assert title["computed_now"]["agrees"]
    assert (best["title"], title["problem"]) == (title["published"]["title"], None)
    assert best["confidence"] == pytest.approx(title["published"]["confidence"], abs=1e-5)
    assert best["confidence"] == pytest.approx(math.exp(best["log_probability"]))
    assert all(each["confidence"] <= best["confidence"] for each in worse)
    assert len(worse) >= 3
    assert "".join(unit["unit"] for unit in title["copied"]).split() == best["title"].split()
    assert all(0 <= unit["copied"] <= 1 for unit in title["copied"])
    assert title["abstained_because"] == {}


def test_the_text_that_the_model_reads_is_the_cleaned_body(explained: dict[str, Any]) -> None:
    read = explained["title"]["read"]
    assert read["text"] == (
        "syntaxerror comes up in the parsing code when node 18 is used. syntaxerror: unexpected token < in "
        "json at position 0"
    )
    assert (read["units"], read["window"], read["not_read"]) == ("subwords", 64, "")


def test_the_parts_of_a_probability_add_up_to_the_published_one(explained: dict[str, Any]) -> None:
    neighbours = explained["neighbours"]
    first = neighbours["issues"][0]
    assert (neighbours["ordering"], neighbours["problem"]) == ("3", None)
    assert (first["rank"], first["issue_url"], first["title"]) == (
        1,
        "https://github.com/makebelieve-marmot/ladder-kit/issues/146395",
        "[BUG] SyntaxError in parser with Node 18",
    )
    for issue in neighbours["issues"]:
        parts = issue["parts"]
        contributions = [feature["contribution"] for feature in parts["features"]]
        assert parts["bias"] + sum(contributions) == pytest.approx(parts["log_odds"])
        assert 1 / (1 + math.exp(-parts["log_odds"])) == pytest.approx(parts["probability"], abs=1e-6)
        assert parts["probability"] == issue["probability"]


def test_an_issue_that_was_opened_twice_says_which_opening_is_not_used(environment: dict[str, str]) -> None:
    lines = titler("explain", TWICE, environment=environment).stdout.splitlines()
    headings = [line.split(",")[0] for line in lines if not line.startswith(" ")]
    assert headings == [
        "https://github.com/fictional-heron/ladder-tool/issues/146643",
        "release",
        "model",
        "source",
        "batches",
        "title",
        "text that the model reads",
        "candidate titles",
        "subwords of the first candidate that are copied from the body",
        "similar issues of the repository",
    ]
    output = "\n".join(lines)
    assert (
        "    also opened on 2024-01-02 (event 738887000443,\n"
        "      https://github.com/fictional-heron/ladder-tool/issues/146643): not used,\n"
        "      because the earliest event counts\n"
    ) in output
    assert output.endswith(
        "    none: the index had no older issue of this repository when the issue's day\n      was searched"
    )


def test_an_issue_without_a_body_says_that_it_has_no_title_for_this_reason(
    environment: dict[str, str],
) -> None:
    value = json.loads(titler("explain", NO_BODY, "--json", environment=environment).stdout)["title"]
    assert value["abstained_because"] == {"empty_body": "the issue has no body"}
    assert (value["published"]["abstained"], value["published"]["title"]) == (True, "")
    assert (value["read"]["prepared"], value["candidates"], value["copied"]) == (0, [], None)


def test_neither_verb_imports_tensorflow_mlflow_or_duckdb(environment: dict[str, str]) -> None:
    program = (
        "import sys; from pipeline.cli import app; app(args=['releases'], standalone_mode=False); "
        "app(args=['explain', sys.argv[1]], standalone_mode=False); "
        "print({'tensorflow', 'keras', 'mlflow', 'duckdb'} & sys.modules.keys())"
    )
    command = [sys.executable, "-c", program, ADDRESS]
    variables = {**os.environ, **environment}
    output = subprocess.run(command, env=variables, capture_output=True, text=True, check=True).stdout
    assert "similar issues of the repository" in output
    assert output.endswith("\nset()\n")


def test_no_similar_issues_are_wanted(environment: dict[str, str]) -> None:
    value = json.loads(titler("explain", ADDRESS, "-k", "0", "--json", environment=environment).stdout)
    assert value["neighbours"] == {"ordering": "3", "issues": [], "problem": None}


def test_another_release_with_a_damaged_record_is_named_as_damaged(copied_settings: Settings) -> None:
    lake = Lake(copied_settings.lake.root)
    current = require_current(lake)
    shutil.copytree(lake.path(current.file("")), lake.path("releases/damaged"))
    lake.put("releases/damaged/release.json", b"{")
    environment = {"TITLER_LAKE__ROOT": lake.root}
    value = json.loads(titler("explain", NO_BODY, "--json", environment=environment).stdout)
    assert [each["id"] for each in value["releases"]] == [current.name]
    assert [each["id"] for each in value["damaged_releases"]] == ["damaged"]
