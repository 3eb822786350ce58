"""Charts and Markdown tables of docs/speed.md, from the results of `make bench`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from matplotlib.figure import Figure

from tests.perf.bench import drawing, growth, results, tables
from tests.perf.bench.drawing import OTHER, OURS, PALE, Bar, Group, Series
from tests.perf.bench.goals import BY_HTTP, BY_SMTP, FIRST_RECOVERY

FOLDER = Path("docs/images/speed")

Found = Mapping[str, Any]


def recovery_as_deployed(found: Found) -> Figure | None:
    """Draw the CPU of a whole recovery with each service's own hash."""
    services = found.get("deployed")
    if not services:
        return None
    rows = [
        Bar(name, facts["cpu_ms"], OURS if name == "ours" else OTHER)
        for name, facts in _by_value(services, "cpu_ms")
    ]
    return drawing.bars("A whole recovery as deployed", "CPU of the server, mean ms", [("", rows)])


def recovery_without_hash(found: Found) -> Figure | None:
    """Draw the CPU of a whole recovery with hashes that cost nothing."""
    services = found.get("recovery")
    if not services:
        return None
    rows = []
    for name, facts in _by_value(services, "cpu_ms"):
        compared = name.endswith((BY_SMTP, BY_HTTP))
        label = name if compared or name in ("ours", "floor") else f"{name}, nothing sent"
        colour = OURS if name == "ours" else OTHER if compared else PALE
        rows.append(Bar(label, facts["cpu_ms"], colour))
    unit = "CPU, mean ms; pale: the floor, and peers that send nothing"
    return drawing.bars("A whole recovery without a hash", unit, [("", rows)])


def cold_starts(found: Found) -> Figure | None:
    """Draw the time from a process's start to its first answer."""
    starts = {name: facts for name, facts in found.get("cold", {}).items() if _is_first(name)}
    if not starts:
        return None
    rows = []
    for name, facts in _by_value(starts, "wall_ms"):
        colour = OURS if name.startswith("ours") else PALE if name == "bare process" else OTHER
        rows.append(Bar(name.replace(FIRST_RECOVERY, ""), facts["wall_ms"], colour))
    unit = "process start to first POST of a recovery answered, median ms"
    return drawing.bars("A cold start", unit, [("", rows)])


def _is_first(name: str) -> bool:
    provisioned = f"ours{FIRST_RECOVERY}, provisioned"
    variant = name.startswith("ours ")
    return name in ("bare process", provisioned) or (name.endswith(FIRST_RECOVERY) and not variant)


def packages(found: Found) -> Figure | None:
    """Draw the package's size and its cold start with and without each measure."""
    rows = found.get("packages")
    if not rows:
        return None

    def column(of: str) -> list[Bar]:
        return [
            Bar(row["package"], row[of], OTHER if number else OURS)
            for number, row in enumerate(rows)
        ]

    columns = [("zip, MB", column("zip_mb")), ("first answer, ms", column("wall_ms"))]
    return drawing.bars("What packaging brings", "cold first POST of a recovery, median", columns)


def desk_search(found: Found) -> Figure | None:
    """Draw the time of each kind of search by the number of firms."""
    middle, slow = growth.searches(found, "p50_ms"), growth.searches(found, "p99_ms")
    if not middle:
        return None
    sizes = [size for size, _ in next(iter(middle.values()))][-len(drawing.SHADES) :]
    rows = [
        Group(
            kind,
            [
                (p50, p99)
                for (size, p50), (_, p99) in zip(points, slow[kind], strict=True)
                if size in sizes
            ],
        )
        for kind, points in middle.items()
    ]
    names = [f"{size:,} firms" for size in sizes]
    return drawing.groups("A search at the support desk", "ms: p50 / p99", names, rows)


def yearly_run(found: Found) -> Figure | None:
    """Draw the request units of a yearly run by the number of logins."""
    cost = found.get("cost", {})
    runs, computed = cost.get("yearly_runs"), cost.get("yearly_money")
    if not runs or not computed:
        return None
    series = [
        Series(label, _points(runs, column), _points(computed, column), colour)
        for label, column, colour in (
            ("write units", "write_units", OURS),
            ("read units", "read_units", OTHER),
        )
    ]
    unit = "request units; filled: measured, hollow: by the line through those"
    return drawing.lines("A yearly run", unit, "logins", series)


def _points(rows: Sequence[Mapping[str, Any]], column: str) -> list[tuple[float, float]]:
    return [(row["logins"], row[column]) for row in rows]


def _by_value(services: Found, column: str) -> list[tuple[str, Any]]:
    return sorted(services.items(), key=lambda pair: float(pair[1][column]))


CHARTS: Mapping[str, Callable[[Found], Figure | None]] = {
    "recovery-as-deployed": recovery_as_deployed,
    "recovery-without-hash": recovery_without_hash,
    "cold-starts": cold_starts,
    "packages": packages,
    "desk-search": desk_search,
    "yearly-run": yearly_run,
}
"""Each returns None where its part has not run."""


def draw(found: Found, folder: Path = FOLDER) -> Iterator[Path]:
    """Write the charts of the parts that have results, and yield their files; others stay."""
    for name, chart in CHARTS.items():
        figure = chart(found)
        if figure is not None:
            file = folder / f"{name}.svg"
            drawing.save(figure, file, name.replace("-", " "))
            yield file


@click.command(help=__doc__)
@click.option("--tables", "print_tables", is_flag=True, help="print the tables and draw nothing")
@click.option(
    "--results",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=results.OUT,
    show_default=True,
    help="the JSON of make bench",
)
def main(print_tables: bool, file: Path) -> None:
    """Draw the charts, or print the tables."""
    found = results.read(file)
    if print_tables:
        click.echo(tables.markdown(found))
        return
    for chart in draw(found):
        click.echo(chart)


if __name__ == "__main__":
    main(prog_name="python -m tests.perf.bench.charts")
