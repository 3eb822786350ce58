"""Prices, and the arithmetic from usage to money."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from math import ceil
from typing import Any

CURRENCY = "CNY"


@dataclass(frozen=True)
class Prices:
    """The price of each unit; the names are those of `--price`."""

    # https://www.amazonaws.cn/en/dynamodb/pricing/, on-demand: "Write requests: ¥ 11.1538".
    million_write_units: float = 11.1538
    # Assumed: a fifth of the write price, as in AWS's other lists; the page's own line was cut off.
    million_read_units: float = 2.2308
    # Assumed: AWS's list of the global regions (USD 0.0000166667, x86) at 6.8 to the dollar.
    lambda_gb_second: float = 0.0001133
    # Assumed in the same way (USD 0.20).
    million_lambda_requests: float = 1.36
    # Assumed in the same way (USD 3.50 for REST).
    million_api_requests: float = 23.8
    # Assumed in the same way (USD 0.40).
    million_queue_requests: float = 2.72
    # Assumed: mainland vendors charge 0.035 to 0.05 without a package.
    sms: float = 0.045


@dataclass(frozen=True)
class Usage:
    """The usage in each unit."""

    read_units: float = 0
    write_units: float = 0
    lambda_gb_seconds: float = 0
    lambda_requests: float = 0
    api_requests: float = 0
    queue_requests: float = 0
    sms: float = 0

    def times(self, count: float) -> Usage:
        """Return the usage multiplied by a factor."""
        return Usage(**{name: value * count for name, value in asdict(self).items()})

    def plus(self, other: Usage) -> Usage:
        """Return the sum of both."""
        added = asdict(other)
        return Usage(**{name: value + added[name] for name, value in asdict(self).items()})


def with_own_prices(pairs: list[str]) -> Prices:
    """Return the list with the operator's own prices. Raises ValueError for a name that is not in it."""
    own: dict[str, Any] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        if name not in asdict(Prices()):
            raise ValueError(f"no such price: {name}; there are {', '.join(asdict(Prices()))}")
        own[name] = float(value)
    return replace(Prices(), **own)


def money(usage: Usage, prices: Prices) -> dict[str, float]:
    """Return the cost of the usage, by kind and in total."""
    kinds = {
        "dynamodb": usage.read_units * prices.million_read_units / 1e6
        + usage.write_units * prices.million_write_units / 1e6,
        "lambda": usage.lambda_gb_seconds * prices.lambda_gb_second
        + usage.lambda_requests * prices.million_lambda_requests / 1e6,
        "api": usage.api_requests * prices.million_api_requests / 1e6,
        "queue": usage.queue_requests * prices.million_queue_requests / 1e6,
        "sms": usage.sms * prices.sms,
    }
    return {**kinds, "total": sum(kinds.values())}


def gb_seconds(milliseconds: float, memory_mb: int) -> float:
    """Return what Lambda bills for such a duration and memory."""
    return milliseconds / 1_000 * memory_mb / 1_024


def sms_parts(text: str, sign: str) -> int:
    """Return the number of billed messages of a text: one up to 70 characters, else one for each 67 begun."""
    length = len(f"【{sign}】{text}")
    return 1 if length <= 70 else ceil(length / 67)
