"""Recoveries, unbindings, follows, operators, yearly runs and the clock, in any order at all.

hypothesis tells the story; the model says what each call must answer. MACHINE_STEPS asks for more
steps than the suite takes, told at random.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
from chalice.test import HTTPResponse
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from chalicelib.domain.errors import PhoneNotBound
from chalicelib.domain.limits import DAY
from chalicelib.sms.gateway import Outcome
from chalicelib.stories.yearly_reset import reporting_year
from tests.machine import town
from tests.machine.rules import Said, Ticket
from tests.machine.town import ALICE, APPROVAL, BOB, HEAD, PHONES, Town

LENGTH = 50
"""Steps of one story at the most."""

NEEDED = 2_000
STEPS = int(os.environ.get("MACHINE_STEPS", NEEDED))

NAMES = st.sampled_from(sorted(town.logins()))
VISITORS = st.sampled_from([ALICE, BOB, None])
OPENIDS = st.sampled_from([ALICE, BOB])
OUTCOMES = st.sampled_from([Outcome.SENT] * 4 + [Outcome.UNKNOWN, Outcome.REFUSED])
TIMES = st.sampled_from([1, 30, 59, *[60, 61] * 6, 240, 299, 300, 1_799, 1_800, 3_600, DAY])
# The latest one mostly, an older one now and then.
WHICH = st.sampled_from([0, 0, 0, 0, 1, 1, 2, 4, 7])
PASSWORDS = st.sampled_from(["Correct-horse-7", "Battery-staple-8", "Wiederfinden-9"])
DIE = st.integers(0, 2**32 - 1)
BY = {"actor": "arn:aws-cn:iam::1:user/zhang", "reason": "本人来函"}

Draw = Callable[[st.SearchStrategy[Any]], Any]


class Machine(RuleBasedStateMachine):
    """One story."""

    town: ClassVar[Town]
    steps: ClassVar[Counter[str]] = Counter()
    """How often each rule was used, over all stories."""
    answers: ClassVar[Counter[str]] = Counter()
    """How often each kind of answer was given, over all stories."""

    def __init__(self) -> None:
        super().__init__()
        self.town.begin()
        self.world = self.town.reset.world
        self.model = self.town.model
        self.tickets: list[tuple[Ticket, str]] = []
        self.right: set[tuple[str, str]] = set()
        self.codes: dict[str, list[str]] = {name: [] for name in self.model.logins}

    def teardown(self) -> None:
        """Nothing happened to a login that its history does not tell, and nothing is told twice."""
        history: dict[str, Counter[str]] = {name: Counter() for name in self.model.logins}
        for item in self.town.items("audit"):
            history[item["login"]][item["event"]] += 1
        assert history == {name: login.audit for name, login in self.model.logins.items()}

    def told(self, what: str, answer: HTTPResponse, expected: Said) -> None:
        """Compare an answer with the model's."""
        body = answer.json_body
        seen = {name: body.get(name) for name in expected.body}
        assert (answer.status_code, seen) == (expected.status, expected.body), f"{what}: {body}"
        wait = body.get("retry_after")
        assert answer.headers.get("Retry-After") == (None if wait is None else str(wait))
        self.answers[f"{what} {body.get('code', answer.status_code)}"] += 1

    def pick(self, draw: Draw, pairs: list[tuple[Ticket, str]]) -> tuple[Ticket, str]:
        return pairs[-1 - draw(WHICH) % len(pairs)]

    @property
    def with_code(self) -> list[tuple[Ticket, str]]:
        """The recoveries of logins that have a code."""
        return [pair for pair in self.tickets if self.model.logins[pair[0].login].code]

    @property
    def bound(self) -> list[tuple[Ticket, str]]:
        """The recoveries of logins that had a WeChat then."""
        return [pair for pair in self.tickets if pair[0].bound]

    def _may(self) -> Iterator[tuple[Callable[[Draw], None], int]]:
        """What can happen now, and how often it shall."""
        yield self.time_passes, 4
        if self.tickets:
            yield self.sends, 12
            yield self.confirms_old, 2
            yield self.confirms_weak, 1
            yield self.asks, 3
        if self.with_code:
            yield self.confirms, 8
            yield self.confirms_wrong, 12
        if self.bound:
            yield self.unbinds, 4
        yield self.starts, 8
        yield self.starts_unknown, 1
        yield self.logs_in, 9
        yield self.logs_in_unknown, 1
        yield self.follows_or_leaves, 2
        yield self.template_comes_or_goes, 1
        yield self.fetches, 5
        if self.town.comes_again:
            yield self.fetches_again, 1
        yield self.operator_changes_phone, 2
        yield self.operator_unbinds, 1
        yield self.operator_unlocks, 1
        yield self.year_begins, 1
        if self.model.begun:
            yield self.workers_work, 4

    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        """One step. A rule for each would leave the choice to hypothesis, which favours few."""
        may = [action for action, weight in self._may() for _ in range(weight)]
        # sampled_from would favour what stands first.
        action = may[data.draw(DIE, label="what") % len(may)]
        self.steps[action.__name__] += 1
        action(data.draw)

    # A recovery.

    def starts(self, draw: Draw) -> None:
        name, visitor = draw(NAMES), draw(VISITORS)
        expected, ticket = self.model.start(name, visitor)
        answer = self.world.start(name, visitor)
        self.told("start", answer, expected)
        if ticket is not None:
            self.tickets.append((ticket, answer.json_body["token"]))

    def starts_unknown(self, _: Draw) -> None:
        expected, _none = self.model.start("99999999", None)
        self.told("start", self.world.start("99999999", None), expected)

    def sends(self, draw: Draw) -> None:
        ticket, token = self.pick(draw, self.tickets)
        outcome = draw(OUTCOMES)
        self.town.dice.code += 7
        digits = f"{self.town.dice.code:06d}"
        self.world.phones.outcomes[:] = [outcome]
        expected = self.model.send(ticket, digits, taken=outcome is not Outcome.REFUSED)
        self.told("send", self.world.send(token), expected)
        self.world.phones.outcomes.clear()
        if expected.status == 202:
            self.codes[ticket.login].append(digits)
        if expected.status == 202 and expected.body["method"] == "wechat" and self.model.may_push:
            assert self.town.platform.pushed[-1] == (ticket.bound, ticket.login, digits)

    def confirms(self, draw: Draw) -> None:
        ticket, token = self.pick(draw, self.with_code)
        code = self.model.logins[ticket.login].code
        assert code is not None
        self._confirms(ticket, token, code.digits, draw(PASSWORDS))

    def confirms_wrong(self, draw: Draw) -> None:
        self._confirms(*self.pick(draw, self.with_code), "999999", draw(PASSWORDS))

    def confirms_old(self, draw: Draw) -> None:
        ticket, token = self.pick(draw, self.tickets)
        sent = self.codes[ticket.login] or ["999999"]
        age = draw(st.integers(0, 2))
        self._confirms(ticket, token, sent[-1 - age % len(sent)], draw(PASSWORDS))

    def confirms_weak(self, draw: Draw) -> None:
        self._confirms(*self.pick(draw, self.tickets), "999999", "short")

    def _confirms(self, ticket: Ticket, token: str, digits: str, password: str) -> None:
        expected = self.model.confirm(ticket, digits, password)
        self.told("confirm", self.world.confirm(token, digits, password), expected)

    def unbinds(self, draw: Draw) -> None:
        ticket, token = self.pick(draw, self.bound)
        details = [ticket.login.removesuffix("_cw"), APPROVAL, HEAD]
        wrong = draw(st.sampled_from([None, None, 0, 1, 2]))
        if wrong is not None:
            details[wrong] = "31009999"
        body = dict(zip(("firm_no", "approval_no", "head_name"), details, strict=True))
        expected = self.model.unbind(ticket, right=wrong is None)
        answer = self.world.call("POST", "/recovery/unbinding", body, token=token)
        self.told("unbind", answer, expected)

    def asks(self, draw: Draw) -> None:
        ticket, token = self.pick(draw, self.tickets)
        expected = self.model.progress(ticket)
        self.told("ask", self.world.call("GET", "/recovery", token=token), expected)

    # The login page.

    def logs_in(self, draw: Draw) -> None:
        name = draw(NAMES)
        self._verifies(name, draw(st.none() | PASSWORDS) or self.model.logins[name].password)

    def logs_in_unknown(self, _: Draw) -> None:
        self._verifies("99999999", town.OPENING)

    def _verifies(self, name: str, password: str) -> None:
        expected = self.model.verify(name, password)
        body = {"login": name, "password": password}
        self.told("verify", self.world.call("POST", "/credentials/verify", body), expected)

    # WeChat.

    def follows_or_leaves(self, draw: Draw) -> None:
        openid, told = draw(OPENIDS), draw(st.booleans())
        following = openid not in self.model.following
        self.model.follow(openid, following, told=told)
        if told:
            self.town.event(openid, "subscribe" if following else "unsubscribe")

    def template_comes_or_goes(self, _: Draw) -> None:
        self.model.may_push = self.town.platform.may_push = not self.model.may_push

    def fetches(self, draw: Draw) -> None:
        openid = draw(OPENIDS)
        told = self.town.write(openid)
        assert told == self.model.fetch(openid)
        self.answers["fetch a code" if told else "fetch nothing"] += 1

    def fetches_again(self, _: Draw) -> None:
        assert self.town.last_letter is not None
        letter, told = self.town.last_letter
        assert self.town.deliver(letter) == told

    # Operators.

    def operator_changes_phone(self, draw: Draw) -> None:
        name, phone = draw(NAMES), draw(st.sampled_from(PHONES))
        changed = self.world.service.operations.change_phone(name, phone, **BY).changed
        assert changed == self.model.change_phone(name, phone)

    def operator_unbinds(self, draw: Draw) -> None:
        name = draw(NAMES)
        changed: bool | None
        try:
            changed = self.world.service.operations.unbind(name, **BY).changed
        except PhoneNotBound:
            changed = None
        assert changed == self.model.operator_unbinds(name)

    def operator_unlocks(self, draw: Draw) -> None:
        name = draw(NAMES)
        changed = self.world.service.operations.unlock(name, **BY).changed
        assert changed == self.model.unlock(name)

    # The year and the clock.

    def year_begins(self, draw: Draw) -> None:
        # Two years are never under way together.
        ahead = draw(st.booleans())
        year = self.model.begun or reporting_year(self.world.clock.time) + ahead
        self.model.begin(year)
        self.town.reset.schedule(f"{year - 1}-12-31T16:00:00Z")

    def workers_work(self, _: Draw) -> None:
        self.model.work()
        # One at a time: moto's tables are not made for several threads.
        assert self.town.reset.work(at_once=1) > 0

    def time_passes(self, draw: Draw) -> None:
        self.world.clock.time += draw(TIMES)
        self.model.now = self.world.clock.time

    # What must be true after each step.

    @invariant()
    def phones_were_told(self) -> None:
        """Each SMS that the rules ask for has gone out, and no other."""
        assert sorted(self.town.outbox()) == sorted(self.model.sms)
        self.model.sms.clear()

    @invariant()
    def logins_are_as_the_model_has_them(self) -> None:
        """Password, binding and what else lasts; and at most one live code a login."""
        codes = {item["id"]: item for item in self.town.items("ephemera")}
        for item in self.town.items("logins"):
            login = self.model.logins[item["login"]]
            lasting = {
                "phone": login.phone,
                "openid": login.openid,
                "must_change": login.must_change,
                "changed_at": login.changed_at,
                "recovered_at": login.recovered_at,
                "password_version": login.version,
                "reset_year": login.reset_year,
            }
            assert {name: item.get(name) for name in lasting} == lasting, item["login"]
            assert self._is_password(item["password_hash"], login.password), item["login"]
            code = codes.get(f"code#{item['login']}", {})
            assert ("digest" in code) == (login.code is not None), item["login"]
            if login.code is not None:
                assert (code["code_expires_at"], code["attempts"], code["method"]) == (
                    login.code.until,
                    login.code.tries,
                    login.code.method,
                )

    def _is_password(self, stored: str, password: str) -> bool:
        if (stored, password) not in self.right:
            if not self.world.service.hasher.verify(stored, password):
                return False
            self.right.add((stored, password))
        return True


@pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")
def test_every_story_goes_as_the_model_says(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever happens in whatever order, each answer and each login are what the rules say."""
    Machine.steps.clear()
    Machine.answers.clear()
    more = "MACHINE_STEPS" in os.environ
    with town.running() as Machine.town:
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=-(-STEPS // LENGTH) + 1,
                stateful_step_count=LENGTH,
                derandomize=not more,
                database=None,
                deadline=None,
                phases=[Phase.generate, Phase.shrink],
            ),
        )
    with capsys.disabled():
        print(f"\n{Machine.steps.total()} steps: {_table(Machine.steps)}")
        print(f"answers: {_table(Machine.answers)}")
    assert Machine.steps.total() >= STEPS
    # A machine that never meets a rule says nothing about it.
    assert set(Machine.answers) >= MET


MET = {
    "start 201",
    "start account-not-found",
    "send 202",
    "send too-many-requests",
    "send recovery-expired",
    "confirm 200",
    "confirm code-wrong",
    "confirm code-expired",
    "confirm recovery-expired",
    "confirm weak-password",
    "unbind 200",
    "unbind details-do-not-match",
    "unbind recovery-expired",
    "ask 200",
    "verify 200",
    "fetch nothing",
}
"""The answers that so many steps always bring."""


def _table(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())
