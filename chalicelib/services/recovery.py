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
from ..security.password_hasher import PasswordHasher
from ..security.proof_of_work import LIFETIME as PROOF_LIFETIME
from ..security.proof_of_work import Proofs
from ..security.tokens import TOKEN_LIFETIME, RecoveryClaims, Sealer, Tokens
from ..store import audit
from ..store.budgets import Budget, claim_once
from ..store.codes import Codes, Destination, Spent, UsedCode, new_send
from ..store.logins import Account, Logins
from .code_delivery import CodeDelivery, masked_destination
from .notifications import Notifications
from .ports import Count
from .qr_scenes import QrScenes

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


def method_of(account: Account, visitor_openid: str | None) -> str:
    """How the login's codes travel. Raises PhoneNotBound where there is no way at all."""
    if account.openid is not None:
        return "wechat"
    if account.phone is None:
        raise PhoneNotBound
    return "follow" if visitor_openid is None else "sms"


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
        scenes: QrScenes,
        hasher: PasswordHasher,
        proofs: Proofs | None,
        peppers: Mapping[int, bytes],
        profile: Profile,
        area_codes: Mapping[str, str],
        delivery: CodeDelivery,
        notifications: Notifications,
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
        self._notifications = notifications
        self._count = count

    def start(self, login_text: str, proof: str | None, visitor_openid: str | None) -> Started:
        """Begin a recovery of the login that a person typed.

        `visitor_openid` is the openid of the WeChat that the page is open in, None elsewhere.
        Raises InvalidInput, ProofInvalid, AccountNotFound, TooManyRequests, PhoneNotBound.
        """
        now = self._clock()
        login = parse_login(login_text)
        proof_id = self._proved(proof, str(login), now)
        account = self._logins.start(str(login), proof_id, now)
        default = default_password(account.province, account.head_id_last4, self._area_codes)
        claims = RecoveryClaims(
            recovery=secrets.token_hex(16),
            login=account.login,
            method=method_of(account, visitor_openid),
            version=account.password_version,
            started_at=now,
            phone=account.phone,
            default=default if login.kind is Kind.FINANCE else None,
            bound_openid=account.openid,
            visitor_openid=visitor_openid,
        )
        follow = claims.method == "follow"
        self._count("RecoveryStarted")
        return Started(
            token=self._tokens.issue(claims),
            login=claims.login,
            method=claims.method,
            destination="" if follow else masked_destination(_destination(claims, claims.method)),
            expires_in=TOKEN_LIFETIME,
            scene=self._scenes.make(claims.login, now + TOKEN_LIFETIME) if follow else None,
        )

    def _proved(self, payload: str | None, login: str, now: int) -> str | None:
        if self._proofs is None:
            return None
        proof = self._proofs.check(payload or "", PROOF_ACTION)
        if proof is None or proof.login not in (None, login):
            raise ProofInvalid
        if proof.login is None and not claim_once("proof", proof.id, now, PROOF_LIFETIME):
            # A proof for no login in particular is remembered for all of them.
            raise ProofInvalid
        return proof.id

    def read(self, token: str | None) -> RecoveryClaims:
        """The claims of a bearer token. Raises RecoveryExpired."""
        claims = self._tokens.read(token) if token else None
        if claims is None:
            raise RecoveryExpired
        return claims

    def send_code(self, claims: RecoveryClaims) -> Sent:
        """Send a new code, which ends an earlier one.

        Raises TooManyRequests, TooManyAttempts, DeliveryFailed, NotFollowing, RecoveryExpired.
        """
        now = self._clock()
        self._sends_budget.check(now)
        if claims.method != "wechat":
            return self._send(claims, claims.method, now)
        try:
            return self._send(claims, "wechat", now)
        except RecoveryExpired:
            # The binding may have been undone within this very recovery: then the way is SMS.
            account = self._logins.get(claims.login)
            if account is None or account.password_version != claims.version or account.openid:
                raise
            current = replace(claims, phone=account.phone)
            return self._send(current, method_of(account, claims.visitor_openid), now)

    def _send(self, claims: RecoveryClaims, method: str, now: int) -> Sent:
        if method == "follow":
            raise InvalidInput("method", INPUT_REASONS["follow"])
        destination = _destination(claims, method)
        code = one_time.generate(self._randbelow)
        send = new_send(
            claims.login,
            destination,
            masked_destination(destination),
            self._delivery.gateway(destination),
            now,
        )
        # Sealed only where the person may have to fetch it; an SMS needs no copy of the code.
        sealed = self._sealer.seal("code " + claims.login, code) if method == "wechat" else None
        digest = self._digest(code, claims.login, method)
        try:
            self._codes.reserve(claims.login, destination, digest, sealed, send, now)
        except Unavailable as error:
            # It may be that the answer alone was lost. A code that nobody gets must not stand against
            # the person, nor in the audit as if it had gone out.
            if self._clock() - now < _TIME_TO_RELEASE:
                self._codes.cancel_send(claims.login, destination, send, now, error.code)
            raise
        try:
            self._sends_budget.count(now)
            handed = self._delivery.send(claims.login, destination, code, send)
        except ServiceError as error:
            reason = str(error) if isinstance(error, DeliveryFailed) else error.code
            self._codes.cancel_send(claims.login, destination, send, now, reason)
            raise
        return Sent(
            method, masked_destination(destination), handed.delivery, one_time.LIFETIME, MINUTE
        )

    def _digest(self, code: str, login: str, method: str) -> str:
        version, pepper = next(iter(self._peppers.items()))
        return one_time.digest(
            code, login=login, method=method, purpose=PURPOSE, version=version, pepper=pepper
        )

    def _matches(self, code: str, digest: str, login: str, method: str) -> bool:
        return one_time.matches(
            code, digest, login=login, method=method, purpose=PURPOSE, peppers=self._peppers
        )

    def complete(self, claims: RecoveryClaims, code: str, password: str) -> Completed:
        """Set the password, for the right code.

        Raises WeakPassword before anything is counted; CodeWrong, CodeExpired, TooManyAttempts,
        RecoveryExpired after one attempt.
        """
        now = self._clock()
        reasons = weaknesses(
            password,
            self._profile,
            login=parse_login(claims.login),
            phone=claims.phone,
            default=claims.default,
        )
        if reasons:
            raise WeakPassword(reasons)
        if claims.method == "follow":
            raise CodeExpired
        self._wrongs_budget.check(now)
        spent = self._codes.consume_attempt(claims.login, now)
        if isinstance(spent, UsedCode):
            return self._repeated(claims, code, password, spent)
        if not self._matches(code, spent.digest, claims.login, spent.method):
            self._count("CodeWrong")
            self._wrongs_budget.count(now)
            raise CodeWrong(spent.attempts_left)
        return self._set_password(claims, spent, password, now)

    def _set_password(
        self, claims: RecoveryClaims, spent: Spent, password: str, now: int
    ) -> Completed:
        destination = _destination(claims, spent.method)
        bind = claims.visitor_openid if spent.method == "sms" else None
        if spent.method == "sms" and bind is None:
            # An SMS recovery belongs into the WeChat that it binds.
            raise CodeExpired
        event = audit.entry(
            claims.login,
            "password-recovered",
            now,
            method=spent.method,
            destination=masked_destination(destination),
            outcome="wechat-bound" if bind else None,
        )
        self._codes.complete(
            claims.login,
            destination,
            spent.digest,
            claims.recovery,
            self._hasher.hash(password),
            bind,
            event,
            now,
        )
        self._count("RecoveryCompleted")
        log.info("password recovered", extra={"method": spent.method, "bound": bind is not None})
        self._notifications.notify(
            "wechat-bound" if bind else "password-reset",
            claims.login,
            now,
            phone=claims.phone,
            openid=bind or claims.bound_openid,
        )
        return Completed(claims.login, wechat_bound=True)

    def _repeated(
        self, claims: RecoveryClaims, code: str, password: str, used: UsedCode
    ) -> Completed:
        # The answer to the first call was lost. Only the same recovery with the same code and the
        # same password is told that all is well, and it learns nothing that it did not bring.
        same = used.recovery == claims.recovery and any(
            self._matches(code, used.digest, claims.login, method) for method in ("sms", "wechat")
        )
        stored = self._logins.password_hash(claims.login) if same else None
        if stored is None or not self._hasher.verify(stored, password):
            raise CodeExpired
        return Completed(claims.login, wechat_bound=True)

    def progress(self, claims: RecoveryClaims) -> Progress:
        """How far the recovery is; a recovery of the same login by another destination counts as done."""
        account = self._logins.get(claims.login)
        if account is None:
            raise RecoveryExpired
        if account.password_version > claims.version:
            if account.recovered_at is None or account.recovered_at < claims.started_at:
                raise RecoveryExpired
            return Progress(claims.login, claims.method, "done")
        live = self._codes.is_live(claims.login, self._clock())
        return Progress(
            claims.login, method_of(account, claims.visitor_openid), "code_sent" if live else "open"
        )


def _destination(claims: RecoveryClaims, method: str) -> Destination:
    destination = claims.phone if method == "sms" else claims.bound_openid
    if destination is None:
        # The login's roads have changed since the claims was made.
        raise RecoveryExpired
    return Destination(method, destination, claims.version)
