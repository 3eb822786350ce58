"""The call of `chalicelib.handlers.credentials`."""

from __future__ import annotations

from ...domain import errors
from ..http import payloads
from .schemas import Schema, forbidden, json_object, json_response, problem_responses, request_body


def paths() -> Schema:
    """Return the path items of this blueprint."""
    verified = json_object(
        {
            "valid": {"type": "boolean"},
            "must_change": {
                "type": "boolean",
                "description": "a default password: no permission to log in, but to a recovery",
            },
            "changed_at": {
                "type": "integer",
                "minimum": 0,
                "description": "epoch seconds; 0 where `valid` is false",
            },
            "frozen": {
                "const": True,
                "description": "the login was frozen: no password of it is valid",
            },
        },
        optional=("frozen",),
    )
    verify: Schema = {
        "summary": "Whether a password is right; for the login page's own server alone.",
        "operationId": "verifyCredentials",
        "security": [{"sigv4": []}],
        "requestBody": request_body(payloads.Verify.FIELDS),
        "responses": {
            "200": json_response(verified, "Compared."),
            **problem_responses(
                errors.InvalidInput, errors.TooManyAttempts, errors.TooManyRequests
            ),
            **forbidden("The signature is missing or wrong."),
        },
    }
    return {"/credentials/verify": {"post": verify}}
