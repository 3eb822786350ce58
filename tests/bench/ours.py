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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from chalicelib import wiring
from chalicelib.doors import cookies
from chalicelib.settings import load
from chalicelib.store.models import FirmItem, FollowerItem, LoginItem
from infra.tables import create_tables
from tests import dynamodb_local, loopback
from tests.bench import machine
from tests.bench.machine import Cores, Watch
from tests.conftest import SETTINGS
from tests.package import built, runtime

CACHE = built.ROOT / ".cache" / "bench"

CHEAP = Path(__file__).parent / "cheap"

PASSWORD = "Correct-horse-7"
APPROVAL_NO, HEAD_NAME = "京财会许可〔2012〕0084号", "阿依古丽·买买提"

_FIRST = 31_000_000


def unpacked(*, compiled: bool = True) -> Path:
    """The package of today's sources, unpacked once; without its byte code, to tell what that saves."""
    package = built.folder() / "deployment.zip"
    digest = hashlib.sha256(package.read_bytes()).hexdigest()[:16]
    folder = CACHE / f"lambda-{'compiled' if compiled else 'plain'}-{digest}"
    if folder.exists():
        return folder
    for old in CACHE.glob(f"lambda-{'compiled' if compiled else 'plain'}-*"):
        shutil.rmtree(old)
    folder.mkdir(parents=True)
    runtime.unpack(package, folder)
    if not compiled:
        for cache in list((folder / "task").rglob("__pycache__")):
            shutil.rmtree(cache)
    # The runtime client is AWS's, and lies ready in Lambda with its byte code.
    subprocess.run(
        [sys.executable, "-m", "compileall", "-q", "-j", "0", "runtime"],
        cwd=folder,
        check=True,
        timeout=300,
    )
    return folder


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
        # The lambda's own are told; what this process asks of AWS goes there as well.
        with machine.environment(AWS_ENDPOINT_URL_DYNAMODB=dynamodb):
            create_tables(boto3.client("dynamodb"), "recovery")
            service = wiring.Service(load(given))
            yield Place(dynamodb, phones, environment, cores, service)


def add_people(
    count: int, first: int = _FIRST, *, bound: bool = False, password_hash: str = "old"
) -> list[str]:
    """So many firms with a main login each, which has a phone of its own; the logins.

    Where `bound`, each has a WeChat too, which follows; the openid is `o-` and the login.
    """
    logins = [f"{number}" for number in range(first, first + count)]
    with FirmItem.batch_write() as firms, LoginItem.batch_write() as batch:
        for login in logins:
            firms.save(
                FirmItem(
                    login,
                    name="示例会计师事务所",
                    province="11",
                    approval_no=APPROVAL_NO,
                    head_name=HEAD_NAME,
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
                    openid=f"o-{login}" if bound else None,
                    password_hash=password_hash,
                    password_version=1,
                    changed_at=1_700_000_000,
                )
            )
    if bound:
        with FollowerItem.batch_write() as followers:
            for login in logins:
                followers.save(FollowerItem(f"o-{login}", following=True, since=1_700_000_000))
    return logins


def named(login: str) -> dict[str, str]:
    """The body that begins a recovery."""
    return {"user_type": "firm", "login": login}


@dataclass
class Function:
    """The API's function, as `recovery` takes what it measures."""

    place: Place
    api: runtime.RuntimeApi
    logins: list[str]

    @property
    def pids(self) -> list[int]:
        return [self.api.pid]

    def recover(self, number: int, watch: Watch) -> None:
        """One whole recovery of a login of its own, from its person's WeChat, which it binds."""
        login = self.logins[number]
        started = self.post(watch, "request", "/recovery", login, named(login))
        bearer = f"Bearer {started['token']}"
        self.post(watch, "code", "/recovery/code", login, {}, Authorization=bearer)
        self.post(
            watch,
            "password",
            "/recovery/password",
            login,
            {"code": self.place.code(), "password": PASSWORD},
            Authorization=bearer,
        )

    def post(
        self, watch: Watch, step: str, path: str, login: str, body: dict[str, str], **headers: str
    ) -> dict[str, Any]:
        """One request from the WeChat of the login's person; the answer. Raises AssertionError."""
        # As many people, as many addresses: the limit on one address is not what is measured.
        number = int(login)
        source = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        cookie = self.place.cookie(f"o-{login}")
        event = runtime.api_event("POST", path, body, source=source, Cookie=cookie, **headers)
        answer = watch(step, lambda: self.api.invoke(event))
        if answer["statusCode"] not in (200, 201, 202):
            raise AssertionError(f"{path}: {answer}")
        return dict(json.loads(answer["body"]))


@contextmanager
def serving(cores: Cores, people: int) -> Iterator[Function]:
    """The API's function with so many people and hashes that cost nothing, until the block ends."""
    # The budget of the whole service grows with the run, so that a long one does not use it up.
    settings = {"LIMIT_SENDS_PER_SERVICE_HOUR": str(max(2_000, 2 * people))}
    with place(cores, **settings) as around:
        logins = add_people(people)
        folder = unpacked()
        paths = [str(CHEAP), str(folder / "task"), str(folder / "runtime")]
        told = {**around.environment, "PYTHONPATH": ":".join(paths)}
        with runtime.running(folder, "cheap_app.app", told, cores.server) as api:
            yield Function(around, api, logins)
