"""A browser that goes through WeChat's OAuth, and a world whose WeChat grants every code."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from chalice.test import HTTPResponse

from tests.conftest import MakeWorld, World, add_firm
from tests.support import cookie_jar
from tests.support.wechat_platform import EXCHANGE, WeChat, playing

GRANTED = {"access_token": "a", "expires_in": 7200, "openid": "o-alice", "scope": "snsapi_base"}
HTML = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture
def oauth_platform() -> Iterator[WeChat]:
    """WeChat's platform, which grants every code."""
    with playing() as platform:
        platform.answers[EXCHANGE] = [GRANTED]
        yield platform


@pytest.fixture
def oauth_world(make_world: MakeWorld, oauth_platform: WeChat) -> World:
    """A world that calls this platform."""
    world = make_world(WECHAT_API_URL=oauth_platform.url)
    add_firm(world.service.hasher)
    return world


class Browser:
    """A browser, which keeps cookies."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.cookies: dict[str, str] = {}

    def get(self, path: str, **headers: str) -> HTTPResponse:
        """Send one navigation request."""
        answer = self.send(path, **headers)
        cookie_jar.store(self.cookies, answer)
        return answer

    def send(self, path: str, **headers: str) -> HTTPResponse:
        """Send one navigation request whose response the browser discards."""
        jar = cookie_jar.header(self.cookies)
        return self._world.call("GET", path, headers={**HTML, "Cookie": jar, **headers})

    @property
    def method(self) -> str:
        """The method of a recovery in this browser: `sms` where its openid is known."""
        return str(self.start().json_body["method"])

    def start(self) -> HTTPResponse:
        """Begin a recovery."""
        body = {"user_type": "firm", "login": "11010148"}
        return self._world.call(
            "POST", "/recovery", body, headers={"Cookie": cookie_jar.header(self.cookies)}
        )

    def begin(self, path: str = "/wechat/enter") -> str:
        """Request the redirect to WeChat and return its state."""
        answer = self.get(path)
        assert answer.status_code == 302
        return parse_qs(urlsplit(answer.headers["Location"]).query)["state"][0]

    def complete(self, state: str, code: str = "oauth-code-1") -> HTTPResponse:
        """Return from WeChat with a code."""
        return self.get(f"/wechat/enter?code={code}&state={state}")
