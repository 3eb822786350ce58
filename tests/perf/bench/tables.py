"""The Markdown tables of docs/speed.md, from the results of `make bench`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tests.perf.bench import growth
from tests.perf.bench.goals import BY_HTTP, BY_SMTP, FIRST_RECOVERY

Found = Mapping[str, Any]

Rows = list[Sequence[str]]


def markdown(found: Found) -> str:
    """Return every table whose parts have results, under the heading that it has in docs/speed.md."""
    parts = []
    for heading, make in _TABLES.items():
        each = [table(head, rows) for head, rows in make(found) if rows]
        if each:
            parts += [f"### {heading}", *each]
    return "\n\n".join(parts)


def table(head: Sequence[str], rows: Rows) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in lines)


def figure(value: float | None, places: int = 1) -> str:
    """Return a figure with so many decimal places, thousands separated; a dash for none."""
    return "–" if value is None else f"{value:,.{places}f}"


def whole(value: float) -> str:
    """Return a figure without needless decimal places."""
    return f"{value:,.0f}" if value == round(value) else f"{value:,.2f}".rstrip("0")


Tables = Iterator[tuple[Sequence[str], Rows]]


def _goals(found: Found) -> Tables:
    rows: Rows = [
        (
            goal["goal"],
            whole(goal["measured"]) if goal["measured"] > 100 else figure(goal["measured"], 2),
            _target(goal["target"]),
            "yes" if goal["met"] else "no",
        )
        for goal in found.get("goals", [])
    ]
    yield ("goal", "measured", "target", "met"), rows


def _target(text: str) -> str:
    sign, _, value = text.partition(" ")
    return f"{ {'<=': '≤', '>=': '≥'}[sign] } {float(value):,g}".replace("  ", " ")


_SERVICES = {"floor": "the floor"}
_STEPS = {"request": "start", "password": "new password"}


def _recovery(found: Found) -> Tables:
    deployed, without = found.get("deployed", {}), found.get("recovery", {})
    rows: Rows = []
    for name in without or deployed:
        plain = name.removesuffix(BY_SMTP).removesuffix(BY_HTTP)
        # As deployed every peer hands its messages over.
        hands_over = name in ("ours", "floor") or name != plain
        as_deployed = deployed.get(plain) if hands_over or not without else None
        cells = [as_deployed, without.get(name)]
        label = _SERVICES.get(name, name if hands_over else f"{name}, messages in memory")
        rows.append((label, *("" if one is None else figure(one["cpu_ms"]) for one in cells)))
    yield ("service", "as deployed", "without a hash"), rows
    steps = without.get("ours", {}).get("steps", {})
    yield (
        ("step of ours, without a hash", "CPU, ms"),
        [(_STEPS.get(step, step), figure(spread["cpu"])) for step, spread in steps.items()],
    )


def _cold(found: Found) -> Tables:
    rows: Rows = [
        (name, figure(facts["wall_ms"], 0))
        for name, facts in found.get("cold", {}).items()
        if not name.startswith("ours with")
    ]
    rows = [(name.replace(FIRST_RECOVERY, ", first `POST` of a recovery"), ms) for name, ms in rows]
    yield ("process", "first answer, ms"), rows


def _packages(found: Found) -> Tables:
    rows: Rows = [
        (row["package"], figure(row["zip_mb"], 2), figure(row["wall_ms"], 0))
        for row in found.get("packages", [])
    ]
    yield ("package", "zip, MB", "first answer, ms"), rows


def _desk(found: Found) -> Tables:
    middle, slow = growth.searches(found, "p50_ms"), growth.searches(found, "p99_ms")
    read, most = growth.searches(found, "read_units"), growth.searches(found, "read_units_most")
    calls = growth.searches(found, "calls")
    if not middle:
        return
    sizes = [f"{size:,} firms" for size, _ in next(iter(middle.values()))]
    times: Rows = [
        (
            kind,
            *(
                f"{figure(p50)} / {figure(p99)}"
                for (_, p50), (_, p99) in zip(points, slow[kind], strict=True)
            ),
        )
        for kind, points in middle.items()
    ]
    yield ("search by, p50 / p99 in ms", *sizes), times
    used: Rows = [
        (
            kind,
            whole(calls[kind][-1][1]),
            *(
                f"{whole(mean)} / {whole(highest)}"
                for (_, mean), (_, highest) in zip(points, most[kind], strict=True)
            ),
        )
        for kind, points in read.items()
    ]
    yield ("search by, read units, mean / most", "calls", *sizes), used


def _growth(found: Found) -> Tables:
    rows: Rows = [
        (
            row["figure"],
            f"{row['from_size']:,} → {row['to_size']:,} {row['of']}",
            f"{whole(row['from'])} → {whole(row['to'])}",
            f"{whole(row['times_size'])} ×",
            f"{figure(row['times'], 2)} ×",
        )
        for row in found.get("growth", [])
    ]
    yield ("figure", "size", "from → to", "size grows", "figure grows"), rows


def _functions(found: Found) -> Tables:
    rows: Rows = [
        (
            f"`{row['function']}`",
            figure(row["peak_rss_mib"], 0),
            figure(row["max_ms"] / 1_000, 2),
            f"{row['memory_mb']:,} MB, {row['timeout_s']} s",
        )
        for row in found.get("cost", {}).get("functions", [])
    ]
    yield ("function", "peak, MiB", "slowest, s", "configured"), rows


def _money(found: Found) -> Tables:
    cost = found.get("cost", {})
    flows = {row["flow"]: row for row in cost.get("flows", [])}
    rows: Rows = []
    for money in cost.get("recoveries", []):
        count, _, name = money["flow"].partition(" x ")
        flow, times = flows[name], int(count.replace(",", ""))
        units = [whole(times * flow[of]) for of in ("write_units", "read_units", "sms")]
        rest = money["total"] - money["sms"]
        parts = f"{whole(money['total'])}: SMS {whole(money['sms'])}, the rest {rest:.2f}"
        rows.append((f"{count} × {name}", *units, parts))
    if login := cost.get("yearly_per_login"):
        units = [figure(login.get(of, 0), 2) for of in ("write_units", "read_units")]
        seconds = f"{login['lambda_gb_seconds']:.3f} GB-s in addition"
        rows.append(("a yearly run, each login", *units, "0", seconds))
    rows.extend(
        (
            f"a yearly run, {run['logins']:,} logins",
            whole(run["write_units"]),
            whole(run["read_units"]),
            "0",
            whole(run["total"]),
        )
        for run in cost.get("yearly_money", [])
    )
    yield ("what", "write units", "read units", "SMS", "renminbi"), rows


_TABLES: Mapping[str, Callable[[Found], Tables]] = {
    "Goals": _goals,
    "A whole recovery": _recovery,
    "A cold start": _cold,
    "The package": _packages,
    "The support desk's search": _desk,
    "How the figures grow": _growth,
    "Memory and time-outs of the functions": _functions,
    "Money": _money,
}
