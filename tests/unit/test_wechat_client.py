"""The platform client: what it asks of WeChat, and what it makes of the answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.wechat.client import OAuthRefused, TemplateOutcome, TemplateResult, WechatClient
from tests.support.wechat_platform import (
    APP_ID,
    BUSY,
    CALLS,
    CODE,
    EXCHANGE,
    INFO,
    MENU,
    OPENID,
    QR,
    RID,
    SECRET,
    SEND,
    SENT,
    STABLE,
    STALE,
    TEMPLATE,
    Clock,
    WeChat,
    alarms,
    platform_at,
    playing,
    refusal,
    send,
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wechat() -> Iterator[WeChat]:
    with playing() as wechat:
        yield wechat


@pytest.fixture
def platform(wechat: WeChat, clock: Clock) -> WechatClient:
    return platform_at(wechat.url, clock)


# What goes out.


def test_the_way_to_oauth_is_as_wechat_compares_it() -> None:
    """The parameters stand in WeChat's order, encoded, with its fragment at the end."""
    url = platform_at("https://api.weixin.qq.com", Clock()).authorize_url(
        "https://recovery.example/wechat/enter", "0123abc"
    )
    assert url == (
        "https://open.weixin.qq.com/connect/oauth2/authorize?appid=wx0123456789abcdef"
        "&redirect_uri=https%3A%2F%2Frecovery.example%2Fwechat%2Fenter&response_type=code"
        "&scope=snsapi_base&state=0123abc#wechat_redirect"
    )


def test_a_template_message_is_raw_utf8(wechat: WeChat, platform: WechatClient) -> None:
    """People would read \\u escapes as they stand; the token is in the address, as WeChat wants."""
    wechat.answers[SEND] = [SENT]
    assert send(platform) == TemplateResult(TemplateOutcome.SENT, "3001234567890123456")
    (request,) = wechat.asked(SEND)
    assert request.method == "POST"
    assert parse_qs(urlsplit(request.path).query) == {"access_token": ["canary-token-1"]}
    assert request.headers["content-type"] == "application/json; charset=utf-8"
    assert "5分钟内有效".encode() in request.body
    assert json.loads(request.body) == {
        "touser": OPENID,
        "template_id": TEMPLATE,
        "url": "https://recovery.example/wechat/enter",
        "client_msg_id": "m1",
        "data": {
            "thing3": {"value": "5分钟内有效"},
            "character_string1": {"value": "11010148_cw"},
        },
    }


def test_the_token_is_asked_for_in_normal_mode(wechat: WeChat, platform: WechatClient) -> None:
    """A forced refresh would end the token under everybody else's hands."""
    wechat.answers[MENU] = [{"errcode": 0, "errmsg": "ok"}]
    platform.create_menu({"button": []})
    (request,) = wechat.asked(STABLE)
    assert json.loads(request.body) == {
        "grant_type": "client_credential",
        "appid": APP_ID,
        "secret": SECRET,
        "force_refresh": False,
    }


# What comes back.


@pytest.mark.parametrize(
    ("errcode", "outcome"),
    [
        (43004, TemplateOutcome.NOT_FOLLOWING),
        (40037, TemplateOutcome.NO_TEMPLATE),
        (47003, TemplateOutcome.NO_TEMPLATE),
        (48001, TemplateOutcome.NO_TEMPLATE),
        (45009, TemplateOutcome.NO_TEMPLATE),
        (45011, TemplateOutcome.NO_TEMPLATE),
        (43116, TemplateOutcome.NO_TEMPLATE),
        (40003, TemplateOutcome.REFUSED),
        (43019, TemplateOutcome.REFUSED),
        (43101, TemplateOutcome.REFUSED),
        (43117, TemplateOutcome.REFUSED),
    ],
)
def test_refusals_of_a_template_have_their_outcomes(
    wechat: WeChat, platform: WechatClient, errcode: int, outcome: TemplateOutcome
) -> None:
    """A refusal is final: it is asked once, and tells the account's state from the person's."""
    wechat.answers[SEND] = [refusal(errcode)]
    assert send(platform) == TemplateResult(outcome, errcode=errcode)
    assert len(wechat.asked(SEND)) == 1


