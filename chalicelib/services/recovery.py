"""Recover a password: name the login, receive a code, set a new password."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from ..domain.catalogue import INPUT_REASONS
from ..domain.codes import LIFETIME, SentCode
from ..domain.errors import (
    CodeExpired,
    InvalidInput,
    RecoveryExpired,
    WeakPassword,
)
from ..domain.logins import parse_login
from ..domain.requester import Requester
from ..security.password_hasher import PasswordHasher
from ..security.tokens import TOKEN_LIFETIME, RecoveryClaims, Tokens
from ..store import audit
from ..store.codes import Codes, ConsumedAttempt, Destination, UsedCode
from ..store.logins import Logins
from .code_delivery import masked_destination
from .code_sender import CodeSender, SendResult
from .code_verifier import CodeVerifier
from .follower_check import FollowerCheck
from .notifications import Notifications
from .password_policy import PasswordPolicy
from .proof_check import ProofCheck
from .recovery_progress import RecoveryProgress, has_ended, method_of

log = logging.getLogger(__name__)


class StartResult(NamedTuple):
    """A recovery that has begun."""

    token: str
    """The bearer token of the further steps."""
    login: str
    method: str
    """`sms`, `wechat`, or `follow` where the person must first open the page in WeChat."""
    destination: str
    """The masked phone or the name of the Official Account; empty for `follow`."""
    expires_in: int
    """Seconds."""
    scene: str | None
    """The scene of the QR code, for the method `follow` alone."""
    sent: SentCode | None
    """The live code that was sent for this visitor before, or None."""
    this_wechat: bool | None
    """Whether the bound WeChat is the visitor's; None without either of them."""


class CompleteResult(NamedTuple):
    """The new password is set."""

    login: str
    wechat_bound: bool
    """Whether a WeChat is bound to the login now."""


