"""Recoveries by two gateways, and by Amazon SNS, of which every outgoing call fails once.

Where a gateway certainly did not receive the message, the next one sends it in the same request. Where
it may have, no other one does: two SMS for one send are worse than none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.exceptions import ReadTimeoutError
from moto.sns.models import sns_backends

from app import sms_receipts
from chalicelib.domain.catalogue import SMS_TEMPLATES
from chalicelib.sms.gateway import BY_MESSAGE_ID
from tests.fault_injection.driver import MakePlace, Person
from tests.fault_injection.sweep import KINDS, NOBODY, REFUSED, Faults, Kind, Point
from tests.fault_injection.test_recovery_by_sms import request_until_sent
from tests.support.http_server import Received, Reply, serving
from tests.support.receipt_cases import (
    ALIYUN_ID,
    KEY,
    TENCENT_ID,
    VENDORS,
    aliyun,
    logs,
    sns_line,
    tencent,
)
from tests.support.sms_cases import aliyun_body, tencent_body

pytestmark = pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")

ALIYUN, TENCENT = "/aliyun/", "/tencent"
TEMPLATES = list(SMS_TEMPLATES)

# A time-out of Publish raises another exception than a refused connection.
SILENT = Kind(
    "time-out, no effect", False, lambda: ReadTimeoutError(endpoint_url=NOBODY), only="Publish"
)


@dataclass
class Vendors:
    """Aliyun and Tencent Cloud, which return an id for each message that they accept."""

    url: str = ""
    aliyun_works: bool = True
    accepted: list[dict[str, Any]] = field(default_factory=list)

    def reply(self, request: Received) -> Reply:
        name = len(self.accepted)
        if request.path.startswith(ALIYUN):
            if not self.aliyun_works:
                return 200, aliyun_body("isp.SYSTEM_ERROR")
            query = {key: value[0] for key, value in parse_qs(urlsplit(request.path).query).items()}
            self._accept(
                "aliyun",
                f"{name}^0",
                "+86" + query["PhoneNumbers"],
                query["TemplateCode"],
                json.loads(query["TemplateParam"]),
                query["OutId"],
            )
            return 200, aliyun_body("OK").replace(ALIYUN_ID.encode(), b"%d^0" % name)
        body = json.loads(request.body)
        names = re.findall(r"\$([a-z]+)", SMS_TEMPLATES[TEMPLATES[int(body["TemplateId"])]])
        self._accept(
            "tencent",
            f"5000:{name}",
            body["PhoneNumberSet"][0],
            body["TemplateId"],
            dict(zip(names, body["TemplateParamSet"], strict=True)),
            body["SessionContext"],
        )
        return 200, tencent_body("Ok").replace(TENCENT_ID.encode(), b"5000:%d" % name)

    def _accept(
        self, gateway: str, name: str, to: str, template: str, params: Any, reference: str
    ) -> None:
        self.accepted.append(
            {
                "gateway": gateway,
                "id": name,
                "to": to,
                "template": TEMPLATES[int(template)],
                "params": params,
                "reference": reference,
            }
        )


@pytest.fixture
def vendors() -> Iterator[Vendors]:
    """Both vendors at one address, each under its own path."""
    made = Vendors()
    with serving(made.reply) as server:
        made.url = server.url
        yield made


@dataclass
class Sns:
    """The SMS that Amazon SNS accepted."""

    @property
    def accepted(self) -> list[dict[str, Any]]:
        """The messages, oldest first."""
        messages = sns_backends["123456789012"]["us-east-1"].sms_messages
        return [
            {
                "gateway": "sns",
                "id": name,
                "to": to,
                "template": "code" if "验证码" in text else text,
                "params": dict(
                    zip(["code"], re.findall(r"验证码是([0-9]{6})", text), strict=False)
                ),
            }
            for name, (to, text) in messages.items()
        ]


def recover(person: Person) -> None:
    """Request codes until one arrives, and set the password."""
    token = person.world.token(person.login, person.phone.openid)
    code = request_until_sent(person, token, "code")
    done = person.confirm(token, "password", code)
    assert (done.status_code, done.json_body["wechat_bound"]) == (200, True)
    person.has_recovered(token, code)
    assert len(set(person.sms_codes)) == len(person.sms_codes)
    assert len(set(person.notices)) == len(person.notices)


def receipts_reach_their_sends(person: Person, push: Callable[[dict[str, Any]], None]) -> None:
    """Push a receipt for each code that a gateway accepted, and assert that only its send has it.

    No send has it where the message's id was not received or not stored.
    """
    point = person.point
    for text in [text for text in person.texts if text["template"] == "code"]:
        before = receipts(person)
        push(text)
        after = receipts(person)
        changed = [at for at in after if after[at] != before[at]]
        stored = text["gateway"] not in BY_MESSAGE_ID or not (
            point.failed("code", "UpdateItem") or point.hit in (TENCENT, "Publish")
        )
        assert len(changed) == 1 or not (stored or changed), after
        for at in changed:
            assert after[at] == ("delivered", text["id"], text["gateway"])
            assert at == text.get("reference", f"{person.login}/{at}").partition("/")[2]


def receipts(person: Person) -> dict[str, tuple[str | None, ...]]:
    """Return receipt, message id and gateway of each send, by its time."""
    return {
        send.at: (send.receipt, send.message_id, send.gateway)
        for send in person.events("code-sent")
    }


def sends_are_settled(person: Person, first: str) -> None:
    """Assert that each code was sent by one gateway at most, and that the audit has that one.

    Where the outcome of a send could not be stored, the audit has the first gateway.
    """
    point = person.point
    for send in person.events("code-sent"):
        texts = [
            text for text in person.texts if text.get("reference") == f"{person.login}/{send.at}"
        ]
        assert len(texts) <= (send.outcome != "failed")
        unsettled = point.failed("code", "UpdateItem") and send.outcome == "handed-over"
        for text in texts:
            assert send.gateway == text["gateway"] or (unsettled and send.gateway == first)
            assert send.outcome in ("sent", "unknown") or send.gateway == first


def falsely_unknown(person: Person) -> int:
    """Return the number of sends with an unknown outcome that no gateway accepted."""
    accepted = {text["reference"] for text in person.texts}
    return sum(
        send.outcome == "unknown" and f"{person.login}/{send.at}" not in accepted
        for send in person.events("code-sent")
    )


@pytest.mark.parametrize("aliyun_works", [True, False], ids=["both work", "the second alone works"])
def test_the_second_gateway_replaces_the_first(
    make_place: MakePlace, faults: Faults, vendors: Vendors, aliyun_works: bool
) -> None:
    """The second gateway sends a message only where the first certainly did not receive it."""
    place = make_place(
        template=False,
        PROOF_OF_WORK="0",
        **{
            **VENDORS,
            "SMS_GATEWAYS": "aliyun,tencent",
            "SMS_ALIYUN_URL": f"{vendors.url}{ALIYUN}".rstrip("/"),
            "SMS_TENCENT_URL": f"{vendors.url}{TENCENT}",
            "SMS_ALIYUN_TEMPLATES": ",".join(f"{name}={n}" for n, name in enumerate(TEMPLATES)),
            "SMS_TENCENT_TEMPLATES": ",".join(f"{name}={n}" for n, name in enumerate(TEMPLATES)),
        },
    )
    place.network = vendors
    vendors.aliyun_works = aliyun_works

    def push(text: dict[str, Any]) -> None:
        vendor, name = text["gateway"], text["id"]
        record = aliyun(text["reference"], biz_id=name) if vendor == "aliyun" else tencent(sid=name)
        assert place.world.call("POST", f"/receipts/{vendor}/{KEY}", [record]).status_code == 200

    def act(point: Point) -> None:
        person = place.person(point)
        recover(person)
        sends_are_settled(person, "aliyun")
        sends = person.events("code-sent")
        codes = [text["gateway"] for text in person.texts if text["template"] == "code"]
        if point.name in (ALIYUN, TENCENT):
            unreached = point.kind is REFUSED
            if point.failed("code", ALIYUN):
                # The only request was answered with success.
                assert not person.errors
            if point.failed("code", ALIYUN) and unreached:
                assert codes == ["tencent"]
                assert [(send.gateway, send.outcome) for send in sends] == [("tencent", "sent")]
            elif point.failed("code", TENCENT) and unreached:
                assert person.errors == {"code": 1}
                assert codes == ["tencent"]
                assert [send.outcome for send in sends] == ["failed", "sent"]
            elif point.failed("code"):
                assert not person.errors
                # The next code was requested where the first one never arrived.
                assert len(codes) == 1
                assert sends[0].outcome == "unknown"
                assert sends[0].gateway == ("aliyun" if point.name == ALIYUN else "tencent")
        # A message without an answer counts as well: whether it was accepted is unknown.
        person.sends_are_recorded(len(codes) + falsely_unknown(person))
        # The notice is sent like any other SMS.
        notices = [text["gateway"] for text in person.texts if text["template"] != "code"]
        assert len(notices) <= 1
        if point.failed("password", ALIYUN) and point.kind is REFUSED:
            assert notices == ["tencent"]
        receipts_reach_their_sends(person, push)

    swept = faults.sweep(f"two gateways, {'both' if aliyun_works else 'the second alone'}", act)
    assert {ALIYUN, "UpdateItem", "TransactWriteItems"} <= set(swept)
    assert (TENCENT in swept) is not aliyun_works


def test_amazon_sns(make_place: MakePlace, faults: Faults) -> None:
    """Its client repeats no request, and its receipts find their sends by the message id."""
    place = make_place(
        template=False,
        PROOF_OF_WORK="0",
        SMS_GATEWAYS="sns",
        SMS_SNS_REGION="us-east-1",
    )
    place.network = Sns()

    def push(text: dict[str, Any]) -> None:
        assert sms_receipts(logs(sns_line(text["id"])), None)["receipts"] == 1

    def act(point: Point) -> None:
        person = place.person(point)
        recover(person)
        sends = person.events("code-sent")
        lost = point.was_in("code", "Publish") and point.kind is not REFUSED
        if lost:
            assert (sends[0].gateway, sends[0].outcome) == ("sns", "unknown")
            assert not person.errors
        elif point.failed("code", "Publish"):
            assert [send.outcome for send in sends] == ["failed", "handed-over"]
        person.sends_are_recorded(
            len(person.sms_codes) + (point.failed("code") and point.kind is SILENT)
        )
        receipts_reach_their_sends(person, push)

    swept = faults.sweep("Amazon SNS", act, (*KINDS, SILENT))
    assert set(swept) == {"GetItem", "TransactWriteItems", "UpdateItem", "Publish"}
