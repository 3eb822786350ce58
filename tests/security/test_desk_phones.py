"""Attacks 18, 80 to 82, 88 and 89: identity checks, and changes of a phone by one person alone."""

from __future__ import annotations

import itertools

import pytest

from chalicelib.domain import codes
from chalicelib.domain import staff as staff_rules
from chalicelib.handlers import desk_reviews
from chalicelib.services.desk.identity import Identity
from chalicelib.services.desk.phone_change import PhoneChange
from chalicelib.store import identity_checks, proposals
from chalicelib.store.desk_models import ProposalItem
from chalicelib.store.identity_checks import IdentityChecks
from chalicelib.store.models import AuditItem, LoginItem
from chalicelib.store.proposals import LIFETIME_OF_PROPOSAL, UNDO_LIFETIME, Proposals
from tests.conftest import PHONE, add_firm
from tests.security.actions import draw
from tests.security.desk_actions import (
    LOGIN,
    NEW,
    PROPOSALS,
    act,
    approved,
    identity,
    is_refused,
    issue,
    phone_code,
    propose,
    wrong,
)
from tests.security.mutation import SourceMutation, Together, attack
from tests.support.desk import AGENT, SUPERVISOR, Browser, Desk

UNKNOWN = "1800000000000-" + "0" * 32
OTHER_FIRM = "22010148"
PROPOSE = f"/support/api/logins/{LOGIN}/phone"
BODY = {"phone": NEW, "reason": "员工离职", "document": "公函2027-3"}


def other_agent(monkeypatch: pytest.MonkeyPatch, desk: Desk) -> Browser:
    """Return the browser of a second agent."""
    issue(monkeypatch, desk, sub="staff-wang", roles=["agent"])
    browser = desk.browser()
    browser.sign_in(AGENT)
    monkeypatch.undo()
    return browser


# 80