def test_a_busy_platform_is_asked_again_with_the_same_id(
    wechat: WeChat, platform: WechatClient, clock: Clock
) -> None:
    """After -1 the message goes out again after a pause, and WeChat can tell that it is the same."""
    wechat.answers[SEND] = [BUSY, BUSY, SENT]
    assert send(platform).outcome is TemplateOutcome.SENT
    bodies = [json.loads(request.body) for request in wechat.asked(SEND)]
    assert len(bodies) == 3
    assert {body["client_msg_id"] for body in bodies} == {"m1"}
    assert clock.slept == [0.3, 0.6]


@pytest.mark.parametrize("path", CALLS)
def test_a_platform_that_stays_busy_is_unavailable(
    wechat: WeChat, platform: WechatClient, path: str
) -> None:
    """Three tries, and then the person is told."""
    wechat.answers[path] = [BUSY]
    with pytest.raises(Unavailable) as caught:
        CALLS[path](platform)
    assert caught.value.dependency == "wechat"
    assert len(wechat.asked(path)) == 3


def test_a_call_ends_within_its_patience(
    wechat: WeChat, platform: WechatClient, clock: Clock
) -> None:
    """Repeats stop when the person has waited long enough, however many are left."""
    wechat.answers[SEND] = [BUSY]
    clock.pace = 15
    with pytest.raises(Unavailable):
        send(platform)
    assert len(wechat.asked(SEND)) == 2


# The token.


@pytest.mark.parametrize("errcode", [40001, 40014, 42001])
@pytest.mark.parametrize("path", [path for path in CALLS if path != EXCHANGE])
def test_a_refused_token_costs_one_refresh_and_one_repeat(
    wechat: WeChat, platform: WechatClient, path: str, errcode: int
) -> None:
    """And no message is lost by it."""
    good = {**SENT, "subscribe": 1, "url": "http://weixin.qq.com/q/02"}
    wechat.answers[path] = [{**STALE, "errcode": errcode}, good]
    CALLS[path](platform)
    assert wechat.tokens == 2
    tokens = [
        parse_qs(urlsplit(request.path).query)["access_token"] for request in wechat.asked(path)
    ]
    assert tokens == [["canary-token-1"], ["canary-token-2"]]


def test_a_new_token_refused_as_well_is_the_end(
    wechat: WeChat, platform: WechatClient, caplog: pytest.LogCaptureFixture
) -> None:
    """One refresh and one repeat, never a loop; somebody must look."""
    wechat.answers[SEND] = wechat.answers[MENU] = [STALE]
    assert send(platform) == TemplateResult(TemplateOutcome.NO_TEMPLATE, errcode=40001)
    assert (len(wechat.asked(SEND)), wechat.tokens) == (2, 2)
    assert alarms(caplog) == ["wechat-40001"]
    with pytest.raises(Unavailable):
        platform.create_menu({})


@pytest.mark.parametrize(
    "answer",
    [
        BUSY,
        {"access_token": "", "expires_in": 7200},
        {"access_token": "x"},
        {"access_token": "x", "expires_in": "7200"},
        {"access_token": "x", "expires_in": 0},
        {"access_token": 1, "expires_in": 7200},
        None,
        (500, b""),
    ],
    ids=str,
)
def test_without_a_token_nothing_is_sent(
    wechat: WeChat, platform: WechatClient, answer: Any
) -> None:
    """The message certainly did not go out, so the person may try again at once."""
    wechat.answers[STABLE], wechat.answers[SEND] = [answer], [SENT]
    with pytest.raises(Unavailable) as caught:
        send(platform)
    assert caught.value.__cause__ is None
    assert wechat.asked(SEND) == []


@pytest.mark.parametrize(
    ("errcode", "words"),
    [
        (40164, "invalid ip 1.2.3.4, not in whitelist"),
        (40125, "invalid appsecret"),
        (40013, "invalid appid"),
    ],
)
def test_an_account_that_gets_no_token_cannot_push(
    wechat: WeChat, platform: WechatClient, errcode: int, words: str
) -> None:
    """The person may still fetch the code; an operator's command is told what WeChat said."""
    wechat.answers[STABLE] = [{"errcode": errcode, "errmsg": f"{words} {RID}"}]
    wechat.answers[SEND] = wechat.answers[MENU] = [SENT]
    assert send(platform) == TemplateResult(TemplateOutcome.NO_TEMPLATE, errcode=errcode)
    with pytest.raises(Unavailable) as caught:
        platform.create_menu({"button": []})
    assert str(caught.value.__cause__) == f"errcode {errcode} rid {RID.removeprefix('rid: ')}"
    assert wechat.asked(SEND) == wechat.asked(MENU) == []


