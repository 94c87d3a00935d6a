"""Draws figures for MLflow runs. Matplotlib is imported only when a figure is drawn."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = Mapping[str, Any]


class Epoch(Protocol):
    """A protocol for the measurements of one training epoch. A dataclass implements it if all its fields are
    numbers, one of them is `epoch`, and it has a property `group`."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def epoch(self) -> int: ...
    @property
    def group(self) -> str:
        """The group of MLflow metrics to which the training measurements belong, such as `train` in
        train/loss. Measurements on validation issues have the group `validation`."""


class ValidatedEpoch(Epoch, Protocol):
    """The measurements of an epoch that was also evaluated on the validation issues."""

    @property
    def validation_loss(self) -> float: ...


def losses(history: Sequence[ValidatedEpoch]) -> Figure:
    """Draws a curve for each loss: its value in each epoch. A dotted line marks the epoch with the lowest
    validation loss."""
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


def confidence(bins: Sequence[Row], label: str = "confidence") -> Figure:
    """Draws how the quality of predicted titles depends on the model's confidence.

    Each row of `bins` describes the titles whose confidence is between `low` and `high`. The upper bars show
    `alike`, the share of these titles that are close to the authors' titles. The black line on each bar is
    the 95% interval of its share. The lower bars show `titles`, the number of titles. If the model is
    perfectly calibrated, the share equals the confidence, and the upper bars end at the dotted line.

    `bins` can also be ranges of another value, such as a probability. `label` names this value on the
    horizontal axis.
    """
    rows = [(row["low"], row["high"], row["alike"], row["titles"]) for row in bins]
    return _shares(rows, label, "share with ROUGE-L over 0.3", "titles", "titles of validation issues")


def duplicates(bins: Sequence[Row]) -> Figure:
    """Draws, for each range of the predicted probability, the share of pairs that are marked as duplicates.

    Each row of `bins` describes the pairs of issues whose probability is between `low` and `high`. `marked`
    is the share that somebody marked, and `pairs` is the number of pairs. The bars and lines are drawn as in
    `confidence`. The axis of the lower bars is logarithmic: most issues have no duplicate, so low
    probabilities are far more frequent.
    """
    rows = [(row["low"], row["high"], row["marked"], row["pairs"]) for row in bins]
    legend = "pairs of held-out repositories"
    figure = _shares(rows, "probability", "share marked as duplicates", "pairs", legend)
    figure.axes[1].set_yscale("log")
    return figure


def _shares(
    bins: Sequence[tuple[float, float, float, int]], label: str, ylabel: str, counted: str, legend: str
) -> Figure:
    """Draws two bar charts with the same horizontal axis. The upper one shows the share of each bin, with its
    95% interval. The lower one shows the number of items in each bin.

    A bin is a tuple: the lowest and the highest value, the share, and the number of items.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    lefts = [low for low, _, _, _ in bins]
    widths = [high - low for low, high, _, _ in bins]
    shares, counts = [share for _, _, share, _ in bins], [count for _, _, _, count in bins]
    upper.bar(lefts, shares, widths, align="edge", edgecolor="white", label=legend)
    intervals = [wilson_interval(share, max(count, 1)) for share, count in zip(shares, counts, strict=True)]
    upper.vlines(
        [(low + high) / 2 for low, high, _, _ in bins],
        [low for low, _ in intervals],
        [high for _, high in intervals],
        color="black",
        linewidth=1,
        label="95% interval",
    )
    upper.plot([0, 1], [0, 1], color="grey", linestyle=":", label="perfect calibration")
    upper.set(ylabel=ylabel, ylim=(0, 1), xlim=(0, 1))
    figure.legend(loc="outside upper center", ncols=3)
    bars = lower.bar(lefts, counts, widths, align="edge", edgecolor="white", color="grey")
    lower.bar_label(bars, [f"{count:,}" for count in counts], fontsize="small")
    lower.set(xlabel=label, ylabel=counted)
    lower.margins(y=0.3)
    return figure


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """Returns the lower and the upper end of the 95% confidence interval of a share (0 to 1) of `count`
    items.

    Source: Wilson 1927.
    """
    z = 1.96
    denominator = 1 + z * z / count
    middle = share + z * z / (2 * count)
    margin = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, (middle - margin) / denominator), min(1.0, (middle + margin) / denominator)
