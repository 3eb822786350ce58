"""What each step of a recovery costs, measured over the local twin's HTTP door; prints and writes JSON.

The steps run one after another, so a figure is one request's time with nobody else about. The AWS
of these figures is moto in the same process, which is slower than DynamoDB in a region.
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


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    rounds = parser.parse_args().rounds
    hasher = PasswordHasher({1: b"p" * 32})
    hashing = [timed(lambda: hasher.hash("Correct-horse-7"))[0] for _ in range(min(rounds, 30))]
    table = [row("argon2id hash", hashing)]
    with Twin(Options(port=0, proof=False), lambda _: None) as twin:
        table += over_http(twin.url, rounds)
    for line in table:
        print(f"{line['step']:<16}{line['n']:>6}{line['p50_ms']:>10}{line['p99_ms']:>10} ms")
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(table, indent=2) + "\n", "utf-8")
    print(f"written to {OUT}")


if __name__ == "__main__":
    main()
