"""What tests stand on: tables on moto, a service with a clock and a phone of the test's own."""

from __future__ import annotations

import functools
import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

# Before anything of AWS is imported: no test may reach a real account.
os.environ.update(
    AWS_ACCESS_KEY_ID="testing",
    AWS_SECRET_ACCESS_KEY="testing",
    AWS_DEFAULT_REGION="cn-north-1",
    AWS_REGION="cn-north-1",
    AWS_EC2_METADATA_DISABLED="true",
)

import boto3
import botocore.session
import hypothesis
import pytest
from botocore.loaders import create_loader
from chalice.config import Config
from chalice.local import LocalChalice
from chalice.test import HTTPResponse, TestHTTPClient
from moto import mock_aws

from app import app
from chalicelib import container, runtime
from chalicelib.security.password_hasher import PasswordHasher
from chalicelib.settings import load
from chalicelib.sms.gateway import Attempt, Outcome, Sms
from chalicelib.store.models import FirmItem, LoginItem
from chalicelib.telemetry import masking
from infra.deploy.tables import create_tables
from tests.support.dynamodb_local import create_tables_without_ttl, dynamodb_local  # noqa: F401

pytest_plugins = [
    "tests.support.coverage_scope",
    "tests.support.log_capture",
    "tests.support.official_account",
    "tests.support.ops_runner",
    "tests.support.receipt_cases",
    "tests.support.serial_moto",
    "tests.support.wechat_platform",
    # Imports its double of the token store from the one before.
    "tests.support.local_wechat",
    "tests.support.wechat_tokens",
    "tests.support.yearly_reset",
]

# Every world makes clients of its own, and each would find and parse AWS's description of DynamoDB
# anew.
botocore.session.create_loader = functools.cache(create_loader)

