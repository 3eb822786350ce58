"""The staff of the support desk at work among the people."""

from __future__ import annotations

import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from infra.local.identity_provider import IdentityProvider
from infra.local.sms import SimulatedSms
from tests.browser.stack import Firm
from tests.perf.load.answers import Answers
from tests.perf.load.calls import Caller, Reply

AGENT, SUPERVISOR, AUDITOR = "staff-lin", "staff-zhao", "staff-sun"

REASON, DOCUMENT = "来电核实", "函〔2026〕1号"
HEAD_ID_LAST4 = "123X"
"""That of every made-up firm."""

_TRIES = 3
_A_MINUTE = 62
"""Seconds after which another code may be sent to a proposed phone."""


@dataclass
class DeskRecord:
    """What the desk was answered. Counts are by login and audit event."""

    acts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    doubts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Acts that a fault left in doubt."""
    phones: dict[str, str] = field(default_factory=dict)
    """The phone of each proposal that was answered, by its id."""
    states: dict[str, str] = field(default_factory=dict)
    """The last state of each proposal that was answered."""
    unfinished: list[str] = field(default_factory=list)
    """Sentences about what the desk could not finish after the faults."""


class Browser:
    """A browser of the staff, signed in."""

    def __init__(self, caller: Caller, site: str, provider: IdentityProvider, member: str) -> None:
        """Sign in at the identity provider. Raises RuntimeError where that fails."""
        self._caller = caller
        self._site = site
        self._cookies: dict[str, str] = {}
        begun = self.get("desk: sign-in", "/support/sign-in")
        query = {"as": member}
        address = f"{begun.headers['Location']}&{urlencode(query)}"
        consent = caller.send("desk: identity provider", "GET", address)
        parts = urlsplit(consent.headers["Location"])
        done = self.get("desk: sign-in", f"{parts.path}?{parts.query}")
        if done.headers["Location"] != f"{site}/support/":
            raise RuntimeError(f"{member} could not sign in: {done.headers['Location']}")

    def get(self, step: str, path: str) -> Reply:
        """Send a GET."""
        return self._send(step, "GET", path, None)

    def post(self, step: str, path: str, body: dict[str, Any]) -> Reply:
        """Send a POST as the desk's page does."""
        return self._send(step, "POST", path, json.dumps(body).encode())

    def _send(self, step: str, method: str, path: str, body: bytes | None) -> Reply:
        headers = {"Cookie": "; ".join(f"{name}={text}" for name, text in self._cookies.items())}
        if body is not None:
            headers |= {
                "Content-Type": "application/json",
                "Origin": self._site,
                "X-Support-Desk": "1",
            }
        url = self._caller.service() + path
        reply = self._caller.send(step, method, url, body=body, headers=headers)
        if cookie := reply.headers.get("Set-Cookie"):
            name, _, rest = cookie.partition("=")
            self._cookies[name] = rest.partition(";")[0]
        return reply


@dataclass
class Desk:
    """The surroundings that the staff shares."""

    sign_in: Callable[[Caller, str], Browser]
    services: Sequence[str]
    answers: Answers
    sms: SimulatedSms
    people: Sequence[Firm]
    """Firms that are looked at."""
    attacked: Sequence[str]
    """Logins that are unlocked."""
    record: DeskRecord
    ends_at: float
    pause: float
    """Seconds between two calls, on average."""


class _Member:
    """What everybody at the desk does: rest, call, and check the answer."""

    def __init__(self, desk: Desk, seed: int) -> None:
        self.desk = desk
        self.dice = random.Random(f"desk {seed}")

    def browser(self, member: str) -> Browser:
        caller = Caller(self.desk.services, self.desk.answers, self.dice)
        return self.desk.sign_in(caller, member)

    def rest(self, pause: float | None = None) -> None:
        rest = self.dice.expovariate(1 / (self.desk.pause if pause is None else pause))
        time.sleep(max(0, min(rest, self.desk.ends_at - time.monotonic())))

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.desk.ends_at

    def is_expected(self, reply: Reply, *expected: int) -> bool:
        if reply.status not in (0, *expected) and not reply.is_excused:
            self.desk.answers.error(f"{reply.step}: {reply.name}")
        return reply.status in expected

    def play(self, flows: Sequence[Callable[[], object]]) -> None:
        try:
            while not self.is_over:
                self.rest()
                if not self.is_over:
                    self.dice.choice(flows)()
        except Exception as error:
            self.desk.answers.error(f"the desk's own fault: {type(error).__name__} {error}")


