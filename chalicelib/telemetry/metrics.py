"""Figures for alarms and the dashboard, as CloudWatch's embedded metric format by Powertools.

Names and dimensions are what alarms are built on:

RecoveryStarted, RecoveryCompleted, CodeWrong, Unbound; CodeSent by gateway and outcome;
RefusedByLimit by limit; CallbackEvent by event; ResetProgress by outcome, in logins;
PasswordVerified by outcome; Alarm by alarm, one for each log line that operators must look at.
"""

from __future__ import annotations

import json
import logging
import re
from collections import defaultdict
from collections.abc import Mapping
from typing import TextIO

from .invocation import Figure, Invocation, current

log = logging.getLogger(__name__)

NAMESPACE = "LoginRecovery"

# A dimension's values are words of ours. Each new one is a metric that is paid for, for 15 months.
_WORD = re.compile(r"[a-z0-9-]{1,40}")
_OTHER = "other"

_sink: TextIO | None = None


def print_to(stream: TextIO | None) -> None:
    """Write figures to this stream from now on; with None they are counted for nobody."""
    global _sink  # noqa: PLW0603
    _sink = stream


def count(name: str, value: int = 1, /, **dimensions: str) -> None:
    """Count `value` events. Outside of a call, and after its end, the figure is written at once."""
    words = (
        (key, word if _WORD.fullmatch(word) else _OTHER) for key, word in sorted(dimensions.items())
    )
    figure = (name, tuple(words))
    invocation = current()
    if invocation is None or not invocation.add(figure, value):
        _write({figure: value}, invocation)


def flush(invocation: Invocation) -> None:
    """Write what the call counted, and end it. Never raises."""
    _write(invocation.end(), invocation)


def _write(counts: Mapping[Figure, int], invocation: Invocation | None) -> None:
    if _sink is None or not counts:
        return
    try:
        # Imported by who counts: a cold start that has nothing to tell does not pay for it.
        from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit  # noqa: PLC0415

        together: defaultdict[tuple[tuple[str, str], ...], dict[str, int]] = defaultdict(dict)
        for (name, dimensions), value in counts.items():
            together[dimensions][name] = value
        for dimensions, figures in together.items():
            # An empty service keeps POWERTOOLS_SERVICE_NAME from becoming one more dimension.
            metrics = EphemeralMetrics(namespace=NAMESPACE, service="")
            for key, word in dimensions:
                metrics.add_dimension(key, word)
            for name, value in figures.items():
                metrics.add_metric(name, MetricUnit.Count, value)
            if invocation is not None:
                metrics.add_metadata("correlation_id", invocation.correlation_id)
            print(json.dumps(metrics.serialize_metric_set()), file=_sink, flush=True)
    except Exception as error:
        # Whoever waits for an answer must not go without it for the sake of a figure.
        log.warning("figures were not written: %s", type(error).__name__)
