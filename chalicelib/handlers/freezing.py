"""Freezing of a login by its owner: the page that a WeChat notice's link leads to.

Previews of links send GETs, so that only the form's POST freezes. The token in it is what permits
that: the call uses no cookie, and therefore needs no check of its origin.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs

from chalice.app import Blueprint, Response

from .. import runtime
from ..domain import origin
from ..domain.catalogue import PROBLEMS
from ..domain.errors import FreezeLinkInvalid, InvalidInput, Unavailable
from .http import cookies, payloads
from .http.notice_pages import is_browser, page, problem_page
from .http.problems import STATUSES, log_error, render_errors

blueprint = Blueprint(__name__)

FORM = "application/x-www-form-urlencoded"

_FIELD = "token"


@blueprint.route("/freeze", methods=["GET"])
@render_errors
def ask() -> Response:
    """Return the page with the button that freezes the login; changes and reads nothing."""
    service = runtime.service()
    query: Mapping[str, str] = blueprint.current_request.query_params or {}
    token = query.get(_FIELD, "")
    try:
        claims = service.owner_freezing.read(token)
    except FreezeLinkInvalid as error:
        return problem_page(
            blueprint.current_request, service.settings, error.code, STATUSES[type(error)]
        )
    values = {"login": claims.login, "token": token, "action": service.freeze_url}
    return page(service.settings, "freeze", "冻结账号", values=values)


@blueprint.route("/freeze", methods=["POST"], content_types=payloads.ANY_CONTENT)
@render_errors
def freeze() -> Response:
    """Freeze the login and return the page that says so; a repeat has the same answer."""
    service = runtime.service()
    request = blueprint.current_request
    token = _token()
    visitor_openid = cookies.visitor_openid(service, request)
    requester = service.requesters.identify(visitor_openid, payloads.address(request))
    origin.set_requester(requester.id)
    try:
        result = service.owner_freezing.freeze(token)
    except FreezeLinkInvalid as error:
        return problem_page(request, service.settings, error.code, STATUSES[type(error)])
    except Unavailable as error:
        if not is_browser(request):
            raise
        log_error(error)
        return _failed(token, error)
    title = PROBLEMS["frozen"][0]
    return page(service.settings, "frozen", title, kind="done", values={"login": result.login})


def _failed(token: str, error: Unavailable) -> Response:
    """Return the page with the form again, since a repeat may succeed."""
    service = runtime.service()
    values = {
        "login": service.owner_freezing.read(token).login,
        "token": token,
        "action": service.freeze_url,
        "detail": PROBLEMS[error.code][1],
    }
    return page(
        service.settings,
        "failed",
        PROBLEMS[error.code][0],
        status=STATUSES[type(error)],
        values=values,
    )


def _token() -> str:
    """Return the form's token; empty where the body is no such form."""
    request = blueprint.current_request
    content_type = str(request.headers.get("content-type", "")).partition(";")[0]
    try:
        raw = payloads.raw_body(request)
    except InvalidInput:
        return ""
    if content_type.strip().lower() != FORM or len(raw) > payloads.MAXIMUM_BODY:
        return ""
    try:
        fields = parse_qs(raw.decode("ascii"), strict_parsing=True, max_num_fields=4)
    except ValueError:
        return ""
    return fields.get(_FIELD, [""])[0]
