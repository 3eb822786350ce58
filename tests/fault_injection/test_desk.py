"""The support desk's calls, of which every outgoing call fails once."""

from __future__ import annotations

import pytest

from chalicelib.store.ephemeral_models import IdentityItem
from chalicelib.store.models import AuditItem
from tests.fault_injection.desk import FACTS, NEW, SETTINGS, Desk, proposals
from tests.fault_injection.driver import OPENING, MakePlace, Place, stored
from tests.fault_injection.sweep import Faults, Point

pytestmark = pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")

SMS = "/"
"""The path of the SMS gateway."""

CLOSED = (409, "proposal-closed")


@pytest.fixture
def place(make_place: MakePlace) -> Place:
    """A place with a support desk, where WeChat's messages need no template."""
    return make_place(template=False, **SETTINGS)


def test_what_is_shown_is_recorded(place: Place, faults: Faults) -> None:
    """An answer is complete or an error; each that shows something has its event."""

    def act(point: Point) -> None:
        person = place.person(point)
        desk = Desk(person)
        facts = place.world.service.firms.get(person.login)
        assert facts is not None
        phones = [(person.login, person.number)]
        place.world.service.desk.search_index.add(facts, phones)
        desk.propose()
        for by, path, event in (
            (desk.agent, f"find?q={person.login}", "desk-find"),
            (desk.agent, f"find?q={person.number[3:]}", "desk-find"),
            (desk.agent, f"logins/{person.login}", "desk-viewed"),
            (desk.agent, "requesters/0123456789abcdef", "desk-requester"),
            (desk.supervisor, "proposals", "desk-proposals"),
            (desk.supervisor, "audit", "desk-audit"),
            (desk.supervisor, "audit?format=csv", "desk-audit"),
            (desk.supervisor, "today", "desk-today"),
        ):
            before = _count(event)
            answer = desk.insist(path, by, path)
            assert answer.status_code == 200, answer.body
            if event == "desk-find":
                assert [firm["firm_no"] for firm in answer.json_body["firms"]] == [person.login]
            assert 1 <= _count(event) - before <= 1 + point.failed(path)

    swept = faults.sweep("support desk, looks", act)
    assert set(swept) == {"GetItem", "BatchGetItem", "Query", "PutItem"}


def _count(event: str) -> int:
    return sum(item.event == event for item in stored(AuditItem))


def test_a_login_is_frozen_and_unfrozen_once(place: Place, faults: Faults) -> None:
    """With what was open ended, and one event for each."""

    def act(point: Point) -> None:
        person = place.person(point)
        desk = Desk(person)
        token = place.world.token(person.login, person.phone.openid)
        assert place.world.send(token).status_code == 202
        assert desk.on_login("freeze", desk.agent).status_code == 200
        assert person.item().frozen_at is not None
        assert not person.has_code()
        assert place.world.confirm(token, person.sms_codes[-1]).status_code in (401, 410, 403)
        assert not person.right(OPENING)
        assert desk.on_login("unfreeze", desk.supervisor).status_code == 200
        assert person.item().frozen_at is None
        assert person.right(OPENING)
        for event, act_ in (("frozen", "freeze"), ("unfrozen", "unfreeze")):
            assert len(person.events(event)) == 1
            notified = desk.notified(event, person.number)
            assert notified in ((0, 1) if point.failed(act_, SMS) else (1,))

    swept = faults.sweep("support desk, freezing", act)
    assert set(swept) == {"GetItem", "TransactWriteItems", "UpdateItem", SMS}


def test_limits_and_bindings_are_removed_once(place: Place, faults: Faults) -> None:
    """One event for each."""

    def act(point: Point) -> None:
        person = place.person(point, bound=True)
        desk = Desk(person)
        for number in range(5):
            assert not person.right(f"Wrong-horse-{number}")
        assert desk.on_login("unlock", desk.agent).status_code == 200
        assert desk.on_login("unbind", desk.agent).status_code == 200
        assert person.right(OPENING)
        assert person.item().openid is None
        for event, act_ in (("unlocked", "unlock"), ("wechat-unbound", "unbind")):
            assert len(person.events(event)) == 1
            notified = desk.notified(event, person.number)
            assert notified in ((0, 1) if point.failed(act_, SMS) else (1,))

    faults.sweep("support desk, unlocking and unbinding", act)


