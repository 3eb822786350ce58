"""Fixtures of all tests: tables on moto or DynamoDB Local, and a service with doubles around it."""

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
from typing import Any, cast

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
from argon2 import PasswordHasher as Argon2
from botocore.loaders import create_loader
from chalice.local import LocalChalice
from chalice.test import HTTPResponse
from moto import mock_aws

from app import app
from chalicelib import container, runtime
from chalicelib.security.password_hasher import PasswordHasher
from chalicelib.services.follower_check import FollowerCheck
from chalicelib.settings import load
from chalicelib.sms.gateway import Attempt, Outcome, Sms
from chalicelib.store.models import FirmItem, LoginItem
from chalicelib.telemetry import masking
from chalicelib.wechat.client import WechatClient
from tests.support import moto_tables
from tests.support.api_client import ApiClient

pytest_plugins = [
    "tests.support.canaries",
    "tests.support.desk",
    "tests.support.dynamodb_local",
    "tests.support.log_capture",
    "tests.support.moto_parsing",
    "tests.support.short_setups",
    "tests.support.official_account",
    "tests.support.ops_runner",
    "tests.support.receipt_cases",
    "tests.support.scripted_dynamodb",
    "tests.support.secrets_manager",
    "tests.support.serial_moto",
    "tests.support.process_tuning",
    "tests.support.wechat_platform",
    # Imports its double of the token store from the one before.
    "tests.support.local_wechat",
    "tests.support.oauth_browser",
    "tests.support.wechat_tokens",
    "tests.support.yearly_reset",
]

# Every world makes its own clients, each of which would parse AWS's description of DynamoDB again.
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


@pytest.fixture(autouse=True)
def _boto3_session_of_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep boto3's default session, which caches credentials and region, from other tests."""
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


@dataclass
class Clock:
    """A clock that the test moves; it returns epoch seconds."""

    time: int = 1_800_000_000

    def __call__(self) -> int:
        return self.time


@dataclass
class Phones:
    """An SMS gateway that keeps its messages; `outcomes` are used in order, then each is SENT."""

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


@dataclass
class Pauses:
    """The service's waiting, which ends at once; a test may replace `wait`."""

    wait: Callable[[float], object] = lambda _: None

    def __call__(self, seconds: float) -> None:
        self.wait(seconds)


class Following:
    """The answer of WeChat where a world has none: every openid without an event follows."""

    def is_following(self, openid: str, patience: float) -> bool:
        return True


@dataclass
class World:
    """A running service, its doubles, and the requests that tests send to it."""

    service: container.Service
    clock: Clock
    phones: Phones
    http: ApiClient
    pauses: Pauses = field(default_factory=Pauses)

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
        """Send one HTTP request; `openid` adds the cookie of that WeChat's browser."""
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
        """Begin a recovery of the login."""
        return self.call("POST", "/recovery", {"user_type": "firm", "login": login}, openid=openid)

    def token(self, login: str = "11010148", openid: str | None = "o-alice") -> str:
        """Begin a recovery and return its token."""
        answer = self.start(login, openid)
        assert answer.status_code == 201, answer.body
        return str(answer.json_body["token"])

    def send(self, token: str) -> HTTPResponse:
        """Request a code."""
        return self.call("POST", "/recovery/code", {}, token=token)

    def confirm(self, token: str, code: str, password: str = PASSWORD) -> HTTPResponse:
        """Set the password."""
        return self.call(
            "POST", "/recovery/password", {"code": code, "password": password}, token=token
        )

    def login_item(self, login: str = "11010148") -> LoginItem:
        """Return the login's stored item."""
        return LoginItem.get(login, consistent_read=True)


def add_firm(
    hasher: PasswordHasher,
    firm_no: str = "11010148",
    *,
    phone: str | None = PHONE,
    finance_phone: str | None = PHONE,
    openid: str | None = None,
) -> None:
    """Write a firm and its two logins into the tables."""
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
            starts_by={},
            must_change=login.endswith("_cw"),
        ).save()


@contextmanager
def store_calls() -> Iterator[list[str]]:
    """The operations that the service sends to DynamoDB until the block ends, in order."""
    sent: list[str] = []
    # pynamodb has no public access to its client, which all models share.
    events = LoginItem._get_connection().connection.client.meta.events

    def record(event_name: str, **_: object) -> None:
        sent.append(event_name.rpartition(".")[2])

    events.register("before-send.dynamodb", record)
    try:
        yield sent
    finally:
        events.unregister("before-send.dynamodb", record)


