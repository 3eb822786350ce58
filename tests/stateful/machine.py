"""The state machine: the choice of the next action, and the invariants."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from tests.stateful.actions import Actions
from tests.stateful.driver import DIE, Draw
from tests.stateful.environment import ALICE, BOB
from tests.stateful.rules import Window
from tests.stateful.scenarios import ANYTIME, FIRST, POSSIBLE, SCENARIOS, Action, Scenario

OFF_SCENARIO = 12
"""One of so many actions is not one of the scenario."""


class Machine(Actions):
    """One run of actions."""

    steps: ClassVar[Counter[str]] = Counter()
    """How often each action was done, over all runs."""

    def __init__(self) -> None:
        super().__init__()
        self.scenario: list[Action] = []
        self.verified: set[tuple[str, str]] = set()

    # With one rule for each action hypothesis would choose, and it prefers a few of them.
    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        """Do one action."""
        action = self.next_action(data.draw)
        self.steps[action.__name__] += 1
        action(self, data.draw)

    def next_action(self, draw: Draw) -> Action:
        """Return the scenario's next action, or sometimes any other."""
        die: int = draw(DIE)
        self.in_scenario = die % OFF_SCENARIO > 0
        if self.in_scenario:
            if not self.scenario:
                self.choose_scenario(draw)
            while self.scenario:
                action = self.scenario.pop(0)
                if self.is_possible(action):
                    return action
        possible = [
            action
            for action, often in ANYTIME.items()
            if self.is_possible(action)
            for _ in range(often)
        ]
        self.in_scenario = False
        return possible[die // OFF_SCENARIO % len(possible)]

    def choose_scenario(self, draw: Draw) -> None:
        """Choose a scenario and its login."""
        offered = [(scenario, names) for scenario in SCENARIOS if (names := self.fitting(scenario))]
        among = [each for each in offered for _ in range(each[0].weight)]
        die = draw(DIE)
        scenario, names = among[die % len(among)]
        die //= len(among)
        # Most scenarios need the limits of a new day, and some differ where codes are pushed.
        first = FIRST[draw(DIE) % len(FIRST)]
        self.scenario = [*first, *scenario.actions]
        self.focus = names[die % len(names)]
        self.visitor = (ALICE, BOB)[die // len(names) % 2]

    def fitting(self, scenario: Scenario) -> list[str]:
        return [name for name, login in self.model.logins.items() if scenario.fits(login)]

    def is_possible(self, action: Action) -> bool:
        needed = POSSIBLE.get(action)
        return needed is None or bool(needed(self))

    # What holds after each step.

    @invariant()
    def messages_are_as_in_the_model(self) -> None:
        """Each message that the rules require was sent, and no other."""
        assert sorted(self.environment.outbox()) == sorted(self.model.sms)
        assert sorted(self.environment.platform.pushed) == sorted(self.model.pushed)
        for messages in (self.model.sms, self.model.pushed, self.environment.platform.pushed):
            messages.clear()

    @invariant()
    def audit_is_as_in_the_model(self) -> None:
        """The audit has one entry for each event of a login, and no other."""
        history: Counter[tuple[str, str]] = Counter(self.environment.events())
        for name, login in self.model.logins.items():
            for event, often in login.audit.items():
                assert history.pop((name, event), 0) == often, (name, event)
        assert not history

    @invariant()
    def logins_are_as_in_the_model(self) -> None:
        """Password, binding and the other stored attributes, and at most one live code per login."""
        codes = {item["id"]: item for item in self.environment.items("ephemera", "code#")}
        for item in self.environment.items("logins"):
            name = item["login"]
            login, code = self.model.logins[name], codes.get(f"code#{name}", {})
            attributes = {
                "phone": login.phone,
                "openid": login.openid,
                "must_change": login.must_change,
                "changed_at": login.changed_at,
                "recovered_at": login.recovered_at,
                "password_version": login.version,
                "reset_year": login.reset_year,
            }
            assert {each: item.get(each) for each in attributes} == attributes, name
            assert self._is_password(item["password_hash"], login.password), name
            live = None if login.code is None else login.code.stored
            stored = (code.get("code_expires_at"), code.get("attempts"), code.get("method"))
            assert (stored if "digest" in code else None) == live, name

    @invariant()
    def counts_are_as_in_the_model(self) -> None:
        """The tables have the events that still count, and no other."""
        now, rules = self.model.now, self.model.rules
        items = {item["id"]: item for item in self.environment.items("ephemera", "code#", "to#")}
        for item in self.environment.items("logins"):
            name = item["login"]
            login, code = self.model.logins[name], items.get(f"code#{name}", {})
            method, destination = login.destination
            to = self.world.service.codes.destination_id(method, destination or "")
            counted: list[tuple[str, Any, list[int], Window]] = [
                ("starts", item, login.starts, rules.starts_login),
                ("failures", item, login.wrong_passwords, rules.wrong_passwords),
                ("sends", code, login.sends, rules.sends_login),
                ("wrongs", code, login.wrong_codes, rules.wrong_codes),
                ("wrong_details", code, login.wrong_details, rules.wrong_details),
                ("sends", items.get(to, {}), self.model.sent_to(login), rules.sends_day),
            ]
            for kind, holder, events, (_, seconds) in counted:
                since = now - seconds
                stored = sorted(at for at in holder.get(kind, ()) if at > since)
                assert stored == sorted(at for at in events if at > since), (name, kind)

    def _is_password(self, stored: str, password: str) -> bool:
        if (stored, password) not in self.verified:
            if not self.world.service.hasher.verify(stored, password):
                return False
            self.verified.add((stored, password))
        return True
