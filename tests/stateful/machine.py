"""The machine: what happens next, and what must be true whatever has happened."""

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
"""One action in so many is not the scenario's."""


class Machine(Actions):
    """One story."""

    steps: ClassVar[Counter[str]] = Counter()
    """How often each action was done, over all stories."""

    def __init__(self) -> None:
        super().__init__()
        self.scenario: list[Action] = []
        self.right: set[tuple[str, str]] = set()

    # A rule for each action would leave the choice to hypothesis, which favours few.
    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        """One step."""
        action = self.next_action(data.draw)
        self.steps[action.__name__] += 1
        action(self, data.draw)

    def next_action(self, draw: Draw) -> Action:
        """The scenario's next one mostly."""
        die: int = draw(DIE)
        self.leading = die % OFF_SCENARIO > 0
        if self.leading:
            if not self.scenario:
                self.choose_scenario(draw)
            while self.scenario:
                action = self.scenario.pop(0)
                if self.is_possible(action):
                    return action
        may = [
            action
            for action, often in ANYTIME.items()
            if self.is_possible(action)
            for _ in range(often)
        ]
        self.leading = False
        return may[die // OFF_SCENARIO % len(may)]

    def choose_scenario(self, draw: Draw) -> None:
        """Choose a scenario, and the login that it is about."""
        offered = [(scenario, names) for scenario in SCENARIOS if (names := self.fitting(scenario))]
        among = [each for each in offered for _ in range(each[0].weight)]
        die = draw(DIE)
        scenario, names = among[die % len(among)]
        die //= len(among)
        # Most scenarios need what a day gives back, and some begin otherwise where codes are pushed.
        first = FIRST[draw(DIE) % len(FIRST)]
        self.scenario = [*first, *scenario.actions]
        self.focus = names[die % len(names)]
        self.visitor = (ALICE, BOB)[die // len(names) % 2]

    def fitting(self, scenario: Scenario) -> list[str]:
        return [name for name, login in self.model.logins.items() if scenario.fits(login)]

    def is_possible(self, action: Action) -> bool:
        needed = POSSIBLE.get(action)
        return needed is None or bool(needed(self))

    # What must be true after each step.

    @invariant()
    def people_were_told(self) -> None:
        """Each message that the rules ask for has gone out, and no other."""
        assert sorted(self.environment.outbox()) == sorted(self.model.sms)
        assert sorted(self.environment.platform.pushed) == sorted(self.model.pushed)
        for told in (self.model.sms, self.model.pushed, self.environment.platform.pushed):
            told.clear()

    @invariant()
    def histories_tell_it(self) -> None:
        """Nothing happened to a login that its history does not tell, and nothing is told twice."""
        history: Counter[tuple[str, str]] = Counter(self.environment.events())
        for name, login in self.model.logins.items():
            for event, often in login.audit.items():
                assert history.pop((name, event), 0) == often, (name, event)
        assert not history

    @invariant()
    def logins_are_as_the_model_has_them(self) -> None:
        """Password, binding and what else lasts; and at most one live code a login."""
        codes = {item["id"]: item for item in self.environment.items("ephemera", "code#")}
        for item in self.environment.items("logins"):
            name = item["login"]
            login, code = self.model.logins[name], codes.get(f"code#{name}", {})
            lasting = {
                "phone": login.phone,
                "openid": login.openid,
                "must_change": login.must_change,
                "changed_at": login.changed_at,
                "recovered_at": login.recovered_at,
                "password_version": login.version,
                "reset_year": login.reset_year,
            }
            assert {each: item.get(each) for each in lasting} == lasting, name
            assert self._is_password(item["password_hash"], login.password), name
            live = None if login.code is None else login.code.kept
            kept = (code.get("code_expires_at"), code.get("attempts"), code.get("method"))
            assert (kept if "digest" in code else None) == live, name

    @invariant()
    def counts_are_as_the_model_has_them(self) -> None:
        """What still counts against somebody, and nothing else, stands in the tables."""
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
                kept = sorted(at for at in holder.get(kind, ()) if at > since)
                assert kept == sorted(at for at in events if at > since), (name, kind)

    def _is_password(self, stored: str, password: str) -> bool:
        if (stored, password) not in self.right:
            if not self.world.service.hasher.verify(stored, password):
                return False
            self.right.add((stored, password))
        return True
