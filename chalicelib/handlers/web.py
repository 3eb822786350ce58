"""The page of the recovery, and its assets."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from chalice.app import Blueprint, Response

from .. import runtime
from ..domain.catalogue import ACCOUNT_NAME, ENTRY, SUPPORT
from ..domain.errors import InvalidInput
from ..domain.logins import parse_login
from .http import cookies
from .http.problems import HEADERS, render_errors

blueprint = Blueprint(__name__)

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        # The QR code of a recovery is a data URI in a response of the API.
        "img-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self'",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types solver",
    )
)

_PLAIN_TEXT = {**HEADERS, "Content-Type": "text/plain; charset=utf-8"}


@blueprint.route("/", methods=["GET"])
@render_errors
def document() -> Response:
    """Return the page; `?login=` fills in the login, `?entry=` explains a failed WeChat login."""
    import html
    from string import Template

    from ..web.recovery.assets import assets, read
    from .http.pages import document_response

    service = runtime.service()
    request = blueprint.current_request
    settings = service.settings
    profile = settings.password_profile
    query: Mapping[str, str] = request.query_params or {}
    entry = ENTRY.get(query.get("entry", ""), "")
    values: dict[str, object] = {
        "login": _login(query.get("login", "")),
        "entry": entry,
        "entry_hidden": "" if entry else " hidden",
        "inside": int(cookies.visitor_openid(service, request) is not None),
        "minimum": profile.minimum,
        "maximum": profile.maximum,
        "classes": profile.classes,
        "proof": int(settings.proof_of_work),
        "account": ACCOUNT_NAME,
        "support": SUPPORT,
        "support_number": SUPPORT.partition("/")[0],
        "login_url": settings.login_url,
        "login_host": urlsplit(settings.login_url).hostname,
        **{plain.replace(".", "_"): asset.address for plain, asset in assets().items()},
    }
    escaped = {name: html.escape(str(value)) for name, value in values.items()}
    body = Template(read("index.html")).substitute(escaped)
    return document_response(body, settings, CONTENT_SECURITY_POLICY)


def _login(text: str) -> str:
    try:
        return str(parse_login(text)) if text else ""
    except InvalidInput:
        return ""


@blueprint.route("/assets/{name}", methods=["GET"])
@render_errors
def asset(name: str) -> Response:
    """Return an asset of the page by its hashed name."""
    from ..web.recovery.assets import by_name
    from .http.pages import asset_response

    file = by_name().get(name)
    if file is None:
        return _not_found()
    return asset_response(file)


@blueprint.route("/favicon.ico", methods=["GET"])
@render_errors
def icon() -> Response:
    """Redirect to the icon, for browsers that request it without reading the page."""
    from ..web.recovery.assets import assets

    headers: dict[str, str | list[str]] = {
        "Location": assets()["icon.svg"].address,
        "Cache-Control": "public, max-age=86400",
    }
    return Response("", headers=headers, status_code=302)


@blueprint.route("/robots.txt", methods=["GET"])
@render_errors
def robots() -> Response:
    """Return the rules for crawlers: the page may be indexed, the API may not."""
    return Response("User-agent: *\nAllow: /$\nAllow: /assets/\nDisallow: /\n", headers=_PLAIN_TEXT)


# Greedy: API Gateway sends it every address that no other route matches. Chalice passes no such
# parameter to the view.
@blueprint.route("/{proxy+}", methods=["GET"])
@render_errors
def other() -> Response:
    """Return `MP_verify_….txt`, by which WeChat verifies that the domain is the account's, or 404."""
    settings = runtime.service().settings
    expected = settings.wechat_verify
    path = (blueprint.current_request.uri_params or {}).get("proxy")
    if not expected or path != f"MP_verify_{expected}.txt":
        return _not_found()
    return Response(expected, headers=_PLAIN_TEXT)


def _not_found() -> Response:
    from .http.notice_pages import problem_page

    settings = runtime.service().settings
    return problem_page(blueprint.current_request, settings, "not-found", 404)
