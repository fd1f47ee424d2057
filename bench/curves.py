"""Curves as a picture: rows of panels, each with a few lines over one axis."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.failure import Failure

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True)
class Panel:
    """Lines by name, a value for each of `at`. With `log_x` each is marked, on a logarithmic axis."""

    title: str
    unit: str
    at: Sequence[float]
    lines: Mapping[str, Sequence[float]]
    log_x: bool = False
    log_y: bool = False


def draw_curves(rows: Sequence[Sequence[Panel]], path: Path) -> None:
    """As many panels in each row. Raises OSError, and Failure without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise Failure("matplotlib draws the picture: pip install 'headgate[bench]'") from None

    across = max(map(len, rows))
    figure = Figure(figsize=(4 + 4 * across, 3 * len(rows)), layout="constrained")
    places = figure.subplots(len(rows), across, squeeze=False)
    for axes, panel in ((places[down][right], one) for down, row in enumerate(rows) for right, one in enumerate(row)):
        _panel(axes, panel)
    figure.savefig(path, format="svg", metadata={"Date": None})


def _panel(axes: "Axes", panel: Panel) -> None:
    from matplotlib.ticker import LogLocator

    for name, values in panel.lines.items():
        axes.plot(panel.at, values, label=name, marker="o" if panel.log_x else None, markersize=4, linewidth=1.3)
    if panel.log_x:
        axes.set_xscale("log")
        axes.set_xticks(list(panel.at), [f"{size:,}" for size in panel.at])
        axes.minorticks_off()
    else:
        axes.xaxis.set_major_formatter("{x:,.0f}")
    if panel.log_y:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
        axes.yaxis.set_minor_formatter("{x:g}")
    else:
        axes.set_ylim(bottom=0)
    axes.set_title(panel.title, loc="left", fontsize=10)
    axes.set_ylabel(panel.unit)
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))  # beside the lines, never over them
