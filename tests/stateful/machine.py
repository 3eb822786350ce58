"""The state machine: the choice of the next action, and the invariants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from tests.stateful.actions import Actions
from tests.stateful.choices import ANYTIME, POSSIBLE, Action
from tests.stateful.driver import DIE, Draw
from tests.stateful.environment import ADDRESSES, OPENIDS
from tests.stateful.rules import DAY, HOUR, ByRequester, Window, within
from tests.stateful.scenarios import FIRST, SCENARIOS, Scenario

Item = dict[str, Any]

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
        die //= len(names)
        self.visitor = self.turn = OPENIDS[die % len(OPENIDS)]
        self.address = ADDRESSES[die // len(OPENIDS) % len(ADDRESSES)]

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
    def the_tables_are_as_in_the_model(self) -> None:
        """Logins, codes and everything that still counts. The tables are read once: that takes time."""
        logins = self.environment.items("logins")
        kinds = ("code#", "to#", "requester#", "unbinder#", "budget#")
        items = {item["id"]: item for item in self.environment.items("ephemera", *kinds)}
        self._check_logins(logins, items)
        self._check_counts(logins, items)
        self._check_requesters(items)

    def _check_logins(self, logins: list[Item], items: dict[str, Item]) -> None:
        """Password, binding and the other stored attributes, and at most one live code per login."""
        for item in logins:
            name = item["login"]
            login, code = self.model.logins[name], items.get(f"code#{name}", {})
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
            live = login.code
            stored = {
                each: code.get(each) for each in ("code_expires_at", "method", "sender", "tries")
            }
            assert bool(code.get("digest")) == (live is not None), name
            assert live is None or stored == {
                "code_expires_at": live.until,
                "method": live.method,
                "sender": self.environment.key(live.sender),
                "tries": {self.environment.key(by): tries for by, tries in live.tries.items()},
            }, name

    def _check_counts(self, logins: list[Item], items: dict[str, Item]) -> None:
        """The tables have the events that still count, and no other."""
        rules = self.model.rules
        for item in logins:
            name = item["login"]
            login, code = self.model.logins[name], items.get(f"code#{name}", {})
            method, destination = login.destination
            to = self.world.service.codes.destination_id(method, destination or "")
            _, hour = rules.starts_login
            starts = self._recent(item.get("starts", ()), hour)
            # The newest ones decide, so that a login under attack does not keep them all.
            most = rules.starts_counted
            assert starts[-most:] == self._recent(login.starts, hour)[-most:], name
            counted: list[tuple[str, Any, list[int], Window]] = [
                ("failures", item, login.wrong_passwords, rules.wrong_passwords),
                ("wrongs", code, login.wrong_codes, rules.wrong_codes_login),
                ("unbindings", code, login.unbindings, rules.unbindings_login),
                ("sends", items.get(to, {}), self.model.sent_to(login), rules.sends_day),
            ]
            for kind, holder, events, (_, seconds) in counted:
                stored = self._recent(holder.get(kind, ()), seconds)
                assert stored == self._recent(events, seconds), (name, kind)
            sends: dict[str, list[int]] = {}
            assert len(code.get("sends", ())) == len(code.get("senders", ())), name
            for at, by in zip(code.get("sends", ()), code.get("senders", ()), strict=True):
                sends.setdefault(by, []).append(at)
            by_requester: list[tuple[str, Any, ByRequester, Window]] = [
                ("starts", item.get("starts_by", {}), login.starts_by, rules.starts_requester),
                ("sends", sends, login.sends_by, rules.sends_login),
                (
                    "wrong codes",
                    code.get("wrong_by", {}),
                    login.wrong_by,
                    rules.wrong_codes_requester_login,
                ),
                ("details", code.get("details_by", {}), login.details_by, rules.wrong_details),
            ]
            for kind, stored_by, expected, (_, seconds) in by_requester:
                fresh = {by: self._recent(times, seconds) for by, times in stored_by.items()}
                due = {
                    self.environment.key(by): self._recent(times, seconds)
                    for by, times in expected.items()
                }
                assert _filled(fresh) == _filled(due), (name, kind)

    def _check_requesters(self, items: dict[str, Item]) -> None:
        """The counts of each requester over all logins, and those of the whole service."""
        for requester, visits in self.model.visits.items():
            key = self.environment.key(requester)
            item, unbinder = items.get(f"requester#{key}", {}), items.get(f"unbinder#{key}", {})
            times, sent_logins = item.get("sends", ()), item.get("sent_logins", ())
            assert len(times) == len(sent_logins), key
            sends = list(zip(times, sent_logins, strict=True))
            since = self.model.now - DAY
            assert self._recent(item.get("wrongs", ()), DAY) == self._recent(visits.wrongs, DAY)
            assert sorted(each for each in sends if each[0] > since) == sorted(
                each for each in visits.sends if each[0] > since
            ), key
            assert self._recent(unbinder.get("unbindings", ()), DAY) == self._recent(
                [at for at, _ in visits.unbindings], DAY
            )
            assert unbinder.get("wrong_at") == visits.wrong_details_at
        for name, budget in self.model.budgets.items():
            stored = items.get(f"budget#{name}#{self.model.now // HOUR}", {}).get("total", 0)
            assert stored == budget.counted(self.model.now), name

    def _recent(self, times: Iterable[int], seconds: int) -> list[int]:
        return within(times, seconds, self.model.now)

    def _is_password(self, stored: str, password: str) -> bool:
        if (stored, password) not in self.verified:
            if not self.world.service.hasher.verify(stored, password):
                return False
            self.verified.add((stored, password))
        return True


def _filled(lists: Mapping[str, list[int]]) -> dict[str, list[int]]:
    return {name: times for name, times in lists.items() if times}
