"""The support desk's calls about firms and logins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from chalice.app import Blueprint, Response

from ..container import Service
from ..domain.staff import AGENTS, SUPERVISORS, Staff
from .http import payloads
from .http.desk import desk_call
from .http.desk_payloads import CorrectedFacts, IdentityFacts, NewPhone, Reason
from .http.desk_responses import proposal_facts
from .http.problems import json_response

if TYPE_CHECKING:
    from ..services.desk.login_view import LoginView
    from ..services.support import ChangeResult

blueprint = Blueprint(__name__)


@blueprint.route("/support/api/find", methods=["GET"])
@desk_call(blueprint, AGENTS)
def find(service: Service, staff: Staff) -> Response:
    """Return the firms that fit `?q=`."""
    query: Mapping[str, str] = blueprint.current_request.query_params or {}
    found = service.desk.find.find(query.get("q", ""))
    # The number alone: what was searched for may be a phone.
    service.desk.journal.looked(staff, "desk-find", outcome=str(len(found.firms)))
    return json_response({"firms": [asdict(firm) for firm in found.firms], "more": found.more})


@blueprint.route("/support/api/logins/{login}", methods=["GET"])
@desk_call(blueprint, AGENTS)
def view(service: Service, staff: Staff, login: str) -> Response:
    """Return the diagnosis of a login."""
    return json_response(_view(service.desk.login_views.view(staff, login)))


@blueprint.route("/support/api/requesters/{requester}", methods=["GET"])
@desk_call(blueprint, AGENTS)
def requester(service: Service, staff: Staff, requester: str) -> Response:
    """Return the logins that one visitor has touched since yesterday."""
    touched = service.desk.requester_trail.touched(staff, requester)
    return json_response({"logins": [asdict(login) for login in touched]})


def _view(shown: LoginView) -> dict[str, Any]:
    overview = shown.overview
    return {
        "login": overview.login,
        "kind": overview.kind,
        "firm": {"firm_no": shown.firm_no, "name": overview.firm, "province": shown.province},
        "logins": list(shown.logins),
        "method": overview.method,
        "phone": overview.phone,
        "wechat_bound": overview.wechat_bound,
        "bound_at": overview.bound_at,
        "following": overview.following,
        "has_password": overview.has_password,
        "must_change": overview.must_change,
        "changed_at": overview.changed_at,
        "recovered_at": overview.recovered_at,
        "reset_year": overview.reset_year,
        "code_until": overview.code_until,
        "frozen_at": overview.frozen_at,
        "closed_at": overview.closed_at,
        "erased_at": overview.erased_at,
        "shares_phone": list(shown.shares_phone),
        "shares_wechat": list(shown.shares_wechat),
        "imported_at": shown.imported_at,
        "imported_from": shown.imported_from,
        "corrected_at": shown.corrected_at,
        "corrected_by": shown.corrected_by,
        "corrected_from": shown.corrected_from,
        "why": shown.why,
        "say": shown.say,
        "findings": [finding.value for finding in overview.findings],
        "locks": [
            {"kind": kind, "text": text, "until": until} for kind, text, until in shown.locks
        ],
        "requesters": [asdict(requester) for requester in shown.requesters],
        "events": [
            {**asdict(each.event), "text": each.text, "details": each.details}
            for each in shown.events
        ],
    }


@blueprint.route(
    "/support/api/logins/{login}/unlock", methods=["POST"], content_types=payloads.ANY_CONTENT
)
@desk_call(blueprint, AGENTS)
def unlock(service: Service, staff: Staff, login: str) -> Response:
    """Lift the login's limits."""
    reason = Reason.read(blueprint.current_request).reason
    return _changed(service.desk.support.unlock(login, actor=staff.actor, reason=reason))


@blueprint.route(
    "/support/api/logins/{login}/unbind", methods=["POST"], content_types=payloads.ANY_CONTENT
)
@desk_call(blueprint, AGENTS)
def unbind(service: Service, staff: Staff, login: str) -> Response:
    """Remove the login's WeChat binding."""
    reason = Reason.read(blueprint.current_request).reason
    return _changed(service.desk.support.unbind(login, actor=staff.actor, reason=reason))


@blueprint.route(
    "/support/api/logins/{login}/freeze", methods=["POST"], content_types=payloads.ANY_CONTENT
)
@desk_call(blueprint, AGENTS)
def freeze(service: Service, staff: Staff, login: str) -> Response:
    """Freeze the login."""
    reason = Reason.read(blueprint.current_request).reason
    return _changed(service.desk.support.freeze(login, actor=staff.actor, reason=reason))


@blueprint.route(
    "/support/api/logins/{login}/unfreeze", methods=["POST"], content_types=payloads.ANY_CONTENT
)
@desk_call(blueprint, SUPERVISORS)
def unfreeze(service: Service, staff: Staff, login: str) -> Response:
    """End the freezing of the login."""
    reason = Reason.read(blueprint.current_request).reason
    return _changed(service.desk.support.unfreeze(login, actor=staff.actor, reason=reason))


def _changed(result: ChangeResult) -> Response:
    notified = [{"destination": one.destination, "outcome": one.outcome} for one in result.notified]
    return json_response({"login": result.login, "changed": result.changed, "notified": notified})


@blueprint.route(
    "/support/api/firms/{firm_no}/identity", methods=["POST"], content_types=payloads.ANY_CONTENT
)
@desk_call(blueprint, AGENTS)
def identity(service: Service, staff: Staff, firm_no: str) -> Response:
    """Compare what the caller says with the firm's facts."""
    said = IdentityFacts.read(blueprint.current_request)
    matches = service.desk.identity.check(
        staff, firm_no, said.approval_no, said.head_name, said.head_id_last4
    )
    return json_response({"matches": matches})


@blueprint.route(
    "/support/api/firms/{firm_no}/facts", methods=["POST"], content_types=payloads.ANY_CONTENT
)
@desk_call(blueprint, SUPERVISORS)
def correct(service: Service, staff: Staff, firm_no: str) -> Response:
    """Correct the firm's facts by a document."""
    body = CorrectedFacts.read(blueprint.current_request)
    names = service.desk.corrections.correct(staff, firm_no, body.facts, body.reason, body.document)
    return json_response({"corrected": list(names)})


@blueprint.route(
    "/support/api/logins/{login}/phone", methods=["POST"], content_types=payloads.ANY_CONTENT
)
@desk_call(blueprint, AGENTS)
def propose(service: Service, staff: Staff, login: str) -> Response:
    """Propose another phone for the login."""
    new = NewPhone.read(blueprint.current_request)
    proposal = service.desk.phone_change.propose(staff, login, new.phone, new.reason, new.document)
    return json_response(proposal_facts(proposal), 202)
