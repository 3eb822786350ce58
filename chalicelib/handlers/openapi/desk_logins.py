"""The calls of `chalicelib.handlers.desk_logins`."""

from __future__ import annotations

from ...domain import corrections, errors
from ...services.desk.find import LONGEST
from ..http import desk_payloads, payloads
from ..http.payloads import TextField
from .desk_responses import DESK, HEADERS, desk_responses
from .schemas import (
    TEXT,
    Schema,
    json_object,
    json_response,
    path_parameter,
    query_parameter,
    request_body,
    text_field,
)

MAYBE_TEXT: Schema = {"type": ["string", "null"]}
MAYBE_TIME: Schema = {"type": ["integer", "null"], "minimum": 0, "description": "epoch seconds"}
TIME: Schema = {"type": "integer", "minimum": 0, "description": "epoch seconds"}
MASKED: Schema = {**MAYBE_TEXT, "description": "masked, as 138****1234"}

_YES_NO: Schema = {"type": "boolean"}
_LOGINS: Schema = {"type": "array", "items": TEXT}
_LOGIN = [path_parameter("login", "the login", text_field(payloads.LOGIN))]

PROPOSAL = json_object(
    {
        "id": TEXT,
        "state": {"enum": ["waiting", "approved", "active", "rejected", "undone"]},
        "login": TEXT,
        "firm_no": TEXT,
        "phone": {**TEXT, "description": "the new phone, masked"},
        "former": MASKED,
        "reason": TEXT,
        "document": TEXT,
        "proposed_by": TEXT,
        "proposed_at": TIME,
        "expires_at": TIME,
        "decided_by": MAYBE_TEXT,
        "decided_at": MAYBE_TIME,
        "confirmed_at": MAYBE_TIME,
        "undo_until": MAYBE_TIME,
    }
)

EVENT_FACTS: dict[str, Schema] = {
    "at": TIME,
    "event": TEXT,
    "actor": TEXT,
    **dict.fromkeys(
        ("method", "destination", "gateway", "outcome", "message_id", "receipt", "reason"),
        MAYBE_TEXT,
    ),
    "request_id": MAYBE_TEXT,
    "requester": {**MAYBE_TEXT, "description": "keyed digest of the visitor"},
    "occurrences": {"type": ["integer", "null"]},
    "first_at": MAYBE_TIME,
}


def paths() -> Schema:
    """Return the path items of this blueprint."""
    return {
        "/support/api/find": {"get": _find()},
        "/support/api/logins/{login}": {"get": _view()},
        "/support/api/logins/{login}/unlock": {
            "post": _change("unlock", "Lift the login's limits.")
        },
        "/support/api/logins/{login}/unbind": {
            "post": _change("unbindByStaff", "Remove the WeChat binding.", errors.PhoneNotBound)
        },
        "/support/api/logins/{login}/freeze": {"post": _change("freeze", "Freeze the login.")},
        "/support/api/logins/{login}/unfreeze": {
            "post": _change("unfreeze", "End the freezing of the login.")
        },
        "/support/api/requesters/{requester}": {"get": _requester()},
        "/support/api/firms/{firm_no}/identity": {"post": _identity()},
        "/support/api/firms/{firm_no}/facts": {"post": _correct()},
        "/support/api/logins/{login}/phone": {"post": _propose()},
    }


def _find() -> Schema:
    login = json_object(
        {"login": TEXT, "phone": MASKED, "wechat_bound": _YES_NO, "matches": _YES_NO}
    )
    firm = json_object(
        {
            "firm_no": TEXT,
            "name": TEXT,
            "province": TEXT,
            "by": {"enum": ["number", "phone", "name", "head"]},
            "logins": {"type": "array", "items": login},
            "closed_at": MAYBE_TIME,
        }
    )
    answer = json_object(
        {"firms": {"type": "array", "items": firm, "maxItems": 20}, "more": _YES_NO}
    )
    query: Schema = {**TEXT, "minLength": 1, "maxLength": LONGEST}
    return {
        "summary": "Firms by number, part of the name, head's name or whole phone.",
        "operationId": "find",
        "security": DESK,
        "parameters": [query_parameter("q", "what the caller says", query)],
        "responses": {
            "200": json_response(answer, "At most twenty firms."),
            **desk_responses(errors.InvalidInput),
        },
    }


