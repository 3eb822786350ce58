"""The way into the page inside WeChat: OAuth, as a browser walks it through the HTTP door."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from chalice.test import HTTPResponse

from chalicelib.domain.catalogue import ENTRY
from chalicelib.store.models import LoginItem
from tests.conftest import MakeWorld, World, add_firm
from tests.support.wechat_platform import EXCHANGE, WeChat, playing, refusal

GRANTED = {"access_token": "a", "expires_in": 7200, "openid": "o-alice", "scope": "snsapi_base"}
HTML = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture
def wechat() -> Iterator[WeChat]:
    """WeChat's platform, which grants every code."""
    with playing() as platform:
        platform.answers[EXCHANGE] = [GRANTED]
        yield platform


@pytest.fixture
def world(make_world: MakeWorld, wechat: WeChat) -> World:
    """A world that asks this platform."""
    world = make_world(WECHAT_API_URL=wechat.url)
    add_firm(world.service.hasher)
    return world


class Browser:
    """Keeps cookies and walks the way in."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.cookies: dict[str, str] = {}

    def get(self, path: str, **headers: str) -> HTTPResponse:
        """One navigation."""
        jar = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = self._world.call("GET", path, headers={**HTML, "Cookie": jar, **headers})
        if cookie := answer.headers.get("Set-Cookie"):
            name, _, rest = cookie.partition("=")
            self.cookies[name] = rest.partition(";")[0]
        return answer

    def begin(self, path: str = "/wechat/enter") -> str:
        """Go to WeChat; the state that it is given."""
        answer = self.get(path)
        assert answer.status_code == 302
        return parse_qs(urlsplit(answer.headers["Location"]).query)["state"][0]

    def arrive(self, state: str, code: str = "oauth-code-1") -> HTTPResponse:
        """Come back from WeChat."""
        return self.get(f"/wechat/enter?code={code}&state={state}")


def test_a_person_enters_and_is_known(world: World) -> None:
    """The openid comes from the code's exchange, and the address that is left is clean."""
    browser = Browser(world)
    answer = browser.arrive(browser.begin())
    assert (answer.status_code, answer.headers["Location"]) == (302, "https://recovery.example/")
    headers = {"Cookie": f"__Host-wechat={browser.cookies['__Host-wechat']}"}
    started = world.call(
        "POST", "/recovery", {"user_type": "firm", "login": "11010148"}, headers=headers
    )
    assert started.json_body["method"] == "sms"
    token = started.json_body["token"]
    world.send(token)
    assert world.confirm(token, world.phones.codes[0]).json_body["wechat_bound"]
    assert LoginItem.get("11010148").openid == "o-alice"


def test_the_redirect_may_come_twice(world: World, wechat: WeChat) -> None:
    """The second one asks WeChat nothing and leads to the same page."""
    browser = Browser(world)
    state = browser.begin()
    first, second = browser.arrive(state), browser.arrive(state)
    assert first.headers["Location"] == second.headers["Location"]
    assert len(wechat.asked(EXCHANGE)) == 1


def test_a_state_of_another_browser_is_refused(world: World, wechat: WeChat) -> None:
    """A link that somebody else began logs nobody in as them."""
    state = Browser(world).begin()
    victim = Browser(world)
    victim.begin()
    answer = victim.arrive(state)
    assert answer.headers["Location"] == "https://recovery.example/?entry=recovery-expired"
    assert "__Host-wechat" not in victim.cookies
    assert not wechat.asked(EXCHANGE)


@pytest.mark.parametrize(
    ("said", "entry"),
    [(refusal(40029), "invalid-input"), (refusal(40163), "invalid-input"), (None, "unavailable")],
    ids=["invalid", "used", "silent"],
)
def test_what_goes_wrong_is_said_on_the_page(
    world: World, wechat: WeChat, said: object, entry: str
) -> None:
    """A browser is never left with a problem's JSON: it gets the page, with words for the person."""
    wechat.answers[EXCHANGE] = [said]
    browser = Browser(world)
    answer = browser.arrive(browser.begin())
    assert answer.headers["Location"] == f"https://recovery.example/?entry={entry}"
    page = browser.get(f"/?entry={entry}")
    assert page.status_code == 200
    assert ENTRY[entry] in page.body.decode()
    # Nothing is used up: the way in is open again.
    wechat.answers[EXCHANGE] = [GRANTED]
    assert browser.arrive(browser.begin()).headers["Location"] == "https://recovery.example/"


def test_a_program_gets_the_problem(world: World) -> None:
    """Who does not ask for a page gets the error as the API words it."""
    answer = world.call("GET", "/wechat/enter?code=c&state=s", headers={"Accept": "*/*"})
    assert (answer.status_code, answer.json_body["code"]) == (401, "recovery-expired")


def test_an_unknown_reason_puts_no_words_on_the_page(world: World) -> None:
    """The address cannot make the page say what it likes."""
    answer = world.call("GET", "/?entry=%3Cb%3Ehello")
    assert b"hello" not in answer.body
    assert b'role="alert" hidden></p>' in answer.body


def test_a_scanned_recovery_fills_the_login_in(world: World) -> None:
    """The scene of a PC's QR code leads to the page with that login, a forged one to the plain page."""
    scene = world.service.scenes.make("11010148_cw", world.clock() + 1800)
    browser = Browser(world)
    answer = browser.arrive(browser.begin(f"/wechat/enter?scene={scene}"))
    assert answer.headers["Location"] == "https://recovery.example/?login=11010148_cw"
    answer = browser.arrive(browser.begin(f"/wechat/enter?scene={scene[:-2]}AA"))
    assert answer.headers["Location"] == "https://recovery.example/"
