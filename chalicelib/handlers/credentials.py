"""The login page's server asks about a password. AWS IAM lets nobody else come this far."""

from __future__ import annotations

from chalice.app import Blueprint, IAMAuthorizer, Response

from .. import runtime
from .http import payloads
from .http.problems import json_response, render_errors

blueprint = Blueprint(__name__)


@blueprint.route(
    "/credentials/verify",
    methods=["POST"],
    content_types=payloads.ANY_CONTENT,
    authorizer=IAMAuthorizer(),
)
@render_errors
def verify() -> Response:
    """Whether the password is right, and whether it must be changed."""
    service = runtime.service()
    credentials = payloads.Verify.read(blueprint.current_request)
    verified = service.credential_check.verify(credentials.login, credentials.password)
    return json_response(
        {
            "valid": verified.valid,
            "must_change": verified.must_change,
            "changed_at": verified.changed_at,
        }
    )
