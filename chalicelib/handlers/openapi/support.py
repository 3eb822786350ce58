"""The calls of `chalicelib.handlers.support`."""

from __future__ import annotations

from ...domain import errors
from ...domain.staff import Role
from .desk_responses import DESK, HEADERS, desk_responses, no_desk
from .schemas import (
    TEXT,
    Schema,
    json_object,
    json_response,
    problem_responses,
    query_parameter,
    request_body,
    text_response,
)

TIME: Schema = {"type": "integer", "minimum": 0, "description": "epoch seconds"}

_REDIRECT: Schema = {
    "description": "On to the identity provider, or to the desk; `?entry=` is why a sign-in failed.",
    "headers": {"Location": {"required": True, "schema": TEXT}},
}


def paths() -> Schema:
    """Return the path items of this blueprint."""
    return {
        "/support": {"get": _page()},
        "/support/sign-in": {"get": _begin()},
        "/support/callback": {"get": _complete()},
        "/support/sign-out": {"post": _sign_out()},
        "/support/api/me": {"get": _me()},
    }


def _page() -> Schema:
    return {
        "summary": "The support desk's page.",
        "operationId": "desk",
        "parameters": [query_parameter("entry", "why a sign-in failed", TEXT)],
        "responses": {
            "200": text_response("The page.", "text/html"),
            **problem_responses(),
            **no_desk(),
        },
    }


def _begin() -> Schema:
    return {
        "summary": "To the staff's identity provider.",
        "operationId": "signIn",
        "parameters": [query_parameter("place", "where the desk's page continues", TEXT)],
        "responses": {"302": _REDIRECT, **problem_responses(), **no_desk()},
    }


def _complete() -> Schema:
    return {
        "summary": "Back from the identity provider.",
        "operationId": "signedIn",
        "parameters": [
            query_parameter("code", "the provider's single-use code", TEXT),
            query_parameter("state", "what binds the return to this browser", TEXT),
        ],
        "responses": {"302": _REDIRECT, **problem_responses(), **no_desk()},
    }


def _sign_out() -> Schema:
    answer = json_object({"location": TEXT})
    return {
        "summary": "End the session; `location` ends that of the identity provider too.",
        "operationId": "signOut",
        "security": DESK,
        "parameters": HEADERS,
        "requestBody": request_body(()),
        "responses": {
            "200": json_response(answer, "Signed out."),
            **desk_responses(errors.InvalidInput, changes=True),
        },
    }


def _me() -> Schema:
    roles: Schema = {"type": "array", "items": {"enum": [role.value for role in Role]}}
    answer = json_object({"subject": TEXT, "name": TEXT, "roles": roles, "ends_at": TIME})
    return {
        "summary": "Who has signed in.",
        "operationId": "me",
        "security": DESK,
        "responses": {"200": json_response(answer, "The member of the staff."), **desk_responses()},
    }
