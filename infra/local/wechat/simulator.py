"""The simulated platform: OAuth for browsers, interfaces for the service, acts of people."""

from __future__ import annotations

import itertools
import json
import queue
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from werkzeug.wrappers import Request, Response

from ..serving import Reply, Simulator
from .account import CODE_TEMPLATE, NOTICE_TEMPLATE, Account, Template
from .callbacks import LIMIT, Callbacks, PassiveReply
from .errors import refusal
from .grants import AccessTokens, Grant, OAuthCodes
from .interfaces import Interfaces

CODE_TEMPLATE_ID = "local-code-template"
NOTICE_TEMPLATE_ID = "local-notice-template"

OUT_OF_ORDER = "该公众号提供的服务出现故障，请稍后再试"
"""WeChat's notice to the person where the account's response is missing or invalid."""

RECEIPT_DELAY = 0.3
"""Seconds between a template message and the event with its result."""


class CannotDo(Exception):
    """An act is impossible now.

    The text is the reason: `not-following`, `follows-already`, `foreign-code`, `no-such-item`.
    """


@dataclass
class Fault:
    """A fault of the next `times` calls of an interface."""

    errcode: int | None
    delay: float
    times: int


class SimulatedWeChat(Simulator):
    """WeChat at `url`, for both WECHAT_API_URL and WECHAT_OPEN_URL.

    `visitor` returns the openid of a browser at the OAuth page, from its cookies and query. With
    `_snapshot=1` among them WeChat shows it snapshot pages (快照页模式), to a virtual account.
    `site` returns the origins that OAuth may redirect to; with None, every origin is allowed.
    """

    def __init__(
        self,
        app_id: str,
        app_secret: str,
        token: str,
        aes_key: str,
        *,
        callback_url: Callable[[], str],
        visitor: Callable[[Mapping[str, str]], str],
        site: Callable[[], frozenset[str]] | None = None,
        templates: Mapping[str, Template] | None = None,
        clock: Callable[[], int] = lambda: int(time.time()),
        limit: float = LIMIT,
        receipt_delay: float = RECEIPT_DELAY,
    ) -> None:
        super().__init__()
        self._app_id = app_id
        self._visitor = visitor
        self._site = site
        self._clock = clock
        self._receipt_delay = receipt_delay
        self.account = Account()
        self.tokens = AccessTokens(clock)
        self._codes = OAuthCodes(clock)
        self._callbacks = Callbacks(callback_url, token, aes_key, app_id, clock, limit=limit)
        if templates is None:
            templates = {CODE_TEMPLATE_ID: CODE_TEMPLATE, NOTICE_TEMPLATE_ID: NOTICE_TEMPLATE}
        self._interfaces = Interfaces(
            app_id,
            app_secret,
            self.account,
            templates,
            self.tokens,
            self._codes,
            clock,
            lambda openid, message_id: self._receipts.put((openid, message_id)),
        )
        self._guard = threading.Lock()
        self._faults: dict[str, Fault] = {}
        self._message_ids = itertools.count(int(time.time() * 1000) * 1_000_000)
        self._created: dict[str, int] = {}
        self._receipts: queue.Queue[tuple[str, int] | None] = queue.Queue()
        self._receipt_thread = threading.Thread(target=self._send_receipts, daemon=True)

    def start(self) -> None:
        super().start()
        self._receipt_thread.start()

    def close(self) -> None:
        super().close()
        self._receipts.put(None)
        if self._receipt_thread.is_alive():
            self._receipt_thread.join()
        self._callbacks.close()

    # Calls of the service and of browsers.

    def fail(
        self, errcode: int | None = None, *, path: str = "*", delay: float = 0, times: int = 1
    ) -> None:
        """Make the next `times` calls of `path` (`*`: any) fail with `errcode`, or be slow."""
        with self._guard:
            self._faults[path] = Fault(errcode, delay, times)

    def mend(self) -> None:
        """Remove all faults."""
        with self._guard:
            self._faults.clear()

    @property
    def is_failing(self) -> bool:
        """Whether a call of an interface fails or is late."""
        with self._guard:
            return bool(self._faults)

    def reset(self) -> None:
        """Return to the beginning: no follower, chat, QR code or fault. The menu stays."""
        self.mend()
        self.account.reset()
        with self._guard:
            self._created.clear()

    def answer(self, request: Request) -> Response:
        if request.path == "/connect/oauth2/authorize":
            return self._authorize(request)
        fault = self._next_fault(request.path)
        if fault is not None:
            self.delay(fault.delay)
        if fault is not None and fault.errcode is not None:
            body = refusal(fault.errcode)
        else:
            body = self._interfaces.answer(request)
        headers = {"Content-Type": "application/json; encoding=utf-8"}
        return Reply(json.dumps(body, ensure_ascii=False), 200, headers)

    def _next_fault(self, path: str) -> Fault | None:
        with self._guard:
            for key in (path, "*"):
                fault = self._faults.get(key)
                if fault is None:
                    continue
                fault.times -= 1
                if fault.times <= 0:
                    del self._faults[key]
                return fault
        return None

    def _authorize(self, request: Request) -> Response:
        query = request.args.to_dict()
        back = query.get("redirect_uri", "")
        parts = urlsplit(back)
        origin = f"{parts.scheme}://{parts.netloc}"
        if query.get("appid") != self._app_id:
            return _page("10003 appid 不正确")
        if not parts.netloc or (self._site is not None and origin not in self._site()):
            return _page("10003 redirect_uri 域名与后台配置不一致")
        if query.get("response_type") != "code" or query.get("scope") != "snsapi_base":
            return _page("10005 scope 参数错误或没有 scope 权限")
        # Scripts, which lack the phone page's cookie, name the phone in the query.
        hints = {**request.cookies.to_dict(), **query}
        if hints.get("_snapshot") == "1":
            grant = Grant(f"o{secrets.token_urlsafe(20)}", snapshot=True)
        else:
            grant = Grant(self._visitor(hints))
        state = {"state": query["state"]} if "state" in query else {}
        added = urlencode({"code": self._codes.make(grant), **state})
        location = back + ("&" if parts.query else "?") + added
        return Reply(b"", 302, {"Location": location, "Cache-Control": "no-store"})

    # Acts of people; each returns the account's reply.

    def follow(self, openid: str, scene: str = "") -> PassiveReply:
        """Follow, by the QR code of a scene or by searching for the account."""
        if self.account.follower(openid) is not None:
            raise CannotDo("follows-already")
        self.account.gain(openid, self._clock(), scene)
        self.account.write(openid, self._clock(), "notice", "已关注公众号")
        ticket = {"Ticket": "gQ" + scene[:16]} if scene else {}
        key = f"qrscene_{scene}" if scene else ""
        return self._event(openid, "subscribe", {"EventKey": key, **ticket})

    def leave(self, openid: str) -> PassiveReply:
        """Stop following."""
        self._must_follow(openid)
        self.account.lose(openid)
        self.account.write(openid, self._clock(), "notice", "已取消关注")
        return self._event(openid, "unsubscribe", {"EventKey": ""})

    def scan(self, openid: str, url: str) -> str:
        """Scan a QR code of the account and return its scene, "" where it has expired.

        A follower's scan is sent to the account as an event; others have to follow first.
        """
        ticket = self.account.ticket(url)
        if ticket is None:
            raise CannotDo("foreign-code")
        scene = ticket.scene if ticket.expires_at > self._clock() else ""
        if self.account.follower(openid) is not None and scene:
            self._event(openid, "SCAN", {"EventKey": scene, "Ticket": ticket.ticket})
        return scene

    def tap(self, openid: str, name: str) -> str:
        """Tap a menu item; return the URL of a VIEW item, "" for a CLICK item."""
        self._must_follow(openid)
        item = self.account.item(name)
        if item is None:
            raise CannotDo("no-such-item")
        if str(item.get("type", "")).lower() == "view":
            self._event(openid, "VIEW", {"EventKey": item["url"], "MenuId": "400000001"})
            return str(item["url"])
        self._event(openid, "CLICK", {"EventKey": item["key"]})
        return ""

    def say(self, openid: str, text: str) -> PassiveReply:
        """Send a text to the account."""
        self._must_follow(openid)
        self.account.write(openid, self._clock(), "person", text)
        elements: dict[str, str | int] = {
            "CreateTime": self._create_time(openid),
            "MsgType": "text",
            "Content": text,
            "MsgId": next(self._message_ids),
        }
        return self._deliver(openid, elements)

    def _must_follow(self, openid: str) -> None:
        if self.account.follower(openid) is None:
            raise CannotDo("not-following")

    def _event(self, openid: str, event: str, more: Mapping[str, str | int]) -> PassiveReply:
        return self._deliver(
            openid,
            {
                "CreateTime": self._create_time(openid),
                "MsgType": "event",
                "Event": event,
                **more,
            },
        )

    def _create_time(self, openid: str) -> int:
        # CreateTime, in seconds, identifies and orders a person's events; scripts act faster.
        with self._guard:
            created = max(self._clock(), self._created.get(openid, 0) + 1)
            self._created[openid] = created
            return created

    def _deliver(self, openid: str, elements: dict[str, str | int]) -> PassiveReply:
        reply = self._callbacks.deliver(openid, elements)
        if self.account.follower(openid) is not None:
            if reply.text is None:
                self.account.write(openid, self._clock(), "notice", OUT_OF_ORDER)
            elif reply.text:
                self.account.write(openid, self._clock(), "account", reply.text)
        return reply

    def _send_receipts(self) -> None:
        while (receipt := self._receipts.get()) is not None:
            openid, message_id = receipt
            self.delay(self._receipt_delay)
            self._callbacks.deliver(
                openid,
                {
                    "CreateTime": self._create_time(openid),
                    "MsgType": "event",
                    "Event": "TEMPLATESENDJOBFINISH",
                    "MsgID": message_id,
                    "Status": "success",
                },
            )


def _page(text: str) -> Response:
    html = f"<!doctype html><meta charset=utf-8><title>WeChat</title><p>{text}"
    return Reply(html, 200, {"Content-Type": "text/html; charset=utf-8"})
