"""The freezing of a login by its owner, of which every outgoing call fails once."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from tests.fault_injection.driver import MakePlace, Person
from tests.fault_injection.sweep import Faults, Point

pytestmark = pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def freeze_token(person: Person) -> str:
    """Return the token of the link in the last notice of a person's WeChat."""
    entries = person.place.wechat_world.wechat.account.chat(person.phone.openid)
    link = urlsplit(next(entry.url for entry in reversed(entries) if entry.kind == "card"))
    assert link.path == "/freeze"
    return link.query.removeprefix("token=")


def test_a_failed_freezing_can_be_tried_again(make_place: MakePlace, faults: Faults) -> None:
    """The login is frozen once, by the first try or by the next, and never notified twice."""
    place = make_place(PROOF_OF_WORK="0")

    def act(point: Point) -> None:
        person = place.person(point, bound=True)
        place.world.service.notifications.notify(
            "password-reset",
            person.login,
            place.world.clock.time,
            phone=None,
            openid=person.phone.openid,
        )
        body = f"token={freeze_token(person)}".encode()
        answer = person.insist(
            "freeze", lambda: person.world.call("POST", "/freeze", body, headers=FORM)
        )
        assert answer.status_code == 200
        assert person.item().frozen_at is not None
        assert len(person.events("frozen-by-owner")) == 1
        assert int(person.item().recovery_epoch) == 1
        notified = person.notices.count("frozen")
        assert notified <= 1
        if point.hit is None:
            assert notified == 1

    swept = faults.sweep("freezing by the owner", act)
    assert {"GetItem", "TransactWriteItems", "/"} <= set(swept)
