"""Metrics for alarms and the dashboard, in CloudWatch's embedded metric format by Powertools.

Alarms depend on these names and dimensions, each with the further dimension `stack`, which keeps the
figures of several stacks of one account apart:

RecoveryStarted, RecoveryCompleted, CodeWrong, Unbound; CodeSent by gateway and outcome;
RefusedByLimit by limit; CallbackEvent by event; ResetProgress by outcome, in logins;
PasswordVerified by outcome; SmsReceipt by outcome; ReceiptSkipped by gateway; CanarySucceeded (1 or 0
for each run) and CanaryMilliseconds; Alarm by alarm, one for each log line with the extra `alarm`.
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

# Values of dimensions are constants of this service. CloudWatch charges for each new value as a
# metric, and keeps it for 15 months.
_WORD = re.compile(r"[a-z0-9-]{1,40}")
_OTHER = "other"

_sink: TextIO | None = None
_stack = ""


def print_to(stream: TextIO | None, stack: str = "") -> None:
    """Write metrics to this stream from now on; None discards them.

    `stack` is the CloudFormation stack's name, the dimension of every metric; without it, metrics do
    not have the dimension.
    """
    global _sink, _stack
    _sink, _stack = stream, stack


def count(name: str, value: int = 1, /, **dimensions: str) -> None:
    """Count `value` events of the current invocation.

    Outside an invocation, or after its end, the metric is written at once.
    """
    words = (
        (key, word if _WORD.fullmatch(word) else _OTHER) for key, word in sorted(dimensions.items())
    )
    figure = (name, tuple(words))
    invocation = current()
    if invocation is None or not invocation.add(figure, value):
        _write({figure: value}, invocation)


def flush(invocation: Invocation) -> None:
    """End the invocation and write its counts. Never raises."""
    _write(invocation.end(), invocation)


def _write(counts: Mapping[Figure, int], invocation: Invocation | None) -> None:
    if _sink is None or not counts:
        return
    try:
        # Imported at the first metric, since a cold start without one need not pay for it.
        from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit  # noqa: PLC0415

        by_dimensions: defaultdict[tuple[tuple[str, str], ...], dict[str, int]] = defaultdict(dict)
        for (name, dimensions), value in counts.items():
            by_dimensions[dimensions][name] = value
        for dimensions, figures in by_dimensions.items():
            # With an empty service, POWERTOOLS_SERVICE_NAME does not become another dimension.
            metrics = EphemeralMetrics(namespace=NAMESPACE, service="")
            if _stack:
                metrics.add_dimension("stack", _stack)
            for key, word in dimensions:
                metrics.add_dimension(key, word)
            for name, value in figures.items():
                metrics.add_metric(name, MetricUnit.Count, value)
            if invocation is not None:
                metrics.add_metadata("correlation_id", invocation.correlation_id)
            print(json.dumps(metrics.serialize_metric_set()), file=_sink, flush=True)
    except Exception as error:
        # A lost metric must not fail the request.
        log.warning("figures were not written: %s", type(error).__name__)
