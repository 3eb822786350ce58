"""A person who goes through a use case while a call fails, and the assertions that hold then."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import altcha
from chalice.test import HTTPResponse
from pynamodb.models import Model

from chalicelib.domain.catalogue import MENU_CODE
from chalicelib.domain.limits import DAY, MINUTE
from chalicelib.handlers.http.problems import STATUSES
from chalicelib.store.ephemeral_models import CodeItem
from chalicelib.store.models import AuditItem, LoginItem
from tests.conftest import PASSWORD, World, add_firm
from tests.fault_injection.sweep import Point
from tests.support.http_server import Server
from tests.support.moto_direct import backend
from tests.support.official_account import Phone, WechatWorld, code_in

OPENING = "Opening-password-1"
STATUS_OF = {error.code: status for error, status in STATUSES.items()}
DETAILS = {"approval_no": "京财会许可〔2012〕0084号", "head_name": "阿依古丽·买买提"}


M = TypeVar("M", bound=Model)


def tables() -> dict[str, Any]:
    """Return moto's tables by name; reading them takes a hundredth of the time of a call."""
    return dict(backend().tables)


def stored(model: type[M]) -> list[M]:
    """Return all items of the model's table."""
    items = tables()[model.Meta.table_name].all_items()
    return [model.from_raw_data(item.to_json()["Attributes"]) for item in items]


class Network(Protocol):
    """What delivers SMS to phones, whichever gateway hands them over."""

    @property
    def accepted(self) -> list[dict[str, Any]]:
        """The messages that it accepted, oldest first."""


@dataclass
class HttpNetwork:
    """The phone network behind the gateway `http`."""

    server: Server
    status: list[int]
    """The status of its answers, as the only entry."""

    @property
    def accepted(self) -> list[dict[str, Any]]:
        """The messages that it accepted, oldest first."""
        if self.status != [200]:
            return []
        return [json.loads(request.body) for request in self.server.received]


