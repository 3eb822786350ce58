"""Our own service as it is deployed: the packaged zip under Lambda's own runtime client.

DynamoDB is Amazon's DynamoDB Local in a process of its own, the phone network a loopback server in
this one. The requests are events of API Gateway's proxy integration.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from chalicelib import wiring
from chalicelib.doors import cookies
from chalicelib.settings import load
from chalicelib.store.models import FirmItem, LoginItem
from infra.tables import create_tables
from tests import dynamodb_local, loopback
from tests.bench import figures, machine
from tests.bench.machine import Cores
from tests.conftest import SETTINGS
from tests.package import built, runtime

CACHE = built.ROOT / ".cache" / "bench"

STEPS = ("start", "code", "password")
PASSWORD = "Correct-horse-7"

_FIRST = 31_000_000
_WARM_UP = 10


def unpacked(*, compiled: bool = True) -> Path:
    """The package of today's sources, unpacked once, with byte code beside its Python or without."""
    package = built.folder() / "deployment.zip"
    digest = hashlib.sha256(package.read_bytes()).hexdigest()[:16]
    folder = CACHE / f"lambda-{'compiled' if compiled else 'plain'}-{digest}"
    if folder.exists():
        return folder
    for old in CACHE.glob(f"lambda-{'compiled' if compiled else 'plain'}-*"):
        shutil.rmtree(old)
    folder.mkdir(parents=True)
    runtime.unpack(package, folder)
    # The runtime client is AWS's, and lies ready in Lambda with its byte code.
    parts = ["task", "runtime"] if compiled else ["runtime"]
    subprocess.run(
        [sys.executable, "-m", "compileall", "-q", "-j", "0", *parts],
        cwd=folder,
        check=True,
        timeout=300,
    )
    return folder


