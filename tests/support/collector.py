"""An OpenTelemetry collector on loopback, which records the spans and the metrics that it gets."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collector(ThreadingHTTPServer):
    """Accepts OTLP over HTTP, and answers with `status` and, if it is not empty, `content_type`."""

    daemon_threads = True

    def __init__(self, status: int = 200, content_type: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Otlp)
        self.status, self.content_type = status, content_type
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.spans: list[Span] = []
        self.metrics: list[Metric] = []
        self.resource: dict[str, str] = {}
        """The attributes of the process that sent a trace last"""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @contextmanager
    def held_up(self) -> Iterator[None]:
        """Context manager in which the collector answers no request."""
        self.may_answer.clear()
        try:
            yield
        finally:
            self.may_answer.set()

    def values(self) -> dict[tuple[str, ...], float]:
        """The values of the metrics, by the metric's name and the values of its attributes."""
        return {
            (metric.name, *(attribute.value.string_value for attribute in point.attributes)): point.as_double
            or float(point.as_int)
            for metric in self.metrics
            for point in metric.gauge.data_points
        }


class _Otlp(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        collector = cast(Collector, self.server)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/traces":
            for spans in ExportTraceServiceRequest.FromString(body).resource_spans:
                collector.spans += [span for scope in spans.scope_spans for span in scope.spans]
                attributes = spans.resource.attributes
                collector.resource = {each.key: each.value.string_value for each in attributes}
        elif self.path == "/v1/metrics":
            for metrics in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                collector.metrics += [metric for scope in metrics.scope_metrics for metric in scope.metrics]
        collector.may_answer.wait()
        self.send_response(collector.status)
        if collector.content_type:
            self.send_header("Content-Type", collector.content_type)
        if collector.status == HTTPStatus.FOUND:
            self.send_header("Location", "/login")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass
