"""The first half of the model: the answers and effects of a recovery's calls.

Pure, and written from the rules instead of the service's code: a window is counted here, where the
store compares one entry of a list; a transaction is an `if`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.stateful.limited import Limited
from tests.stateful.rules import (
    Answer,
    Claims,
    Code,
    Link,
    Login,
    Refusal,
    Requester,
    Run,
    Used,
    answer,
    expired,
    first_refusal,
    no_code,
    wait,
    within,
)

CODE_LIFETIME, TOKEN_LIFETIME = 300, 1_800

WITHOUT_LINK = frozenset({"frozen", "firm-closed", "firm-reopened"})
"""Notices of WeChat without a link to freeze the login: it is off already, or was just turned on."""


@dataclass
class Attempt:
    """A try of a code, counted before it is compared."""

    requester: Requester
    is_owner: bool
    """Whether it is of the WeChat that the code went to."""
    is_first: bool
    """Whether it is the first one on the code by the requester that it was sent for."""
    is_counted: bool = False
    """Whether it counts as a wrong code of its requester already."""


@dataclass
class Recoveries(Limited):
    """The logins, and the state that they share."""

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
    links: list[Link] = field(default_factory=list)
    """The links to freeze a login, of all notices."""
    recoveries: int = 0

    @staticmethod
    def _refused(login: Login, refusal: Refusal) -> Answer:
        login.audit[f"refused-{refusal.limit}"] += 1
        return refusal.answer

    # A recovery.

    def start(
        self, name: str, visitor: str | None, requester: Requester, proof: str, work: int
    ) -> tuple[Answer, Claims | None]:
        """Begin a recovery; `proof` identifies a proof of `work` times the ordinary work."""
        if refusal := self.count_in_instance(requester, name):
            # These are not recorded: they have no login.
            return refusal.answer, None
        base = self.base_work()
        if work < base:
            return self.too_little_work(base, "budgets"), None
        login = self.logins.get(name)
        if login is None:
            return answer(404, "account-not-found"), None
        if self.is_off(name):
            return answer(403, "frozen"), None
        mine = login.starts_by.get(requester, [])
        window = self.rules.window(self.rules.starts_requester, requester)
        if over := wait(mine, window, self.now):
            return self._refused(login, Refusal(over, "starts")), None
        growth = self.growth(login)
        if work // base < growth:
            return self.too_little_work(growth * base, "login"), None
        if proof in login.proofs:
            return self.too_little_work(None, "used"), None
        login.proofs.add(proof)
        login.starts.append(self.now)
        login.starts_by.setdefault(requester, []).append(self.now)
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
            self.defaults.get(name),
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

    def send(self, claims: Claims, requester: Requester, number: int, *, accepted: bool) -> Answer:
        """Request a code, which will be `number`; `accepted` where a gateway would accept it."""
        if self.is_over(claims):
            return expired("too old")
        login = self.logins[claims.login]
        undone = claims.method == "wechat" and login.openid is None
        if undone and (login.version, login.epoch) == (claims.version, claims.epoch):
            # The binding was undone within this recovery.
            method = self._method(login, claims.visitor)
            assert method is not None, "a login without a phone keeps its binding"
            to = (method, login.phone)
            return self._send(claims, requester, to, number, accepted, " after unbinding")
        to = (claims.method, claims.bound if claims.method == "wechat" else claims.phone)
        return self._send(claims, requester, to, number, accepted)

    def _send(
        self,
        claims: Claims,
        requester: Requester,
        to: tuple[str, str | None],
        number: int,
        accepted: bool,
        why: str = "",
    ) -> Answer:
        method, destination = to
        if method == "follow":
            return answer(422, "invalid-input", why="follow" + why, field="method")
        assert destination is not None
        login = self.logins[claims.login]
        if method == "sms" and self.sends_budget.is_over(self.now):
            over = Refusal(self.until_next_hour(), "service-sends", why="service-sends hard")
            return self._refused(login, over)
        if ended := self._expired(login, claims, method, destination):
            return ended
        is_owner = method == "wechat" and claims.visitor == destination
        refusals = self.send_refusals(
            claims.login, requester, (method, destination), is_owner=is_owner
        )
        if refusal := first_refusal(refusals):
            return self._refused(login, refusal)
        login.audit["code-sent"] += 1
        self.sends_budget.add(self.now)
        refused, delivery = self._deliver(method, destination, accepted)
        if method == "wechat":
            self.pending.setdefault(destination, set()).add(claims.login)
        if refused is not None:
            # The code before lives on, and nothing is counted.
            return refused
        digits = f"{number:08d}" if self.is_guessed(login) else f"{number:06d}"
        login.code = Code(digits, method, self.now + CODE_LIFETIME, requester, destination)
        login.sends_by.setdefault(requester, []).append(self.now)
        self.of(requester).sends.append((self.now, claims.login))
        self.sends_to.setdefault((method, destination), []).append(self.now)
        if method == "wechat" and delivery == "sent":
            self.pushed.append((destination, claims.login, digits))
        why = f"{method} {delivery}{' long' if len(digits) > 6 else ''}{why}"
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
        if self._certainly_follows(destination):
            return None, "pull"
        by = "event" if destination in self.known_following else "request"
        return answer(409, "not-following", why=f"by {by}"), "pull"

    def confirm(self, claims: Claims, requester: Requester, digits: str, password: str) -> Answer:
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
            return self._repeated(claims, login, digits, password)
        # The WeChat that the code went to has tries of its own.
        is_owner = claims.visitor is not None and claims.visitor == claims.bound
        is_owner = is_owner and (code is None or code.destination == claims.visitor)
        refusal = self.try_refusal(login, requester, is_owner=is_owner)
        if isinstance(refusal, Answer):
            return refusal
        if refusal is not None:
            return self._refused(login, refusal)
        assert code is not None
        attempt = Attempt(
            requester, is_owner, code.sender == requester and not code.tries[requester]
        )
        code.tries[requester] += 1
        login.wrong_by.setdefault(requester, []).append(self.now)
        if not is_owner:
            login.wrong_codes.append(self.now)
        if self.wrong_codes_budget.is_full(self.now) or not attempt.is_first:
            attempt.is_counted = True
            if refusal := self.count_wrong(login, requester):
                return self._refused(login, refusal)
        if digits == code.digits:
            return self._set(claims, login, code, attempt, password)
        if not attempt.is_counted:
            self.of(requester).wrongs.append(self.now)
            login.audit["code-wrong"] += 1
        self.wrong_codes_budget.add(self.now)
        left = self.tries_left(login, code, requester, is_owner=is_owner)
        why = "of its WeChat" if is_owner else "first" if attempt.is_first else ""
        return answer(400, "code-wrong", why=why, attempts_left=left)

    @staticmethod
    def _repeated(claims: Claims, login: Login, digits: str, password: str) -> Answer:
        if login.used != Used(digits, claims.number):
            return no_code("used")
        if password != login.password:
            return no_code("repeat with another password")
        bound = login.openid is not None
        return answer(200, why="repeat", login=claims.login, wechat_bound=bound)

    def _set(
        self, claims: Claims, login: Login, code: Code, attempt: Attempt, password: str
    ) -> Answer:
        destination = claims.phone if code.method == "sms" else claims.bound
        if destination is None:
            return expired("no such destination")
        if code.method == "sms" and claims.visitor is None:
            return no_code("no WeChat to bind")
        if ended := self._expired(login, claims, code.method, destination):
            return ended
        private = (claims.phone and claims.phone[3:], claims.default)
        is_private = any(word and word.casefold() in password.casefold() for word in private)
        self._uncount(login, code, attempt)
        if is_private:
            return answer(422, "weak-password", why="private")
        login.wrong_passwords.clear()
        login.code, login.used = None, Used(code.digits, claims.number)
        self._change(login, password, must_change=False)
        login.recovered_at = self.now
        login.audit["password-recovered"] += 1
        bind = claims.visitor if code.method == "sms" else None
        if bind is not None and self._certainly_follows(bind):
            login.openid = bind
        is_bound = login.openid is not None
        notice = "wechat-bound" if bind is not None and is_bound else "password-reset"
        self._notify(notice, claims.login, [claims.phone], login.openid)
        why = f"{code.method}{'' if code.sender == attempt.requester else ' of another'}"
        why += "" if is_bound else " of no follower"
        return answer(200, why=why, login=claims.login, wechat_bound=is_bound)

    def _certainly_follows(self, openid: str) -> bool:
        """Return what WeChat's events state; without any, what WeChat answers."""
        known = self.known_following.get(openid)
        return openid in self.following if known is None else known

    def _uncount(self, login: Login, code: Code, attempt: Attempt) -> None:
        """Remove the counts of a try whose code was right."""
        code.tries[attempt.requester] -= 1
        login.wrong_by[attempt.requester].pop()
        if not attempt.is_owner:
            login.wrong_codes.pop()
        if attempt.is_counted:
            self.of(attempt.requester).wrongs.pop()
            login.audit["code-wrong"] -= 1

    def _notify(
        self,
        notice: str,
        name: str,
        phones: list[str | None],
        openid: str | None,
        *,
        by_operator: bool = False,
    ) -> None:
        for phone in phones:
            # An operator's notice is sent even where all other SMS have ended.
            if phone is not None and (by_operator or not self.sends_budget.is_over(self.now)):
                self.sms.append((phone, notice))
                self.sends_budget.add(self.now)
        if openid is not None and self.may_push and openid in self.following:
            self.pushed.append((openid, name, notice))
            if notice not in WITHOUT_LINK:
                self.links.append(Link(openid, name, self.now))

    def _change(self, login: Login, password: str, *, must_change: bool) -> None:
        login.password, login.must_change = password, must_change
        login.version += 1
        login.changed_at = self.now

    def progress(self, claims: Claims, requester: Requester) -> Answer:
        """Return how far the recovery is."""
        login = self.logins[claims.login]
        if self.is_over(claims):
            return expired("too old")
        if login.version > claims.version:
            if login.used is None or login.used.recovery != claims.number:
                return expired("other password")
            return answer(200, why="done", state="done", method=claims.method)
        if login.epoch != claims.epoch:
            return expired("changed by an operator")
        live = login.code is not None and login.code.until > self.now
        is_own = login.code is not None and login.code.sender == requester
        state = "code_sent" if live and is_own else "open"
        why = state if is_own or not live else "open, with a code of another"
        return answer(200, why=why, state=state, method=self._method(login, claims.visitor))

    def unbind(self, claims: Claims, requester: Requester, *, right: bool) -> Answer:
        """Undo the binding."""
        login = self.logins[claims.login]
        if self.is_over(claims):
            return expired("too old")
        if claims.bound is None:
            return expired("never bound")
        if refusal := self.details_refusal(login, requester):
            return self._refused(login, refusal)
        login.details_by.setdefault(requester, []).append(self.now)
        if not right:
            self.of(requester).wrong_details_at = self.now
            login.audit["details-wrong"] += 1
            most, seconds = self.rules.window(self.rules.wrong_details, requester)
            left = most - len(within(login.details_by[requester], seconds, self.now))
            return answer(403, "details-do-not-match", attempts_left=left)
        if login.phone is None:
            return answer(409, "phone-not-bound")
        if login.openid != claims.bound:
            return expired("other binding")
        if login.epoch != claims.epoch:
            return expired("changed by an operator")
        if refusal := self.unbinding_refusal(claims.login, requester):
            return self._refused(login, refusal)
        login.unbindings.append(self.now)
        self.of(requester).unbindings.append((self.now, claims.login))
        self.unbindings_budget.add(self.now)
        self._notify("wechat-unbound", claims.login, [login.phone], login.openid)
        login.openid = login.code = None
        login.audit["wechat-unbound"] += 1
        method = "sms" if claims.visitor else "follow"
        return answer(200, why=method, login=claims.login, method=method)
