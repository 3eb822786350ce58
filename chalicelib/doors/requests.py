"""Request bodies: strict JSON to frozen request types, naming the field that is wrong."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from chalice.app import Request

from ..domain.catalogue import INPUT_REASONS
from ..domain.errors import InvalidInput
from ..domain.passwords import MAXIMUM_BYTES as PASSWORD_BYTES
from ..keys.proofs import MAXIMUM_LENGTH as PROOF_LENGTH

ANY_CONTENT: list[str] = []
"""For `content_types` of a route: Chalice lets every type pass, and the door itself refuses a wrong
one in the form that all its refusals have."""

MAXIMUM_BODY = 8_192
"""Bytes. The largest honest body is a proof of work of under 2 KB."""

MAXIMUM_TEXT = 200
"""Bytes of a name, a number or a code, far above the longest honest one."""

_DEPTH = 4


def raw_body(request: Request) -> bytes:
    """The body's bytes as they came."""
    raw = request.raw_body or b""
    return raw.encode() if isinstance(raw, str) else raw


def json_object(request: Request, allowed: dict[str, int]) -> dict[str, str]:
    """The body as an object of texts. `allowed` maps each field to its greatest length in bytes.

    Chalice's own reading lets pass what must not: content types by prefix, duplicate keys,
    unbounded depth. Raises InvalidInput.
    """
    content_type = str(request.headers.get("content-type", "")).partition(";")[0]
    if content_type.strip().lower() != "application/json":
        raise InvalidInput("content-type", INPUT_REASONS["content-type"])
    raw = raw_body(request)
    if len(raw) > MAXIMUM_BODY:
        raise InvalidInput("body", INPUT_REASONS["body-too-large"])
    body = _parse(raw)
    unknown = sorted(set(body) - set(allowed))
    if unknown:
        raise InvalidInput(unknown[0][:MAXIMUM_TEXT], INPUT_REASONS["unknown"])
    return {name: _text(body, name, limit) for name, limit in allowed.items() if name in body}


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        text = raw.decode("utf-8")
        if _nesting(text) > _DEPTH:
            raise InvalidInput("body", INPUT_REASONS["body-too-deep"])
        body = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise InvalidInput("body", INPUT_REASONS["body"]) from None
    if not isinstance(body, dict):
        raise InvalidInput("body", INPUT_REASONS["body"])
    return body


def _nesting(text: str) -> int:
    # Counted before parsing and without regard to strings: no honest body comes near the bound.
    depth = deepest = 0
    for character in text:
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidInput("body", INPUT_REASONS["body-duplicate"])
    return found


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _text(body: dict[str, Any], name: str, limit: int) -> str:
    value = body[name]
    if not isinstance(value, str):
        raise InvalidInput(name, INPUT_REASONS["text"])
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        # A lone surrogate, which JSON can spell and UTF-8 cannot.
        raise InvalidInput(name, INPUT_REASONS["text"]) from None
    if size > limit:
        raise InvalidInput(name, INPUT_REASONS["too-long"])
    return value


def _required(body: dict[str, str], name: str) -> str:
    if not body.get(name, "").strip():
        raise InvalidInput(name, INPUT_REASONS["missing"])
    return body[name]


class Start(NamedTuple):
    """`POST /recovery`."""

    login: str
    proof: str | None

    @classmethod
    def read(cls, request: Request) -> Start:
        body = json_object(
            request, {"user_type": MAXIMUM_TEXT, "login": MAXIMUM_TEXT, "proof": PROOF_LENGTH}
        )
        if _required(body, "user_type") != "firm":
            raise InvalidInput("user_type", INPUT_REASONS["user-type"])
        return cls(_required(body, "login"), body.get("proof"))


@dataclass(frozen=True)
class Confirm:
    """`POST /recovery/password`."""

    code: str
    password: str = field(repr=False)

    @classmethod
    def read(cls, request: Request) -> Confirm:
        body = json_object(request, {"code": MAXIMUM_TEXT, "password": PASSWORD_BYTES})
        # One spelling alone: what people paste or type in full width, the page has folded.
        code = _required(body, "code")
        if len(code) != 6 or not (code.isascii() and code.isdigit()):
            raise InvalidInput("code", INPUT_REASONS["code"])
        if not body.get("password"):
            raise InvalidInput("password", INPUT_REASONS["missing"])
        return cls(code, body["password"])


@dataclass(frozen=True)
class Verify:
    """`POST /credentials/verify`."""

    login: str
    password: str = field(repr=False)

    @classmethod
    def read(cls, request: Request) -> Verify:
        body = json_object(request, {"login": MAXIMUM_TEXT, "password": PASSWORD_BYTES})
        if not body.get("password"):
            raise InvalidInput("password", INPUT_REASONS["missing"])
        return cls(_required(body, "login"), body["password"])


class Unbind(NamedTuple):
    """`POST /recovery/unbinding`."""

    firm_no: str
    approval_no: str
    head_name: str

    @classmethod
    def read(cls, request: Request) -> Unbind:
        body = json_object(
            request,
            {"firm_no": MAXIMUM_TEXT, "approval_no": MAXIMUM_TEXT, "head_name": MAXIMUM_TEXT},
        )
        return cls(*(_required(body, name) for name in ("firm_no", "approval_no", "head_name")))


def empty(request: Request) -> None:
    """A body without fields; none at all is as good."""
    if request.raw_body:
        json_object(request, {})


def bearer(request: Request) -> str | None:
    """The bearer token, or None."""
    scheme, _, token = str(request.headers.get("authorization", "")).partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def address(request: Request) -> str:
    """The peer's address as API Gateway saw it; never a header, which anybody can write."""
    identity = request.context.get("identity") or {}
    return str(identity.get("sourceIp", ""))
