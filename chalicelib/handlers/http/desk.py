"""What every call of the support desk checks: that there is a desk, a session, and no foreign page."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec
from urllib.parse import urlsplit

from chalice.app import Blueprint, Request, Response

from ... import runtime
from ...container import Service
from ...domain import origin
from ...domain.staff import Role, Staff, signed_in
from . import cookies, payloads
from .problems import problem, render_errors

HEADER = "x-support-desk"
"""A header that a page of another origin cannot add without a preflight, which is never answered."""

P = ParamSpec("P")


def is_on(service: Service) -> bool:
    """Return whether there is a support desk: without an identity provider there is none."""
    return bool(service.settings.oidc_issuer)


def is_foreign(service: Service, request: Request) -> bool:
    """Return whether a changing request may come from another page than the desk's own.

    Browsers send Origin with every POST. Pages of ALLOWED_ORIGINS may start recoveries, but nothing
    at the desk.
    """
    site = urlsplit(service.settings.site_url)
    own = f"{site.scheme}://{site.netloc}"
    return request.headers.get("origin") != own or request.headers.get(HEADER) != "1"


def desk_call(
    blueprint: Blueprint, allowed: frozenset[Role]
) -> Callable[[Callable[Concatenate[Service, Staff, P], Response]], Callable[P, Response]]:
    """Wrap a view of the desk, which gets the service and the member of the staff.

    Answers 404 where there is no desk, 403 `forbidden` to a POST of a foreign page, 401 `sign-in`
    without a session and 403 `role` without one of the allowed roles, in this order.
    """

    def decorate(view: Callable[Concatenate[Service, Staff, P], Response]) -> Callable[P, Response]:
        @functools.wraps(view)
        @render_errors
        def checked(*args: P.args, **kwargs: P.kwargs) -> Response:
            service = runtime.service()
            request = blueprint.current_request
            if not is_on(service):
                return problem("not-found", 404)
            if request.method != "GET" and is_foreign(service, request):
                return problem("forbidden", 403)
            staff = signed_in(cookies.staff(service, request), service.clock())
            service.desk.sign_in.check(staff)
            staff.require(allowed)
            origin.set_requester(service.requesters.identify(None, payloads.address(request)).id)
            return view(service, staff, *args, **kwargs)

        return checked

    return decorate
