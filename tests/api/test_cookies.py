"""Cookies beside those of other programs: ours are read whatever the browser sends with them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from chalice.app import Request
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app import app
from chalicelib import runtime
from chalicelib.handlers.http import cookies
from chalicelib.handlers.http.cookies import MAXIMUM_STATES
from chalicelib.security.tokens import COOKIE_LIFETIME
from chalicelib.services.wechat_login import OAuthState
from tests.conftest import MakeWorld, World, add_firm
from tests.support.wechat_platform import INFO, playing

# Most of them end the reading of `http.cookies`; browsers store and send them all the same.
# Sources: github.com/python/cpython/issues/86111 and 92936 (JSON, brackets; Google's `g_state` is
# such a cookie), 75637 (white space in a name), github.com/ckan/ckan/issues/7700 and
# github.com/aio-libs/aiohttp/issues/7330 (another program of the domain hides the session), and the
# thread "Handling cookies that contain illegal values" of django-users, 2016 (raw UTF-8).
NEIGHBOURS = [
    'a={"b":1}',
    'a={"b":"c","d":[1,2]}',
    "a=b c",
    "a=b, c",
    'a="b',
    'a="b\\"; c="d"',
    "a",
    "=",
    "=a",
    "",
    " ",
    "a;;",
    "a==",
    "姓名=张三",
    "a=%E5%BC%A0%E4%B8%89",
    "a=中国注册会计师协会",
    "a=\udce4\xb8\xad",
    "a/b=c",
    "a@b=c",
    "a[b]=c",
    "a{b}=c",
    "a:b=c",
    "a(b)=c",
    "path=/x",
    "expires=Thu, 01 Jan 1970 00:00:00 GMT",
    "secure",
    "httponly=1",
    "domain=.example",
    "$Version=1",
    "a=\x00\x1f\x7f",
    "a=" + "b" * 5_000,
]


@pytest.fixture(scope="module")
def wechat_url() -> Any:
    """A WeChat platform at which every WeChat follows the account."""
    with playing() as platform:
        platform.answers[INFO] = [{"subscribe": 1}]
        yield platform.url


@pytest.fixture
def world(make_world: MakeWorld, wechat_url: str) -> World:
    """A firm with a phone."""
    world = make_world(WECHAT_API_URL=wechat_url)
    add_firm(world.service.hasher)
    return world


def ours(world: World, openid: str = "o-alice") -> str:
    return cookies.keep_visitor_openid(world.service, openid).partition(";")[0]


def event(*headers: str) -> dict[str, Any]:
    """Return API Gateway's event of a request for the page with these Cookie headers.

    Its `headers` has the last value of a repeated header alone.
    """
    return {
        "headers": {"Cookie": headers[-1]} if headers else {},
        "multiValueHeaders": {"Cookie": list(headers)} if headers else None,
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "body": None,
        "requestContext": {"httpMethod": "GET", "resourcePath": "/", "path": "/", "identity": {}},
    }


def is_inside(world: World, *headers: str) -> bool:
    """Return whether the page was served as one inside WeChat, for these Cookie headers."""
    with runtime.using(world.service):
        answer = app(event(*headers), None)
    assert answer["statusCode"] == 200, answer
    return 'data-inside="1"' in answer["body"]


@pytest.mark.parametrize("neighbour", NEIGHBOURS, ids=ascii)
def test_a_cookie_of_another_program_hides_none_of_ours(world: World, neighbour: str) -> None:
    """Before ours, after it, and on both sides."""
    mine = ours(world)
    for header in (
        mine,
        f"{neighbour}; {mine}",
        f"{mine}; {neighbour}",
        f"{neighbour};{mine};{neighbour}",
        f" {neighbour} ;\t{mine} ;",
    ):
        assert is_inside(world, header), header
    assert not is_inside(world, neighbour)


def test_the_header_is_read_in_all_its_parts(world: World) -> None:
    """HTTP/2 lets a browser send each cookie in a header of its own (RFC 9113, section 8.2.3)."""
    mine = ours(world)
    assert is_inside(world, mine, "a=b")
    assert is_inside(world, "a=b", mine)
    assert is_inside(world, 'a={"b":1}', mine, "c")
    assert not is_inside(world, "a=b", "c=d")
    assert not is_inside(world)


def test_the_round_trip_ends_beside_a_cookie_of_another_program(world: World) -> None:
    """The second cookie is read in the same way as the first."""
    state = OAuthState("0123456789abcdef", "11010148", "scene", world.clock())
    [kept] = cookies.keep_oauth_state(world.service, Request(event()), state)
    mine = kept.partition(";")[0]

    request = Request(event(f'a={{"b":1}}; {mine}'))
    assert cookies.oauth_states(world.service, request) == [state]


def test_the_newest_round_trips_are_kept(world: World) -> None:
    """Four at the most: a new one removes the oldest ones, and those that are not readable."""
    jar: dict[str, str] = {"__Host-oauth_state-ffffffff": "forged", "__Host-oauth_state-X": "a"}
    begun = []
    for number in range(6):
        state = OAuthState(f"{number:08x}", None, None, world.clock())
        request = Request(event("; ".join(f"{name}={value}" for name, value in jar.items())))
        for cookie in cookies.keep_oauth_state(world.service, request, state):
            name, _, rest = cookie.partition("=")
            value, *attributes = rest.split("; ")
            assert {"Path=/", "HttpOnly", "SameSite=Lax", "Secure"} <= set(attributes)
            assert len(cookie) < 300
            if "Max-Age=0" in attributes:
                del jar[name]
            else:
                jar[name] = value
        begun.append(state)
        request = Request(event("; ".join(f"{name}={value}" for name, value in jar.items())))
        assert cookies.oauth_states(world.service, request) == begun[::-1][:MAXIMUM_STATES]
        world.clock.time += 1
    # The one whose name is not of this service stays as it is.
    assert len(jar) == MAXIMUM_STATES + 1 == 5


@pytest.mark.parametrize(
    "header",
    [
        "x{}",
        "x {}",
        "__host-{}",
        '"{}"',
        "\u2000{}",
        "\xa0{}",
        "\v{}",
        "a,{}",
        "a={}",
        "a {}",
    ],
    ids=ascii,
)
def test_a_cookie_of_another_name_is_not_ours(world: World, header: str) -> None:
    """A name that only resembles ours could be set by another host of the domain.

    Browsers check the prefix `__Host-` of the name as it is, so a server that strips U+2000 from a
    name accepts what they did not check. Source: PortSwigger's research on cookie prefixes, 2025.
    """
    assert not is_inside(world, header.format(ours(world)))


def test_a_forged_cookie_before_ours_is_passed_over(world: World) -> None:
    """A name may occur twice: the first value that is signed counts."""
    mine = ours(world)
    name = mine.partition("=")[0]
    for forged in ("", "x", mine.partition("=")[2][:-1], "验证"):
        assert is_inside(world, f"{name}={forged}; {mine}")
        assert not is_inside(world, f"{name}={forged}")
    world.clock.time += COOKIE_LIFETIME
    assert not is_inside(world, mine)


def test_any_cookies_are_read_or_ignored(world: World) -> None:
    """No header is answered with an error, and none hides our cookie."""
    mine = ours(world)
    start = {"user_type": "firm", "login": "99999999"}

    @settings(max_examples=150, deadline=None)
    @given(
        st.lists(st.text(max_size=30) | st.sampled_from(NEIGHBOURS), max_size=5),
        st.lists(st.text(max_size=30) | st.sampled_from(NEIGHBOURS), max_size=5),
        st.sampled_from(["; ", ";", " ; "]),
    )
    @example(["__Host-wechat", "__Host-wechat=;"], [], "; ")
    def read(before: list[str], after: list[str], separator: str) -> None:
        assert is_inside(world, separator.join([*before, mine, *after]))
        assert is_inside(world, *before, mine, *after)
        header = {"Cookie": separator.join([*before, *after])}
        answer = world.call("POST", "/recovery", start, headers=header)
        assert answer.status_code < 500, answer.body
        assert json.loads(answer.body)["code"]

    read()
