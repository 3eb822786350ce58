"""The service's goals, as ratios of figures of the same run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

PAGE_BYTES = 14 * 1024

_FLAT = 1.25
"""How much more memory a hundred times the logins may take: what the allocator makes of it."""

BY_SMTP, BY_HTTP = ", mail by SMTP", ", SMS by HTTP"
"""How the names of peers end that hand their messages over."""

FIRST_RECOVERY = ", first POST of a recovery"
"""How the names of cold starts end whose first request begins a recovery."""

Found = Mapping[str, Any]


def goals(found: Found) -> list[dict[str, Any]]:
    """Return every goal of the parts that ran: measured, the target, and whether it is met."""
    rows = [
        *_deployed(found),
        *_recovery(found),
        *_cold(found),
        *_callback(found),
        *_worker(found),
        *_memory(found),
        *_page(found),
    ]
    return [
        {
            "goal": name,
            "measured": round(value, 3),
            "target": f"{'>=' if least else '<='} {target:g}",
            "met": value >= target if least else value <= target,
        }
        for name, value, target, least in rows
    ]


Row = tuple[str, float, float, bool]
"""Name, figure, target, and whether the target is the least (or else the most) that it may be."""


def _deployed(found: Found) -> Iterator[Row]:
    cpu = {name: facts["cpu_ms"] for name, facts in found.get("deployed", {}).items()}
    us = cpu.pop("ours", None)
    if us is not None and cpu:
        best = min(cpu, key=cpu.__getitem__)
        yield f"whole recovery as deployed, CPU / {best}", us / cpu[best], 0.3, False


def _recovery(found: Found) -> Iterator[Row]:
    cpu = {name: facts["cpu_ms"] for name, facts in found.get("recovery", {}).items()}
    if not cpu:
        return
    us = cpu["ours"]
    peers = [name for name in cpu if name.endswith((BY_SMTP, BY_HTTP))]
    if peers:
        best = min(peers, key=cpu.__getitem__)
        yield f"whole recovery, CPU without a hash / {best}", us / cpu[best], 0.85, False
    yield "whole recovery, CPU without a hash / floor", us / cpu["floor"], 1.8, False


def _cold(found: Found) -> Iterator[Row]:
    wall = {name: facts["wall_ms"] for name, facts in found.get("cold", {}).items()}
    if not wall:
        return
    us = wall[f"ours{FIRST_RECOVERY}"]
    peers = [name for name in wall if name.endswith(FIRST_RECOVERY) and not name.startswith("ours")]
    if peers:
        best = min(peers, key=wall.__getitem__)
        name = best.removesuffix(FIRST_RECOVERY)
        yield f"cold first recovery, wall / {name}", us / wall[best], 0.9, False
    yield "cold first recovery, wall / bare process", us / wall["bare process"], 1.25, False


def _callback(found: Found) -> Iterator[Row]:
    if "callback" in found:
        yield "callback, CPU / wechatpy", found["callback"]["ratio"], 0.5, False


def _worker(found: Found) -> Iterator[Row]:
    if "worker" in found:
        yield "yearly worker, logins per s / bare argon2", found["worker"]["ratio"], 0.9, True


def _memory(found: Found) -> Iterator[Row]:
    sizes = found.get("worker_memory", {}).get("logins", {})
    if len(sizes) < 2:
        return
    least, most = min(sizes, key=int), max(sizes, key=int)
    for name in ("plan", "work"):
        ratio = sizes[most][f"{name}_kib"] / sizes[least][f"{name}_kib"]
        yield f"memory of the yearly {name}, {most} / {least} logins", ratio, _FLAT, False


def _page(found: Found) -> Iterator[Row]:
    if "page_load" in found:
        sent = found["page_load"]["content_bytes"]
        yield "page, bytes of content in the first view", sent, PAGE_BYTES, False
