"""A recovery at each peer, as its client makes it."""

from __future__ import annotations

import email
import email.policy
import http.client
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tests.perf.bench.machine import Watch
from tests.perf.bench.ours import PASSWORD

Answer = tuple[int, bytes]


class Mailbox:
    """An SMTP server's handler that keeps the last mail."""

    def __init__(self) -> None:
        self._taken: list[str] = []

    async def handle_DATA(self, _: Any, __: Any, envelope: Any) -> str:
        """Keep a mail; aiosmtpd calls this for each."""
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        body = mail.get_body(("plain",))
        self._taken.append("" if body is None else body.get_content())
        return "250 OK"

    def last(self) -> str:
        """Return the text of the last mail: it arrives before the request that sends it is answered."""
        text = self._taken[-1]
        self._taken.clear()
        return text


@dataclass
class Peer:
    """A running peer, with the interface that `recovery` measures."""

    site: ClassVar[str]
    """The script of the peer's site."""

    port: int
    pids: list[int]
    """The server's processes; the last one answers the requests."""
    last_message: Callable[[], str] | None = None
    """Returns the text of the last message that was handed over; None where the peer keeps it."""
    _connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Send one request over the one persistent connection."""
        given = {"Accept": "application/json", **(headers or {})}
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            given["Content-Type"] = "application/json"
        self._connection.request(method, path, content, given)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def message(self, watch: Watch, pattern: str) -> str:
        """Return what the pattern's group matches in the last message."""
        if self.last_message is None:
            text = watch.aside(lambda: self.call("GET", "/bench/mail"))[1].decode()
        else:
            text = self.last_message()
        found = re.search(pattern, text)
        if found is None:
            raise AssertionError(f"no code in the message: {text!r}")
        return found[1]

    def recover(self, number: int, watch: Watch) -> None:
        """Make one whole recovery of the person of this number."""
        raise NotImplementedError

    def begin(self, number: int) -> Answer:
        """Begin the recovery of the person of this number."""
        raise NotImplementedError

    def health(self) -> Answer:
        """Send the cheapest request."""
        return self.call("GET", "/health")


def expect(answer: Answer, *statuses: int) -> bytes:
    """Return an answer's body. Raises AssertionError where its status is another one."""
    status, body = answer
    if status not in statuses:
        raise AssertionError(f"HTTP {status}: {body.decode()[:500]}")
    return body


class Allauth(Peer):
    """django-allauth's headless API for apps: request a code, confirm it, set the password."""

    site = "allauth_site"

    def begin(self, number: int) -> Answer:
        path = "/_allauth/app/v1/auth/password/request"
        return self.call("POST", path, {"email": f"p{number}@bench.example"})

    def recover(self, number: int, watch: Watch) -> None:
        path = "/_allauth/app/v1/auth/password"
        begun = watch("request", lambda: self.begin(number))
        # Its status for "there are steps left".
        session = json.loads(expect(begun, 401))["meta"]["session_token"]
        code = self.message(watch, r"\b([0-9A-Z]{4}-[0-9A-Z]{4})\b")
        kept = {"X-Session-Token": session}
        checked = watch(
            "code",
            lambda: self.call(
                "GET", f"{path}/reset", headers={**kept, "X-Password-Reset-Key": code}
            ),
        )
        expect(checked, 200)
        done = watch(
            "password",
            lambda: self.call("POST", f"{path}/reset", {"key": code, "password": PASSWORD}, kept),
        )
        # Reset, and not logged in.
        expect(done, 401)
        self.message(watch, r"(?i)(password)")


class FlaskSecurity(Peer):
    """Flask-Security-Too's JSON API: request a link, open it, set the password."""

    site = "flask_site"

    def begin(self, number: int) -> Answer:
        return self.call("POST", "/reset", {"email": f"p{number}@bench.example"})

    def recover(self, number: int, watch: Watch) -> None:
        expect(watch("request", lambda: self.begin(number)), 200)
        token = self.message(watch, r"/reset/(\S+)")
        followed = watch("code", lambda: self.call("GET", f"/reset/{token}"))
        expect(followed, 302)
        body = {"password": PASSWORD, "password_confirm": PASSWORD}
        done = watch("password", lambda: self.call("POST", f"/reset/{token}", body))
        expect(done, 200)
        self.message(watch, r"(?i)(password)")


class BetterAuth(Peer):
    """better-auth's API of phone numbers: request a code, set the password with it."""

    site = "better_auth_site.mjs"

    def begin(self, number: int) -> Answer:
        path = "/api/auth/phone-number/request-password-reset"
        return self.call("POST", path, {"phoneNumber": f"+86138{number:08}"})

    def recover(self, number: int, watch: Watch) -> None:
        expect(watch("request", lambda: self.begin(number)), 200)
        code = self.message(watch, r'"code":"([0-9]{6})"')
        path = "/api/auth/phone-number/reset-password"
        body = {"phoneNumber": f"+86138{number:08}", "otp": code, "newPassword": PASSWORD}
        done = watch("password", lambda: self.call("POST", path, body))
        expect(done, 200)
        self.message(watch, r"(?i)(password)")
