"""Request bodies: strict JSON to frozen request types, naming the field that is wrong.

Each request type has a table of its fields, `FIELDS`. The parser checks a body against it, and
`chalicelib.handlers.openapi` makes the body's schema from it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from chalice.app import Request

from ...domain.catalogue import INPUT_REASONS
from ...domain.codes import DIGITS, LONG_DIGITS
from ...domain.errors import InvalidInput
from ...domain.logins import LOGIN_PATTERN
from ...domain.passwords import MAXIMUM_BYTES as PASSWORD_BYTES
from ...security.proof_of_work import MAXIMUM_LENGTH as PROOF_LENGTH

ANY_CONTENT: list[str] = []
"""For `content_types` of a route: Chalice accepts every type, and the parser refuses a wrong one as
a problem like every other error."""

MAXIMUM_BODY = 8_192
"""Bytes. The largest honest body is a proof of work of under 2 KB."""

MAXIMUM_TEXT = 200
"""Bytes of a name, a number or a code, far above the longest honest one."""

_DEPTH = 4


class TextField(NamedTuple):
    """A text field of a request body: what the parser checks and what the API's description states."""

    name: str
    maximum: int = MAXIMUM_TEXT
    """Greatest length, in bytes of UTF-8."""
    optional: bool = False
    """Whether the field may be absent or empty."""
    blank: bool = False
    """Whether white space alone is a value; otherwise it counts as missing."""
    constant: str | None = None
    """The only value, if there is one."""
    pattern: str | None = None
    """The canonical form: a regular expression, without anchors, for the whole value."""
    reason: str | None = None
    """Key of INPUT_REASONS for a value that is not the constant or not of the pattern. None: the
    parser accepts other forms, because the domain folds them into the canonical one."""
    examples: tuple[str, ...] = ()

    def accepts(self, value: str) -> bool:
        """Return whether the value is the constant, or of the pattern, where there is one."""
        if self.constant is not None and value != self.constant:
            return False
        return self.pattern is None or re.fullmatch(self.pattern, value) is not None


LOGIN = TextField(name="login", pattern=LOGIN_PATTERN, examples=("11010148", "11010148_cw"))
# Only ASCII digits: the page folds what people paste or type in full width.
CODE = TextField(
    name="code",
    pattern=f"[0-9]{{{DIGITS}}}(?:[0-9]{{{LONG_DIGITS - DIGITS}}})?",
    reason="code",
    examples=("123456", "12345678"),
)
PASSWORD = TextField(name="password", maximum=PASSWORD_BYTES, blank=True)


def raw_body(request: Request) -> bytes:
    """Return the body's bytes, undecoded.

    Raises InvalidInput where the event marks the body as base64 and it is not, or where its text
    has no form in UTF-8.
    """
    try:
        raw = request.raw_body or b""
        return raw.encode() if isinstance(raw, str) else raw
    except ValueError:
        raise InvalidInput("body", INPUT_REASONS["body"]) from None


def json_object(request: Request, fields: Sequence[TextField]) -> dict[str, str]:
    """Return the body's texts by field name; an optional field may be absent.

    Stricter than Chalice's `json_body`, which accepts content types by prefix, duplicate keys and
    unbounded depth. Raises InvalidInput with the first field, in the table's order, that is wrong.
    """
    content_type = str(request.headers.get("content-type", "")).partition(";")[0]
    if content_type.strip().lower() != "application/json":
        raise InvalidInput("content-type", INPUT_REASONS["content-type"])
    raw = raw_body(request)
    if len(raw) > MAXIMUM_BODY:
        raise InvalidInput("body", INPUT_REASONS["body-too-large"])
    body = _parse(raw)
    unknown = sorted(set(body) - {each.name for each in fields})
    if unknown:
        raise InvalidInput(unknown[0][:MAXIMUM_TEXT], INPUT_REASONS["unknown"])
    texts = {
        each.name: _text(body, each.name, each.maximum) for each in fields if each.name in body
    }
    for each in fields:
        _check(each, texts.get(each.name, ""))
    return texts


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
    # An answer quotes an unknown name, and a lone surrogate in it has no form in UTF-8: ValueError.
    "".join(found).encode()
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


def _check(expected: TextField, value: str) -> None:
    is_missing = not (value if expected.blank else value.strip())
    if is_missing and not expected.optional:
        raise InvalidInput(expected.name, INPUT_REASONS["missing"])
    if not is_missing and expected.reason is not None and not expected.accepts(value):
        raise InvalidInput(expected.name, INPUT_REASONS[expected.reason])


@dataclass(frozen=True)
class Start:
    """`POST /recovery`."""

    FIELDS: ClassVar[tuple[TextField, ...]] = (
        TextField(name="user_type", constant="firm", reason="user-type"),
        LOGIN,
        TextField(name="proof", maximum=PROOF_LENGTH, optional=True),
        TextField(name="scene", optional=True),
    )

    login: str
    proof: str | None
    scene: str | None

    @classmethod
    def read(cls, request: Request) -> Start:
        """Return the request of the body. Raises InvalidInput."""
        body = json_object(request, cls.FIELDS)
        return cls(body["login"], body.get("proof"), body.get("scene"))


@dataclass(frozen=True)
class Confirm:
    """`POST /recovery/password`."""

    FIELDS: ClassVar[tuple[TextField, ...]] = (CODE, PASSWORD)

    code: str
    password: str = field(repr=False)

    @classmethod
    def read(cls, request: Request) -> Confirm:
        """Return the request of the body. Raises InvalidInput."""
        return cls(**json_object(request, cls.FIELDS))


@dataclass(frozen=True)
class Verify:
    """`POST /credentials/verify`."""

    FIELDS: ClassVar[tuple[TextField, ...]] = (LOGIN, PASSWORD)

    login: str
    password: str = field(repr=False)

    @classmethod
    def read(cls, request: Request) -> Verify:
        """Return the request of the body. Raises InvalidInput."""
        return cls(**json_object(request, cls.FIELDS))


@dataclass(frozen=True)
class Unbind:
    """`POST /recovery/unbinding`."""

    FIELDS: ClassVar[tuple[TextField, ...]] = (
        TextField(name="firm_no"),
        TextField(name="approval_no"),
        TextField(name="head_name"),
    )

    firm_no: str
    approval_no: str
    head_name: str

    @classmethod
    def read(cls, request: Request) -> Unbind:
        """Return the request of the body. Raises InvalidInput."""
        return cls(**json_object(request, cls.FIELDS))


def empty(request: Request) -> None:
    """Accept no body, or one without fields. Raises InvalidInput."""
    if raw_body(request):
        json_object(request, ())


def bearer(request: Request) -> str | None:
    """Return the bearer token, or None."""
    scheme, _, token = str(request.headers.get("authorization", "")).partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def address(request: Request) -> str:
    """Return the peer's address as API Gateway saw it; never a header, which anybody can write."""
    identity = request.context.get("identity") or {}
    return str(identity.get("sourceIp", ""))


def caller(request: Request) -> str | None:
    """Return the ARN of the IAM identity that signed the request, as API Gateway verified it, or None.

    API Gateway sets it on routes with IAM authorization alone. Source: Amazon API Gateway, "Variables
    for data models, authorizers, mapping templates", `$context.identity.userArn`.
    """
    identity = request.context.get("identity") or {}
    arn = identity.get("userArn")
    return arn if isinstance(arn, str) and arn else None
