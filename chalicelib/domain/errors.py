"""Errors that are reported to people, each with the stable code of the API.

`chalicelib.handlers.http.problems` maps each class to an HTTP status.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from .codes import SentCode


class ServiceError(Exception):
    """Base of all errors that are reported to people; `code` is part of the API."""

    code: ClassVar[str]


class InvalidInput(ServiceError):
    """A field is missing, of the wrong type, too long or malformed."""

    code = "invalid-input"

    def __init__(self, field: str, reason: str) -> None:
        """`field` is the name in the request, `reason` a sentence in Chinese for the person."""
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class ProofInvalid(ServiceError):
    """The proof of work is missing, wrong, expired, used, too small or of another purpose."""

    code = "proof-invalid"

    def __init__(self, factor: int | None = None) -> None:
        """`factor` is how many times the ordinary work is required, where the proof was too small."""
        super().__init__("" if factor is None else f"factor {factor} is required")
        self.factor = factor


class AccountNotFound(ServiceError):
    """The login does not exist. Firm numbers are public, so this reveals no secret."""

    code = "account-not-found"


class PhoneNotBound(ServiceError):
    """The login has neither a phone nor a WeChat binding to send a code to."""

    code = "phone-not-bound"


class Frozen(ServiceError):
    """The login was frozen; the support desk ends that after a check of the person."""

    code = "frozen"


class FreezeLinkInvalid(ServiceError):
    """A notice's link that freezes the login is forged, too old, or of an earlier binding."""

    code = "freeze-link-invalid"


class NotFollowing(ServiceError):
    """The bound WeChat does not follow the Official Account."""

    code = "not-following"


class WeakPassword(ServiceError):
    """The password violates the password policy."""

    code = "weak-password"

    def __init__(self, reasons: Sequence[str]) -> None:
        """`reasons` has every violated rule as a Chinese phrase."""
        super().__init__(", ".join(reasons))
        self.reasons = tuple(reasons)


class CodeWrong(ServiceError):
    """The code does not match; `attempts_left` attempts remain on this code."""

    code = "code-wrong"

    def __init__(self, attempts_left: int) -> None:
        super().__init__(f"{attempts_left} attempts left")
        self.attempts_left = attempts_left


class CodeExpired(ServiceError):
    """The code has expired, been replaced or used, or was never sent."""

    code = "code-expired"

    def __init__(self, reason: str | None = None) -> None:
        """`reason` is a key of `domain.catalogue.CODE_REASONS`; None where it may not be disclosed."""
        super().__init__(reason or "")
        self.reason = reason


class TooManyAttempts(ServiceError):
    """Too many wrong codes or passwords."""

    code = "too-many-attempts"

    def __init__(self, retry_after: int | None, limit: str) -> None:
        """`retry_after` is in seconds, or None if waiting does not help.

        `limit` is the name of the limit for logs and metrics; it is not part of the response.
        """
        super().__init__(f"retry after {retry_after} s")
        self.retry_after = retry_after
        self.limit = limit


class TooManyRequests(ServiceError):
    """A limit on starts, sends or unbinding details is reached."""

    code = "too-many-requests"

    sent: SentCode | None = None
    """Of a refused send: the live code that was sent for this requester before, if there is one."""

    def __init__(self, retry_after: int, limit: str) -> None:
        """`retry_after` is in seconds.

        `limit` is the name of the limit for logs and metrics; it is not part of the response.
        """
        super().__init__(f"retry after {retry_after} s")
        self.retry_after = retry_after
        self.limit = limit


class DetailsDoNotMatch(ServiceError):
    """The firm's details are wrong; the response never says which one."""

    code = "details-do-not-match"

    def __init__(self, attempts_left: int) -> None:
        """`attempts_left` attempts at the login's details remain to the requester today."""
        super().__init__(f"{attempts_left} attempts left")
        self.attempts_left = attempts_left


class RecoveryExpired(ServiceError):
    """The recovery's token is missing, forged or expired, or the login has changed since."""

    code = "recovery-expired"


class DeliveryFailed(ServiceError):
    """Every gateway refused the message or failed."""

    code = "delivery-failed"

    def __init__(self, attempts: Sequence[str]) -> None:
        """Store an English description of each gateway's failure in `attempts`, for logs."""
        super().__init__("; ".join(attempts))
        self.attempts = tuple(attempts)


class SignInRequired(ServiceError):
    """A call of the support desk without a session, or with one that has ended."""

    code = "sign-in"


class RoleRequired(ServiceError):
    """The member of the staff has no role that permits the call."""

    code = "role"


class OwnProposal(ServiceError):
    """A change must be approved by somebody else than the person who proposed it."""

    code = "own-proposal"


class IdentityNotChecked(ServiceError):
    """A change needs a check of the caller's identity that matched within the last hour."""

    code = "identity-not-checked"


class ProposalNotFound(ServiceError):
    """No such proposal."""

    code = "proposal-not-found"


class ProposalClosed(ServiceError):
    """The proposal is in another state, has ended, or the login has changed since."""

    code = "proposal-closed"


class Unavailable(ServiceError):
    """A dependency does not respond, and nothing has been partially done."""

    code = "unavailable"

    def __init__(self, dependency: str) -> None:
        """`dependency` is its name in logs, such as `store` or `wechat`."""
        super().__init__(dependency)
        self.dependency = dependency
