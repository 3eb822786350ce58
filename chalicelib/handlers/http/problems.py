"""The one table from errors to responses, as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec

from chalice.app import Response

from ...domain.catalogue import (
    CODE_ATTEMPTS,
    CODE_INVALID,
    CODE_REASONS,
    DETAILS_ATTEMPTS,
    NO_CODE_ATTEMPTS,
    NO_DETAILS_ATTEMPTS,
    PROBLEMS,
    fill,
    waiting_time,
)
from ...domain.errors import (
    AccountNotFound,
    CodeExpired,
    CodeWrong,
    DeliveryFailed,
    DetailsDoNotMatch,
    FreezeLinkInvalid,
    Frozen,
    IdentityNotChecked,
    InvalidInput,
    NotFollowing,
    OwnProposal,
    PhoneNotBound,
    ProofInvalid,
    ProposalClosed,
    ProposalNotFound,
    RecoveryExpired,
    RoleRequired,
    ServiceError,
    SignInRequired,
    TooManyAttempts,
    TooManyRequests,
    Unavailable,
    WeakPassword,
)
from ...settings import SettingsError
from ...telemetry.metrics import count

log = logging.getLogger(__name__)

P = ParamSpec("P")

STATUSES: dict[type[ServiceError], int] = {
    InvalidInput: 422,
    ProofInvalid: 400,
    AccountNotFound: 404,
    PhoneNotBound: 409,
    NotFollowing: 409,
    Frozen: 403,
    FreezeLinkInvalid: 410,
    WeakPassword: 422,
    CodeWrong: 400,
    CodeExpired: 410,
    TooManyAttempts: 429,
    TooManyRequests: 429,
    DetailsDoNotMatch: 403,
    RecoveryExpired: 401,
    DeliveryFailed: 502,
    SignInRequired: 401,
    RoleRequired: 403,
    OwnProposal: 403,
    IdentityNotChecked: 409,
    ProposalNotFound: 404,
    ProposalClosed: 409,
    Unavailable: 503,
}

HEADERS: Mapping[str, str | list[str]] = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""On every response of the API: nothing of a recovery may stay in a cache."""


def json_response(body: dict[str, Any], status: int = 200) -> Response:
    """Return a JSON response."""
    return Response(
        json.dumps(body, ensure_ascii=False),
        headers={**HEADERS, "Content-Type": "application/json; charset=utf-8"},
        status_code=status,
    )


def problem(code: str, status: int, **members: Any) -> Response:
    """Return the problem of a code of the catalogue; `members` fill its text and join its body."""
    title, detail = PROBLEMS[code]
    words = {
        **members,
        "wait": waiting_time(members.get("retry_after")),
        "sentence": _sentence(code, members),
    }
    if "reasons" in words:
        words["reasons"] = "；".join(words["reasons"]) + "。"
    headers = {**HEADERS, "Content-Type": "application/problem+json; charset=utf-8"}
    retry_after = members.pop("retry_after", None)
    if code == "invalid-input":
        # It is a sentence, which is in the detail.
        members.pop("reason", None)
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
        members["retry_after"] = retry_after
    body = {
        "type": f"urn:login-recovery:{code}",
        "code": code,
        "title": title,
        "detail": fill(detail, **words),
        "status": status,
        **members,
    }
    return Response(json.dumps(body, ensure_ascii=False), headers=headers, status_code=status)


def _sentence(code: str, members: dict[str, Any]) -> str:
    """Return the sentence of a problem whose text depends on its members; empty for others."""
    if code == "code-expired":
        return CODE_REASONS.get(members.get("reason", ""), CODE_INVALID)
    if code not in _ATTEMPTS:
        return ""
    left, none_left = _ATTEMPTS[code]
    attempts_left = members.get("attempts_left", 0)
    return fill(left, attempts_left=attempts_left) if attempts_left else none_left


_ATTEMPTS = {
    "code-wrong": (CODE_ATTEMPTS, NO_CODE_ATTEMPTS),
    "details-do-not-match": (DETAILS_ATTEMPTS, NO_DETAILS_ATTEMPTS),
}


def log_error(error: ServiceError) -> None:
    """Log the errors that operators must look at, and count those of limits."""
    if isinstance(error, TooManyAttempts | TooManyRequests):
        count("RefusedByLimit", limit=error.limit)
    elif isinstance(error, Unavailable):
        log.error("unavailable: %s", error.dependency, extra={"alarm": "unavailable"})
    elif isinstance(error, DeliveryFailed):
        log.error("delivery failed: %s", error, extra={"alarm": "delivery-failed"})


def render(error: ServiceError) -> Response:
    """Return the response to an error."""
    log_error(error)
    members: dict[str, Any] = {}
    if isinstance(error, InvalidInput):
        members = {"field": error.field, "reason": error.reason}
    elif isinstance(error, WeakPassword):
        members = {"reasons": list(error.reasons)}
    elif isinstance(error, CodeWrong | DetailsDoNotMatch):
        members = {"attempts_left": error.attempts_left}
    elif isinstance(error, CodeExpired) and error.reason is not None:
        members = {"reason": error.reason}
    elif isinstance(error, TooManyAttempts | TooManyRequests):
        members = {"retry_after": error.retry_after}
        if isinstance(error, TooManyRequests) and error.sent is not None:
            members["sent"] = error.sent._asdict()
    elif isinstance(error, ProofInvalid) and error.factor is not None:
        members = {"factor": error.factor}
    return problem(error.code, STATUSES[type(error)], **members)


def render_errors(view: Callable[P, Response]) -> Callable[P, Response]:
    """Render the errors of a view; goes below `@route`, since Chalice would respond with a 500."""

    @functools.wraps(view)
    def rendered(*args: P.args, **kwargs: P.kwargs) -> Response:
        try:
            return view(*args, **kwargs)
        except ServiceError as error:
            return render(error)
        except SettingsError as error:
            # Its text names settings, never their values.
            log.error("%s", error, extra={"alarm": "settings"})
            return problem("unavailable", 503)
        except Exception:
            # The traceback goes to the log, where it is masked; the person gets a general text.
            log.exception("unexpected failure", extra={"alarm": "unexpected"})
            return problem("unavailable", 503)

    return rendered
