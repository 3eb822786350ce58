"""The interfaces of the WeChat simulator, as the service's own client calls them."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from chalicelib.wechat.client import OAuthRefused
from chalicelib.wechat.template_results import TemplateOutcome
from infra.local.wechat import grants
from infra.local.wechat.simulator import (
    CODE_TEMPLATE_ID,
    NOTICE_TEMPLATE_ID,
)
from tests.support.local_wechat import ALICE, APP_ID, BOB, FIELDS, SECRET, LocalWechat
from tests.support.waiting import wait_until

# What the account's server calls.


def test_a_template_reaches_followers_and_its_receipt_follows(local_wechat: LocalWechat) -> None:
    """The card has the template's labels, and TEMPLATESENDJOBFINISH the message's id."""
    local_wechat.wechat.follow(ALICE)
    local_wechat.service.reply = lambda message: ""
    result = local_wechat.platform.send_template(
        ALICE, CODE_TEMPLATE_ID, FIELDS, url="https://recovery.example/x", client_msg_id="m1"
    )
    assert result.outcome is TemplateOutcome.SENT
    card = local_wechat.wechat.account.chat(ALICE)[-1]
    assert (card.kind, card.url) == ("card", "https://recovery.example/x")
    assert card.fields == (
        ("登录账号", "11010148_cw"),
        ("验证码", "123456"),
        ("温馨提示", "5分钟内有效"),
    )
    wait_until(lambda: len(local_wechat.service.messages) >= 2)
    receipt = local_wechat.service.messages[-1]
    assert receipt.event == "templatesendjobfinish"
    assert str(receipt._data["MsgID"]) == result.msgid
    assert receipt._data["Status"] == "success"


def test_a_repeat_of_a_template_is_dropped(local_wechat: LocalWechat) -> None:
    """The same client_msg_id within ten minutes is one card, for one person."""
    for openid in (ALICE, BOB):
        local_wechat.wechat.follow(openid)

    def send(openid: str, once: str) -> Any:
        return local_wechat.platform.send_template(
            openid, CODE_TEMPLATE_ID, FIELDS, url=None, client_msg_id=once
        )

    assert send(ALICE, "m1").msgid == send(ALICE, "m1").msgid
    assert send(BOB, "m1").msgid != send(ALICE, "m1").msgid
    send(ALICE, "m2")
    local_wechat.clock.time += 601
    send(ALICE, "m1")
    cards = [kind for kind, _ in local_wechat.chat() if kind == "card"]
    assert len(cards) == 3


def test_refused_templates_have_wechat_s_codes(local_wechat: LocalWechat) -> None:
    """Other openids, unknown templates and malformed values each have a code."""

    def send(openid: str, template: str, fields: dict[str, str]) -> Any:
        return local_wechat.platform.send_template(
            openid, template, fields, url=None, client_msg_id="m"
        )

    assert send(ALICE, CODE_TEMPLATE_ID, FIELDS).outcome is TemplateOutcome.NOT_FOLLOWING
    local_wechat.wechat.follow(ALICE)
    for template, fields, errcode in (
        ("other", FIELDS, 40037),
        (CODE_TEMPLATE_ID, {**FIELDS, "thing3": "长" * 21}, 47003),
        (CODE_TEMPLATE_ID, {**FIELDS, "character_string2": "中"}, 47003),
        (CODE_TEMPLATE_ID, {"thing3": "x"}, 47003),
        (NOTICE_TEMPLATE_ID, {"thing1": "x", "character_string2": "1", "time3": "soon"}, 47003),
    ):
        result = send(ALICE, template, fields)
        assert (result.outcome, result.errcode) == (TemplateOutcome.NO_TEMPLATE, errcode)
    assert "card" not in [kind for kind, _ in local_wechat.chat()]


def test_tokens_live_as_stable_token_documents(local_wechat: LocalWechat) -> None:
    """A second request returns the same token; near its end a new one, and both are valid; a forced one ends the old."""

    def ask(**more: Any) -> dict[str, Any]:
        body = {"grant_type": "client_credential", "appid": APP_ID, "secret": SECRET, **more}
        return dict(
            requests.post(
                local_wechat.wechat.url + "/cgi-bin/stable_token", json=body, timeout=60
            ).json()
        )

    def usable(token: str) -> int:
        return int(
            local_wechat.call("/cgi-bin/user/info", access_token=token, openid=ALICE).get(
                "errcode", 0
            )
        )

    first = ask()
    assert ask()["access_token"] == first["access_token"]
    assert first["expires_in"] == 7200
    local_wechat.clock.time += 6_950
    second = ask()
    assert second["access_token"] != first["access_token"]
    assert usable(first["access_token"]) == usable(second["access_token"]) == 0
    local_wechat.clock.time += 300
    assert usable(first["access_token"]) == 42001
    forced = ask(force_refresh=True)
    assert usable(second["access_token"]) == 40001
    local_wechat.wechat.tokens.revoke()
    assert usable(forced["access_token"]) == 40001
    assert usable("x") == 40014
    assert usable("") == 41001
    assert ask(secret="x")["errcode"] == 40125
    assert ask(appid="wx1")["errcode"] == 40013
    assert ask(grant_type="x")["errcode"] == 40002


def test_a_revoked_token_costs_the_client_one_refresh(local_wechat: LocalWechat) -> None:
    """The service's client continues after the platform has revoked its token."""
    local_wechat.wechat.follow(ALICE)
    assert local_wechat.platform.is_following(ALICE)
    issued = local_wechat.wechat.tokens.issued
    local_wechat.wechat.tokens.revoke()
    assert local_wechat.platform.is_following(ALICE)
    assert local_wechat.wechat.tokens.issued == issued + 1