# A deadline would measure how busy the machine is, not what the code does.
hypothesis.settings.register_profile(
    "suite", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("suite")

SETTINGS = {
    "SITE_URL": "https://recovery.example",
    "SIGNING_KEYS": "s" * 32,
    "CODE_PEPPER": "p" * 32,
    "WECHAT_APP_ID": "wx0123456789abcdef",
    "WECHAT_APP_SECRET": "w" * 32,
    "WECHAT_TOKEN": "callbacktoken",
    "WECHAT_AES_KEY": "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
    "WECHAT_API_URL": "http://127.0.0.1:9",
    "SMS_GATEWAYS": "console",
    "PROOF_OF_WORK": "0",
}

PHONE = "+8613800001234"
PASSWORD = "Correct-horse-7"


@dataclass
class Clock:
    """A clock that stands until the test moves it."""

    time: int = 1_800_000_000

    def __call__(self) -> int:
        return self.time


@dataclass
class Phones:
    """A gateway that keeps what it is given; `outcomes` are used up in order, then all is sent."""

    name: str = "console"
    sent: list[Sms] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def send(self, sms: Sms) -> Attempt:
        with self._lock:
            self.sent.append(sms)
            outcome = self.outcomes.pop(0) if self.outcomes else Outcome.SENT
        return Attempt(self.name, outcome, message_id=f"m{len(self.sent)}")

    @property
    def codes(self) -> list[str]:
        """The codes sent so far, oldest first."""
        return [sms.params["code"] for sms in self.sent if sms.template == "code"]


class Door(TestHTTPClient):
    """Chalice's test client, fit for several threads.

    Chalice's own puts a copy in the place of os.environ for each request; two at once leave one of
    the copies there for good, with whatever a test had set in it.
    """

    __test__ = False

    def __init__(self) -> None:
        super().__init__(app, Config.create(chalice_app=app))

    @contextmanager
    def _patched_env_vars(self, environment_variables: dict[str, str]) -> Iterator[None]:
        yield


@dataclass
class World:
    """A running service and the hands that a test needs around it."""

    service: container.Service
    clock: Clock
    phones: Phones
    http: Door

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        openid: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> HTTPResponse:
        """One HTTP call; `openid` makes it come from inside that WeChat."""
        sent = {"Content-Type": "application/json"} if body is not None else {}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        if openid is not None:
            from chalicelib.handlers.http import cookies

            sent["Cookie"] = cookies.keep_visitor_openid(self.service, openid).partition(";")[0]
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.http.request(
            method, path, headers={**sent, **(headers or {})}, body=b"" if body is None else raw
        )

    def start(self, login: str = "11010148", openid: str | None = "o-alice") -> HTTPResponse:
        """Name the login."""
        return self.call("POST", "/recovery", {"user_type": "firm", "login": login}, openid=openid)

    def token(self, login: str = "11010148", openid: str | None = "o-alice") -> str:
        """The token of a new recovery."""
        answer = self.start(login, openid)
        assert answer.status_code == 201, answer.body
        return str(answer.json_body["token"])

    def send(self, token: str) -> HTTPResponse:
        """Ask for a code."""
        return self.call("POST", "/recovery/code", {}, token=token)

    def confirm(self, token: str, code: str, password: str = PASSWORD) -> HTTPResponse:
        """Set the password."""
        return self.call(
            "POST", "/recovery/password", {"code": code, "password": password}, token=token
        )

    def login_item(self, login: str = "11010148") -> LoginItem:
        """The login as it is stored."""
        return LoginItem.get(login, consistent_read=True)


def add_firm(
    hasher: PasswordHasher,
    firm_no: str = "11010148",
    *,
    phone: str | None = PHONE,
    finance_phone: str | None = PHONE,
    openid: str | None = None,
) -> None:
    """Put a firm with its two logins straight into the tables."""
    FirmItem(
        firm_no,
        name="示例会计师事务所",
        province="11",
        approval_no="京财会许可〔2012〕0084号",
        head_name="阿依古丽·买买提",
        head_id_last4="123X",
    ).save()
    for login, number in ((firm_no, phone), (f"{firm_no}_cw", finance_phone)):
        LoginItem(
            login,
            firm_no=firm_no,
            province="11",
            head_id_last4="123X",
            phone=number,
            openid=openid,
            password_hash=hasher.hash("Opening-password-1"),
            password_version=1,
            changed_at=1_700_000_000,
            must_change=login.endswith("_cw"),
        ).save()


@contextmanager
def store_calls() -> Iterator[list[str]]:
    """The operations that the service sends to DynamoDB while the block runs, in order."""
    sent: list[str] = []
    events = LoginItem._get_connection().connection.client.meta.events

    def note(event_name: str, **_: object) -> None:
        sent.append(event_name.rpartition(".")[2])

    events.register("before-send.dynamodb", note)
    try:
        yield sent
    finally:
        events.unregister("before-send.dynamodb", note)


class CheapHasher(PasswordHasher):
    """argon2 with the least cost, where the cost is not what is tested."""

    def __init__(self, peppers: dict[int, bytes]) -> None:
        super().__init__(peppers, memory_kib=8, passes=1)


Tell = Callable[[str], None]


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Tell:
    """Says something at the end of the run, in whichever of its processes the test was."""
    return lambda text: record_property("told", text)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests told."""
    reports = [report for group in terminalreporter.stats.values() for report in group]
    told = [
        str(text)
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, text in report.user_properties
        if name == "told"
    ]
    if told:
        terminalreporter.section("told by the tests")
    for text in sorted(told):
        terminalreporter.write_line(text)


@pytest.fixture(autouse=True)
def nothing_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test's settings keep secret is a word like any other to the next test's log."""
    monkeypatch.setattr(masking, "_always", frozenset())


MakeWorld = Callable[..., World]


_IN_THE_CLOUD = "https://dynamodb.cn-north-1.amazonaws.com.cn"


def moto_client(service: str) -> Any:
    """A client for moto with the keys of now; which mock it was made in makes no difference."""
    return _moto_client(service, os.environ["AWS_ACCESS_KEY_ID"])


@functools.cache
def _moto_client(service: str, _: str) -> Any:
    address = _IN_THE_CLOUD.replace("dynamodb", service)
    return boto3.client(service, endpoint_url=address)  # type: ignore[call-overload]


@pytest.fixture
def make_world(monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeWorld]:
    """Builds worlds on moto: `make_world(SETTING="…")`; each replaces the one before."""
    # As the stack tells its functions; otherwise each world would have botocore work it out.
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", _IN_THE_CLOUD)
    with mock_aws():
        create_tables(moto_client("dynamodb"), "recovery")
        with runtime.using(None):

            def make(**settings: str) -> World:
                return _world(settings)

            yield make


def _world(
    settings: dict[str, str],
    # The clock stands, so that waiting changes nothing.
    pause: Callable[[float], None] = lambda _: None,
) -> World:
    clock, phones = Clock(), Phones()
    service = container.Service(
        load({**SETTINGS, **settings}),
        clock=clock,
        gateways={"console": phones},
        pause=pause,
    )
    service.__dict__["hasher"] = CheapHasher(service._peppers)
    runtime.install(service)
    return World(service, clock, phones, Door())


@pytest.fixture
def make_real_world(
    dynamodb_local: str,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[MakeWorld]:
    """Builds worlds on Amazon's own DynamoDB Local, each with tables of its own."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", dynamodb_local)
    # Requests of several threads must not share Chalice's one current request.
    monkeypatch.setattr(app, "__class__", LocalChalice)
    with runtime.using(None):

        def make(**settings: str) -> World:
            prefix = f"t{uuid.uuid4().hex[:8]}"
            create_tables_without_ttl(dynamodb_local, prefix)
            # Others at work end meanwhile: here waiting is for real.
            return _world({"TABLE_PREFIX": prefix, **settings}, time.sleep)

        yield make


@pytest.fixture
def real_world(make_real_world: MakeWorld) -> World:
    """The world of `world`, on DynamoDB Local and fit for several threads."""
    world = make_real_world()
    add_firm(world.service.hasher)
    return world


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """A service with one firm: 11010148, a phone on both logins, no WeChat bound."""
    world = make_world()
    add_firm(world.service.hasher)
    return world
