"""The figures of a run. Matplotlib is imported only when one is drawn."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = Mapping[str, Any]


class Epoch(Protocol):
    """An epoch's numbers: any dataclass with these fields and further numbers."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def epoch(self) -> int: ...
    @property
    def group(self) -> str:
        """The group that its numbers are logged in, except the validation numbers."""


class ValidatedEpoch(Epoch, Protocol):
    """An epoch that was also measured on the validation issues."""

    @property
    def validation_loss(self) -> float: ...


def losses(history: Sequence[ValidatedEpoch]) -> Figure:
    """Every loss by epoch, with the best epoch marked: the one with the lowest validation loss."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    epochs = [dataclasses.asdict(epoch) for epoch in history]
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="epoch", ylabel="cross-entropy")
    for name in (name for name in epochs[0] if name.endswith("loss")):
        axes.plot(
            [epoch["epoch"] for epoch in epochs],
            [epoch[name] for epoch in epochs],
            "-" if name.startswith("validation") else "--",
            marker="o",
            label=name.replace("_", " "),
        )
    best = min(history, key=lambda epoch: epoch.validation_loss)
    axes.axvline(best.epoch, color="grey", linestyle=":", label="best")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    return figure


def confidence(bins: Sequence[Row]) -> Figure:
    """Above: the share of titles close to their authors' by confidence. Below: the number of titles in each
    bin.

    `bins` have the keys low, high, titles, confidence and alike. A black line is a share's 95% interval. The
    dotted line shows where the points of a calibrated confidence, one that equals the share, would lie.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    lefts = [row["low"] for row in bins]
    widths = [row["high"] - row["low"] for row in bins]
    upper.bar(
        lefts,
        [row["alike"] for row in bins],
        widths,
        align="edge",
        edgecolor="white",
        label="titles of validation issues",
    )
    intervals = [wilson_interval(row["alike"], row["titles"]) for row in bins]
    middles = [(row["low"] + row["high"]) / 2 for row in bins]
    upper.vlines(
        middles,
        [low for low, _ in intervals],
        [high for _, high in intervals],
        color="black",
        linewidth=1,
        label="95% interval",
    )
    upper.plot([0, 1], [0, 1], color="grey", linestyle=":", label="perfect calibration")
    upper.set(ylabel="share with ROUGE-L over 0.3", ylim=(0, 1), xlim=(0, 1))
    figure.legend(loc="outside upper center", ncols=3)
    counts = [row["titles"] for row in bins]
    bars = lower.bar(lefts, counts, widths, align="edge", edgecolor="white", color="grey")
    lower.bar_label(bars, [f"{count:,}" for count in counts], fontsize="small")
    lower.set(xlabel="confidence", ylabel="titles")
    lower.margins(y=0.3)
    return figure


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """The 95% confidence interval of a share, 0 to 1, observed in `count` draws (Wilson 1927)."""
    z = 1.96
    denominator = 1 + z * z / count
    middle = share + z * z / (2 * count)
    margin = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, (middle - margin) / denominator), min(1.0, (middle + margin) / denominator)
