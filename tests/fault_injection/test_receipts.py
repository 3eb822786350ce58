"""What becomes of the messages, told by vendors' pushes and by SNS's delivery logs, each call failing once."""

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


def sent(person: Person) -> AuditItem:
    """Have a code sent, which no fault meets; its event."""
    world = person.world
    assert world.send(world.token(person.login, person.phone.openid)).status_code == 202
    (send,) = person.events("code-sent")
    return send


def stands_once(person: Person) -> None:
    (send,) = stored(AuditItem)
    assert (send.event, send.receipt) == ("code-sent", "delivered")
    assert person.counted() == 1


@pytest.mark.parametrize("vendor", ["aliyun", "tencent"])
def test_a_vendor_s_receipt(make_place: MakePlace, faults: Faults, vendor: str) -> None:
    """The vendor is told to push again where it could not be kept, and then it stands once."""
    place = make_place(PROOF_OF_WORK="0", RECEIPTS_PATH=KEY)

    def act(point: Point) -> None:
        person = place.person(point)
        name = f"{person.login}/{sent(person).at}"
        record = aliyun(name) if vendor == "aliyun" else tencent(ext=name)
        path = f"/receipts/{vendor}/{KEY}"
        person.done("receipt", lambda: place.world.call("POST", path, [record]))
        assert place.world.call("POST", path, [record]).status_code == 200
        stands_once(person)

    assert set(faults.sweep(f"receipt of {vendor}", act)) == {"UpdateItem"}


def test_a_delivery_log_of_sns(make_place: MakePlace, faults: Faults) -> None:
    """The function ends by Unavailable, Lambda calls it again with the same batch, and then each
    receipt stands once on its send; those before it in the batch, and what is nobody's, do no harm."""
    place = make_place(PROOF_OF_WORK="0", SMS_GATEWAYS="sns", SMS_SNS_REGION="us-east-1")
    messages = sns_backends["123456789012"]["us-east-1"].sms_messages

    def act(point: Point) -> None:
        person = place.person(point)
        sent(person)
        mine = next(name for name, (to, _) in messages.items() if to == person.number)
        batch = logs(sns_line("of-nobody"), sns_line(mine), sns_line(mine, success=False))
        point.step = "logs"
        with point:
            try:
                first = sms_receipts(batch, None)
            except Unavailable:
                assert point.failed("logs")
            else:
                assert point.name is None
                assert first["receipts"] == 3
        told = sms_receipts(batch, None)
        # The failure that was told after the delivery is passed over.
        assert told == {"receipts": 3, "found": 1}
        stands_once(person)

    assert set(faults.sweep("delivery logs of SNS", act)) == {"GetItem", "UpdateItem"}
