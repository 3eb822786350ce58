"""The routes for WeChat: the callback of its servers, and the OAuth login of browsers."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from typing import TYPE_CHECKING

from chalice.app import Blueprint, Response

from .. import container, runtime
from ..domain.catalogue import INPUT_REASONS
from ..domain.errors import InvalidInput, ServiceError
from ..telemetry.invocation import redact
from ..telemetry.masking import parts
from ..wechat import signature
from .http import cookies, payloads
from .http.problems import HEADERS, log_error, render_errors

if TYPE_CHECKING:
    from ..wechat.messages import Message

log = logging.getLogger(__name__)

blueprint = Blueprint(__name__)

MAXIMUM_QUERY = 512
"""The longest query value accepted, in bytes; WeChat's own are under 100."""

DEADLINE = 4.0
"""Seconds within which a message must be answered; WeChat waits for five."""


def _parameter(name: str) -> str | None:
    # A repeated parameter is refused, since two parsers may read two different values of it.
    query = blueprint.current_request.query_params
    values = query.getlist(name) if query and name in query else []
    try:
        refused = len(values) > 1 or any(len(value.encode()) > MAXIMUM_QUERY for value in values)
    except UnicodeEncodeError:
        # A lone surrogate has no form in UTF-8.
        refused = True
    if refused:
        raise InvalidInput(name, INPUT_REASONS["too-long"])
    return values[0] if values else None


@blueprint.route("/wechat/enter", methods=["GET"])
@render_errors
def enter() -> Response:
    """Redirect the browser to WeChat, or from WeChat to the page."""
    service = runtime.service()
    request = blueprint.current_request
    code, state = _parameter("code"), _parameter("state")
    if code is None or state is None:
        authorization = service.wechat_login.begin(_parameter("scene"), _parameter("login"))
        return _redirect(
            authorization.url,
            *cookies.keep_oauth_state(service, request, authorization.oauth_state),
        )
    oauth_state = service.wechat_login.find_state(state, cookies.oauth_states(service, request))
    try:
        result = service.wechat_login.complete(code, oauth_state)
    except ServiceError as error:
        # A browser displays the response as it is: a person must get the page, not JSON.
        if "text/html" not in str(request.headers.get("accept", "")):
            raise
        log_error(error)
        url, openid = service.wechat_login.error_redirect(error, oauth_state), None
    else:
        url, openid = result.url, result.openid
    if openid is not None:
        return _redirect(url, cookies.keep_visitor_openid(service, openid))
    # The openid of an earlier round trip may be that of another WeChat.
    return _redirect(url, *([cookies.drop_visitor_openid(service)] if oauth_state else []))


def _redirect(url: str, *set_cookies: str) -> Response:
    headers: dict[str, str | list[str]] = {**HEADERS, "Location": url}
    if set_cookies:
        headers["Set-Cookie"] = set_cookies[0] if len(set_cookies) == 1 else list(set_cookies)
    return Response("", headers=headers, status_code=302)


@blueprint.route("/wechat/callback", methods=["GET"])
@render_errors
def verify() -> Response:
    """Confirm to WeChat that this callback address is ours, once, when it is configured."""
    try:
        right = _is_signed(_parameter("signature"), None)
        echo = _parameter("echostr")
    except InvalidInput:
        return _refusal(400)
    if not right or echo is None:
        return _refusal(403)
    return _text(echo)


@blueprint.route("/wechat/callback", methods=["POST"], content_types=payloads.ANY_CONTENT)
@render_errors
def callback() -> Response:
    """Answer a message or an event.

    The response to a failure of ours is `success`: WeChat would otherwise show the person that the
    account is out of order.
    """
    from ..wechat import replies
    from ..wechat.messages import MAXIMUM_BYTES, MessageError, Text

    service = runtime.service()
    raw = payloads.raw_body(blueprint.current_request)
    if len(raw) > MAXIMUM_BYTES:
        return _refusal(400)
    try:
        plain = _is_plain()
        opened = _open_plain(service, raw) if plain else _open(service, raw)
    except (InvalidInput, MessageError):
        return _refusal(400)
    if opened is None:
        return _refusal(403)
    redact(opened.sender, *(parts(opened.content) if isinstance(opened, Text) else ()))
    try:
        answer = _in_time(lambda: service.conversation.answer(opened))
    except Exception:
        log.exception("a message was not answered", extra={"alarm": "callback"})
        return _text(replies.NOTHING)
    if not answer:
        return _text(replies.NOTHING)
    now = service.clock()
    reply = replies.text_reply(opened.sender, opened.recipient, now, answer)
    if not plain:
        reply = replies.sealed_reply(
            service.cipher,
            service.settings.wechat_token.reveal(),
            reply,
            now,
            secrets.token_hex(8),
            secrets.token_bytes(16),
        )
    return _text(reply, "application/xml; charset=utf-8")


def _in_time(call: Callable[[], str]) -> str:
    """Return the result of `call`. Raises its exceptions, and TimeoutError after DEADLINE seconds.

    A store that hangs would use up the time that WeChat waits. The call may still take effect
    after the timeout.
    """
    outcome: Future[str] = Future()

    def run() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=copy_context().run, args=(run,), daemon=True).start()
    return outcome.result(DEADLINE)


def _is_plain() -> bool:
    return _parameter("encrypt_type") in (None, "raw") and _parameter("msg_signature") is None


def _is_signed(given: str | None, encrypted: str | None) -> bool:
    token = runtime.service().settings.wechat_token.reveal()
    return signature.is_right(given, token, _parameter("timestamp"), _parameter("nonce"), encrypted)


def _open(service: container.Service, raw: bytes) -> Message | None:
    """Return the message; None where it is not from WeChat or not for this account."""
    from ..wechat.cipher import DecryptError
    from ..wechat.messages import envelope, message

    outer = envelope(raw)
    if not _is_signed(_parameter("msg_signature"), outer.encrypted):
        return None
    try:
        return message(service.cipher.decrypt(outer.encrypted))
    except DecryptError:
        return None


def _open_plain(service: container.Service, raw: bytes) -> Message | None:
    from ..wechat.messages import message

    # A plain signature does not cover the body, so whoever saw one could sign any body with it.
    if not service.settings.wechat_plain or not _is_signed(_parameter("signature"), None):
        return None
    return message(raw)


def _text(body: str, content_type: str = "text/plain; charset=utf-8") -> Response:
    return Response(body, headers={**HEADERS, "Content-Type": content_type}, status_code=200)


def _refusal(status: int) -> Response:
    # One response for every reason, so that it reveals nothing.
    headers = {**HEADERS, "Content-Type": "text/plain; charset=utf-8"}
    return Response("", headers=headers, status_code=status)
