"""Charts of one style: as wide as a phone, text as outlines, the same bytes for the same figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter

WIDTH = 5.0
"""Inches, 360 points: about the width of a phone in CSS pixels, where a point of type stays one."""

OURS, OTHER, PALE = "#0b62c4", "#6b7280", "#c3c9d2"
INK, RULE = "#1f2933", "#d9dee5"
SHADES = ("#9cc7f2", "#4a93dd", "#0b4a94")
"""From the smallest size to the largest."""

_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.fonttype": "path",
    # Without it the ids in the file are random.
    "svg.hashsalt": "login-recovery",
}

# Inches above the first row: the title, and the line below it.
_HEAD = 0.75

_FURTHEST = 4
"""How many times the longest bar a thin line may be long."""


class Bar(NamedTuple):
    """One row of a bar chart."""

    label: str
    value: float
    colour: str = OTHER


class Group(NamedTuple):
    """One label with a bar for each series: its value, and a further one that a thin line reaches."""

    label: str
    values: Sequence[tuple[float, float]]


class Series(NamedTuple):
    """Measured points, and points computed from them."""

    label: str
    measured: Sequence[tuple[float, float]]
    computed: Sequence[tuple[float, float]]
    colour: str


def number(value: float) -> str:
    """Return a figure as a label shows it: three digits are enough."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2g}"


def compact(value: float) -> str:
    """Return a power of ten in few characters: `10k`, `1M`, `1G`."""
    for factor, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:g}{sign}"
    return f"{value:g}"


def save(figure: Figure, file: Path, title: str) -> None:
    """Write a figure as SVG, without the date and the version of the library."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(_STYLE):
        figure.savefig(
            file, facecolor="white", metadata={"Title": title, "Date": None, "Creator": None}
        )


def bars(title: str, unit: str, columns: Sequence[tuple[str, Sequence[Bar]]]) -> Figure:
    """Return columns of horizontal bars side by side, each with its heading; labels stand above.

    All columns have rows with the labels of the first.
    """
    rows = len(columns[0][1])
    with mpl.rc_context(_STYLE):
        figure = _figure(title, unit, 0.5 * rows)
        each = figure.subplots(1, len(columns), squeeze=False)[0]
        for place, (axes, (heading, column)) in enumerate(zip(each, columns, strict=True)):
            _clear(axes, rows - 0.75, max(bar.value for bar in column) * (1.3 if place else 1.22))
            axes.set_title(heading, fontsize=10.5, loc="left", color=INK)
            for row, bar in enumerate(column):
                if not place:
                    axes.text(0, row - 0.2, bar.label, va="bottom")
                axes.barh(row, bar.value, 0.34, color=bar.colour)
                _value(axes, bar.value, row, number(bar.value))
        return figure


def groups(title: str, unit: str, series: Sequence[str], rows: Sequence[Group]) -> Figure:
    """Return groups of horizontal bars, one bar a series, under the label of each group.

    The thin line of a value that is much further than all others ends in an arrow, so that one slow
    sample does not make all bars short.
    """
    count = len(series)
    step = count * 0.3 + 0.55
    with mpl.rc_context(_STYLE):
        figure = _figure(title, unit, 0.55 * step * len(rows) + 0.35)
        axes = figure.subplots()
        most = min(
            max(further for row in rows for _, further in row.values),
            _FURTHEST * max(value for row in rows for value, _ in row.values),
        )
        _clear(axes, step * len(rows) - 0.4, most * 1.24)
        for row, group in enumerate(rows):
            top = row * step
            axes.text(0, top - 0.1, group.label, va="bottom")
            for place, (value, further) in enumerate(group.values):
                y = top + 0.12 + 0.3 * place
                colour = SHADES[len(SHADES) - count + place]
                end = min(further, most)
                axes.plot(
                    [0, end],
                    [y, y],
                    color=PALE,
                    linewidth=1.2,
                    marker=">" if end < further else "",
                    markevery=[1],
                    markersize=4,
                    zorder=1,
                )
                axes.barh(
                    y,
                    value,
                    0.25,
                    color=colour,
                    zorder=2,
                    label=None if row else series[place],
                )
                _value(axes, end, y, f"{number(value)} / {number(further)}", 8.5)
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(-0.01, 1.0),
            ncols=count,
            frameon=False,
            handlelength=1,
            columnspacing=1.2,
        )
        return figure


def lines(title: str, unit: str, of: str, series: Sequence[Series]) -> Figure:
    """Return lines over logarithmic axes: measured points filled, computed ones hollow."""
    with mpl.rc_context(_STYLE):
        figure = _figure(title, unit, 3.2)
        axes = figure.subplots()
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.grid(color=RULE, linewidth=0.6)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        for one in series:
            points = [*one.measured, *one.computed]
            axes.plot(
                [x for x, _ in points],
                [y for _, y in points],
                color=one.colour,
                linewidth=1.2,
                linestyle="--",
            )
            axes.plot(
                [x for x, _ in one.measured],
                [y for _, y in one.measured],
                color=one.colour,
                marker="o",
                linewidth=2,
                label=one.label,
            )
            axes.plot(
                [x for x, _ in one.computed],
                [y for _, y in one.computed],
                color=one.colour,
                marker="o",
                markerfacecolor="white",
                linestyle="none",
            )
        axes.set_xlabel(of)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: compact(value)))
        axes.legend(frameon=False, loc="upper left")
        return figure


def _figure(title: str, unit: str, height: float) -> Figure:
    edge = 0.025
    layout = ConstrainedLayoutEngine(rect=(edge, 0.01, 1 - 2 * edge, 0.98), w_pad=0, h_pad=0.05)
    figure = Figure((WIDTH, height + _HEAD), layout=layout)
    figure.suptitle(title, x=edge, ha="left", fontsize=12.5, fontweight="bold")
    figure.supxlabel(unit, x=edge, ha="left", fontsize=9.5, color=OTHER)
    return figure


def _clear(axes: Axes, bottom: float, most: float) -> None:
    axes.set_xlim(0, most)
    axes.set_ylim(bottom, -0.6)
    axes.set_xticks([])
    axes.set_yticks([])
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)


def _value(axes: Axes, x: float, y: float, text: str, size: float = 10) -> None:
    axes.annotate(
        text, (x, y), xytext=(4, 0), textcoords="offset points", va="center", fontsize=size
    )
