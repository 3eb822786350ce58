"""Find out why a code does not arrive. No password and no code is readable here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from ..domain.errors import AccountNotFound, ServiceError
from ..domain.limits import HOUR, MINUTE, Limits, Window, retry_after
from ..domain.logins import mask_phone, parse_login
from ..domain.requester import is_address_key
from ..store.accounts import Accounts, AccountSnapshot, Event
from ..store.firms import Firms
from ..store.followers import Followers
from ..wechat.client import WechatClient

SENDS_SHOWN = 5


class LockKind(StrEnum):
    """Which limit is used up."""

    STARTS = "starts"
    LOGIN_SENDS = "login-sends"
    DESTINATION_SENDS = "destination-sends"
    RESEND_PAUSE = "resend-pause"
    """The pause of a minute after each code; not a fault."""
    WRONG_CODES = "wrong-codes"
    """A requester's own on the login."""
    LOGIN_WRONG_CODES = "login-wrong-codes"
    """Those of all requesters on the login."""
    CODE_TRIES = "code-tries"
    WRONG_DETAILS = "wrong-details"
    UNBINDINGS = "unbindings"
    WRONG_PASSWORDS = "wrong-passwords"
    SERVICE_SENDS = "service-sends"
    SERVICE_WRONG_CODES = "service-wrong-codes"
    SERVICE_WRONG_PASSWORDS = "service-wrong-passwords"


_KEPT_BY_UNLOCK = {
    LockKind.CODE_TRIES,
    LockKind.SERVICE_SENDS,
    LockKind.SERVICE_WRONG_CODES,
    LockKind.SERVICE_WRONG_PASSWORDS,
}


class Finding(StrEnum):
    """A reason why codes do not arrive, or the state of the last one."""

    CLOSED = "closed"
    """The firm was closed."""
    FROZEN = "frozen"
    NO_WAY = "no-way"
    NOT_FOLLOWING = "not-following"
    FOLLOWING_UNKNOWN = "following-unknown"
    LOCKED = "locked"
    """A limit that `unlock` lifts."""
    LOCKED_UNTIL_LATER = "locked-until-later"
    """A limit that `unlock` does not lift: of the live code or of the whole service."""
    NEVER_SENT = "never-sent"
    NOT_DELIVERED = "not-delivered"
    SEND_FAILED = "send-failed"
    TO_BE_FETCHED = "to-be-fetched"
    DELIVERED = "delivered"
    OUTCOME_UNKNOWN = "outcome-unknown"
    NO_RECEIPT = "no-receipt"
    NO_PASSWORD = "no-password"  # noqa: S105


@dataclass(frozen=True)
class Lock:
    """A limit that is used up now, and when it frees up by itself, in epoch seconds."""

    kind: LockKind
    until: int


@dataclass(frozen=True)
class Overview:
    """The facts of a login that operators may see. Times in epoch seconds."""

    login: str
    kind: str
    """`main` or `finance`."""
    firm: str | None
    method: str | None
    """How codes are sent now: `sms`, `wechat`, or None where there is no way."""
    phone: str | None
    """Masked."""
    wechat_bound: bool
    bound_at: int | None
    following: bool | None
    """Whether the bound WeChat follows the Official Account; None where that is unknown."""
    has_password: bool
    must_change: bool
    changed_at: int | None
    recovered_at: int | None
    reset_year: int | None
    code_until: int | None
    """When the live code expires; None where there is none."""
    sends: tuple[Event, ...]
    locks: tuple[Lock, ...]
    findings: tuple[Finding, ...]
    """The reasons why codes do not arrive, or would not, the gravest first."""
    frozen_at: int | None
    closed_at: int | None
    """When the firm was closed; None where it is not."""
    erased_at: int | None
    """When the data of the closed firm is erased."""


