"""The last part of the model: WeChat, the login page, what operators see, and the yearly reset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.stateful.desk import Desk
from tests.stateful.rules import Answer, Requester, Run, Window, answer, wait


class Model(Desk):
    """Everything that may happen, in any order."""

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

    # The login page.

    def verify(self, name: str, password: str) -> Answer:
        """Compare a password at the login page."""
        wrong: dict[str, Any] = {"valid": False, "must_change": False, "changed_at": 0}
        wrong["frozen"] = None
        login = self.logins.get(name)
        if login is None:
            return answer(200, why="unknown", **wrong)
        if over := wait(login.wrong_passwords, self.rules.wrong_passwords, self.now):
            return answer(429, "too-many-attempts", retry_after=over)
        if self.is_off(name):
            return answer(200, why="frozen", **{**wrong, "frozen": True})
        if password != login.password:
            login.wrong_passwords.append(self.now)
            return answer(200, why="wrong", **wrong)
        why = "must change" if login.must_change else "right"
        known: dict[str, Any] = {"must_change": login.must_change, "changed_at": login.changed_at}
        return answer(200, why=why, valid=True, **known)

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
