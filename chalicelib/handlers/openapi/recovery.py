"""The calls of `chalicelib.handlers.recovery`."""

from __future__ import annotations

from ...domain import errors
from ...domain.codes import LIFETIME
from ...domain.limits import MINUTE
from ...security.proof_of_work import MAXIMUM_FACTOR
from ...security.tokens import TOKEN_LIFETIME
from ..http import payloads
from .schemas import (
    SENT_CODE,
    TEXT,
    Schema,
    forbidden,
    json_object,
    json_response,
    plain_problem,
    problem_responses,
    query_parameter,
    request_body,
    text_field,
    with_problem,
)

_METHOD: Schema = {"enum": ["sms", "wechat"]}
_QR: Schema = {"type": "string", "pattern": "^data:image/svg\\+xml"}
_ANY_METHOD: Schema = {"enum": ["sms", "wechat", "follow"]}
_DESTINATION: Schema = {
    "type": "string",
    "description": "a masked phone, or the Official Account's name",
}
_BEARER: list[Schema] = [{"recovery": []}]
_FOREIGN = "The Origin is neither the site's own nor one of ALLOWED_ORIGINS."


def paths() -> Schema:
    """Return the path items of this blueprint."""
    return {
        "/proof": {"get": _proof()},
        "/recovery": {"post": _start(), "get": _progress()},
        "/recovery/logins": {"get": _logins()},
        "/recovery/code": {"post": _send_code()},
        "/recovery/password": {"post": _complete()},
        "/recovery/unbinding": {"post": _unbind()},
        "/health": {"get": _health()},
    }


def _proof() -> Schema:
    challenge = json_object(
        {
            "parameters": {"type": "object"},
            "signature": {"type": "string", "pattern": "^[0-9a-f]+$"},
        }
    )
    login = text_field(payloads.LOGIN)
    factor: Schema = {"type": "integer", "minimum": 1, "maximum": MAXIMUM_FACTOR}
    return {
        "summary": "A proof-of-work challenge (ALTCHA, version 2).",
        "operationId": "challenge",
        "parameters": [
            query_parameter("login", "binds the challenge to a login", login),
            query_parameter(
                "factor", "how many times the ordinary work, as an error named", factor
            ),
        ],
        "responses": {
            "200": json_response(challenge, "The challenge."),
            **problem_responses(errors.InvalidInput),
        },
    }


def _start() -> Schema:
    started = json_object(
        {
            "token": TEXT,
            "login": TEXT,
            "method": _ANY_METHOD,
            "destination": _DESTINATION,
            "expires_in": {"type": "integer", "minimum": 1, "maximum": TOKEN_LIFETIME},
            "sent": {"anyOf": [{"type": "null"}, SENT_CODE]},
            "this_wechat": {
                "type": "boolean",
                "description": "whether the bound WeChat is the one that the page is open in",
            },
            "qr": _QR,
        },
        optional=("qr", "this_wechat"),
    )
    return {
        "summary": "Name the login.",
        "operationId": "startRecovery",
        "requestBody": request_body(
            payloads.Start.FIELDS, {"user_type": "firm", "login": "11010148"}
        ),
        "responses": {
            "201": {
                **json_response(started, "The recovery has begun."),
                "links": {
                    "Progress": {"operationId": "recoveryProgress"},
                    "Code": {"operationId": "sendCode"},
                },
            },
            **with_problem(
                problem_responses(
                    errors.InvalidInput,
                    errors.ProofInvalid,
                    errors.AccountNotFound,
                    errors.PhoneNotBound,
                    errors.Frozen,
                    errors.TooManyRequests,
                ),
                403,
                _FOREIGN,
                plain_problem("forbidden", 403),
            ),
        },
    }


def _progress() -> Schema:
    progress = json_object(
        {
            "login": TEXT,
            "method": _ANY_METHOD,
            "state": {"enum": ["open", "scanned", "followed", "code_sent", "done"]},
            "name": {**TEXT, "description": "the firm's, once this recovery is done"},
        },
        optional=("name",),
    )
    return {
        "summary": "How far the recovery is; a PC polls it while the phone does the work.",
        "operationId": "recoveryProgress",
        "security": _BEARER,
        "responses": {
            "200": json_response(progress, "The recovery's state."),
            **problem_responses(errors.RecoveryExpired),
        },
    }


def _logins() -> Schema:
    login = json_object({"login": TEXT, "name": {"type": ["string", "null"]}})
    listed = json_object({"logins": {"type": "array", "items": login}})
    return {
        "summary": "The logins that the visitor's WeChat is bound to, and their firms' other ones.",
        "operationId": "boundLogins",
        "responses": {
            "200": json_response(listed, "Empty outside WeChat."),
            **problem_responses(),
        },
    }


def _send_code() -> Schema:
    sent = json_object(
        {
            "method": _METHOD,
            "destination": _DESTINATION,
            "delivery": {"enum": ["sent", "pull"]},
            "expires_in": {"const": LIFETIME},
            "resend_in": {"type": "integer", "minimum": 0, "description": f"usually {MINUTE}"},
        }
    )
    return {
        "summary": "Send a code to the bound phone or WeChat.",
        "operationId": "sendCode",
        "security": _BEARER,
        "requestBody": request_body(()),
        "responses": {
            "202": json_response(sent, "The code is on its way, or waits to be fetched."),
            **problem_responses(
                errors.InvalidInput,
                errors.RecoveryExpired,
                errors.PhoneNotBound,
                errors.NotFollowing,
                errors.TooManyRequests,
                errors.TooManyAttempts,
                errors.DeliveryFailed,
            ),
            **forbidden(_FOREIGN),
        },
    }


def _complete() -> Schema:
    done = json_object(
        {"login": TEXT, "wechat_bound": {"type": "boolean"}, "qr": _QR}, optional=("qr",)
    )
    return {
        "summary": "Prove the code and set the new password.",
        "operationId": "setPassword",
        "security": _BEARER,
        "requestBody": request_body(payloads.Confirm.FIELDS),
        "responses": {
            "200": json_response(done, "The password is set."),
            **problem_responses(
                errors.InvalidInput,
                errors.WeakPassword,
                errors.CodeWrong,
                errors.CodeExpired,
                errors.RecoveryExpired,
                errors.TooManyAttempts,
                errors.TooManyRequests,
            ),
            **forbidden(_FOREIGN),
        },
    }


def _unbind() -> Schema:
    unbound = json_object({"login": TEXT, "method": _ANY_METHOD})
    return {
        "summary": "Undo the WeChat binding with the firm's details.",
        "operationId": "unbind",
        "security": _BEARER,
        "requestBody": request_body(payloads.Unbind.FIELDS),
        "responses": {
            "200": json_response(unbound, "The binding is gone; `method` is the next one."),
            **problem_responses(
                errors.InvalidInput,
                errors.DetailsDoNotMatch,
                errors.PhoneNotBound,
                errors.RecoveryExpired,
                errors.TooManyRequests,
            ),
            **forbidden(_FOREIGN),
        },
    }


def _health() -> Schema:
    return {
        "summary": "Whether the service is up.",
        "operationId": "health",
        "responses": {
            "200": json_response(json_object({"status": {"const": "ok"}}), "It is."),
            **problem_responses(),
        },
    }
