"""A phone's change with four eyes: proposed, approved by another person, confirmed, undone."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from chalice.test import HTTPResponse

from chalicelib.store.desk_models import ProposalItem
from chalicelib.store.ephemeral_models import CodeItem
from chalicelib.store.models import AuditItem, LoginItem
from tests.conftest import PHONE, MakeWorld
from tests.integration.test_desk_logins import FACTS
from tests.support.desk import AGENT, SUPERVISOR, Browser, Desk, desk_of

LOGIN = "11010148"
NEW = "13900002222"
BODY = {"phone": NEW, "reason": "员工离职", "document": "公函2027-3"}
PROPOSALS = "/support/api/proposals"


def propose(desk: Desk, browser: Browser | None = None, **changes: str) -> HTTPResponse:
    """Check the identity and propose the new phone."""
    by = browser or desk.agent
    checked = by.post(f"/support/api/firms/{LOGIN}/identity", FACTS)
    assert checked.json_body == {"matches": True}
    return by.post(f"/support/api/logins/{LOGIN}/phone", {**BODY, **changes})


def act(browser: Browser, proposal: str, name: str, body: Any = None) -> HTTPResponse:
    """Call an act on a proposal."""
    return browser.post(f"{PROPOSALS}/{proposal}/{name}", body)


def approved(desk: Desk) -> str:
    """Return the id of a proposal that was approved."""
    proposal = str(propose(desk).json_body["id"])
    answer = act(desk.supervisor, proposal, "approve")
    assert answer.status_code == 200, answer.body
    return proposal


def code(desk: Desk) -> str:
    """Return the last code that went to a new phone."""
    sms = [each for each in desk.world.phones.sent if each.template == "phone-code"][-1]
    assert sms.to == f"+86{NEW}"
    return sms.params["code"]


def confirmed(desk: Desk) -> str:
    """Return the id of a proposal whose phone is bound."""
    proposal = approved(desk)
    answer = act(desk.agent, proposal, "confirm", {"code": code(desk)})
    assert answer.status_code == 200, answer.body
    return proposal


def refused(answer: HTTPResponse, status: int, code: str) -> bool:
    """Return whether the answer is this problem."""
    return (answer.status_code, answer.json_body.get("code")) == (status, code)


def test_a_phone_is_changed_by_two_people_and_its_owner(desk: Desk) -> None:
    """The old phone is notified at once and at the end, recoveries end, the WeChat is unbound."""
    world = desk.world
    LoginItem(LOGIN).update([LoginItem.openid.set("o-left"), LoginItem.bound_at.set(1)])
    token = world.token(openid="o-left")
    answer = propose(desk)
    assert answer.status_code == 202
    proposed = answer.json_body
    assert (proposed["phone"], proposed["state"]) == ("139****2222", "waiting")
    assert proposed["expires_at"] == world.clock.time + 2 * 86_400
    assert world.phones.sent == []
    answer = act(desk.supervisor, proposed["id"], "approve")
    assert (answer.json_body["state"], answer.json_body["decided_by"]) == ("approved", SUPERVISOR)
    assert [(sms.to, sms.template) for sms in world.phones.sent] == [
        (PHONE, "phone-approved"),
        (f"+86{NEW}", "phone-code"),
    ]
    assert world.login_item().phone == PHONE
    answer = act(desk.agent, proposed["id"], "confirm", {"code": code(desk)})
    assert answer.json_body["state"] == "active"
    assert answer.json_body["undo_until"] == world.clock.time + 86_400
    item = world.login_item()
    assert [item.phone, item.openid, item.bound_at] == [f"+86{NEW}", None, None]
    assert [(sms.to, sms.template) for sms in world.phones.sent[2:]] == [
        (PHONE, "phone-changed"),
        (f"+86{NEW}", "phone-changed"),
    ]
    assert refused(world.send(token), 401, "recovery-expired")
    found = desk.agent.get(f"/support/api/find?q={NEW}").json_body["firms"]
    assert [firm["firm_no"] for firm in found] == [LOGIN]
    events = [(item.event, item.actor, item.outcome) for item in AuditItem.query(LOGIN)]
    changes = [event for event in events if event[0].startswith("phone-")]
    assert changes == [
        ("phone-proposed", f"staff:{AGENT}", None),
        ("phone-approved", f"staff:{SUPERVISOR}", None),
        ("phone-code-sent", f"staff:{SUPERVISOR}", "sent"),
        ("phone-changed", f"staff:{AGENT}", "was 138****1234"),
    ]


def test_a_proposal_needs_an_identity_check_of_this_firm_by_this_person(desk: Desk) -> None:
    """That matched within the hour."""
    path = f"/support/api/logins/{LOGIN}/phone"
    assert refused(desk.agent.post(path, BODY), 409, "identity-not-checked")
    wrong = {**FACTS, "head_id_last4": "0000"}
    desk.agent.post(f"/support/api/firms/{LOGIN}/identity", wrong)
    assert refused(desk.agent.post(path, BODY), 409, "identity-not-checked")
    desk.agent.post(f"/support/api/firms/{LOGIN}/identity", FACTS)
    assert refused(desk.supervisor.post(path, BODY), 409, "identity-not-checked")
    desk.world.clock.time += 3_599
    assert desk.agent.post(path, BODY).status_code == 202
    desk.world.clock.time += 1
    assert refused(desk.agent.post(path, BODY), 409, "identity-not-checked")


def test_nobody_decides_on_their_own_proposal(desk: Desk) -> None:
    """A supervisor may propose; another one must approve or reject."""
    proposal = propose(desk, desk.supervisor).json_body["id"]
    for name in ("approve", "reject"):
        answer = act(desk.supervisor, proposal, name)
        assert refused(answer, 403, "own-proposal")
    assert ProposalItem.get("proposal", proposal).state == "waiting"
    assert desk.world.phones.sent == []


def test_the_write_itself_refuses_the_proposer(desk: Desk) -> None:
    """Also where the check before it would have been skipped."""
    from chalicelib.store import audit
    from chalicelib.store.proposals import ConditionFailed, Proposals

    proposal = propose(desk).json_body["id"]
    event = audit.entry(LOGIN, "phone-approved", desk.world.clock.time)
    with pytest.raises(ConditionFailed):
        Proposals.decide(proposal, "approved", AGENT, event, desk.world.clock.time)


def test_a_proposal_ends_after_two_days(desk: Desk) -> None:
    """Whether it waits or is approved."""
    waiting, other = (str(propose(desk).json_body["id"]) for _ in range(2))
    act(desk.supervisor, other, "approve")
    desk.world.clock.time += 2 * 86_400
    desk._browsers.clear()
    assert refused(act(desk.supervisor, waiting, "approve"), 409, "proposal-closed")
    assert refused(act(desk.supervisor, waiting, "reject"), 409, "proposal-closed")
    assert refused(act(desk.agent, other, "code"), 409, "proposal-closed")
    assert refused(act(desk.agent, other, "confirm", {"code": "0" * 6}), 409, "proposal-closed")


def test_a_proposal_is_decided_once(desk: Desk) -> None:
    """A rejected one keeps no phone and sends nothing."""
    proposal = propose(desk).json_body["id"]
    assert act(desk.supervisor, proposal, "reject").json_body["state"] == "rejected"
    for name in ("approve", "reject", "undo"):
        assert refused(act(desk.supervisor, proposal, name), 409, "proposal-closed")
    item = ProposalItem.get("proposal", proposal)
    assert item.sealed_phone is None
    assert desk.world.phones.sent == []
    for name, body in (("code", {}), ("confirm", {"code": "123456"})):
        assert refused(act(desk.agent, proposal, name, body), 409, "proposal-closed")


def test_a_code_has_five_tries_and_five_minutes(desk: Desk) -> None:
    """Then another one is sent, after a minute and at most five times."""
    proposal = approved(desk)
    right = code(desk)
    wrong = f"{(int(right) + 1) % 10**6:06d}"
    for left in (4, 3, 2, 1, 0):
        answer = act(desk.agent, proposal, "confirm", {"code": wrong})
        assert refused(answer, 400, "code-wrong")
        assert answer.json_body["attempts_left"] == left
    answer = act(desk.agent, proposal, "confirm", {"code": right})
    assert refused(answer, 429, "too-many-attempts")
    assert refused(act(desk.agent, proposal, "code"), 429, "too-many-requests")
    desk.world.clock.time += 60
    assert act(desk.agent, proposal, "code").status_code == 202
    desk.world.clock.time += 300
    answer = act(desk.agent, proposal, "confirm", {"code": code(desk)})
    assert refused(answer, 410, "code-expired")
    for _ in range(3):
        desk.world.clock.time += 60
        assert act(desk.agent, proposal, "code").status_code == 202
    desk.world.clock.time += 60
    assert refused(act(desk.agent, proposal, "code"), 429, "too-many-requests")
    assert desk.world.login_item().phone == PHONE


def test_a_code_of_another_proposal_or_recovery_confirms_nothing(desk: Desk) -> None:
    """Its digest is bound to its proposal and its purpose, so that it fits in no other place."""
    first = approved(desk)
    of_first = code(desk)
    desk.world.clock.time += 60
    second = approved(desk)
    desk.world.send(desk.world.token())
    of_recovery = desk.world.phones.codes[0]
    digests = (
        (of_first, ProposalItem.get("proposal", first).digest),
        (of_recovery, CodeItem.get(f"code#{LOGIN}").digest),
    )
    for other, digest in digests:
        ProposalItem("proposal", second).update([ProposalItem.digest.set(digest)])
        answer = act(desk.agent, second, "confirm", {"code": other})
        assert refused(answer, 400, "code-wrong")
    assert act(desk.agent, first, "confirm", {"code": of_first}).status_code == 200


def test_a_code_that_no_gateway_sends_may_be_requested_again(desk: Desk) -> None:
    """The approval stays."""
    from chalicelib.sms.gateway import Outcome

    proposal = propose(desk).json_body["id"]
    desk.world.phones.outcomes = [Outcome.SENT, Outcome.TRY_ANOTHER]
    assert refused(act(desk.supervisor, proposal, "approve"), 502, "delivery-failed")
    desk.world.clock.time += 60
    assert act(desk.agent, proposal, "code").json_body["state"] == "approved"
    assert act(desk.agent, proposal, "confirm", {"code": code(desk)}).status_code == 200


def test_a_change_is_undone_within_a_day(desk: Desk) -> None:
    """The former phone is bound again; a WeChat bound since is unbound; both are notified."""
    proposal = confirmed(desk)
    LoginItem(LOGIN).update([LoginItem.openid.set("o-new")])
    desk.world.clock.time += 86_399
    desk._browsers.clear()
    answer = act(desk.supervisor, proposal, "undo")
    assert answer.json_body["state"] == "undone", answer.body
    item = desk.world.login_item()
    assert [item.phone, item.openid] == [PHONE, None]
    assert [(sms.to, sms.template) for sms in desk.world.phones.sent[-2:]] == [
        (f"+86{NEW}", "phone-undone"),
        (PHONE, "phone-undone"),
    ]
    assert refused(act(desk.supervisor, proposal, "undo"), 409, "proposal-closed")
    stored = ProposalItem.get("proposal", proposal)
    assert [stored.sealed_phone, stored.sealed_former] == [None, None]
    assert desk.agent.get(f"/support/api/find?q={NEW}").json_body["firms"] == []


def test_a_first_phone_is_undone_to_none(desk: Desk) -> None:
    """Call 3 of the desk: from nothing to a phone, and back."""
    LoginItem(LOGIN).update([LoginItem.phone.remove()])
    proposal = confirmed(desk)
    assert act(desk.supervisor, proposal, "undo").status_code == 200
    assert desk.world.login_item().phone is None


def test_a_change_is_not_undone_after_a_day_or_another_change(desk: Desk) -> None:
    """An operator's later change stays."""
    proposal = confirmed(desk)
    desk.world.service.desk.support.change_phone(LOGIN, "13700001111", actor="a", reason="r")
    assert refused(act(desk.supervisor, proposal, "undo"), 409, "proposal-closed")
    desk.world.service.desk.support.change_phone(LOGIN, NEW, actor="a", reason="r")
    desk.world.clock.time += 86_400
    desk._browsers.clear()
    assert refused(act(desk.supervisor, proposal, "undo"), 409, "proposal-closed")
    assert desk.world.login_item().phone == f"+86{NEW}"


