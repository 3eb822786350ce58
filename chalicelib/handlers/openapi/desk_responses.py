"""What the descriptions of all calls of the support desk share."""

from __future__ import annotations

from ...domain import errors
from ...domain.errors import ServiceError
from .schemas import Schema, plain_problem, problem_responses, with_problem

DESK: list[Schema] = [{"desk": []}]
"""The security requirement: the session's cookie."""

HEADERS: list[Schema] = [
    {
        "name": "X-Support-Desk",
        "in": "header",
        "description": "`1`; with the site's own Origin, proof that no other page sends the call",
        "required": True,
        "schema": {"const": "1"},
    }
]
"""The header of every call that changes something."""


def no_desk() -> dict[str, Schema]:
    """Return the answer of every address of the desk where OIDC_ISSUER is empty."""
    return with_problem(
        {}, 404, "not-found: there is no support desk", plain_problem("not-found", 404)
    )


def desk_responses(*kinds: type[ServiceError], changes: bool = False) -> dict[str, Schema]:
    """Return the error responses of a call of the desk; `changes` adds those of foreign pages."""
    responses = problem_responses(errors.SignInRequired, errors.RoleRequired, *kinds)
    if changes:
        text = "forbidden: another page than the desk's own"
        responses = with_problem(responses, 403, text, plain_problem("forbidden", 403))
    return with_problem(responses, 404, "not-found: no desk", plain_problem("not-found", 404))
