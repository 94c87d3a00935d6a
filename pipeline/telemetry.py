"""Sends the metrics and spans of each verb (a `titler` command) to an OpenTelemetry collector, over OTLP with
HTTP.

All verbs of one release or one model send spans of the same trace, even if they run in different processes
and on different machines. For this, the id of the trace is derived from the lake's address and the name of
the release or model. A verb without a release or a model has a trace of its own. The span of the first verb,
such as `plan`, is the parent of the other verbs' spans. Each part of a verb's work that Dask runs in parallel
has a span, and so has each step of the verb, such as the checks before a publication. These spans are
children of the verb's span. The attributes of a verb's span are what the verb measured, such as its number of
rows.

Everything is sent once, when the verb ends. A verb waits at most DEADLINE_SECONDS for a collector that does
not answer. Neither a failure to send nor an error in the measurements makes a verb fail.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.id_generator import IdGenerator
    from opentelemetry.trace import SpanContext
    from requests import Response, Session

TIMEOUT_SECONDS = 5
"""How long the collector may be silent while it gets the metrics, and the spans. A failed attempt is repeated
in this time."""
DEADLINE_SECONDS = 15
"""How long sending may take in all. The exporters' own timeout begins again with each byte of a response."""
MAX_PARTS = 10_000
"""Largest number of parts and steps per verb that have a span of their own."""


NO_PARTITION: Mapping[str, str] = MappingProxyType({})


class Step(NamedTuple):
    """A step of a verb (a `titler` command), or a part of the verb's work: its label, the times at which it
    began and ended (nanoseconds since 1970), and its partition, such as its source day."""

    label: str
    begin: int
    end: int
    partition: Mapping[str, str]


class Metric(NamedTuple):
    """A metric: its unit in UCUM, such as `s` and `By` (bytes), and its description. All metrics are gauges:
    each verb sends the values of its own run."""

    unit: str
    description: str


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "titler.verb.duration": Metric("s", "Time that the verb took."),
        "titler.verb.cpu_time": Metric("s", "Processor time of the verb and its workers on this machine."),
        "titler.verb.peak_memory": Metric("By", "Highest memory of the verb's process."),
        "titler.verb.worker_peak_memory": Metric("By", "Highest memory of a worker process."),
        "titler.verb.failed": Metric("", "1 if the verb failed, otherwise 0."),
        "titler.verb.rows": Metric("", "Rows of the batches that the verb wrote."),
        "titler.verb.new_batches": Metric("", "Batches that the verb wrote."),
        "titler.source.days": Metric("", "Days that the verb extracted, by their verdict."),
        "titler.bigquery.billed": Metric("By", "Bytes that BigQuery billed for the extracted days."),
        "titler.bigquery.cost": Metric("", "What BigQuery billed for the extracted days, in USD."),
        "titler.release.issues": Metric("", "Issues of the published release."),
        "titler.release.days": Metric("", "Source days of the published release."),
        "titler.release.recall": Metric("", "Recall@10 of the published index, 0 to 1."),
        "titler.release.abstained": Metric("", "Share of issues without a title, 0 to 1."),
    }
)


@dataclass
class Recording:
    """The measurements of one verb (command) so far.

    `trace` names the release or the model that the verb processes. Verbs with the same `trace` send spans of
    the same trace. If `trace` is empty, the verb has a trace of its own. `is_first` says whether the verb is
    the first one of its trace.
    """

    verb: str
    trace: str = ""
    is_first: bool = True
    attributes: dict[str, str] = field(default_factory=dict)
    values: list[tuple[str, float, Mapping[str, str]]] = field(default_factory=list)
    parts: list[Step] = field(default_factory=list)
    begin: int = field(default_factory=time.time_ns)
    failure: str = ""

    def measure(self, name: str, value: float, **attributes: str) -> None:
        """Records the value of one of METRICS."""
        self.values.append((name, value, {"verb": self.verb, **attributes}))


_RECORDING: ContextVar[Recording | None] = ContextVar("recording", default=None)