class Recovery:
    """The three steps of a recovery."""

    def __init__(
        self,
        *,
        clock: Callable[[], int],
        logins: Logins,
        codes: Codes,
        tokens: Tokens,
        hasher: PasswordHasher,
        proof_check: ProofCheck,
        password_policy: PasswordPolicy,
        code_sender: CodeSender,
        code_verifier: CodeVerifier,
        follower_check: FollowerCheck,
        notifications: Notifications,
        progress: RecoveryProgress,
    ) -> None:
        self._clock = clock
        self._logins = logins
        self._codes = codes
        self._tokens = tokens
        self._hasher = hasher
        self._proof_check = proof_check
        self._password_policy = password_policy
        self._code_sender = code_sender
        self._code_verifier = code_verifier
        self._follower_check = follower_check
        self._notifications = notifications
        self._progress = progress

    def start(
        self,
        login_text: str,
        proof: str | None,
        visitor_openid: str | None,
        requester: Requester,
        scene: str | None = None,
    ) -> StartResult:
        """Begin a recovery of the login that a person entered.

        `visitor_openid` is the openid of the WeChat that the page is open in, None elsewhere. `scene` is
        that of the QR code which led to it; one that is forged, expired or of another login is ignored.
        Raises InvalidInput, ProofInvalid, AccountNotFound, Frozen, TooManyRequests, PhoneNotBound,
        Unavailable.
        """
        now = self._clock()
        login = parse_login(login_text)
        start_proof = self._proof_check.verify(proof, str(login), now)
        account, previous_at = self._logins.start(str(login), start_proof, requester, now)
        claims = RecoveryClaims(
            recovery=secrets.token_hex(16),
            login=account.login,
            method=method_of(account, visitor_openid),
            version=account.password_version,
            epoch=account.recovery_epoch,
            started_at=now,
            phone=account.phone,
            default=self._password_policy.default_password(login, account),
            bound_openid=account.openid,
            visitor_openid=visitor_openid,
            scanned_page=self._progress.scanned_page(account.login, scene),
        )
        result = StartResult(
            token=self._tokens.issue(claims),
            login=claims.login,
            method=claims.method,
            destination="",
            expires_in=TOKEN_LIFETIME,
            scene=self._progress.started(claims),
            sent=None,
            this_wechat=None,
        )
        if claims.method == "follow":
            return result
        destination = _destination(claims, claims.method)
        sent = None
        # Only a recovery that the requester began before can have sent a code: no read for others.
        if previous_at is not None and previous_at > now - TOKEN_LIFETIME - LIFETIME:
            sent = self._code_sender.sent_before(claims.login, destination, requester, now)
        return result._replace(
            destination=masked_destination(destination),
            sent=sent,
            this_wechat=_is_bound_wechat(claims),
        )

    def read(self, token: str | None) -> RecoveryClaims:
        """Return the claims of a bearer token. Raises RecoveryExpired."""
        claims = self._tokens.read(token) if token else None
        if claims is None:
            raise RecoveryExpired
        return claims

    def send_code(self, claims: RecoveryClaims, requester: Requester) -> SendResult:
        """Send a new code, which replaces an earlier one.

        Raises InvalidInput for the method `follow`, TooManyRequests, TooManyAttempts,
        DeliveryFailed, NotFollowing, RecoveryExpired, Unavailable.
        """
        now = self._clock()
        if claims.method != "wechat":
            return self._send(claims, claims.method, requester, now)
        try:
            return self._send(claims, "wechat", requester, now)
        except RecoveryExpired:
            # The WeChat may have been unbound within this very recovery; the method is then SMS.
            account = self._logins.get(claims.login)
            if account is None or account.openid or has_ended(claims, account):
                raise
            current = replace(claims, phone=account.phone)
            method = method_of(account, claims.visitor_openid)
            return self._send(current, method, requester, now)

    def _send(
        self, claims: RecoveryClaims, method: str, requester: Requester, now: int
    ) -> SendResult:
        if method == "follow":
            raise InvalidInput("method", INPUT_REASONS["follow"])
        sent = self._code_sender.send(
            claims.login, _destination(claims, method), requester, claims.visitor_openid, now
        )
        self._progress.code_sent(claims)
        return sent

    def complete(
        self, claims: RecoveryClaims, requester: Requester, code: str, password: str
    ) -> CompleteResult:
        """Set the password if the code is right.

        Raises WeakPassword for the public rules before anything is counted; CodeWrong, CodeExpired,
        TooManyAttempts, TooManyRequests, RecoveryExpired after one attempt; WeakPassword for the
        private rules only after the right code, which stays live without that attempt; Unavailable.
        """
        now = self._clock()
        reasons = self._password_policy.public_weaknesses(password, parse_login(claims.login))
        if reasons:
            raise WeakPassword(reasons)
        if claims.method == "follow":
            raise CodeExpired("never-sent")
        openid = claims.visitor_openid
        owner = openid if openid == claims.bound_openid else None
        attempt = self._code_verifier.verify(claims.login, requester, owner, code, now)
        if isinstance(attempt, UsedCode):
            return self._repeated(claims, code, password, attempt)
        return self._set_password(claims, attempt, code, password, now)

    def _set_password(
        self, claims: RecoveryClaims, attempt: ConsumedAttempt, code: str, password: str, now: int
    ) -> CompleteResult:
        destination = _destination(claims, attempt.method)
        visitor = claims.visitor_openid if attempt.method == "sms" else None
        if attempt.method == "sms" and visitor is None:
            # A recovery by SMS is completed only inside WeChat, where its code was requested.
            raise CodeExpired
        reasons = self._password_policy.private_weaknesses(password, claims.phone, claims.default)
        if reasons:
            self._codes.refund_attempt(claims.login, destination, attempt, now)
            raise WeakPassword(reasons)
        follows = visitor is not None and self._follower_check.certainly_follows(visitor)
        bind = visitor if follows else None
        event = audit.entry(
            claims.login,
            "password-recovered",
            now,
            method=attempt.method,
            destination=masked_destination(destination),
            outcome="wechat-bound" if bind else None,
        )
        used = self._codes.complete(
            claims.login,
            destination,
            attempt,
            claims.recovery,
            self._hasher.hash(password),
            bind,
            event,
            now,
        )
        if used is not None:
            return self._repeated(claims, code, password, used)
        self._progress.completed(claims)
        log.info("password recovered", extra={"method": attempt.method, "bound": bind is not None})
        self._notifications.notify(
            "wechat-bound" if bind else "password-reset",
            claims.login,
            now,
            phone=claims.phone,
            # A recovery by SMS may have begun with a WeChat that was unbound within it.
            openid=claims.bound_openid if attempt.method == "wechat" else bind,
        )
        return CompleteResult(claims.login, wechat_bound=attempt.method == "wechat" or follows)

    def _repeated(
        self, claims: RecoveryClaims, code: str, password: str, used: UsedCode
    ) -> CompleteResult:
        # The response to the first call was lost, or it is still under way. Only the same recovery with
        # the same code and the same password gets the success again, and it reveals nothing that was not
        # sent along.
        same = used.recovery == claims.recovery and self._code_verifier.matches_used(
            claims.login, code, used
        )
        stored = self._logins.stored_password(claims.login) if same else None
        if stored is None or not self._hasher.verify(stored.password_hash, password):
            # Whether another visitor has used a code is not disclosed.
            raise CodeExpired("used" if used.recovery == claims.recovery else used.reason)
        self._progress.repeated(claims)
        return CompleteResult(claims.login, stored.wechat_bound)


def _is_bound_wechat(claims: RecoveryClaims) -> bool | None:
    if claims.bound_openid is None or claims.visitor_openid is None:
        return None
    return claims.visitor_openid == claims.bound_openid


def _destination(claims: RecoveryClaims, method: str) -> Destination:
    address = claims.phone if method == "sms" else claims.bound_openid
    if address is None:
        # The login's phone or binding has changed since the recovery began.
        raise RecoveryExpired
    return Destination(method, address, claims.version, claims.epoch)
