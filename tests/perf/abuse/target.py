"""The attacked service: one process on moto, behind its HTTP API, with a clock that can be moved.

Attackers and visitors use the API alone. Only phones and WeChats, which belong to the owners of the
logins, are read directly.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple
from unittest.mock import patch

from moto import mock_aws

from chalicelib import container, runtime
from chalicelib.security.proof_of_work import Proofs
from chalicelib.settings import load
from chalicelib.sms.gateway import Attempt, Sms
from chalicelib.store.models import FirmItem, LoginItem
from chalicelib.wechat.template_results import TemplateOutcome, TemplateResult
from infra.deploy.tables import create_tables
from tests.conftest import SETTINGS, Clock, Phones, World, moto_client
from tests.stateful.doubles import Platform
from tests.support import moto_direct
from tests.support.api_client import AddressedClient
from tests.support.cheap_hasher import cheap_hasher

OPENING = "Opening-password-1"
"""The password of main logins."""
DEFAULT = "010123X"
"""The default password of finance logins, which they must change."""
HEAD = "阿依古丽·买买提"

CODE_TEMPLATE = "code-template"
"""The template whose messages `Platform` records as codes."""

_CHEAP = 1
_ENDPOINT = "https://dynamodb.cn-north-1.amazonaws.com.cn"


@dataclass(frozen=True)
class Firm:
    """A firm with two logins, each with its own phone and perhaps its own WeChat."""

    firm_no: str

    @property
    def finance(self) -> str:
        return f"{self.firm_no}_cw"

    @property
    def approval_no(self) -> str:
        return f"京财会许可〔2012〕{self.firm_no[-4:]}号"


def phone_of(login: str) -> str:
    """Return the phone of a login, E.164. It does not contain the firm's number."""
    start = "139" if login.endswith("_cw") else "138"
    return f"+86{start}{int(login.removesuffix('_cw')) + 40_000_000}"


def openid_of(login: str) -> str:
    """Return the WeChat of a login's owner."""
    return f"o-owner-{login}"


class Received(NamedTuple):
    """A code that has reached a phone or a WeChat."""

    login: str
    code: str


class OwnersPhones(Phones):
    """An SMS gateway that adds the codes to `received`."""

    def __init__(self, received: list[Received]) -> None:
        super().__init__()
        self._received = received

    def send(self, sms: Sms) -> Attempt:
        attempt = super().send(sms)
        if sms.template == "code":
            self._received.append(Received(sms.params["login"], sms.params["code"]))
        return attempt


class OwnersWeChats(Platform):
    """A WeChat platform that adds the codes to `received`."""

    def __init__(self, received: list[Received]) -> None:
        super().__init__(set(), may_push=True)
        self._received = received

    def send_template(
        self, openid: str, template_id: str, fields: dict[str, str], **others: object
    ) -> TemplateResult:
        result = super().send_template(openid, template_id, fields, **others)
        if result.outcome is TemplateOutcome.SENT and template_id == CODE_TEMPLATE:
            _, login, code = self.pushed[-1]
            self._received.append(Received(login, code))
        return result


class Target:
    """A running service with its firms, and what the owners of the logins receive."""

    def __init__(
        self,
        world: World,
        client: AddressedClient,
        platform: OwnersWeChats,
        received: list[Received],
    ) -> None:
        self.world = world
        self.client = client
        self._platform = platform
        self._received = received
        self.firms: list[Firm] = []

    @property
    def now(self) -> int:
        """Epoch seconds."""
        return self.world.clock.time

    def wait(self, seconds: int) -> None:
        """Move the clock."""
        self.world.clock.time += seconds

    def wait_until(self, time: int) -> None:
        """Move the clock to `time`, epoch seconds, unless it is later already."""
        self.world.clock.time = max(self.now, time)

    def enrol(self, count: int, *, bound: bool) -> None:
        """Write firms into the tables; `bound` gives each login the WeChat of its owner."""
        hasher = self.world.service.hasher
        opening, default = hasher.hash(OPENING), hasher.hash(DEFAULT)
        self.firms = [Firm(f"{11_990_000 + number}") for number in range(count)]
        for firm in self.firms:
            FirmItem(
                firm.firm_no,
                name=f"示例{firm.firm_no}会计师事务所",
                province="11",
                approval_no=firm.approval_no,
                head_name=HEAD,
                head_id_last4="123X",
            ).save()
            for login in (firm.firm_no, firm.finance):
                is_finance = login == firm.finance
                self._platform.following.add(openid_of(login))
                LoginItem(
                    login,
                    firm_no=firm.firm_no,
                    province="11",
                    head_id_last4="123X",
                    phone=phone_of(login),
                    openid=openid_of(login) if bound else None,
                    password_hash=default if is_finance else opening,
                    password_version=1,
                    changed_at=1_700_000_000,
                    must_change=is_finance,
                ).save()

    def codes(self, login: str) -> list[str]:
        """Return the codes that the login's owner has received, oldest first."""
        return [each.code for each in self._received if each.login == login]

    def notices(self, template: str) -> int:
        """Return the number of notices of this kind that went out by SMS."""
        return sum(sms.template == template for sms in self.world.phones.sent)


@contextmanager
def running(firms: int, *, bound: bool = False, full_proof: bool = False) -> Iterator[Target]:
    """Run a service with new tables and this many firms until the block ends.

    Its proofs of work have the real number of counters. Without `full_proof` each counter costs one
    round of PBKDF2; the price of the real rounds is added by `Requester.cpu_s`.
    """
    with (
        patch.dict(os.environ, AWS_ENDPOINT_URL_DYNAMODB=_ENDPOINT),
        mock_aws(),
        runtime.using(None),
    ):
        create_tables(moto_client("dynamodb"), "recovery")
        received: list[Received] = []
        clock, phones, platform = Clock(), OwnersPhones(received), OwnersWeChats(received)
        templates = {
            "PROOF_OF_WORK": "1",
            "WECHAT_CODE_TEMPLATE_ID": CODE_TEMPLATE,
            "WECHAT_NOTICE_TEMPLATE_ID": "notice-template",
        }
        service = container.Service(
            load({**SETTINGS, **templates}),
            clock=clock,
            gateways={"console": phones},
            pause=lambda _: None,
        )
        # Both are costs of the service, which are not measured here.
        service.hasher = cheap_hasher(service)
        service.__dict__["platform"] = platform
        if not full_proof:
            keys = [key.key() for key in service.settings.signing_keys]
            service.__dict__["proofs"] = Proofs(keys, clock, cost=_CHEAP)
        runtime.install(service)
        client = AddressedClient()
        moto_direct.use()
        target = Target(World(service, clock, phones, client), client, platform, received)
        target.enrol(firms, bound=bound)
        yield target
