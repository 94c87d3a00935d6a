"""The pictures of a run. Matplotlib is imported where one is drawn."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = Mapping[str, Any]


class Epoch(Protocol):
    """An epoch's figures: any dataclass with these and more numbers."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def epoch(self) -> int: ...
    @property
    def group(self) -> str:
        """What its figures are listed under, but for those of validation."""


class Validated(Epoch, Protocol):
    """One that was held against issues it did not learn from."""

    @property
    def validation_loss(self) -> float: ...


def losses(history: Sequence[Validated]) -> Figure:
    """Every loss by epoch, the best epoch marked."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    columns = [dataclasses.asdict(figures) for figures in history]
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="epoch", ylabel="cross-entropy")
    for name in (name for name in columns[0] if name.endswith("loss")):
        style = "-" if name.startswith("validation") else "--"
        axes.plot(
            [row["epoch"] for row in columns],
            [row[name] for row in columns],
            style,
            marker="o",
            label=name.replace("_", " "),
        )
    axes.axvline(
        min(history, key=lambda figures: figures.validation_loss).epoch,
        color="grey",
        linestyle=":",
        label="best",
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    return figure


def confidence(bins: Sequence[Row]) -> Figure:
    """By confidence the share of titles that are alike their authors', and below it how many titles that is the share of.

    `bins` have low, high, titles, confidence and alike.
    A black line is a share's 95% interval, long where titles are few; the dotted line is where a confidence would be a probability.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    lefts, widths = [one["low"] for one in bins], [one["high"] - one["low"] for one in bins]
    above.bar(
        lefts,
        [one["alike"] for one in bins],
        widths,
        align="edge",
        edgecolor="white",
        label="titles of validation issues",
    )
    lows, highs = ([wilson(one["alike"], one["titles"])[side] for one in bins] for side in (0, 1))
    middles = [(one["low"] + one["high"]) / 2 for one in bins]
    above.vlines(middles, lows, highs, color="black", linewidth=1, label="95% interval")
    above.plot([0, 1], [0, 1], color="grey", linestyle=":", label="where a confidence were a probability")
    above.set(ylabel="share with ROUGE-L over 0.3", ylim=(0, 1), xlim=(0, 1))
    figure.legend(loc="outside upper center", ncols=3)
    bars = below.bar(
        lefts, [one["titles"] for one in bins], widths, align="edge", edgecolor="white", color="grey"
    )
    below.bar_label(bars, [f"{one['titles']:,}" for one in bins], fontsize="small")
    below.set(xlabel="confidence", ylabel="titles")
    below.margins(y=0.3)
    return figure


def wilson(share: float, count: int) -> tuple[float, float]:
    """The 95% interval of a share, 0 to 1, that was found in `count` draws (Wilson 1927)."""
    z = 1.96
    middle, width = (
        share + z * z / (2 * count),
        z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)),
    )
    return max(0.0, (middle - width) / (1 + z * z / count)), min(1.0, (middle + width) / (1 + z * z / count))
