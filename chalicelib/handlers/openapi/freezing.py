"""The calls of `chalicelib.handlers.freezing`."""

from __future__ import annotations

from ...domain import errors
from ...security.freeze_tokens import MAXIMUM_LENGTH
from ..freezing import FORM
from .schemas import TEXT, Schema, problem_responses, query_parameter, text_response

_TOKEN: Schema = {**TEXT, "minLength": 1, "maxLength": MAXIMUM_LENGTH}
_HTML = "text/html"


def paths() -> Schema:
    """Return the path items of this blueprint."""
    return {"/freeze": {"get": _ask(), "post": _freeze()}}


def _ask() -> Schema:
    return {
        "summary": "The page that a WeChat notice's link leads to; it changes nothing.",
        "operationId": "askToFreeze",
        "parameters": [query_parameter("token", "the link's", _TOKEN)],
        "responses": {
            "200": text_response("The page with the button that freezes the login.", _HTML),
            **_errors(),
        },
    }


def _freeze() -> Schema:
    form: Schema = {"type": "object", "properties": {"token": _TOKEN}, "required": ["token"]}
    return {
        "summary": "Freeze the login of the link.",
        "operationId": "freezeByOwner",
        "requestBody": {"required": True, "content": {FORM: {"schema": form}}},
        "responses": {"200": text_response("The login is frozen.", _HTML), **_errors()},
    }


def _errors() -> dict[str, Schema]:
    """Return the errors, which are pages where the header Accept names HTML."""
    responses = problem_responses(errors.FreezeLinkInvalid)
    for response in responses.values():
        response["content"][_HTML] = {"schema": TEXT}
    return responses