def test_an_identity_check_counts_a_guess_and_permits_a_proposal(
    place: Place, faults: Faults
) -> None:
    """A check that failed counts at most once as a wrong one."""

    def act(point: Point) -> None:
        person = place.person(point)
        desk = Desk(person)
        path = f"firms/{person.login}/identity"
        wrong = desk.insist("wrong", desk.agent, path, {**FACTS, "head_id_last4": "0000"})
        assert wrong.json_body == {"matches": False}
        place.world.clock.time += 1
        right = desk.insist("right", desk.agent, path, FACTS)
        assert right.json_body == {"matches": True}
        counts = {item.id: len(item.wrongs or ()) for item in stored(IdentityItem) if item.wrongs}
        assert set(counts) == {f"identity#{person.login}", "identity-by#staff-lin"}
        assert set(counts.values()) <= {1, 2}
        if not (point.failed("wrong") or point.failed("right")):
            assert set(counts.values()) == {1}
        body = desk.new_phone
        answer = desk.agent.post(f"/support/api/logins/{person.login}/phone", body)
        assert answer.status_code == 202, answer.body

    swept = faults.sweep("support desk, identity", act)
    assert set(swept) == {"GetItem", "TransactWriteItems", "UpdateItem", "PutItem"}


def test_a_phone_is_proposed_once(place: Place, faults: Faults) -> None:
    """Whichever answer is lost: one proposal, with one event."""

    def act(point: Point) -> None:
        person = place.person(point)
        desk = Desk(person)
        desk.check_identity()
        path = f"logins/{person.login}/phone"
        answer = desk.insist("propose", desk.agent, path, desk.new_phone)
        assert answer.status_code == 202, answer.body
        (proposal,) = proposals()
        assert (proposal.id, proposal.state) == (answer.json_body["id"], "waiting")
        assert len(person.events("phone-proposed")) == 1
        assert desk.decide(proposal.id, "approve").status_code == 200

    swept = faults.sweep("support desk, proposal", act)
    assert set(swept) == {"GetItem", "TransactWriteItems"}


def test_an_approval_notifies_the_owner_and_leads_to_a_code(place: Place, faults: Faults) -> None:
    """A repeat may find the proposal approved; a code that did not arrive is requested again."""

    def act(point: Point) -> None:
        person = place.person(point)
        desk = Desk(person)
        proposal = desk.propose()
        answer = desk.insist("approve", desk.supervisor, f"proposals/{proposal}/approve", {})
        if answer.status_code != 200:
            # The approval stands; the code was not sent.
            assert (answer.status_code, answer.json_body["code"]) == CLOSED
            assert point.failed("approve", SMS) or point.failed("approve", "TransactWriteItems")
        (item,) = proposals()
        assert item.state == "approved"
        assert len(person.events("phone-approved")) == 1
        notified = desk.notified("phone-approved", person.number)
        assert notified in ((0, 1) if point.failed("approve", SMS) else (1,))
        # Each code that may have been sent has its event, and none was sent twice.
        sent, events = len(desk.phone_codes()), person.events("phone-code-sent")
        assert sent <= len(events) <= 1
        assert person.item().phone == person.number
        desk.confirm_at_last(proposal)

    swept = faults.sweep("support desk, approval", act)
    assert {"GetItem", "TransactWriteItems", "UpdateItem", "PutItem", SMS} == set(swept)


