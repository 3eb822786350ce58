"""What the machine drives: a service on moto with five logins, and cheap doubles around it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import boto3
from moto import mock_aws
from moto.backends import get_backend

from chalicelib import container, runtime
from chalicelib.domain.catalogue import NOTICE_TITLES
from chalicelib.domain.limits import DAY, HOUR, MINUTE
from chalicelib.security.proof_of_work import Proof
from chalicelib.services import code_sender, service_budgets
from chalicelib.services.rate_limits import StartLimiter
from chalicelib.store import logins as store_logins
from chalicelib.store import requester_times
from chalicelib.store.budgets import Budget
from chalicelib.store.models import FirmItem, LoginItem
from chalicelib.wechat.template_results import TemplateOutcome, TemplateResult
from infra.deploy.tables import create_tables
from tests.stateful.model import Model
from tests.stateful.rules import Login, Requester, Rules
from tests.support import moto_direct, yearly_reset
from tests.support.api_client import AddressedClient
from tests.support.callbacks import Signed, post, said, signed
from tests.support.yearly_reset import MIDNIGHT, ResetWorld

# Low, so that a run of fifty steps reaches each of them; the code that applies them is the same.
LIMITS = {
    "PROOF_OF_WORK": "1",
    "LIMIT_ADDRESS_FACTOR": "2",
    "LIMIT_STARTS_PER_LOGIN_HOUR": "6",
    "LIMIT_STARTS_PER_REQUESTER_LOGIN_HOUR": "5",
    "LIMIT_STARTS_PER_ADDRESS_HOUR": "12",
    "LIMIT_LOGINS_PER_REQUESTER_DAY": "3",
    "LIMIT_SENDS_PER_DESTINATION_MINUTE": "1",
    "LIMIT_SENDS_PER_DESTINATION_HOUR": "2",
    "LIMIT_SENDS_PER_DESTINATION_DAY": "4",
    "LIMIT_SENDS_PER_LOGIN_DAY": "3",
    "LIMIT_SENDS_PER_REQUESTER_DAY": "5",
    "LIMIT_SENDS_PER_SERVICE_HOUR": "8",
    "LIMIT_SENDS_HARD_FACTOR": "2",
    "LIMIT_TRIES_PER_CODE": "3",
    "LIMIT_WRONG_CODES_PER_REQUESTER_LOGIN_DAY": "4",
    "LIMIT_WRONG_CODES_PER_REQUESTER_DAY": "5",
    "LIMIT_WRONG_CODES_PER_LOGIN_DAY": "8",
    "LIMIT_WRONG_CODES_PER_SERVICE_HOUR": "6",
    "LIMIT_LONG_CODES_FROM": "4",
    "LIMIT_WRONG_DETAILS_PER_LOGIN_DAY": "3",
    "LIMIT_UNBINDINGS_PER_LOGIN_DAY": "2",
    "LIMIT_UNBINDINGS_PER_SERVICE_HOUR": "1",
    "LIMIT_WRONG_PASSWORDS_PER_LOGIN_HALF_HOUR": "3",
    "LIMIT_FULL_BUDGET_PROOF_FACTOR": "4",
}
CONSTANTS: tuple[tuple[Any, str, int], ...] = (
    (store_logins, "STARTS_PER_DOUBLING", 2),
    (store_logins, "DOUBLINGS", 2),
    (service_budgets, "UNBINDINGS_HARD_FACTOR", 2),
    # Requesters that a map keeps without a look at their age.
    (requester_times, "_FEW", 2),
)
"""Limits that are no settings, with their values here."""

OFFICE = "203.0.113.7"
AT_HOME, ALSO_AT_HOME = "2001:db8:1:2::a", "2001:db8:1:2:ffff::b"
ADDRESSES = (OFFICE, AT_HOME, ALSO_AT_HOME)

RULES = Rules(
    networks={OFFICE: "office", AT_HOME: "home", ALSO_AT_HOME: "home"},
    address_factor=2,
    starts_requester=(5, HOUR),
    starts_login=(6, HOUR),
    starts_per_doubling=2,
    doublings=2,
    starts_address=(12, HOUR),
    logins_requester=(3, DAY),
    sends_destination={"minute": (1, MINUTE), "hour": (2, HOUR), "day": (4, DAY)},
    sends_login=(3, DAY),
    sends_requester=(5, DAY),
    sends_service=8,
    sends_service_hard=16,
    tries=3,
    wrong_codes_requester_login=(4, DAY),
    wrong_codes_requester=(5, DAY),
    wrong_codes_login=(8, DAY),
    wrong_codes_service=6,
    long_codes_from=(4, DAY),
    wrong_details=(3, DAY),
    unbindings_login=(2, DAY),
    unbindings_service=1,
    unbindings_service_hard=2,
    wrong_passwords=(3, 30 * MINUTE),
    full_factor=4,
)

OPENING = "Opening-password-1"
LONG_AGO = 1_700_000_000
SHARED, OWN = "+8613800001234", "+8613900005678"
PHONES = (SHARED, OWN)
ALICE, BOB, CAROL = OPENIDS = ("o-alice", "o-bob", "o-carol")

APPROVAL = "京财会许可〔2012〕0084号"
HEAD = "阿依古丽·买买提"


def logins() -> dict[str, Login]:
    """Return five logins with different phones and WeChats.

    Two have one phone, one has another phone and a WeChat, one a WeChat alone, one neither.
    """
    destinations: dict[str, tuple[str | None, str | None]] = {
        "11010148": (SHARED, None),
        "11010148_cw": (SHARED, None),
        "31000001": (None, BOB),
        "31000001_cw": (OWN, ALICE),
        "44000001": (None, None),
    }
    return {
        name: Login(
            phone, openid, OPENING, LONG_AGO, must_change=name in DEFAULTS, finance=name in DEFAULTS
        )
        for name, (phone, openid) in destinations.items()
    }


DEFAULTS = {"11010148_cw": "010123X", "31000001_cw": "021123X"}
PROVINCES = {"11010148": "11", "31000001": "31", "44000001": "44"}
_NOTICES = {title: notice for notice, title in NOTICE_TITLES.items()}


@dataclass
class Dice:
    """The service's randomness: it returns the test's next code, and writes every event of a budget."""

    code: int = 0

    def __call__(self, sides: int) -> int:
        return self.code if sides in (10**6, 10**8) else 0


class CheapProofs:
    """A double of the proofs of work, whose solution is the text of what it stands for.

    The real ones have tests of their own; of a recovery's start they are the most expensive part.
    """

    def challenge(self, action: str, login: str | None, factor: int = 1) -> dict[str, Any]:
        return {"login": login, "factor": factor}

    def check(self, payload: str, action: str, factor: int = 1) -> Proof | None:
        name, login, worth = payload.split(" ")
        return Proof(name, login, int(worth))


class Beside:
    """A double of a thread that ends before the thread that started it continues."""

    def __init__(
        self, *, target: Callable[..., object], args: tuple[Any, ...] = (), daemon: bool
    ) -> None:
        self._target, self._args = target, args

    def start(self) -> None:
        self._target(*self._args)

    def join(self, seconds: float) -> None:
        """Return, since it has ended."""


@dataclass
class Platform:
    """A double of the WeChat platform: followers, QR codes and template messages."""

    following: set[str]
    may_push: bool = False
    pushed: list[tuple[str, str, str]] = field(default_factory=list)
    """Openid, login, and the code or the notice."""

    def is_following(self, openid: str, patience: float = 7) -> bool:
        return openid in self.following

    def follow_qr(self, scene: str, lifetime_s: int) -> str:
        return f"https://weixin.example/q/{len(scene)}"

    def send_template(
        self, openid: str, template_id: str, fields: dict[str, str], **_: object
    ) -> TemplateResult:
        if not self.may_push:
            return TemplateResult(TemplateOutcome.NO_TEMPLATE, errcode=48001)
        if openid not in self.following:
            return TemplateResult(TemplateOutcome.NOT_FOLLOWING, errcode=43004)
        if template_id == "code-template":
            login, text = fields["character_string1"], fields["character_string2"]
        else:
            login, text = fields["character_string2"], _NOTICES[fields["thing1"]]
        self.pushed.append((openid, login, text))
        return TemplateResult(TemplateOutcome.SENT)


@dataclass
class Environment:
    """The service and its model."""

    reset: ResetWorld
    model: Model
    dice: Dice
    platform: Platform
    doubles: frozenset[str]
    """Names of the service's attributes that `build_anew` keeps."""
    http: AddressedClient
    _keys: dict[Requester, str] = field(default_factory=dict)
    messages: int = 0
    last_message: tuple[Signed, dict[str, str]] | None = None
    written_at: int = 0

    def build_anew(self) -> None:
        """Make the service build all of its parts again, so that no state remains in them."""
        self._keys.clear()
        parts = self.reset.world.service.__dict__
        for name in set(parts) - self.doubles:
            del parts[name]

    def begin_instance(self) -> None:
        """Make the service forget what only one of its instances has seen."""
        service = self.reset.world.service
        service.start_limiter = StartLimiter(service.settings.limits)
        for budget in vars(service.budgets).values():
            if isinstance(budget, Budget):
                budget._hour = budget._full_hour = budget._exhausted_hour = -1

    def from_address(self, address: str) -> None:
        """Send the next requests from this address."""
        self.http.address = address

    def key(self, requester: Requester) -> str:
        """Return the name of a requester's counts."""
        if requester not in self._keys:
            address = next((at for at, net in RULES.networks.items() if net == requester.name), "")
            openid = None if requester.is_address else requester.name
            found = self.reset.world.service.requesters.identify(openid, address)
            self._keys[requester] = found.key
        return self._keys[requester]

    def outbox(self) -> list[tuple[str, str]]:
        """Return the SMS sent since the last call, as pairs of phone and template."""
        sent = [(sms.to, sms.template) for sms in self.reset.world.phones.sent]
        self.reset.world.phones.sent.clear()
        return sent

    def write(self, openid: str) -> dict[str, str]:
        """Write 验证码 to the account as this person; return the codes in the reply by login."""
        self.messages += 1
        fields = {"MsgType": "text", "Content": "验证码", "MsgId": self.messages}
        message = signed(self.reset.world, fields, openid)
        codes = self.deliver(message)
        self.last_message, self.written_at = (message, codes), self.reset.world.clock.time
        return codes

    @property
    def may_repeat(self) -> bool:
        """Whether WeChat may deliver the last message again, which it does within seconds."""
        return self.last_message is not None and self.reset.world.clock.time <= self.written_at + 30

    def deliver(self, message: Signed) -> dict[str, str]:
        """Deliver the message, perhaps again; return the codes in the reply by login."""
        text = said(self.reset.world, post(self.reset.world, message))
        return dict(re.findall(r"账号([0-9]+(?:_cw)?)的登录密码，验证码([0-9]{6,8})", text))

    def event(self, openid: str, event: str) -> None:
        """Deliver an event of WeChat."""
        fields: dict[str, Any] = {"MsgType": "event", "Event": event}
        assert post(self.reset.world, signed(self.reset.world, fields, openid)).status_code == 200

    def items(self, table: str, *kinds: str) -> list[dict[str, Any]]:
        """Return a table's items from moto's memory: a scan would take longer than a step."""
        return [
            {name: _plain(value) for name, value in item.attrs.items()}
            for item in _tables()[f"recovery-{table}"].all_items()
            if not kinds or item.hash_key.value.startswith(kinds)
        ]

    def events(self) -> Iterator[tuple[str, str]]:
        """Yield the login and the event of each audit entry, of refusals as often as they occurred."""
        for item in _tables()["recovery-audit"].all_items():
            often = item.attrs.get("occurrences")
            yield from [_login_and_event(item)] * (int(often.value) if often else 1)

    def begin(self) -> None:
        """Empty the tables and the doubles, and enrol the logins again."""
        for table in _tables().values():
            table.items.clear()
        _empty_queues()
        self.reset.world.clock.time = MIDNIGHT
        self.reset.world.phones.sent.clear()
        self.reset.world.phones.outcomes.clear()
        self.platform.pushed.clear()
        self.begin_instance()
        self.model = Model(RULES, logins(), DEFAULTS, MIDNIGHT, following=set(OPENIDS))
        self.platform.following = self.model.following
        self.platform.may_push = False
        self.dice.code = 0
        self.last_message = None
        _enrol(self.model, self.reset.world.service)


