"""What has happened at the demo: answers of the service and acts on the phones."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request, Response

from chalicelib.domain.errors import InvalidInput
from chalicelib.domain.logins import parse_login

from .serving import raw_target

KEPT = 200
"""Maximum number of answers and of acts kept; the oldest are dropped."""

_WITH_LOGIN = ("/recovery", "/credentials/verify")
_MAXIMUM_BODY = 4_096


@dataclass(frozen=True)
class Exchange:
    """A POST and its answer. `code` is that of the problem, `login` that of the body, or ""."""

    path: str
    status: int
    code: str
    login: str


class Journal:
    """The last answers and acts, oldest first; thread-safe."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._exchanges: deque[Exchange] = deque(maxlen=KEPT)
        self._acts: deque[tuple[str, str]] = deque(maxlen=KEPT)

    def observe(self, request: Request, response: Response) -> None:
        """Record the answer to a POST."""
        if request.method != "POST":
            return
        path = urlsplit(raw_target(request)).path
        login = _text(request.get_data, "login") if path in _WITH_LOGIN else ""
        code = _text(response.get_data, "code") if response.status_code >= 400 else ""
        with self._guard:
            self._exchanges.append(Exchange(path, response.status_code, code, _parsed(login)))

    def record_act(self, act: str, number: str) -> None:
        """Record an act on the phone with this number."""
        with self._guard:
            self._acts.append((act, number))

    def exchanges(self) -> list[Exchange]:
        with self._guard:
            return list(self._exchanges)

    def acts(self) -> list[tuple[str, str]]:
        """Return act and phone number of each act."""
        with self._guard:
            return list(self._acts)

    def recent_logins(self, most: int) -> list[str]:
        """Return the logins named last, at most `most`, the last one first."""
        named = [exchange.login for exchange in reversed(self.exchanges()) if exchange.login]
        return list(dict.fromkeys(named))[:most]

    def clear(self) -> None:
        with self._guard:
            self._exchanges.clear()
            self._acts.clear()


def _text(read: Callable[[], bytes], name: str) -> str:
    """Return a text member of a JSON object; "" where there is none."""
    try:
        raw = read()
        body = json.loads(raw) if len(raw) <= _MAXIMUM_BODY else None
    except (HTTPException, ValueError):
        # The body was refused as too long, or is not JSON.
        return ""
    value = body.get(name) if isinstance(body, dict) else None
    return value if isinstance(value, str) else ""


def _parsed(text: str) -> str:
    try:
        return str(parse_login(text)) if text else ""
    except InvalidInput:
        return ""
