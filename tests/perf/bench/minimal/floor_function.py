"""The floor of a recovery: its DynamoDB calls by botocore, its SMS by requests, and nothing else.

A Lambda function beside the unpacked package, which imports nothing of this project. BENCH_REPLAY
names a file of JSON with what to send for each event: see `tests.perf.bench.floor`. The client has the
settings that cost nothing to choose and save CPU, so that the floor is no higher than it must be.
"""

from __future__ import annotations

import gc
import json
import os
from pathlib import Path
from typing import Any

import botocore.session
import requests
from botocore.config import Config

_REPLAY = json.loads(Path(os.environ["BENCH_REPLAY"]).read_text("utf-8"))
_SMS_URL = os.environ["SMS_HTTP_URL"]

_CONFIG = Config(
    connect_timeout=1,
    read_timeout=2,
    parameter_validation=False,
    retries={"total_max_attempts": 3, "mode": "standard"},
)
_dynamodb = botocore.session.get_session().create_client("dynamodb", config=_CONFIG)
_session = requests.Session()
# Neither proxies nor .netrc are looked for at each request.
_session.trust_env = False

# What was read stays for ever; without this each collection would walk it.
gc.freeze()


def handler(event: dict[str, Any], _: Any) -> dict[str, Any]:
    """Send what belongs to the event; any refusal or failure raises."""
    source = event["requestContext"]["identity"]["sourceIp"]
    replay = _REPLAY[f"{source} {event['path']}"]
    for operation, parameters in replay["calls"]:
        getattr(_dynamodb, operation)(**parameters)
    for headers, body in replay["posts"]:
        sent = _session.post(_SMS_URL, data=body.encode(), headers=headers, timeout=(1, 3))
        sent.raise_for_status()
    return {"statusCode": 200, "headers": {}, "body": '{"status": "ok"}'}