@contextmanager
def sending(
    endpoint: str, recording: Recording, measure: Callable[[Recording], None] = lambda recording: None
) -> Iterator[None]:
    """Context manager around a verb. If `endpoint` is empty, does nothing. Otherwise, when the verb ends or
    fails, calls `measure`, which adds measurements to the recording. Then sends the recording to the
    collector at the address `endpoint`."""
    if not endpoint:
        yield
        return
    token = _RECORDING.set(recording)
    try:
        yield
    except BaseException as error:
        # Only the type: the message may contain the text of an issue.
        recording.failure = type(error).__name__
        raise
    finally:
        _RECORDING.reset(token)
        recording.measure("titler.verb.failed", float(bool(recording.failure)))
        _measure_and_send(endpoint, recording, measure)


def record_part(label: str, begin: int, end: int, partition: Mapping[str, str] = NO_PARTITION) -> None:
    """Records a part of the running verb's work (see `Step`). Does nothing if no verb is recorded, or
    if MAX_PARTS parts are recorded already."""
    recording = _RECORDING.get()
    if recording is not None and len(recording.parts) < MAX_PARTS:
        recording.parts.append(Step(label, begin, end, partition))


@contextmanager
def step(label: str) -> Iterator[None]:
    """Context manager around a step of the running verb. Records the step as a part, even if it fails."""
    begin = time.time_ns()
    try:
        yield
    finally:
        record_part(label, begin, time.time_ns())


def _measure_and_send(endpoint: str, recording: Recording, measure: Callable[[Recording], None]) -> None:
    """Adds the measurements to the recording, and sends the recording in a thread. Waits at most
    DEADLINE_SECONDS for the thread. Prints one line if anything was not sent. Raises no error, so a verb that
    succeeded does not fail, and a verb that failed raises its own error."""
    try:
        measure(recording)
    except Exception as error:  # of any kind, see above
        _report(recording.verb, f"its result could not be measured ({type(error).__name__}).")
    unsent = ["trace and metrics"]  # the thread replaces it by what was not sent

    def send() -> None:
        try:
            unsent[:] = [
                kind for kind, is_sent in _send(endpoint.rstrip("/"), recording).items() if not is_sent
            ]
        except Exception as error:  # of any kind, see above
            unsent[:] = [f"trace and metrics ({type(error).__name__})"]

    sender = threading.Thread(target=send, name="telemetry", daemon=True)
    sender.start()
    sender.join(DEADLINE_SECONDS)
    if unsent:
        _report(
            recording.verb,
            f"the {' and '.join(unsent)} could not be sent to the setting telemetry.otlp_endpoint. "
            "Check that a collector listens there.",
        )


def _report(verb: str, problem: str) -> None:
    # Without the prefix `titler: `, which Airflow logs as an error.
    print(f"{verb}: {problem}", file=sys.stderr, flush=True)


def _send(endpoint: str, recording: Recording) -> dict[str, bool]:
    """Sends the spans and the metrics. Returns which of them the collector accepted."""
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExportResult
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace.export import SpanExportResult

    # Resource.create would add a random service.instance.id, so that each run had metrics of its own.
    resource = OTELResourceDetector().detect()  # the attributes of OTEL_RESOURCE_ATTRIBUTES
    resource = resource.merge(
        Resource({"service.name": "titler", "service.version": importlib.metadata.version("titler")})
    )
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader], resource, shutdown_on_exit=False).get_meter("titler")
    for name, value, attributes in recording.values:
        metric = METRICS[name]
        meter.create_gauge(name, metric.unit, metric.description).set(value, attributes)
    metrics = reader.get_metrics_data()
    with _session() as session:
        span_exporter = OTLPSpanExporter(f"{endpoint}/v1/traces", timeout=TIMEOUT_SECONDS, session=session)
        spans_sent = span_exporter.export(spans_of(recording, resource))
        metric_exporter = OTLPMetricExporter(
            f"{endpoint}/v1/metrics", timeout=TIMEOUT_SECONDS, session=session
        )
        metrics_sent = metric_exporter.export(metrics) if metrics else MetricExportResult.SUCCESS
    return {
        "trace": spans_sent is SpanExportResult.SUCCESS,
        "metrics": metrics_sent is MetricExportResult.SUCCESS,
    }


