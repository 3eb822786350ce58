"""botocore sessions that share the descriptions of services."""

from __future__ import annotations

from functools import cache
from typing import Any

from botocore.session import Session, get_session


def new_session() -> Session:
    """Return a session of its own settings and credentials.

    Descriptions of services and endpoints are parsed once for a process: that is most of the time
    that it takes to make a client.
    """
    session = get_session()
    session.register_component("data_loader", _loader())
    return session


@cache
def _loader() -> Any:
    return get_session().get_component("data_loader")
