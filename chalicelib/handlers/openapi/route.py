"""`GET /openapi.json`: the API's description."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from chalice.app import Blueprint, Response

from ..http.problems import HEADERS, render_errors

blueprint = Blueprint(__name__)

PACKAGED = Path(__file__).with_name("openapi.json")
"""Where `infra.deploy.package` writes the document, in the zip alone: a checkout has no such file."""


@blueprint.route("/openapi.json", methods=["GET"])
@render_errors
def description() -> Response:
    """Answer with the document: the packaged file, or in a checkout one made from the schemas."""
    headers = {
        **HEADERS,
        "Cache-Control": "public, max-age=3600",
        "Content-Type": "application/json; charset=utf-8",
    }
    return Response(_text(), headers=headers)


@cache
def _text() -> str:
    try:
        return PACKAGED.read_text("utf-8")
    except FileNotFoundError:
        from . import document

        return document.text()
