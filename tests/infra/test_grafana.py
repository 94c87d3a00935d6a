"""infra/grafana/titler.json asks Prometheus for the metrics that the verbs send, and docs/operations.md
describes them."""

from __future__ import annotations

import json
import re
from typing import Any, get_args

from pipeline.source.day_verdict import Verdict
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


def test_a_failed_verb_is_red_and_a_verb_that_succeeded_is_green():
    (panel,) = [panel for panel in DASHBOARD["panels"] if panel["title"] == "Last run of each verb"]
    shown = panel["fieldConfig"]["defaults"]
    assert shown["thresholds"]["steps"] == [{"color": "green", "value": None}, {"color": "red", "value": 1}]
    (mapping,) = shown["mappings"]
    assert {value: text["text"] for value, text in mapping["options"].items()} == {"0": "ok", "1": "failed"}


def test_no_single_value_has_grafanas_default_thresholds():
    """By default, Grafana shows a single value from 80 in red."""
    singles = [panel["fieldConfig"]["defaults"] for panel in DASHBOARD["panels"] if panel["type"] == "stat"]
    assert [shown for shown in singles if "thresholds" not in shown and "color" not in shown] == []


def test_every_verdict_has_a_colour_of_its_own():
    (panel,) = [panel for panel in DASHBOARD["panels"] if panel["title"] == "Source days by verdict"]
    overrides = panel["fieldConfig"]["overrides"]
    colours = {each["matcher"]["options"]: each["properties"][0]["value"]["fixedColor"] for each in overrides}
    assert set(colours) == set(get_args(Verdict))
    assert len(set(colours.values())) == len(colours)


def test_panels_do_not_overlap():
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
