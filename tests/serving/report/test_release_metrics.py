"""The figures of a release as metrics."""

from dataclasses import replace

from pipeline.serving.report.release_metrics import METRIC_OF_FIGURE, release_metrics, release_parameters
from tests.support.literal_report import report_values


def test_figures_and_the_usage_of_each_verb_are_metrics() -> None:
    assert release_metrics(report_values()) == {
        "release/days": 9,
        "release/issues": 12_345,
        "release/abstained": 0.081,
        "release/checks_not_passed": 1,
        "usage/embed_seconds": 15.25,
        "usage/embed_cpu_seconds": 28.5,
        "usage/embed_peak_mib": 512.0,
        "usage/embed_worker_peak_mib": 0.0,
        "usage/predict_seconds": 187.0,
        "usage/predict_cpu_seconds": 351.0,
        "usage/predict_peak_mib": 400.5,
        "usage/predict_worker_peak_mib": 730.25,
        "usage/extract_bytes_billed": 3_650_722_201,
    }


def test_a_release_without_measured_verbs_has_only_its_figures() -> None:
    metrics = release_metrics(replace(report_values(), verbs=(), extraction=None))
    assert metrics.keys() == {
        "release/days",
        "release/issues",
        "release/abstained",
        "release/checks_not_passed",
    }


def test_the_parameters_are_what_the_plan_has_fixed() -> None:
    assert release_parameters(report_values()) == {
        "model": "m20240105",
        "first_day": "2024-01-01",
        "last_day": "2024-01-09",
    }


def test_no_two_figures_have_the_same_metric() -> None:
    assert len(set(METRIC_OF_FIGURE.values())) == len(METRIC_OF_FIGURE)