class Auditor(_Member):
    """Somebody who reads the day, the audit and the proposals."""

    def __init__(self, desk: Desk, seed: int) -> None:
        super().__init__(desk, seed)
        self._browser = self.browser(AUDITOR)

    def live(self) -> None:
        """Read until the time is up."""
        self.play((self.read_day, self.read_audit, self.read_proposals))

    def read_day(self) -> None:
        """Read the counts of the day."""
        self.is_expected(self._browser.get("desk: day", "/support/api/today"), 200)

    def read_audit(self) -> None:
        """Read the staff's acts of the day."""
        self.is_expected(self._browser.get("desk: audit", "/support/api/audit"), 200)

    def read_proposals(self) -> None:
        """Read the newest proposals."""
        self.is_expected(self._browser.get("desk: proposals", "/support/api/proposals"), 200)


class Pair(_Member):
    """An agent and a supervisor, who decides on the agent's proposals."""

    def __init__(self, desk: Desk, firms: Sequence[Firm], seed: int) -> None:
        """`firms` are the pair's alone: what the staff changes ends the recoveries of people."""
        super().__init__(desk, seed)
        self._firms = firms
        self._seed = seed
        self._agent = self.browser(AGENT)
        self._supervisor = self.browser(SUPERVISOR)
        self._proposed = 0
        self._open: list[str] = []

    def live(self) -> None:
        """Repeat flows until the time is up."""
        self.play((self.look_up, self.look_up, self.unlock, self.freeze, self.change_phone))

    def finish(self) -> None:
        """Finish what a fault interrupted, then propose and bind one more phone."""
        try:
            for firm in self._firms:
                doubts = self.desk.record.doubts.get(firm.firm_no, Counter())
                if doubts["frozen"] or doubts["unfrozen"]:
                    self._act(self._supervisor, firm.firm_no, "unfreeze", "unfrozen")
            for proposal in [*self._open, *self._without_answer()]:
                self._finish(proposal)
            if not self.change_phone():
                self.desk.record.unfinished.append("a phone could not be changed at the desk")
        except Exception as error:
            self.desk.answers.error(f"the desk's own fault: {type(error).__name__} {error}")

    # Flows.

    def look_up(self) -> None:
        """Find a firm by its number, its name or its phone, and view its login."""
        firm = self.dice.choice(self.desk.people)
        words = (firm.firm_no, f"示例{firm.firm_no}", firm.number)
        query = urlencode({"q": self.dice.choice(words)})
        found = self._agent.get("desk: find", f"/support/api/find?{query}")
        if not self.is_expected(found, 200):
            return
        numbers = [each["firm_no"] for each in found.body["firms"]]
        if firm.firm_no not in numbers:
            self.desk.answers.error("desk: a firm was not found")
        self.rest()
        login = self.dice.choice((firm.firm_no, f"{firm.firm_no}_cw"))
        self.is_expected(self._agent.get("desk: view", f"/support/api/logins/{login}"), 200)

    def unlock(self) -> None:
        """Lift the limits of a login that the attacker may have reached."""
        login = self.dice.choice(self.desk.attacked)
        path = f"/support/api/logins/{login}/unlock"
        self.is_expected(self._agent.post("desk: unlock", path, {"reason": REASON}), 200)

    def freeze(self) -> None:
        """Freeze a login; the supervisor unfreezes it."""
        login = self.dice.choice(self._firms).firm_no
        if self._act(self._agent, login, "freeze", "frozen"):
            self.rest()
            self._act(self._supervisor, login, "unfreeze", "unfrozen")

    def change_phone(self) -> bool:
        """Propose a phone, have it approved and bind it by its code; undo it now and then.

        Returns whether the phone was bound at once.
        """
        firm = self._firms[self._proposed % len(self._firms)]
        self._proposed += 1
        facts = {
            "approval_no": firm.approval_no,
            "head_name": firm.head_name,
            "head_id_last4": HEAD_ID_LAST4,
        }
        path = f"/support/api/firms/{firm.firm_no}/identity"
        checked = self._agent.post("desk: identity", path, facts)
        if not self.is_expected(checked, 200):
            return False
        if checked.body["matches"] is not True:
            self.desk.answers.error("desk: right facts do not match")
        self.rest()
        phone = f"137{self._seed:02d}{self._proposed:06d}"
        path = f"/support/api/logins/{firm.firm_no}/phone"
        body = {"phone": phone, "reason": REASON, "document": DOCUMENT}
        reply = self._agent.post("desk: propose", path, body)
        if not self.is_expected(reply, 202):
            if reply.is_in_doubt:
                self.desk.record.doubts[firm.firm_no]["phone-proposed"] += 1
            return False
        proposal = str(reply.body["id"])
        self.desk.record.phones[proposal] = f"+86{phone}"
        self.desk.record.acts[firm.firm_no]["phone-proposed"] += 1
        self._open.append(proposal)
        self._note(reply)
        self.rest()
        bound = self._approve(proposal) and self._confirm(proposal)
        if bound and self.dice.random() < 0.3:
            self.rest()
            self._undo(proposal)
        return bound

    # Steps.

    def _act(self, browser: Browser, login: str, act: str, event: str) -> bool:
        """Freeze or unfreeze; try again where a fault left the outcome unknown."""
        for _ in range(_TRIES):
            path = f"/support/api/logins/{login}/{act}"
            reply = browser.post(f"desk: {act}", path, {"reason": REASON})
            if self.is_expected(reply, 200):
                self.desk.record.acts[login][event] += bool(reply.body["changed"])
                return True
            if not reply.is_in_doubt:
                return False
            self.desk.record.doubts[login][event] += 1
            self.rest()
        return False

    def _note(self, reply: Reply) -> None:
        """Record the state of the proposal in an answer."""
        proposal = str(reply.body["id"])
        self.desk.record.states[proposal] = str(reply.body["state"])
        if reply.body["state"] == "active" and proposal in self._open:
            self._open.remove(proposal)

    def _approve(self, proposal: str) -> bool:
        reply = self._supervisor.post(
            "desk: approve", f"/support/api/proposals/{proposal}/approve", {}
        )
        if self.is_expected(reply, 200):
            self._note(reply)
        return reply.status == 200

    def _code(self, proposal: str) -> str | None:
        """Return the last code that reached the proposed phone; None where none did."""
        inbox = self.desk.sms.inbox(self.desk.record.phones[proposal])
        codes = [message.params["code"] for message in inbox if message.template == "phone-code"]
        return codes[-1] if codes else None

    def _confirm(self, proposal: str) -> bool:
        code = self._code(proposal)
        if code is None:
            # A vendor that hangs has not sent it.
            return False
        self.rest()
        path = f"/support/api/proposals/{proposal}/confirm"
        reply = self._agent.post("desk: confirm", path, {"code": code})
        if self.is_expected(reply, 200):
            self._note(reply)
        return reply.status == 200

    def _undo(self, proposal: str) -> None:
        reply = self._supervisor.post("desk: undo", f"/support/api/proposals/{proposal}/undo", {})
        if self.is_expected(reply, 200):
            self._note(reply)

    def _proposals(self) -> dict[str, dict[str, Any]]:
        reply = self._supervisor.get("desk: proposals", "/support/api/proposals")
        self.is_expected(reply, 200)
        return {str(each["id"]): each for each in reply.body.get("proposals", [])}

    def _without_answer(self) -> list[str]:
        """Return proposals of the pair's firms whose answer was lost: nobody has their phone."""
        own = {firm.firm_no for firm in self._firms}
        return [
            each["id"]
            for each in self._proposals().values()
            if each["firm_no"] in own and each["id"] not in self.desk.record.phones
        ]

    def _finish(self, proposal: str) -> None:
        """Bring a proposal to its end, from wherever a fault has left it."""
        if proposal not in self.desk.record.phones:
            path = f"/support/api/proposals/{proposal}/reject"
            self.is_expected(self._supervisor.post("desk: reject", path, {}), 200)
            return
        if self._proposals()[proposal]["state"] == "waiting":
            self._approve(proposal)
        elif self._proposals()[proposal]["state"] == "approved":
            self._send_code(proposal)
        if self._proposals()[proposal]["state"] == "approved":
            self._confirm(proposal)
        state = str(self._proposals()[proposal]["state"])
        self.desk.record.states[proposal] = state
        if state not in ("active", "undone"):
            self.desk.record.unfinished.append(f"a proposal stayed {state}")

    def _send_code(self, proposal: str) -> None:
        """Send another code, as soon as the last one is a minute old."""
        path = f"/support/api/proposals/{proposal}/code"
        reply = self._agent.post("desk: code", path, {})
        if reply.status == 429:
            time.sleep(min(reply.body.get("retry_after", 0), _A_MINUTE))
            reply = self._agent.post("desk: code", path, {})
        self.is_expected(reply, 202)
