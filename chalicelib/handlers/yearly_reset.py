"""The yearly reset's two Lambda functions: the schedule's and the queue's."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import datetime, timedelta, timezone
from typing import Any

from chalice.app import CloudWatchEvent, SQSEvent

from .. import runtime

log = logging.getLogger(__name__)

RECEIVES = 5
"""Deliveries of a message before it becomes a dead letter: the queue's `maxReceiveCount`."""

AT_ONCE = 3
"""Messages processed at once: while one waits for DynamoDB, another hashes."""

# Milliseconds that a step of planning and queueing its continuation may need.
_MARGIN = 20_000


_BEIJING = timezone(timedelta(hours=8))


def plan(event: CloudWatchEvent) -> None:
    """Start the run of the year in Beijing at the event's own time.

    A schedule's event may be delivered late and more than once; its time stays the same. The event of
    01:00 or later checks the run: one that has not begun or not ended is logged with an alarm, and
    started again, which does what is missing.
    """
    from ..services.yearly_reset import SCHEDULE, reporting_year

    at = datetime.fromisoformat(event.to_dict()["time"])
    year = reporting_year(int(at.timestamp()))
    reset = runtime.service().yearly_reset
    if at.astimezone(_BEIJING).hour >= 1:
        run = reset.status(year)
        if run is not None and run.complete:
            log.info("the yearly reset has ended in time")
            return
        state = "not begun" if run is None else "not ended"
        log.error("the yearly reset has %s by 01:00", state, extra={"alarm": "reset-late"})
    reset.start(year, SCHEDULE, _has_time(event.context))


def work(event: SQSEvent) -> dict[str, list[dict[str, str]]]:
    """Process a batch of messages and return those that must be delivered again."""
    from ..services.yearly_reset import Unfinished

    has_time = _has_time(event.context)

    def processed(record: dict[str, Any]) -> bool:
        try:
            if not has_time():
                raise Unfinished
            last = int(record["attributes"]["ApproximateReceiveCount"]) >= RECEIVES
            runtime.service().yearly_reset.process(
                json.loads(record["body"]), last=last, has_time=has_time
            )
        except Exception as error:
            # One bad message must not make the others of its batch be delivered again.
            log.warning("a message will be delivered again: %s", type(error).__name__)
            return False
        return True

    records = event.to_dict()["Records"]
    # Each thread has a context, so that its log lines and metrics belong to this call.
    contexts = [copy_context() for _ in records]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        done = list(
            threads.map(lambda context, record: context.run(processed, record), contexts, records)
        )
    return {
        "batchItemFailures": [
            {"itemIdentifier": record["messageId"]}
            for record, was_processed in zip(records, done, strict=True)
            if not was_processed
        ]
    }


def _has_time(context: Any) -> Callable[[], bool]:
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    return (lambda: True) if remaining is None else (lambda: remaining() > _MARGIN)
