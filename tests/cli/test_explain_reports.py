"""What `titler explain` prints for people."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.cli.explain_reports import explanation

RELEASE = {"id": "20150104T031200Z", "current": True, "published_at": "2015-01-04T03:20:00+00:00"}
UNPUBLISHED = {"id": "20150105T031200Z", "current": False, "published_at": None}
VALUE: dict[str, Any] = {
    "issue": {
        "issue_id": 7,
        "issue_url": "https://github.com/rust-lang/rust/issues/12",
        "title": "It crashes",
        "author": None,
        "event_id": "99",
        "created_at": "2015-01-03T14:23:52+00:00",
    },
    "openings": [{"day": "2015-01-03", "counts": True}],
    "release": RELEASE,
    "releases": [UNPUBLISHED, RELEASE],
    "damaged_releases": [{"id": "r3", "problem": "The file /lake/releases/r3/plan.json is damaged."}],
    "model": {
        "name": "m",
        "version": "3",
        "mlflow_run": "abc",
        "vocabulary": "v",
        "variant": "copy",
        "keeps_earlier_titles": True,
        "embedding_model": "n",
    },
    "source": {
        "day": "2015-01-03",
        "verdict": "partial",
        "reason": "23 of 24 hours found",
        "hours_found": 23,
        "base": "https://mirror.example",
        "hour": 14,
        "hour_base": "https://data.gharchive.org",
        "sha256": "c0ffee",
    },
    "batches": [
        {"table": "issues_v1", "batch_id": "b1", "rows": 1234, "created_at": "2015-01-04T03:00:00+00:00"}
    ],
    "title": {
        "published": {"title": "", "confidence": 0.4, "probability": 0.2, "abstained": True},
        "withheld": "ROUGE-L 2.98, first words 15.6",
        "only_template": True,
        "read": {
            "units": "subwords",
            "prepared": 120,
            "window": 64,
            "text": "it crashes",
            "not_read": "a log",
            "unknown_words": [],
        },
        "computed_now": {"title": "it crashes", "confidence": 0.9, "agrees": False},
        "abstained_because": {
            "withheld": "the titles of this model are withheld: ROUGE-L 2.98, first words 15.6"
        },
        "candidates": [{"title": "it crashes", "confidence": 0.9}, {"title": "", "confidence": 0.1}],
        "copied": [{"unit": " it", "copied": 0.25}, {"unit": "\n", "copied": 0.75}],
        "problem": None,
    },
    "neighbours": {
        "ordering": "2",
        "problem": None,
        "issues": [
            {
                "probability": 0.5,
                "issue_url": "https://github.com/rust-lang/rust/issues/3",
                "title": "Crash",
                "parts": {
                    "bias": -5.82,
                    "features": [
                        {"name": "cosine", "value": 0.94, "weight": 4.664, "contribution": 4.384},
                        {"name": "age", "value": 0.0, "weight": -3.971, "contribution": 0.0},
                    ],
                    "log_odds": -1.44,
                    "probability": 0.19,
                },
            }
        ],
    },
}


def test_each_section_has_short_lines(capsys: pytest.CaptureFixture[str]) -> None:
    explanation(VALUE, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "https://github.com/rust-lang/rust/issues/12",
        "    It crashes",
        "    id 7, opened 2015-01-03 14:23 UTC by an unknown account",
        "release",
        "    20150104T031200Z (current)",
        "    other releases with this issue: 20150105T031200Z (not published)",
        "    release r3 was not read: The file /lake/releases/r3/plan.json is damaged.",
        "model",
        "    m, version 3, variant copy",
        "    MLflow run abc",
        "    vocabulary v",
        "    embedding network of model n",
        "    an earlier champion, whose titles the release keeps for the issue's day",
        "source",
        "    day 2015-01-03, partial: 23 of 24 hours found (23 of 24 hours)",
        "    event 99, hour 14 (UTC)",
        "    event read from https://mirror.example",
        "    SHA-256 of the file of this hour: c0ffee",
        "    the file of this hour was read from https://data.gharchive.org: the event",
        "      was in the file of another hour",
        "batches",
        "    table      batch   rows  made",
        "    issues_v1  b1     1,234  2015-01-04 03:00 UTC",
        "title",
        "    none: the model abstains",
        "    probability that the title is like the author's title: 0.200",
        "    no title is shown, because the titles of this model are withheld: ROUGE-L",
        "      2.98, first words 15.6",
        "    the body has only the text of an issue template",
        "    computed again now: the result is DIFFERENT: it crashes (confidence 0.900)",
        "text that the model reads",
        "    120 subwords after cleaning; the model reads at most 64",
        "    it crashes",
        "    not read: a log",
        "candidate titles, computed now with the model named above",
        "    0.900  it crashes",
        "    0.100  (no text)",
        "subwords of the first candidate that are copied from the body",
        "    1 of 2 subwords; the number after each subword is the share of its",
        "      probability that comes from copying",
        "    it 0.25  \\n 0.75",
        "similar issues of the repository. The parts of each probability are computed",
        "  now, with the weights of ordering 2",
        "    0.50  https://github.com/rust-lang/rust/issues/3  Crash",
        "            bias                     -5.82",
        "            cosine    0.94  x +4.66  +4.38",
        "            log odds                 -1.44 -> probability 0.19",
    ]


def test_a_model_that_was_removed_is_a_problem_of_the_title_alone(capsys: pytest.CaptureFixture[str]) -> None:
    title = {**VALUE["title"], "problem": "Model m has no predictor yet.", "abstained_because": None}
    explanation({**VALUE, "title": title, "neighbours": {"problem": "none"}}, as_json=False)
    output = capsys.readouterr().out
    assert "    nothing can be computed: Model m has no predictor yet.\nsimilar issues" in output


def test_a_title_that_is_withheld_is_not_shown_as_the_title(capsys: pytest.CaptureFixture[str]) -> None:
    published = {"title": "it crashes", "confidence": 0.9, "probability": None, "abstained": False}
    explanation({**VALUE, "title": {**VALUE["title"], "published": published}}, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[lines.index("title") + 1] == (
        "    none: withheld. The model predicted: it crashes  (confidence 0.900)"
    )
