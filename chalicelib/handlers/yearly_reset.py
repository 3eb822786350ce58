"""The yearly reset's two Lambda functions: the schedule's and the queue's."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import datetime
from typing import Any

from chalice.app import CloudWatchEvent, SQSEvent

from .. import runtime

log = logging.getLogger(__name__)

RECEIVES = 5
"""How often a message is delivered before it is a dead letter: the queue's `maxReceiveCount`."""

AT_ONCE = 3
"""Messages worked at once: while one waits for DynamoDB, another hashes."""

# What a step of planning and its hand-over to a worker may take, in milliseconds.
_MARGIN = 20_000


def plan(event: CloudWatchEvent) -> None:
    """Start the run of the year that it is in Beijing at the event's own time.

    A schedule's event may come late and more than once; its time stays the same.
    """
    from ..services.yearly_reset import reporting_year

    at = datetime.fromisoformat(event.to_dict()["time"])
    year = reporting_year(int(at.timestamp()))
    runtime.service().yearly_reset.start(year, "schedule", _has_time(event.context))


def work(event: SQSEvent) -> dict[str, list[dict[str, str]]]:
    """Work the messages of a batch; those that must come again are named in the answer."""
    from ..services.yearly_reset import Unfinished

    has_time = _has_time(event.context)

    def taken(record: dict[str, Any]) -> bool:
        try:
            if not has_time():
                raise Unfinished
            last = int(record["attributes"]["ApproximateReceiveCount"]) >= RECEIVES
            runtime.service().yearly_reset.take(
                json.loads(record["body"]), last=last, has_time=has_time
            )
        except Exception as error:
            # One bad message must not bring the others of its batch back.
            log.warning("a message comes again: %s", type(error).__name__)
            return False
        return True

    records = event.to_dict()["Records"]
    # A context each, so that their lines and figures belong to this call.
    contexts = [copy_context() for _ in records]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        done = list(
            threads.map(lambda context, record: context.run(taken, record), contexts, records)
        )
    return {
        "batchItemFailures": [
            {"itemIdentifier": record["messageId"]}
            for record, was_taken in zip(records, done, strict=True)
            if not was_taken
        ]
    }


def _has_time(context: Any) -> Callable[[], bool]:
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    return (lambda: True) if remaining is None else (lambda: remaining() > _MARGIN)