def test_the_phone_that_is_replaced_is_that_of_now(desk: Desk) -> None:
    """An import or an operator has changed it since the approval: the one of now is notified."""
    proposal = approved(desk)
    right = code(desk)
    desk.world.service.desk.support.change_phone(LOGIN, "13700001111", actor="a", reason="r")
    assert (
        act(desk.agent, proposal, "confirm", {"code": right}).json_body["former"] == "137****1111"
    )
    assert desk.world.phones.sent[-2].to == "+8613700001111"


def test_no_phone_is_stored_in_the_clear(desk: Desk) -> None:
    """Sealed until it is not needed any more."""
    proposal = confirmed(desk)
    stored = str(ProposalItem.get("proposal", proposal).attribute_values)
    assert NEW not in stored
    assert PHONE.removeprefix("+86") not in stored


@pytest.mark.parametrize(
    "phone", ["", "1390000222", "010-88250337", "+1 555 123 4567", "13800001234"]
)
def test_a_phone_must_be_a_new_mobile_number(desk: Desk, phone: str) -> None:
    """Not the bound one either."""
    answer = propose(desk, phone=phone)
    assert (answer.status_code, answer.json_body["field"]) == (422, "phone")


def test_an_agent_sees_their_own_proposals_alone(desk: Desk) -> None:
    """Supervisors and auditors see all of them, masked, the newest first."""
    mine = propose(desk).json_body["id"]
    desk.world.clock.time += 1
    other = propose(desk, desk.supervisor).json_body["id"]

    def ids(browser: Browser) -> list[str]:
        return [each["id"] for each in browser.get(PROPOSALS).json_body["proposals"]]

    assert ids(desk.agent) == [mine]
    assert ids(desk.supervisor) == ids(desk.auditor) == [other, mine]


