"""This API as an OpenAPI 3.1 document, its errors taken from the code's own table."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

from ..domain import errors
from ..domain.codes import LIFETIME
from ..domain.errors import ServiceError
from ..domain.limits import MINUTE
from ..domain.passwords import MAXIMUM_BYTES as PASSWORD_BYTES
from ..keys.proofs import MAXIMUM_LENGTH as PROOF_LENGTH
from ..keys.tokens import TOKEN_LIFETIME
from . import requests
from .problems import STATUSES
from .wechat import MAXIMUM_QUERY

Schema = dict[str, Any]

_PROBLEM = "application/problem+json"

# What the members beside the common ones look like, by the error's code.
_MEMBERS: dict[str, Schema] = {
    "invalid-input": {"field": {"type": "string"}},
    "weak-password": {"reasons": {"type": "array", "items": {"type": "string"}, "minItems": 1}},
    "code-wrong": {"attempts_left": {"type": "integer", "minimum": 0}},
    "too-many-attempts": {"retry_after": {"type": "integer", "minimum": 1}},
    "too-many-requests": {"retry_after": {"type": "integer", "minimum": 1}},
}
_ALWAYS = {
    "invalid-input": ["field"],
    "weak-password": ["reasons"],
    "code-wrong": ["attempts_left"],
}


def _text(longest: int, **more: Any) -> Schema:
    return {"type": "string", "minLength": 1, "maxLength": longest, **more}


def _object(properties: dict[str, Schema], *, optional: tuple[str, ...] = ()) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
    }


def _closed(properties: dict[str, Schema], *, optional: tuple[str, ...] = ()) -> Schema:
    return {**_object(properties, optional=optional), "additionalProperties": False}


def _json(schema: Schema, description: str) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _body(schema: Schema, *, required: bool = True) -> Schema:
    return {"required": required, "content": {"application/json": {"schema": schema}}}


def _problem_schema(error: type[ServiceError]) -> Schema:
    common: dict[str, Schema] = {
        "type": {"type": "string", "format": "uri"},
        "code": {"const": error.code},
        "title": {"type": "string", "description": "Chinese, for the person"},
        "detail": {"type": "string", "description": "a sentence in Chinese, for the person"},
        "status": {"const": STATUSES[error]},
    }
    schema = _object({**common, **_MEMBERS.get(error.code, {})})
    schema["required"] = [*common, *_ALWAYS.get(error.code, [])]
    schema["description"] = inspect.getdoc(error)
    return schema


def _refusals(*kinds: type[ServiceError]) -> dict[str, Schema]:
    """The error answers of an operation, by status; errors that share one are alternatives."""
    by_status: dict[int, list[type[ServiceError]]] = {}
    for kind in (*kinds, errors.Unavailable):
        by_status.setdefault(STATUSES[kind], []).append(kind)
    answers: dict[str, Schema] = {}
    for status, found in sorted(by_status.items()):
        references = [{"$ref": f"#/components/schemas/{kind.code}"} for kind in found]
        answers[str(status)] = {
            "description": " or ".join(kind.code for kind in found),
            "content": {
                _PROBLEM: {"schema": references[0] if len(found) == 1 else {"oneOf": references}}
            },
        }
        if status == STATUSES[errors.TooManyRequests]:
            answers[str(status)]["headers"] = {
                "Retry-After": {
                    "description": "seconds; absent where waiting does not help",
                    "schema": {"type": "string", "pattern": "^[1-9][0-9]*$"},
                }
            }
    return answers


def _forbidden(description: str) -> dict[str, Schema]:
    schema = _object(
        {
            "type": {"type": "string", "format": "uri"},
            "code": {"const": "forbidden"},
            "title": {"type": "string"},
            "detail": {"type": "string"},
            "status": {"const": 403},
        }
    )
    return {"403": {"description": description, "content": {_PROBLEM: {"schema": schema}}}}


# What is written down; people's spellings of it (full width, spaces, `_CW`) are taken as well.
_LOGIN = _text(
    requests.MAXIMUM_TEXT, pattern="^[0-9]{8,20}(_cw)?$", examples=["11010148", "11010148_cw"]
)
_CODE = _text(requests.MAXIMUM_TEXT, pattern="^[0-9]{6}$", examples=["123456"])

_METHOD: Schema = {"enum": ["sms", "wechat"]}
_ANY_METHOD: Schema = {"enum": ["sms", "wechat", "follow"]}
_DESTINATION: Schema = {
    "type": "string",
    "description": "a masked phone, or the Official Account's name",
}
_FOREIGN = "The Origin is neither the site's own nor one of ALLOWED_ORIGINS."
_BEARER: list[Schema] = [{"recovery": []}]


def _recovery_paths() -> Schema:
    names = _text(requests.MAXIMUM_TEXT)
    start = _closed(
        {"user_type": {"const": "firm"}, "login": _LOGIN, "proof": _text(PROOF_LENGTH)},
        optional=("proof",),
    )
    start["examples"] = [{"user_type": "firm", "login": "11010148"}]
    started = {
        "token": {"type": "string"},
        "login": {"type": "string"},
        "method": _ANY_METHOD,
        "destination": _DESTINATION,
        "expires_in": {"type": "integer", "minimum": 1, "maximum": TOKEN_LIFETIME},
        "qr": {"type": "string", "pattern": "^data:image/svg\\+xml"},
    }
    progress = {
        "login": {"type": "string"},
        "method": _ANY_METHOD,
        "state": {"enum": ["open", "code_sent", "done"]},
    }
    sent = {
        "method": _METHOD,
        "destination": _DESTINATION,
        "delivery": {"enum": ["sent", "pull"]},
        "expires_in": {"const": LIFETIME},
        "resend_in": {"type": "integer", "minimum": 0, "description": f"usually {MINUTE}"},
    }
    return {
        "/recovery": {
            "post": {
                "summary": "Name the login.",
                "operationId": "startRecovery",
                "requestBody": _body(start),
                "responses": {
                    "201": {
                        **_json(_object(started, optional=("qr",)), "The recovery has begun."),
                        "links": {
                            name: {"operationId": operation}
                            for name, operation in (
                                ("Progress", "recoveryProgress"),
                                ("Code", "sendCode"),
                            )
                        },
                    },
                    **_refusals(
                        errors.InvalidInput,
                        errors.ProofInvalid,
                        errors.AccountNotFound,
                        errors.PhoneNotBound,
                        errors.TooManyRequests,
                    ),
                    **_forbidden(_FOREIGN),
                },
            },
            "get": {
                "summary": "How far the recovery is; what a PC polls while the phone does the work.",
                "operationId": "recoveryProgress",
                "security": _BEARER,
                "responses": {
                    "200": _json(_object(progress), "The recovery's state."),
                    **_refusals(errors.RecoveryExpired),
                },
            },
        },
        "/recovery/code": {
            "post": {
                "summary": "Send a code to the bound phone or WeChat.",
                "operationId": "sendCode",
                "security": _BEARER,
                "requestBody": _body(_closed({}), required=False),
                "responses": {
                    "202": _json(_object(sent), "The code is on its way, or waits to be fetched."),
                    **_refusals(
                        errors.InvalidInput,
                        errors.RecoveryExpired,
                        errors.PhoneNotBound,
                        errors.NotFollowing,
                        errors.TooManyRequests,
                        errors.TooManyAttempts,
                        errors.DeliveryFailed,
                    ),
                    **_forbidden(_FOREIGN),
                },
            }
        },
        "/recovery/password": {
            "post": {
                "summary": "Prove the code and set the new password.",
                "operationId": "setPassword",
                "security": _BEARER,
                "requestBody": _body(_closed({"code": _CODE, "password": _text(PASSWORD_BYTES)})),
                "responses": {
                    "200": _json(
                        _object({"login": {"type": "string"}, "wechat_bound": {"type": "boolean"}}),
                        "The password is set.",
                    ),
                    **_refusals(
                        errors.InvalidInput,
                        errors.WeakPassword,
                        errors.CodeWrong,
                        errors.CodeExpired,
                        errors.RecoveryExpired,
                        errors.TooManyAttempts,
                        errors.TooManyRequests,
                    ),
                    **_forbidden(_FOREIGN),
                },
            }
        },
        "/recovery/unbinding": {
            "post": {
                "summary": "Undo the WeChat binding with the firm's details.",
                "operationId": "unbind",
                "security": _BEARER,
                "requestBody": _body(
                    _closed({"firm_no": names, "approval_no": names, "head_name": names})
                ),
                "responses": {
                    "200": _json(
                        _object({"login": {"type": "string"}, "method": _ANY_METHOD}),
                        "The binding is gone; `method` is the next one.",
                    ),
                    **_refusals(
                        errors.InvalidInput,
                        errors.DetailsDoNotMatch,
                        errors.PhoneNotBound,
                        errors.RecoveryExpired,
                        errors.TooManyRequests,
                    ),
                    **_forbidden(_FOREIGN),
                },
            }
        },
    }


def _credentials_paths() -> Schema:
    verified: dict[str, Schema] = {
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
    }
    return {
        "/credentials/verify": {
            "post": {
                "summary": "Whether a password is right; for the login page's own server alone.",
                "operationId": "verifyCredentials",
                "security": [{"sigv4": []}],
                "requestBody": _body(_closed({"login": _LOGIN, "password": _text(PASSWORD_BYTES)})),
                "responses": {
                    "200": _json(_object(verified), "Compared."),
                    **_refusals(
                        errors.InvalidInput, errors.TooManyAttempts, errors.TooManyRequests
                    ),
                    **_forbidden("The signature is missing or wrong."),
                },
            }
        }
    }


def _plain(description: str, *content_types: str) -> Schema:
    content = {name: {"schema": {"type": "string"}} for name in content_types}
    return {"description": description, "content": content}


def _query(name: str, description: str, schema: Schema, *, required: bool = False) -> Schema:
    return {
        "name": name,
        "in": "query",
        "description": description,
        "required": required,
        "schema": schema,
    }


def _wechat_paths() -> Schema:
    text = {"type": "string", "maxLength": MAXIMUM_QUERY}
    signed = [
        _query("timestamp", "epoch seconds, as WeChat signed them", text),
        _query("nonce", "WeChat's random text", text),
    ]
    refused = {
        "400": _plain("Not a call of WeChat's.", "text/plain"),
        "403": _plain("The signature, the encryption or the account is not right.", "text/plain"),
        **_refusals(),
    }
    return {
        "/wechat/enter": {
            "get": {
                "summary": "To WeChat's OAuth page, and back from there to the page.",
                "operationId": "enter",
                "parameters": [
                    _query("scene", "the recovery of a PC, as its QR code carries it", text),
                    _query("code", "WeChat's single-use code", text),
                    _query("state", "what binds the return to this browser", text),
                ],
                "responses": {
                    "302": {
                        "description": "On to WeChat, or to the page.",
                        "headers": {"Location": {"required": True, "schema": {"type": "string"}}},
                    },
                    **_refusals(errors.InvalidInput, errors.RecoveryExpired),
                },
            }
        },
        "/wechat/callback": {
            "get": {
                "summary": "WeChat's question whether the address is ours.",
                "operationId": "verifyCallback",
                "parameters": [
                    _query("signature", "over token, timestamp and nonce", text),
                    _query("echostr", "what is to be answered", text),
                    *signed,
                ],
                "responses": {"200": _plain("`echostr` itself.", "text/plain"), **refused},
            },
            "post": {
                "summary": "A message or an event, encrypted (safe mode).",
                "operationId": "callback",
                "parameters": [
                    _query("msg_signature", "over the encrypted text as well", text),
                    _query("encrypt_type", "`aes`", text),
                    *signed,
                ],
                "requestBody": {
                    "required": True,
                    "content": {"text/xml": {"schema": {"type": "string"}}},
                },
                "responses": {
                    "200": _plain(
                        "An encrypted passive reply, or `success`.", "application/xml", "text/plain"
                    ),
                    **refused,
                },
            },
        },
    }


def _other_paths() -> Schema:
    challenge = _object(
        {
            "parameters": {"type": "object"},
            "signature": {"type": "string", "pattern": "^[0-9a-f]+$"},
        }
    )
    return {
        "/": {
            "get": {
                "summary": "The page.",
                "operationId": "page",
                "parameters": [_query("login", "fills the login in", {"type": "string"})],
                "responses": {"200": _plain("The page.", "text/html"), **_refusals()},
            }
        },
        "/openapi.json": {
            "get": {
                "summary": "This description.",
                "operationId": "description",
                "responses": {"200": _json({"type": "object"}, "It."), **_refusals()},
            }
        },
        "/proof": {
            "get": {
                "summary": "A proof-of-work challenge (ALTCHA, version 2).",
                "operationId": "challenge",
                "parameters": [_query("login", "binds the challenge to a login", _LOGIN)],
                "responses": {
                    "200": _json(challenge, "The challenge."),
                    **_refusals(errors.InvalidInput),
                },
            }
        },
        "/health": {
            "get": {
                "summary": "Whether the service is up.",
                "operationId": "health",
                "responses": {
                    "200": _json(_object({"status": {"const": "ok"}}), "It is."),
                    **_refusals(),
                },
            }
        },
    }


@cache
def document() -> Schema:
    """The whole description; `tests/doors/test_openapi.py` holds it to the routes and the answers."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Login recovery",
            "version": "1.0.0",
            "description": "Password recovery for the login accounts of China's accounting firms. "
            "Every error is `application/problem+json` (RFC 9457).",
        },
        "paths": {
            **_recovery_paths(),
            **_credentials_paths(),
            **_wechat_paths(),
            **_other_paths(),
        },
        "components": {
            "schemas": {kind.code: _problem_schema(kind) for kind in STATUSES},
            "securitySchemes": {
                "recovery": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "the `token` of POST /recovery",
                },
                "sigv4": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "AWS Signature Version 4 of a caller with execute-api:Invoke",
                    "x-amazon-apigateway-authtype": "awsSigv4",
                },
            },
        },
    }