def test_another_code_is_sent(place: Place, faults: Faults) -> None:
    """Each is recorded before it is sent, and the newest confirms."""

    def act(point: Point) -> None:
        person = place.person(point)
        desk = Desk(person)
        proposal = desk.propose()
        assert desk.decide(proposal, "approve").status_code == 200
        place.world.clock.time += 60
        answer = desk.insist("code", desk.agent, f"proposals/{proposal}/code", {})
        if answer.status_code != 202:
            # The attempt that no gateway accepted has counted.
            assert (answer.status_code, answer.json_body["code"]) == (429, "too-many-requests")
            assert point.failed("code", SMS)
            place.world.clock.time += 60
            assert desk.decide(proposal, "code").status_code == 202
        assert len(desk.phone_codes()) <= len(person.events("phone-code-sent"))
        desk.confirm_at_last(proposal)

    swept = faults.sweep("support desk, another code", act)
    assert {"GetItem", "TransactWriteItems", "PutItem", SMS} == set(swept)


def test_a_proposal_is_rejected_once(place: Place, faults: Faults) -> None:
    """It keeps no phone, and the login's phone stays."""

    def act(point: Point) -> None:
        person = place.person(point)
        desk = Desk(person)
        proposal = desk.propose()
        answer = desk.insist("reject", desk.supervisor, f"proposals/{proposal}/reject", {})
        assert answer.status_code == 200, answer.body
        (item,) = proposals()
        assert item.state == "rejected"
        assert item.sealed_phone is None
        assert len(person.events("phone-rejected")) == 1
        assert person.item().phone == person.number

    assert set(faults.sweep("support desk, rejection", act)) == {"GetItem", "TransactWriteItems"}


def test_a_phone_is_bound_once(place: Place, faults: Faults) -> None:
    """Phone, binding, recoveries and event change together, and both phones are notified."""

    def act(point: Point) -> None:
        person = place.person(point, bound=True)
        desk = Desk(person)
        token = place.world.token(person.login, person.phone.openid)
        assert place.world.send(token).status_code == 202
        proposal = desk.propose()
        assert desk.decide(proposal, "approve").status_code == 200
        body = {"code": desk.phone_codes()[-1]}
        answer = desk.insist("confirm", desk.agent, f"proposals/{proposal}/confirm", body)
        assert answer.status_code == 200, answer.body
        (item,) = proposals()
        assert item.state == "active"
        login = person.item()
        assert login.phone == NEW
        assert login.openid is None
        assert login.bound_at is None
        assert len(person.events("phone-changed")) == 1
        assert not person.has_code()
        assert place.world.send(token).json_body["code"] == "recovery-expired"
        for phone in (person.number, NEW):
            notified = desk.notified("phone-changed", phone)
            assert notified in ((0, 1) if point.failed("confirm", SMS) else (1,))
        for phone, firms in ((NEW, 1), (person.number, 0)):
            found = desk.agent.get(f"/support/api/find?q={phone[3:]}").json_body["firms"]
            assert len(found) == firms

    swept = faults.sweep("support desk, new phone", act)
    assert {"GetItem", "UpdateItem", "PutItem", "TransactWriteItems", "DeleteItem", SMS} <= set(
        swept
    )


def test_a_change_is_undone_once(place: Place, faults: Faults) -> None:
    """The former phone is back with one event, and both phones are notified."""

    def act(point: Point) -> None:
        person = place.person(point)
        desk = Desk(person)
        proposal = desk.propose()
        assert desk.decide(proposal, "approve").status_code == 200
        desk.confirm_at_last(proposal)
        answer = desk.insist("undo", desk.supervisor, f"proposals/{proposal}/undo", {})
        assert answer.status_code == 200, answer.body
        (item,) = proposals()
        assert item.state == "undone"
        assert item.sealed_phone is None
        assert item.sealed_former is None
        assert person.item().phone == person.number
        assert len(person.events("phone-change-undone")) == 1
        for phone in (person.number, NEW):
            notified = desk.notified("phone-undone", phone)
            assert notified in ((0, 1) if point.failed("undo", SMS) else (1,))
        found = desk.agent.get(f"/support/api/find?q={person.number[3:]}").json_body["firms"]
        assert [firm["firm_no"] for firm in found] == [person.login]

    faults.sweep("support desk, undoing", act)
