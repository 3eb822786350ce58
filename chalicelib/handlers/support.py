"""Signing in to the support desk and out of it; its calls are in `desk_logins` and `desk_reviews`."""

from __future__ import annotations

from collections.abc import Mapping

from chalice.app import Blueprint, Response

from .. import runtime
from ..container import Service
from ..domain.errors import ServiceError
from ..domain.staff import EVERYBODY, Staff
from .http import cookies, payloads
from .http.desk import desk_call, is_on
from .http.notice_pages import problem_page
from .http.problems import HEADERS, json_response, log_error, render_errors

blueprint = Blueprint(__name__)


def _redirect(url: str, cookie: str | None = None) -> Response:
    headers: dict[str, str | list[str]] = {**HEADERS, "Location": url}
    if cookie is not None:
        headers["Set-Cookie"] = cookie
    return Response("", headers=headers, status_code=302)


def _parameter(name: str) -> str:
    query: Mapping[str, str] = blueprint.current_request.query_params or {}
    return query.get(name, "")


@blueprint.route("/support/sign-in", methods=["GET"])
@render_errors
def begin() -> Response:
    """Redirect to the identity provider; `?place=` is where the desk's page continues afterwards."""
    service = runtime.service()
    if not is_on(service):
        return problem_page(blueprint.current_request, service.settings, "not-found", 404)
    try:
        url, round_trip = service.desk.sign_in.begin(_parameter("place"))
    except ServiceError as error:
        return _failed(service, error)
    return _redirect(url, cookies.keep_sign_in_round_trip(service, round_trip))


@blueprint.route("/support/callback", methods=["GET"])
@render_errors
def complete() -> Response:
    """Complete the sign-in and redirect to the desk, with a session or with a reason."""
    service = runtime.service()
    if not is_on(service):
        return problem_page(blueprint.current_request, service.settings, "not-found", 404)
    code, state = _parameter("code"), _parameter("state")
    if not code:
        # The provider's `error`, such as access_denied where the person cancelled.
        return _redirect(service.desk.sign_in.failure("refused"))
    round_trip = cookies.sign_in_round_trip(service, blueprint.current_request)
    try:
        result = service.desk.sign_in.complete(code, state, round_trip)
    except ServiceError as error:
        return _failed(service, error)
    cookie = None if result.staff is None else cookies.keep_staff(service, result.staff)
    return _redirect(result.url, cookie)


def _failed(service: Service, error: ServiceError) -> Response:
    # The browser displays the answer, so the person gets the desk's page instead of JSON.
    log_error(error)
    return _redirect(service.desk.sign_in.failure("unavailable"))


@blueprint.route("/support/sign-out", methods=["POST"], content_types=payloads.ANY_CONTENT)
@desk_call(blueprint, EVERYBODY)
def sign_out(service: Service, staff: Staff) -> Response:
    """End the session; `location` ends the identity provider's session as well."""
    payloads.empty(blueprint.current_request)
    answer = json_response({"location": service.desk.sign_in.end(staff)})
    answer.headers["Set-Cookie"] = cookies.forget_staff(service)
    return answer


@blueprint.route("/support/api/me", methods=["GET"])
@desk_call(blueprint, EVERYBODY)
def me(service: Service, staff: Staff) -> Response:
    """Return who has signed in."""
    return json_response(
        {
            "subject": staff.subject,
            "name": staff.name,
            "roles": sorted(staff.roles),
            "ends_at": staff.ends_at,
        }
    )
