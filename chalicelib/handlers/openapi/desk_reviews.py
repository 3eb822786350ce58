"""The calls of `chalicelib.handlers.desk_reviews`."""

from __future__ import annotations

from ...domain import errors
from ..http import desk_payloads
from ..http.payloads import TextField
from .desk_logins import EVENT_FACTS, MAYBE_TEXT, PROPOSAL
from .desk_responses import DESK, HEADERS, desk_responses
from .schemas import (
    TEXT,
    Schema,
    json_object,
    json_response,
    path_parameter,
    query_parameter,
    request_body,
)

_COUNT: Schema = {"type": "integer", "minimum": 0}
_ID = [path_parameter("proposal_id", "the proposal's id", TEXT)]
_DATE: Schema = {"type": "string", "format": "date"}


def paths() -> Schema:
    """Return the path items of this blueprint."""
    own = (errors.OwnProposal,)
    sends = (errors.TooManyRequests, errors.DeliveryFailed)
    tries = (errors.CodeWrong, errors.CodeExpired, errors.TooManyAttempts)
    confirm = desk_payloads.ConfirmPhone.FIELDS
    base = "/support/api/proposals"
    return {
        base: {"get": _proposals()},
        f"{base}/{{proposal_id}}/approve": {
            "post": _act("approve", "Approve another person's proposal.", *own, *sends)
        },
        f"{base}/{{proposal_id}}/reject": {
            "post": _act("reject", "Reject another person's proposal.", *own)
        },
        f"{base}/{{proposal_id}}/code": {
            "post": _act("sendPhoneCode", "Send another code.", *sends, status="202")
        },
        f"{base}/{{proposal_id}}/confirm": {
            "post": _act("confirmPhone", "Bind the new phone by its code.", *tries, fields=confirm)
        },
        f"{base}/{{proposal_id}}/undo": {"post": _act("undoPhone", "Bind the former phone again.")},
        "/support/api/audit": {"get": _audit()},
        "/support/api/today": {"get": _today()},
    }


def _proposals() -> Schema:
    answer = json_object({"proposals": {"type": "array", "items": PROPOSAL}})
    return {
        "summary": "The newest proposals; to an agent, their own.",
        "operationId": "proposals",
        "security": DESK,
        "responses": {"200": json_response(answer, "The newest first."), **desk_responses()},
    }


def _act(
    name: str,
    summary: str,
    *kinds: type[errors.ServiceError],
    fields: tuple[TextField, ...] = (),
    status: str = "200",
) -> Schema:
    return {
        "summary": summary,
        "operationId": name,
        "security": DESK,
        "parameters": [*_ID, *HEADERS],
        "requestBody": request_body(fields),
        "responses": {
            status: json_response(PROPOSAL, "The proposal as it is now."),
            **desk_responses(
                errors.InvalidInput,
                errors.AccountNotFound,
                errors.ProposalNotFound,
                errors.ProposalClosed,
                *kinds,
                changes=True,
            ),
        },
    }


def _audit() -> Schema:
    event = json_object({**EVENT_FACTS, "login": MAYBE_TEXT, "text": TEXT, "details": TEXT})
    answer = json_object({"events": {"type": "array", "items": event}, "more": {"type": "boolean"}})
    response = json_response(answer, "The acts, the oldest first.")
    response["content"]["text/csv"] = {"schema": TEXT}
    return {
        "summary": "The acts of the staff, of at most 31 days.",
        "operationId": "audit",
        "security": DESK,
        "parameters": [
            query_parameter("by", "a subject, or an AWS identity", {**TEXT, "maxLength": 300}),
            query_parameter("login", "a login", TEXT),
            query_parameter("from", "first day in Beijing; today where absent", _DATE),
            query_parameter("to", "last day in Beijing; today where absent", _DATE),
            query_parameter("format", "how the acts are written", {"enum": ["json", "csv"]}),
        ],
        "responses": {"200": response, **desk_responses(errors.InvalidInput)},
    }


def _today() -> Schema:
    counts: Schema = {"type": "object", "additionalProperties": _COUNT}
    names = ("started", "sent", "delivered", "completed", "refused", "wrong", "reset")
    answer = json_object(
        {
            "day": _DATE,
            **dict.fromkeys((*names, "frozen_by_owner", "changed_by_staff", "waiting"), _COUNT),
            "gateways": {"type": "object", "additionalProperties": counts},
            "provinces": counts,
            "partial": {"type": "boolean"},
        }
    )
    return {
        "summary": "The day at a glance.",
        "operationId": "today",
        "security": DESK,
        "responses": {"200": json_response(answer, "Counts."), **desk_responses()},
    }
