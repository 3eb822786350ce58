"""A person forgot a password: names the login, gets a code, sets a new password."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from ..domain import codes as one_time
from ..domain.catalogue import INPUT_REASONS
from ..domain.errors import (
    CodeExpired,
    CodeWrong,
    DeliveryFailed,
    InvalidInput,
    PhoneNotBound,
    ProofInvalid,
    RecoveryExpired,
    ServiceError,
    Unavailable,
    WeakPassword,
)
from ..domain.limits import MINUTE
from ..domain.logins import Kind, parse_login
from ..domain.passwords import Profile, default_password, weaknesses
from ..keys.passwords import PasswordHasher
from ..keys.proofs import LIFETIME as PROOF_LIFETIME
from ..keys.proofs import Proofs
from ..keys.tokens import TOKEN_LIFETIME, Sealer, Ticket, Tokens
from ..store import audit
from ..store.codes import Codes, Road, Spent, UsedCode, new_send
from ..store.limits import Budget, use_once
from ..store.logins import Account, Logins
from .counting import Count
from .delivery import Delivery, shown
from .notices import Notices
from .scenes import Scenes

log = logging.getLogger(__name__)

PURPOSE = "password"
PROOF_ACTION = "recovery"

# Seconds after which a store that hung has left no time to ask it for more: the function has ten,
# and each question may take six.
_TIME_TO_RELEASE = 3


class Started(NamedTuple):
    """A recovery that has begun; `scene` is there for the method `follow` alone."""

    token: str
    login: str
    method: str
    destination: str
    expires_in: int
    scene: str | None


class Sent(NamedTuple):
    """A code is on its way; times in seconds."""

    method: str
    destination: str
    delivery: str
    expires_in: int
    resend_in: int


class Completed(NamedTuple):
    """The new password is set."""

    login: str
    wechat_bound: bool


class Progress(NamedTuple):
    """Where a recovery stands: `open`, `code_sent` or `done`."""

    login: str
    method: str
    state: str


def method_of(account: Account, visitor: str | None) -> str:
    """How the login's codes travel. Raises PhoneNotBound where there is no way at all."""
    if account.openid is not None:
        return "wechat"
    if account.phone is None:
        raise PhoneNotBound
    return "follow" if visitor is None else "sms"


