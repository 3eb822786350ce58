"""The browser's cookies: of a visitor and of the support desk's staff, and round trips in progress.

An OAuth round trip has a cookie of its own, so that those of two tabs do not replace each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from chalice.app import Request

from ...container import Service
from ...domain.staff import Role, Staff
from ...security.tokens import COOKIE_LIFETIME, has_shape

if TYPE_CHECKING:
    from ...services.desk.sign_in import RoundTrip
    from ...services.wechat_login import OAuthState

MAXIMUM_STATES = 4
"""The OAuth round trips kept in a browser, each in a cookie of some 200 bytes."""

_OAUTH_STATE = "oauth_state"
_SUFFIX = re.compile("[0-9a-f]{8}")


def visitor_openid(service: Service, request: Request) -> str | None:
    """Return the openid of the WeChat that sent the request, or None where it is unknown."""
    openid = _read(service, request, "wechat")
    return str(openid) if has_shape([openid], (str,)) and openid else None


def keep_visitor_openid(service: Service, openid: str) -> str:
    """Return the Set-Cookie value that stores the openid."""
    return _write(service, "wechat", openid, COOKIE_LIFETIME)


def drop_visitor_openid(service: Service) -> str:
    """Return the Set-Cookie value that removes the openid."""
    return _set_cookie(service, _name(service, "wechat"), "", 0)


def oauth_states(service: Service, request: Request) -> list[OAuthState]:
    """Return the OAuth round trips that this browser began, newest first."""
    return [state for _, state in _oauth_states(service, request) if state is not None]


def keep_oauth_state(service: Service, request: Request, oauth_state: OAuthState) -> list[str]:
    """Return the Set-Cookie values that bind a new round trip to this browser.

    The others remove the oldest round trips beyond MAXIMUM_STATES, and unreadable ones.
    """
    from ...services.wechat_login import STATE_COOKIE_LIFETIME

    value = [oauth_state.nonce, oauth_state.login, oauth_state.scene, oauth_state.begun_at]
    kept = _write(service, _OAUTH_STATE, value, STATE_COOKIE_LIFETIME, oauth_state.nonce[:8])
    before = _oauth_states(service, request)
    # Of a name that occurs twice, one may be within the limit.
    remaining = {name for name, state in before[: MAXIMUM_STATES - 1] if state is not None}
    dropped = dict.fromkeys(name for name, _ in before if name not in remaining)
    return [kept, *(_set_cookie(service, name, "", 0) for name in dropped)]


def _oauth_states(service: Service, request: Request) -> list[tuple[str, OAuthState | None]]:
    """Return name and content of each cookie of a round trip, newest first, unreadable ones last."""
    from ...services.wechat_login import OAuthState

    found: list[tuple[str, OAuthState | None]] = []
    for name, text in _cookies(request):
        prefix, _, suffix = name.rpartition("-")
        # Names that are sent back must be safe in a header.
        if prefix == _name(service, _OAUTH_STATE) and _SUFFIX.fullmatch(suffix):
            value = service.signer.verify(f"{_OAUTH_STATE}-cookie", text)
            shape = (str, str | None, str | None, int)
            oauth_state = OAuthState(*value) if has_shape(value, shape) else None
            found.append((name, oauth_state))
    return sorted(found, key=lambda entry: -entry[1].begun_at if entry[1] else 1)


def staff(service: Service, request: Request) -> Staff | None:
    """Return the member of the support desk's staff whose session the browser has, or None."""
    value = _read(service, request, "desk")
    if not has_shape(value, (str, str, list, str, int)):
        return None
    subject, name, names, session, ends_at = value
    roles = frozenset(role for role in Role if role.value in names)
    return Staff(subject, name, roles, session, ends_at)


def keep_staff(service: Service, staff: Staff) -> str:
    """Return the Set-Cookie value that stores the session until it ends.

    Strict: the desk's page itself needs no session, and its calls are of the same site.
    """
    value = [staff.subject, staff.name, sorted(staff.roles), staff.session, staff.ends_at]
    lifetime = staff.ends_at - service.clock()
    return _write(service, "desk", value, lifetime, strict=True)


def forget_staff(service: Service) -> str:
    """Return the Set-Cookie value that removes the session."""
    return _set_cookie(service, _name(service, "desk"), "", 0, "Strict")


def sign_in_round_trip(service: Service, request: Request) -> RoundTrip | None:
    """Return the sign-in at the identity provider that this browser began, or None."""
    from ...services.desk.sign_in import RoundTrip

    value = _read(service, request, "desk_sign_in")
    return RoundTrip(*value) if has_shape(value, (str, str, str, str)) else None


def keep_sign_in_round_trip(service: Service, round_trip: RoundTrip) -> str:
    """Return the Set-Cookie value that binds a sign-in to this browser.

    Lax, since the provider, another site, leads back with a top-level GET.
    """
    from ...services.desk.sign_in import ROUND_TRIP_LIFETIME

    value = [round_trip.state, round_trip.nonce, round_trip.verifier, round_trip.place]
    return _write(service, "desk_sign_in", value, ROUND_TRIP_LIFETIME)


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
    for found, text in _cookies(request):
        if found == _name(service, name):
            value = service.signer.verify(f"{name}-cookie", text)
            if value is not None:
                return value
    return None


def _cookies(request: Request) -> Iterator[tuple[str, str]]:
    """Yield name and value of each cookie, in the header's order.

    The header is split at semicolons alone, so that no other cookie of the browser can hide ours:
    `http.cookies` ends at the first one that is not of RFC 6265, such as `a={"b":1}` or `a=b c`,
    and browsers send those too. Only spaces and tabs are stripped: with other white space a name
    could get past the browsers' check of the prefix `__Host-`.
    """
    for part in cookie_header(request).split(";"):
        name, separator, value = part.partition("=")
        if separator:
            yield name.strip(" \t"), value.strip(" \t")


def _write(
    service: Service,
    name: str,
    value: Any,
    lifetime: int,
    suffix: str = "",
    *,
    strict: bool = False,
) -> str:
    """Return the Set-Cookie value of a signed value; `suffix` separates cookies of one purpose."""
    text = service.signer.sign(f"{name}-cookie", value, lifetime)
    full = f"{_name(service, name)}-{suffix}" if suffix else _name(service, name)
    return _set_cookie(service, full, text, lifetime, "Strict" if strict else "Lax")


def _set_cookie(
    service: Service, full_name: str, text: str, lifetime: int, same_site: str = "Lax"
) -> str:
    secure = "; Secure" if service.settings.secure else ""
    return f"{full_name}={text}; Path=/; Max-Age={lifetime}; HttpOnly; SameSite={same_site}{secure}"
