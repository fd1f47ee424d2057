"""A run as a picture: what a gateway costs and adds, by way and scenario."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.failure import Failure
from bench.way_rows import DIRECT, WayRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PANELS: tuple[tuple[str, str, Callable[[WayRow], float | None]], ...] = (
    ("CPU of the gateway's processes per answer", "ms", lambda row: row.cpu_ms),
    ("added latency, median", "ms", lambda row: row.added.p50 if row.added else None),
    ("added time to first token, median", "ms", lambda row: row.first_added.p50 if row.first_added else None),
)


def draw(rows: Sequence[WayRow], path: Path) -> None:
    """Bars by scenario on a logarithmic scale, one colour per way; none where nothing was added.

    Raises OSError, and Failure without matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise Failure("matplotlib draws the picture: pip install 'headgate[bench]'") from None

    shown = [row for row in rows if row.way != DIRECT and row.label != "400 kB" and not row.errors]
    figure = Figure(figsize=(15, 13), layout="constrained")
    for axes, (title, unit, value) in zip(figure.subplots(len(_PANELS), 1), _PANELS, strict=True):
        _bars(axes, [(row, found) for row in shown if (found := value(row)) is not None and found > 0])
        axes.set_title(title, loc="left")
        axes.set_ylabel(unit)
    figure.savefig(path, format="svg", metadata={"Date": None})


def _bars(axes: "Axes", found: Sequence[tuple[WayRow, float]]) -> None:
    scenarios = list(dict.fromkeys(row.scenario for row, _ in found))
    ways = list(dict.fromkeys(row.way for row, _ in found))
    width = 0.8 / max(len(ways), 1)
    for number, way in enumerate(ways):
        values = {row.scenario: value for row, value in found if row.way == way}
        places = [place + number * width for place, name in enumerate(scenarios) if name in values]
        bars = axes.bar(places, [values[name] for name in scenarios if name in values], width, label=way)
        axes.bar_label(bars, fmt=_short, fontsize=7)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.margins(x=0.02, y=0.12)  # room for the topmost labels
    axes.set_xticks([place + 0.4 - width / 2 for place in range(len(scenarios))], scenarios, rotation=20)
    axes.legend(fontsize=8)


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"
