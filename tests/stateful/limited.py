"""The limits of the model: who may still start, send, try and unbind.

Written from the rules instead of the service's code: every list is counted whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.stateful.rules import (
    DAY,
    HOUR,
    Answer,
    Budget,
    Code,
    Firm,
    Login,
    Refusal,
    Requester,
    Rules,
    Visits,
    answer,
    longest,
    wait,
    within,
)


@dataclass
class Limited:
    """The logins and the counts that they share."""

    rules: Rules
    logins: dict[str, Login]
    defaults: dict[str, str]
    """The default passwords of finance logins."""
    now: int
    firms: dict[str, Firm] = field(default_factory=dict)
    visits: dict[Requester, Visits] = field(default_factory=dict)
    sends_to: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rules = self.rules
        self.sends_budget = Budget(rules.sends_service, rules.sends_service_hard)
        self.wrong_codes_budget = Budget(rules.wrong_codes_service)
        self.unbindings_budget = Budget(rules.unbindings_service, rules.unbindings_service_hard)

    def firm(self, name: str) -> Firm:
        """Return the firm of a login."""
        return self.firms[name.removesuffix("_cw")]

    def is_off(self, name: str) -> bool:
        """Return whether a login is frozen or its firm closed."""
        return self.logins[name].frozen_at is not None or self.firm(name).closed_at is not None

    @property
    def budgets(self) -> dict[str, Budget]:
        """The budgets of the service by name."""
        return {
            "sends": self.sends_budget,
            "wrong-codes": self.wrong_codes_budget,
            "unbindings": self.unbindings_budget,
        }

    def of(self, requester: Requester) -> Visits:
        """Return what a requester did."""
        return self.visits.setdefault(requester, Visits())

    def forget_instance(self) -> None:
        """Another instance continues, which has neither seen starts nor full budgets."""
        for budget in self.budgets.values():
            budget.forget()
        for visits in self.visits.values():
            visits.starts.clear()
            visits.logins.clear()

    def until_next_hour(self) -> int:
        """Return the seconds until the budgets of the service begin anew."""
        return HOUR - self.now % HOUR

    # Starts.

    def count_in_instance(self, requester: Requester, name: str) -> Refusal | None:
        """Count a start of any login, which need not exist, within the running instance."""
        visits, rules = self.of(requester), self.rules
        if requester.is_address:
            over = wait(visits.starts, rules.starts_address, self.now)
            if over:
                return Refusal(over, "address-starts")
        most, seconds = rules.window(rules.logins_requester, requester)
        recent = {login: at for login, at in visits.logins.items() if at > self.now - seconds}
        if name not in recent and len(recent) >= most:
            return Refusal(min(recent.values()) + seconds - self.now, "requester-logins")
        visits.logins[name] = self.now
        if requester.is_address:
            visits.starts.append(self.now)
        return None

    def base_work(self) -> int:
        """Return how many times the ordinary proof of work every start requires."""
        is_full = any(budget.is_full(self.now) for budget in self.budgets.values())
        return self.rules.full_factor if is_full else 1

    def growth(self, login: Login) -> int:
        """Return how many times that work a start of this login requires."""
        most, seconds = self.rules.starts_login
        beyond = len(within(login.starts, seconds, self.now)) - most
        doublings = 0 if beyond < 0 else 1 + beyond // self.rules.starts_per_doubling
        return int(2 ** min(doublings, self.rules.doublings))

    @staticmethod
    def too_little_work(factor: int | None, why: str) -> Answer:
        """Make the answer to a proof of work that is not enough; `factor` times would be."""
        return answer(400, "proof-invalid", why=why, factor=factor)

    # Sends.

    def send_refusals(
        self, name: str, requester: Requester, to: tuple[str, str], *, is_owner: bool
    ) -> list[Refusal]:
        """Return the limits that forbid a code to this destination."""
        found = (
            self.by_destination(to),
            self._wrong_codes_of(self.logins[name], requester, is_owner=is_owner)
            or self._sends_of_login(self.logins[name], requester),
            self._by_requester(name, requester),
        )
        return [refusal for refusal in found if refusal is not None]

    def by_destination(self, to: tuple[str, str]) -> Refusal | None:
        """Return the limit of codes to a phone or an openid that forbids another one, or None."""
        sends = self.sends_to.get(to, [])
        waits = {
            name: wait(sends, window, self.now)
            for name, window in self.rules.sends_destination.items()
        }
        over, name = longest(waits)
        return Refusal(over, "destination-sends", why=name) if over else None

    def _wrong_codes_of(
        self, login: Login, requester: Requester, *, is_owner: bool
    ) -> Refusal | None:
        rules = self.rules
        mine = login.wrong_by.get(requester, [])
        window = rules.window(rules.wrong_codes_requester_login, requester)
        if over := wait(mine, window, self.now):
            return Refusal(over, "wrong-codes", "too-many-attempts")
        over = 0 if is_owner else wait(login.wrong_codes, rules.wrong_codes_login, self.now)
        return Refusal(over, "login-wrong-codes", "too-many-attempts") if over else None

    def _sends_of_login(self, login: Login, requester: Requester) -> Refusal | None:
        window = self.rules.window(self.rules.sends_login, requester)
        over = wait(login.sends_by.get(requester, []), window, self.now)
        return Refusal(over, "login-sends") if over else None

    def _by_requester(self, name: str, requester: Requester) -> Refusal | None:
        visits, rules = self.of(requester), self.rules
        window = rules.window(rules.wrong_codes_requester, requester)
        if over := wait(visits.wrongs, window, self.now):
            return Refusal(over, "requester-wrong-codes", "too-many-attempts")
        if over := wait(
            visits.send_times, rules.window(rules.sends_requester, requester), self.now
        ):
            return Refusal(over, "requester-sends")
        sends = within(visits.send_times, DAY, self.now)
        is_strict = self.sends_budget.is_full(self.now)
        if is_strict and (within(visits.wrongs, DAY, self.now) or len(sends) > 2):
            return Refusal(self.until_next_hour(), "service-sends", why="service-sends soft")
        most, _ = rules.window(rules.logins_requester, requester)
        known = visits.logins_sent_to(self.now)
        if name not in known and len(known) >= most:
            return Refusal(min(known.values()) + DAY - self.now, "requester-logins")
        return None

    def is_guessed(self, login: Login) -> bool:
        """Return whether the login's codes are being guessed, so that they have eight digits."""
        return wait(login.wrong_codes, self.rules.long_codes_from, self.now) > 0

    # Tries.

    def try_refusal(
        self, login: Login, requester: Requester, *, is_owner: bool
    ) -> Refusal | Answer | None:
        """Return what forbids a try of the login's code."""
        code = login.code
        refusal = self._wrong_codes_of(login, requester, is_owner=is_owner)
        if refusal is not None and refusal.limit == "wrong-codes":
            return refusal
        if code is None:
            return answer(410, "code-expired", why="none")
        if code.until <= self.now:
            return answer(410, "code-expired", why="too late")
        if refusal is None and code.tries[requester] >= self.rules.figure(
            self.rules.tries, requester
        ):
            return Refusal(None, "code-tries", "too-many-attempts")
        return refusal

    def count_wrong(self, login: Login, requester: Requester) -> Refusal | None:
        """Count a wrong code of a requester before its comparison."""
        visits, rules = self.of(requester), self.rules
        window = rules.window(rules.wrong_codes_requester, requester)
        if over := wait(visits.wrongs, window, self.now):
            return Refusal(over, "requester-wrong-codes", "too-many-attempts")
        if self.wrong_codes_budget.is_full(self.now) and within(visits.wrongs, DAY, self.now):
            return Refusal(self.until_next_hour(), "service-wrong-codes")
        visits.wrongs.append(self.now)
        login.audit["code-wrong"] += 1
        return None

    def tries_left(self, login: Login, code: Code, requester: Requester, *, is_owner: bool) -> int:
        """Return the tries that remain to this requester."""
        rules = self.rules
        left = [rules.figure(rules.tries, requester) - code.tries[requester]]
        windows = [
            (
                login.wrong_by[requester],
                rules.window(rules.wrong_codes_requester_login, requester),
            )
        ]
        if not is_owner:
            windows.append((login.wrong_codes, rules.wrong_codes_login))
        left += [most - len(within(events, day, self.now)) for events, (most, day) in windows]
        return max(0, min(left))

    # Unbindings.

    def details_refusal(self, login: Login, requester: Requester) -> Refusal | None:
        """Return what forbids an attempt at the firm's details."""
        if self.unbindings_budget.is_over(self.now):
            return Refusal(
                self.until_next_hour(), "service-unbindings", why="service-unbindings hard"
            )
        window = self.rules.window(self.rules.wrong_details, requester)
        over = wait(login.details_by.get(requester, []), window, self.now)
        return Refusal(over, "wrong-details") if over else None

    def unbinding_refusal(self, name: str, requester: Requester) -> Refusal | None:
        """Return what forbids an unbinding with the right details."""
        visits, rules = self.of(requester), self.rules
        if over := wait(self.logins[name].unbindings, rules.unbindings_login, self.now):
            return Refusal(over, "unbindings")
        window = rules.window(rules.logins_requester, requester)
        times = [at for at, _ in visits.unbindings]
        if over := wait(times, window, self.now):
            return Refusal(over, "requester-unbindings")
        if not self.unbindings_budget.is_full(self.now):
            return None
        wrong_at = visits.wrong_details_at
        erred = wrong_at is not None and wrong_at > self.now - DAY
        another = within(times, DAY, self.now) and visits.unbindings[-1][1] != name
        if erred or another:
            return Refusal(
                self.until_next_hour(), "service-unbindings", why="service-unbindings soft"
            )
        return None