def _view() -> Schema:
    firm = json_object({"firm_no": TEXT, "name": MAYBE_TEXT, "province": MAYBE_TEXT})
    lock = json_object({"kind": TEXT, "text": TEXT, "until": TIME})
    requester = json_object({"requester": TEXT, "events": {"type": "integer"}, "last_at": TIME})
    event = json_object({**EVENT_FACTS, "text": TEXT, "details": TEXT})
    answer = json_object(
        {
            "login": TEXT,
            "kind": {"enum": ["main", "finance"]},
            "firm": firm,
            "logins": _LOGINS,
            "method": {"enum": ["sms", "wechat", None]},
            "phone": MASKED,
            "wechat_bound": _YES_NO,
            "bound_at": MAYBE_TIME,
            "following": {"type": ["boolean", "null"]},
            "has_password": _YES_NO,
            "must_change": _YES_NO,
            "changed_at": MAYBE_TIME,
            "recovered_at": MAYBE_TIME,
            "reset_year": {"type": ["integer", "null"]},
            "code_until": MAYBE_TIME,
            "frozen_at": MAYBE_TIME,
            "closed_at": {**MAYBE_TIME, "description": "when the firm was closed"},
            "erased_at": {**MAYBE_TIME, "description": "when the closed firm's data is erased"},
            "shares_phone": _LOGINS,
            "shares_wechat": _LOGINS,
            "imported_at": MAYBE_TIME,
            "imported_from": MAYBE_TEXT,
            "corrected_at": MAYBE_TIME,
            "corrected_by": MAYBE_TEXT,
            "corrected_from": MAYBE_TEXT,
            "why": {**TEXT, "description": "why no code came"},
            "say": {**TEXT, "description": "what to say to the caller"},
            "findings": {"type": "array", "items": TEXT},
            "locks": {"type": "array", "items": lock},
            "requesters": {"type": "array", "items": requester},
            "events": {"type": "array", "items": event, "description": "the newest first"},
        }
    )
    return {
        "summary": "What happened to a login, why no code came, and what to say.",
        "operationId": "login",
        "security": DESK,
        "parameters": _LOGIN,
        "responses": {
            "200": json_response(answer, "The diagnosis."),
            **desk_responses(errors.InvalidInput, errors.AccountNotFound),
        },
    }


def _requester() -> Schema:
    touched = json_object({"login": TEXT, "events": {"type": "integer", "minimum": 1}})
    answer = json_object({"logins": {"type": "array", "items": touched, "maxItems": 50}})
    mark: Schema = {"type": "string", "pattern": "^[0-9a-f]{16}$"}
    return {
        "summary": "The logins that one visitor has touched since yesterday.",
        "operationId": "requester",
        "security": DESK,
        "parameters": [path_parameter("requester", "the digest in the events", mark)],
        "responses": {
            "200": json_response(answer, "The busiest first."),
            **desk_responses(errors.InvalidInput),
        },
    }


def _change(name: str, summary: str, *kinds: type[errors.ServiceError]) -> Schema:
    notice = json_object({"destination": TEXT, "outcome": TEXT})
    notices: Schema = {"type": "array", "items": notice}
    answer = json_object({"login": TEXT, "changed": _YES_NO, "notified": notices})
    return {
        "summary": summary,
        "operationId": name,
        "security": DESK,
        "parameters": [*_LOGIN, *HEADERS],
        "requestBody": request_body(desk_payloads.Reason.FIELDS),
        "responses": {
            "200": json_response(answer, "Done; `changed` is whether anything was to be done."),
            **desk_responses(errors.InvalidInput, errors.AccountNotFound, *kinds, changes=True),
        },
    }


def _identity() -> Schema:
    return {
        "summary": "Whether the caller's facts are the firm's; which one is wrong is not said.",
        "operationId": "checkIdentity",
        "security": DESK,
        "parameters": [
            path_parameter("firm_no", "the firm's number", text_field(_FIRM_NO)),
            *HEADERS,
        ],
        "requestBody": request_body(desk_payloads.IdentityFacts.FIELDS),
        "responses": {
            "200": json_response(json_object({"matches": _YES_NO}), "Compared."),
            **desk_responses(
                errors.InvalidInput,
                errors.AccountNotFound,
                errors.TooManyAttempts,
                changes=True,
            ),
        },
    }


def _correct() -> Schema:
    names: Schema = {"type": "array", "items": {"enum": list(corrections.FACTS)}, "minItems": 1}
    return {
        "summary": "Correct the firm's facts by a document; the audit has their names alone.",
        "operationId": "correctFacts",
        "security": DESK,
        "parameters": [
            path_parameter("firm_no", "the firm's number", text_field(_FIRM_NO)),
            *HEADERS,
        ],
        "requestBody": request_body(desk_payloads.CorrectedFacts.FIELDS),
        "responses": {
            "200": json_response(json_object({"corrected": names}), "Stored."),
            **desk_responses(errors.InvalidInput, errors.AccountNotFound, changes=True),
        },
    }


_FIRM_NO = TextField(name="firm_no", pattern="[0-9]{8,20}", examples=("11010148",))


def _propose() -> Schema:
    return {
        "summary": "Propose another phone, after an identity check that matched within the hour.",
        "operationId": "proposePhone",
        "security": DESK,
        "parameters": [*_LOGIN, *HEADERS],
        "requestBody": request_body(desk_payloads.NewPhone.FIELDS),
        "responses": {
            "202": json_response(PROPOSAL, "It waits for another person's approval."),
            **desk_responses(
                errors.InvalidInput,
                errors.AccountNotFound,
                errors.IdentityNotChecked,
                changes=True,
            ),
        },
    }
