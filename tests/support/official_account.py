"""A world whose WeChat is simulated: people with phones, who follow, scan, tap and browse."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from chalice.test import HTTPResponse
from werkzeug.wrappers import Request, Response

from infra.local.wechat import SimulatedWeChat
from infra.local.wechat.simulator import CODE_TEMPLATE_ID, NOTICE_TEMPLATE_ID
from tests.conftest import SETTINGS, Clock, MakeWorld, World, add_firm
from tests.support import cookie_jar
from tests.support.api_client import ApiClient
from tests.support.http_server import Received, Reply, serving

LINK = re.compile(r'<a href="([^"]+)">')


class RecordingWeChat(SimulatedWeChat):
    """The simulated WeChat, which records the path of every request."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.requested: list[str] = []

    def answer(self, request: Request) -> Response:
        self.requested.append(request.path)
        return super().answer(request)


class OneAtATime(ApiClient):
    """A test client that sends one request at a time, since moto and Chalice's client require it."""

    def __init__(self) -> None:
        super().__init__()
        self._guard = threading.Lock()

    def request(self, *args: Any, **kwargs: Any) -> HTTPResponse:
        with self._guard:
            return super().request(*args, **kwargs)


@dataclass
class Phone:
    """One person's WeChat, with its browser."""

    wechat_world: WechatWorld
    openid: str
    cookies: dict[str, str] = field(default_factory=dict)

    def follow(self, scene: str = "") -> str:
        """Follow the account and return its welcome."""
        return self.wechat_world.wechat.follow(self.openid, scene).text or ""

    def leave(self) -> None:
        """Stop following."""
        self.wechat_world.wechat.leave(self.openid)

    def scan(self, url: str) -> None:
        """Scan a QR code of the account, and follow the account if this WeChat does not."""
        scene = self.wechat_world.wechat.scan(self.openid, url)
        if self.wechat_world.wechat.account.follower(self.openid) is None:
            self.follow(scene)

    def tap(self, name: str) -> str:
        """Tap a menu item; return the address that it opens, or the account's reply."""
        url = self.wechat_world.wechat.tap(self.openid, name)
        return url or self.chat[-1]

    @property
    def chat(self) -> list[str]:
        """The account's messages, oldest first; of a template its values."""
        entries = self.wechat_world.wechat.account.chat(self.openid)
        return [
            "\n".join(value for _, value in entry.fields) if entry.kind == "card" else entry.text
            for entry in entries
            if entry.kind in ("account", "card")
        ]

    def browse(self, url: str) -> str:
        """Open an address inside WeChat, follow its redirects, and return the page's address."""
        while True:
            parts = urlsplit(url)
            if parts.path == "/connect/oauth2/authorize":
                url = self.authorize(url)
                continue
            answer = self.call("GET", f"{parts.path}?{parts.query}".rstrip("?"))
            if answer.status_code != 302:
                assert answer.status_code == 200, answer.body
                return url
            url = answer.headers["Location"]

    def authorize(self, url: str) -> str:
        """Open WeChat's OAuth page, and return the address that it redirects to."""
        answer = requests.get(
            url, cookies={"_phone": self.openid}, allow_redirects=False, timeout=60
        )
        return answer.headers["Location"]

    def call(self, method: str, path: str, body: Any = None) -> HTTPResponse:
        """Send one request of the browser inside WeChat."""
        answer = self.wechat_world.world.call(
            method,
            path,
            body,
            headers={"Cookie": cookie_jar.header(self.cookies), "Accept": "text/html"},
        )
        cookie_jar.store(self.cookies, answer)
        return answer

    def start(self, login: str, scene: str | None = None) -> HTTPResponse:
        """Begin a recovery of the login on the page; `scene` is that of its address."""
        body = {"user_type": "firm", "login": login}
        return self.call("POST", "/recovery", {**body, "scene": scene} if scene else body)


