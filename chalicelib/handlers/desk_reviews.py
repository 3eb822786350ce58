"""The support desk's calls about proposals, the audit and the day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from chalice.app import Blueprint, Response

from ..container import Service
from ..domain.catalogue import INPUT_REASONS
from ..domain.errors import InvalidInput
from ..domain.staff import ACTOR, AGENTS, EVERYBODY, REVIEWERS, SUPERVISORS, Staff
from .http import payloads
from .http.desk import desk_call
from .http.desk_payloads import ConfirmPhone
from .http.desk_responses import proposal_facts
from .http.problems import HEADERS, json_response

blueprint = Blueprint(__name__)


@blueprint.route("/support/api/proposals", methods=["GET"])
@desk_call(blueprint, EVERYBODY)
def proposals(service: Service, staff: Staff) -> Response:
    """Return the newest proposals; to an agent alone, their own."""
    newest = service.desk.phone_change.newest()
    found = [each for each in newest if staff.sees_proposals_of(each.proposed_by)]
    service.desk.journal.looked(staff, "desk-proposals")
    return json_response({"proposals": [proposal_facts(proposal) for proposal in found]})


@blueprint.route(
    "/support/api/proposals/{proposal_id}/approve",
    methods=["POST"],
    content_types=payloads.ANY_CONTENT,
)
@desk_call(blueprint, SUPERVISORS)
def approve(service: Service, staff: Staff, proposal_id: str) -> Response:
    """Approve another person's proposal and send the code."""
    payloads.empty(blueprint.current_request)
    return json_response(proposal_facts(service.desk.phone_change.approve(staff, proposal_id)))


@blueprint.route(
    "/support/api/proposals/{proposal_id}/reject",
    methods=["POST"],
    content_types=payloads.ANY_CONTENT,
)
@desk_call(blueprint, SUPERVISORS)
def reject(service: Service, staff: Staff, proposal_id: str) -> Response:
    """Reject another person's proposal."""
    payloads.empty(blueprint.current_request)
    return json_response(proposal_facts(service.desk.phone_change.reject(staff, proposal_id)))


@blueprint.route(
    "/support/api/proposals/{proposal_id}/code",
    methods=["POST"],
    content_types=payloads.ANY_CONTENT,
)
@desk_call(blueprint, AGENTS)
def send_code(service: Service, staff: Staff, proposal_id: str) -> Response:
    """Send another code to the new phone of an approved proposal."""
    payloads.empty(blueprint.current_request)
    return json_response(
        proposal_facts(service.desk.phone_change.send_code(staff, proposal_id)), 202
    )


@blueprint.route(
    "/support/api/proposals/{proposal_id}/confirm",
    methods=["POST"],
    content_types=payloads.ANY_CONTENT,
)
@desk_call(blueprint, AGENTS)
def confirm(service: Service, staff: Staff, proposal_id: str) -> Response:
    """Bind the new phone by the code that reached it."""
    code = ConfirmPhone.read(blueprint.current_request).code
    return json_response(
        proposal_facts(service.desk.phone_change.confirm(staff, proposal_id, code))
    )


@blueprint.route(
    "/support/api/proposals/{proposal_id}/undo",
    methods=["POST"],
    content_types=payloads.ANY_CONTENT,
)
@desk_call(blueprint, SUPERVISORS)
def undo(service: Service, staff: Staff, proposal_id: str) -> Response:
    """Bind the former phone again."""
    payloads.empty(blueprint.current_request)
    return json_response(proposal_facts(service.desk.phone_change.undo(staff, proposal_id)))


@blueprint.route("/support/api/audit", methods=["GET"])
@desk_call(blueprint, REVIEWERS)
def audit(service: Service, staff: Staff) -> Response:
    """Return the acts of the staff: `?by=&login=&from=&to=`; `?format=csv` for spreadsheets."""
    query: Mapping[str, str] = blueprint.current_request.query_params or {}
    form = query.get("format", "json")
    if form not in ("json", "csv"):
        raise InvalidInput("format", INPUT_REASONS["format"])
    reviews = service.desk.reviews
    parsed = reviews.parse(*(query.get(name, "") for name in ("by", "login", "from", "to")))
    page = reviews.audit(staff, parsed)
    if form == "csv":
        from ..services.desk.reviews import as_csv

        headers: dict[str, str | list[str]] = {
            **HEADERS,
            "Content-Type": "text/csv; charset=utf-8",
            "Content-Disposition": 'attachment; filename="audit.csv"',
        }
        return Response(as_csv(page.events), headers=headers)
    from ..services.desk.login_view import timeline_event

    events = [
        {
            **asdict(found.event),
            "text": (shown := timeline_event(found.event)).text,
            "details": shown.details,
            "login": None if found.login.startswith(ACTOR) else found.login,
            "actor": found.event.actor.removeprefix(ACTOR),
        }
        for found in page.events
    ]
    return json_response({"events": events, "more": page.more})


@blueprint.route("/support/api/today", methods=["GET"])
@desk_call(blueprint, REVIEWERS)
def today(service: Service, staff: Staff) -> Response:
    """Return the counts of the day."""
    return json_response(asdict(service.desk.reviews.today(staff)))
