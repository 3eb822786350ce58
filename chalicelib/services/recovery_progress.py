"""How far a recovery is, for its own page and for the page whose QR code led to it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

from ..domain.errors import PhoneNotBound, RecoveryExpired, ServiceError
from ..domain.requester import Requester
from ..security.tokens import TOKEN_LIFETIME, RecoveryClaims
from ..store.codes import Codes
from ..store.firms import Firms
from ..store.logins import Account, Logins
from ..store.scan_progress import ScanProgress
from .ports import Count
from .qr_scenes import QrScenes, page_of

log = logging.getLogger(__name__)


class ProgressResult(NamedTuple):
    """The state of a recovery: a state of `store.scan_progress.STATES`."""

    login: str
    method: str
    state: str
    name: str | None = None
    """The firm's name, once this very recovery has entered the right code."""


def method_of(account: Account, visitor_openid: str | None) -> str:
    """Return how the login's codes are sent. Raises PhoneNotBound where there is no way at all."""
    if account.openid is not None:
        return "wechat"
    if account.phone is None:
        raise PhoneNotBound
    return "follow" if visitor_openid is None else "sms"


def has_ended(claims: RecoveryClaims, account: Account) -> bool:
    """Return whether a newer password or an operator's change has ended the recovery."""
    began = (claims.version, claims.epoch)
    return (account.password_version, account.recovery_epoch) != began


class RecoveryProgress:
    """Records the steps of recoveries and returns their states.

    A page of the method `follow` shows what the phone did that scanned its own QR code. Every other
    page shows what its own visitor did. Neither shows what anybody else did with the login.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], int],
        logins: Logins,
        codes: Codes,
        firms: Firms,
        scans: ScanProgress,
        scenes: QrScenes,
        count: Count,
    ) -> None:
        self._clock = clock
        self._logins = logins
        self._codes = codes
        self._firms = firms
        self._scans = scans
        self._scenes = scenes
        self._count = count

    def started(self, claims: RecoveryClaims) -> str | None:
        """Count the start; return the scene of the page's QR code, for the method `follow` alone."""
        self._count("RecoveryStarted")
        if claims.method != "follow":
            return None
        ends_at = claims.started_at + TOKEN_LIFETIME
        return self._scenes.make(claims.login, ends_at, page_of(claims.recovery))

    def scanned_page(self, login: str, scene: str | None) -> str | None:
        """Return the page of a scene of this login; None for a scene that is forged or expired."""
        read = self._scenes.read(scene) if scene else None
        return read.page if read is not None and read.login == login else None

    def code_sent(self, claims: RecoveryClaims) -> None:
        """Record that a code was sent, for the page whose QR code led to the recovery."""
        self._advance(claims, "code_sent")

    def completed(self, claims: RecoveryClaims) -> None:
        """Count the completion, and record it for the page whose QR code led to the recovery."""
        self._count("RecoveryCompleted")
        self._advance(claims, "done")

    def repeated(self, claims: RecoveryClaims) -> None:
        """Record a completion again, whose first record may have failed."""
        self._advance(claims, "done")

    def _advance(self, claims: RecoveryClaims, state: str) -> None:
        if claims.scanned_page is None:
            return
        try:
            ends_at = self._clock() + TOKEN_LIFETIME
            page, recovery = claims.scanned_page, claims.recovery
            self._scans.advance(claims.login, page, state, ends_at, recovery)
        except ServiceError as error:
            # The step itself has succeeded; only the page on the PC lags behind.
            log.warning("the state of a page was not stored: %s", error.code)

    def of(self, claims: RecoveryClaims, requester: Requester) -> ProgressResult:
        """Return the state of the recovery. Two reads, three at the end.

        Raises RecoveryExpired, Unavailable.
        """
        if claims.method == "follow":
            return self._of_page(claims)
        account = self._logins.get(claims.login)
        if account is None:
            raise RecoveryExpired
        if account.password_version > claims.version:
            if self._codes.used_by(claims.login) != claims.recovery:
                raise RecoveryExpired
            firm = self._firms.get(account.firm_no)
            return ProgressResult(claims.login, claims.method, "done", firm.name if firm else None)
        if has_ended(claims, account):
            raise RecoveryExpired
        live = self._codes.live(claims.login, requester, self._clock()) is not None
        method = method_of(account, claims.visitor_openid)
        return ProgressResult(claims.login, method, "code_sent" if live else "open")

    def _of_page(self, claims: RecoveryClaims) -> ProgressResult:
        scan = self._scans.of(claims.login, page_of(claims.recovery), self._clock())
        done = ProgressResult(claims.login, claims.method, "done")
        if scan.state == "done":
            return done
        account = self._logins.get(claims.login)
        if account is None:
            raise RecoveryExpired
        is_newer = account.password_version > claims.version
        # The state is written after the password, and that write may have failed.
        if is_newer and scan.recovery and self._codes.used_by(claims.login) == scan.recovery:
            return done
        if has_ended(claims, account):
            raise RecoveryExpired
        method = method_of(account, claims.visitor_openid)
        return ProgressResult(claims.login, method, scan.state)