# Each call.


def test_an_oauth_code_becomes_its_openid(wechat: WeChat, platform: WechatClient) -> None:
    """The server asks, with its secret; the browser never sees either."""
    wechat.answers[EXCHANGE] = [
        {
            "access_token": "of-the-person",
            "expires_in": 7200,
            "refresh_token": "r",
            "openid": OPENID,
            "scope": "snsapi_base",
        }
    ]
    assert platform.exchange(CODE) == OPENID
    (request,) = wechat.received
    assert request.method == "GET"
    assert parse_qs(urlsplit(request.path).query) == {
        "appid": [APP_ID],
        "secret": [SECRET],
        "code": [CODE],
        "grant_type": ["authorization_code"],
    }


@pytest.mark.parametrize("errcode", [40029, 40163, 41008, 42003, 40226])
def test_a_code_that_wechat_does_not_take_is_refused(
    wechat: WeChat, platform: WechatClient, errcode: int
) -> None:
    """Wrong, used, missing or too old: the person enters anew."""
    wechat.answers[EXCHANGE] = [refusal(errcode, "invalid code")]
    with pytest.raises(OAuthRefused):
        platform.exchange(CODE)
    assert len(wechat.received) == 1


@pytest.mark.parametrize(
    "answer",
    [
        refusal(40125),
        refusal(40164),
        {"scope": "snsapi_base"},
        {"openid": ""},
        {"openid": 1},
        {"openid": "o x"},
        {"openid": "o\n"},
        {"openid": "号"},
        {"openid": "o" * 129},
    ],
    ids=str,
)
def test_an_exchange_without_an_openid_is_unavailable(
    wechat: WeChat, platform: WechatClient, answer: Any
) -> None:
    """A fault of the account or the platform is no fault of the person's code."""
    wechat.answers[EXCHANGE] = [answer]
    with pytest.raises(Unavailable):
        platform.exchange(CODE)


def test_a_qr_code_carries_its_scene_and_ends(wechat: WeChat, platform: WechatClient) -> None:
    """The scene is text, and what is drawn is the address that WeChat gives."""
    wechat.answers[QR] = [
        {"ticket": "gQH47joAAA", "expire_seconds": 1800, "url": "http://weixin.qq.com/q/kZgf"}
    ]
    assert platform.follow_qr("11010148.abc", 1800) == "http://weixin.qq.com/q/kZgf"
    assert json.loads(wechat.asked(QR)[0].body) == {
        "expire_seconds": 1800,
        "action_name": "QR_STR_SCENE",
        "action_info": {"scene": {"scene_str": "11010148.abc"}},
    }
    wechat.answers[QR] = [{"ticket": "gQH47joAAA"}]
    with pytest.raises(Unavailable):
        platform.follow_qr("11010148.abc", 1800)


@pytest.mark.parametrize(
    ("answer", "following"),
    [
        ({"subscribe": 1, "openid": OPENID, "subscribe_time": 1_382_694_957}, True),
        ({"subscribe": 0, "openid": OPENID, "tagid_list": []}, False),
        (refusal(40003, "invalid openid"), False),
    ],
    ids=str,
)
def test_user_info_tells_who_follows(
    wechat: WeChat, platform: WechatClient, answer: Any, following: bool
) -> None:
    """An openid of another account is nobody who could follow this one."""
    wechat.answers[INFO] = [answer]
    assert platform.is_following(OPENID) is following
    query = parse_qs(urlsplit(wechat.asked(INFO)[0].path).query)
    assert query["openid"] == [OPENID]
    wechat.answers[INFO] = [{"openid": OPENID}]
    with pytest.raises(Unavailable):
        platform.is_following(OPENID)


def test_the_menu_goes_out_as_it_is(wechat: WeChat, platform: WechatClient) -> None:
    """Its names are UTF-8."""
    wechat.answers[MENU] = [{"errcode": 0, "errmsg": "ok"}]
    platform.create_menu({"button": [{"name": "找回密码"}]})
    assert wechat.asked(MENU)[0].body == '{"button": [{"name": "找回密码"}]}'.encode()
