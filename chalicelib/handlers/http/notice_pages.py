"""Responses with a page of one message, for people who open an address in a browser."""

from __future__ import annotations

import html
from collections.abc import Mapping
from string import Template
from urllib.parse import urlsplit

from chalice.app import Request, Response

from ...domain.catalogue import PROBLEMS, SUPPORT
from ...settings import Settings
from ...web import notices
from ...web.recovery.assets import assets
from .pages import document_response
from .problems import problem

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)


def is_browser(request: Request) -> bool:
    """Return whether the header Accept names HTML, as that of a browser does for a document."""
    return "text/html" in str(request.headers.get("accept", ""))


def page(
    settings: Settings,
    content: str,
    title: str,
    *,
    status: int = 200,
    kind: str = "notice",
    values: Mapping[str, str] | None = None,
) -> Response:
    """Return a page; `content` is the name of its file, `kind` that of its style.

    `values` fill the content's placeholders beside those that every page has, and are escaped.
    """
    # Absolute paths: the page may be at any address.
    root = urlsplit(settings.site_url).path.rstrip("/")
    common = {
        "title": title,
        "kind": kind,
        "icon": f"{root}/{assets()['icon.svg'].address}",
        "style": f"{root}/{assets()['page.css'].address}",
        "home": f"{settings.site_url}/",
        "support": SUPPORT,
        "support_number": SUPPORT.partition("/")[0],
        **(values or {}),
    }
    escaped = {name: html.escape(value) for name, value in common.items()}
    filled = Template(notices.read(f"{content}.html")).substitute(escaped)
    body = Template(notices.read(notices.LAYOUT)).substitute(escaped, content=filled)
    return document_response(body, settings, _POLICY, status)


def problem_page(request: Request, settings: Settings, code: str, status: int) -> Response:
    """Return a problem without members: as a page to a browser, else as `problem` does."""
    if not is_browser(request):
        return problem(code, status)
    title, detail = PROBLEMS[code]
    return page(settings, "message", title, status=status, values={"detail": detail})
