"""Repeated, parallel and interleaved returns from WeChat's OAuth, through the HTTP API."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from chalice.test import HTTPResponse

from chalicelib.domain.catalogue import ENTRY
from chalicelib.services.wechat_login import STATE_LIFETIME
from chalicelib.store.models import LoginItem
from chalicelib.store.oauth_exchanges import LEASE
from chalicelib.wechat.client import PATIENCE
from tests.conftest import MakeWorld, World, add_firm
from tests.support import cookie_jar
from tests.support.callbacks import send_message
from tests.support.oauth_browser import GRANTED, Browser
from tests.support.wechat_platform import EXCHANGE, WeChat, refusal

PAGE = "https://recovery.example/"
LOGIN = "11010148_cw"
SNAPSHOT = {**GRANTED, "openid": "o-virtual", "is_snapshotuser": 1}
# Not one of those that WeChat's client repeats.
FAILED = refusal(50002)


@pytest.fixture
def parallel_world(make_real_world: MakeWorld, oauth_platform: WeChat) -> World:
    """The same on DynamoDB Local, for concurrent requests."""
    world = make_real_world(WECHAT_API_URL=oauth_platform.url)
    add_firm(world.service.hasher)
    return world


def scene(world: World, login: str = LOGIN) -> str:
    """Return the address that a QR code for the login leads to."""
    return f"/wechat/enter?scene={world.service.scenes.make(login, world.clock() + 1800)}"


def granted(openid: str) -> dict[str, Any]:
    return {**GRANTED, "openid": openid}


def test_a_repeat_has_the_openid_and_the_login_of_the_first(
    oauth_world: World, oauth_platform: WeChat
) -> None:
    """The browser discarded the first response with its cookie; WeChat is not called again."""
    browser = Browser(oauth_world)
    state = browser.begin(scene(oauth_world))
    link = f"/wechat/enter?code=oauth-code-1&state={state}"
    first = browser.send(link)
    assert "__Host-wechat" not in browser.cookies
    oauth_world.clock.time += STATE_LIFETIME - 1
    second = browser.get(link)
    assert second.headers["Location"] == first.headers["Location"] == f"{PAGE}?login={LOGIN}"
    assert browser.method == "sms"
    assert len(oauth_platform.asked(EXCHANGE)) == 1


def test_a_repeat_ends_ten_minutes_after_the_exchange(
    oauth_world: World, oauth_platform: WeChat
) -> None:
    """Counted from the exchange, even if that came at the end of the state's own ten minutes."""
    browser = Browser(oauth_world)
    state = browser.begin(scene(oauth_world))
    oauth_world.clock.time += STATE_LIFETIME - 1
    assert browser.complete(state).headers["Location"] == f"{PAGE}?login={LOGIN}"
    oauth_world.clock.time += STATE_LIFETIME - 1
    assert browser.complete(state).headers["Location"] == f"{PAGE}?login={LOGIN}"
    oauth_world.clock.time += 1
    late = browser.complete(state).headers["Location"]
    assert late.startswith(f"{PAGE}?entry=recovery-expired")
    assert len(oauth_platform.asked(EXCHANGE)) == 1


def test_a_state_that_was_never_completed_ends_after_ten_minutes(
    oauth_world: World, oauth_platform: WeChat
) -> None:
    """Its cookie lives longer, for repeats."""
    browser = Browser(oauth_world)
    state = browser.begin()
    oauth_world.clock.time += STATE_LIFETIME
    assert browser.complete(state).headers["Location"] == f"{PAGE}?entry=recovery-expired"
    assert oauth_platform.asked(EXCHANGE) == []


