"""The answer to an unknown address: a page for people, a problem for programs."""

from __future__ import annotations

import html

from chalice.app import Response

from ...domain.catalogue import ACCOUNT_NAME, NOT_FOUND_LINK, PROBLEMS
from .problems import HEADERS, problem

_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def not_found(accept: str, home: str) -> Response:
    """Return a page where the header Accept names HTML, else the problem `not-found`; status 404.

    `home` is the address of the service's page.
    """
    if "text/html" not in accept:
        return problem("not-found", 404)
    title, detail = PROBLEMS["not-found"]
    title, detail, link, account, address = map(
        html.escape, (title, detail, NOT_FOUND_LINK, ACCOUNT_NAME, home)
    )
    body = (
        '<!doctype html><html lang="zh-CN"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="robots" content="noindex">'
        f"<title>{title} - {account}</title>"
        f'<main><h1>{title}</h1><p>{detail}</p><p><a href="{address}">{link}</a></p></main></html>'
    )
    headers = {
        **HEADERS,
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": _POLICY,
        "X-Frame-Options": "DENY",
    }
    return Response(body, headers=headers, status_code=404)
