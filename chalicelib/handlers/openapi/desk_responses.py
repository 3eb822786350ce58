"""What the descriptions of all calls of the support desk share."""

from __future__ import annotations

from typing import Any

from ...domain import errors
from ...domain.errors import ServiceError
from .schemas import PROBLEM, TEXT, Schema, json_object, problem_responses

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


def _plain(code: str, status: int) -> Schema:
    """Return the schema of a problem that is no ServiceError."""
    return json_object(
        {
            "type": {"type": "string", "format": "uri"},
            "code": {"const": code},
            "title": TEXT,
            "detail": TEXT,
            "status": {"const": status},
        }
    )


def no_desk() -> dict[str, Schema]:
    """Return the answer of every address of the desk where OIDC_ISSUER is empty."""
    return _merged({}, 404, "not-found: there is no support desk", _plain("not-found", 404))


def desk_responses(*kinds: type[ServiceError], changes: bool = False) -> dict[str, Schema]:
    """Return the error responses of a call of the desk; `changes` adds those of foreign pages."""
    responses = problem_responses(errors.SignInRequired, errors.RoleRequired, *kinds)
    if changes:
        text = "forbidden: another page than the desk's own"
        responses = _merged(responses, 403, text, _plain("forbidden", 403))
    return _merged(responses, 404, "not-found: no desk", _plain("not-found", 404))


def _merged(
    responses: dict[str, Schema], status: int, description: str, schema: Schema
) -> dict[str, Schema]:
    known: dict[str, Any] = responses.get(str(status), {})
    schemas: list[Schema] = []
    if known:
        first = known["content"][PROBLEM]["schema"]
        schemas = list(first.get("oneOf", [first]))
        description = f"{known['description']}, or {description}"
    alternatives = [*schemas, schema]
    merged = alternatives[0] if len(alternatives) == 1 else {"oneOf": alternatives}
    return {
        **responses,
        str(status): {"description": description, "content": {PROBLEM: {"schema": merged}}},
    }