@dataclass
class WechatWorld:
    """The service, WeChat, and a PC."""

    world: World
    wechat: SimulatedWeChat
    outside: list[str]
    """What WeChat was asked for, by path."""

    def phone(self, openid: str) -> Phone:
        return Phone(self, openid)

    def pc(self, login: str) -> dict[str, Any]:
        """Begin a recovery on a PC and return its body."""
        answer = self.world.start(login, openid=None)
        assert answer.status_code == 201, answer.body
        return dict(answer.json_body)

    def state(self, token: str) -> dict[str, Any]:
        """Return the recovery's state, as the PC polls it."""
        answer = self.world.call("GET", "/recovery", token=token)
        assert answer.status_code == 200, answer.body
        return dict(answer.json_body)


def code_in(text: str) -> str:
    """Return the six digits of a code in a sentence or a template's card."""
    found = re.findall(r"(?<![0-9])[0-9]{6}(?![0-9])", text)
    assert len(found) == 1, text
    return str(found[0])


def scene_of(page: str) -> str | None:
    """Return the scene in the address of a page that a QR code led to."""
    return parse_qs(urlsplit(page).query).get("scene", [None])[0]


def login_of(page: str) -> str | None:
    """Return the login that the page at this address has filled in."""
    return parse_qs(urlsplit(page).query).get("login", [None])[0]


class MakeWechatWorld:
    """A factory of the one wechat_world of a test; the service's settings by keyword."""

    def __init__(self, make_world: MakeWorld, wechat: RecordingWeChat, clock: Clock) -> None:
        self._make_world = make_world
        self._wechat = wechat
        self._clock = clock
        self.world: World | None = None

    def __call__(self, *, template: bool = True, **settings: str) -> WechatWorld:
        templates = {
            "WECHAT_CODE_TEMPLATE_ID": CODE_TEMPLATE_ID,
            "WECHAT_NOTICE_TEMPLATE_ID": NOTICE_TEMPLATE_ID,
        }
        url = self._wechat.url
        world = self._make_world(
            **{
                "WECHAT_API_URL": url,
                "WECHAT_OPEN_URL": url,
                **(templates if template else {}),
                **settings,
            }
        )
        world.clock = world.service.clock = self._clock
        world.http = OneAtATime()
        self.world = world
        add_firm(world.service.hasher)
        world.service.platform.create_menu(world.service.menu)
        self._wechat.requested.clear()
        return WechatWorld(world, self._wechat, self._wechat.requested)


@pytest.fixture
def make_wechat_world(make_world: MakeWorld) -> Iterator[MakeWechatWorld]:
    """A factory of towns on moto, with one firm without a bound WeChat."""
    clock = Clock()

    def to_the_api(request: Received) -> Reply:
        assert make.world is not None
        answer = make.world.http.request(
            request.method, request.path, headers=request.headers, body=request.body
        )
        return answer.status_code, answer.body

    with (
        serving(to_the_api) as api_server,
        RecordingWeChat(
            SETTINGS["WECHAT_APP_ID"],
            SETTINGS["WECHAT_APP_SECRET"],
            SETTINGS["WECHAT_TOKEN"],
            SETTINGS["WECHAT_AES_KEY"],
            callback_url=lambda: f"{api_server.url}/wechat/callback",
            visitor=lambda hints: hints["_phone"],
            site=lambda: frozenset([SETTINGS["SITE_URL"]]),
            clock=clock,
            receipt_delay=0,
        ) as wechat,
    ):
        make = MakeWechatWorld(make_world, wechat, clock)
        yield make


@pytest.fixture
def wechat_world(make_wechat_world: MakeWechatWorld) -> WechatWorld:
    """A wechat_world whose Official Account may push templates."""
    return make_wechat_world()


@pytest.fixture
def pulling_wechat_world(make_wechat_world: MakeWechatWorld) -> WechatWorld:
    """A wechat_world whose Official Account has no templates."""
    return make_wechat_world(template=False)