class MovingClock:
    """A pause that moves the world's clock instead of waiting, in tenths of a second."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._tenths = 0

    def __call__(self, seconds: float) -> None:
        self._tenths += round(seconds * 10)
        self._world.clock.time += self._tenths // 10
        self._tenths %= 10


@dataclass
class Place:
    """A service with WeChat and a phone network, where each point of a sweep has a new person."""

    wechat_world: WechatWorld
    network: Network
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(20_000_000))

    @property
    def world(self) -> World:
        return self.wechat_world.world

    def empty(self) -> None:
        """Empty the tables, and let a day pass, which ends everything that the process keeps."""
        self.world.clock.time += DAY
        # moto copies all items at each transaction.
        for table in tables().values():
            table.items.clear()

    def person(self, point: Point, *, bound: bool = False, follows: bool = True) -> Person:
        """Add a firm and a person with its phone; with `bound` their WeChat is bound already."""
        number = next(self._numbers)
        self.empty()
        phone = self.wechat_world.phone(f"o-{number}")
        if follows:
            phone.follow()
        person = Person(self, point, f"{number}", f"+86138{number:08d}", phone)
        add_firm(
            self.world.service.hasher,
            person.login,
            phone=person.number,
            finance_phone=None,
            openid=phone.openid if bound else None,
        )
        return person


@dataclass
class Person:
    """A person with a firm's main login, who repeats each step until it succeeds."""

    place: Place
    point: Point
    login: str
    number: str
    phone: Phone
    errors: dict[str, int] = field(default_factory=dict)
    """How often each step was answered by an error of the service."""

    @property
    def world(self) -> World:
        return self.place.world

    @property
    def texts(self) -> list[dict[str, Any]]:
        """The SMS on their phone, oldest first."""
        by_console = [
            {"to": sms.to, "template": sms.template, "params": dict(sms.params)}
            for sms in self.world.phones.sent
        ]
        return [
            text for text in self.place.network.accepted + by_console if text["to"] == self.number
        ]

    @property
    def sms_codes(self) -> list[str]:
        """The codes of the SMS."""
        return [text["params"]["code"] for text in self.texts if text["template"] == "code"]

    @property
    def pushed_codes(self) -> list[str]:
        """The codes of the template messages."""
        return [code_in(text) for text in self._cards if "分钟内有效" in text]

    @property
    def notices(self) -> list[str]:
        """The notices received, by SMS and by WeChat."""
        texts = [text["template"] for text in self.texts if text["template"] != "code"]
        cards = [text.splitlines()[0] for text in self._cards if "分钟内有效" not in text]
        return texts + cards

    @property
    def _cards(self) -> list[str]:
        entries = self.place.wechat_world.wechat.account.chat(self.phone.openid)
        return [
            "\n".join(value for _, value in entry.fields)
            for entry in entries
            if entry.kind == "card"
        ]

    def insist(self, step: str, call: Callable[[], HTTPResponse], most: int = 1) -> HTTPResponse:
        """Do a step, and repeat it after an error of the service, at most `most` times.

        Return the first answer that is no such error. Each error must be a complete problem. The
        point is armed for these calls only.
        """
        self.point.step = step
        while True:
            before = self._digest()
            with self.point:
                answer = call()
            if answer.status_code < 400:
                return answer
            body = answer.json_body
            assert answer.headers["Content-Type"].startswith("application/problem+json")
            assert answer.status_code == body["status"] == STATUS_OF[body["code"]]
            assert body["title"], body["detail"]
            if body["code"] not in ("unavailable", "delivery-failed"):
                return answer
            assert self.point.failed(step), "an error without a failed call"
            self.errors[step] = self.errors.get(step, 0) + 1
            assert self.errors[step] <= most, answer.body
            self.is_consistent()
            # The code that was sent before, or none: never one that was not sent.
            assert self._digest() in (None, before), "a code is left after an error"

    def done(
        self, step: str, call: Callable[[], HTTPResponse], status: int = 200, most: int = 1
    ) -> dict[str, Any]:
        """Do a step as `insist`, assert the final status, and return the body."""
        answer = self.insist(step, call, most)
        assert answer.status_code == status, answer.body
        return dict(answer.json_body)

    def begin(self, *, in_wechat: bool = True) -> dict[str, Any]:
        """Begin a recovery, with a new proof of work for each attempt."""

        def start() -> HTTPResponse:
            body = {"user_type": "firm", "login": self.login, "proof": self._proof()}
            openid = self.phone.openid if in_wechat else None
            return self.world.call("POST", "/recovery", body, openid=openid)

        return self.done("start", start, 201)

    def _proof(self) -> str:
        challenge = self.world.call("GET", "/proof").json_body
        solution = altcha.solve_challenge(altcha.Challenge.from_dict(challenge))
        assert solution is not None
        solved = {"counter": solution.counter, "derivedKey": solution.derived_key}
        payload = json.dumps({"challenge": challenge, "solution": solved})
        return base64.b64encode(payload.encode()).decode()

    def request_code(self, token: str, step: str, most: int = 1) -> dict[str, Any]:
        """Request a code, then let a minute pass."""
        answer = self.done(step, lambda: self.world.send(token), 202, most)
        self.world.clock.time += MINUTE
        return answer

    def code(self) -> CodeItem | None:
        """Return the login's code item."""
        return next((item for item in stored(CodeItem) if item.id == f"code#{self.login}"), None)

    def _digest(self) -> str | None:
        code = self.code()
        return None if code is None else code.digest or None

    def confirm(self, token: str, step: str, code: str, password: str = PASSWORD) -> HTTPResponse:
        """Set the password."""
        return self.insist(step, lambda: self.world.confirm(token, code, password))

    def tap(self) -> str:
        """Tap the menu item 获取验证码 and return the code in the reply."""
        return code_in(self.phone.tap(MENU_CODE))

    def item(self) -> LoginItem:
        (item,) = (item for item in stored(LoginItem) if item.login == self.login)
        return item

    def has_code(self) -> bool:
        """Return whether the login has a code."""
        return self._digest() is not None

    def counted(self) -> int:
        """Return the number of sends that count against the login."""
        code = self.code()
        return 0 if code is None else len(code.sends or ())

    def events(self, name: str) -> list[AuditItem]:
        """Return the login's audit events of this name."""
        return [
            item for item in stored(AuditItem) if (item.login, item.event) == (self.login, name)
        ]

    def right(self, password: str) -> bool:
        """Return whether the login page accepts this password."""
        body = {"login": self.login, "password": password}
        answer = self.world.call("POST", "/credentials/verify", body)
        assert answer.status_code == 200, answer.body
        return bool(answer.json_body["valid"])

    def is_consistent(self, new: str = PASSWORD) -> bool:
        """Assert that every stored attribute belongs to the old password, or every one to the new.

        Return whether it is the new one.
        """
        item = self.item()
        hasher = self.world.service.hasher
        is_new = hasher.verify(item.password_hash, new)
        assert is_new is not hasher.verify(item.password_hash, OPENING)
        assert int(item.password_version) == 1 + is_new
        assert (item.recovered_at is not None) is is_new
        assert len(self.events("password-recovered")) == is_new
        assert not (is_new and self.has_code())
        return is_new

    def has_recovered(self, token: str, code: str) -> None:
        """Assert that the new password and the binding are stored and the code is used up."""
        assert self.is_consistent()
        assert self.item().openid == self.phone.openid
        answer = self.world.confirm(token, code, "Another-horse-8")
        assert (answer.status_code, answer.json_body["code"]) == (410, "code-expired")
        assert self.right(PASSWORD)

    def sends_are_recorded(self, sent: int) -> None:
        """Assert that the audit has `sent` sends besides those marked as failed.

        Only sends that went out, or may have, count against the login.
        """
        outcomes = [item.outcome for item in self.events("code-sent")]
        assert len(outcomes) - outcomes.count("failed") == sent == self.counted()
        assert outcomes.count("failed") <= sum(self.errors.values())


MakePlace = Callable[..., Place]
