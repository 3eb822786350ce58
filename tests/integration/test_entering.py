"""The login inside WeChat by OAuth, through the HTTP API."""

from __future__ import annotations

import pytest

from chalicelib.domain.catalogue import ENTRY
from chalicelib.store.models import LoginItem
from tests.conftest import World
from tests.support.callbacks import send_message
from tests.support.oauth_browser import GRANTED, Browser
from tests.support.wechat_platform import EXCHANGE, WeChat, refusal


def test_a_login_identifies_the_browser(oauth_world: World) -> None:
    """The openid comes from the exchange of the code, and the final URL has no parameters."""
    send_message(oauth_world, {"MsgType": "event", "Event": "subscribe"})
    browser = Browser(oauth_world)
    answer = browser.complete(browser.begin())
    assert (answer.status_code, answer.headers["Location"]) == (302, "https://recovery.example/")
    started = browser.start()
    assert started.json_body["method"] == "sms"
    token = started.json_body["token"]
    oauth_world.send(token)
    assert oauth_world.confirm(token, oauth_world.phones.codes[0]).json_body["wechat_bound"]
    assert LoginItem.get("11010148").openid == "o-alice"


def test_a_state_of_another_browser_is_refused(oauth_world: World, oauth_platform: WeChat) -> None:
    """A link of another person's login has no effect."""
    state = Browser(oauth_world).begin()
    victim = Browser(oauth_world)
    victim.begin()
    answer = victim.complete(state)
    assert answer.headers["Location"] == "https://recovery.example/?entry=recovery-expired"
    assert "__Host-wechat" not in victim.cookies
    assert not oauth_platform.asked(EXCHANGE)


@pytest.mark.parametrize(
    ("answer", "entry"),
    [(refusal(40029), "invalid-input"), (refusal(40163), "invalid-input"), (None, "unavailable")],
    ids=["invalid", "used", "silent"],
)
def test_an_error_is_shown_on_the_page(
    oauth_world: World, oauth_platform: WeChat, answer: object, entry: str
) -> None:
    """A browser receives the page with a message instead of a problem in JSON."""
    oauth_platform.answers[EXCHANGE] = [answer]
    browser = Browser(oauth_world)
    redirect = browser.complete(browser.begin())
    assert redirect.headers["Location"] == f"https://recovery.example/?entry={entry}"
    page = browser.get(f"/?entry={entry}")
    assert page.status_code == 200
    assert ENTRY[entry] in page.body.decode()
    # A new login is possible afterwards.
    oauth_platform.answers[EXCHANGE] = [GRANTED]
    assert browser.complete(browser.begin()).headers["Location"] == "https://recovery.example/"


def test_a_client_other_than_a_browser_receives_the_problem(oauth_world: World) -> None:
    """Without `text/html` in Accept the error is a problem in JSON."""
    answer = oauth_world.call("GET", "/wechat/enter?code=c&state=s", headers={"Accept": "*/*"})
    assert (answer.status_code, answer.json_body["code"]) == (401, "recovery-expired")


def test_an_unknown_reason_is_not_shown_on_the_page(oauth_world: World) -> None:
    """The URL cannot add text to the page."""
    answer = oauth_world.call("GET", "/?entry=%3Cb%3Ehello")
    assert b"hello" not in answer.body
    assert b'role="alert" hidden></p>' in answer.body


def test_a_scanned_recovery_fills_the_login_in(oauth_world: World) -> None:
    """The scene of a QR code leads to the page with its login, a forged scene to the page without."""
    scene = oauth_world.service.scenes.make("11010148_cw", oauth_world.clock() + 1800)
    browser = Browser(oauth_world)
    answer = browser.complete(browser.begin(f"/wechat/enter?scene={scene}"))
    assert answer.headers["Location"] == "https://recovery.example/?login=11010148_cw"
    answer = browser.complete(browser.begin(f"/wechat/enter?scene={scene[:-2]}AA"))
    assert answer.headers["Location"] == "https://recovery.example/"