class Diagnosis:
    """Reads the state and the history of logins."""

    def __init__(
        self,
        *,
        clock: Callable[[], int],
        limits: Limits,
        accounts: Accounts,
        firms: Firms,
        followers: Followers,
        platform: WechatClient,
    ) -> None:
        self._clock = clock
        self._limits = limits
        self._accounts = accounts
        self._firms = firms
        self._followers = followers
        self._platform = platform

    def overview(self, login_text: str) -> Overview:
        """Return everything that shows why a code does or does not arrive.

        Raises InvalidInput, AccountNotFound, Unavailable.
        """
        now = self._clock()
        login = parse_login(login_text)
        snapshot = self._accounts.read(str(login))
        if snapshot is None or snapshot.is_erased(now):
            raise AccountNotFound
        firm = self._firms.get(snapshot.firm_no)
        sends = tuple(self._accounts.last_sends(snapshot.login, SENDS_SHOWN))
        following = self._following(snapshot.openid)
        locks = self._locks(snapshot, now)
        live = snapshot.code_until is not None and snapshot.code_until > now
        return Overview(
            login=snapshot.login,
            kind=login.kind.value,
            firm=firm.name if firm else None,
            method=_method(snapshot),
            phone=mask_phone(snapshot.phone) if snapshot.phone else None,
            wechat_bound=snapshot.openid is not None,
            bound_at=snapshot.bound_at,
            following=following,
            has_password=snapshot.has_password,
            must_change=snapshot.must_change,
            changed_at=snapshot.changed_at,
            recovered_at=snapshot.recovered_at,
            reset_year=snapshot.reset_year,
            code_until=snapshot.code_until if live else None,
            sends=sends,
            locks=locks,
            findings=tuple(_findings(snapshot, following, locks, sends)),
            frozen_at=snapshot.frozen_at,
            closed_at=snapshot.closed_at,
            erased_at=snapshot.erased_at,
        )

    def history(self, login_text: str, most: int) -> list[Event]:
        """Return the last events of a login, at most `most`, newest first.

        Raises InvalidInput, AccountNotFound, Unavailable.
        """
        login = str(parse_login(login_text))
        events = self._accounts.history(login, most)
        if not events and self._accounts.read(login) is None:
            raise AccountNotFound
        return events

    def _following(self, openid: str | None) -> bool | None:
        if openid is None:
            return None
        known = self._followers.is_following(openid)
        if known is not None:
            return known
        try:
            return self._platform.is_following(openid)
        except ServiceError:
            return None

    def _locks(self, snapshot: AccountSnapshot, now: int) -> tuple[Lock, ...]:
        limits = self._limits
        locks = own_locks(snapshot, limits, now)
        until = snapshot.code_until
        if until is not None and until > now and _has_used_up_a_code(snapshot, limits):
            locks.append(Lock(LockKind.CODE_TRIES, until))
        hour_ends = (now // HOUR + 1) * HOUR
        for kind, budget, limit in (
            (LockKind.SERVICE_SENDS, "sends", limits.sends_per_service_hour),
            (LockKind.SERVICE_WRONG_CODES, "wrong-codes", limits.wrong_codes_per_service_hour),
            (
                LockKind.SERVICE_WRONG_PASSWORDS,
                "wrong-passwords",
                limits.wrong_passwords_per_service_hour,
            ),
        ):
            if kind is LockKind.SERVICE_WRONG_PASSWORDS and not snapshot.must_change:
                # This budget refuses logins with a default password only.
                continue
            if self._accounts.counted(budget, now) >= limit:
                locks.append(Lock(kind, hour_ends))
        return tuple(locks)


def own_locks(snapshot: AccountSnapshot, limits: Limits, now: int) -> list[Lock]:
    """Return the login's limits that are used up now, without its code's and the service's."""
    pause = [window for window in limits.sends_per_destination if window.seconds <= MINUTE]
    quota = [window for window in limits.sends_per_destination if window.seconds > MINUTE]
    waits = [
        (LockKind.STARTS, _longest(snapshot.starts_by, limits.starts_per_requester, now)),
        (LockKind.LOGIN_SENDS, _longest(snapshot.sends_by, limits.sends_per_login, now)),
        (LockKind.DESTINATION_SENDS, retry_after(snapshot.destination_sends, quota, now)),
        (LockKind.RESEND_PAUSE, retry_after(snapshot.destination_sends, pause, now)),
        (
            LockKind.WRONG_CODES,
            _longest(snapshot.wrongs_by, limits.wrong_codes_per_requester_login, now),
        ),
        (
            LockKind.LOGIN_WRONG_CODES,
            retry_after(snapshot.wrongs, limits.wrong_codes_per_login, now),
        ),
        (LockKind.WRONG_DETAILS, _longest(snapshot.details_by, limits.wrong_details, now)),
        (LockKind.UNBINDINGS, retry_after(snapshot.unbindings, limits.unbindings_per_login, now)),
        (
            LockKind.WRONG_PASSWORDS,
            retry_after(snapshot.failures, limits.wrong_passwords_per_login, now),
        ),
    ]
    return [Lock(kind, now + wait) for kind, wait in waits if wait]


class _WindowsOfRequester(Protocol):
    def __call__(self, *, is_address: bool) -> tuple[Window, ...]: ...


def _longest(by: Mapping[str, Sequence[int]], windows: _WindowsOfRequester, now: int) -> int:
    """Return the longest wait of a requester; 0 if none has to wait. Others may pass meanwhile."""
    waits = (
        retry_after(times, windows(is_address=is_address_key(key)), now)
        for key, times in by.items()
    )
    return max(waits, default=0)


def _has_used_up_a_code(snapshot: AccountSnapshot, limits: Limits) -> bool:
    """Return whether a requester has no attempt left on the live code."""
    return any(
        tries >= limits.of_requester(limits.tries_per_code, is_address=is_address_key(requester))
        for requester, tries in snapshot.code_tries.items()
    )


def _method(snapshot: AccountSnapshot) -> str | None:
    if snapshot.openid is not None:
        return "wechat"
    return None if snapshot.phone is None else "sms"


def _findings(
    snapshot: AccountSnapshot, following: bool | None, locks: Sequence[Lock], sends: Sequence[Event]
) -> list[Finding]:
    findings = []
    if snapshot.closed_at is not None:
        findings.append(Finding.CLOSED)
    if snapshot.frozen_at is not None:
        findings.append(Finding.FROZEN)
    if _method(snapshot) is None:
        findings.append(Finding.NO_WAY)
    if snapshot.openid is not None and following is False:
        findings.append(Finding.NOT_FOLLOWING)
    if snapshot.openid is not None and following is None:
        findings.append(Finding.FOLLOWING_UNKNOWN)
    kinds = {lock.kind for lock in locks} - {LockKind.RESEND_PAUSE}
    if kinds - _KEPT_BY_UNLOCK:
        findings.append(Finding.LOCKED)
    if kinds & _KEPT_BY_UNLOCK:
        findings.append(Finding.LOCKED_UNTIL_LATER)
    findings.append(_last_send(sends))
    if not snapshot.has_password:
        findings.append(Finding.NO_PASSWORD)
    return findings


def _last_send(sends: Sequence[Event]) -> Finding:
    """Return the state of the last code; `sends` newest first."""
    if not sends:
        return Finding.NEVER_SENT
    last = sends[0]
    if last.receipt == "failed":
        return Finding.NOT_DELIVERED
    if last.outcome == "failed":
        return Finding.SEND_FAILED
    if last.gateway == "wechat-pull":
        return Finding.TO_BE_FETCHED
    if last.receipt == "delivered":
        return Finding.DELIVERED
    if last.outcome == "unknown":
        return Finding.OUTCOME_UNKNOWN
    return Finding.NO_RECEIPT