@pytest.mark.parametrize("discarded", [0, 1], ids=["first", "second"])
def test_a_parallel_repeat_waits_for_the_first(
    parallel_world: World, oauth_platform: WeChat, discarded: int
) -> None:
    """Whichever response the browser discards, the other one has the openid and the login."""
    world = parallel_world
    first, second = _in_parallel(world, oauth_platform, [GRANTED])
    assert len(oauth_platform.asked(EXCHANGE)) == 1
    for answer in (first, second):
        assert answer.headers["Location"] == f"{PAGE}?login={LOGIN}"
    browser = Browser(world)
    cookie_jar.store(browser.cookies, (second, first)[discarded])
    assert browser.method == "sms"


def test_a_parallel_repeat_exchanges_anew_after_a_failure(
    parallel_world: World, oauth_platform: WeChat
) -> None:
    """WeChat fails for the first request, and the second one did not wait in vain."""
    first, second = _in_parallel(parallel_world, oauth_platform, [FAILED, GRANTED])
    assert first.headers["Location"] == f"{PAGE}?entry=unavailable&login={LOGIN}"
    assert second.headers["Location"] == f"{PAGE}?login={LOGIN}"
    assert len(oauth_platform.asked(EXCHANGE)) == 2


def _in_parallel(
    world: World, oauth_platform: WeChat, answers: list[Any]
) -> tuple[HTTPResponse, HTTPResponse]:
    """Return the responses to two requests of one return; the second one comes during the first."""
    exchanging, waiting, finished = (threading.Event() for _ in range(3))

    def during_the_exchange() -> Any:
        exchanging.set()
        assert waiting.wait(60)
        return answers[0]

    def pause(_: float) -> None:
        waiting.set()
        assert finished.wait(60)

    oauth_platform.answers[EXCHANGE] = [during_the_exchange, *answers[1:]]
    world.pauses.wait = pause
    browser = Browser(world)
    link = f"/wechat/enter?code=oauth-code-1&state={browser.begin(scene(world))}"
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(browser.send, link)
        assert exchanging.wait(60)
        second = pool.submit(browser.send, link)
        answered = first.result(60)
        finished.set()
        return answered, second.result(60)


def test_of_many_parallel_requests_one_exchanges(
    parallel_world: World, oauth_platform: WeChat
) -> None:
    """The store decides which one, and all have the same result."""
    world = parallel_world
    browser = Browser(world)
    link = f"/wechat/enter?code=oauth-code-1&state={browser.begin(scene(world))}"
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: browser.send(link), range(6)))
    assert {answer.headers["Location"] for answer in answers} == {f"{PAGE}?login={LOGIN}"}
    assert len(oauth_platform.asked(EXCHANGE)) == 1
    for answer in answers:
        each = Browser(world)
        cookie_jar.store(each.cookies, answer)
        assert "__Host-wechat" in each.cookies


def test_a_repeat_does_not_wait_for_ever(oauth_world: World, oauth_platform: WeChat) -> None:
    """A function that ended in mid-exchange holds it for ten seconds at the most."""
    browser = Browser(oauth_world)
    state = browser.begin(scene(oauth_world))
    oauth_world.service.wechat_login._exchanges.claim(state, oauth_world.clock())
    waited: list[float] = []
    oauth_world.pauses.wait = waited.append
    answer = browser.complete(state)
    assert answer.headers["Location"] == f"{PAGE}?entry=unavailable&login={LOGIN}"
    assert 0 < sum(waited) <= PATIENCE
    assert oauth_platform.asked(EXCHANGE) == []

    # Also where each call to the store is slow.
    def wait(seconds: float) -> None:
        waited.append(seconds)
        oauth_world.clock.time += 1

    waited.clear()
    oauth_world.pauses.wait = wait
    assert "entry=unavailable" in browser.complete(state).headers["Location"]
    assert len(waited) <= PATIENCE
    oauth_world.clock.time += LEASE
    assert browser.complete(state).headers["Location"] == f"{PAGE}?login={LOGIN}"


