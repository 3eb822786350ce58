"""The login page's server asks about a password. AWS IAM lets nobody else come this far."""

from __future__ import annotations

from chalice.app import Blueprint, IAMAuthorizer, Response

from .. import runtime
from . import requests
from .problems import answer, problems

blueprint = Blueprint(__name__)


@blueprint.route(
    "/credentials/verify",
    methods=["POST"],
    content_types=requests.ANY_CONTENT,
    authorizer=IAMAuthorizer(),
)
@problems
def verify() -> Response:
    """Whether the password is right, and whether it must be changed."""
    service = runtime.service()
    credentials = requests.Verify.read(blueprint.current_request)
    verified = service.verification.verify(credentials.login, credentials.password)
    return answer(
        {
            "valid": verified.valid,
            "must_change": verified.must_change,
            "changed_at": verified.changed_at,
        }
    )
