"""WeChat's callbacks, of which every outgoing call fails once."""

from __future__ import annotations

from collections.abc import Mapping

from chalicelib.store.ephemeral_models import SeenItem
from chalicelib.store.models import AuditItem, FollowerItem
from tests.fault_injection.driver import MakePlace, Person, stored
from tests.fault_injection.sweep import Faults, Point
from tests.support.callbacks import TAPPED, post, said, signed
from tests.support.official_account import code_in


def reply_to(person: Person, fields: Mapping[str, object]) -> str:
    """Deliver the message with the fault and again without it; return the last reply.

    The callback never answers with an error, which WeChat would show to the person as a fault of the
    account. Where a call failed, the first reply is empty, and the person repeats the message.
    """
    point, world = person.point, person.world
    delivery = signed(world, fields, person.phone.openid)
    point.step = str(fields.get("Event", fields["MsgType"]))
    with point:
        first = said(world, post(world, delivery))
    again = said(world, post(world, delivery))
    assert first == ("" if point.name else again)
    assert said(world, post(world, delivery)) == again
    return again


def test_follows_and_unfollows(make_place: MakePlace, faults: Faults) -> None:
    """After the event is repeated the follower's state is stored, with the time of the event."""
    place = make_place()
    # An event that could not be stored is made up for by the next event, and by WeChat's answer to
    # the next send.
    for event, follows in (("subscribe", True), ("unsubscribe", False)):

        def act(point: Point, event: str = event, follows: bool = follows) -> None:
            person = place.person(point, follows=not follows)
            place.world.clock.time += 10
            answer = reply_to(person, {"MsgType": "event", "Event": event, "EventKey": ""})
            assert ("欢迎关注" in answer) is follows
            (item,) = stored(FollowerItem)
            assert (item.openid, bool(item.following)) == (person.phone.openid, follows)
            assert int(item.since) == place.world.clock.time

        assert set(faults.sweep(event, act)) == {"UpdateItem"}


def test_scans_and_texts(make_place: MakePlace, faults: Faults) -> None:
    """A scan returns the link of its login, a text that of the page; repeats have the same reply."""
    place = make_place()

    def scans(point: Point) -> None:
        person = place.person(point)
        scene = place.world.service.scenes.make(person.login, place.world.clock.time + 600)
        scan = {"MsgType": "event", "Event": "SCAN", "EventKey": scene}
        assert f"账号{person.login}" in reply_to(person, scan)
        (seen,) = (item for item in stored(SeenItem) if item.id.startswith("seen#"))
        assert person.login not in seen.answer

    def writes(point: Point) -> None:
        person = place.person(point)
        text = {"MsgType": "text", "MsgId": 7, "Content": "找回密码"}
        assert place.world.service.enter_url in reply_to(person, text)

    assert set(faults.sweep("scan", scans)) == {"UpdateItem"}
    # A text is answered without any call.
    assert not faults.sweep("text", writes)


def test_a_code_is_fetched_from_the_menu(make_place: MakePlace, faults: Faults) -> None:
    """The pending code is fetched, not replaced by a new one, and sets the password."""
    place = make_place(template=False, PROOF_OF_WORK="0")

    def act(point: Point) -> None:
        person = place.person(point, bound=True)
        token = place.world.token(person.login, person.phone.openid)
        assert place.world.send(token).json_body["delivery"] == "pull"
        code = code_in(reply_to(person, TAPPED))
        assert len(person.events("code-sent")) == person.counted() == 1
        assert place.world.confirm(token, code).status_code == 200
        assert person.is_consistent()

    swept = faults.sweep("tap for the code", act)
    assert set(swept) == {"GetItem", "BatchGetItem", "UpdateItem"}


def test_a_receipt_of_a_template_message(make_place: MakePlace, faults: Faults) -> None:
    """After a repeat the receipt is stored with its send, and with no other."""
    place = make_place(PROOF_OF_WORK="0")

    def act(point: Point) -> None:
        person = place.person(point, bound=True)
        assert place.world.send(place.world.token(person.login, person.phone.openid)).json_body
        (send,) = person.events("code-sent")
        fields = {"Event": "TEMPLATESENDJOBFINISH", "MsgID": send.message_id, "Status": "success"}
        assert reply_to(person, {"MsgType": "event", **fields}) == ""
        (send,) = stored(AuditItem)
        assert (send.outcome, send.receipt) == ("sent", "delivered")

    swept = faults.sweep("receipt of a template message", act)
    assert set(swept) == {"GetItem", "UpdateItem"}