@attack(
    80,
    Together(
        SourceMutation(
            PhoneChange._decide, "same_person(proposal.proposed_by, staff.subject)", "False"
        ),
        SourceMutation(Proposals.decide, " & (ProposalItem.proposed_by != subject)"),
    ),
    SourceMutation(
        staff_rules.same_person,
        "subject.strip().casefold() == other.strip().casefold()",
        "subject == other",
    ),
)
def test_nobody_approves_their_own_proposal(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in another browser, and not where the provider spells the same person otherwise."""
    proposal = propose(desk.supervisor)
    for subject in (SUPERVISOR, "Staff-Zhao", "STAFF-ZHAO", f"{SUPERVISOR} "):
        issue(monkeypatch, desk, sub=subject, roles=["agent", "supervisor"])
        browser = desk.browser()
        browser.sign_in(SUPERVISOR)
        for name in ("approve", "reject"):
            assert is_refused(act(browser, proposal, name), 403, "own-proposal"), subject
    assert ProposalItem.get("proposal", proposal).state == "waiting"
    assert desk.world.phones.sent == []


# 81

NO_LONGER_OPEN = Together(
    SourceMutation(PhoneChange.confirm, " or proposal.ends_at <= now"),
    SourceMutation(proposals._is_open, " & (ProposalItem.ends_at > now)"),
)
NO_LONGER_UNDONE = Together(
    SourceMutation(PhoneChange.undo, "(proposal.undo_until or 0) <= now", "False"),
    SourceMutation(Proposals.undo, " & (ProposalItem.undo_until > now)"),
)


@attack(
    81,
    SourceMutation(
        PhoneChange._get_for, "not staff.sees_proposals_of(proposal.proposed_by)", "False"
    ),
    SourceMutation(desk_reviews.proposals, " if staff.sees_proposals_of(each.proposed_by)"),
)
def test_a_proposal_of_another_agent_does_not_exist(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever learns its id, and even its code, gets the answer of an unknown one."""
    stranger = other_agent(monkeypatch, desk)
    proposal = approved(desk)
    code = phone_code(desk)
    assert stranger.get(PROPOSALS).json_body == {"proposals": []}
    desk.world.clock.time += 60
    for each in (proposal, UNKNOWN):
        assert is_refused(act(stranger, each, "code"), 404, "proposal-not-found")
        assert is_refused(act(stranger, each, "confirm", code=code), 404, "proposal-not-found")
        assert is_refused(act(stranger, each, "undo"), 403, "role")
    assert desk.world.login_item().phone == PHONE
    assert ProposalItem.get("proposal", proposal).attempts == 0
    assert act(desk.agent, proposal, "confirm", code=code).status_code == 200


@attack(81, NO_LONGER_OPEN, NO_LONGER_UNDONE)
def test_a_proposal_that_has_ended_changes_nothing(desk: Desk) -> None:
    """One that was rejected, one after two days, and a change that is a day old."""
    clock = desk.world.clock
    rejected, late = propose(desk.agent), propose(desk.agent)
    assert act(desk.supervisor, rejected, "reject").status_code == 200
    for name, body in (("confirm", {"code": "123456"}), ("code", {})):
        assert is_refused(act(desk.agent, rejected, name, **body), 409, "proposal-closed")
    for name in ("approve", "undo"):
        assert is_refused(act(desk.supervisor, rejected, name), 409, "proposal-closed")

    clock.time += LIFETIME_OF_PROPOSAL - 60
    desk._browsers.clear()
    assert act(desk.supervisor, late, "approve").status_code == 200
    clock.time += 60
    code = phone_code(desk)
    assert is_refused(act(desk.agent, late, "confirm", code=code), 409, "proposal-closed")
    assert desk.world.login_item().phone == PHONE

    done = approved(desk)
    assert act(desk.agent, done, "confirm", code=phone_code(desk)).status_code == 200
    clock.time += UNDO_LIFETIME
    desk._browsers.clear()
    assert is_refused(act(desk.supervisor, done, "undo"), 409, "proposal-closed")
    assert desk.world.login_item().phone == f"+86{NEW}"


@attack(81, SourceMutation(PhoneChange.undo, "was.phone != phone", "False"))
def test_an_undoing_reverts_its_own_change_alone(desk: Desk) -> None:
    """An older change stays undone by nobody once the login has another phone."""
    done = approved(desk)
    assert act(desk.agent, done, "confirm", code=phone_code(desk)).status_code == 200
    newer = propose(desk.agent, phone="13700003333")
    assert act(desk.supervisor, newer, "approve").status_code == 200
    assert act(desk.agent, newer, "confirm", code=phone_code(desk)).status_code == 200
    assert is_refused(act(desk.supervisor, done, "undo"), 409, "proposal-closed")
    assert desk.world.login_item().phone == "+8613700003333"


# 82

LAST = "matches = all(right)"


@attack(
    82,
    SourceMutation(Identity.check, "self._checks.count(firm_no, staff.subject, now)"),
    SourceMutation(
        IdentityChecks.count, "within_limits(IdentityItem.wrongs, windows, now)", "None"
    ),
    SourceMutation(
        Identity.check, LAST, f"{LAST}\n    if not right[0]:\n        raise AccountNotFound"
    ),
    SourceMutation(
        Identity.check,
        '"matches" if matches else "differs"',
        "'matches' if matches else str(right)",
    ),
)
def test_an_identity_check_discloses_no_fact(desk: Desk) -> None:
    """Five wrong ones a firm and day of all staff; no answer and no record says what was wrong."""
    mistakes = (
        {"approval_no": "京财会许可〔2012〕0085号"},
        {"head_name": "某人"},
        {"head_id_last4": "0000"},
        {"head_name": "某人", "head_id_last4": "0000"},
        {"approval_no": "1", "head_name": "某人", "head_id_last4": "0000"},
    )
    answers = [identity(desk.agent, **mistaken) for mistaken in mistakes]
    assert {(one.status_code, one.body) for one in answers} == {(200, b'{"matches": false}')}
    assert len({str(one.headers) for one in answers}) == 1
    events = [item for item in AuditItem.query(LOGIN) if item.event == "identity-checked"]
    assert [item.outcome for item in events] == ["differs"] * len(mistakes)
    for browser in (desk.agent, desk.supervisor):
        for said in ({}, mistakes[0]):
            assert is_refused(identity(browser, **said), 429, "too-many-attempts")


# 88


@attack(
    88,
    SourceMutation(
        Proposals.propose,
        "IdentityItem.expires_at > now",
        "IdentityItem.id.exists() | IdentityItem.id.does_not_exist()",
    ),
    SourceMutation(
        Proposals.propose, "IdentityItem.expires_at > now", "IdentityItem.expires_at.exists()"
    ),
    SourceMutation(
        identity_checks.match_key, 'f"identity-ok#{firm_no}#{subject}"', '"identity-ok"'
    ),
    SourceMutation(Identity.check, "if matches:", "if True:"),
)
def test_no_phone_is_proposed_without_an_identity_check(desk: Desk) -> None:
    """One that matched, of this firm, by this person, within the hour."""
    add_firm(desk.world.service.hasher, OTHER_FIRM)
    agent = desk.agent

    def refuses() -> bool:
        return is_refused(agent.post(PROPOSE, BODY), 409, "identity-not-checked")

    assert refuses()
    assert identity(agent, head_id_last4="0000").json_body == {"matches": False}
    assert refuses()
    assert identity(agent, OTHER_FIRM).json_body == {"matches": True}
    assert identity(desk.supervisor).json_body == {"matches": True}
    assert refuses()
    assert identity(agent).json_body == {"matches": True}
    desk.world.clock.time += identity_checks.MATCH_LIFETIME
    assert refuses()
    assert agent.get(PROPOSALS).json_body == {"proposals": []}


# 89


@attack(
    89,
    SourceMutation(PhoneChange.confirm, "one_time.matches(", "(lambda *_, **__: True)("),
    SourceMutation(Proposals.count_try, "& (ProposalItem.code_expires_at > now)"),
    SourceMutation(Proposals.count_try, "& (ProposalItem.attempts < TRIES)"),
    SourceMutation(
        PhoneChange.approve,
        "self._notifications.notify(",
        "(lambda *_, **__: None)(",
    ),
)
def test_a_phone_counts_only_once_its_code_was_entered(desk: Desk) -> None:
    """The approval leaves the former phone in place, which is notified and still gets the codes."""
    numbers = itertools.count(100_001)
    desk.world.service.randbelow = lambda _: next(numbers)
    draw(desk.world, "200001")
    proposal = approved(desk)
    code = phone_code(desk)
    first = desk.world.phones.sent[0]
    assert (first.to, first.template) == (PHONE, "phone-approved")
    assert desk.world.login_item().phone == PHONE
    token = desk.world.token()
    assert desk.world.send(token).status_code == 202
    assert desk.world.phones.sent[-1].to == PHONE
    of_recovery = desk.world.phones.codes[-1]
    for guess in (of_recovery, *[wrong(code)] * 4):
        assert is_refused(act(desk.agent, proposal, "confirm", code=guess), 400, "code-wrong")
    assert is_refused(act(desk.agent, proposal, "confirm", code=code), 429, "too-many-attempts")
    desk.world.clock.time += 60
    assert act(desk.agent, proposal, "code").status_code == 202
    desk.world.clock.time += codes.LIFETIME
    late = phone_code(desk)
    assert is_refused(act(desk.agent, proposal, "confirm", code=late), 410, "code-expired")
    assert desk.world.login_item().phone == PHONE
    assert act(desk.agent, proposal, "code").status_code == 202
    last = act(desk.agent, proposal, "confirm", code=phone_code(desk))
    assert last.json_body["state"] == "active"
    assert desk.world.login_item().phone == f"+86{NEW}"


# 18, of the support desk


@attack(
    18,
    SourceMutation(
        Proposals.reserve_code, "within_limits(DestinationItem.sends, windows, now)", "None"
    ),
    SourceMutation(Proposals.reserve_code, "prepend(DestinationItem.sends, now), "),
    SourceMutation(
        PhoneChange._send_code, 'self._codes.destination_id("sms", phone)', "'to#' + proposal.id"
    ),
)
def test_a_new_phone_receives_no_more_codes_than_any_other(desk: Desk) -> None:
    """Codes of proposals and of recoveries count together, over all proposals for a phone."""
    world = desk.world
    world.login_item("11010148_cw").update([LoginItem.phone.set(f"+86{NEW}")])
    first, second = propose(desk.agent), propose(desk.agent)
    assert act(desk.supervisor, first, "approve").status_code == 200
    assert is_refused(act(desk.supervisor, second, "approve"), 429, "too-many-requests")
    for number in range(4):
        assert is_refused(world.send(world.token("11010148_cw")), 429, "too-many-requests")
        world.clock.time += 60
        sent = act(desk.agent, (first, second)[number % 2], "code")
        assert sent.status_code == 202, sent.body
    world.clock.time += 60
    refused = act(desk.agent, first, "code")
    assert is_refused(refused, 429, "too-many-requests")
    assert refused.json_body["retry_after"] == 3_600 - 5 * 60
    assert len([sms for sms in world.phones.sent if sms.to == f"+86{NEW}"]) == 5
