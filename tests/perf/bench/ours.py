"""Our own service as it is deployed: the packaged zip under Lambda's own runtime client.

DynamoDB is Amazon's DynamoDB Local in a process of its own, the SMS gateway a server of this
process. The requests are events of API Gateway's proxy integration.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from chalicelib import container
from chalicelib import runtime as process
from chalicelib.handlers.http import cookies
from chalicelib.settings import load
from chalicelib.store.models import FirmItem, FollowerItem, LoginItem
from infra.deploy.tables import create_tables
from tests.conftest import SETTINGS
from tests.package import runtime
from tests.perf.bench import machine, packaging
from tests.perf.bench.machine import Cores, Watch
from tests.support import dynamodb_local, http_server

CHEAP = Path(__file__).parent / "cheap"
"""The service with hashes that cost nothing."""

MINIMAL = Path(__file__).parent / "minimal"
"""Functions that import nothing of this project."""

PASSWORD = "Correct-horse-7"
APPROVAL_NO, HEAD_NAME = "京财会许可〔2012〕0084号", "阿依古丽·买买提"

_FIRST = 31_000_000


@dataclass
class Place:
    """A function's surroundings: the store, the SMS gateway, and its settings."""

    dynamodb: str
    phones: http_server.Server
    environment: Mapping[str, str]
    cores: Cores
    service: container.Service

    def cookie(self, openid: str) -> str:
        """Return the cookie of a browser inside that person's WeChat."""
        return cookies.keep_visitor_openid(self.service, openid).partition(";")[0]

    def code(self) -> str:
        """Return the code of the last SMS."""
        return str(json.loads(self.phones.received[-1].body)["params"]["code"])


@contextmanager
def place(cores: Cores, **settings: str) -> Iterator[Place]:
    """Run a store with empty tables and an SMS gateway until the block ends."""
    with (
        dynamodb_local.serving(cores.others, heap_mib=2_048) as dynamodb,
        http_server.serving(lambda _: (200, b'{"id":"m1"}')) as phones,
        process.using(None),
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
        # For the clients of this process; the function's environment is given above.
        with machine.environment(AWS_ENDPOINT_URL_DYNAMODB=dynamodb):
            create_tables(boto3.client("dynamodb"), "recovery")
            service = container.Service(load(given))
            yield Place(dynamodb, phones, environment, cores, service)


def add_people(
    count: int, first: int = _FIRST, *, bound: bool = False, password_hash: str = "old"
) -> list[str]:
    """Store so many firms with a main login and a phone each; return the logins.

    Each has a WeChat that follows; its openid is `o-` and the login. With `bound` the login is bound to it.
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
                    starts_by={},
                )
            )
    with FollowerItem.batch_write() as followers:
        for login in logins:
            followers.save(FollowerItem(f"o-{login}", following=True, since=1_700_000_000))
    return logins


def named(login: str) -> dict[str, str]:
    """Return the body that begins a recovery."""
    return {"user_type": "firm", "login": login}


@dataclass
class Function:
    """The API's function, with the interface that `recovery` measures."""

    place: Place
    api: runtime.RuntimeApi
    logins: list[str]

    @property
    def pids(self) -> list[int]:
        """The function's process."""
        return [self.api.pid]

    def recover(self, number: int, watch: Watch) -> None:
        """Make one whole recovery of a login of its own, from its person's WeChat, which is bound."""
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
        """Send one request from the WeChat of the login's person; return the answer's JSON.

        Raises AssertionError where the answer is not a success.
        """
        # As many people, as many addresses: the limit on one address is not what is measured.
        number = int(login)
        source = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        cookie = self.place.cookie(f"o-{login}")
        event = runtime.api_event("POST", path, body, source=source, Cookie=cookie, **headers)
        answer = self.answer(watch, step, event)
        if answer["statusCode"] not in (200, 201, 202):
            raise AssertionError(f"{path}: {answer}")
        return dict(json.loads(answer["body"]))

    def answer(self, watch: Watch, step: str, event: dict[str, Any]) -> dict[str, Any]:
        """Return the function's answer to an event, timed as a step."""
        return dict(watch(step, lambda: self.api.invoke(event)))


def budget(people: int) -> dict[str, str]:
    """Return settings whose budget of the whole service a run of so many recoveries does not use up."""
    return {"LIMIT_SENDS_PER_SERVICE_HOUR": str(max(2_000, 4 * people))}


@contextmanager
def function(
    around: Place,
    handler: str = "app.app",
    *,
    beside: Path | None = None,
    variant: str = packaging.AS_BUILT,
    endpoint: str = "",
    **variables: str,
) -> Iterator[runtime.RuntimeApi]:
    """Run a function of the package until the block ends; modules of `beside` go before its own.

    `variant` is the package's, of `packaging.VARIANTS`; `endpoint` is DynamoDB's, if not the place's; `variables` are more of the environment.
    """
    folder = packaging.unpacked(variant)
    paths = [folder / "task", folder / "runtime", *packaging.missing_libraries(folder)]
    given = {
        **around.environment,
        "PYTHONPATH": ":".join(map(str, [beside, *paths] if beside else paths)),
        **({"AWS_ENDPOINT_URL_DYNAMODB": endpoint} if endpoint else {}),
        **variables,
    }
    with runtime.running(folder, handler, given, around.cores.server) as api:
        yield api


@contextmanager
def serving(around: Place, people: int, *, cheap_hashes: bool) -> Iterator[Function]:
    """Run the API's function with so many people: with the hashes of a deployment, or cheap ones."""
    logins = add_people(people)
    handler, beside = ("cheap_app.app", CHEAP) if cheap_hashes else ("app.app", None)
    with function(around, handler, beside=beside) as api:
        yield Function(around, api, logins)