@pytest.mark.parametrize("proposal", ["x", "%20", "..", "1800000000000-" + "0" * 32])
def test_an_unknown_proposal(desk: Desk, proposal: str) -> None:
    """404, whatever the id looks like."""
    assert refused(act(desk.supervisor, proposal, "approve"), 404, "proposal-not-found")


def test_a_proposal_for_a_login_that_was_erased_is_not_approved(desk: Desk) -> None:
    """Nobody is notified and no code is sent."""
    proposal = str(propose(desk).json_body["id"])
    LoginItem.get(LOGIN).delete()
    assert refused(act(desk.supervisor, proposal, "approve"), 404, "account-not-found")
    assert desk.world.phones.sent == []


def test_two_confirmations_at_once_change_the_phone_once(make_real_world: MakeWorld) -> None:
    """One of them is refused; on DynamoDB Local."""
    with desk_of(make_real_world) as desk:
        proposal = approved(desk)
        right, agent = code(desk), desk.agent
        answers: list[HTTPResponse] = []
        start = threading.Barrier(4)

        def confirm() -> None:
            browser = desk.browser()
            browser.cookies = dict(agent.cookies)
            start.wait()
            answers.append(act(browser, proposal, "confirm", {"code": right}))

        threads = [threading.Thread(target=confirm) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answer.status_code for answer in answers).count(200) == 1
        changes = [item for item in AuditItem.query(LOGIN) if item.event == "phone-changed"]
        assert len(changes) == 1
