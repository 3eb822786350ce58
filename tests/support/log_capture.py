"""Capture the log lines and the metrics that a test's calls write, in their deployed form."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from chalicelib.telemetry import logs, metrics

# The limits of CloudWatch's embedded metric format; its units are those of PutMetricData.
MOST_DIMENSIONS = 30
MOST_METRICS = 100


@dataclass
class Watched:
    """The log and the metrics written so far."""

    log: io.StringIO = field(default_factory=io.StringIO)
    emf: io.StringIO = field(default_factory=io.StringIO)

    @property
    def text(self) -> str:
        """The log and the metrics, unparsed."""
        return self.log.getvalue() + self.emf.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The parsed lines of the log; each is one JSON object."""
        return [json.loads(line) for line in self.log.getvalue().splitlines()]

    @property
    def documents(self) -> list[dict[str, Any]]:
        """The metric documents, each checked against CloudWatch's format."""
        return [checked(json.loads(line)) for line in self.emf.getvalue().splitlines()]

    def figures(self) -> dict[str, float]:
        """Return the sums by name and dimensions, as in `CodeSent gateway=http outcome=sent`."""
        sums: dict[str, float] = {}
        for document in self.documents:
            for directive in document["_aws"]["CloudWatchMetrics"]:
                (names,) = directive["Dimensions"]
                words = [f"{name}={document[name]}" for name in names]
                for metric in directive["Metrics"]:
                    key = " ".join([metric["Name"], *words])
                    sums[key] = sums.get(key, 0) + sum(document[metric["Name"]])
        return sums


def checked(document: dict[str, Any]) -> dict[str, Any]:
    """Assert that the document obeys the format's specification, and return it."""
    meta = document["_aws"]
    assert type(meta["Timestamp"]) is int
    assert meta["Timestamp"] > 1_600_000_000_000
    for directive in meta["CloudWatchMetrics"]:
        assert set(directive) == {"Namespace", "Dimensions", "Metrics"}
        assert directive["Namespace"] == "LoginRecovery"
        for names in directive["Dimensions"]:
            assert len(names) <= MOST_DIMENSIONS
            assert all(type(document[name]) is str and document[name] for name in names)
        assert 0 < len(directive["Metrics"]) <= MOST_METRICS
        for metric in directive["Metrics"]:
            assert set(metric) == {"Name", "Unit"}
            assert metric["Unit"] == "Count"
            values = document[metric["Name"]]
            assert 0 < len(values) <= 100
            assert all(type(value) is float and value >= 0 for value in values)
    return document


@contextmanager
def watching() -> Iterator[Watched]:
    """Write log lines of every level and metrics as when deployed, into the yielded buffers."""
    watched = Watched()
    root = logging.root
    before, level = list(root.handlers), root.level
    logs.structured(watched.log)
    root.setLevel(logging.DEBUG)
    metrics.print_to(watched.emf)
    try:
        yield watched
    finally:
        metrics.print_to(None)
        logging.captureWarnings(False)
        root.handlers[:] = before
        root.setLevel(level)


@pytest.fixture
def watched() -> Iterator[Watched]:
    """The log lines and metrics that the test's calls write."""
    with watching() as written:
        yield written
