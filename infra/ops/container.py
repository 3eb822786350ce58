"""Build the services that only the operators' command line uses."""

from __future__ import annotations

from chalicelib.container import Service
from chalicelib.telemetry.invocation import redacting

from .enrolment.enrolment import Enrolment, Rebind
from .enrolment.firms import Directory


def enrolment(service: Service, rebind: Rebind | None) -> Enrolment:
    """Return the enrolment of firms on the service's tables, with its keys and its clock.

    `rebind` replaces a phone that is bound already; None leaves such phones as they are.
    """
    return Enrolment(
        directory=Directory(),
        hasher=service.hasher,
        area_codes=service.settings.area_code_overrides,
        clock=service.clock,
        rebind=rebind,
        redacting=redacting,
        index=service.desk.search_index,
    )
