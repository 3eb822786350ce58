"""The service's own HTTP server: `/_phone…` is answered here, all else by the gateway."""

from __future__ import annotations

import gzip
import logging
import re
import socket
import time
from urllib.parse import quote, unquote, urlsplit

from werkzeug.exceptions import BadRequest, RequestEntityTooLarge
from werkzeug.wrappers import Request, Response

from chalicelib.handlers.http.problems import problem

from .gateway import rendered
from .serving import Answer, LocalServer, application, raw_target

log = logging.getLogger("infra.local.access")

PHONE = "/_phone"

_REFUSALS = {400: "请求格式不正确。", 413: "请求内容过大。"}


class Service:
    """Answers requests by the gateway or the phone page, as API Gateway sends them, and logs them."""

    def __init__(
        self, gateway: Answer, phone: Answer, framed_by: str, compress_from: int | None
    ) -> None:
        """`framed_by` is the one origin whose pages may frame the service's page.

        Answers of at least `compress_from` bytes are compressed; None compresses none.
        """
        self._gateway = gateway
        self._phone = phone
        self._framed_by = framed_by
        self._compress_from = compress_from

    def answer(self, request: Request) -> Response:
        """Return the answer to one request."""
        began = time.perf_counter()
        path = urlsplit(raw_target(request)).path
        for_phone = path == PHONE or path.startswith(PHONE + "/")
        try:
            response = (self._phone if for_phone else self._gateway)(request)
        except (BadRequest, RequestEntityTooLarge) as error:
            reason = _REFUSALS[error.code]
            response = rendered(problem("invalid-input", error.code, field="body", reason=reason))
        if request.headers.get("Sec-Fetch-Dest") == "iframe":
            allow_framing(response, self._framed_by)
        compress(response, request, self._compress_from)
        if not for_phone:
            # The path alone: a query carries codes and states.
            took = (time.perf_counter() - began) * 1000
            shown = quote(_loggable(path), safe="/%{}")[:100]
            log.info("%s %s %d %.0f ms", request.method, shown, response.status_code, took)
        return response


def _loggable(path: str) -> str:
    # Of a receipts' address the route, as in the cloud's access log: its end is a key. Decoded,
    # and in any case and number of slashes: a vendor's mistake must not show the key either.
    if re.match(r"/+receipts(/|$)", unquote(path), re.IGNORECASE):
        return "/receipts/{vendor}/{key}"
    return path


def allow_framing(response: Response, origin: str) -> None:
    """Let pages of `origin` show the answer in a frame."""
    response.headers.pop("X-Frame-Options", None)
    policy = response.headers.get("Content-Security-Policy")
    if policy is not None:
        response.headers["Content-Security-Policy"] = re.sub(
            r"frame-ancestors [^;]*", f"frame-ancestors {origin}", policy
        )


def compress(response: Response, request: Request, smallest: int | None) -> None:
    """Compress the answer as API Gateway does, from `smallest` bytes on; None never does."""
    body = response.get_data()
    small = smallest is None or len(body) < smallest
    accepted = request.accept_encodings.quality("gzip") > 0
    if small or not accepted or "Content-Encoding" in response.headers:
        return
    response.set_data(gzip.compress(body, 6, mtime=0))
    response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"


def build_server(
    bound: socket.socket,
    gateway: Answer,
    phone: Answer,
    framed_by: str,
    compress_from: int | None = None,
) -> LocalServer:
    """Return the service's server on a bound socket; the arguments are those of Service."""
    service = Service(gateway, phone, framed_by, compress_from)
    return LocalServer(application(service.answer), bound)
