"""The platform client: its requests to WeChat, and its reading of the responses."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.wechat.client import OAuthRefused, WechatClient
from chalicelib.wechat.template_results import TemplateOutcome, TemplateResult
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
    refusal,
    send,
)

# What goes out.


def test_the_oauth_address_has_wechat_s_form() -> None:
    """The parameters are in WeChat's order and encoded, with its fragment at the end."""
    url = platform_at("https://api.weixin.qq.com", Clock()).authorize_url(
        "https://recovery.example/wechat/enter", "0123abc"
    )
    assert url == (
        "https://open.weixin.qq.com/connect/oauth2/authorize?appid=wx0123456789abcdef"
        "&redirect_uri=https%3A%2F%2Frecovery.example%2Fwechat%2Fenter&response_type=code"
        "&scope=snsapi_base&state=0123abc#wechat_redirect"
    )


def test_a_template_message_is_raw_utf8(
    wechat_platform: WeChat, wechat_client: WechatClient
) -> None:
    r"""\u escapes would be shown as they are; the token is in the URL, as WeChat requires."""
    wechat_platform.answers[SEND] = [SENT]
    assert send(wechat_client) == TemplateResult(TemplateOutcome.SENT, "3001234567890123456")
    (request,) = wechat_platform.asked(SEND)
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


def test_the_token_is_requested_in_normal_mode(
    wechat_platform: WeChat, wechat_client: WechatClient
) -> None:
    """A forced refresh would end the token that other processes use."""
    wechat_platform.answers[MENU] = [{"errcode": 0, "errmsg": "ok"}]
    wechat_client.create_menu({"button": []})
    (request,) = wechat_platform.asked(STABLE)
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
    wechat_platform: WeChat, wechat_client: WechatClient, errcode: int, outcome: TemplateOutcome
) -> None:
    """A refusal is final; faults of the account and of the person differ."""
    wechat_platform.answers[SEND] = [refusal(errcode)]
    assert send(wechat_client) == TemplateResult(outcome, errcode=errcode)
    assert len(wechat_platform.asked(SEND)) == 1


def test_a_message_to_a_busy_platform_is_repeated_with_its_id(
    wechat_platform: WeChat, wechat_client: WechatClient, wechat_clock: Clock
) -> None:
    """After -1 it is sent again after a pause, and WeChat recognizes the repeat."""
    wechat_platform.answers[SEND] = [BUSY, BUSY, SENT]
    assert send(wechat_client).outcome is TemplateOutcome.SENT
    bodies = [json.loads(request.body) for request in wechat_platform.asked(SEND)]
    assert len(bodies) == 3
    assert {body["client_msg_id"] for body in bodies} == {"m1"}
    assert wechat_clock.slept == [0.3, 0.6]


@pytest.mark.parametrize("path", CALLS)
def test_a_platform_that_stays_busy_is_unavailable(
    wechat_platform: WeChat, wechat_client: WechatClient, path: str
) -> None:
    """There are three attempts."""
    wechat_platform.answers[path] = [BUSY]
    with pytest.raises(Unavailable) as caught:
        CALLS[path](wechat_client)
    assert caught.value.dependency == "wechat"
    assert len(wechat_platform.asked(path)) == 3


def test_a_call_ends_within_its_patience(
    wechat_platform: WeChat, wechat_client: WechatClient, wechat_clock: Clock
) -> None:
    """Repeats end at the call's time limit, however many are left."""
    wechat_platform.answers[SEND] = [BUSY]
    wechat_clock.pace = 15
    with pytest.raises(Unavailable):
        send(wechat_client)
    assert len(wechat_platform.asked(SEND)) == 2


# The token.


@pytest.mark.parametrize("errcode", [40001, 40014, 42001])
@pytest.mark.parametrize("path", [path for path in CALLS if path != EXCHANGE])
def test_a_refused_token_costs_one_refresh_and_one_repeat(
    wechat_platform: WeChat, wechat_client: WechatClient, path: str, errcode: int
) -> None:
    """No message is lost."""
    good = {**SENT, "subscribe": 1, "url": "http://weixin.qq.com/q/02"}
    wechat_platform.answers[path] = [{**STALE, "errcode": errcode}, good]
    CALLS[path](wechat_client)
    assert wechat_platform.tokens == 2
    tokens = [
        parse_qs(urlsplit(request.path).query)["access_token"]
        for request in wechat_platform.asked(path)
    ]
    assert tokens == [["canary-token-1"], ["canary-token-2"]]


def test_a_second_refusal_of_the_token_ends_the_call(
    wechat_platform: WeChat, wechat_client: WechatClient, caplog: pytest.LogCaptureFixture
) -> None:
    """One refresh and one repeat, never a loop; an alarm is raised."""
    wechat_platform.answers[SEND] = wechat_platform.answers[MENU] = [STALE]
    assert send(wechat_client) == TemplateResult(TemplateOutcome.NO_TEMPLATE, errcode=40001)
    assert (len(wechat_platform.asked(SEND)), wechat_platform.tokens) == (2, 2)
    assert alarms(caplog) == ["wechat-40001"]
    with pytest.raises(Unavailable):
        wechat_client.create_menu({})


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
    wechat_platform: WeChat, wechat_client: WechatClient, answer: Any
) -> None:
    """The message was certainly not sent, so a repeat is safe."""
    wechat_platform.answers[STABLE], wechat_platform.answers[SEND] = [answer], [SENT]
    with pytest.raises(Unavailable) as caught:
        send(wechat_client)
    assert caught.value.__cause__ is None
    assert wechat_platform.asked(SEND) == []


