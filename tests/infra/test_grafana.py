"""infra/grafana/titler.json asks Prometheus for the metrics that the verbs send, and docs/operations.md
describes them."""

from __future__ import annotations

import json
import re
from typing import Any

from pipeline.telemetry import METRICS
from tests.infra.lint import INFRA, ROOT

DASHBOARD: dict[str, Any] = json.loads((INFRA / "grafana" / "titler.json").read_text())
SUFFIXES = {"s": "_seconds", "By": "_bytes", "": ""}
"""What Prometheus appends to the name of a metric for its unit, if it gets it over OTLP."""


def test_prometheus_is_asked_for_the_metrics_that_the_verbs_send():
    expressions = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    asked = {name for text in expressions for name in re.findall(r"titler_\w+", text)}
    assert asked == {name.replace(".", "_") + SUFFIXES[metric.unit] for name, metric in METRICS.items()}


def test_the_page_on_operations_names_every_metric():
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`(titler\.\w+\.\w+)`", page)) == set(METRICS)


def test_labels_are_attributes_of_the_metrics():
    text = json.dumps(DASHBOARD)
    labels = {*re.findall(r"by \((\w+)\)", text), *re.findall(r"\{\{(\w+)\}\}", text)}
    assert labels == {"verb", "verdict"}


def test_panels_do_not_overlap():
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
