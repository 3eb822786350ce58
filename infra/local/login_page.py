"""`/_login`: the login page of the industry's management system, as an example of its server.

The browser sends a form to this server, which calls the service's `POST /credentials/verify` with a
signed request. `?login=` fills in the login; 忘记密码 leads to the service's page.
"""

from __future__ import annotations

import html
import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any, Literal
from urllib.parse import urlsplit

import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from werkzeug.wrappers import Request, Response

from chalicelib.domain.errors import InvalidInput
from chalicelib.domain.logins import parse_login
from chalicelib.services.notifications import beijing_time

from .serving import Reply, read_body

_FOLDER = Path(__file__).with_name("login")
_MAXIMUM_BODY = 4_096
_TIMEOUT = 30
_KEPT = 50

Outcome = Literal["signed-in", "must-change", "wrong", "refused"]

_WRONG = "登录账号或密码不正确。"
_UNAVAILABLE = "登录暂时不可用，请稍后再试。"

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True)
class SignIn:
    """An attempt to sign in, at epoch seconds."""

    at: int
    login: str
    outcome: Outcome


class CredentialsClient:
    """Calls `POST /credentials/verify`, signed with AWS Signature Version 4."""

    def __init__(self, url: str, environ: Mapping[str, str]) -> None:
        """`environ` has the caller's AWS key, secret and region under AWS's own names."""
        self._url = f"{url}/credentials/verify"
        self._credentials = Credentials(
            environ["AWS_ACCESS_KEY_ID"],
            environ["AWS_SECRET_ACCESS_KEY"],
            environ.get("AWS_SESSION_TOKEN"),
        )
        self._region = environ["AWS_REGION"]

    def verify(self, login: str, password: str) -> tuple[int, dict[str, Any]]:
        """Return status and body of the answer. Raises OSError, ValueError."""
        body = json.dumps({"login": login, "password": password}).encode()
        request = AWSRequest(
            method="POST", url=self._url, data=body, headers={"Content-Type": "application/json"}
        )
        SigV4Auth(self._credentials, "execute-api", self._region).add_auth(request)
        with requests.Session() as session:
            session.trust_env = False
            answer = session.post(
                self._url, data=body, headers=dict(request.headers.items()), timeout=_TIMEOUT
            )
        return answer.status_code, dict(answer.json())


class LoginPage:
    """Serves everything under `/_login`."""

    def __init__(
        self,
        client: CredentialsClient,
        *,
        origins: frozenset[str],
        pc: str,
        clock: Callable[[], int],
    ) -> None:
        """`origins` may post the form; `pc` is the one that the demo's PC uses."""
        self._client = client
        self._origins = origins
        self._pc = pc
        self._clock = clock
        self._guard = threading.Lock()
        self._sign_ins: deque[SignIn] = deque(maxlen=_KEPT)

    def sign_ins(self) -> list[SignIn]:
        """Return the last attempts to sign in, oldest first."""
        with self._guard:
            return list(self._sign_ins)

    def clear(self) -> None:
        """Remove the recorded attempts."""
        with self._guard:
            self._sign_ins.clear()

    def answer(self, request: Request) -> Response:
        """Return the response to a request. Raises what `read_body` raises, and nothing else."""
        name = request.path.removeprefix("/_login").strip("/")
        if name == "login.css":
            return self._style()
        if name:
            return _page("form", 404, error="您访问的页面不存在。")
        if request.method == "POST":
            return self._sign_in(request)
        if request.method not in ("GET", "HEAD"):
            return Reply(b"", 405, {"Allow": "GET, HEAD, POST"})
        if request.headers.get("Sec-Fetch-Site") == "cross-site" and self._is_elsewhere(request):
            # The demo's PC comes from 返回登录. Under the phone's host it would have the phone's
            # cookies, and be inside WeChat at the next recovery.
            query = request.query_string.decode("latin-1")
            return Reply(
                b"", 302, {"Location": f"{self._pc}/_login" + (f"?{query}" if query else "")}
            )
        # Browsers refuse to move the focus in a frame of another origin.
        focused = request.headers.get("Sec-Fetch-Dest") != "iframe"
        return _page("form", login=_parsed(request.args.get("login", "")), focused=focused)

    def _is_elsewhere(self, request: Request) -> bool:
        return request.headers.get("Host", "") != urlsplit(self._pc).netloc

    @staticmethod
    def _style() -> Response:
        headers = {**_HEADERS, "Content-Type": "text/css; charset=utf-8"}
        return Reply((_FOLDER / "login.css").read_bytes(), 200, headers)

    def _sign_in(self, request: Request) -> Response:
        origin = request.headers.get("Origin")
        if origin is not None and origin not in self._origins:
            return _page("form", 403, error=_UNAVAILABLE)
        if len(read_body(request)) > _MAXIMUM_BODY:
            return _page("form", 413, error=_WRONG)
        typed = request.form.get("login", "").strip()
        login = _parsed(typed)
        password = request.form.get("password", "")
        if not login or not password:
            return _page("form", 422, login=typed, error=_WRONG)
        try:
            status, answer = self._client.verify(login, password)
        except (OSError, ValueError):
            return _page("form", 503, login=login, error=_UNAVAILABLE)
        if status != 200:
            self._record(login, "refused")
            detail = answer.get("detail") if status == 429 else None
            return _page("form", status, login=login, error=str(detail or _UNAVAILABLE))
        if not answer["valid"]:
            self._record(login, "wrong")
            return _page("form", 403, login=login, error=_WRONG)
        if answer["must_change"]:
            self._record(login, "must-change")
            return _page("must_change", login=login)
        self._record(login, "signed-in")
        return _page("signed_in", login=login, changed_at=beijing_time(answer["changed_at"]))

    def _record(self, login: str, outcome: Outcome) -> None:
        with self._guard:
            self._sign_ins.append(SignIn(self._clock(), login, outcome))


def _page(
    name: str,
    status: int = 200,
    *,
    login: str = "",
    error: str = "",
    changed_at: str = "",
    focused: bool = False,
) -> Response:
    values = {
        "login": html.escape(login),
        "error": html.escape(error),
        "changed_at": html.escape(changed_at),
        "error_hidden": "" if error else " hidden",
        "login_focus": " autofocus" if focused and not login else "",
        "password_focus": " autofocus" if focused and login else "",
    }
    content = Template((_FOLDER / f"{name}.html").read_text("utf-8")).substitute(values)
    title = {"must_change": "设置新密码", "signed_in": "登录成功"}.get(name, "登录")
    frame = Template((_FOLDER / "index.html").read_text("utf-8"))
    body = frame.substitute(title=title, content=content)
    headers = {**_HEADERS, "Content-Type": "text/html; charset=utf-8"}
    return Reply(body.encode(), status, headers)


def _parsed(text: str) -> str:
    try:
        return str(parse_login(text)) if text else ""
    except InvalidInput:
        return ""