class Recovery:
    """The three steps of a recovery and the question how far it is."""

    def __init__(
        self,
        *,
        clock: Callable[[], int],
        randbelow: Callable[[int], int],
        logins: Logins,
        codes: Codes,
        sends_budget: Budget,
        wrongs_budget: Budget,
        tokens: Tokens,
        sealer: Sealer,
        scenes: Scenes,
        hasher: PasswordHasher,
        proofs: Proofs | None,
        peppers: Mapping[int, bytes],
        profile: Profile,
        area_codes: Mapping[str, str],
        delivery: Delivery,
        notices: Notices,
        count: Count,
    ) -> None:
        """`proofs` None asks for no proof of work; `peppers` has the current version first."""
        self._clock = clock
        self._randbelow = randbelow
        self._logins = logins
        self._codes = codes
        self._sends_budget = sends_budget
        self._wrongs_budget = wrongs_budget
        self._tokens = tokens
        self._sealer = sealer
        self._scenes = scenes
        self._hasher = hasher
        self._proofs = proofs
        self._peppers = peppers
        self._profile = profile
        self._area_codes = area_codes
        self._delivery = delivery
        self._notices = notices
        self._count = count

    def start(self, login_text: str, proof: str | None, visitor: str | None) -> Started:
        """Begin a recovery of the login that a person typed.

        `visitor` is the openid of the WeChat that the page is open in, None elsewhere.
        Raises InvalidInput, ProofInvalid, AccountNotFound, TooManyRequests, PhoneNotBound.
        """
        now = self._clock()
        login = parse_login(login_text)
        proof_id = self._proved(proof, str(login), now)
        account = self._logins.start(str(login), proof_id, now)
        default = default_password(account.province, account.head_id_last4, self._area_codes)
        ticket = Ticket(
            recovery=secrets.token_hex(16),
            login=account.login,
            method=method_of(account, visitor),
            version=account.password_version,
            started_at=now,
            phone=account.phone,
            default=default if login.kind is Kind.FINANCE else None,
            bound=account.openid,
            visitor=visitor,
        )
        follow = ticket.method == "follow"
        self._count("RecoveryStarted")
        return Started(
            token=self._tokens.issue(ticket),
            login=ticket.login,
            method=ticket.method,
            destination="" if follow else shown(_road(ticket, ticket.method)),
            expires_in=TOKEN_LIFETIME,
            scene=self._scenes.make(ticket.login, now + TOKEN_LIFETIME) if follow else None,
        )

    def _proved(self, payload: str | None, login: str, now: int) -> str | None:
        if self._proofs is None:
            return None
        proof = self._proofs.check(payload or "", PROOF_ACTION)
        if proof is None or proof.login not in (None, login):
            raise ProofInvalid
        if proof.login is None and not use_once("proof", proof.id, now, PROOF_LIFETIME):
            # A proof for no login in particular is remembered for all of them.
            raise ProofInvalid
        return proof.id

    def read(self, token: str | None) -> Ticket:
        """The ticket of a bearer token. Raises RecoveryExpired."""
        ticket = self._tokens.read(token) if token else None
        if ticket is None:
            raise RecoveryExpired
        return ticket

    def send_code(self, ticket: Ticket) -> Sent:
        """Send a new code, which ends an earlier one.

        Raises TooManyRequests, TooManyAttempts, DeliveryFailed, NotFollowing, RecoveryExpired.
        """
        now = self._clock()
        self._sends_budget.check(now)
        if ticket.method != "wechat":
            return self._send(ticket, ticket.method, now)
        try:
            return self._send(ticket, "wechat", now)
        except RecoveryExpired:
            # The binding may have been undone within this very recovery: then the way is SMS.
            account = self._logins.get(ticket.login)
            if account is None or account.password_version != ticket.version or account.openid:
                raise
            current = replace(ticket, phone=account.phone)
            return self._send(current, method_of(account, ticket.visitor), now)

    def _send(self, ticket: Ticket, method: str, now: int) -> Sent:
        if method == "follow":
            raise InvalidInput("method", INPUT_REASONS["follow"])
        road = _road(ticket, method)
        code = one_time.generate(self._randbelow)
        send = new_send(ticket.login, road, shown(road), self._delivery.gateway(road), now)
        # Sealed only where the person may have to fetch it; an SMS needs no copy of the code.
        sealed = self._sealer.seal("code " + ticket.login, code) if method == "wechat" else None
        digest = self._digest(code, ticket.login, method)
        try:
            self._codes.reserve(ticket.login, road, digest, sealed, send, now)
        except Unavailable as error:
            # It may be that the answer alone was lost. A code that nobody gets must not stand against
            # the person, nor in the audit as if it had gone out.
            if self._clock() - now < _TIME_TO_RELEASE:
                self._codes.release(ticket.login, road, send, now, error.code)
            raise
        try:
            self._sends_budget.count(now)
            handed = self._delivery.send(ticket.login, road, code, send)
        except ServiceError as error:
            reason = str(error) if isinstance(error, DeliveryFailed) else error.code
            self._codes.release(ticket.login, road, send, now, reason)
            raise
        return Sent(method, shown(road), handed.delivery, one_time.LIFETIME, MINUTE)

    def _digest(self, code: str, login: str, method: str) -> str:
        version, pepper = next(iter(self._peppers.items()))
        return one_time.digest(
            code, login=login, method=method, purpose=PURPOSE, version=version, pepper=pepper
        )

    def _matches(self, code: str, digest: str, login: str, method: str) -> bool:
        return one_time.matches(
            code, digest, login=login, method=method, purpose=PURPOSE, peppers=self._peppers
        )

    def complete(self, ticket: Ticket, code: str, password: str) -> Completed:
        """Set the password, for the right code.

        Raises WeakPassword before anything is counted; CodeWrong, CodeExpired, TooManyAttempts,
        RecoveryExpired after one attempt.
        """
        now = self._clock()
        reasons = weaknesses(
            password,
            self._profile,
            login=parse_login(ticket.login),
            phone=ticket.phone,
            default=ticket.default,
        )
        if reasons:
            raise WeakPassword(reasons)
        if ticket.method == "follow":
            raise CodeExpired
        self._wrongs_budget.check(now)
        spent = self._codes.spend(ticket.login, now)
        if isinstance(spent, UsedCode):
            return self._repeated(ticket, code, password, spent)
        if not self._matches(code, spent.digest, ticket.login, spent.method):
            self._count("CodeWrong")
            self._wrongs_budget.count(now)
            raise CodeWrong(spent.attempts_left)
        return self._set_password(ticket, spent, password, now)

    def _set_password(self, ticket: Ticket, spent: Spent, password: str, now: int) -> Completed:
        road = _road(ticket, spent.method)
        bind = ticket.visitor if spent.method == "sms" else None
        if spent.method == "sms" and bind is None:
            # An SMS recovery belongs into the WeChat that it binds.
            raise CodeExpired
        event = audit.entry(
            ticket.login,
            "password-recovered",
            now,
            method=spent.method,
            destination=shown(road),
            outcome="wechat-bound" if bind else None,
        )
        self._codes.complete(
            ticket.login,
            road,
            spent.digest,
            ticket.recovery,
            self._hasher.hash(password),
            bind,
            event,
            now,
        )
        self._count("RecoveryCompleted")
        log.info("password recovered", extra={"method": spent.method, "bound": bind is not None})
        self._notices.tell(
            "wechat-bound" if bind else "password-reset",
            ticket.login,
            now,
            phone=ticket.phone,
            openid=bind or ticket.bound,
        )
        return Completed(ticket.login, wechat_bound=True)

    def _repeated(self, ticket: Ticket, code: str, password: str, used: UsedCode) -> Completed:
        # The answer to the first call was lost. Only the same recovery with the same code and the
        # same password is told that all is well, and it learns nothing that it did not bring.
        same = used.recovery == ticket.recovery and any(
            self._matches(code, used.digest, ticket.login, method) for method in ("sms", "wechat")
        )
        stored = self._logins.password_hash(ticket.login) if same else None
        if stored is None or not self._hasher.verify(stored, password):
            raise CodeExpired
        return Completed(ticket.login, wechat_bound=True)

    def progress(self, ticket: Ticket) -> Progress:
        """How far the recovery is; a recovery of the same login by another road counts as done."""
        account = self._logins.get(ticket.login)
        if account is None:
            raise RecoveryExpired
        if account.password_version > ticket.version:
            if account.recovered_at is None or account.recovered_at < ticket.started_at:
                raise RecoveryExpired
            return Progress(ticket.login, ticket.method, "done")
        live = self._codes.is_live(ticket.login, self._clock())
        return Progress(
            ticket.login, method_of(account, ticket.visitor), "code_sent" if live else "open"
        )


def _road(ticket: Ticket, method: str) -> Road:
    destination = ticket.phone if method == "sms" else ticket.bound
    if destination is None:
        # The login's roads have changed since the ticket was made.
        raise RecoveryExpired
    return Road(method, destination, ticket.version)
