"""The calls of `chalicelib.handlers.wechat`."""

from __future__ import annotations

from ...domain import errors
from ..wechat import MAXIMUM_QUERY
from .schemas import TEXT, Schema, problem_responses, query_parameter, text_response

_VALUE: Schema = {"type": "string", "maxLength": MAXIMUM_QUERY}
_SIGNED = [
    query_parameter("timestamp", "epoch seconds, as WeChat signed them", _VALUE),
    query_parameter("nonce", "WeChat's random text", _VALUE),
]


def paths() -> Schema:
    """Return the path items of this blueprint."""
    return {
        "/wechat/enter": {"get": _enter()},
        "/wechat/callback": {"get": _verify(), "post": _callback()},
    }


def _enter() -> Schema:
    return {
        "summary": "To WeChat's OAuth page, and back from there to the page.",
        "operationId": "enter",
        "parameters": [
            query_parameter("scene", "the recovery of a PC, as its QR code carries it", _VALUE),
            query_parameter("code", "WeChat's single-use code", _VALUE),
            query_parameter("state", "what binds the return to this browser", _VALUE),
        ],
        "responses": {
            "302": {
                "description": "On to WeChat, or to the page.",
                "headers": {"Location": {"required": True, "schema": TEXT}},
            },
            **problem_responses(errors.InvalidInput, errors.RecoveryExpired),
        },
    }


def _verify() -> Schema:
    return {
        "summary": "WeChat's question whether the address is ours.",
        "operationId": "verifyCallback",
        "parameters": [
            query_parameter("signature", "over token, timestamp and nonce", _VALUE),
            query_parameter("echostr", "what is to be answered", _VALUE),
            *_SIGNED,
        ],
        "responses": {"200": text_response("`echostr` itself.", "text/plain"), **_refusals()},
    }


def _callback() -> Schema:
    reply = text_response(
        "An encrypted passive reply, or `success`.", "application/xml", "text/plain"
    )
    return {
        "summary": "A message or an event, encrypted (safe mode).",
        "operationId": "callback",
        "parameters": [
            query_parameter("msg_signature", "over the encrypted text as well", _VALUE),
            query_parameter("encrypt_type", "`aes`", _VALUE),
            *_SIGNED,
        ],
        "requestBody": {"required": True, "content": {"text/xml": {"schema": TEXT}}},
        "responses": {"200": reply, **_refusals()},
    }


def _refusals() -> Schema:
    return {
        "400": text_response("Not a call of WeChat's.", "text/plain"),
        "403": text_response(
            "The signature, the encryption or the account is not right.", "text/plain"
        ),
        **problem_responses(),
    }
