"""The identity provider of the support desk's demo staff: OpenID Connect with PKCE, and three people.

It signs with joserfc, which is independent of the library that the service verifies with. Nobody has a
password: the sign-in page has a button for each person.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import json
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey
from werkzeug.wrappers import Request, Response

from .serving import Reply, Simulator, headers, raw_target

CLIENT_ID = "support-desk"

CODE_LIFETIME = 60
TOKEN_LIFETIME = 300

_REMEMBERED = 1_000


@dataclass(frozen=True)
class StaffMember:
    """A person who can sign in."""

    subject: str
    name: str
    roles: tuple[str, ...]
    title: str


STAFF = (
    StaffMember("staff-lin", "林晓", ("agent",), "坐席"),
    StaffMember("staff-zhao", "赵敏", ("supervisor",), "主管"),
    StaffMember("staff-sun", "孙静", ("auditor",), "审计"),
)


@dataclass(frozen=True)
class _Grant:
    member: StaffMember
    nonce: str
    challenge: str
    redirect_uri: str
    expires_at: float


def new_key() -> RSAKey:
    """Return a key for a provider's tokens."""
    return RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)


class IdentityProvider(Simulator):
    """Discovery, key set, authorization, token and end of session, on a free port."""

    def __init__(
        self,
        client_secret: str,
        redirect_uri: Callable[[], str],
        clock: Callable[[], float] = time.time,
        key: RSAKey | None = None,
    ) -> None:
        """`redirect_uri` returns the one address to which codes are sent; `key` signs, by default a new one."""
        super().__init__()
        self._client_secret = client_secret
        self._redirect_uri = redirect_uri
        self.clock = clock
        self._guard = threading.Lock()
        self._grants: OrderedDict[str, _Grant] = OrderedDict()
        self.key = new_key() if key is None else key
        self.fails = False
        """Whether every request is answered with 503."""

    def answer(self, request: Request) -> Response:
        """Return the response to one request."""
        parts = urlsplit(raw_target(request))
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        if self.fails:
            return _json({"error": "temporarily_unavailable"}, 503)
        if parts.path == "/.well-known/openid-configuration":
            return _json(self._discovery())
        if parts.path == "/jwks":
            return _json({"keys": [self.key.as_dict(private=False)]})
        if parts.path == "/authorize":
            return self._authorize(query)
        if parts.path == "/token" and request.method == "POST":
            form = {
                name: values[-1] for name, values in parse_qs(request.get_data().decode()).items()
            }
            return self._token(form, headers(request).get("authorization", [""])[-1])
        if parts.path == "/end":
            return self._end(query)
        return _json({"error": "not_found"}, 404)

    def _discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            "end_session_endpoint": f"{self.url}/end",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "code_challenge_methods_supported": ["S256"],
        }

    def _authorize(self, query: Mapping[str, str]) -> Response:
        """Show the people, or redirect back with a code for the one that was clicked."""
        target = self._redirect_uri()
        if query.get("client_id") != CLIENT_ID or query.get("redirect_uri") != target:
            # No redirect: the address may be anybody's.
            return _page("<p>未知的应用。</p>", 400)
        required = ("state", "nonce", "code_challenge")
        if (
            query.get("response_type") != "code"
            or query.get("code_challenge_method") != "S256"
            or "openid" not in query.get("scope", "").split()
            or not all(query.get(name) for name in required)
        ):
            return _redirect(target, {"error": "invalid_request", "state": query.get("state", "")})
        member = next((each for each in STAFF if each.subject == query.get("as")), None)
        if member is None:
            return _page(self._buttons(query))
        code = secrets.token_urlsafe(24)
        grant = _Grant(
            member,
            query["nonce"],
            query["code_challenge"],
            target,
            self.clock() + CODE_LIFETIME,
        )
        with self._guard:
            self._grants[code] = grant
            while len(self._grants) > _REMEMBERED:
                self._grants.popitem(last=False)
        return _redirect(target, {"code": code, "state": query["state"]})

    @staticmethod
    def _buttons(query: Mapping[str, str]) -> str:
        links = []
        for each in STAFF:
            address = html.escape("/authorize?" + urlencode({**query, "as": each.subject}))
            text = html.escape(f"{each.name}（{each.title}）")
            links.append(f'<p><a href="{address}">{text}</a></p>')
        return "<h1>统一身份认证（演示）</h1><p>请选择登录的人员：</p>" + "".join(links)

    def _token(self, form: Mapping[str, str], authorization: str) -> Response:
        if not self._is_client(authorization):
            return _json({"error": "invalid_client"}, 401)
        with self._guard:
            # A code is used up by its first use, right or wrong.
            grant = self._grants.pop(form.get("code", ""), None)
        verifier = form.get("code_verifier", "")
        digest = hashlib.sha256(verifier.encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if (
            form.get("grant_type") != "authorization_code"
            or grant is None
            or grant.expires_at <= self.clock()
            or grant.redirect_uri != form.get("redirect_uri")
            or not hmac.compare_digest(challenge.encode(), grant.challenge.encode())
        ):
            return _json({"error": "invalid_grant"}, 400)
        return _json(
            {
                "access_token": secrets.token_urlsafe(24),
                "token_type": "Bearer",
                "expires_in": TOKEN_LIFETIME,
                "id_token": self.id_token(grant.member, grant.nonce),
            }
        )

    def _is_client(self, authorization: str) -> bool:
        scheme, _, encoded = authorization.partition(" ")
        try:
            name, _, secret = base64.b64decode(encoded).decode().partition(":")
        except ValueError:
            return False
        right = hmac.compare_digest(unquote_plus(secret).encode(), self._client_secret.encode())
        return scheme.lower() == "basic" and unquote_plus(name) == CLIENT_ID and right

    def id_token(self, member: StaffMember, nonce: str) -> str:
        """Return a signed ID token of this person for this client."""
        now = int(self.clock())
        claims = {
            "iss": self.url,
            "aud": CLIENT_ID,
            "sub": member.subject,
            "name": member.name,
            "roles": list(member.roles),
            "nonce": nonce,
            "iat": now,
            "exp": now + TOKEN_LIFETIME,
        }
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)

    def _end(self, query: Mapping[str, str]) -> Response:
        # Nobody stays signed in here, so there is only the way back.
        after = query.get("post_logout_redirect_uri", "")
        own = urlsplit(self._redirect_uri())
        if after.startswith(f"{own.scheme}://{own.netloc}/"):
            return _redirect(after, {})
        return _page("<p>已退出。</p>")


def _json(body: Mapping[str, Any], status: int = 200) -> Response:
    content = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    return Reply(json.dumps(body).encode(), status, content)


def _redirect(url: str, parameters: Mapping[str, str]) -> Response:
    query = f"?{urlencode(parameters)}" if parameters else ""
    return Reply(b"", 302, {"Location": url + query, "Cache-Control": "no-store"})


def _page(content: str, status: int = 200) -> Response:
    text = (
        '<!doctype html><html lang="zh-CN"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        "<title>统一身份认证（演示）</title><style>body{font:18px/1.6 system-ui,sans-serif;"
        "max-width:24em;margin:3em auto;padding:0 1em;color:#1d2129;background:#fff}"
        "a{display:block;padding:.6em 1em;border:1px solid #1f5fbf;border-radius:6px;color:#1f5fbf;"
        f"text-decoration:none}}h1{{font-size:1.2em}}</style><body>{content}</body></html>"
    )
    secured = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
        "Cache-Control": "no-store",
    }
    return Reply(text.encode(), status, secured)
