"""The yearly run beside the load: planning and workers in a process of their own, as in the cloud.

`python -m tests.perf.load.yearly YEAR` reads a line from its input before each start, and writes a line
of JSON for each thing that happens: `ready`, `planned`, `chunk`, `ended`. It ends with its input.
DynamoDB is the one of AWS_ENDPOINT_URL_DYNAMODB; queue and topic are moto's, in this process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3

from chalicelib import container, runtime
from chalicelib.messaging.queue import Message
from chalicelib.services.yearly_reset import YearlyReset
from chalicelib.settings import load
from infra.deploy.package import ROOT
from infra.deploy.tables import load_template
from infra.local.aws import LocalAws, Resources, point_at
from infra.local.gateway import function_context
from infra.local.sqs_poller import SqsPoller, queue_mappings

_PREFIX = "recovery"
_RETRY_S = 2
"""Seconds until a start that failed is repeated; the cloud does so after a minute."""
_LOOK_S = 0.5
_NICE = 10


def _write(what: str, **facts: Any) -> None:
    # One write, since the service's threads print their figures to the same output.
    sys.stdout.write(json.dumps({"what": what, **facts}) + "\n")
    sys.stdout.flush()


class _Timed(YearlyReset):
    """The yearly reset, with a line for each chunk that was processed."""

    def process(self, message: Message, **options: Any) -> None:
        began = time.monotonic()
        is_done = False
        try:
            super().process(message, **options)
            is_done = True
        finally:
            if "chunk" in message:
                _write("chunk", began=began, ended=time.monotonic(), is_done=is_done)


def _event(year: int) -> dict[str, Any]:
    return {
        "version": "0",
        "id": "load",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "",
        "time": f"{year - 1}-12-31T16:00:00Z",
        "region": "",
        "resources": [],
        "detail": {},
    }


def _start(year: int, function: Any, context: Any) -> None:
    began = time.monotonic()
    while True:
        try:
            function(_event(year), context("yearly_reset"))
            break
        except Exception as error:
            _write("start failed", error=type(error).__name__)
            time.sleep(_RETRY_S)
    _write("planned", seconds=time.monotonic() - began)


def _follow(year: int, reset: YearlyReset) -> None:
    """Write a line when the run has ended and operators were notified."""
    while True:
        time.sleep(_LOOK_S)
        try:
            run = reset.status(year)
        except Exception as error:
            _write("status failed", error=type(error).__name__)
            continue
        if run is not None and run.complete and run.told_at is not None:
            facts = {
                "logins": run.logins,
                "done": run.done,
                "skipped": run.skipped,
                "failed": run.failed,
                "started_at": run.started_at,
            }
            _write("ended", at=time.monotonic(), **facts)
            return


def main(year: int) -> None:
    """Serve until the input ends."""
    dynamodb = os.environ["AWS_ENDPOINT_URL_DYNAMODB"]
    # In the cloud the workers do not use the cores of the API's processes.
    os.nice(_NICE)
    with LocalAws() as aws:
        point_at(os.environ, aws.url, dynamodb)
        template = load_template()
        resources = Resources(template, _PREFIX, os.environ["AWS_REGION"])
        resources.make_queues(boto3.client("sqs"))
        resources.make_topics(boto3.client("sns"))
        os.environ["RESET_QUEUE_URL"] = resources.values["ResetQueue"]
        os.environ["OPS_TOPIC_ARN"] = resources.values["OpsTopic"]
        service = container.Service(load(os.environ))
        reset = service.yearly_reset
        reset.__class__ = _Timed
        runtime.install(service)
        # Not earlier: importing it reads the environment.
        import app

        context = function_context(ROOT)
        mappings = [
            (mapping, app.reset_accounts)
            for mapping in queue_mappings(template, resources.values, app.app)
            if mapping.function == "reset_accounts"
        ]
        poller = SqsPoller(boto3.client("sqs"), mappings, context, workers=1)
        poller.start()
        _write("ready")
        followed = False
        for _ in sys.stdin:
            _start(year, app.yearly_reset, context)
            if not followed:
                threading.Thread(target=_follow, args=(year, reset), daemon=True).start()
                followed = True
        poller.close()


class Yearly:
    """The process of the yearly run, and what it has written."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            # Log lines of the service go to the same output.
            if line.startswith('{"what":'):
                with self._changed:
                    self._lines.append(json.loads(line))
                    self._changed.notify_all()

    def begin(self) -> None:
        """Start the run, or what is missing of it."""
        assert self._process.stdin is not None
        self._process.stdin.write("start\n")
        self._process.stdin.flush()

    def all(self, what: str) -> list[dict[str, Any]]:
        """Return the lines of one kind so far."""
        with self._changed:
            return [line for line in self._lines if line["what"] == what]

    def wait(self, what: str, seconds: float) -> dict[str, Any] | None:
        """Return the first line of one kind, waiting for it; None where it does not come in time."""
        with self._changed:
            self._changed.wait_for(
                lambda: any(line["what"] == what for line in self._lines), timeout=seconds
            )
            return next((line for line in self._lines if line["what"] == what), None)


@contextmanager
def running(year: int, environment: Mapping[str, str]) -> Iterator[Yearly]:
    """Run the process until the block ends; `environment` has the settings and the address of DynamoDB."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.perf.load.yearly", str(year)],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Yearly(process)
    finally:
        process.kill()
        process.wait(60)


if __name__ == "__main__":
    main(int(sys.argv[1]))