@pytest.mark.parametrize(
    ("errcode", "words"),
    [
        (40164, "invalid ip 1.2.3.4, not in whitelist"),
        (40125, "invalid appsecret"),
        (40013, "invalid appid"),
    ],
)
def test_an_account_without_a_token_cannot_push(
    wechat_platform: WeChat, wechat_client: WechatClient, errcode: int, words: str
) -> None:
    """The person can still fetch the code, and an operator's command shows WeChat's refusal."""
    wechat_platform.answers[STABLE] = [{"errcode": errcode, "errmsg": f"{words} {RID}"}]
    wechat_platform.answers[SEND] = wechat_platform.answers[MENU] = [SENT]
    assert send(wechat_client) == TemplateResult(TemplateOutcome.NO_TEMPLATE, errcode=errcode)
    with pytest.raises(Unavailable) as caught:
        wechat_client.create_menu({"button": []})
    assert str(caught.value.__cause__) == f"errcode {errcode} rid {RID.removeprefix('rid: ')}"
    assert wechat_platform.asked(SEND) == wechat_platform.asked(MENU) == []


# Each call.


def test_an_oauth_code_is_exchanged_for_its_openid(
    wechat_platform: WeChat, wechat_client: WechatClient
) -> None:
    """The server sends its secret; the browser has neither secret nor token."""
    wechat_platform.answers[EXCHANGE] = [
        {
            "access_token": "of-the-person",
            "expires_in": 7200,
            "refresh_token": "r",
            "openid": OPENID,
            "scope": "snsapi_base",
        }
    ]
    assert wechat_client.exchange(CODE) == OPENID
    (request,) = wechat_platform.received
    assert request.method == "GET"
    assert parse_qs(urlsplit(request.path).query) == {
        "appid": [APP_ID],
        "secret": [SECRET],
        "code": [CODE],
        "grant_type": ["authorization_code"],
    }


@pytest.mark.parametrize(
    ("mark", "is_person"),
    [(None, True), (0, True), ("0", True), ("", True), (1, False), ("1", False), (True, False)],
    ids=repr,
)
def test_the_virtual_account_of_a_snapshot_page_is_no_person(
    wechat_platform: WeChat, wechat_client: WechatClient, mark: Any, is_person: bool
) -> None:
    """WeChat documents the number 1, and no field for a person.

    Source: the page of snsAccessToken in WeChat's documentation, field `is_snapshotuser`.
    """
    wechat_platform.answers[EXCHANGE] = [{"openid": OPENID, "is_snapshotuser": mark}]
    assert wechat_client.exchange(CODE) == (OPENID if is_person else None)


@pytest.mark.parametrize("errcode", [40029, 40163, 41008, 42003, 40226])
def test_a_refused_oauth_code_is_refused(
    wechat_platform: WeChat, wechat_client: WechatClient, errcode: int
) -> None:
    """Wrong, used, missing or expired: the person logs in again."""
    wechat_platform.answers[EXCHANGE] = [refusal(errcode, "invalid code")]
    with pytest.raises(OAuthRefused):
        wechat_client.exchange(CODE)
    assert len(wechat_platform.received) == 1


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
    wechat_platform: WeChat, wechat_client: WechatClient, answer: Any
) -> None:
    """A fault of the account or the platform is no fault of the person's code."""
    wechat_platform.answers[EXCHANGE] = [answer]
    with pytest.raises(Unavailable):
        wechat_client.exchange(CODE)


def test_a_qr_code_has_a_scene_and_an_expiry(
    wechat_platform: WeChat, wechat_client: WechatClient
) -> None:
    """The scene is text; the code to draw is the URL in WeChat's response."""
    wechat_platform.answers[QR] = [
        {"ticket": "gQH47joAAA", "expire_seconds": 1800, "url": "http://weixin.qq.com/q/kZgf"}
    ]
    assert wechat_client.follow_qr("11010148.abc", 1800) == "http://weixin.qq.com/q/kZgf"
    assert json.loads(wechat_platform.asked(QR)[0].body) == {
        "expire_seconds": 1800,
        "action_name": "QR_STR_SCENE",
        "action_info": {"scene": {"scene_str": "11010148.abc"}},
    }
    wechat_platform.answers[QR] = [{"ticket": "gQH47joAAA"}]
    with pytest.raises(Unavailable):
        wechat_client.follow_qr("11010148.abc", 1800)


@pytest.mark.parametrize(
    ("answer", "following"),
    [
        ({"subscribe": 1, "openid": OPENID, "subscribe_time": 1_382_694_957}, True),
        ({"subscribe": 0, "openid": OPENID, "tagid_list": []}, False),
        (refusal(40003, "invalid openid"), False),
    ],
    ids=str,
)
def test_user_info_distinguishes_followers(
    wechat_platform: WeChat, wechat_client: WechatClient, answer: Any, following: bool
) -> None:
    """An openid of another account is no follower."""
    wechat_platform.answers[INFO] = [answer]
    assert wechat_client.is_following(OPENID) is following
    query = parse_qs(urlsplit(wechat_platform.asked(INFO)[0].path).query)
    assert query["openid"] == [OPENID]
    wechat_platform.answers[INFO] = [{"openid": OPENID}]
    with pytest.raises(Unavailable):
        wechat_client.is_following(OPENID)


def test_the_menu_is_sent_as_utf8(wechat_platform: WeChat, wechat_client: WechatClient) -> None:
    """Its names are UTF-8."""
    wechat_platform.answers[MENU] = [{"errcode": 0, "errmsg": "ok"}]
    wechat_client.create_menu({"button": [{"name": "找回密码"}]})
    assert wechat_platform.asked(MENU)[0].body == '{"button": [{"name": "找回密码"}]}'.encode()
