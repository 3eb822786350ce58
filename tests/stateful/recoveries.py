"""The first half of the model: the answers and effects of a recovery's calls.

Pure, and written from the rules instead of the service's code: a window is counted here, where the
store compares one entry of a list; a transaction is an `if`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.stateful.rules import (
    Answer,
    Claims,
    Code,
    Login,
    Rules,
    Run,
    Used,
    answer,
    expired,
    longest,
    no_code,
    wait,
)

CODE_LIFETIME, TOKEN_LIFETIME = 300, 1_800


@dataclass
class Recoveries:
    """The logins, and the state that they share."""

    rules: Rules
    logins: dict[str, Login]
    defaults: dict[str, str]
    """The default passwords of finance logins."""
    now: int
    address: list[int] = field(default_factory=list)
    sends_to: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    pending: dict[str, set[str]] = field(default_factory=dict)
    """The logins whose codes may be fetched, by openid."""
    following: set[str] = field(default_factory=set)
    """The followers of the account on WeChat's side."""
    known_following: dict[str, bool] = field(default_factory=dict)
    """Who follows according to WeChat's events and answers."""
    may_push: bool = False
    runs: dict[int, Run] = field(default_factory=dict)
    sms: list[tuple[str, str]] = field(default_factory=list)
    """The SMS sent in this step: phone and template."""
    pushed: list[tuple[str, str, str]] = field(default_factory=list)
    """The template messages of this step: openid, login, and the code or the notice."""
    recoveries: int = 0

    # A recovery.

    def start(self, name: str, visitor: str | None) -> tuple[Answer, Claims | None]:
        """Begin a recovery."""
        if over := wait(self.address, self.rules.starts_address, self.now):
            return answer(429, "too-many-requests", why="address", retry_after=over), None
        self.address.append(self.now)
        login = self.logins.get(name)
        if login is None:
            return answer(404, "account-not-found"), None
        if over := wait(login.starts, self.rules.starts_login, self.now):
            login.audit["refused-starts"] += 1
            return answer(429, "too-many-requests", why="login", retry_after=over), None
        login.starts.append(self.now)
        method = self._method(login, visitor)
        if method is None:
            return answer(409, "phone-not-bound"), None
        self.recoveries += 1
        claims = Claims(
            self.recoveries,
            name,
            method,
            login.version,
            login.epoch,
            self.now,
            login.phone,
            login.openid,
            visitor,
        )
        started = answer(201, why=method, login=name, method=method, expires_in=TOKEN_LIFETIME)
        return started, claims

    @staticmethod
    def _method(login: Login, visitor: str | None) -> str | None:
        if login.openid is not None:
            return "wechat"
        if login.phone is None:
            return None
        return "follow" if visitor is None else "sms"

    def is_over(self, claims: Claims) -> bool:
        """Return whether the token is too old."""
        return self.now >= claims.at + TOKEN_LIFETIME

    @staticmethod
    def _expired(login: Login, claims: Claims, method: str, destination: str) -> Answer | None:
        if login.version != claims.version:
            return expired("other password")
        if login.epoch != claims.epoch:
            return expired("changed by an operator")
        return None if login.destination == (method, destination) else expired("other destination")

    def send(self, claims: Claims, digits: str, *, accepted: bool) -> Answer:
        """Request a code, which will be `digits`; `accepted` where a gateway would accept it."""
        if self.is_over(claims):
            return expired("too old")
        login = self.logins[claims.login]
        undone = claims.method == "wechat" and login.openid is None
        if undone and (login.version, login.epoch) == (claims.version, claims.epoch):
            # The binding was undone within this recovery.
            method = self._method(login, claims.visitor)
            assert method is not None, "a login without a phone keeps its binding"
            return self._send(claims, method, login.phone, digits, accepted, " after unbinding")
        return self._send(claims, claims.method, claims.phone, digits, accepted)

    def _send(
        self,
        claims: Claims,
        method: str,
        phone: str | None,
        digits: str,
        accepted: bool,
        why: str = "",
    ) -> Answer:
        if method == "follow":
            return answer(422, "invalid-input", why="follow" + why, field="method")
        login = self.logins[claims.login]
        destination = phone if method == "sms" else claims.bound
        assert destination is not None
        if ended := self._expired(login, claims, method, destination):
            return ended
        if over := wait(login.wrong_codes, self.rules.wrong_codes, self.now):
            login.audit["refused-wrong-codes"] += 1
            return answer(429, "too-many-attempts", retry_after=over)
        to = self.sends_to.setdefault((method, destination), [])
        over, name = longest(
            {
                "login": wait(login.sends, self.rules.sends_login, self.now),
                **{
                    name: wait(to, window, self.now)
                    for name, window in self.rules.sends_destination.items()
                },
            }
        )
        if over:
            to_destination = max(
                wait(to, window, self.now) for window in self.rules.sends_destination.values()
            )
            which = "destination" if over == to_destination else "login"
            login.audit[f"refused-{which}-sends"] += 1
            return answer(429, "too-many-requests", why=name, retry_after=over)
        login.audit["code-sent"] += 1
        refused, delivery = self._deliver(method, destination, accepted)
        if method == "wechat":
            self.pending.setdefault(destination, set()).add(claims.login)
        if refused is not None:
            login.code = None
            return refused
        login.code = Code(digits, method, self.now + CODE_LIFETIME)
        login.sends.append(self.now)
        to.append(self.now)
        if method == "wechat" and delivery == "sent":
            self.pushed.append((destination, claims.login, digits))
        why = f"{method} {delivery}{why}"
        return answer(202, why=why, method=method, delivery=delivery, expires_in=CODE_LIFETIME)

    def _deliver(self, method: str, destination: str, accepted: bool) -> tuple[Answer | None, str]:
        if method == "sms":
            self.sms.append((destination, "code"))
            return (None if accepted else answer(502, "delivery-failed")), "sent"
        if destination not in self.following and self.may_push:
            # WeChat's answer to the push reports it, and the service stores that.
            self.known_following[destination] = False
            return answer(409, "not-following", why="pushed"), "sent"
        if self.may_push:
            return None, "sent"
        # Without a push WeChat's events decide; WeChat is requested where none has arrived.
        known = self.known_following.get(destination)
        if destination in self.following if known is None else known:
            return None, "pull"
        return answer(
            409, "not-following", why="by request" if known is None else "by event"
        ), "pull"

    def confirm(self, claims: Claims, digits: str, password: str) -> Answer:
        """Set a password by a code."""
        if self.is_over(claims):
            return expired("too old")
        if len(password) < 8:
            return answer(422, "weak-password", why="public")
        if claims.method == "follow":
            return no_code("follow")
        login = self.logins[claims.login]
        code = login.code
        if code is None and login.used is not None:
            if login.used != Used(digits, claims.number):
                return no_code("used")
            if password != login.password:
                return no_code("repeat with another password")
            return answer(200, why="repeat", login=claims.login, wechat_bound=True)
        if over := wait(login.wrong_codes, self.rules.wrong_codes, self.now):
            login.audit["refused-wrong-codes"] += 1
            return answer(429, "too-many-attempts", why="day", retry_after=over)
        if code is None:
            return no_code("none")
        if code.until <= self.now:
            return no_code("too late")
        if code.tries >= self.rules.tries:
            login.audit["refused-code-tries"] += 1
            return answer(429, "too-many-attempts", why="code", retry_after=None)
        code.tries += 1
        login.wrong_codes.append(self.now)
        if digits != code.digits:
            login.audit["code-wrong"] += 1
            return answer(400, "code-wrong", attempts_left=self._tries_left(login, code))
        return self._set(claims, login, code, password)

    def _tries_left(self, login: Login, code: Code) -> int:
        most, seconds = self.rules.wrong_codes
        today = sum(at > self.now - seconds for at in login.wrong_codes)
        return max(0, min(self.rules.tries - code.tries, most - today))

    def _set(self, claims: Claims, login: Login, code: Code, password: str) -> Answer:
        destination = claims.phone if code.method == "sms" else claims.bound
        if destination is None:
            return expired("no such destination")
        if code.method == "sms" and claims.visitor is None:
            return no_code("no WeChat to bind")
        if ended := self._expired(login, claims, code.method, destination):
            return ended
        private = (claims.phone and claims.phone[3:], self.defaults.get(claims.login))
        if any(word and word.casefold() in password.casefold() for word in private):
            code.tries -= 1
            login.wrong_codes.pop()
            return answer(422, "weak-password", why="private")
        login.wrong_codes.pop()
        login.wrong_passwords.clear()
        login.code, login.used = None, Used(code.digits, claims.number)
        self._change(login, password, must_change=False)
        login.recovered_at = self.now
        login.audit["password-recovered"] += 1
        if code.method == "sms":
            login.openid = claims.visitor
        notice = "wechat-bound" if code.method == "sms" else "password-reset"
        self._notify(notice, claims.login, [claims.phone], login.openid)
        return answer(200, why=code.method, login=claims.login, wechat_bound=True)

    def _notify(self, notice: str, name: str, phones: list[str | None], openid: str | None) -> None:
        self.sms += [(phone, notice) for phone in phones if phone is not None]
        if openid is not None and self.may_push and openid in self.following:
            self.pushed.append((openid, name, notice))

    def _change(self, login: Login, password: str, *, must_change: bool) -> None:
        login.password, login.must_change = password, must_change
        login.version += 1
        login.changed_at = self.now

    def progress(self, claims: Claims) -> Answer:
        """Return how far the recovery is."""
        login = self.logins[claims.login]
        if self.is_over(claims):
            return expired("too old")
        if login.version > claims.version:
            if login.recovered_at is None or login.recovered_at < claims.at:
                return expired("other password")
            return answer(200, why="done", state="done", method=claims.method)
        if login.epoch != claims.epoch:
            return expired("changed by an operator")
        live = login.code is not None and login.code.until > self.now
        state, method = "code_sent" if live else "open", self._method(login, claims.visitor)
        return answer(200, why=state, state=state, method=method)

    def unbind(self, claims: Claims, *, right: bool) -> Answer:
        """Undo the binding."""
        login = self.logins[claims.login]
        if self.is_over(claims):
            return expired("too old")
        if claims.bound is None:
            return expired("never bound")
        if over := wait(login.wrong_details, self.rules.wrong_details, self.now):
            login.audit["refused-wrong-details"] += 1
            return answer(429, "too-many-requests", retry_after=over)
        login.wrong_details.append(self.now)
        if not right:
            login.audit["details-wrong"] += 1
            return answer(403, "details-do-not-match")
        if login.phone is None:
            return answer(409, "phone-not-bound")
        if login.openid != claims.bound:
            return expired("other binding")
        if login.epoch != claims.epoch:
            return expired("changed by an operator")
        login.wrong_details.pop()
        self._unbind(claims.login, login)
        method = "sms" if claims.visitor else "follow"
        return answer(200, why=method, login=claims.login, method=method)

    def _unbind(self, name: str, login: Login) -> None:
        self._notify("wechat-unbound", name, [login.phone], login.openid)
        login.openid = login.code = None
        login.audit["wechat-unbound"] += 1

    # The login page.

    def verify(self, name: str, password: str) -> Answer:
        """Compare a password at the login page."""
        wrong: dict[str, Any] = {"valid": False, "must_change": False, "changed_at": 0}
        login = self.logins.get(name)
        if login is None:
            return answer(200, why="unknown", **wrong)
        if over := wait(login.wrong_passwords, self.rules.wrong_passwords, self.now):
            return answer(429, "too-many-attempts", retry_after=over)
        if password != login.password:
            login.wrong_passwords.append(self.now)
            return answer(200, why="wrong", **wrong)
        why = "must change" if login.must_change else "right"
        known: dict[str, Any] = {"must_change": login.must_change, "changed_at": login.changed_at}
        return answer(200, why=why, valid=True, **known)