def test_a_repeat_after_a_failure_exchanges_anew(
    oauth_world: World, oauth_platform: WeChat
) -> None:
    """WeChat was down for the first one: at once, without waiting for it to end."""
    oauth_platform.answers[EXCHANGE] = [FAILED, GRANTED]
    browser = Browser(oauth_world)
    state = browser.begin(scene(oauth_world))
    failed = browser.complete(state)
    assert failed.headers["Location"] == f"{PAGE}?entry=unavailable&login={LOGIN}"
    waited: list[float] = []
    oauth_world.pauses.wait = waited.append
    assert browser.complete(state).headers["Location"] == f"{PAGE}?login={LOGIN}"
    assert waited == []
    assert browser.method == "sms"


def test_a_code_that_another_request_has_used_is_no_failure(
    oauth_world: World, oauth_platform: WeChat
) -> None:
    """A slow exchange outlives its claim; the other request finds the code used, and the result."""
    browser = Browser(oauth_world)
    state = browser.begin(scene(oauth_world))
    link = f"/wechat/enter?code=oauth-code-1&state={state}"

    def overtaken() -> Any:
        oauth_world.clock.time += LEASE
        oauth_platform.answers[EXCHANGE] = [GRANTED]
        assert "login=" in browser.send(link).headers["Location"]
        return refusal(40163)

    oauth_platform.answers[EXCHANGE] = [overtaken]
    assert browser.complete(state).headers["Location"] == f"{PAGE}?login={LOGIN}"
    assert browser.method == "sms"


@pytest.mark.parametrize("reverse", [False, True], ids=["in order", "newer first"])
def test_two_tabs_have_a_round_trip_each(
    oauth_world: World, oauth_platform: WeChat, reverse: bool
) -> None:
    """Each returns with its own login, in either order."""
    browser = Browser(oauth_world)
    logins = ["11010148", LOGIN]
    tabs = [(login, browser.begin(scene(oauth_world, login))) for login in logins]
    for login, state in tabs[::-1] if reverse else tabs:
        assert browser.complete(state).headers["Location"] == f"{PAGE}?login={login}"
    assert len(oauth_platform.asked(EXCHANGE)) == 2


@pytest.mark.parametrize(
    ("answer", "entry"),
    [(FAILED, "unavailable"), (refusal(40029), "invalid-input"), (SNAPSHOT, "snapshot")],
    ids=["unavailable", "refused", "snapshot"],
)
def test_an_older_cookie_does_not_identify_a_newer_return(
    oauth_world: World, oauth_platform: WeChat, answer: Any, entry: str
) -> None:
    """The browser knows o-old; the newer return, perhaps of another WeChat, identifies nobody."""
    browser = Browser(oauth_world)
    oauth_platform.answers[EXCHANGE] = [granted("o-old")]
    browser.complete(browser.begin())
    assert browser.method == "sms"
    oauth_platform.answers[EXCHANGE] = [answer]
    redirect = browser.complete(browser.begin())
    assert redirect.headers["Location"] == f"{PAGE}?entry={entry}"
    assert browser.method == "follow"


def test_a_repeat_of_the_newer_return_has_its_own_openid(
    oauth_world: World, oauth_platform: WeChat
) -> None:
    """Not that of the cookie that the browser had before."""
    send_message(oauth_world, {"MsgType": "event", "Event": "subscribe"}, "o-new")
    browser = Browser(oauth_world)
    oauth_platform.answers[EXCHANGE] = [granted("o-old"), granted("o-new")]
    browser.complete(browser.begin())
    state = browser.begin()
    browser.send(f"/wechat/enter?code=oauth-code-2&state={state}")
    browser.complete(state)
    token = browser.start().json_body["token"]
    oauth_world.send(token)
    assert oauth_world.confirm(token, oauth_world.phones.codes[0]).json_body["wechat_bound"]
    assert LoginItem.get("11010148").openid == "o-new"


