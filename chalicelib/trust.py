"""Whom outgoing TLS connections trust, read once: the authorities' certificates take 20 ms of a core."""

from __future__ import annotations

import ssl
from functools import lru_cache

from urllib3.util.ssl_ import create_urllib3_context


@lru_cache(maxsize=4)
def trusting(authorities: str) -> ssl.SSLContext:
    """A context for connections whose other side must show a certificate of these authorities.

    `authorities` is the path of a PEM file; nobody may load further ones into the context.
    """
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.check_hostname = True
    context.load_verify_locations(authorities)
    return context
