"""The actions of people in a recovery and at the login page, each compared with the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from chalice.test import HTTPResponse
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from chalicelib.sms.gateway import Outcome
from tests.stateful.environment import (
    ADDRESSES,
    DEFAULTS,
    FACTS,
    OPENIDS,
    OPENING,
    PHONES,
    Environment,
)
from tests.stateful.rules import Answer, Claims, Requester

VISITORS = st.sampled_from(OPENIDS)
OUTCOMES = st.sampled_from([Outcome.SENT] * 4 + [Outcome.UNKNOWN])
PASSWORDS = ("Correct-horse-7", "Battery-staple-8", "Wiederfinden-9")
DIE = st.integers(0, 2**20 - 1)
"""Used modulo a length: `sampled_from` would prefer the first elements."""

WRONG = "999999"

Draw = Callable[[st.SearchStrategy[Any]], Any]
Pair = tuple[Claims, str]
"""A recovery and its token."""


class Driver(RuleBasedStateMachine):
    """One run's recoveries, and the choice of what an action applies to.

    An action of a scenario applies to the scenario's login; any other action to any login.
    """

    environment: ClassVar[Environment]
    answers: ClassVar[Counter[str]] = Counter()
    """How often each kind of answer was received, over all runs."""

    def __init__(self) -> None:
        super().__init__()
        self.environment.begin()
        self.world = self.environment.reset.world
        self.model = self.environment.model
        self.recoveries: list[Pair] = []
        self.codes: dict[str, list[str]] = {name: [] for name in self.model.logins}
        """The codes that were sent by login, oldest first."""
        self.last: tuple[Pair, str, str] | None = None
        """The last confirmation: its recovery, code and password."""
        self.in_scenario = False
        self.focus, self.visitor = next(iter(self.model.logins)), OPENIDS[0]
        self.turn: str | None = self.visitor
        """The visitor of the scenario who acts now; None for one outside of WeChat."""
        self.address = ADDRESSES[0]
        """The address of the requests."""
        self.proof = ("", "", 0)
        """The proof of work of the last start, its login and how many times the work it is."""
        self.proofs = 0

    def check(self, what: str, answer: HTTPResponse, expected: Answer) -> None:
        """Compare an answer with the model's."""
        # A page, for a browser, has no members.
        body = answer.json_body or {}
        if answer.status_code == 503:
            # No rule gives this answer: the program failed.
            raise RuntimeError(f"{what}: {body}")
        members = {name: body.get(name) for name in expected.body}
        assert (answer.status_code, members) == (expected.status, expected.body), f"{what}: {body}"
        wait = body.get("retry_after")
        assert answer.headers.get("Retry-After") == (None if wait is None else str(wait))
        self.count(what, expected.kind)

    def count(self, what: str, kind: object) -> None:
        """Count an answer."""
        self.answers[f"{what} {kind}"] += 1

    # What an action applies to.

    def name(self, draw: Draw) -> str:
        names = list(self.model.logins)
        return self.focus if self.in_scenario else names[draw(DIE) % len(names)]

    def pick(self, draw: Draw, pairs: Sequence[Pair] = ()) -> Pair:
        """Choose a recovery: that of the scenario's login and of the visitor who acts now.

        Outside of a scenario it is the latest one in half of the cases.
        """
        among = list(pairs or self.recoveries)
        if self.in_scenario:
            own = [pair for pair in among if pair[0].login == self.focus]
            mine = [pair for pair in own if pair[0].visitor == self.turn]
            return (mine or own or among)[-1]
        die = draw(DIE)
        return among[-1] if die % 2 else among[die // 2 % len(among)]

    def own(self, login: str) -> list[Pair]:
        """Return the recoveries of a login, oldest first."""
        return [pair for pair in self.recoveries if pair[0].login == login]

    @property
    def with_code(self) -> list[Pair]:
        """The recoveries of logins that have a code."""
        return [pair for pair in self.recoveries if self.model.logins[pair[0].login].code]

    @property
    def once_bound(self) -> list[Pair]:
        """The recoveries of logins that had a WeChat when they began."""
        return [pair for pair in self.recoveries if pair[0].bound]

    def openid(self, draw: Draw) -> str:
        if not self.in_scenario:
            return str(draw(VISITORS))
        return self.model.logins[self.focus].openid or self.visitor

    @staticmethod
    def other_than(openid: str) -> str:
        """Return the WeChat after this one."""
        return OPENIDS[(OPENIDS.index(openid) + 1) % len(OPENIDS)]

    # A recovery.

    def starts(self, draw: Draw) -> None:
        self._starts(self.name(draw), self.visitor if self.in_scenario else draw(VISITORS))

    def owner_starts(self, draw: Draw) -> None:
        """The WeChat that the login is bound to begins a recovery, where there is one."""
        name = self.name(draw)
        self.visitor = self.model.logins[name].openid or self.visitor
        self._starts(name, self.visitor)

    def stranger_starts(self, draw: Draw) -> None:
        """Another WeChat than the one that acted begins a recovery; not the bound one."""
        name = self.name(draw)
        others = [each for each in OPENIDS if each != self.model.logins[name].openid]
        place = others.index(self.turn) + 1 if self.turn in others else 0
        self._starts(name, others[place % len(others)])

    def starts_outside(self, draw: Draw) -> None:
        self._starts(self.name(draw), None)

    def starts_in_other_wechat(self, draw: Draw) -> None:
        self.visitor = self.other_than(self.openid(draw))
        self._starts(self.name(draw), self.visitor)

    def owner_continues(self, _: Draw) -> None:
        """Whoever the scenario began with acts again."""
        self.turn = self.visitor

    def moves(self, draw: Draw) -> None:
        """The following requests come from another address."""
        self.address = ADDRESSES[draw(DIE) % len(ADDRESSES)]

    def moves_within_network(self, _: Draw) -> None:
        """The following requests come from the other address of the same network."""
        self.address = ADDRESSES[2] if self.address == ADDRESSES[1] else ADDRESSES[1]

    def next_login_starts(self, draw: Draw) -> None:
        """Continue the scenario with the next login that has a way for codes."""
        names = list(self.model.logins)
        place = names.index(self.name(draw))
        following = [*names[place + 1 :], *names[:place], names[place]]
        self.focus = next(
            (name for name in following if self.model.logins[name].destination[1]), names[place]
        )
        self._starts(self.focus, self.turn)

    def neighbour_starts(self, draw: Draw) -> None:
        """Continue the scenario with another login whose codes go to the same phone or WeChat."""
        logins, name = self.model.logins, self.name(draw)
        destination = logins[name].destination
        others = [
            other
            for other, login in logins.items()
            if other != name and login.destination == destination
        ]
        self.focus = others[0] if others else name
        self._starts(self.focus, self.turn)

    def starts_unknown(self, _: Draw) -> None:
        self._starts("99999999", None)

    def starts_with_used_proof(self, _: Draw) -> None:
        """Begin another recovery with the proof of work of the last one."""
        proof, name, work = self.proof
        self._start_once(name, self.turn, proof, work)

    def _starts(self, name: str, visitor: str | None) -> None:
        """Begin a recovery with as little work as possible, as the page does."""
        work, needed = 0, 1
        while work < needed:
            work = needed
            self.proofs += 1
            needed = self._start_once(name, visitor, f"p{self.proofs}", work)

    def _start_once(self, name: str, visitor: str | None, proof: str, work: int) -> int:
        """Begin a recovery; return how much work is needed where it was not enough."""
        if self.in_scenario:
            self.turn = visitor
        expected, claims = self.model.start(name, visitor, self.requester(visitor), proof, work)
        body = {"user_type": "firm", "login": name, "proof": f"{proof} {name} {work}"}
        answer = self.world.call("POST", "/recovery", body, openid=visitor)
        self.check("start", answer, expected)
        if claims is not None:
            self.recoveries.append((claims, answer.json_body["token"]))
            self.proof = proof, name, work
        needed = expected.body.get("factor") or work
        if needed > work:
            challenge = self.world.call("GET", f"/proof?login={name}&factor={needed}").json_body
            assert challenge == {"login": name, "factor": needed}
        return int(needed)

    def requester(self, visitor: str | None) -> Requester:
        """Return who is counted for this visitor's requests, and send them from their address."""
        self.environment.from_address(self.address)
        return self.model.rules.requester(visitor, self.address)

    def sends(self, draw: Draw) -> None:
        self._sends(self.pick(draw), draw(OUTCOMES))

    def sends_undeliverable(self, draw: Draw) -> None:
        self._sends(self.pick(draw), Outcome.REFUSED)

    def _sends(self, pair: Pair, outcome: Outcome) -> None:
        claims, token = pair
        self.environment.dice.code += 7
        self.world.phones.outcomes[:] = [outcome]
        expected = self.model.send(
            claims,
            self.requester(claims.visitor),
            self.environment.dice.code,
            accepted=outcome is not Outcome.REFUSED,
        )
        self.check("send", self.world.send(token), expected)
        self.world.phones.outcomes.clear()
        code = self.model.logins[claims.login].code
        if expected.status == 202 and code is not None:
            self.codes[claims.login].append(code.digits)

    def confirms(self, draw: Draw) -> None:
        pair = self.pick(draw, self.with_code)
        code = self.model.logins[pair[0].login].code
        assert code is not None
        self._confirms(pair, code.digits, self.password(draw))

    def confirms_wrong(self, draw: Draw) -> None:
        self._confirms(self.pick(draw, self.with_code), WRONG, PASSWORDS[0])

    def confirms_old(self, draw: Draw) -> None:
        """Confirm with one of the last three codes that were sent."""
        pair = self.pick(draw)
        sent = self.codes[pair[0].login] or [WRONG]
        self._confirms(pair, sent[-1 - draw(DIE) % 3 % len(sent)], self.password(draw))

    def confirms_late(self, draw: Draw) -> None:
        """Confirm with the last code that was sent, live or not."""
        pair = self.pick(draw)
        self._confirms(pair, (self.codes[pair[0].login] or [WRONG])[-1], self.password(draw))

    def confirms_by_older(self, draw: Draw) -> None:
        """Confirm with the live code in a recovery of the login that is not the latest."""
        latest = self.pick(draw, self.with_code)
        code = self.model.logins[latest[0].login].code
        assert code is not None
        own = self.own(latest[0].login)
        earlier = own[-4:-1] or own
        self._confirms(earlier[draw(DIE) % len(earlier)], code.digits, self.password(draw))

    def confirms_again(self, _: Draw) -> None:
        self._repeats()

    def confirms_again_otherwise(self, draw: Draw) -> None:
        """Repeat the last confirmation with another password."""
        assert self.last is not None
        others = [other for other in PASSWORDS if other != self.last[2]]
        self._repeats(password=others[draw(DIE) % len(others)])

    def confirms_again_elsewhere(self, _: Draw) -> None:
        """Repeat the last confirmation in another recovery."""
        assert self.last is not None
        own = self.own(self.last[0][0].login)
        self._repeats(next((pair for pair in reversed(own) if pair != self.last[0]), own[0]))

    def confirms_again_mistyped(self, _: Draw) -> None:
        """Repeat the last confirmation with another code."""
        self._repeats(digits=WRONG)

    def _repeats(self, pair: Pair | None = None, digits: str = "", password: str = "") -> None:
        last = self.last
        assert last is not None
        self._confirms(pair or last[0], digits or last[1], password or last[2])
        self.last = last

    def confirms_weak(self, draw: Draw) -> None:
        self._confirms(self.pick(draw), WRONG, "short")

    def confirms_private(self, draw: Draw) -> None:
        """Confirm with a password that contains the phone or the default password of some login.

        With the live code or with a wrong one.
        """
        pair = self.pick(draw, self.with_code or self.recoveries)
        code, die = self.model.logins[pair[0].login].code, draw(DIE)
        words = [*(phone[3:] for phone in PHONES), *DEFAULTS.values()]
        own = [pair[0].phone and pair[0].phone[3:], pair[0].default]
        word = ([word for word in own if word] or words)[0] if die % 2 else words[die % len(words)]
        digits = WRONG if code is None or die % 3 == 0 else code.digits
        self._confirms(pair, digits, f"Horse-{word}-staple")

    def _confirms(self, pair: Pair, digits: str, password: str) -> None:
        requester = self.requester(pair[0].visitor)
        expected = self.model.confirm(pair[0], requester, digits, password)
        self.check("confirm", self.world.confirm(pair[1], digits, password), expected)
        self.last = pair, digits, password

    def password(self, draw: Draw) -> str:
        return PASSWORDS[draw(DIE) % len(PASSWORDS)]

    def unbinds(self, draw: Draw) -> None:
        self._unbinds(self.pick(draw, self.once_bound if self.in_scenario else ()), {})

    def unbinds_any(self, draw: Draw) -> None:
        """Attempt to undo a binding in whatever recovery is under way, perhaps one without a binding."""
        self._unbinds(self.pick(draw), {})

    def unbinds_wrong(self, draw: Draw) -> None:
        wrong = ("firm_no", "approval_no", "head_name")[draw(DIE) % 3]
        self._unbinds(self.pick(draw, self.once_bound), {wrong: "31009999"})

    def unbinds_by_first_facts(self, draw: Draw) -> None:
        """Unbind with the facts that were registered first, which may have been corrected since."""
        first = {name: FACTS[name] for name in ("approval_no", "head_name")}
        self._unbinds(self.pick(draw, self.once_bound), first)

    def _unbinds(self, pair: Pair, said: dict[str, str]) -> None:
        facts = self.model.firm(pair[0].login).facts
        right = {
            "firm_no": pair[0].login.removesuffix("_cw"),
            "approval_no": facts["approval_no"],
            "head_name": facts["head_name"],
        }
        body = {**right, **said}
        requester = self.requester(pair[0].visitor)
        expected = self.model.unbind(pair[0], requester, right=body == right)
        answer = self.world.call("POST", "/recovery/unbinding", body, token=pair[1])
        self.check("unbind", answer, expected)

    def polls(self, draw: Draw) -> None:
        claims, token = self.pick(draw)
        expected = self.model.progress(claims, self.requester(claims.visitor))
        self.check("poll", self.world.call("GET", "/recovery", token=token), expected)

    # The login page.

    def verifies(self, draw: Draw) -> None:
        name = self.name(draw)
        self._verifies(name, self.model.logins[name].password)

    def verifies_wrong(self, draw: Draw) -> None:
        self._verifies(self.name(draw), "Never-such-a-1")

    def verifies_another(self, draw: Draw) -> None:
        """Verify with a password that some login has or had."""
        among = [*PASSWORDS, OPENING, *DEFAULTS.values(), *self.model.defaults.values()]
        self._verifies(self.name(draw), among[draw(DIE) % len(among)])

    def verifies_unknown(self, _: Draw) -> None:
        self._verifies("99999999", OPENING)

    def _verifies(self, name: str, password: str) -> None:
        expected = self.model.verify(name, password)
        body = {"login": name, "password": password}
        self.check("verify", self.world.call("POST", "/credentials/verify", body), expected)
