"""The metrics, in the text that Prometheus reads."""

from __future__ import annotations

from pipeline.serving.http.metrics import RequestMetrics


def test_requests_are_counted_by_path_and_status_and_their_times_by_bucket() -> None:
    metrics = RequestMetrics()
    metrics.count("/title", 200, 0.25)
    metrics.count("/title", 503, 20.0)
    lines = metrics.text([("titler_release_info", "The release.", {"release": 'a"b\\'}, 1)]).splitlines()
    assert lines[0] == "# HELP titler_requests_total Number of answered requests."
    assert [line for line in lines if not line.startswith("#")] == [
        'titler_requests_total{path="/title",status="200"} 1',
        'titler_requests_total{path="/title",status="503"} 1',
        *(f'titler_request_seconds_bucket{{path="/title",le="{bound}"}} 0' for bound in ("0.005", "0.01")),
        *(f'titler_request_seconds_bucket{{path="/title",le="{bound}"}} 0' for bound in ("0.025", "0.05")),
        'titler_request_seconds_bucket{path="/title",le="0.1"} 0',
        *(f'titler_request_seconds_bucket{{path="/title",le="{bound}"}} 1' for bound in ("0.25", "0.5")),
        *(f'titler_request_seconds_bucket{{path="/title",le="{bound}"}} 1' for bound in ("1", "2.5", "5")),
        'titler_request_seconds_bucket{path="/title",le="10"} 1',
        'titler_request_seconds_bucket{path="/title",le="+Inf"} 2',
        'titler_request_seconds_sum{path="/title"} 20.25',
        'titler_request_seconds_count{path="/title"} 2',
        'titler_release_info{release="a\\"b\\\\"} 1',
    ]
