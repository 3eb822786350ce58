"""Everything that can go wrong for a person, each with the stable code that the API answers.

HTTP statuses are not known here; `chalicelib.handlers.http.problems` maps each class to one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class ServiceError(Exception):
    """Base of every error that is meant for the person; `code` is part of the API."""

    code: ClassVar[str]


class InvalidInput(ServiceError):
    """A field is missing, of the wrong type, too long or malformed.

    `field` is the name in the request; `reason` a sentence in Chinese for the person.
    """

    code = "invalid-input"

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class ProofInvalid(ServiceError):
    """The proof of work is missing, wrong, expired, used, or was made for something else."""

    code = "proof-invalid"


class AccountNotFound(ServiceError):
    """No such login. Firm numbers are public, so the plain answer gives nothing away."""

    code = "account-not-found"


class PhoneNotBound(ServiceError):
    """The login has neither a phone nor a WeChat binding left to send a code to."""

    code = "phone-not-bound"


class NotFollowing(ServiceError):
    """The bound WeChat no longer follows the Official Account."""

    code = "not-following"


class WeakPassword(ServiceError):
    """The policy refuses the password; `reasons` has every reason, in Chinese."""

    code = "weak-password"

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__(", ".join(reasons))
        self.reasons = tuple(reasons)


class CodeWrong(ServiceError):
    """The code does not match; `attempts_left` tries remain on this code."""

    code = "code-wrong"

    def __init__(self, attempts_left: int) -> None:
        super().__init__(f"{attempts_left} attempts left")
        self.attempts_left = attempts_left


class CodeExpired(ServiceError):
    """The code is past its time, superseded, used, or was never sent."""

    code = "code-expired"


class TooManyAttempts(ServiceError):
    """Too many wrong secrets. `retry_after` is in seconds, or None where waiting does not help."""

    code = "too-many-attempts"

    def __init__(self, retry_after: int | None, limit: str) -> None:
        """`limit` is the limit's word, for operators alone."""
        super().__init__(f"retry after {retry_after} s")
        self.retry_after = retry_after
        self.limit = limit


class TooManyRequests(ServiceError):
    """A limit on starts, sends or details was met; `retry_after` is in seconds."""

    code = "too-many-requests"

    def __init__(self, retry_after: int, limit: str) -> None:
        """`limit` is the limit's word, for operators alone."""
        super().__init__(f"retry after {retry_after} s")
        self.retry_after = retry_after
        self.limit = limit


class DetailsDoNotMatch(ServiceError):
    """The firm's details are not right; which one is never said."""

    code = "details-do-not-match"


class RecoveryExpired(ServiceError):
    """The recovery's token is missing, forged, too old, or overtaken by a newer password."""

    code = "recovery-expired"


class DeliveryFailed(ServiceError):
    """No gateway took the message; `attempts` says in English what each one answered."""

    code = "delivery-failed"

    def __init__(self, attempts: Sequence[str]) -> None:
        super().__init__("; ".join(attempts))
        self.attempts = tuple(attempts)


class Unavailable(ServiceError):
    """A store or a platform does not answer; `dependency` names it. Nothing is half-done."""

    code = "unavailable"

    def __init__(self, dependency: str) -> None:
        super().__init__(dependency)
        self.dependency = dependency
