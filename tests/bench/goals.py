"""What the service must reach, as ratios of figures of one and the same run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

PAGE_BYTES = 14 * 1024

_FLAT = 1.25
"""How much more memory a hundred times the logins may take: what the allocator makes of it."""

BY_SMTP = ", mail by SMTP"
"""How the names of peers end that send their mail."""

Found = Mapping[str, Any]


def goals(found: Found) -> list[dict[str, Any]]:
    """Every goal that the parts run can tell of: measured, the target, and whether it is met."""
    rows = [
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


def _recovery(found: Found) -> Iterator[Row]:
    cpu = {name: facts["cpu_ms"] for name, facts in found.get("recovery", {}).items()}
    us = cpu.pop("ours", None)
    if us is None:
        return
    by_smtp = {name for name in cpu if name.endswith(BY_SMTP)}
    for peers in (cpu.keys() - by_smtp, by_smtp):
        if peers:
            best = min(peers, key=cpu.__getitem__)
            yield f"whole recovery, CPU without a hash / {best}", us / cpu[best], 0.5, False


def _cold(found: Found) -> Iterator[Row]:
    starts = found.get("cold", {})
    if not starts:
        return
    us = starts["ours, GET /health"]
    for bare in ("bare process", "bare function"):
        yield f"cold start, wall / {bare}", us["wall_ms"] / starts[bare]["wall_ms"], 1.1, False
        yield f"cold start, CPU / {bare}", us["cpu_ms"] / starts[bare]["cpu_ms"], 1.1, False
    peers = {name: facts for name, facts in starts.items() if name.endswith(", GET")}
    if peers:
        best = min(peers, key=lambda name: peers[name]["wall_ms"])
        ratio = us["wall_ms"] / peers[best]["wall_ms"]
        yield f"cold start, wall / {best.removesuffix(', GET')}", ratio, 1, False


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
