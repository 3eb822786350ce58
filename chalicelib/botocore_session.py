"""botocore sessions that share the parsed descriptions of services."""

from __future__ import annotations

from functools import cache
from typing import Any

from botocore.session import Session, get_session


def new_session() -> Session:
    """Return a session with its own settings and credentials.

    Descriptions of services and endpoints are parsed once in a process, since parsing takes most of
    the time that a client's creation takes.
    """
    session = get_session()
    session.register_component("data_loader", _loader())
    return session


@cache
def _loader() -> Any:
    return get_session().get_component("data_loader")