def test_a_foreign_return_does_not_use_the_cookie(oauth_world: World) -> None:
    """It is refused, and the browser stays as it was: others could send it such a link."""
    browser = Browser(oauth_world)
    browser.complete(browser.begin())
    foreign = Browser(oauth_world).begin()
    answer = browser.complete(foreign)
    assert answer.headers["Location"] == f"{PAGE}?entry=recovery-expired"
    assert "Set-Cookie" not in answer.headers
    assert browser.method == "sms"


@pytest.mark.parametrize("flag", [1, "1", True, 2], ids=repr)
def test_a_snapshot_is_no_person(oauth_world: World, oauth_platform: WeChat, flag: Any) -> None:
    """The page explains how to continue and works as elsewhere; a repeat is the same."""
    oauth_platform.answers[EXCHANGE] = [{**SNAPSHOT, "is_snapshotuser": flag}]
    browser = Browser(oauth_world)
    state = browser.begin(scene(oauth_world))
    for _ in range(2):
        answer = browser.complete(state)
        assert answer.headers["Location"] == f"{PAGE}?entry=snapshot&login={LOGIN}"
        assert "__Host-wechat" not in browser.cookies
    assert len(oauth_platform.asked(EXCHANGE)) == 1
    page = browser.get(f"/?entry=snapshot&login={LOGIN}").body.decode()
    assert ENTRY["snapshot"] in page
    assert 'data-inside="0"' in page
    assert browser.method == "follow"
    # In the full page WeChat has another code for the person.
    oauth_platform.answers[EXCHANGE] = [GRANTED]
    assert browser.complete(browser.begin()).headers["Location"] == PAGE
    assert browser.method == "sms"


@pytest.mark.parametrize("flag", [None, 0, "0", ""], ids=repr)
def test_an_unset_flag_is_a_person(oauth_world: World, oauth_platform: WeChat, flag: Any) -> None:
    """WeChat omits the field for a person."""
    oauth_platform.answers[EXCHANGE] = [{**GRANTED, "is_snapshotuser": flag}]
    browser = Browser(oauth_world)
    assert browser.complete(browser.begin()).headers["Location"] == PAGE
    assert browser.method == "sms"


def test_a_result_that_is_not_stored_identifies_the_browser(
    oauth_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store fails after WeChat has used up the code: only a repeat fails for it."""
    exchanges = oauth_world.service.wechat_login._exchanges
    monkeypatch.setattr(type(exchanges), "record", _failing(type(exchanges).record))
    browser = Browser(oauth_world)
    assert browser.complete(browser.begin()).headers["Location"] == PAGE
    assert browser.method == "sms"


def _failing(method: Callable[..., None]) -> Callable[..., None]:
    """Return a method of the exchanges, whose write fails."""
    from botocore.exceptions import EndpointConnectionError

    from chalicelib.store import oauth_exchanges
    from chalicelib.store.dynamo import translate_errors

    def fail(*_: Any) -> None:
        with translate_errors():
            raise EndpointConnectionError(endpoint_url="https://dynamodb.example")

    def failing(*arguments: Any) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(oauth_exchanges, "update", fail)
            method(*arguments)

    return failing


def test_an_exchange_that_is_not_released_ends_with_its_lease(
    oauth_world: World, oauth_platform: WeChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WeChat failed, and then the store: a repeat succeeds ten seconds later."""
    oauth_platform.answers[EXCHANGE] = [FAILED, GRANTED]
    exchanges = oauth_world.service.wechat_login._exchanges
    browser = Browser(oauth_world)
    state = browser.begin(scene(oauth_world))
    with monkeypatch.context() as patch:
        patch.setattr(type(exchanges), "release", _failing(type(exchanges).release))
        assert "entry=unavailable" in browser.complete(state).headers["Location"]
    assert "entry=unavailable" in browser.complete(state).headers["Location"]
    oauth_world.clock.time += LEASE
    assert browser.complete(state).headers["Location"] == f"{PAGE}?login={LOGIN}"
