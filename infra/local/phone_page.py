"""`/_phone`: the demo phones, for people and for scripts.

`GET /_phone` is the page. `GET /_phone/state` returns everything that it shows:

    {"now": 1790000000, "site": "http://127.0.0.1:8000", "pc": "http://localhost:8000",
     "wechat": true, "sms": true,          false where an outside one is used
     "current": "13800001234",             the selected phone
     "menu": [{"name", "type", ...}],      of the Official Account
     "codes": [{"url", "scene", "expires_at"}],   its unexpired QR codes, newest first
     "phones": [{"number", "name", "about", "openid", "following",
                 "sms":  [{"id", "at", "text", "template", "params"}],
                 "chat": [{"id", "at", "kind", "text", "fields": [[label, value]], "url"}]}],
     "firms": [{"firm_no", "name", "approval_no", "head_name", "phone", "finance_phone", "tags"}]}

`kind` is `account`, `person`, `card` (a template message) or `notice`.

`POST /_phone/act` accepts `{"act": …, "phone": "13800001234", …}`. The default of `phone` is the
selected phone; any mainland number is valid. It returns `{"ok": true, …}` once the service has
responded to the platform, so that the state contains the result.

| act | parameters | result |
| --- | --- | --- |
| `use` | | selects this phone: OAuth returns its openid |
| `follow` | `scene`, if by a QR code | `reply` |
| `leave` | | |
| `scan` | `code`, the content of the QR code | `scene` and `following`; or `open`, an address |
| `tap` | `item`, a menu item's name | `open`, the address of a VIEW item, else "" |
| `say` | `text` | `reply` |
| `clear` | | empties inboxes and chats |
| `fail-sms` | `status`, `delay` (s), `times` | |
| `fail-wechat` | `errcode`, `path`, `delay` (s), `times` | |
| `revoke-token` | | revokes the platform's access tokens |

The status is 409 with `{"error": …}` for an act that is impossible now: `not-following`,
`follows-already`, `foreign-code`, `no-such-item`, `outside`; and 422 for a malformed one.

At OAuth a browser is the phone in its cookie `_phone`, or else the selected one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from werkzeug.wrappers import Request, Response

from .firms import ListedFirm
from .people import People, Person
from .serving import Reply, read_body
from .sms import SimulatedSms
from .wechat import SimulatedWeChat
from .wechat.simulator import CannotDo

COOKIE = "_phone"

_FOLDER = Path(__file__).with_name("phone")
_FILES = {
    "": ("index.html", "text/html; charset=utf-8"),
    "phone.css": ("phone.css", "text/css; charset=utf-8"),
    "phone.js": ("phone.js", "text/javascript; charset=utf-8"),
    "elements.js": ("elements.js", "text/javascript; charset=utf-8"),
}
_MAXIMUM_BODY = 16_384


class Malformed(Exception):
    """An act lacks a parameter, or one is invalid; the text is its name."""


class PhonePage:
    """Serves everything under `/_phone`. A simulator is None where an outside platform is used."""

    def __init__(
        self,
        *,
        site: str,
        local: str,
        people: People,
        sms: SimulatedSms | None,
        wechat: SimulatedWeChat | None,
        firms: Sequence[ListedFirm] = (),
        clock: Callable[[], int] = lambda: int(time.time()),
    ) -> None:
        """`site` is the service's public URL, `local` the one on this machine."""
        self._site = site
        self._local = local
        # Cookies belong to a host: under this one the page is not inside WeChat.
        self._pc = local.replace("127.0.0.1", "localhost")
        self._people = people
        self._sms = sms
        self._wechat = wechat
        self._firms = firms
        self._clock = clock

    def answer(self, request: Request) -> Response:
        """Return the response to a request. Raises what `read_body` raises, and nothing else."""
        host = request.headers.get("Host", "")
        if host == urlsplit(self._pc).netloc and request.path in ("/_phone", "/_phone/"):
            # In the phone's frame cookies work only if the page has the service's host.
            return Reply(b"", 302, {"Location": f"{self._local}/_phone"})
        if host not in {urlsplit(url).netloc for url in (self._local, self._pc, self._site)}:
            return _json(403, {"error": "foreign-host"})
        name = request.path.removeprefix("/_phone").strip("/")
        if name == "act":
            return self._handle_act(request)
        if request.method not in ("GET", "HEAD"):
            return _json(405, {"error": "method"})
        if name == "state":
            return _json(200, self.state())
        if name not in _FILES:
            return _json(404, {"error": "no-such-page"})
        file, content_type = _FILES[name]
        body = (_FOLDER / file).read_bytes()
        return Reply(body, 200, {**self._headers(), "Content-Type": content_type})

    def _headers(self) -> dict[str, str]:
        frames = {"http://127.0.0.1:*", self._pc, _origin(self._site)}
        policy = (
            "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
            f"frame-src {' '.join(sorted(frames))}; frame-ancestors 'none'"
        )
        return {
            "Cache-Control": "no-store",
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
        }

    def state(self) -> dict[str, Any]:
        """Return what the page shows."""
        now = self._clock()
        if self._sms is not None:
            for number in self._sms.numbers():
                self._add_phone(number)
        account = self._wechat.account if self._wechat else None
        codes = account.live_tickets(now)[:8] if account else []
        return {
            "now": now,
            "site": self._site,
            "pc": self._pc,
            "wechat": self._wechat is not None,
            "sms": self._sms is not None,
            "current": self._people.current.number,
            "menu": list((account.menu or {}).get("button", [])) if account else [],
            "codes": [
                {"url": code.url, "scene": code.scene, "expires_at": code.expires_at}
                for code in codes
            ],
            "phones": [self._phone(person) for person in self._people.all()],
            "firms": [asdict(firm) for firm in self._firms],
        }

    def _add_phone(self, number: str) -> None:
        try:
            self._people.of(number)
        except ValueError:
            # Numbers abroad are not shown.
            return

    def _phone(self, person: Person) -> dict[str, Any]:
        account = self._wechat.account if self._wechat else None
        inbox = self._sms.inbox(person.e164) if self._sms else []
        return {
            "number": person.number,
            "name": person.name,
            "about": person.about,
            "openid": person.openid,
            "following": account is not None and account.follower(person.openid) is not None,
            "sms": [
                {
                    "id": message.id,
                    "at": message.at,
                    "text": message.text,
                    "template": message.template,
                    "params": message.params,
                }
                for message in inbox
            ],
            "chat": [asdict(entry) for entry in (account.chat(person.openid) if account else [])],
        }

    def visitor(self, hints: Mapping[str, str]) -> str:
        """Return the openid of a browser, from its cookies and query."""
        try:
            return self._people.of(hints[COOKIE]).openid
        except (KeyError, ValueError):
            return self._people.current.openid

    # Acts.

    def _handle_act(self, request: Request) -> Response:
        if request.method != "POST":
            return _json(405, {"error": "method"})
        origin = request.headers.get("Origin")
        if origin is not None and origin not in {_origin(self._local), _origin(self._site)}:
            return _json(403, {"error": "foreign-origin"})
        raw = read_body(request)
        try:
            body = json.loads(raw[: _MAXIMUM_BODY + 1])
            if not isinstance(body, dict) or len(raw) > _MAXIMUM_BODY:
                raise Malformed("body")
            return _json(200, {"ok": True, **self.act(body)})
        except CannotDo as refused:
            return _json(409, {"error": str(refused)})
        except Malformed as error:
            return _json(422, {"error": str(error)})
        except ValueError:
            return _json(422, {"error": "body"})

    def act(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Perform an act and return its result. Raises CannotDo, Malformed."""
        number = body.get("phone", self._people.current.number)
        try:
            person = self._people.of(number)
        except (ValueError, TypeError, AttributeError):
            raise Malformed("phone") from None
        act = _text(body, "act")
        if act == "use":
            self._people.select(person.number)
            return {}
        if act == "clear":
            if self._sms:
                self._sms.clear()
            if self._wechat:
                self._wechat.account.clear()
            return {}
        if act == "fail-sms":
            if self._sms is None:
                raise CannotDo("outside")
            delay, times = _number(body, "delay", 0), _number(body, "times", 1)
            status = int(_number(body, "status", 0)) or None
            self._sms.fail(status, delay=delay, times=int(times))
            return {}
        if self._wechat is None:
            raise CannotDo("outside")
        return self._in_wechat(self._wechat, act, person, body)

    def _in_wechat(
        self, wechat: SimulatedWeChat, act: str, person: Person, body: Mapping[str, Any]
    ) -> dict[str, Any]:
        openid = person.openid
        if act == "follow":
            reply = wechat.follow(openid, _text(body, "scene", ""))
            return {"reply": reply.text}
        if act == "leave":
            wechat.leave(openid)
            return {}
        if act == "scan":
            return self._scan(wechat, openid, _text(body, "code"))
        if act == "tap":
            return {"open": wechat.tap(openid, _text(body, "item"))}
        if act == "say":
            return {"reply": wechat.say(openid, _text(body, "text")).text}
        if act == "revoke-token":
            wechat.tokens.revoke()
            return {}
        if act == "fail-wechat":
            errcode = int(_number(body, "errcode", 0)) or None
            delay, times = _number(body, "delay", 0), _number(body, "times", 1)
            wechat.fail(errcode, path=_text(body, "path", "*"), delay=delay, times=int(times))
            return {}
        raise Malformed("act")

    def _scan(self, wechat: SimulatedWeChat, openid: str, code: str) -> dict[str, Any]:
        code = code.strip()
        if code.startswith((f"{self._site}/", f"{self._local}/")):
            # A QR code of the service's URL opens in WeChat's browser.
            return {"open": code}
        scene = wechat.scan(openid, code)
        return {"scene": scene, "following": wechat.account.follower(openid) is not None}


def _json(status: int, body: dict[str, Any]) -> Response:
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Cache-Control": "no-store",
    }
    return Reply(json.dumps(body, ensure_ascii=False).encode(), status, headers)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _text(body: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = body.get(name, default)
    if not isinstance(value, str):
        raise Malformed(name)
    return value


def _number(body: Mapping[str, Any], name: str, default: float) -> float:
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1 <= value <= 99_999:
        raise Malformed(name)
    return value
