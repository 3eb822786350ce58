"""A loopback HTTP server, which stands in for external services."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from werkzeug.wrappers import Request, Response

from infra.local import serving as local


@dataclass(frozen=True)
class Received:
    """One received request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Reply = tuple[int, bytes] | None
"""A status and a body; None closes the connection without an answer."""


@dataclass
class Server:
    """A running server: its address and the requests received."""

    url: str
    received: list[Received] = field(default_factory=list)


@contextmanager
def serving(
    reply: Callable[[Received], Reply], certificate: Path | None = None
) -> Iterator[Server]:
    """Answer every request by `reply` until the block ends; over TLS where there is a certificate."""

    def answer(request: Request) -> Response:
        received = Received(
            request.method,
            local.raw_target(request),
            {name: values[-1] for name, values in local.headers(request).items()},
            local.read_body(request),
        )
        server.received.append(received)
        answered = reply(received)
        if answered is None:
            raise ConnectionAbortedError
        status, body = answered
        location = {"Location": server.url + "/elsewhere"} if 300 <= status < 400 else {}
        return local.Reply(body, status, location)

    listener = _Listener(local.application(answer))
    if certificate is not None:
        listener.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        listener.tls.load_cert_chain(certificate)
    scheme = "http" if certificate is None else "https"
    server = Server(f"{scheme}://127.0.0.1:{listener.port}")
    with listener:
        yield server


class _Listener(local.LocalServer):
    """A server whose connections may be TLS, with the handshake on the connection's own thread."""

    tls: ssl.SSLContext | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.tls is None:
            super().finish_request(request, client_address)
            return
        try:
            connection = self.tls.wrap_socket(request.dup(), server_side=True)
        except OSError:
            # The caller does not trust the certificate, which is what some tests are about.
            return
        with connection:
            super().finish_request(connection, client_address)


def self_signed(path: Path) -> Path:
    """Write a self-signed certificate for 127.0.0.1 with its key to `path`, and return `path`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "vendor.example")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path
