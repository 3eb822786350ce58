"""The local HTTP server: the demo's own pages by their paths; everything else goes to the gateway."""

from __future__ import annotations

import gzip
import logging
import re
import socket
import time
from collections.abc import Callable, Mapping
from urllib.parse import quote, unquote, urlsplit

from werkzeug.exceptions import BadRequest, RequestEntityTooLarge
from werkzeug.wrappers import Request, Response

from chalicelib.handlers.http.problems import problem

from .gateway import rendered
from .serving import Answer, LocalServer, application, raw_target

log = logging.getLogger("infra.local.access")

FRAME_SCRIPT = b'<script src="/_phone/frame.js"></script>'
"""Added to pages in the demo's frames: it keeps their clock and fills in what people tap."""

_REFUSALS = {400: "请求格式不正确。", 413: "请求内容过大。"}


class Service:
    """Routes requests to the gateway or a demo page; compresses and logs the responses."""

    def __init__(
        self,
        gateway: Answer,
        pages: Mapping[str, Answer],
        framed_by: str,
        compress_from: int | None,
        observe: Callable[[Request, Response], None],
    ) -> None:
        """`pages` are the demo's own, by the first segment of their paths, such as `/_phone`.

        `framed_by` is the only origin whose pages may frame the service's page.

        Responses of at least `compress_from` bytes are compressed; with None, no response is.
        `observe` is called with each request of the gateway and its response.
        """
        self._gateway = gateway
        self._pages = dict(pages)
        self._framed_by = framed_by
        self._compress_from = compress_from
        self._observe = observe

    def answer(self, request: Request) -> Response:
        """Return the response to one request."""
        began = time.perf_counter()
        path = urlsplit(raw_target(request)).path
        page = self._pages.get("/" + path[1:].partition("/")[0])
        try:
            response = (page or self._gateway)(request)
        except (BadRequest, RequestEntityTooLarge) as error:
            reason = _REFUSALS[error.code]
            response = rendered(problem("invalid-input", error.code, field="body", reason=reason))
        if page is None:
            self._observe(request, response)
        if request.headers.get("Sec-Fetch-Dest") == "iframe":
            allow_framing(response, self._framed_by)
            add_frame_script(response)
        compress(response, request, self._compress_from)
        if page is None:
            # Without the query, which may contain codes and states.
            took = (time.perf_counter() - began) * 1000
            logged = quote(_loggable(path), safe="/%{}")[:100]
            log.info("%s %s %d %.0f ms", request.method, logged, response.status_code, took)
        return response


def _loggable(path: str) -> str:
    # The path of a receipt ends with a secret key, so its route is logged, as in the cloud. The
    # key must not be logged either where a vendor's request misspells the path.
    if re.match(r"/+receipts(/|$)", unquote(path), re.IGNORECASE):
        return "/receipts/{vendor}/{key}"
    return path


def allow_framing(response: Response, origin: str) -> None:
    """Allow pages of `origin` to show the response in a frame."""
    response.headers.pop("X-Frame-Options", None)
    policy = response.headers.get("Content-Security-Policy")
    if policy is not None:
        response.headers["Content-Security-Policy"] = re.sub(
            r"frame-ancestors [^;]*", f"frame-ancestors {origin}", policy
        )


def add_frame_script(response: Response) -> None:
    """Add the script of framed pages to an HTML page, before the page's own."""
    if str(response.headers.get("Content-Type", "")).startswith("text/html"):
        response.set_data(response.get_data().replace(b"<head>", b"<head>" + FRAME_SCRIPT, 1))


def compress(response: Response, request: Request, smallest: int | None) -> None:
    """Compress a body of at least `smallest` bytes, as API Gateway does; None disables it."""
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
    pages: Mapping[str, Answer],
    framed_by: str,
    compress_from: int | None = None,
    observe: Callable[[Request, Response], None] = lambda request, response: None,
) -> LocalServer:
    """Return the service's server on a bound socket. For the other arguments see Service."""
    service = Service(gateway, pages, framed_by, compress_from, observe)
    return LocalServer(application(service.answer), bound)
