"""The geometry of the charts of a report. The templates draw them as SVG or as cells of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from pipeline.serving.report.values import CurvePoint, Drift, SourceDay

LEVELS = 4
"""Number of shades of an hour with events."""


@dataclass(frozen=True)
class Point:
    """A point of a chart, in units of its view box. `radius` is the radius of its circle."""

    x: float
    y: float
    radius: float = 0.0


@dataclass(frozen=True)
class Plot:
    """The area of a chart in which values are drawn, in units of its view box."""

    left: float
    top: float
    width: float
    height: float

    def x(self, share: float) -> float:
        """Returns the x coordinate at this share (0 to 1) of the width."""
        return round(self.left + self.width * share, 1)

    def y(self, share: float) -> float:
        """Returns the y coordinate at this share (0 to 1) of the height, counted from below."""
        return round(self.top + self.height * (1 - share), 1)


CURVE_PLOT = Plot(left=44, top=14, width=292, height=206)
DRIFT_PLOT = Plot(left=8, top=8, width=264, height=56)
SMALLEST_SPAN = 0.2
"""The height of the line of a figure is at least this share of the figure. Otherwise noise would look like
drift."""
SMALLEST_RADIUS, LARGEST_RADIUS = 3.5, 9.0


def curve_points(curve: Sequence[CurvePoint]) -> list[Point]:
    """Returns the points of a reliability curve. The more cases a point has, the larger its circle is."""
    largest = max(point.count for point in curve) or 1
    return [
        Point(
            CURVE_PLOT.x(point.estimated),
            CURVE_PLOT.y(point.observed),
            round(SMALLEST_RADIUS + (LARGEST_RADIUS - SMALLEST_RADIUS) * sqrt(point.count / largest), 1),
        )
        for point in curve
    ]


@dataclass(frozen=True)
class DriftLine:
    """The line of one figure in a chart of the last days. `lines` has one list of points for each run of
    consecutive days that have the figure. `earlier` is the y coordinate of the previous release's median.
    `low` and `high` are the lowest and the highest value of the figure."""

    lines: tuple[tuple[Point, ...], ...]
    new_points: tuple[Point, ...]
    earlier: float | None
    low: float
    high: float


def drift_line(figure: Drift) -> DriftLine:
    """Returns the line of a figure in a chart. The line of a figure that never changes is in the middle of
    the chart, and the line of a figure that hardly changes stays near the middle."""
    present = [value for value in figure.values if value is not None]
    if figure.earlier is not None:
        present.append(figure.earlier)
    low, high = min(present), max(present)
    middle, last = (low + high) / 2, max(len(figure.values) - 1, 1)
    span = max(high - low, SMALLEST_SPAN * abs(middle))

    def y(value: float) -> float:
        return DRIFT_PLOT.y(0.5 + (value - middle) / span if span else 0.5)

    lines: list[list[Point]] = [[]]
    new_points = []
    for number, (value, new) in enumerate(zip(figure.values, figure.is_new, strict=True)):
        if value is None:
            lines.append([])
            continue
        point = Point(DRIFT_PLOT.x(number / last if len(figure.values) > 1 else 0.5), y(value))
        lines[-1].append(point)
        if new:
            new_points.append(point)
    earlier = None if figure.earlier is None else y(figure.earlier)
    return DriftLine(tuple(tuple(line) for line in lines if line), tuple(new_points), earlier, low, high)


def hour_levels(days: Sequence[SourceDay]) -> list[list[int]]:
    """Returns the shade of every hour of every day, from 1 (few events) to LEVELS. The shade is 0 if the
    events of the hour were not counted."""
    counted = [hour.events for day in days for hour in day.hours if hour.events is not None]
    highest = max(counted, default=0) or 1
    return [
        [0 if hour.events is None else min(LEVELS, 1 + hour.events * LEVELS // highest) for hour in day.hours]
        for day in days
    ]
