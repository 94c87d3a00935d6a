"""Metrics and traces of the verbs, as a real collector gets them over OTLP."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from pipeline.compute.cluster import map_shards
from pipeline.settings import Compute
from pipeline.telemetry import METRICS, Recording, record_part, sending, step
from tests.support.collector import Collector
from tests.support.receivers import serving

RELEASE = "lake/releases/20150104T0312Z"
TRACE_ID = "ebdd7c68e5080f00fc557f6ec332d343"
FIRST_SPAN_ID = "a7d137360c98282f"
"""The first bytes of the SHA-256 of RELEASE, and the bytes after them."""


@pytest.fixture(scope="module")
def running_collector() -> Iterator[Collector]:
    with serving(Collector()) as collector:
        yield collector


@pytest.fixture
def collector(running_collector: Collector) -> Collector:
    """A collector that has got nothing yet."""
    running_collector.spans.clear()
    running_collector.metrics.clear()
    return running_collector


def ids(span: Span) -> tuple[str, str, str]:
    return span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()


def attributes(span: Span) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value") or "") for each in span.attributes}


def test_the_verbs_of_a_release_are_one_trace_below_its_first_verb(collector):
    with sending(collector.address, Recording("plan", RELEASE, is_first=True)):
        pass
    with sending(collector.address, Recording("embed", RELEASE, is_first=False)):
        pass
    plan, embed = collector.spans
    assert (plan.name, embed.name) == ("plan", "embed")
    assert ids(plan) == (TRACE_ID, FIRST_SPAN_ID, "")
    assert (ids(embed)[0], ids(embed)[2]) == (TRACE_ID, FIRST_SPAN_ID)


def test_a_first_verb_that_is_repeated_has_a_span_for_each_attempt(collector):
    with pytest.raises(OSError, match="gone"), sending(collector.address, Recording("plan", RELEASE)):
        raise OSError("gone")
    with sending(collector.address, Recording("plan", RELEASE)):
        pass
    failed, repeated = collector.spans
    assert ids(repeated) == (TRACE_ID, FIRST_SPAN_ID, "")
    assert (ids(failed)[0], ids(failed)[2]) == (TRACE_ID, FIRST_SPAN_ID)
    assert failed.span_id != repeated.span_id


def test_verbs_without_a_release_have_traces_of_their_own(collector):
    for _ in range(2):
        with sending(collector.address, Recording("clean")):
            pass
    first, second = collector.spans
    assert first.trace_id != second.trace_id
    assert first.parent_span_id == second.parent_span_id == b""


def test_parts_of_the_work_are_children_of_the_verb(collector):
    with sending(collector.address, Recording("clean")):
        record_part("clean", 1_000, 3_000)
        record_part("clean", 2_000, 5_000)
    *parts, verb = sorted(collector.spans, key=lambda span: span.start_time_unix_nano)
    assert [(part.start_time_unix_nano, part.end_time_unix_nano) for part in parts] == [
        (1_000, 3_000),
        (2_000, 5_000),
    ]
    assert {(part.trace_id, part.parent_span_id) for part in parts} == {(verb.trace_id, verb.span_id)}


def test_each_shard_is_a_part_with_its_partition(collector):
    with sending(collector.address, Recording("index")):
        days = [{"day": "2024-01-06"}]
        assert map_shards(str.upper, ["a"], label="segments", compute=Compute(), partitions=days) == ["A"]
    part, verb = collector.spans
    assert (part.name, verb.name) == ("segments", "index")
    assert attributes(part) == {"titler.part": 0, "titler.partition.day": "2024-01-06"}


def test_a_part_does_not_have_the_name_of_its_verb(collector):
    with sending(collector.address, Recording("embed")):
        record_part("embed", 1_000, 3_000)
    assert [span.name for span in collector.spans] == ["embed part", "embed"]


def test_a_step_is_a_child_of_the_verb_even_if_it_fails(collector):
    with (
        pytest.raises(OSError, match="gone"),
        sending(collector.address, Recording("publish")),
        step("audit"),
    ):
        raise OSError("gone")
    audit, verb = collector.spans
    assert (audit.name, verb.name) == ("audit", "publish")
    assert audit.parent_span_id == verb.span_id


def test_the_span_of_a_verb_has_what_the_verb_measured(collector):
    def measure(recording: Recording) -> None:
        recording.measure("titler.verb.duration", 12.5)  # the span has it already
        recording.measure("titler.verb.rows", 601)
        recording.measure("titler.source.days", 3, verdict="complete")

    with sending(collector.address, Recording("extract"), measure):
        pass
    (span,) = collector.spans
    assert attributes(span) == {
        "titler.verb": "extract",
        "titler.rows": 601.0,
        "titler.source.days.complete": 3.0,
    }


def test_the_name_of_an_attribute_does_not_begin_with_another_one(collector):
    """Stores that read dots as levels, such as Elasticsearch, refuse a level that has a value of its own."""

    def measure(recording: Recording) -> None:
        for name in METRICS:
            recording.measure(name, 1)

    recording = Recording("publish", RELEASE, attributes={"titler.release": "20150104T0312Z"})
    with sending(collector.address, recording, measure):
        pass
    names = list(attributes(collector.spans[0]))
    assert len(names) == len(METRICS)  # two attributes of every verb, and all metrics but two
    assert not [(name, other) for name in names for other in names if other.startswith(f"{name}.")]


def test_a_failure_is_recorded_by_its_type_and_without_its_message(collector):
    with pytest.raises(ValueError, match="somebody's text"), sending(collector.address, Recording("clean")):
        raise ValueError("somebody's text")
    (span,) = collector.spans
    assert (span.status.code, span.status.message) == (Status.STATUS_CODE_ERROR, "ValueError")
    assert b"somebody" not in span.SerializeToString()
    assert collector.values() == {("titler.verb.failed", "clean"): 1.0}


def test_the_sender_has_its_version_and_the_attributes_of_the_environment(collector, monkeypatch):
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=production")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "airflow")  # Airflow's own, in the same container
    with sending(collector.address, Recording("plan", RELEASE)):
        pass
    # Without an id of the process: Prometheus keeps one value per verb, which is that of its last run.
    assert collector.resource == {
        "service.name": "titler",
        "service.version": importlib.metadata.version("titler"),
        "deployment.environment": "production",
    }


def test_metrics_have_their_unit_and_the_verb(collector):
    def measure(recording: Recording) -> None:
        recording.measure("titler.verb.duration", 12.5)
        recording.measure("titler.source.days", 3, verdict="complete")

    with sending(collector.address, Recording("extract"), measure):
        pass
    assert collector.values() == {
        ("titler.verb.duration", "extract"): 12.5,
        ("titler.source.days", "extract", "complete"): 3.0,
        ("titler.verb.failed", "extract"): 0.0,
    }
    assert {metric.name: metric.unit for metric in collector.metrics} == {
        "titler.verb.duration": "s",
        "titler.source.days": "",
        "titler.verb.failed": "",
    }


NOT_SENT = (
    "clean: the trace and metrics could not be sent to the setting telemetry.otlp_endpoint. "
    "Check that a collector listens there.\n"
)


@pytest.mark.parametrize(
    ("status", "content_type"),
    [(400, ""), (200, "text/html; charset=utf-8"), (302, "")],
    ids=["a refusal", "a web page", "a redirection to a page"],
)
def test_an_answer_that_accepts_nothing_is_reported_and_does_not_fail_the_verb(status, content_type, capsys):
    with (
        serving(Collector(status, content_type)) as collector,
        sending(collector.address, Recording("clean")),
    ):
        pass
    assert capsys.readouterr().err == NOT_SENT


def test_a_collector_that_answers_too_slowly_does_not_hold_up_the_verb(monkeypatch, capsys):
    monkeypatch.setattr("pipeline.telemetry.DEADLINE_SECONDS", 0)
    with serving(Collector()) as collector:
        with collector.held_up(), sending(collector.address, Recording("clean")):
            pass
        assert capsys.readouterr().err == NOT_SENT


def test_an_error_in_the_measurements_does_not_fail_the_verb(collector, capsys):
    def measure(recording: Recording) -> None:
        raise KeyError("usd")

    with sending(collector.address, Recording("extract"), measure):
        pass
    assert capsys.readouterr().err == "extract: its result could not be measured (KeyError).\n"
    assert collector.values() == {("titler.verb.failed", "extract"): 0.0}


def test_nothing_is_recorded_or_measured_without_a_collector():
    recording = Recording("clean")
    measured: list[Recording] = []
    with sending("", recording, measured.append):
        record_part("clean", 1, 2)
    assert (recording.parts, recording.values, measured) == ([], [], [])
