"""The rules of the service in small: what each call must answer, and what must be true afterwards.

Pure, and written down a second time from the rules rather than from the service's code: a window
is counted here, where the store asks for one entry of a list; a transaction is an `if`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.machine.rules import (
    EXPIRED,
    NO_CODE,
    Code,
    Login,
    Rules,
    Run,
    Said,
    Ticket,
    Used,
    said,
    wait,
)

CODE_LIFETIME, TOKEN_LIFETIME = 300, 1_800


@dataclass
class Model:
    """The logins and all that they share."""

    rules: Rules
    logins: dict[str, Login]
    defaults: dict[str, str]
    """The default passwords of finance logins."""
    now: int
    address: list[int] = field(default_factory=list)
    sends_to: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    waiting: dict[str, set[str]] = field(default_factory=dict)
    """By openid the logins whose codes may be fetched there."""
    following: set[str] = field(default_factory=set)
    """Who follows the account, as WeChat knows it."""
    told_following: dict[str, bool] = field(default_factory=dict)
    """The same as WeChat's events told it."""
    may_push: bool = False
    runs: dict[int, Run] = field(default_factory=dict)
    sms: list[tuple[str, str]] = field(default_factory=list)
    """What went to phones in this step: phone and template."""
    tickets: int = 0

    # A recovery.

    def start(self, name: str, visitor: str | None) -> tuple[Said, Ticket | None]:
        """Name the login."""
        if over := wait(self.address, [self.rules.starts_address], self.now):
            return said(429, "too-many-requests", retry_after=over), None
        self.address.append(self.now)
        login = self.logins.get(name)
        if login is None:
            return said(404, "account-not-found"), None
        if over := wait(login.starts, [self.rules.starts_login], self.now):
            return said(429, "too-many-requests", retry_after=over), None
        login.starts.append(self.now)
        method = self._method(login, visitor)
        if method is None:
            return said(409, "phone-not-bound"), None
        self.tickets += 1
        ticket = Ticket(
            self.tickets,
            name,
            method,
            login.version,
            self.now,
            login.phone,
            login.openid,
            visitor,
        )
        return said(201, login=name, method=method, expires_in=TOKEN_LIFETIME), ticket

    @staticmethod
    def _method(login: Login, visitor: str | None) -> str | None:
        if login.openid is not None:
            return "wechat"
        if login.phone is None:
            return None
        return "follow" if visitor is None else "sms"

    def is_over(self, ticket: Ticket) -> bool:
        """Whether the token itself is too old."""
        return self.now >= ticket.at + TOKEN_LIFETIME

    @staticmethod
    def _holds(login: Login, ticket: Ticket, method: str, destination: str | None) -> bool:
        return login.version == ticket.version and login.road == (method, destination)

    def send(self, ticket: Ticket, digits: str, *, taken: bool) -> Said:
        """Ask for a code, which will be `digits`; `taken` where a gateway would take it."""
        if self.is_over(ticket):
            return EXPIRED
        answer = self._send(ticket, ticket.method, ticket.phone, digits, taken)
        if answer is not EXPIRED or ticket.method != "wechat":
            return answer
        login = self.logins[ticket.login]
        if login.version != ticket.version or login.openid is not None:
            return EXPIRED
        # The binding was undone within this recovery.
        method = self._method(login, ticket.visitor)
        if method is None:
            return said(409, "phone-not-bound")
        return self._send(ticket, method, login.phone, digits, taken)

    def _send(
        self, ticket: Ticket, method: str, phone: str | None, digits: str, taken: bool
    ) -> Said:
        if method == "follow":
            return said(422, "invalid-input", field="method")
        login = self.logins[ticket.login]
        destination = phone if method == "sms" else ticket.bound
        if destination is None or not self._holds(login, ticket, method, destination):
            return EXPIRED
        if over := wait(login.wrong_codes, [self.rules.wrong_codes], self.now):
            return said(429, "too-many-attempts", retry_after=over)
        to = self.sends_to.setdefault((method, destination), [])
        over = max(
            wait(login.sends, [self.rules.sends_login], self.now),
            wait(to, self.rules.sends_destination, self.now),
        )
        if over:
            return said(429, "too-many-requests", retry_after=over)
        login.audit["code-sent"] += 1
        refused, delivery = self._deliver(method, destination, taken)
        if method == "wechat":
            self.waiting.setdefault(destination, set()).add(ticket.login)
        if refused is not None:
            login.code = None
            return refused
        login.code = Code(digits, method, self.now + CODE_LIFETIME)
        login.sends.append(self.now)
        to.append(self.now)
        return said(202, method=method, delivery=delivery, expires_in=CODE_LIFETIME)

    def _deliver(self, method: str, destination: str, taken: bool) -> tuple[Said | None, str]:
        if method == "sms":
            self.sms.append((destination, "code"))
            return (None if taken else said(502, "delivery-failed")), "sent"
        gone = said(409, "not-following")
        if destination not in self.following:
            # WeChat says so to a push; without one the events are believed.
            if self.may_push:
                self.told_following[destination] = False
                return gone, "sent"
            return (None if self.told_following.get(destination, False) else gone), "pull"
        if self.may_push:
            return None, "sent"
        return (None if self.told_following.get(destination, True) else gone), "pull"

    def confirm(self, ticket: Ticket, digits: str, password: str) -> Said:
        """Set a password."""
        if self.is_over(ticket):
            return EXPIRED
        if len(password) < 8:
            return said(422, "weak-password")
        if ticket.method == "follow":
            return NO_CODE
        login = self.logins[ticket.login]
        code = login.code
        if code is None and login.used is not None:
            repeated = login.used == Used(digits, ticket.number) and password == login.password
            return said(200, login=ticket.login, wechat_bound=True) if repeated else NO_CODE
        if over := wait(login.wrong_codes, [self.rules.wrong_codes], self.now):
            return said(429, "too-many-attempts", retry_after=over)
        if code is None or code.until <= self.now:
            return NO_CODE
        if code.tries >= self.rules.tries:
            return said(429, "too-many-attempts", retry_after=None)
        code.tries += 1
        login.wrong_codes.append(self.now)
        if digits != code.digits:
            return said(400, "code-wrong", attempts_left=self._tries_left(login, code))
        return self._set(ticket, login, code, password)

    def _tries_left(self, login: Login, code: Code) -> int:
        most, seconds = self.rules.wrong_codes
        today = sum(at > self.now - seconds for at in login.wrong_codes)
        return max(0, min(self.rules.tries - code.tries, most - today))

    def _set(self, ticket: Ticket, login: Login, code: Code, password: str) -> Said:
        destination = ticket.phone if code.method == "sms" else ticket.bound
        if destination is None:
            return EXPIRED
        if code.method == "sms" and ticket.visitor is None:
            return NO_CODE
        if not self._holds(login, ticket, code.method, destination):
            return EXPIRED
        login.wrong_codes.pop()
        login.wrong_passwords.clear()
        login.code, login.used = None, Used(code.digits, ticket.number)
        self._change(login, password, must_change=False)
        login.recovered_at = self.now
        login.audit["password-recovered"] += 1
        if code.method == "sms":
            login.openid = ticket.visitor
        if ticket.phone is not None:
            notice = "wechat-bound" if code.method == "sms" else "password-reset"
            self.sms.append((ticket.phone, notice))
        return said(200, login=ticket.login, wechat_bound=True)

    def _change(self, login: Login, password: str, *, must_change: bool) -> None:
        login.password, login.must_change = password, must_change
        login.version += 1
        login.changed_at = self.now

    def progress(self, ticket: Ticket) -> Said:
        """Ask how far it is."""
        login = self.logins[ticket.login]
        if self.is_over(ticket):
            return EXPIRED
        if login.version > ticket.version:
            if login.recovered_at is None or login.recovered_at < ticket.at:
                return EXPIRED
            return said(200, state="done", method=ticket.method)
        live = login.code is not None and login.code.until > self.now
        method = self._method(login, ticket.visitor)
        return said(200, state="code_sent" if live else "open", method=method)

    def unbind(self, ticket: Ticket, *, right: bool) -> Said:
        """Undo the binding."""
        login = self.logins[ticket.login]
        if self.is_over(ticket) or ticket.bound is None:
            return EXPIRED
        if over := wait(login.wrong_details, [self.rules.wrong_details], self.now):
            return said(429, "too-many-requests", retry_after=over)
        login.wrong_details.append(self.now)
        if not right:
            return said(403, "details-do-not-match")
        if login.phone is None:
            return said(409, "phone-not-bound")
        if login.openid != ticket.bound:
            return EXPIRED
        login.wrong_details.pop()
        self._unbind(login, login.phone)
        return said(200, login=ticket.login, method="sms" if ticket.visitor else "follow")

    def _unbind(self, login: Login, phone: str) -> None:
        login.openid = login.code = None
        login.audit["wechat-unbound"] += 1
        self.sms.append((phone, "wechat-unbound"))

    # The login page.

    def verify(self, name: str, password: str) -> Said:
        """Ask whether it is the password."""
        wrong = said(200, valid=False, must_change=False, changed_at=0)
        login = self.logins.get(name)
        if login is None:
            return wrong
        if over := wait(login.wrong_passwords, [self.rules.wrong_passwords], self.now):
            return said(429, "too-many-attempts", retry_after=over)
        if password != login.password:
            login.wrong_passwords.append(self.now)
            return wrong
        return said(200, valid=True, must_change=login.must_change, changed_at=login.changed_at)

    # WeChat.

    def follow(self, openid: str, following: bool, *, told: bool) -> None:
        """Somebody follows or leaves, and the event of it arrives or is lost."""
        (self.following.add if following else self.following.discard)(openid)
        if told:
            self.told_following[openid] = following

    def fetch(self, openid: str) -> dict[str, str]:
        """The codes that the account tells this person, by login."""
        return {
            name: login.code.digits
            for name in self.waiting.get(openid, ())
            if (login := self.logins[name]).openid == openid
            and login.code is not None
            and login.code.method == "wechat"
            and login.code.until > self.now
            and login.code.tries < self.rules.tries
        }

    # Operators.

    def change_phone(self, name: str, phone: str) -> bool:
        """Bind another phone; whether anything was changed."""
        login = self.logins[name]
        if login.phone == phone:
            return False
        self.sms += [(number, "phone-changed") for number in (login.phone, phone) if number]
        login.phone, login.code = phone, None
        login.audit["phone-changed"] += 1
        return True

    def operator_unbinds(self, name: str) -> bool | None:
        """Undo the binding; None where the login would be left without a way."""
        login = self.logins[name]
        if login.openid is None:
            return False
        if login.phone is None:
            return None
        self._unbind(login, login.phone)
        return True

    def unlock(self, name: str) -> bool:
        """Empty the counts; whether there were any."""
        login = self.logins[name]
        method, destination = login.road
        to = self.sends_to.get((method, destination or ""), [])
        lists = (
            login.starts,
            login.sends,
            login.wrong_codes,
            login.wrong_details,
            login.wrong_passwords,
            to,
        )
        if not any(lists):
            return False
        for counts in lists:
            counts.clear()
        login.audit["unlocked"] += 1
        if login.phone is not None:
            self.sms.append((login.phone, "unlocked"))
        return True

    # The year.

    def begin(self, year: int) -> None:
        """Start the year's run, or start it again."""
        self.runs.setdefault(year, Run(self.now))

    @property
    def begun(self) -> int | None:
        """The year whose run has begun and is not finished."""
        return next((year for year, run in self.runs.items() if not run.finished), None)

    def work(self) -> None:
        """Work what has begun."""
        year = self.begun
        if year is None:
            return
        run = self.runs[year]
        run.finished = True
        for name, password in self.defaults.items():
            login = self.logins[name]
            if (login.reset_year or 0) < year and login.changed_at < run.at:
                self._change(login, password, must_change=True)
                login.reset_year, login.code = year, None
                login.audit["yearly-reset"] += 1
