"""A recovery by SMS, each of whose outgoing calls fails once."""

from __future__ import annotations

import pytest

from tests.fault_injection.driver import MakePlace, Person
from tests.fault_injection.sweep import HUNG, Faults, Point

pytestmark = pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")


def other_than(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


def texted(person: Person, token: str, step: str) -> str:
    """Ask until a new code has come. One that never arrives is waited for, and asked for again."""
    before = len(person.texted)
    while len(person.texted) == before:
        assert person.ask(token, step)["delivery"] == "sent"
    assert len(person.texted) == before + 1
    return person.texted[-1]


def test_a_recovery_by_sms(make_place: MakePlace, faults: Faults) -> None:
    """Start, a code, another code, the first one in vain, the second, and the poll of a page.

    Whatever fails, the same step done again leads on at once; nobody gets a code twice or pays for
    one that did not go out.
    """
    place = make_place()

    def act(point: Point) -> None:
        person = place.person(point)
        token = person.begin()["token"]
        first = texted(person, token, "first code")
        second = texted(person, token, "second code")
        wrong = person.confirm(token, "wrong code", first)
        done = person.confirm(token, "right code", second)
        state = person.done("poll", lambda: place.world.call("GET", "/recovery", token=token))
        # An attempt counts before it is compared, and so also where its answer was lost.
        twice = point.met("wrong code", "UpdateItem") and (person.errors or point.kind.repeats)
        assert (wrong.status_code, wrong.json_body["code"]) == (400, "code-wrong")
        assert wrong.json_body["attempts_left"] in ((4, 3) if twice else (4,))
        assert (done.status_code, done.json_body["wechat_bound"]) == (200, True)
        assert state["state"] == "done"
        person.has_recovered(token, second)
        assert len(set(person.texted)) == len(person.texted)
        # A gateway that fell silent may have sent, so such a send counts.
        silent = point.kind is HUNG and point.name == "/"
        silent = silent and point.hit_at in ("first code", "second code")
        person.sends_are_told(len(person.texted) + silent)
        _is_told_once(person)

    swept = faults.sweep("recovery by SMS", act)
    assert {"UpdateItem", "TransactWriteItems", "GetItem", "/"} <= set(swept)
    assert {"/cgi-bin/stable_token", "/cgi-bin/message/template/send"} <= set(swept)


def _is_told_once(person: Person) -> None:
    point = person.point
    # Notifications are sent once the password is set, and never again: where the answer to that write was
    # lost, or the notice itself failed, the person has the answer to their own call alone.
    missing_all = point.failed("right code", "TransactWriteItems") and point.kind.took_effect
    told = person.told
    assert len(set(told)) == len(told)
    if point.failed("right code") and point.name != "TransactWriteItems":
        assert 1 <= len(told) <= 2
    else:
        assert len(told) == (0 if missing_all else 2)
