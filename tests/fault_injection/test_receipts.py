"""Delivery receipts of vendors and of SNS, of which every outgoing call fails once."""

from __future__ import annotations

import pytest
from moto.sns.models import sns_backends

from app import sms_receipts
from chalicelib.domain.errors import Unavailable
from chalicelib.store.models import AuditItem
from tests.fault_injection.driver import MakePlace, Person, stored
from tests.fault_injection.sweep import Faults, Point
from tests.support.receipt_cases import KEY, aliyun, logs, sns_line, tencent

pytestmark = pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")


def send_code(person: Person) -> AuditItem:
    """Send a code without a fault and return its audit event."""
    world = person.world
    assert world.send(world.token(person.login, person.phone.openid)).status_code == 202
    (send,) = person.events("code-sent")
    return send


def is_stored_once(person: Person) -> None:
    (send,) = stored(AuditItem)
    assert (send.event, send.receipt) == ("code-sent", "delivered")
    assert person.counted() == 1


@pytest.mark.parametrize("vendor", ["aliyun", "tencent"])
def test_a_vendor_s_receipt_is_stored_once(
    make_place: MakePlace, faults: Faults, vendor: str
) -> None:
    """Where it could not be stored, the answer makes the vendor repeat it."""
    place = make_place(PROOF_OF_WORK="0", RECEIPTS_PATH=KEY)

    def act(point: Point) -> None:
        person = place.person(point)
        name = f"{person.login}/{send_code(person).at}"
        record = aliyun(name) if vendor == "aliyun" else tencent(ext=name)
        path = f"/receipts/{vendor}/{KEY}"
        person.done("receipt", lambda: place.world.call("POST", path, [record]))
        assert place.world.call("POST", path, [record]).status_code == 200
        is_stored_once(person)

    assert set(faults.sweep(f"receipt of {vendor}", act)) == {"UpdateItem"}


def test_a_delivery_log_of_sns_is_stored_once(make_place: MakePlace, faults: Faults) -> None:
    """The function raises Unavailable, and Lambda repeats the batch: each receipt is stored once.

    Neither the earlier receipts of the batch nor those without a send do any harm.
    """
    place = make_place(PROOF_OF_WORK="0", SMS_GATEWAYS="sns", SMS_SNS_REGION="us-east-1")
    messages = sns_backends["123456789012"]["us-east-1"].sms_messages

    def act(point: Point) -> None:
        person = place.person(point)
        send_code(person)
        mine = next(name for name, (to, _) in messages.items() if to == person.number)
        batch = logs(sns_line("unknown"), sns_line(mine), sns_line(mine, success=False))
        point.step = "logs"
        with point:
            try:
                first = sms_receipts(batch, None)
            except Unavailable:
                assert point.failed("logs")
            else:
                assert point.name is None
                assert first["receipts"] == 3
        repeated = sms_receipts(batch, None)
        # A failure that is reported after the delivery is ignored.
        assert repeated == {"receipts": 3, "found": 1}
        is_stored_once(person)

    assert set(faults.sweep("delivery logs of SNS", act)) == {"GetItem", "UpdateItem"}