def _session() -> Session:
    """Returns an HTTP session that refuses web pages and redirections, such as one to a page to log in. The
    exporters would take both for the answer of a collector that has accepted everything."""
    import requests

    def refuse_pages(response: Response, **_: object) -> None:
        is_page = response.headers.get("Content-Type", "").startswith("text/html")
        if is_page or response.is_redirect:
            raise ValueError("The response is a web page or a redirection, not a collector's answer.")

    session = requests.Session()
    session.hooks["response"].append(refuse_pages)
    return session


def spans_of(recording: Recording, resource: Resource) -> list[ReadableSpan]:
    """Returns the span of a verb and the spans of its parts. The verb's span ends at the time of the call.

    If the label of a part is the verb itself, such as `embed`, the part's span is called `embed part`, so
    that it differs from the verb's span.
    """
    from opentelemetry import trace
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    first = first_span(recording.trace) if recording.trace else None
    # A first verb that failed is repeated, and two spans must not have the same id.
    is_first = recording.is_first and not recording.failure
    finished = InMemorySpanExporter()
    ids = _id_generator(first if is_first else None)
    provider = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False, id_generator=ids)
    provider.add_span_processor(SimpleSpanProcessor(finished))
    tracer = provider.get_tracer("titler")
    parent = Context()
    if first and not is_first:
        parent = trace.set_span_in_context(trace.NonRecordingSpan(first), parent)
    attributes: dict[str, str | float] = {"titler.verb": recording.verb, **recording.attributes}
    attributes |= _measured(recording)
    span = tracer.start_span(recording.verb, parent, attributes=attributes, start_time=recording.begin)
    inside = trace.set_span_in_context(span)
    for number, part in enumerate(recording.parts):
        name = f"{part.label} part" if part.label == recording.verb else part.label
        of_part = {f"titler.partition.{key}": value for key, value in part.partition.items()}
        tracer.start_span(
            name, inside, attributes={"titler.part": number, **of_part}, start_time=part.begin
        ).end(part.end)
    if recording.failure:
        span.set_status(trace.StatusCode.ERROR, recording.failure)
    span.end(time.time_ns())
    return list(finished.get_finished_spans())


def _measured(recording: Recording) -> dict[str, float]:
    """Returns the values of the metrics as attributes of the verb's span, such as `titler.rows`. The duration
    and the failure are left out, because every span has them anyway.

    The name of an attribute must not be the beginning of another attribute's name. The span has the attribute
    `titler.verb`, and may have `titler.release`. So `verb.` and `release.` are removed from the names of the
    metrics: `titler.verb.rows` becomes `titler.rows`.
    """
    attributes = {}
    for metric, value, labels in recording.values:
        if metric not in ("titler.verb.duration", "titler.verb.failed"):
            name = metric.replace(".verb.", ".").replace(".release.", ".")
            attributes[".".join([name, *(labels[key] for key in labels if key != "verb")])] = value
    return attributes


def first_span(name: str) -> SpanContext:
    """Returns the id of a trace and the id of its first span. Both are derived from `name`, which is the
    `trace` of a recording. The trace id is the first 16 bytes of the name's SHA-256. The span id is the 8
    bytes after them."""
    from opentelemetry.trace import SpanContext, TraceFlags

    digest = hashlib.sha256(name.encode()).digest()
    return SpanContext(
        int.from_bytes(digest[:16], "big"),
        int.from_bytes(digest[16:24], "big"),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )


def _id_generator(first: SpanContext | None) -> IdGenerator:
    """Returns a generator of ids for a trace and its spans. The ids are random.

    If `first` is given, the trace and its first span get the ids of `first` instead.

    OpenTelemetry's own generator uses the module `random`. A training sets the seed of this module, so each
    training would get the same ids.
    """
    from opentelemetry.sdk.trace.id_generator import IdGenerator

    class Ids(IdGenerator):
        def __init__(self) -> None:
            self._span_ids = [first.span_id] if first else []

        def generate_span_id(self) -> int:
            return self._span_ids.pop() if self._span_ids else secrets.randbits(64) or 1

        def generate_trace_id(self) -> int:
            return first.trace_id if first else secrets.randbits(128) or 1

    return Ids()
