"""What the schema files share: JSON Schemas, responses, and problems from the one error table."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from ...domain import errors
from ...domain.catalogue import CODE_REASONS
from ...domain.codes import LIFETIME
from ...domain.errors import ServiceError
from ...domain.limits import MINUTE
from ..http.payloads import TextField
from ..http.problems import STATUSES

Schema = dict[str, Any]

PROBLEM = "application/problem+json"

TEXT: Schema = {"type": "string"}

_RETRY_AFTER: Schema = {"retry_after": {"type": "integer", "minimum": 1}}

SENT_CODE: Schema = {
    "type": "object",
    "description": "the live code that was sent for this very visitor; times in seconds",
    "properties": {
        "delivery": {"enum": ["sent", "pull"]},
        "expires_in": {"type": "integer", "minimum": 1, "maximum": LIFETIME},
        "resend_in": {"type": "integer", "minimum": 0, "maximum": MINUTE},
    },
    "required": ["delivery", "expires_in", "resend_in"],
}

# The members beside the common ones.
_MEMBERS: dict[type[ServiceError], Schema] = {
    errors.InvalidInput: {"field": TEXT},
    errors.WeakPassword: {"reasons": {"type": "array", "items": TEXT, "minItems": 1}},
    errors.ProofInvalid: {"factor": {"type": "integer", "minimum": 2}},
    errors.CodeWrong: {"attempts_left": {"type": "integer", "minimum": 0}},
    errors.DetailsDoNotMatch: {"attempts_left": {"type": "integer", "minimum": 0}},
    errors.CodeExpired: {"reason": {"enum": list(CODE_REASONS)}},
    errors.TooManyAttempts: _RETRY_AFTER,
    errors.TooManyRequests: {**_RETRY_AFTER, "sent": SENT_CODE},
}


def text_field(field: TextField) -> Schema:
    """Return the schema of a request's field.

    `maxLength` counts characters and the parser bytes, so that a text of other than ASCII characters
    may be refused below it. The parser also accepts forms that the domain folds into the pattern.
    """
    if field.constant is not None:
        return {"const": field.constant}
    schema: Schema = {**TEXT, "minLength": 1, "maxLength": field.maximum}
    if field.pattern is not None:
        schema["pattern"] = f"^{field.pattern}$"
    if field.examples:
        schema["examples"] = list(field.examples)
    return schema


def request_body(fields: Sequence[TextField], *examples: dict[str, str]) -> Schema:
    """Return the request body of a table of fields. It may be left out where there is no field."""
    schema: Schema = {
        "type": "object",
        "properties": {field.name: text_field(field) for field in fields},
        "required": [field.name for field in fields if not field.optional],
        "additionalProperties": False,
    }
    if examples:
        schema["examples"] = list(examples)
    return {"required": bool(fields), "content": {"application/json": {"schema": schema}}}


def json_object(properties: dict[str, Schema], *, optional: tuple[str, ...] = ()) -> Schema:
    """Return the schema of an object that may have further members."""
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
    }


def json_response(schema: Schema, description: str) -> Schema:
    """Return a response with a JSON body."""
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def text_response(description: str, *content_types: str) -> Schema:
    """Return a response whose body is a text of one of these types."""
    return {
        "description": description,
        "content": {name: {"schema": TEXT} for name in content_types},
    }


def query_parameter(name: str, description: str, schema: Schema) -> Schema:
    """Return an optional parameter of the query string."""
    return {
        "name": name,
        "in": "query",
        "description": description,
        "required": False,
        "schema": schema,
    }


def path_parameter(name: str, description: str, schema: Schema) -> Schema:
    """Return a parameter of the path."""
    return {
        "name": name,
        "in": "path",
        "description": description,
        "required": True,
        "schema": schema,
    }


def problem_schema(error: type[ServiceError]) -> Schema:
    """Return the schema of an error's problem; its description is the error's docstring."""
    members = _MEMBERS.get(error, {})
    common: dict[str, Schema] = {
        "type": {"type": "string", "format": "uri"},
        "code": {"const": error.code},
        "title": {"type": "string", "description": "Chinese, for the person"},
        "detail": {"type": "string", "description": "a sentence in Chinese, for the person"},
        "status": {"const": STATUSES[error]},
    }
    # Absent where waiting does not help.
    schema = json_object(
        {**common, **members}, optional=("retry_after", "factor", "sent", "reason")
    )
    schema["description"] = inspect.getdoc(error)
    return schema


def problem_responses(*kinds: type[ServiceError]) -> dict[str, Schema]:
    """Return an operation's error responses by status, `unavailable` among them.

    Errors of one status are alternatives of one response.
    """
    by_status: dict[int, list[type[ServiceError]]] = {}
    for kind in (*kinds, errors.Unavailable):
        by_status.setdefault(STATUSES[kind], []).append(kind)
    responses: dict[str, Schema] = {}
    for status, types in sorted(by_status.items()):
        references = [{"$ref": f"#/components/schemas/{kind.code}"} for kind in types]
        responses[str(status)] = {
            "description": " or ".join(kind.code for kind in types),
            "content": {
                PROBLEM: {"schema": references[0] if len(types) == 1 else {"oneOf": references}}
            },
        }
        if status == STATUSES[errors.TooManyRequests]:
            responses[str(status)]["headers"] = {
                "Retry-After": {
                    "description": "seconds; absent where waiting does not help",
                    "schema": {"type": "string", "pattern": "^[1-9][0-9]*$"},
                }
            }
    return responses


def plain_problem(code: str, status: int) -> Schema:
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


def with_problem(
    responses: dict[str, Schema], status: int, description: str, schema: Schema
) -> dict[str, Schema]:
    """Return responses with one more problem, an alternative to those of the same status."""
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


def forbidden(description: str) -> dict[str, Schema]:
    """Return the 403 of a caller who is not allowed to make the call, which is no ServiceError."""
    return with_problem({}, 403, description, plain_problem("forbidden", 403))
