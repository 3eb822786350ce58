"""The part of the model about the support desk: sessions, roles, identity checks and proposals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.stateful.changes import By, Changes
from tests.stateful.rules import DAY, HOUR, Answer, Login, answer, longest, wait

SESSION_LIFETIME = 8 * HOUR
PROPOSAL_LIFETIME, UNDO_LIFETIME = 2 * DAY, DAY
CODE_LIFETIME = 300

AGENTS, SUPERVISORS = frozenset({"agent", "supervisor"}), frozenset({"supervisor"})
REVIEWERS = frozenset({"supervisor", "auditor"})

ALLOWED: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("unlock", "unbind", "freeze", "identity", "propose"), AGENTS),
    **dict.fromkeys(("code", "confirm"), AGENTS),
    **dict.fromkeys(("unfreeze", "correct", "approve", "reject", "undo"), SUPERVISORS),
    **dict.fromkeys(("list", "sign out"), AGENTS | REVIEWERS),
}
"""The roles that permit an act at the desk."""


@dataclass(frozen=True)
class Member:
    """A member of the staff."""

    subject: str
    roles: frozenset[str]

    @property
    def actor(self) -> str:
        """The name in the audit."""
        return f"staff:{self.subject}"

    def is_same_person(self, subject: str) -> bool:
        """Return whether a subject may be this person; a provider may change the case of letters."""
        return self.subject.lower() == subject.lower()

    def sees(self, proposal: Proposal) -> bool:
        """Return whether the member sees a proposal: an agent sees their own ones."""
        return bool(self.roles & REVIEWERS) or proposal.by == self.subject


@dataclass
class Proposal:
    """A proposal to change a phone. Times are epoch seconds."""

    login: str
    phone: str
    reason: str
    document: str
    by: str
    """The subject of the member who made it."""
    at: int
    state: str = "waiting"
    decided_by: str | None = None
    decided_at: int | None = None
    code: str | None = None
    code_until: int = 0
    tries: int = 0
    sends: list[int] = field(default_factory=list)
    former: str | None = None
    confirmed_at: int | None = None

    def is_open(self, state: str, now: int) -> bool:
        """Return whether it is in this state and has not ended."""
        return self.state == state and now < self.at + PROPOSAL_LIFETIME

    def may_be_undone(self, now: int) -> bool:
        """Return whether its change may still be undone."""
        at = self.confirmed_at
        return self.state == "active" and at is not None and now < at + UNDO_LIFETIME

    @property
    def facts(self) -> dict[str, Any]:
        """What the desk shows of it."""
        at = self.confirmed_at
        return {
            "state": self.state,
            "login": self.login,
            "phone": masked(self.phone),
            "former": self.former and masked(self.former),
            "reason": self.reason,
            "document": self.document,
            "proposed_by": self.by,
            "proposed_at": self.at,
            "expires_at": self.at + PROPOSAL_LIFETIME,
            "decided_by": self.decided_by,
            "decided_at": self.decided_at,
            "confirmed_at": at,
            "undo_until": None if at is None else at + UNDO_LIFETIME,
        }

    @property
    def stored(self) -> dict[str, Any]:
        """What the table has of it, without what is encrypted."""
        facts = self.facts
        ends_at = facts.pop("expires_at")
        sends = sorted(self.sends, reverse=True) or None
        counts = {"attempts": self.tries, "sends": sends, "ends_at": ends_at}
        return {**facts, **counts}


def masked(phone: str) -> str:
    """Return a phone as the desk shows it."""
    return f"{phone[3:6]}****{phone[-4:]}"


@dataclass
class Desk(Changes):
    """The support desk."""

    ends: dict[str, int] = field(default_factory=dict)
    """The end of each session by its name, as the browser has it."""
    signed_out: set[str] = field(default_factory=set)
    """The sessions that were ended before."""
    proposals: list[Proposal] = field(default_factory=list)
    wrong_identity_firm: dict[str, list[int]] = field(default_factory=dict)
    wrong_identity_staff: dict[str, list[int]] = field(default_factory=dict)
    identified: dict[tuple[str, str], int] = field(default_factory=dict)
    """Until when an identity check of a firm by a subject permits proposals."""

    # Sessions.

    def sign_in(self, session: str) -> None:
        """Begin a session."""
        self.ends[session] = self.now + SESSION_LIFETIME

    def admit(self, member: Member, session: str, act: str) -> Answer | None:
        """Return the refusal of a call without a session, or without a role for the act."""
        if session in self.signed_out:
            return answer(401, "sign-in", why="after signing out")
        if self.now >= self.ends[session]:
            return answer(401, "sign-in", why="too old")
        if member.roles & ALLOWED[act]:
            return None
        return answer(403, "role", why="supervisor" if ALLOWED[act] == SUPERVISORS else "agent")

    def sign_out(self, session: str) -> Answer:
        """End a session."""
        self.signed_out.add(session)
        return answer(200)

    # Single logins and firms.

    def change(self, act: str, name: str, by: By) -> Answer:
        """Freeze, unfreeze, unlock or unbind a login."""
        if why := self.unchangeable(name):
            return self.refusal(why)
        changes: dict[str, Callable[[str, By], bool | None]] = {
            "freeze": self.freeze,
            "unfreeze": self.unfreeze,
            "unlock": self.unlock,
            "unbind": self.unbind_login,
        }
        changed = changes[act](name, by)
        if changed is None:
            return answer(409, "phone-not-bound")
        return answer(200, why=str(changed), login=name, changed=changed)

    def correct_facts(self, firm_no: str, facts: dict[str, str], by: By) -> Answer:
        """Correct a firm's facts."""
        if why := self.unchangeable(firm_no):
            return self.refusal(why, "firm_no")
        return answer(200, corrected=self.correct(firm_no, facts, by))

    def check_identity(self, member: Member, firm_no: str, said: dict[str, str]) -> Answer:
        """Compare what a caller says with the firm's facts."""
        firm, rules = self.firms[firm_no], self.rules
        if firm.is_erased(self.now):
            return answer(404, "account-not-found")
        of_firm = self.wrong_identity_firm.setdefault(firm_no, [])
        of_staff = self.wrong_identity_staff.setdefault(member.subject, [])
        waits = {
            "firm": wait(of_firm, rules.wrong_identity_firm, self.now),
            "staff": wait(of_staff, rules.wrong_identity_staff, self.now),
        }
        over, why = longest(waits)
        if over:
            return answer(429, "too-many-attempts", why=why, retry_after=over)
        self.record(firm_no, "identity-checked", By(member.actor, None))
        matches = said == firm.facts
        if matches:
            self.identified[firm_no, member.subject] = self.now + HOUR
        else:
            of_firm.append(self.now)
            of_staff.append(self.now)
        return answer(200, why=str(matches), matches=matches)

    # Proposals.

    def propose(self, member: Member, proposal: Proposal) -> Answer:
        """Propose another phone."""
        if why := self.unchangeable(proposal.login):
            return self.refusal(why)
        if self.logins[proposal.login].phone == proposal.phone:
            return answer(422, "invalid-input", why="same phone", field="phone")
        firm_no = proposal.login.removesuffix("_cw")
        if self.now >= self.identified.get((firm_no, member.subject), 0):
            return answer(409, "identity-not-checked")
        self.proposals.append(proposal)
        reason = f"{proposal.reason}（{proposal.document}）"
        self.record(proposal.login, "phone-proposed", By(member.actor, reason))
        return answer(202, **proposal.facts)

    def decide(self, member: Member, proposal: Proposal, state: str, number: int) -> Answer:
        """Approve or reject a proposal; the code of an approved one will be `number`."""
        approved = state == "approved"
        if approved and (why := self.unchangeable(proposal.login)):
            return self.refusal(why)
        if member.is_same_person(proposal.by):
            return answer(403, "own-proposal")
        if not proposal.is_open("waiting", self.now):
            return answer(409, "proposal-closed", why=self._closed(proposal))
        proposal.state, proposal.decided_by = state, member.subject
        proposal.decided_at = self.now
        self.record(proposal.login, f"phone-{state}", By(member.actor, proposal.reason))
        if approved:
            login = self.logins[proposal.login]
            self._notify("phone-approved", proposal.login, [login.phone], login.openid)
            return self.send_phone_code(member, proposal, number, 200)
        return answer(200, **proposal.facts)

    def _closed(self, proposal: Proposal) -> str:
        """Return why a proposal does not permit an act."""
        ended = proposal.state in ("waiting", "approved") and not proposal.is_open(
            proposal.state, self.now
        )
        return "ended" if ended else proposal.state

    def send_phone_code(
        self,
        member: Member,
        proposal: Proposal,
        number: int,
        status: int = 202,
        *,
        accepted: bool = True,
    ) -> Answer:
        """Send a code to the new phone; `accepted` where a gateway would accept it."""
        if not member.sees(proposal):
            return answer(404, "proposal-not-found")
        if why := self.unchangeable(proposal.login):
            return self.refusal(why)
        if not proposal.is_open("approved", self.now):
            return answer(409, "proposal-closed", why=self._closed(proposal))
        for name, window in self.rules.phone_sends.items():
            if wait(proposal.sends, window, self.now):
                return answer(429, "too-many-requests", why=name, retry_after=60)
        to = ("sms", proposal.phone)
        if refusal := self.by_destination(to):
            return refusal._replace(why=f"phone by the {refusal.why}").answer
        proposal.code, proposal.code_until = f"{number:06d}", self.now + CODE_LIFETIME
        proposal.tries = 0
        proposal.sends.append(self.now)
        self.sends_to.setdefault(to, []).append(self.now)
        self.record(proposal.login, "phone-code-sent", By(member.actor, None))
        self.sms.append((proposal.phone, "phone-code"))
        if not accepted:
            return answer(502, "delivery-failed")
        return answer(status, **proposal.facts)

    def confirm_phone(self, member: Member, proposal: Proposal, digits: str) -> Answer:
        """Compare the code that reached the new phone, and bind that phone."""
        if not member.sees(proposal):
            return answer(404, "proposal-not-found")
        if not proposal.is_open("approved", self.now):
            return answer(409, "proposal-closed", why=self._closed(proposal))
        most = self.rules.phone_tries
        if proposal.tries >= most:
            return answer(429, "too-many-attempts", why="phone-code-tries")
        if proposal.code is None or proposal.code_until <= self.now:
            return answer(410, "code-expired")
        proposal.tries += 1
        if digits != proposal.code:
            return answer(400, "code-wrong", attempts_left=most - proposal.tries)
        if why := self.unchangeable(proposal.login):
            return self.refusal(why)
        login = self.logins[proposal.login]
        proposal.former, proposal.confirmed_at = login.phone, self.now
        proposal.state, proposal.code = "active", None
        reason = f"{proposal.reason}（{proposal.document}）"
        self._replace_phone("phone-changed", login, proposal, proposal.phone)
        self.record(proposal.login, "phone-changed", By(member.actor, reason))
        return answer(200, **proposal.facts)

    def undo(self, member: Member, proposal: Proposal) -> Answer:
        """Bind the former phone again."""
        if not proposal.may_be_undone(self.now):
            ended = "ended" if proposal.state == "active" else proposal.state
            return answer(409, "proposal-closed", why=ended)
        if why := self.unchangeable(proposal.login):
            return self.refusal(why)
        login = self.logins[proposal.login]
        if login.phone != proposal.phone:
            return answer(409, "proposal-closed", why="other phone")
        proposal.state = "undone"
        self._replace_phone("phone-undone", login, proposal, proposal.former)
        self.record(proposal.login, "phone-change-undone", By(member.actor, None))
        return answer(200, **proposal.facts)

    def _replace_phone(
        self, notice: str, login: Login, proposal: Proposal, phone: str | None
    ) -> None:
        """Bind a phone or none, unbind the WeChat, end recoveries, and notify both phones."""
        self._notify(notice, proposal.login, [login.phone], login.openid)
        self._notify(notice, proposal.login, [phone], None)
        login.phone, login.openid = phone, None
        self.end_recoveries(login)

    def list_proposals(self, member: Member) -> Answer:
        """List the proposals that a member sees."""
        self.record(member.actor, "desk-proposals", By(member.actor, None))
        seen = sum(member.sees(proposal) for proposal in self.proposals)
        others = " and none of others" if seen < len(self.proposals) else ""
        return answer(200, why=f"{'some' if seen else 'none'}{others}")
