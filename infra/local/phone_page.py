"""`/_phone`: the demo page with a phone, a PC and the guided tour, for people and for scripts.

`GET /_phone` is the page. `GET /_phone/state` returns what phones and platforms show:

    {"now": 1790000000, "ahead": 0,       the demo's clock, and seconds ahead of the machine's
     "site": "http://127.0.0.1:8000", "pc": "http://localhost:8000",
     "wechat": true, "sms": true,          false where an outside one is used
     "broken": {"sms": false, "wechat": false},
     "current": "13800001234",             the selected phone
     "menu": [{"name", "type", ...}],      of the Official Account
     "codes": [{"url", "scene", "expires_at"}],   its unexpired QR codes, newest first
     "phones": [{"number", "name", "about", "openid", "following",
                 "sms":  [{"id", "at", "text", "template", "params"}],
                 "chat": [{"id", "at", "kind", "text", "fields": [[label, value]], "url"}]}],
     "firms": [{"firm_no", "name", "approval_no", "head_name", "phone", "finance_phone", "tags"}]}

`kind` is `account`, `person`, `card` (a template message) or `notice`.

`GET /_phone/tour` returns the guided tour and the audit of the logins in use:

    {"runs": 1, "can_reset": true, "scenes": [{"name", "title", "about"}],
     "scene": {"name", "login", "number", "pc_first",
               "steps": [{"text", "device", "offers", "done"}]},   null before a scene is chosen
     "audit": [{"at", "login", "event", "by", "facts"}]}           newest first

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
| `break` | `part` (`sms`, `wechat`), `on` | every call fails until `on` is false |
| `move-clock` | `seconds` | moves the demo's clock forward |
| `new-year` | | moves it to the next 1 January, 00:00 in Beijing; scheduled functions run |
| `scene` | `scene`, its name | returns to the beginning and prepares the scene |
| `reset` | | returns everything to the beginning |
| `register-phone` | | binds a phone to the scene's login, as technical support does |

The status is 409 with `{"error": …}` for an act that is impossible now: `not-following`,
`follows-already`, `foreign-code`, `no-such-item`, `no-scene`, `outside`; and 422 for a malformed one.

At OAuth a browser is the phone in its cookie `_phone`, or else the selected one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from werkzeug.wrappers import Request, Response

from .clock import MovableClock
from .firms import ListedFirm
from .journal import Journal
from .people import People, Person
from .phone_acts import Acts, Malformed
from .schedules import Scheduler
from .serving import Reply, read_body
from .sms import SimulatedSms
from .tour import Tour
from .wechat import SimulatedWeChat
from .wechat.simulator import CannotDo

COOKIE = "_phone"

_FOLDER = Path(__file__).with_name("phone")
_FILES = {
    "": ("index.html", "text/html; charset=utf-8"),
    "phone.css": ("phone.css", "text/css; charset=utf-8"),
    "phone.js": ("phone.js", "text/javascript; charset=utf-8"),
    **{
        name: (name, "text/javascript; charset=utf-8")
        for name in ("accounts.js", "elements.js", "frame.js", "frames.js", "tour.js")
    },
}
_MAXIMUM_BODY = 16_384


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
        clock: MovableClock | None = None,
        journal: Journal | None = None,
        scheduler: Scheduler | None = None,
        tour: Tour | None = None,
    ) -> None:
        """`site` is the service's public URL, `local` the one on this machine.

        Without `tour` there are no scenes; without `clock` it is the machine's.
        """
        self._site = site
        self._local = local
        # Cookies belong to a host: under this one the page is not inside WeChat.
        self._pc = local.replace("127.0.0.1", "localhost")
        self._people = people
        self._sms = sms
        self._wechat = wechat
        self._firms = firms
        self._clock = clock or MovableClock()
        self._tour = tour
        self._acts = Acts(
            sites=(site, local),
            people=people,
            journal=journal or Journal(),
            sms=sms,
            wechat=wechat,
            clock=clock,
            scheduler=scheduler,
            tour=tour,
        )

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
        if name == "tour":
            return _json(200, {} if self._tour is None else self._tour.state())
        if name not in _FILES:
            return _json(404, {"error": "no-such-page"})
        file, content_type = _FILES[name]
        body = (_FOLDER / file).read_bytes()
        if name == "frame.js":
            body = f"const AHEAD = {self._clock.ahead};\n".encode() + body
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
            "ahead": self._clock.ahead,
            "site": self._site,
            "pc": self._pc,
            "wechat": self._wechat is not None,
            "sms": self._sms is not None,
            "broken": {
                "sms": self._sms is not None and self._sms.is_failing,
                "wechat": self._wechat is not None and self._wechat.is_failing,
            },
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
            return _json(200, {"ok": True, **self._acts.perform(body)})
        except CannotDo as refused:
            return _json(409, {"error": str(refused)})
        except Malformed as error:
            return _json(422, {"error": str(error)})
        except ValueError:
            return _json(422, {"error": "body"})


def _json(status: int, body: dict[str, Any]) -> Response:
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Cache-Control": "no-store",
    }
    return Reply(json.dumps(body, ensure_ascii=False).encode(), status, headers)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
