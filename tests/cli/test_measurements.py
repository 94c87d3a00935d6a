"""The metrics that verbs send, from the results of their stages."""

from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import stage_runs
from pipeline.cli.options import Context
from pipeline.compute.derived_batches import Outcome
from pipeline.errors import SourceError
from pipeline.lake.manifest import Manifest
from pipeline.settings import LakeSettings, Settings, Source, Telemetry
from tests.support.collector import Collector
from tests.support.receivers import serving

LONG_AGO, LATER = "2015-01-05T00:00:00+00:00", "2999-01-01T00:00:00+00:00"
COST = {"bytes_billed": 3_000_000_000, "usd": 0.02}


def batch(rows: int, created_at: str, figures: dict[str, Any]) -> Manifest:
    day = {"day": "2015-01-01"}
    return Manifest("issues_v1", day, "b1", "k", "d", rows, (), (), {}, figures, created_at)


def sent(folder: Path, verb: str, subject: Any, **record_values: Any) -> dict[tuple[str, ...], float]:
    """The metrics that a verb sends if its stage has this result, without what it used."""
    with serving(Collector()) as collector:
        settings = Settings(
            lake=LakeSettings(root=str(folder)), telemetry=Telemetry(otlp_endpoint=collector.address)
        )
        context = Context.of(settings)
        subject = context.release(subject) if isinstance(subject, str) else subject
        with stage_runs.recorded(context, verb, subject) as record:
            for name, value in record_values.items():
                setattr(record, name, value)
    used = {"titler.verb.duration", "titler.verb.cpu_time", "titler.verb.peak_memory"}
    assert used <= {name for name, *_ in collector.values()}
    return {
        key: value
        for key, value in collector.values().items()
        if key[0] not in {*used, "titler.verb.worker_peak_memory"}
    }


def test_an_extraction_sends_new_rows_verdicts_and_what_bigquery_billed_for_them(tmp_path):
    outcome = Outcome((batch(7, LATER, {"cost": COST}), batch(5, LONG_AGO, {"cost": COST})), made=1)
    health = [{"verdict": "complete"}, {"verdict": "partial"}, {"verdict": "complete"}]
    assert sent(tmp_path, "extract", [date(2015, 1, 1)], result=outcome, health=health) == {
        ("titler.verb.failed", "extract"): 0.0,
        ("titler.verb.rows", "extract"): 7.0,
        ("titler.verb.new_batches", "extract"): 1.0,
        ("titler.source.days", "extract", "complete"): 2.0,
        ("titler.source.days", "extract", "partial"): 1.0,
        ("titler.bigquery.billed", "extract"): 3_000_000_000.0,
        ("titler.bigquery.cost", "extract"): 0.02,
    }


def test_a_day_that_must_not_be_missing_makes_the_extraction_fail(tmp_path):
    (tmp_path / "2015-01-02-0.json.gz").write_bytes(gzip.compress(b""))
    with serving(Collector()) as collector:
        settings = Settings(
            source=Source(hours=str(tmp_path)),
            lake=LakeSettings(root=str(tmp_path / "lake")),
            telemetry=Telemetry(otlp_endpoint=collector.address),
        )
        with pytest.raises(SourceError, match="no readable data for 2015-01-01"):
            stage_runs.extract(Context.of(settings), [date(2015, 1, 1)], fail_if_missing=True)
    assert collector.values()["titler.verb.failed", "extract"] == 1
    assert collector.values()["titler.source.days", "extract", "missing"] == 1


def test_a_publication_sends_the_figures_of_its_release(tmp_path):
    record = {"issues": 200, "days": 2, "recall_at_10": 0.97, "abstained": 0.25}
    assert sent(tmp_path, "publish", "20150104T0312Z", result=record) == {
        ("titler.verb.failed", "publish"): 0.0,
        ("titler.release.issues", "publish"): 200.0,
        ("titler.release.days", "publish"): 2.0,
        ("titler.release.recall", "publish"): 0.97,
        ("titler.release.abstained", "publish"): 0.25,
    }


def test_an_address_without_a_scheme_is_refused():
    with pytest.raises(ValueError, match="otlp_endpoint"):
        Telemetry(otlp_endpoint="localhost:4318")
