"""A recovery by SMS, of which every outgoing call fails once."""

from __future__ import annotations

import pytest

from chalicelib.store.ephemeral_models import RequesterItem
from tests.fault_injection.driver import MakePlace, Person
from tests.fault_injection.sweep import HUNG, Faults, Point

pytestmark = pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")


def request_until_sent(person: Person, token: str, step: str) -> str:
    """Request codes, a minute apart, until one arrives; return it."""
    before = len(person.sms_codes)
    while len(person.sms_codes) == before:
        assert person.request_code(token, step)["delivery"] == "sent"
    assert len(person.sms_codes) == before + 1
    return person.sms_codes[-1]


def test_a_recovery_by_sms_succeeds(make_place: MakePlace, faults: Faults) -> None:
    """Start, a code, another code, the first one refused, the second accepted, and a poll.

    Whichever call fails, a repeat of the step succeeds; no code is sent twice, and none that was not
    sent is counted.
    """
    place = make_place()

    def act(point: Point) -> None:
        person = place.person(point)
        token = person.begin()["token"]
        first = request_until_sent(person, token, "first code")
        second = request_until_sent(person, token, "second code")
        wrong = person.confirm(token, "wrong code", first)
        done = person.confirm(token, "right code", second)
        state = person.done("poll", lambda: place.world.call("GET", "/recovery", token=token))
        # An attempt is counted before it is compared, so that a lost answer counts as well.
        twice = point.was_in("wrong code", "UpdateItem") and (person.errors or point.kind.repeats)
        assert (wrong.status_code, wrong.json_body["code"]) == (400, "code-wrong")
        assert wrong.json_body["attempts_left"] in ((4, 3) if twice else (4,))
        assert (done.status_code, done.json_body["wechat_bound"]) == (200, True)
        assert state["state"] == "done"
        person.has_recovered(token, second)
        assert len(set(person.sms_codes)) == len(person.sms_codes)
        # A gateway that did not answer may have sent the message, so that it counts.
        silent = point.kind is HUNG and point.name == "/"
        silent = silent and point.hit_at in ("first code", "second code")
        person.sends_are_recorded(len(person.sms_codes) + silent)
        _is_notified_once(person)

    swept = faults.sweep("recovery by SMS", act)
    assert {"UpdateItem", "TransactWriteItems", "GetItem", "/"} <= set(swept)
    assert {"/cgi-bin/stable_token", "/cgi-bin/message/template/send"} <= set(swept)


def _is_notified_once(person: Person) -> None:
    point = person.point
    # Notices are sent once, after the password is set. Where the answer to that write was lost, or the
    # notice itself failed, only the answer to the call reports the new password.
    none_sent = point.failed("right code", "TransactWriteItems") and point.kind.took_effect
    # The other transaction of the step counts the attempt before it is compared. Where its answer was
    # lost, that count stays beside the one of the wrong code.
    (requester,) = [item for item in RequesterItem.scan() if item.id.startswith("requester#")]
    none_sent = none_sent and len(requester.wrongs) == 1
    notices = person.notices
    assert len(set(notices)) == len(notices)
    if point.failed("right code") and point.name != "TransactWriteItems":
        assert 1 <= len(notices) <= 2
    else:
        assert len(notices) == (0 if none_sent else 2)
