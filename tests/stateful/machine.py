"""The state machine: the choice of the next action, and the invariants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from tests.stateful.actions import Actions
from tests.stateful.choices import ANYTIME, POSSIBLE, Action
from tests.stateful.desk_scenarios import DESK_SCENARIOS
from tests.stateful.driver import DIE, Draw
from tests.stateful.environment import ADDRESSES, OPENIDS, firm_entries
from tests.stateful.rules import DAY, HOUR, ByRequester, Window, within
from tests.stateful.scenarios import FIRST, SCENARIOS, Scenario
from tests.stateful.staff import AGENT

Item = dict[str, Any]

ALL = (*SCENARIOS, *DESK_SCENARIOS)

THREE_DICE = st.tuples(DIE, DIE, DIE)
"""All are 0 in the simplest run alone: 0 is not as rare as another number."""

OFF_SCENARIO = 12
"""One of so many actions is not one of the scenario."""


def is_active(machine: Machine) -> bool:
    """Return whether a run does anything."""
    return not machine.is_idle


class Machine(Actions):
    """One run of actions."""

    steps: ClassVar[Counter[str]] = Counter()
    """How often each action was done, over all runs."""
    seed: ClassVar[int] = 0
    """The seed of the runs, which decides on their first two scenarios."""
    last_actions: ClassVar[list[str]] = []
    """The actions of the last run."""

    def __init__(self) -> None:
        super().__init__()
        self.last_actions.clear()
        self.is_idle: bool | None = None
        """Whether the run does nothing; None before its first step."""
        self.scenario: list[Action] = []
        # Of half as many seeds as there are scenarios each one begins with two others, whatever is drawn.
        places = (self.seed % len(ALL), (self.seed + len(ALL) // 2) % len(ALL))
        self.planned = [[ALL[place]] for place in places]
        self.verified: set[tuple[str, str]] = set()

    # With one rule for each action hypothesis would choose, and it prefers a few of them.
    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        """Do one action."""
        if self.is_idle is None:
            # For each seed hypothesis begins with the run in which every choice is the simplest one.
            self.is_idle = not any(data.draw(THREE_DICE))
        if self.is_idle:
            return
        action = self.next_action(data.draw)
        self.steps[action.__name__] += 1
        self.last_actions.append(action.__name__)
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
        """Choose a scenario and its login: first those that the seed plans, then any."""
        planned = self.planned.pop(0) if self.planned else ALL
        fitting = {scenario: self.fitting(scenario) for scenario in planned}
        if not any(fitting.values()):
            fitting = {scenario: self.fitting(scenario) for scenario in ALL}
        offered = [(scenario, names) for scenario, names in fitting.items() if names]
        among = [each for each in offered for _ in range(each[0].weight)]
        die = draw(DIE)
        scenario, names = among[die % len(among)]
        die //= len(among)
        # Most scenarios need the limits of a new day, and some differ where codes are pushed.
        first = FIRST[draw(DIE) % len(FIRST)]
        self.scenario = [*first, *scenario.actions]
        self.focus = names[die % len(names)]
        die //= len(names)
        self.clerk = AGENT
        self.visitor = self.turn = OPENIDS[die % len(OPENIDS)]
        self.address = ADDRESSES[die // len(OPENIDS) % len(ADDRESSES)]

    def fitting(self, scenario: Scenario) -> list[str]:
        """Return the logins that fit a scenario; one that is off begins none while another is on."""
        fitting = [name for name, login in self.model.logins.items() if scenario.fits(login)]
        return [name for name in fitting if not self.model.is_off(name)] or fitting

    def is_possible(self, action: Action) -> bool:
        needed = POSSIBLE.get(action)
        return needed is None or bool(needed(self))

    # What holds after each step.

    @precondition(is_active)
    @invariant()
    def messages_are_as_in_the_model(self) -> None:
        """Each message that the rules require was sent, and no other."""
        assert sorted(self.environment.outbox()) == sorted(self.model.sms)
        assert sorted(self.environment.platform.pushed) == sorted(self.model.pushed)
        for messages in (self.model.sms, self.model.pushed, self.environment.platform.pushed):
            messages.clear()
        links = [(openid, login) for openid, login, _ in self.environment.platform.links]
        assert links == [(link.openid, link.login) for link in self.model.links]

    @precondition(is_active)
    @invariant()
    def audit_is_as_in_the_model(self) -> None:
        """The audit has one entry for each event, and no other.

        One of an operator or of the staff has its actor and its reason.
        """
        history = Counter(self.environment.events())
        for act, often in self.model.acts.items():
            assert history.pop(act, 0) == often, act
        for name, login in self.model.logins.items():
            for event, often in login.audit.items():
                assert history.pop((name, event), 0) == often, (name, event)
        assert not history

    @precondition(is_active)
    @invariant()
    def the_tables_are_as_in_the_model(self) -> None:
        """Logins, codes and everything that still counts. The tables are read once: that takes time."""
        logins = self.environment.items("logins")
        kinds = ("code#", "to#", "requester#", "unbinder#", "budget#", "identity")
        items = {item["id"]: item for item in self.environment.items("ephemera", *kinds)}
        self._check_logins(logins, items)
        self._check_firms()
        self._check_desk(items)
        self._check_counts(logins, items)
        self._check_requesters(items)

    def _check_logins(self, logins: list[Item], items: dict[str, Item]) -> None:
        """Password, binding and the other stored attributes, and at most one live code per login."""
        for item in logins:
            name = item["login"]
            login, code = self.model.logins[name], items.get(f"code#{name}", {})
            firm = self.model.firm(name)
            attributes = {
                "closed_at": firm.closed_at,
                "expires_at": firm.erased_at,
                "head_id_last4": firm.facts["head_id_last4"],
                "frozen_at": login.frozen_at,
                "unfrozen_at": login.unfrozen_at,
                "recovery_epoch": login.epoch,
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

    def _check_firms(self) -> None:
        """Registered facts, and whether a firm is closed."""
        for item in self.environment.items("firms"):
            firm = self.model.firms[item["firm_no"]]
            expected = {
                **firm.facts,
                "closed_at": firm.closed_at,
                "expires_at": firm.erased_at,
            }
            assert {each: item.get(each) for each in expected} == expected, item["firm_no"]

    def _check_desk(self, items: dict[str, Item]) -> None:
        """Proposals, and the identity checks that still count or permit proposals."""
        desk = self.environment.items("desk")
        self._check_index([item for item in desk if item["kind"] != "proposal"])
        stored = {item["id"]: item for item in desk if item["kind"] == "proposal"}
        for number, proposal in zip(self.proposals, self.model.proposals, strict=True):
            item = stored.pop(number)
            expected = {**proposal.stored, "digest": item.get("digest")}
            assert {each: item.get(each) for each in expected} == expected, number
            assert bool(item.get("digest")) == (proposal.code is not None), number
            # Encrypted numbers are kept for as long as they may be needed.
            sealed = [bool(item.get(each)) for each in ("sealed_phone", "sealed_former")]
            assert sealed == [
                proposal.state not in ("rejected", "undone"),
                proposal.state == "active" and proposal.former is not None,
            ], number
        assert not stored
        wrongs = {
            **{f"identity#{each}": times for each, times in self.model.wrong_identity_firm.items()},
            **{
                f"identity-by#{each}": times
                for each, times in self.model.wrong_identity_staff.items()
            },
        }
        for key, times in wrongs.items():
            counted = items.get(key, {}).get("wrongs", ())
            assert self._recent(counted, DAY) == self._recent(times, DAY), key
        for (firm_no, subject), until in self.model.identified.items():
            matched = items.get(f"identity-ok#{firm_no}#{subject}", {})
            assert matched.get("expires_at") == until, firm_no

    def _check_index(self, entries: list[Item]) -> None:
        """Firms and logins are found by what is stored of them, and until they are erased."""
        index = self.world.service.desk.search_index
        expected = {
            (*found, firm.erased_at)
            for firm_no, firm in self.model.firms.items()
            for found in firm_entries(firm_no, tuple(firm.facts.items()))
        }
        for name, login in self.model.logins.items():
            if login.phone is not None:
                entry = index.phone_entry(name, login.phone)
                expected.add((entry.kind, entry.id, self.model.firm(name).erased_at))
        assert {(each["kind"], each["id"], each.get("expires_at")) for each in entries} == expected

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
