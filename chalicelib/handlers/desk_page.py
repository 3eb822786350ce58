"""The page of the support desk, and its assets."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from chalice.app import Blueprint, Response

from .. import runtime
from ..domain.catalogue import DESK_ENTRY
from .http.desk import is_on
from .http.problems import render_errors

blueprint = Blueprint(__name__)

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        # No part of the page turns text into elements.
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)


@blueprint.route("/support", methods=["GET"])
@render_errors
def document() -> Response:
    """Return the page; `?entry=` explains a failed sign-in.

    The page is the same for everybody; what it shows comes from the desk's calls.
    """
    import html
    import json
    from string import Template

    from ..domain.audit_texts import ACTORS, GATEWAYS, OUTCOMES
    from ..domain.passwords import province_names
    from ..web.recovery.assets import assets as recovery_assets
    from ..web.support.assets import assets, read
    from .http.pages import document_response

    service = runtime.service()
    if not is_on(service):
        return _not_found()
    query: Mapping[str, str] = blueprint.current_request.query_params or {}
    entry = DESK_ENTRY.get(query.get("entry", ""), "")
    words = {
        "actors": ACTORS,
        "gateways": GATEWAYS,
        "outcomes": OUTCOMES,
        "provinces": dict(province_names()),
    }
    # Absolute paths: the address may be without its final slash.
    root = urlsplit(service.settings.site_url).path.rstrip("/")
    base = f"{root}/support"
    values = {
        "base": base,
        "entry": entry,
        "entry_hidden": "" if entry else " hidden",
        "words": json.dumps(words, ensure_ascii=False, separators=(",", ":")),
        "icon": f"{root}/{recovery_assets()['icon.svg'].address}",
        **{plain.replace(".", "_"): f"{base}/{asset.address}" for plain, asset in assets().items()},
    }
    escaped = {name: html.escape(value) for name, value in values.items()}
    body = Template(read("index.html")).substitute(escaped)
    return document_response(body, service.settings, CONTENT_SECURITY_POLICY)


@blueprint.route("/support/assets/{name}", methods=["GET"])
@render_errors
def asset(name: str) -> Response:
    """Return an asset of the page by its hashed name."""
    from ..web.support.assets import by_name
    from .http.pages import asset_response

    file = by_name().get(name) if is_on(runtime.service()) else None
    return _not_found() if file is None else asset_response(file)


def _not_found() -> Response:
    from .http.notice_pages import problem_page

    settings = runtime.service().settings
    return problem_page(blueprint.current_request, settings, "not-found", 404)
