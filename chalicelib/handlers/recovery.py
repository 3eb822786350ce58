"""The steps of a recovery over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chalice.app import Blueprint, Response

from .. import container, runtime
from ..domain import canary, origin
from ..domain.errors import AccountNotFound
from ..domain.logins import parse_login
from ..domain.requester import Requester
from ..security.tokens import TOKEN_LIFETIME, RecoveryClaims
from ..telemetry.invocation import leave_out_figures
from ..version import VERSION
from .http import cookies, payloads
from .http.problems import json_response, problem, render_errors

blueprint = Blueprint(__name__)


def _same_origin(service: container.Service) -> Response | None:
    # A page of another origin cannot send JSON without a preflight; this is the second line.
    origin = blueprint.current_request.headers.get("origin")
    if origin is None or origin in service.settings.origins:
        return None
    return problem("forbidden", 403)


def _claims(service: container.Service) -> tuple[RecoveryClaims, Requester]:
    """Return the claims of the request's token, and who sends the request."""
    claims = service.recovery.read(payloads.bearer(blueprint.current_request))
    return claims, _requester(service, claims.visitor_openid)


def _requester(service: container.Service, openid: str | None) -> Requester:
    if canary.is_canary(openid):
        leave_out_figures()
    requester = service.requesters.identify(openid, payloads.address(blueprint.current_request))
    origin.set_requester(requester.id)
    return requester


@blueprint.route("/proof", methods=["GET"])
@render_errors
def proof() -> Response:
    """Return a challenge.

    `?login=` binds it to a login and saves a write at the start; `?factor=` requests more work, as a
    refused start required it.
    """
    service = runtime.service()
    query: Mapping[str, str] = blueprint.current_request.query_params or {}
    login = str(parse_login(query["login"])) if "login" in query else None
    challenge = service.proof_check.challenge(login, query.get("factor"), service.clock())
    return json_response(challenge)


@blueprint.route("/recovery", methods=["POST"], content_types=payloads.ANY_CONTENT)
@render_errors
def start() -> Response:
    """Begin a recovery of a login."""
    service = runtime.service()
    request = blueprint.current_request
    if refused := _same_origin(service):
        return refused
    start_request = payloads.Start.read(request)
    visitor_openid = cookies.visitor_openid(service, request)
    requester = _requester(service, visitor_openid)
    login = str(parse_login(start_request.login))
    if not canary.may_start(login, visitor_openid, service.settings.canary_firm):
        raise AccountNotFound
    service.start_limiter.count(requester, login, service.clock())
    with service.refusals.recorded(start_request.login):
        started = service.recovery.start(
            start_request.login,
            start_request.proof,
            visitor_openid,
            requester,
            start_request.scene,
        )
    body: dict[str, Any] = {
        "token": started.token,
        "login": started.login,
        "method": started.method,
        "destination": started.destination,
        "expires_in": started.expires_in,
        "sent": started.sent._asdict() if started.sent else None,
    }
    if started.this_wechat is not None:
        body["this_wechat"] = started.this_wechat
    if started.scene is not None:
        body["qr"] = _qr(service.wechat_login.follow_link(started.scene))
    return json_response(body, 201)


def _qr(text: str) -> str:
    import segno

    return str(
        segno.make(text, error="m").svg_data_uri(scale=4, border=2, dark="#000", light="#fff")
    )


@blueprint.route("/recovery", methods=["GET"])
@render_errors
def progress() -> Response:
    """Return the state of the recovery."""
    service = runtime.service()
    claims, requester = _claims(service)
    progress = service.recovery_progress.of(claims, requester)
    body = {"login": progress.login, "method": progress.method, "state": progress.state}
    if progress.name is not None:
        body["name"] = progress.name
    return json_response(body)


@blueprint.route("/recovery/logins", methods=["GET"])
@render_errors
def logins() -> Response:
    """Return the logins that the visitor's WeChat is bound to; none outside WeChat."""
    service = runtime.service()
    openid = cookies.visitor_openid(service, blueprint.current_request)
    return json_response({"logins": [each._asdict() for each in service.bound_logins.of(openid)]})


@blueprint.route("/recovery/code", methods=["POST"], content_types=payloads.ANY_CONTENT)
@render_errors
def send_code() -> Response:
    """Send a code."""
    service = runtime.service()
    if refused := _same_origin(service):
        return refused
    claims, requester = _claims(service)
    payloads.empty(blueprint.current_request)
    with service.refusals.recorded(claims.login):
        sent = service.recovery.send_code(claims, requester)
    return json_response(
        {
            "method": sent.method,
            "destination": sent.destination,
            "delivery": sent.delivery,
            "expires_in": sent.expires_in,
            "resend_in": sent.resend_in,
        },
        202,
    )


@blueprint.route("/recovery/password", methods=["POST"], content_types=payloads.ANY_CONTENT)
@render_errors
def complete() -> Response:
    """Set the new password."""
    service = runtime.service()
    if refused := _same_origin(service):
        return refused
    claims, requester = _claims(service)
    confirm = payloads.Confirm.read(blueprint.current_request)
    with service.refusals.recorded(claims.login):
        done = service.recovery.complete(claims, requester, confirm.code, confirm.password)
    body: dict[str, Any] = {"login": done.login, "wechat_bound": done.wechat_bound}
    if not done.wechat_bound:
        # The WeChat does not follow the account: the page shows how to.
        scene = service.scenes.make(done.login, service.clock() + TOKEN_LIFETIME)
        body["qr"] = _qr(service.wechat_login.follow_link(scene))
    return json_response(body)


@blueprint.route("/recovery/unbinding", methods=["POST"], content_types=payloads.ANY_CONTENT)
@render_errors
def unbind() -> Response:
    """Remove the WeChat binding."""
    service = runtime.service()
    if refused := _same_origin(service):
        return refused
    claims, requester = _claims(service)
    details = payloads.Unbind.read(blueprint.current_request)
    with service.refusals.recorded(claims.login):
        unbound = service.unbinding.unbind(
            claims, requester, details.firm_no, details.approval_no, details.head_name
        )
    return json_response({"login": unbound.login, "method": unbound.method})


@blueprint.route("/health", methods=["GET"])
@render_errors
def health() -> Response:
    """Report that the settings are sound, and the version; 503 `unavailable` where they are not."""
    runtime.service()
    return json_response({"status": "ok", "version": VERSION})
