"""The actions of the support desk's staff, and of owners who freeze a login by a notice's link."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chalice.test import HTTPResponse

from chalicelib.sms.gateway import Outcome
from tests.stateful.changes import By
from tests.stateful.desk import Member, Proposal
from tests.stateful.driver import DIE, WRONG, Draw, Driver
from tests.stateful.environment import CORRECTED, FACTS, MEMBERS, NEW_PHONES
from tests.stateful.rules import Answer

AGENT, COLLEAGUE, SUPERVISOR, SECOND_SUPERVISOR, AUDITOR = MEMBERS
REASON, DOCUMENT = "来电核实", "公函2027-3"
KINDS = {"confirm": "confirm phone", "unbind": "unbind by staff"}
"""Acts whose name is also one of a recovery."""

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class StaffActions(Driver):
    """The desk's acts. In a scenario the right member of the staff acts, otherwise anybody."""

    def __init__(self) -> None:
        super().__init__()
        self.clerk = AGENT
        """Who speaks with the caller of the scenario."""
        self.sessions: dict[str, str] = {}
        """The session of each member's browser."""
        self.sign_ins = 0
        self.proposals: list[str] = []
        """The ids of the proposals, in the order of those of the model."""

    # Calls.

    def _member(self, draw: Draw, subject: str) -> Member:
        names = list(MEMBERS)
        return MEMBERS[subject if self.in_scenario else names[draw(DIE) % len(names)]]

    def _call(
        self,
        act: str,
        member: Member,
        path: str,
        body: dict[str, str],
        expected: Callable[[], Answer],
        method: str = "POST",
    ) -> HTTPResponse:
        """Make a call of the desk, again after signing in where the session has ended."""
        while True:
            session = self.sessions.get(member.subject)
            if session is None:
                self.sign_ins += 1
                session = self.sessions[member.subject] = f"session-{self.sign_ins}"
                self.model.sign_in(session)
            headers = self.environment.as_staff(member, session, self.model.ends[session])
            refusal = self.model.admit(member, session, act)
            sent = None if method == "GET" else body
            answer = self.world.call(method, f"/support/{path}", sent, headers=headers)
            what = "desk" if refusal else KINDS.get(act, act)
            self.check(what, answer, refusal or expected())
            if refusal is None or refusal.status != 401:
                return answer
            del self.sessions[member.subject]

    def staff_signs_out(self, draw: Draw) -> None:
        """The session ends; a copy of its cookie is used for the member's next act."""
        member = self._member(draw, self.clerk)

        def expected() -> Answer:
            return self.model.sign_out(self.sessions[member.subject])

        self._call("sign out", member, "sign-out", {}, expected)

    # Single logins.

    def staff_freezes(self, draw: Draw) -> None:
        self._changes("freeze", self.name(draw), self._member(draw, self.clerk))

    def staff_unfreezes(self, draw: Draw) -> None:
        self._changes("unfreeze", self.name(draw), self._member(draw, SUPERVISOR))

    def staff_unlocks(self, draw: Draw) -> None:
        self._changes("unlock", self.name(draw), self._member(draw, self.clerk))

    def staff_unbinds(self, draw: Draw) -> None:
        self._changes("unbind", self.name(draw), self._member(draw, self.clerk))

    def auditor_changes(self, draw: Draw) -> None:
        """An auditor attempts to change a login."""
        acts = ("freeze", "unfreeze", "unlock", "unbind")
        self._changes(acts[draw(DIE) % len(acts)], self.name(draw), MEMBERS[AUDITOR])

    def agent_unfreezes(self, draw: Draw) -> None:
        """An agent attempts what only a supervisor may do."""
        self._changes("unfreeze", self.name(draw), MEMBERS[AGENT])

    def _changes(self, act: str, name: str, member: Member) -> None:
        by = By(member.actor, REASON)
        path, body = f"api/logins/{name}/{act}", {"reason": REASON}
        self._call(act, member, path, body, lambda: self.model.change(act, name, by))

    # Firms.

    def supervisor_serves(self, _: Draw) -> None:
        """A supervisor continues the scenario's call."""
        self.clerk = SUPERVISOR

    def next_firm(self, _: Draw) -> None:
        """The scenario continues with a login of another firm."""
        numbers = list(self.model.firms)
        place = numbers.index(self.focus.removesuffix("_cw"))
        self.focus = numbers[(place + 1) % len(numbers)]

    def staff_checks_identity(self, draw: Draw) -> None:
        self._checks_identity(draw, {})

    def staff_checks_identity_wrong(self, draw: Draw) -> None:
        wrong = list(FACTS)[draw(DIE) % len(FACTS)]
        self._checks_identity(draw, {wrong: "0000"})

    def staff_checks_first_facts(self, draw: Draw) -> None:
        """The caller names the facts that were registered first."""
        self._checks_identity(draw, FACTS)

    def _checks_identity(self, draw: Draw, said: dict[str, str]) -> None:
        firm_no = self.name(draw).removesuffix("_cw")
        member = self._member(draw, self.clerk)
        body = {**self.model.firms[firm_no].facts, **said}
        self._call(
            "identity",
            member,
            f"api/firms/{firm_no}/identity",
            body,
            lambda: self.model.check_identity(member, firm_no, body),
        )

    def staff_corrects_facts(self, draw: Draw) -> None:
        """Correct two of the three facts, to the first ones where they were corrected before."""
        firm_no = self.name(draw).removesuffix("_cw")
        member = self._member(draw, SUPERVISOR)
        left_out = list(FACTS)[draw(DIE) % len(FACTS)]
        stored = self.model.firms[firm_no].facts
        facts = {
            name: FACTS[name] if stored[name] == value else value
            for name, value in CORRECTED.items()
            if name != left_out
        }
        by = By(member.actor, f"{REASON}（{DOCUMENT}）")
        self._call(
            "correct",
            member,
            f"api/firms/{firm_no}/facts",
            {**facts, "reason": REASON, "document": DOCUMENT},
            lambda: self.model.correct_facts(firm_no, facts, by),
        )

    # Proposals.

    def staff_proposes(self, draw: Draw) -> None:
        name = self.name(draw)
        phones = [phone for phone in NEW_PHONES if phone != self.model.logins[name].phone]
        self._proposes(draw, name, phones[draw(DIE) % len(phones)])

    def staff_proposes_same_phone(self, draw: Draw) -> None:
        name = self.name(draw)
        self._proposes(draw, name, self.model.logins[name].phone or NEW_PHONES[0])

    def _proposes(self, draw: Draw, name: str, phone: str) -> None:
        member = self._member(draw, self.clerk)
        proposal = Proposal(name, phone, REASON, DOCUMENT, member.subject, self.model.now)
        answer = self._call(
            "propose",
            member,
            f"api/logins/{name}/phone",
            {"phone": phone, "reason": REASON, "document": DOCUMENT},
            lambda: self.model.propose(member, proposal),
        )
        if answer.status_code == 202:
            self.proposals.append(answer.json_body["id"])

    def _proposal(self, draw: Draw) -> int:
        """Choose a proposal: the latest of the scenario's login."""
        die: int = draw(DIE)
        numbers = range(len(self.proposals))
        if not self.in_scenario:
            return die % len(numbers)
        own = [at for at in numbers if self.model.proposals[at].login == self.focus]
        return (own or numbers)[-1]

    def _reviewer(self, number: int) -> str:
        """Return a supervisor who has not made the proposal."""
        by = self.model.proposals[number].by
        return SECOND_SUPERVISOR if by == SUPERVISOR else SUPERVISOR

    def staff_approves(self, draw: Draw) -> None:
        number = self._proposal(draw)
        self._decides(number, self._member(draw, self._reviewer(number)), "approved")

    def staff_rejects(self, draw: Draw) -> None:
        number = self._proposal(draw)
        self._decides(number, self._member(draw, self._reviewer(number)), "rejected")

    def proposer_approves(self, draw: Draw) -> None:
        number = self._proposal(draw)
        self._decides(number, MEMBERS[self.model.proposals[number].by], "approved")

    def proposer_approves_in_capitals(self, draw: Draw) -> None:
        """The identity provider issues the proposer's name in capitals at another sign-in."""
        number = self._proposal(draw)
        member = MEMBERS[self.model.proposals[number].by]
        self._decides(number, Member(member.subject.upper(), member.roles), "approved")

    def proposer_rejects(self, draw: Draw) -> None:
        number = self._proposal(draw)
        self._decides(number, MEMBERS[self.model.proposals[number].by], "rejected")

    def _decides(self, number: int, member: Member, state: str) -> None:
        self.environment.dice.code += 7
        code, proposal = self.environment.dice.code, self.model.proposals[number]
        self._act(
            {"approved": "approve", "rejected": "reject"}[state],
            number,
            member,
            lambda: self.model.decide(member, proposal, state, code),
        )

    def _act(
        self, act: str, number: int, member: Member, expected: Callable[[], Answer], **body: str
    ) -> None:
        path = f"api/proposals/{self.proposals[number]}/{act}"
        self._call(act, member, path, body, expected)

    def staff_sends_phone_code(self, draw: Draw) -> None:
        self._sends_phone_code(draw, self.clerk, Outcome.SENT)

    def staff_sends_phone_code_undeliverable(self, draw: Draw) -> None:
        self._sends_phone_code(draw, self.clerk, Outcome.REFUSED)

    def colleague_sends_phone_code(self, draw: Draw) -> None:
        """An agent who has not made the proposal, and does not see it."""
        self._sends_phone_code(draw, COLLEAGUE, Outcome.SENT)

    def _sends_phone_code(self, draw: Draw, subject: str, outcome: Outcome) -> None:
        number, member = self._proposal(draw), self._member(draw, subject)
        self.environment.dice.code += 7
        code, proposal = self.environment.dice.code, self.model.proposals[number]
        accepted = outcome is Outcome.SENT
        self.world.phones.outcomes[:] = [outcome]
        self._act(
            "code",
            number,
            member,
            lambda: self.model.send_phone_code(member, proposal, code, accepted=accepted),
        )
        self.world.phones.outcomes.clear()

    def staff_confirms_phone(self, draw: Draw) -> None:
        number = self._proposal(draw)
        code = self.model.proposals[number].code
        self._confirms_phone(number, self._member(draw, self.clerk), code or WRONG)

    def staff_confirms_phone_wrong(self, draw: Draw) -> None:
        self._confirms_phone(self._proposal(draw), self._member(draw, self.clerk), WRONG)

    def colleague_confirms_phone(self, draw: Draw) -> None:
        """An agent who has not made the proposal enters the right code."""
        number = self._proposal(draw)
        code = self.model.proposals[number].code
        self._confirms_phone(number, MEMBERS[COLLEAGUE], code or WRONG)

    def _confirms_phone(self, number: int, member: Member, code: str) -> None:
        proposal = self.model.proposals[number]
        self._act(
            "confirm",
            number,
            member,
            lambda: self.model.confirm_phone(member, proposal, code),
            code=code,
        )

    def staff_undoes(self, draw: Draw) -> None:
        number, member = self._proposal(draw), self._member(draw, SUPERVISOR)
        proposal = self.model.proposals[number]
        self._act("undo", number, member, lambda: self.model.undo(member, proposal))

    def staff_lists_proposals(self, draw: Draw) -> None:
        self._lists_proposals(self._member(draw, self.clerk))

    def colleague_lists_proposals(self, _: Draw) -> None:
        """An agent who has made none of the scenario's proposals lists them."""
        self._lists_proposals(MEMBERS[COLLEAGUE])

    def _lists_proposals(self, member: Member) -> None:
        answer = self._call(
            "list", member, "api/proposals", {}, lambda: self.model.list_proposals(member), "GET"
        )
        if answer.status_code == 200:
            shown = [proposal["id"] for proposal in answer.json_body["proposals"]]
            pairs = zip(self.proposals, self.model.proposals, strict=True)
            assert sorted(shown) == sorted(each for each, one in pairs if member.sees(one))

    # Owners.

    def owner_freezes(self, draw: Draw) -> None:
        """Press the button of the newest notice's link."""
        self._freezes(self._links(draw)[-1])

    def owner_freezes_by_old_link(self, draw: Draw) -> None:
        """Press the button of the oldest notice's link, perhaps of an earlier owner."""
        self._freezes(self._links(draw)[0])

    def _links(self, draw: Draw) -> list[int]:
        """Return the numbers of the scenario's login's links, otherwise those of some login."""
        links = self.model.links
        login = links[draw(DIE) % len(links)].login
        own = [number for number, link in enumerate(links) if link.login == self.focus]
        if self.in_scenario and own:
            return own
        return [number for number, link in enumerate(links) if link.login == login]

    def _freezes(self, number: int) -> None:
        _, _, token = self.environment.platform.links[number]
        expected = self.model.freeze_by_link(number)
        body: Any = f"token={token}".encode()
        self.check("owner", self.world.call("POST", "/freeze", body, headers=FORM), expected)
