"""The service's own HTTP server: `/_phone…` is answered here, all else by the gateway."""

from __future__ import annotations

import functools
import gzip
import logging
import re
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote

from chalice.app import Chalice
from chalice.config import Config
from chalice.local import LocalDevServer

from chalicelib.doors.problems import problem

from .gateway import Reply, Request, Respond
from .loopback import BodyRefused, Connection, LoopbackServer, read_body

log = logging.getLogger("infra.local.access")

PHONE = "/_phone"


class ServiceConnection(Connection):
    """A caller of the service."""

    def __init__(
        self,
        request: Any,
        client_address: Any,
        server: Any,
        *,
        gateway: Respond,
        phone: Respond,
        framed_by: str,
        compress_from: int | None,
        **_: object,
    ) -> None:
        """`framed_by` is the one origin whose pages may frame the service's page."""
        self._gateway = gateway
        self._phone = phone
        self._framed_by = framed_by
        self._compress_from = compress_from
        super().__init__(request, client_address, server)

    def respond(self) -> None:
        began = time.perf_counter()
        try:
            body = read_body(self.headers, self.rfile)
        except BodyRefused as refused:
            self.close_connection = True
            self._refuse(refused.status)
            return
        multi = {name.lower(): self.headers.get_all(name, []) for name in self.headers}
        request = Request(
            method=self.command,
            # A proxy's absolute form means the same path; "//" would read as a host.
            target="/" + re.sub(r"^https?://[^/?#]*", "", self.path).lstrip("/"),
            headers={name: values[-1] for name, values in multi.items()},
            multi_headers=multi,
            body=body,
            peer=str(self.client_address[0]),
        )
        mine = request.path == PHONE or request.path.startswith(PHONE + "/")
        reply = (self._phone if mine else self._gateway)(request)
        if request.headers.get("sec-fetch-dest") == "iframe":
            reply = framable(reply, self._framed_by)
        accepted = request.headers.get("accept-encoding", "")
        reply = compressed(reply, accepted, self._compress_from)
        self.reply(reply.status, reply.headers, reply.body)
        if not mine:
            # The path alone: a query carries codes and states. Of a receipts' address, as in the
            # cloud's access log, the route: its end is a key.
            took = (time.perf_counter() - began) * 1000
            path = quote(_shown(request.path), safe="/%{}")[:100]
            log.info("%s %s %d %.0f ms", self.command, path, reply.status, took)

    def _refuse(self, status: int) -> None:
        response = problem("invalid-input", status, field="body", reason=_REFUSALS[status])
        self.reply(status, dict(response.headers), str(response.body).encode())

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        self.close_connection = True
        self._refuse(code if code in _REFUSALS else 400)


def _shown(path: str) -> str:
    # Decoded, and in any case and number of slashes: a vendor's mistake must not show the key.
    if re.match(r"/+receipts(/|$)", unquote(path), re.IGNORECASE):
        return "/receipts/{vendor}/{key}"
    return path


_REFUSALS = {
    400: "请求格式不正确。",
    413: "请求内容过大。",
    414: "请求地址过长。",
    431: "请求头过长。",
}


def framable(reply: Reply, origin: str) -> Reply:
    """The same answer, which pages of `origin` may show in a frame."""
    headers: dict[str, str | list[str]] = {}
    for name, value in reply.headers.items():
        if name.lower() == "x-frame-options":
            continue
        if name.lower() == "content-security-policy" and isinstance(value, str):
            headers[name] = re.sub(r"frame-ancestors [^;]*", f"frame-ancestors {origin}", value)
        else:
            headers[name] = value
    return Reply(reply.status, headers, reply.body)


def compressed(reply: Reply, accepted: str, smallest: int | None) -> Reply:
    """The answer as API Gateway compresses it from `smallest` bytes on; None never does."""
    names = {name.lower() for name in reply.headers}
    codings = {part.partition(";")[0].strip().lower() for part in accepted.split(",")}
    small = smallest is None or len(reply.body) < smallest
    if small or "gzip" not in codings or "content-encoding" in names:
        return reply
    headers = {**reply.headers, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return Reply(reply.status, headers, gzip.compress(reply.body, 6, mtime=0))


def build_server(
    app: Chalice,
    bound: socket.socket,
    gateway: Respond,
    phone: Respond,
    framed_by: str,
    compress_from: int | None = None,
) -> LoopbackServer:
    """Chalice's local server around our connections, on a socket that is bound already.

    `framed_by` and `compress_from` as of ServiceConnection.
    """
    handler: Callable[..., Any] = functools.partial(
        ServiceConnection,
        gateway=gateway,
        phone=phone,
        framed_by=framed_by,
        compress_from=compress_from,
    )
    host, port = bound.getsockname()[:2]
    local = LocalDevServer(
        app,
        Config.create(chalice_stage="local", app_name=app.app_name),
        host,
        port,
        handler_cls=handler,
        server_cls=lambda _, wrapped: LoopbackServer(bound, wrapped),
    )
    server = local.server
    assert isinstance(server, LoopbackServer)
    return server
