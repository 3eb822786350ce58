"""The second half of the model: WeChat, operators and the yearly reset."""

from __future__ import annotations

from tests.stateful.recoveries import Recoveries
from tests.stateful.rules import Login, Run, wait


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
            and login.code.tries < self.rules.tries
        }

    # Operators.

    def change_phone(self, name: str, phone: str) -> bool:
        """Bind another phone; return whether anything changed."""
        login = self.logins[name]
        if login.phone == phone:
            return False
        self._notify("phone-changed", name, [login.phone, phone], login.openid)
        login.phone, login.code = phone, None
        login.epoch += 1
        login.audit["phone-changed"] += 1
        return True

    def operator_unbinds(self, name: str) -> bool | None:
        """Undo the binding; None where the login would be left without a method."""
        login = self.logins[name]
        if login.openid is None:
            return False
        if login.phone is None:
            return None
        self._unbind(name, login)
        login.epoch += 1
        return True

    def unlock(self, name: str) -> bool:
        """Clear the counts; return whether there were any."""
        login = self.logins[name]
        lists = (
            login.starts,
            login.sends,
            login.wrong_codes,
            login.wrong_details,
            login.wrong_passwords,
            self.sent_to(login),
        )
        if not any(lists):
            return False
        for counts in lists:
            counts.clear()
        login.audit["unlocked"] += 1
        self._notify("unlocked", name, [login.phone], login.openid)
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
            "starts": wait(login.starts, rules.starts_login, self.now),
            "login-sends": wait(login.sends, rules.sends_login, self.now),
            "destination-sends": max(
                wait(to, window, self.now)
                for name, window in rules.sends_destination.items()
                if name != "minute"
            ),
            "resend-pause": wait(to, rules.sends_destination["minute"], self.now),
            "wrong-codes": wait(login.wrong_codes, rules.wrong_codes, self.now),
            "wrong-details": wait(login.wrong_details, rules.wrong_details, self.now),
            "wrong-passwords": wait(login.wrong_passwords, rules.wrong_passwords, self.now),
        }
        code = login.code
        if code is not None and code.tries >= rules.tries:
            waits["code-tries"] = max(0, code.until - self.now)
        return {kind: self.now + seconds for kind, seconds in waits.items() if seconds}

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
