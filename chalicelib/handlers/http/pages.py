"""Responses with a page's document and its assets.

Responses are not compressed here: API Gateway compresses them (`minimum_compression_size`).
Compressing in the function would require every content type to be declared binary, and with them
every request body.
"""

from __future__ import annotations

from chalice.app import Response

from ...settings import Settings
from ...web.assets import Asset
from .problems import HEADERS

YEAR = 31_536_000
"""Seconds."""


def document_response(body: str, settings: Settings, policy: str, status: int = 200) -> Response:
    """Return a document; `policy` is its Content-Security-Policy."""
    headers: dict[str, str | list[str]] = {
        **HEADERS,
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": policy,
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    }
    if settings.secure:
        headers["Strict-Transport-Security"] = f"max-age={YEAR}"
    return Response(body, headers=headers, status_code=status)


def asset_response(file: Asset) -> Response:
    """Return an asset, which browsers keep for a year."""
    headers: dict[str, str | list[str]] = {
        "Content-Type": file.content_type,
        "Cache-Control": f"public, max-age={YEAR}, immutable",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    return Response(file.text, headers=headers)