def test_user_info_distinguishes_followers(local_wechat: LocalWechat) -> None:
    """A follower by a code has its scene; a former follower is none."""
    assert not local_wechat.platform.is_following(ALICE)
    local_wechat.wechat.follow(ALICE, "s1")
    info = local_wechat.call("/cgi-bin/user/info", access_token=local_wechat.token(), openid=ALICE)
    assert (info["subscribe"], info["qr_scene_str"]) == (1, "s1")
    local_wechat.wechat.leave(ALICE)
    assert not local_wechat.platform.is_following(ALICE)


def test_oauth_gives_the_visitor_s_openid_once(local_wechat: LocalWechat) -> None:
    """The page redirects at once; its code can be exchanged a single time."""
    url = local_wechat.platform.authorize_url("https://recovery.example/wechat/enter", "s1")
    answer = requests.get(url, allow_redirects=False, timeout=60, cookies={"_phone": BOB})
    assert answer.status_code == 302
    back = urlsplit(answer.headers["Location"])
    query = parse_qs(back.query)
    assert (back.netloc, back.path, query["state"]) == ("recovery.example", "/wechat/enter", ["s1"])
    assert local_wechat.platform.exchange(query["code"][0]) == BOB
    with pytest.raises(OAuthRefused):
        local_wechat.platform.exchange(query["code"][0])
    with pytest.raises(OAuthRefused):
        local_wechat.platform.exchange("invented")
    late = requests.get(url, allow_redirects=False, timeout=60)
    local_wechat.clock.time += 301
    with pytest.raises(OAuthRefused):
        local_wechat.platform.exchange(
            parse_qs(urlsplit(late.headers["Location"]).query)["code"][0]
        )


def test_oauth_gives_a_snapshot_page_a_virtual_account(local_wechat: LocalWechat) -> None:
    """Another openid each time, with WeChat's mark; a person's answer has no mark.

    Source: the page of snsAccessToken in WeChat's documentation, field `is_snapshotuser`.
    """
    url = local_wechat.platform.authorize_url("https://recovery.example/wechat/enter", "s1")

    def exchanged(**cookies: str) -> dict[str, Any]:
        answer = requests.get(url, allow_redirects=False, timeout=60, cookies=cookies)
        code = parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]
        return local_wechat.call(
            "/sns/oauth2/access_token",
            appid=APP_ID,
            secret=SECRET,
            code=code,
            grant_type="authorization_code",
        )

    virtual = [exchanged(_phone=BOB, _snapshot="1") for _ in range(2)]
    assert [answer["is_snapshotuser"] for answer in virtual] == [1, 1]
    assert len({BOB, *(answer["openid"] for answer in virtual)}) == 3
    person = exchanged(_phone=BOB)
    assert person["openid"] == BOB
    assert "is_snapshotuser" not in person


