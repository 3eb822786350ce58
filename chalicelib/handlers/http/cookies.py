"""The browser's two cookies: the openid of its WeChat, and the OAuth round trip in progress."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from chalice.app import Request

from ...container import Service
from ...security.tokens import COOKIE_LIFETIME, has_shape

if TYPE_CHECKING:
    from ...services.wechat_login import OAuthState


def visitor_openid(service: Service, request: Request) -> str | None:
    """Return the openid of the WeChat that sent the request, or None where it is unknown."""
    openid = _read(service, request, "wechat")
    return str(openid) if has_shape([openid], (str,)) and openid else None


def keep_visitor_openid(service: Service, openid: str) -> str:
    """Return the Set-Cookie value that stores the openid."""
    return _write(service, "wechat", openid, COOKIE_LIFETIME)


def oauth_state(service: Service, request: Request) -> OAuthState | None:
    """Return the OAuth round trip that this browser began, or None."""
    from ...services.wechat_login import OAuthState

    value = _read(service, request, "oauth_state")
    return OAuthState(*value) if has_shape(value, (str, str | None)) else None


def keep_oauth_state(service: Service, oauth_state: OAuthState) -> str:
    """Return the Set-Cookie value that binds a round trip to this browser."""
    from ...services.wechat_login import STATE_LIFETIME

    return _write(service, "oauth_state", [oauth_state.nonce, oauth_state.login], STATE_LIFETIME)


def cookie_header(request: Request) -> str:
    """Return the Cookie header; its parts are joined where API Gateway received several."""
    headers = request.to_original_event().get("multiValueHeaders") or {}
    parts = [
        str(value)
        for name, values in headers.items()
        if name.lower() == "cookie" and isinstance(values, list)
        for value in values
    ]
    return "; ".join(parts) if parts else str(request.headers.get("cookie", ""))


def _name(service: Service, name: str) -> str:
    # The prefix binds a cookie to this host; browsers accept it from TLS sites only.
    return f"__Host-{name}" if service.settings.secure else name


def _read(service: Service, request: Request, name: str) -> Any:
    for text in _cookie_values(request, _name(service, name)):
        value = service.signer.verify(f"{name}-cookie", text)
        if value is not None:
            return value
    return None


def _cookie_values(request: Request, name: str) -> Iterator[str]:
    """Yield the value of each cookie of this name, in the header's order.

    The header is split at semicolons alone, so that no other cookie of the browser can hide ours:
    `http.cookies` ends at the first one that is not of RFC 6265, such as `a={"b":1}` or `a=b c`,
    and browsers send those too. Only spaces and tabs are stripped: with other white space a name
    could get past the browsers' check of the prefix `__Host-`.
    """
    for part in cookie_header(request).split(";"):
        found, separator, value = part.partition("=")
        if separator and found.strip(" \t") == name:
            yield value.strip(" \t")


def _write(service: Service, name: str, value: Any, lifetime: int) -> str:
    text = service.signer.sign(f"{name}-cookie", value, lifetime)
    secure = "; Secure" if service.settings.secure else ""
    return (
        f"{_name(service, name)}={text}; Path=/; Max-Age={lifetime}; HttpOnly; SameSite=Lax{secure}"
    )
