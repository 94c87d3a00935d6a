"""Counts requests, and returns the metrics in the text format that Prometheus reads (version 0.0.4)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets of the histogram, in seconds."""


class RequestMetrics:
    """The number of requests by path and status, and how long they took. Only one thread may use it."""

    def __init__(self) -> None:
        self._requests = Counter[tuple[str, int]]()
        self._buckets = Counter[tuple[str, float]]()
        self._seconds = defaultdict[str, float](float)

    def count(self, path: str, status: int, seconds: float) -> None:
        """Counts an answered request. `path` has the names of its parameters instead of their values, such as
        /issues/{owner}/{repo}/{number}."""
        self._requests[path, status] += 1
        self._seconds[path] += seconds
        for bound in BUCKETS:
            if seconds <= bound:
                self._buckets[path, bound] += 1

    def text(self, gauges: Iterable[tuple[str, str, Mapping[str, str], float]]) -> str:
        """Returns all metrics as text. `gauges` are further metrics, each with its name, description, labels
        and value."""
        lines = [
            "# HELP titler_requests_total Number of answered requests.",
            "# TYPE titler_requests_total counter",
        ]
        for (path, status), number in sorted(self._requests.items()):
            lines.append(_line("titler_requests_total", {"path": path, "status": str(status)}, number))
        lines += [
            "# HELP titler_request_seconds Time from the first byte of a request to the end of its answer.",
            "# TYPE titler_request_seconds histogram",
        ]
        for path, seconds in sorted(self._seconds.items()):
            total = sum(number for (of_path, _), number in self._requests.items() if of_path == path)
            for bound in BUCKETS:
                labels = {"path": path, "le": f"{bound:g}"}
                lines.append(_line("titler_request_seconds_bucket", labels, self._buckets[path, bound]))
            lines.append(_line("titler_request_seconds_bucket", {"path": path, "le": "+Inf"}, total))
            lines.append(_line("titler_request_seconds_sum", {"path": path}, seconds))
            lines.append(_line("titler_request_seconds_count", {"path": path}, total))
        for name, description, gauge_labels, value in gauges:
            lines += [
                f"# HELP {name} {description}",
                f"# TYPE {name} gauge",
                _line(name, gauge_labels, value),
            ]
        return "\n".join(lines) + "\n"


def _line(name: str, labels: Mapping[str, str], value: float) -> str:
    pairs = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    return f"{name}{{{pairs}}} {_number(value)}" if pairs else f"{name} {_number(value)}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
