"""The geometry of the charts of a report."""

from __future__ import annotations

from pipeline.serving.report.charts import CURVE_PLOT, DRIFT_PLOT, curve_points, drift_line
from pipeline.serving.report.values import CurvePoint
from tests.support.literal_report import drift_figure


def test_a_curve_goes_from_the_lower_left_to_the_upper_right() -> None:
    first, last = curve_points([CurvePoint(0, 0, 1), CurvePoint(1, 1, 100)])
    assert (first.x, first.y) == (CURVE_PLOT.left, CURVE_PLOT.top + CURVE_PLOT.height)
    assert (last.x, last.y) == (CURVE_PLOT.left + CURVE_PLOT.width, CURVE_PLOT.top)
    assert first.radius < last.radius


def test_a_day_without_the_figure_interrupts_its_line() -> None:
    line = drift_line(drift_figure("f", (0.1, 0.2, None, 0.4), None))
    assert [len(points) for points in line.lines] == [2, 1]
    assert (line.low, line.high) == (0.1, 0.4)


def test_a_figure_that_hardly_changes_stays_near_the_middle() -> None:
    line = drift_line(drift_figure("f", (100.0, 101.0), None))
    middle = DRIFT_PLOT.top + DRIFT_PLOT.height / 2
    assert all(abs(point.y - middle) < 2 for point in line.lines[0])


def test_figures_that_are_all_zero_are_a_line_in_the_middle() -> None:
    line = drift_line(drift_figure("f", (0.0, 0.0), 0.0))
    assert line.earlier == DRIFT_PLOT.top + DRIFT_PLOT.height / 2
