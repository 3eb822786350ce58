"""Password verification for the login page's server, the one caller that IAM permits."""

from __future__ import annotations

from chalice.app import Blueprint, IAMAuthorizer, Response

from .. import runtime
from ..domain.logins import parse_login
from ..telemetry.invocation import leave_out_figures
from .http import payloads
from .http.problems import json_response, problem, render_errors

blueprint = Blueprint(__name__)


@blueprint.route(
    "/credentials/verify",
    methods=["POST"],
    content_types=payloads.ANY_CONTENT,
    authorizer=IAMAuthorizer(),
)
@render_errors
def verify() -> Response:
    """Answer whether the password is right, and whether it must be changed.

    403 `forbidden` where the event names no IAM identity: the route's authorization is a property of
    the deployed API, and an API that lost it must not become an oracle for passwords.
    """
    if payloads.caller(blueprint.current_request) is None:
        return problem("forbidden", 403)
    service = runtime.service()
    credentials = payloads.Verify.read(blueprint.current_request)
    if str(parse_login(credentials.login)) == service.settings.canary_firm:
        leave_out_figures()
    verified = service.credential_check.verify(credentials.login, credentials.password)
    body = {
        "valid": verified.valid,
        "must_change": verified.must_change,
        "changed_at": verified.changed_at,
    }
    if verified.frozen:
        body["frozen"] = True
    return json_response(body)
