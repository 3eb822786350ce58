"""The second half of the model: WeChat, operators and the yearly reset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.stateful.recoveries import Recoveries
from tests.stateful.rules import DAY, Login, Requester, Run, Window, wait, within


class Model(Recoveries):
    """Recoveries, and everything that may happen between their steps."""

    # WeChat.

    def follow(self, openid: str, following: bool, *, notified: bool) -> None:
        """Follow or leave; `notified` where the event of it arrives."""
        (self.following.add if following else self.following.discard)(openid)
        if notified:
            self.known_following[openid] = following

    def fetch(self, openid: str) -> dict[str, str]:
        """Return the codes that this person may fetch from the account, by login."""
        return {
            name: login.code.digits
            for name in self.pending.get(openid, ())
            if (login := self.logins[name]).openid == openid
            and login.code is not None
            and login.code.method == "wechat"
            and login.code.until > self.now
            and login.code.tries[Requester(openid, is_address=False)] < self.rules.tries
        }

    # Operators.

    def change_phone(self, name: str, phone: str) -> bool:
        """Bind another phone; return whether anything changed."""
        login = self.logins[name]
        if login.phone == phone:
            return False
        self._notify("phone-changed", name, [login.phone, phone], login.openid, by_operator=True)
        login.phone, login.code = phone, None
        login.epoch += 1
        login.audit["phone-changed"] += 1
        # The operator has no second pair of eyes.
        login.audit["break-glass"] += 1
        return True

    def operator_unbinds(self, name: str) -> bool | None:
        """Undo the binding; None where the login would be left without a method."""
        login = self.logins[name]
        if login.openid is None:
            return False
        if login.phone is None:
            return None
        self._unbind(name, login, by_operator=True)
        login.epoch += 1
        return True

    def unlock(self, name: str) -> bool:
        """Clear the counts, also those of the requesters of today; return whether there were any."""
        login = self.logins[name]
        counts: tuple[Any, ...] = (
            login.starts,
            login.starts_by,
            *login.sends_by.values(),
            login.wrong_codes,
            login.details_by,
            login.unbindings,
            login.wrong_passwords,
            self.sent_to(login),
        )
        if not any((*counts, *login.wrong_by.values())):
            return False
        recent = [
            (requester, times)
            for by in (login.wrong_by, login.sends_by)
            for requester, times in by.items()
            if within(times, DAY, self.now)
        ]
        for requester, times in recent:
            self.of(requester).wrongs.clear()
            self.of(requester).sends.clear()
            times.clear()
        for requester, times in login.details_by.items():
            if within(times, DAY, self.now):
                self.of(requester).unbindings.clear()
                self.of(requester).wrong_details_at = None
        for each in counts:
            each.clear()
        login.audit["unlocked"] += 1
        self._notify("unlocked", name, [login.phone], login.openid, by_operator=True)
        return True

    def sent_to(self, login: Login) -> list[int]:
        """Return the times of all codes sent to this login's destination, which logins may share."""
        method, destination = login.destination
        return self.sends_to.setdefault((method, destination or ""), [])

    def locks(self, name: str) -> dict[str, int]:
        """Return the limits that are used up, with the time of their end."""
        login, rules = self.logins[name], self.rules
        to = self.sent_to(login)
        waits = {
            "starts": self._longest(login.starts_by, rules.starts_requester),
            "login-sends": self._longest(login.sends_by, rules.sends_login),
            "destination-sends": max(
                wait(to, window, self.now)
                for name, window in rules.sends_destination.items()
                if name != "minute"
            ),
            "resend-pause": wait(to, rules.sends_destination["minute"], self.now),
            "wrong-codes": self._longest(login.wrong_by, rules.wrong_codes_requester_login),
            "login-wrong-codes": wait(login.wrong_codes, rules.wrong_codes_login, self.now),
            "wrong-details": self._longest(login.details_by, rules.wrong_details),
            "unbindings": wait(login.unbindings, rules.unbindings_login, self.now),
            "wrong-passwords": wait(login.wrong_passwords, rules.wrong_passwords, self.now),
        }
        code = login.code
        if code is not None and any(
            tries >= rules.figure(rules.tries, requester) for requester, tries in code.tries.items()
        ):
            waits["code-tries"] = max(0, code.until - self.now)
        for budget in ("sends", "wrong-codes"):
            if self.budgets[budget].counted(self.now) >= self.budgets[budget].soft:
                waits[f"service-{budget}"] = self.until_next_hour()
        return {kind: self.now + seconds for kind, seconds in waits.items() if seconds}

    def _longest(self, by: Mapping[Requester, list[int]], window: Window) -> int:
        """Return the longest wait of a requester."""
        return max(
            (
                wait(times, self.rules.window(window, requester), self.now)
                for requester, times in by.items()
            ),
            default=0,
        )

    # The year.

    def begin(self, year: int) -> str:
        """Start the year's run; return the state that it was in."""
        if year in self.runs:
            return "finished before" if self.runs[year].finished else "under way"
        self.runs[year] = Run(self.now)
        return "new"

    @property
    def begun(self) -> int | None:
        """The year whose run has begun and has not finished."""
        return next((year for year, run in self.runs.items() if not run.finished), None)

    def work(self) -> dict[str, str]:
        """Finish the run that has begun; return the outcome of each login."""
        year = self.begun
        assert year is not None
        run = self.runs[year]
        run.finished = True
        outcomes = {}
        for name, password in self.defaults.items():
            login = self.logins[name]
            if (login.reset_year or 0) > year:
                outcomes[name] = "later-year"
            elif login.changed_at >= run.at:
                outcomes[name] = "changed"
            else:
                outcomes[name] = "done"
                self._change(login, password, must_change=True)
                login.reset_year, login.code = year, None
                login.audit["yearly-reset"] += 1
        return outcomes
