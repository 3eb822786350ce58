"""What the machine drives: a service on moto with five logins, and cheap doubles around it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any
from unittest.mock import patch

import boto3
from moto import mock_aws
from moto.backends import get_backend

from chalicelib import container, runtime
from chalicelib.domain.firms import FirmFacts
from chalicelib.domain.limits import DAY, HOUR, MINUTE, Window
from chalicelib.domain.staff import Role, Staff
from chalicelib.handlers.http import cookies
from chalicelib.security.oidc import OidcClient
from chalicelib.services import code_sender, service_budgets
from chalicelib.services.desk import phone_change
from chalicelib.services.rate_limits import StartLimiter
from chalicelib.store import logins as store_logins
from chalicelib.store import proposals as store_proposals
from chalicelib.store import requester_times, search
from chalicelib.store.budgets import Budget
from chalicelib.store.models import FirmItem, LoginItem
from infra.deploy.tables import create_tables
from tests.stateful.desk import Member
from tests.stateful.doubles import Beside, CheapProofs, Dice, Platform
from tests.stateful.model import Model
from tests.stateful.rules import Firm, Login, Requester, Rules
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
    "LIMIT_WRONG_IDENTITY_CHECKS_PER_FIRM_DAY": "2",
    "LIMIT_WRONG_IDENTITY_CHECKS_PER_STAFF_DAY": "3",
    "FIRM_ERASURE_DAYS": "2",
}
CONSTANTS: tuple[tuple[Any, str, Any], ...] = (
    (store_logins, "STARTS_PER_DOUBLING", 2),
    (store_logins, "DOUBLINGS", 2),
    (service_budgets, "UNBINDINGS_HARD_FACTOR", 2),
    # Requesters that a map keeps without a look at their age.
    (requester_times, "_FEW", 2),
    (store_proposals, "TRIES", 2),
    (phone_change, "TRIES", 2),
    (store_proposals, "SENDS", (Window(1, MINUTE), Window(2, 2 * DAY))),
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
    wrong_identity_firm=(2, DAY),
    wrong_identity_staff=(3, DAY),
    phone_tries=2,
    phone_sends={"minute": (1, MINUTE), "two days": (2, 2 * DAY)},
    erasure=2 * DAY,
)

OPENING = "Opening-password-1"
LONG_AGO = 1_700_000_000
SHARED, OWN = "+8613800001234", "+8613900005678"
PHONES = (SHARED, OWN)
NEW_PHONES = ("+8613700009999", *PHONES)
"""The phones that the support desk proposes."""
ALICE, BOB, CAROL = OPENIDS = ("o-alice", "o-bob", "o-carol")

FACTS = {
    "approval_no": "京财会许可〔2012〕0084号",
    "head_name": "阿依古丽·买买提",
    "head_id_last4": "123X",
}
CORRECTED = {
    "approval_no": "京财会许可〔2027〕0009号",
    "head_name": "甄示例",
    "head_id_last4": "4321",
}
"""Other facts, which the support desk may correct the first ones to."""

MEMBERS = {
    subject: Member(subject, frozenset(roles))
    for subject, roles in {
        "staff-lin": {"agent"},
        "staff-wang": {"agent"},
        "staff-zhao": {"supervisor"},
        "staff-qian": {"agent", "supervisor"},
        "staff-sun": {"auditor"},
    }.items()
}
"""The staff by subject: two agents, two supervisors and an auditor."""

SITE = "https://recovery.example"
DESK = {
    "OIDC_ISSUER": "https://identity.example",
    "OIDC_CLIENT_ID": "recovery-desk",
    "OIDC_CLIENT_SECRET": "c" * 32,
}


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

    def events(self) -> Iterator[tuple[str | None, ...]]:
        """Yield each audit entry, of refusals as often as they occurred.

        Those of operators and of the staff as acts, the others as login and event.
        """
        for item in _tables()["recovery-audit"].all_items():
            often = item.attrs.get("occurrences")
            yield from [_entry(item.attrs)] * (int(often.value) if often else 1)

    def as_staff(self, member: Member, session: str, ends_at: int) -> dict[str, str]:
        """Return the headers that the desk's page sends in a session of a member of the staff."""
        roles = frozenset(Role(role) for role in member.roles)
        staff = Staff(member.subject, member.subject, roles, session, ends_at)
        cookie = cookies.keep_staff(self.reset.world.service, staff).partition(";")[0]
        return {"Cookie": cookie, "Origin": SITE, "X-Support-Desk": "1"}

    def begin(self) -> None:
        """Empty the tables and the doubles, and enrol the logins again."""
        for table in _tables().values():
            table.items.clear()
        _empty_queues()
        self.reset.world.clock.time = MIDNIGHT
        self.reset.world.phones.sent.clear()
        self.reset.world.phones.outcomes.clear()
        self.platform.pushed.clear()
        self.platform.links.clear()
        self.begin_instance()
        firms = {firm_no: Firm(dict(FACTS)) for firm_no in PROVINCES}
        self.model = Model(RULES, logins(), dict(DEFAULTS), MIDNIGHT, firms, following=set(OPENIDS))
        self.platform.following = self.model.following
        self.platform.may_push = False
        self.dice.code = 0
        self.last_message = None
        _enrol(self.model, self.reset.world.service)


def _empty_queues() -> None:
    """Delete all messages, those in flight too; a purge is allowed once in a minute only."""
    for queue in get_backend("sqs")["123456789012"]["cn-north-1"].queues.values():
        queue._messages.clear()


def _entry(attributes: Any) -> tuple[str | None, ...]:
    entry = attributes["login"].value, attributes["event"].value
    actor = attributes["actor"].value
    if not actor.startswith(("staff:", "arn:")):
        return entry
    reason = attributes.get("reason")
    return *entry, actor, reason and reason.value


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
        # Signing out would look for the provider's own address.
        patches.enter_context(patch.object(OidcClient, "end_session_url", lambda *_: None))
        create_tables(boto3.client("dynamodb"), "recovery")
        reset = yearly_reset.make(
            WECHAT_CODE_TEMPLATE_ID="code-template",
            WECHAT_NOTICE_TEMPLATE_ID="notice-template",
            **LIMITS,
            **DESK,
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


def registered(firm_no: str, facts: Mapping[str, str]) -> FirmFacts:
    """Return a firm's facts as they are stored."""
    return FirmFacts(firm_no=firm_no, name="示例会计师事务所", province=PROVINCES[firm_no], **facts)


@cache
def firm_entries(firm_no: str, facts: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    """Return kind and id of each search entry of a firm with these facts."""
    entries = search.entries_of(registered(firm_no, dict(facts)))
    return [(entry.kind, entry.id) for entry in entries]


def _enrol(model: Model, service: container.Service) -> None:
    opening = service.hasher.hash(OPENING)
    for firm_no in PROVINCES:
        facts = registered(firm_no, FACTS)
        FirmItem(**asdict(facts)).save()
        phones = [
            (name, phone)
            for name in model.logins_of(firm_no)
            if (phone := model.logins[name].phone) is not None
        ]
        service.desk.search_index.add(facts, phones)
    for name, login in model.logins.items():
        firm_no = name.removesuffix("_cw")
        LoginItem(
            name,
            firm_no=firm_no,
            province=PROVINCES[firm_no],
            head_id_last4=FACTS["head_id_last4"],
            phone=login.phone,
            openid=login.openid,
            password_hash=opening,
            password_version=1,
            changed_at=LONG_AGO,
            must_change=login.must_change,
            starts_by={},
        ).save()
