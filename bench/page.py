"""A kept run's tables in README.md and docs/benchmark.md, between marks: `python -m bench.page FILE`.

`bench-<date>.json` is of `headgate bench` and in both pages, `growth-…` and `soak-…` of these modules and in the
latter.

A test holds the pages to the newest run that is committed. Nothing is chosen by how it looks: docs/benchmark.md has
every row of the run, README.md the same few figures of every way.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench import growth, soak
from bench.report import CHUNK_MEASURE, Row
from bench.table import COLUMNS, WAY_COLUMNS, budget_cells, way_cells
from bench.way_rows import OURS, Added, WayRow

BEGIN, END = "<!-- bench: {} -->", "<!-- /bench -->"
PLAIN = "plain"

Found = Mapping[str, Any]

_NAMES = {PLAIN: "plain Envoy", OURS: "Headgate", "litellm": "LiteLLM", "portkey": "Portkey"}


def _ms(row: WayRow) -> str:
    ratio = f" ({row.times_ours:.1f} x ours)" if row.times_ours and row.way not in (OURS, PLAIN) else ""
    return f"{row.cpu_ms:.2f} ms{ratio}"


def _chunk(row: WayRow) -> str:
    return "" if row.cpu_us_per_chunk is None else f"{row.cpu_us_per_chunk:.0f} µs"


def _added(added: Added | None) -> str:
    return "" if added is None else f"{added.p50:+.2f}, {added.p99:+.2f} ms"


# Of the README: what it says, of which scenario, and how.
_FEW: tuple[tuple[str, str, Callable[[WayRow], str]], ...] = (
    ("CPU per request, 64 clients", "short", _ms),
    ("requests per second, 64 clients", "short", lambda row: f"{row.per_s:.0f}"),
    ("added latency, one client: p50, p99", "one", lambda row: _added(row.added)),
    ("CPU per chunk of 64 streams, their start and end included", "streams-64", _chunk),
    ("added time to first token, 64 streams: p50, p99", "streams-64", lambda row: _added(row.first_added)),
    ("CPU per request that falls back", "fallback", _ms),
    ("memory (PSS), 64 clients", "short", lambda row: f"{row.memory_mib:.0f} MiB"),
    ("wrong or missing answers, 64 clients", "short", lambda row: str(row.errors)),
)


def readme_block(found: Found, source: str) -> str:
    """The few figures that the README has."""
    ways = _ways(found)
    shown = [way for way in _NAMES if any(row.way == way for row in ways)]
    lines = _head(("", *(_NAMES[way] for way in shown)))
    chunks = _chunks(found)
    lines.append(
        _line(("CPU per streamed chunk, 32 streams: what one more costs", *(chunks.get(way) or "-" for way in shown)))
    )
    for says, scenario, figure in _FEW:
        of = {row.way: figure(row) for row in ways if row.scenario == scenario}
        lines.append(_line((says, *(of.get(way) or "-" for way in shown))))
    lines += ["", f"{_about(found)} All of it: [docs/benchmark.md](docs/benchmark.md), [the run's JSON]({source})."]
    return "\n".join(lines)


def _chunks(found: Found) -> dict[str, str]:
    """By way, of the budgets' streams."""
    cells: dict[str, str] = {}
    for row in _budgets(found):
        what, _, other = row.measure.partition(", ")
        if what == CHUNK_MEASURE and row.other is not None:
            cells[other] = f"{row.other:.0f} {row.unit} ({row.figure:.1f} x ours)"
        elif row.measure == CHUNK_MEASURE:
            cells |= {PLAIN: f"{row.plain:.0f} {row.unit}", OURS: f"{row.gateway:.0f} {row.unit}"}
    return cells


def budgets_block(found: Found) -> str:
    """Every row of the budgets."""
    rows = [_line(budget_cells(row)) for row in _budgets(found)]
    return "\n".join([*_head(COLUMNS), *rows])


def ways_block(found: Found) -> str:
    """Every row of the scenarios."""
    rows = [_line((row.scenario, *way_cells(row))) for row in _ways(found)]
    return "\n".join([_about(found), "", *_head(WAY_COLUMNS), *rows])


def growth_block(found: Found) -> str:
    """Every size of what grew."""
    rows = [_line(growth.cells(point)) for point in msgspec.convert(found["points"], list[growth.Point])]
    return "\n".join([_about(found), "", *_head(growth.COLUMNS), *rows])


def soak_block(found: Found) -> str:
    """A row for each tenth, and what was wrong in the end."""
    rows = [_line(row) for row in soak.tenths(msgspec.convert(found["samples"], list[soak.Sample]))]
    wrong = "; ".join(found["wrong"]) or "nothing"
    return "\n".join([_about(found), "", *_head(soak.COLUMNS), *rows, "", f"Wrong in the end: {wrong}."])


def with_block(page: str, name: str, block: str) -> str:
    """The page with this between its marks. Raises ValueError where it has none."""
    begin = BEGIN.format(name)
    start = page.index(begin) + len(begin)
    return f"{page[:start]}\n{block}\n{page[page.index(END, start) :]}"


def pages_of(kept: Path, root: Path) -> dict[Path, str]:
    """The pages with this run's tables."""
    found = json.loads(kept.read_text())
    readme, page = root / "README.md", root / "docs" / "benchmark.md"
    name = kept.name.partition("-")[0]
    picture = f"\n\n![{_PICTURES[name]}](benchmarks/{kept.stem}.svg)"
    if name in _MORE:
        return {page: with_block(page.read_text(), name, _MORE[name](found) + picture)}
    shown = with_block(readme.read_text(), "ways", readme_block(found, kept.relative_to(root).as_posix()))
    text = with_block(page.read_text(), "budgets", budgets_block(found))
    return {readme: shown, page: with_block(text, "ways", ways_block(found) + picture)}


def _ways(found: Found) -> list[WayRow]:
    return msgspec.convert(found["ways"], list[WayRow])


def _budgets(found: Found) -> list[Row]:
    return msgspec.convert(found["rows"], list[Row])


def _about(found: Found) -> str:
    machine, versions = found["machine"], ", ".join(f"{name} {one}" for name, one in found["versions"].items())
    return (
        f"`{found['command']}` on {found['date'][:10]}: {machine['cores']} cores ({machine['cpu']}), "
        f"{machine['memory_gib']} GiB, Linux {machine['kernel']}, Python {machine['python']}; {versions}."
    )


def _head(columns: Sequence[str]) -> list[str]:
    return [_line(columns), _line(["---"] * len(columns))]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


_PICTURES = {
    "bench": "Added latency and CPU by scenario",
    "growth": "CPU and latency as things grow",
    "soak": "Memory, latency and descriptors over the requests",
}

_MORE: Mapping[str, Callable[[Found], str]] = {"growth": growth_block, "soak": soak_block}


def main() -> None:
    """Write the pages."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kept", type=Path)
    root = Path(__file__).parents[1]
    for path, text in pages_of(parser.parse_args().kept.resolve(), root).items():
        path.write_text(text)


if __name__ == "__main__":
    main()