class CheapHasher(PasswordHasher):
    """The password hasher with the lowest cost of argon2, for tests of anything but the cost."""

    def __init__(self, peppers: dict[int, bytes]) -> None:
        super().__init__(peppers, memory_kib=8, passes=1)


def peppers(service: container.Service) -> dict[int, bytes]:
    """Return the service's peppers by version, the current one first."""
    return {version: secret.key() for version, secret in service.settings.code_pepper.items()}


def imported_hash(password: str) -> str:
    """Return a hash as an import stores it: without a pepper, so that a right password renews it."""
    return Argon2(time_cost=1, memory_cost=64, parallelism=1).hash(password)


Report = Callable[[str], None]


@pytest.fixture
def report(record_property: Callable[[str, object], None]) -> Report:
    """Print a line in the summary of the run, from whichever process the test runs in."""
    return lambda text: record_property("printed", text)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the lines of the fixture `report`."""
    reports = [report for group in terminalreporter.stats.values() for report in group]
    lines = [
        str(text)
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, text in report.user_properties
        if name == "printed"
    ]
    if lines:
        terminalreporter.section("printed by the tests")
    for line in sorted(lines):
        terminalreporter.write_line(line)


@pytest.fixture(autouse=True)
def no_hidden_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the secrets of other tests' settings, which would be masked in this test's log."""
    monkeypatch.setattr(masking, "_always", frozenset())


MakeWorld = Callable[..., World]


_IN_THE_CLOUD = "https://dynamodb.cn-north-1.amazonaws.com.cn"


def moto_client(service: str) -> Any:
    """Return a boto3 client for moto, cached by the access key of the environment."""
    return _moto_client(service, os.environ["AWS_ACCESS_KEY_ID"])


@functools.cache
def _moto_client(service: str, _: str) -> Any:
    address = _IN_THE_CLOUD.replace("dynamodb", service)
    return boto3.client(service, endpoint_url=address)  # type: ignore[call-overload]


@pytest.fixture
def make_world(monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeWorld]:
    """A factory of worlds on moto: `make_world(SETTING="…")`; each replaces the one before."""
    # The stack sets it for its functions, too; otherwise botocore resolves it for each world.
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", _IN_THE_CLOUD)
    with mock_aws():
        moto_tables.create(moto_client("dynamodb"), "recovery")
        with runtime.using(None):

            def make(**settings: str) -> World:
                # The clock stands still, so that waiting would change nothing.
                return _world(settings, Pauses())

            yield make


def _world(settings: dict[str, str], pauses: Pauses) -> World:
    clock, phones = Clock(), Phones()
    service = container.Service(
        load({**SETTINGS, **settings}),
        clock=clock,
        gateways={"console": phones},
        pause=pauses,
    )
    service.hasher = CheapHasher(peppers(service))
    if "WECHAT_API_URL" not in settings:
        service.follower_check = FollowerCheck(service.followers, cast(WechatClient, Following()))
    runtime.install(service)
    return World(service, clock, phones, ApiClient(), pauses)


@pytest.fixture
def make_real_world(dynamodb_local: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeWorld]:
    """A factory of worlds on Amazon's DynamoDB Local, each with its own tables."""
    # It imports boto3's clients, and so may be imported only after the environment was set.
    from tests.support.dynamodb_local import create_tables_without_ttl

    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", dynamodb_local)
    # Chalice has one current request for all threads; LocalChalice has one for each.
    monkeypatch.setattr(app, "__class__", LocalChalice)
    with runtime.using(None):

        def make(**settings: str) -> World:
            prefix = f"t{uuid.uuid4().hex[:8]}"
            create_tables_without_ttl(dynamodb_local, prefix)
            # Concurrent attempts end while the service waits, so that it must really wait.
            return _world({"TABLE_PREFIX": prefix, **settings}, Pauses(time.sleep))

        yield make


@pytest.fixture
def real_world(make_real_world: MakeWorld) -> World:
    """A world like `world`, on DynamoDB Local and safe for several threads."""
    world = make_real_world()
    add_firm(world.service.hasher)
    return world


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """A world with one firm, 11010148: a phone on both logins, no WeChat bound."""
    world = make_world()
    add_firm(world.service.hasher)
    return world
