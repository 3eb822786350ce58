"""`GET /openapi.json`: the API describes itself."""

from __future__ import annotations

import json

from chalice.app import Blueprint, Response

from .problems import HEADERS, problems

blueprint = Blueprint(__name__)


@blueprint.route("/openapi.json", methods=["GET"])
@problems
def description() -> Response:
    """The description itself."""
    from .description import document

    headers = {
        **HEADERS,
        "Cache-Control": "public, max-age=3600",
        "Content-Type": "application/json; charset=utf-8",
    }
    return Response(json.dumps(document(), ensure_ascii=False), headers=headers)
