"""What the service costs on this machine; prints tables and writes JSON.

The steps of a recovery run over the local twin's HTTP door, one after another, so that a figure is
one request's time with nobody else about; their AWS is moto in the same process, which is slower
than DynamoDB in a region. The page is loaded over an emulated phone network and audited by
Lighthouse. The yearly reset's worker runs against DynamoDB Local.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from chalicelib.keys.passwords import PasswordHasher
from infra.local.twin import Options, Twin
from tests import dynamodb_local
from tests.bench import page_audit, page_load, worker
from tests.browser.needs import browser

OUT = Path("artifacts/bench.json")
LOGIN = "11010148"


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Milliseconds that `work` took, and what it gave."""
    began = time.perf_counter()
    result = work()
    return (time.perf_counter() - began) * 1000, result


def row(name: str, samples: list[float]) -> dict[str, Any]:
    """One line of the table, in milliseconds."""
    ordered = sorted(samples)
    return {
        "step": name,
        "n": len(ordered),
        "p50_ms": round(statistics.median(ordered), 2),
        "p99_ms": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], 2),
    }


def over_http(url: str, rounds: int) -> list[dict[str, Any]]:
    """Health, the document, a start, and a wrong code without a live one."""
    samples: dict[str, list[float]] = {"health": [], "document": [], "start": [], "no code": []}
    session = requests.Session()
    session.get(f"{url}/wechat/enter")
    for _ in range(rounds):
        samples["health"].append(timed(lambda: session.get(f"{url}/health"))[0])
        samples["document"].append(timed(lambda: session.get(f"{url}/"))[0])
    token = ""
    for _ in range(min(rounds, 25)):
        took, answer = timed(
            lambda: session.post(f"{url}/recovery", json={"user_type": "firm", "login": LOGIN})
        )
        answer.raise_for_status()
        token = answer.json()["token"]
        samples["start"].append(took)
    for _ in range(rounds):
        took, answer = timed(
            lambda: session.post(
                f"{url}/recovery/password",
                json={"code": "000000", "password": "Correct-horse-7"},
                headers={"Authorization": f"Bearer {token}"},
            )
        )
        samples["no code"].append(took)
    return [row(name, taken) for name, taken in samples.items()]


def steps(rounds: int, url: str) -> dict[str, Any]:
    """The table of single steps."""
    hasher = PasswordHasher({1: b"p" * 32})
    hashing = [timed(lambda: hasher.hash("Correct-horse-7"))[0] for _ in range(min(rounds, 30))]
    table = [row("argon2id hash", hashing), *over_http(url, rounds)]
    print(f"{'step':<16}{'n':>6}{'p50':>10}{'p99':>10} ms")
    for line in table:
        print(f"{line['step']:<16}{line['n']:>6}{line['p50_ms']:>10}{line['p99_ms']:>10}")
    return {"steps": table}


def page(url: str) -> dict[str, Any]:
    """How soon the page can be used on a slow network, and what Lighthouse says of it."""
    chromium = browser()
    loaded = page_load.measure(url, chromium)
    audited = page_audit.measure(url, chromium)
    _print("page, first view", loaded)
    _print("page, Lighthouse, mobile", audited)
    return {"page_load": loaded, "page_audit": audited}


def reset() -> dict[str, Any]:
    """The yearly reset's worker against bare argon2, and its memory by number of logins."""
    with worker.on_one_core() as others, dynamodb_local.serving(others) as url:
        throughput = worker.measure(url)
        memory = worker.measure_memory(url)
    _print("yearly reset, worker", throughput)
    _print("yearly reset, memory", memory)
    return {"worker": throughput, "worker_memory": memory}


def _print(title: str, facts: dict[str, Any]) -> None:
    print(f"\n{title}")
    for name, value in facts.items():
        print(f"  {name:<26} {value}")


PARTS = ("reset", "steps", "page")


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, comma separated")
    arguments = parser.parse_args()
    chosen = set(arguments.only.split(","))
    if unknown := chosen - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    found: dict[str, Any] = {}
    # Before the twin, which points every AWS client of the process at its own.
    if "reset" in chosen:
        found |= reset()
    if chosen & {"steps", "page"}:
        with Twin(Options(port=0, proof=False), lambda _: None) as twin:
            if "steps" in chosen:
                found |= steps(arguments.rounds, twin.url)
            if "page" in chosen:
                found |= page(twin.url)
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    print(f"\nwritten to {OUT}")


if __name__ == "__main__":
    main()
