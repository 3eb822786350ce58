"""The support desk's calls about firms and logins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from chalice.app import Blueprint, Response

from ..container import Service
from ..domain.staff import AGENTS, Staff
from .http.desk import desk_call
from .http.problems import json_response

blueprint = Blueprint(__name__)


@blueprint.route("/support/api/find", methods=["GET"])
@desk_call(blueprint, AGENTS)
def find(service: Service, staff: Staff) -> Response:
    """Return the firms that fit `?q=`."""
    query: Mapping[str, str] = blueprint.current_request.query_params or {}
    found = service.desk.find.find(query.get("q", ""))
    service.desk.journal.looked(staff, "desk-find")
    return json_response({"firms": [asdict(firm) for firm in found.firms], "more": found.more})