def _empty_queues() -> None:
    """Delete all messages, those in flight too; a purge is allowed once in a minute only."""
    for queue in get_backend("sqs")["123456789012"]["cn-north-1"].queues.values():
        queue._messages.clear()


def _login_and_event(item: Any) -> tuple[str, str]:
    return item.attrs["login"].value, item.attrs["event"].value


def _tables() -> dict[str, Any]:
    tables: dict[str, Any] = moto_direct.backend().tables
    return tables


def _plain(value: Any) -> Any:
    """Return a value of moto as Python has it."""
    kind, content = value.type, value.value
    if kind == "M":
        return {name: _plain(entry) for name, entry in content.items()}
    if kind == "L":
        return [_plain(entry) for entry in content]
    return int(content) if kind == "N" else content


@contextmanager
def running() -> Iterator[Environment]:
    """The environment, until the block ends; each run begins with `begin`."""
    with mock_aws(), runtime.using(None), ExitStack() as patches:
        for module, name, value in CONSTANTS:
            patches.enter_context(patch.object(module, name, value))
        patches.enter_context(patch.object(code_sender, "Thread", Beside))
        create_tables(boto3.client("dynamodb"), "recovery")
        reset = yearly_reset.make(
            WECHAT_CODE_TEMPLATE_ID="code-template",
            WECHAT_NOTICE_TEMPLATE_ID="notice-template",
            **LIMITS,
        )
        service = reset.world.service
        moto_direct.use()
        dice, platform = Dice(), Platform(set())
        service.randbelow = dice
        service.__dict__["platform"] = platform
        service.__dict__["proofs"] = CheapProofs()
        doubles = frozenset(service.__dict__)
        reset.world.http = http = AddressedClient()
        model = Model(RULES, {}, {}, MIDNIGHT)
        yield Environment(reset, model, dice, platform, doubles, http)


def _enrol(model: Model, service: container.Service) -> None:
    opening = service.hasher.hash(OPENING)
    for firm_no, province in PROVINCES.items():
        FirmItem(
            firm_no,
            name="示例会计师事务所",
            province=province,
            approval_no=APPROVAL,
            head_name=HEAD,
            head_id_last4="123X",
        ).save()
    for name, login in model.logins.items():
        firm_no = name.removesuffix("_cw")
        LoginItem(
            name,
            firm_no=firm_no,
            province=PROVINCES[firm_no],
            head_id_last4="123X",
            phone=login.phone,
            openid=login.openid,
            password_hash=opening,
            password_version=1,
            changed_at=LONG_AGO,
            must_change=login.must_change,
            starts_by={},
        ).save()