@pytest.mark.parametrize(
    "changed",
    [
        {"redirect_uri": "https://elsewhere.example/"},
        {"appid": "wx1"},
        {"scope": "snsapi_userinfo"},
        {"response_type": "token"},
    ],
)
def test_oauth_redirects_only_to_the_site(
    local_wechat: LocalWechat, changed: dict[str, str]
) -> None:
    """A foreign address or another scope ends on WeChat's error page."""
    query = {
        "appid": APP_ID,
        "redirect_uri": "https://recovery.example/",
        "response_type": "code",
        "scope": "snsapi_base",
    }
    answer = requests.get(
        local_wechat.wechat.url + "/connect/oauth2/authorize",
        params={**query, **changed},
        allow_redirects=False,
        timeout=60,
    )
    assert answer.status_code == 200
    assert "Location" not in answer.headers


def test_malformed_calls_get_wechat_s_codes(local_wechat: LocalWechat) -> None:
    """Unknown paths, wrong methods, wrong JSON, wrong scenes and wrong menus."""
    token = local_wechat.token()
    assert local_wechat.call("/cgi-bin/nothing", access_token=token)["errcode"] == 40066
    refused = local_wechat.call("/cgi-bin/qrcode/create", access_token=token)
    assert refused["errcode"] == 43002
    assert "rid: " in refused["errmsg"]

    def post(path: str, body: str) -> int:
        return int(local_wechat.call(path, body.encode(), access_token=token)["errcode"])

    assert post("/cgi-bin/qrcode/create", "{") == 47001
    assert post("/cgi-bin/qrcode/create", "[]") == 47001
    assert post("/cgi-bin/qrcode/create", '{"action_name":"QR_SCENE"}') == 40053
    assert post("/cgi-bin/qrcode/create", '{"action_name":"QR_STR_SCENE"}') == 40053
    assert post("/cgi-bin/message/template/send", '{"touser":""}') == 40003
    assert local_wechat.call("/cgi-bin/user/info", access_token=token)["errcode"] == 40003
    refresh = local_wechat.call(
        "/sns/oauth2/access_token", appid=APP_ID, secret=SECRET, grant_type="refresh_token"
    )
    assert refresh["errcode"] == 40002
    scene = '{"action_name":"QR_STR_SCENE","action_info":{"scene":{"scene_str":"%s"}}}'
    assert post("/cgi-bin/qrcode/create", scene % "") == 40053
    assert post("/cgi-bin/qrcode/create", scene % ("x" * 65)) == 40053
    assert post("/cgi-bin/menu/create", '{"button":[]}') == 40016
    assert (
        post(
            "/cgi-bin/menu/create", '{"button":[{"type":"click","name":"六个汉字太长","key":"k"}]}'
        )
        == 40018
    )


def test_escaped_characters_stay_escaped(local_wechat: LocalWechat) -> None:
    r"""WeChat does not decode \u escapes, so a menu must be sent as UTF-8."""
    body = rb'{"button":[{"type":"click","name":"\u7801","key":"k"}]}'
    local_wechat.call("/cgi-bin/menu/create", body, access_token=local_wechat.token())
    assert local_wechat.wechat.account.item("码") is None
    assert local_wechat.wechat.account.item(r"\u7801") is not None


def test_requested_failures_occur(local_wechat: LocalWechat) -> None:
    """One interface fails as often as requested and others do not; `mend` ends it."""
    local_wechat.wechat.follow(ALICE)
    path = "/cgi-bin/message/template/send"
    local_wechat.wechat.fail(45009, path=path, times=2)

    def send(once: str) -> int | None:
        return local_wechat.platform.send_template(
            ALICE, CODE_TEMPLATE_ID, FIELDS, url=None, client_msg_id=once
        ).errcode

    assert local_wechat.platform.is_following(ALICE)
    assert [send("1"), send("2"), send("3")] == [45009, 45009, None]
    local_wechat.wechat.fail(-1, path=path)
    assert send("4") is None
    local_wechat.wechat.fail(45009, times=99)
    local_wechat.wechat.mend()
    assert send("5") is None


def test_codes_of_long_ago_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unused ones become unknown, used ones too; and no code is a missing one."""
    monkeypatch.setattr(grants, "_REMEMBERED", 2)
    codes = grants.OAuthCodes(lambda: 0)
    alice = grants.Grant(ALICE, snapshot=False)
    first = codes.make(alice)
    second, third = codes.make(alice), codes.make(alice)
    assert (codes.redeem(""), codes.redeem(first)) == (41008, 40029)
    assert codes.redeem(second) == codes.redeem(third) == alice
    fourth = codes.make(alice)
    assert codes.redeem(fourth) == alice
    assert [codes.redeem(code) for code in (second, third, fourth)] == [40029, 40163, 40163]