def request(
    method: str, path: str, body: Any = None, *, source: str = "203.0.113.7", **headers: str
) -> dict[str, Any]:
    """An event of API Gateway's REST proxy integration, with the headers that a browser sends."""
    given = {
        "Accept": "*/*",
        "Accept-Encoding": "gzip, deflate, br",
        "Accept-Language": "zh-CN,zh;q=0.9",
        "Content-Type": "application/json",
        "Host": "recovery.example",
        "Origin": "https://recovery.example",
        "User-Agent": "Mozilla/5.0 (Linux; Android 14) MicroMessenger/8.0.49",
        "X-Amzn-Trace-Id": "Root=1-67891233-abcdef012345678912345678",
        "X-Forwarded-For": source,
        "X-Forwarded-Port": "443",
        "X-Forwarded-Proto": "https",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return {
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": given,
        "multiValueHeaders": {name: [value] for name, value in given.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {
            "resourcePath": path,
            "httpMethod": method,
            "path": f"/prod{path}",
            "stage": "prod",
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "identity": {"sourceIp": source, "userAgent": given["User-Agent"]},
        },
        "body": None if body is None else json.dumps(body),
        "isBase64Encoded": False,
    }


@dataclass
class Place:
    """What a function finds around it: the store, the phone network, and its settings."""

    dynamodb: str
    phones: loopback.Server
    environment: Mapping[str, str]
    cores: Cores
    service: wiring.Service

    def cookie(self, openid: str) -> str:
        """The cookie of a browser inside that person's WeChat."""
        return cookies.keep_visitor(self.service, openid).partition(";")[0]

    def code(self) -> str:
        """The code of the last SMS."""
        return str(json.loads(self.phones.received[-1].body)["params"]["code"])


@contextmanager
def place(cores: Cores, **settings: str) -> Iterator[Place]:
    """A store with empty tables and a phone network, until the block ends."""
    with (
        dynamodb_local.serving(cores.others, heap_mib=2_048) as dynamodb,
        loopback.serving(lambda _: (200, b'{"id":"m1"}')) as phones,
        wiring.using(None),
    ):
        given = {
            **SETTINGS,
            "SMS_GATEWAYS": "http",
            "SMS_HTTP_URL": phones.url,
            "SMS_HTTP_SECRET": "h" * 32,
            **settings,
        }
        environment = {
            **given,
            "AWS_ENDPOINT_URL_DYNAMODB": dynamodb,
            "AWS_REGION": "cn-north-1",
            "AWS_DEFAULT_REGION": "cn-north-1",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        with machine.environment(AWS_ENDPOINT_URL_DYNAMODB=dynamodb):
            create_tables(boto3.client("dynamodb"), "recovery")
            service = wiring.Service(load(given))
            yield Place(dynamodb, phones, environment, cores, service)


def add_people(count: int, first: int = _FIRST) -> list[str]:
    """So many firms with a main login each, which has a phone of its own and no WeChat; the logins."""
    logins = [f"{number}" for number in range(first, first + count)]
    with FirmItem.batch_write() as firms, LoginItem.batch_write() as batch:
        for login in logins:
            firms.save(
                FirmItem(
                    login,
                    name="示例会计师事务所",
                    province="11",
                    approval_no="京财会许可〔2012〕0084号",
                    head_name="阿依古丽·买买提",
                    head_id_last4="123X",
                )
            )
            batch.save(
                LoginItem(
                    login,
                    firm_no=login,
                    province="11",
                    head_id_last4="123X",
                    phone=f"+86138{login}",
                    password_hash="old",
                    password_version=1,
                    changed_at=1_700_000_000,
                )
            )
    return logins


def recover(place: Place, api: runtime.RuntimeApi, login: str) -> list[float]:
    """One whole recovery; the wall milliseconds of its three steps."""
    # As many people, as many addresses: the limit on one address is not what is measured.
    source = f"10.{int(login) >> 16 & 255}.{int(login) >> 8 & 255}.{int(login) & 255}"
    cookie = place.cookie(f"o-{login}")
    took, started = _timed(
        api,
        request(
            "POST",
            "/recovery",
            {"user_type": "firm", "login": login},
            source=source,
            Cookie=cookie,
        ),
        201,
    )
    taken = [took]
    bearer = f"Bearer {started['token']}"
    took, _ = _timed(
        api,
        request("POST", "/recovery/code", {}, source=source, Cookie=cookie, Authorization=bearer),
        202,
    )
    taken.append(took)
    took, done = _timed(
        api,
        request(
            "POST",
            "/recovery/password",
            {"code": place.code(), "password": PASSWORD},
            source=source,
            Cookie=cookie,
            Authorization=bearer,
        ),
        200,
    )
    if done["wechat_bound"] is not True:
        raise AssertionError(f"the recovery did not bind: {done}")
    return [*taken, took]


def _timed(api: runtime.RuntimeApi, event: Any, status: int) -> tuple[float, dict[str, Any]]:
    began = time.perf_counter()
    answer = api.invoke(event)
    took = (time.perf_counter() - began) * 1000
    if answer["statusCode"] != status:
        raise AssertionError(f"{event['path']}: {answer}")
    return took, json.loads(answer["body"])


def measure(cores: Cores, rounds: int) -> dict[str, Any]:
    """CPU of the server by whole recovery, wall time by step, memory."""
    settings = {"LIMIT_SENDS_PER_SERVICE_HOUR": str(max(2_000, 4 * rounds))}
    with place(cores, **settings) as around:
        logins = add_people(rounds + _WARM_UP)
        with runtime.running(unpacked(), "app.app", around.environment, cores.server) as api:
            for login in logins[:_WARM_UP]:
                recover(around, api, login)
            hashes = [machine.hash_cpu_ms(cores)]
            idle = machine.memory_mib(api.pid)
            before = machine.cpu_ms(api.pid)
            taken = [recover(around, api, login) for login in logins[_WARM_UP:]]
            spent = (machine.cpu_ms(api.pid) - before) / rounds
            memory = machine.memory_mib(api.pid)
            hashes.append(machine.hash_cpu_ms(cores))
    hashing = sum(hashes) / len(hashes)
    return {
        "recoveries": rounds,
        "cpu_ms": round(spent, 2),
        "hash_cpu_ms": round(hashing, 2),
        "cpu_ms_without_hash": round(spent - hashing, 2),
        "steps": {
            step: figures.spread([row[number] for row in taken])
            for number, step in enumerate(STEPS)
        },
        "sms": len(around.phones.received) / len(logins),
        "rss_mib_after_warm_up": idle["rss_mib"],
        **memory,
    }
