"""Request bodies of the support desk's calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from chalice.app import Request

from .payloads import CODE, TextField, json_object

# Bytes; the domain allows 200 characters.
_MAXIMUM_REASON = 800

REASON = TextField(name="reason", maximum=_MAXIMUM_REASON)


@dataclass(frozen=True)
class Reason:
    """`POST …/unlock`, `…/unbind`, `…/freeze`, `…/unfreeze`."""

    FIELDS: ClassVar[tuple[TextField, ...]] = (REASON,)

    reason: str

    @classmethod
    def read(cls, request: Request) -> Reason:
        """Return the request of the body. Raises InvalidInput."""
        return cls(**json_object(request, cls.FIELDS))


@dataclass(frozen=True)
class IdentityFacts:
    """`POST /support/api/firms/{firm_no}/identity`."""

    FIELDS: ClassVar[tuple[TextField, ...]] = (
        TextField(name="approval_no"),
        TextField(name="head_name"),
        TextField(name="head_id_last4"),
    )

    approval_no: str
    head_name: str
    head_id_last4: str = field(repr=False)

    @classmethod
    def read(cls, request: Request) -> IdentityFacts:
        """Return the request of the body. Raises InvalidInput."""
        return cls(**json_object(request, cls.FIELDS))


@dataclass(frozen=True)
class CorrectedFacts:
    """`POST /support/api/firms/{firm_no}/facts`; at least one of the facts is given."""

    FIELDS: ClassVar[tuple[TextField, ...]] = (
        # Bytes; the domain allows 120 characters.
        TextField(name="approval_no", maximum=500, optional=True),
        TextField(name="head_name", maximum=500, optional=True),
        TextField(name="head_id_last4", optional=True),
        REASON,
        TextField(name="document", maximum=_MAXIMUM_REASON),
    )

    facts: dict[str, str] = field(repr=False)
    reason: str
    document: str

    @classmethod
    def read(cls, request: Request) -> CorrectedFacts:
        """Return the request of the body. Raises InvalidInput."""
        body = json_object(request, cls.FIELDS)
        reason, document = body.pop("reason"), body.pop("document")
        return cls(body, reason, document)


@dataclass(frozen=True)
class NewPhone:
    """`POST /support/api/logins/{login}/phone`."""

    FIELDS: ClassVar[tuple[TextField, ...]] = (
        TextField(name="phone"),
        REASON,
        TextField(name="document", maximum=_MAXIMUM_REASON),
    )

    phone: str = field(repr=False)
    reason: str
    document: str

    @classmethod
    def read(cls, request: Request) -> NewPhone:
        """Return the request of the body. Raises InvalidInput."""
        return cls(**json_object(request, cls.FIELDS))


@dataclass(frozen=True)
class ConfirmPhone:
    """`POST /support/api/proposals/{id}/confirm`."""

    FIELDS: ClassVar[tuple[TextField, ...]] = (CODE,)

    code: str = field(repr=False)

    @classmethod
    def read(cls, request: Request) -> ConfirmPhone:
        """Return the request of the body. Raises InvalidInput."""
        return cls(**json_object(request, cls.FIELDS))
