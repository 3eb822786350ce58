"""The WeChat platform of the local twin: the service's own client calls it, wechatpy is called by it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from wechatpy import create_reply, parse_message
from wechatpy.crypto import WeChatCrypto
from wechatpy.utils import to_text

from chalicelib.wechat.platform import OAuthRefused, Platform, TemplateOutcome
from infra.local.loopback import Answer, Call, Simulator
from infra.local.wechat import SimulatedWeChat
from infra.local.wechat.simulator import (
    CODE_TEMPLATE_ID,
    NOTICE_TEMPLATE_ID,
    OUT_OF_ORDER,
    CannotDo,
)
from tests.wechat_platform import Tokens

APP_ID = "wx0123456789abcdef"
SECRET = "w" * 32
TOKEN = "callbacktoken"
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
ALICE, BOB = "oAlice", "oBob"
FIELDS = {
    "character_string1": "11010148_cw",
    "character_string2": "123456",
    "thing3": "5分钟内有效",
}


class Service(Simulator):
    """The account's own server as wechatpy makes it; `reply` tells what it says to a message."""

    def __init__(self) -> None:
        super().__init__()
        self.crypto = WeChatCrypto(TOKEN, AES_KEY, APP_ID)
        self.messages: list[Any] = []
        self.queries: list[dict[str, str]] = []
        self.reply: Callable[[Any], str | Answer] = lambda message: "好"

    def answer(self, call: Call) -> Answer:
        query = dict(call.query)
        assert query["encrypt_type"] == "aes"
        inner = self.crypto.decrypt_message(
            call.body, query["msg_signature"], query["timestamp"], query["nonce"]
        )
        message = parse_message(inner)
        assert message.source == query["openid"]
        self.messages.append(message)
        self.queries.append(query)
        said = self.reply(message)
        if isinstance(said, Answer):
            return said
        if not said:
            return Answer(200, b"success")
        xml = create_reply(said, message=message).render()
        sealed = self.crypto.encrypt_message(xml, query["nonce"], query["timestamp"])
        return Answer(200, to_text(sealed).encode(), {"Content-Type": "application/xml"})


@dataclass
class Clock:
    time: int = field(default_factory=lambda: int(time.time()))

    def __call__(self) -> int:
        return self.time


@dataclass
class World:
    service: Service
    wechat: SimulatedWeChat
    platform: Platform
    clock: Clock

    def call(self, path: str, body: bytes | None = None, **query: str) -> dict[str, Any]:
        """One bare call of an interface."""
        method = "GET" if body is None else "POST"
        answer = requests.request(
            method, self.wechat.url + path, params=query, data=body, timeout=5
        )
        assert answer.status_code == 200
        return dict(answer.json())

    def token(self) -> str:
        return self.wechat.tokens.ask(False)[0]

    def chat(self, openid: str = ALICE) -> list[tuple[str, str]]:
        return [(entry.kind, entry.text) for entry in self.wechat.account.chat(openid)]


@pytest.fixture
def world() -> Iterator[World]:
    clock = Clock()
    with (
        requests.Session() as session,
        Service() as service,
        SimulatedWeChat(
            APP_ID,
            SECRET,
            TOKEN,
            AES_KEY,
            callback_url=lambda: service.url + "/wechat/callback",
            visitor=lambda hints: hints.get("_phone", ALICE),
            site=lambda: frozenset(["https://recovery.example"]),
            clock=clock,
            limit=0.3,
            receipt_delay=0.01,
        ) as wechat,
    ):
        platform = Platform(
            APP_ID, SECRET, wechat.url, wechat.url, Tokens(), lambda: session, clock, lambda _: None
        )
        yield World(service, wechat, platform, clock)


# What people do, and what the account's server is told of it.


def test_following_is_told_and_the_reply_shown(world: World) -> None:
    """A subscribe event arrives encrypted, and the passive reply is in the chat."""
    world.service.reply = lambda message: f'欢迎 {message.event} <a href="x">x</a>'
    assert world.wechat.follow(ALICE).deliveries == 1
    [message] = world.service.messages
    assert (message.type, message.event, message.source) == ("event", "subscribe", ALICE)
    assert world.chat() == [
        ("notice", "已关注公众号"),
        ("account", '欢迎 subscribe <a href="x">x</a>'),
    ]
    assert set(world.service.queries[0]) >= {"signature", "msg_signature", "timestamp", "nonce"}
    with pytest.raises(CannotDo, match="follows-already"):
        world.wechat.follow(ALICE)


def test_a_scanned_code_brings_its_scene(world: World) -> None:
    """A stranger follows with `qrscene_`, a follower's scan is a SCAN event, each with the scene."""
    url = world.platform.follow_qr("11010148.abc", 600)
    assert world.wechat.scan(ALICE, url) == "11010148.abc"
    assert world.service.messages == []
    world.wechat.follow(ALICE, "11010148.abc")
    assert world.service.messages[-1].event == "subscribe_scan"
    assert world.service.messages[-1].scene_id == "11010148.abc"
    assert world.wechat.scan(ALICE, url) == "11010148.abc"
    assert world.service.messages[-1].event == "scan"
    assert world.service.messages[-1].scene_id == "11010148.abc"
    world.clock.time += 601
    assert world.wechat.scan(ALICE, url) == ""
    assert len(world.service.messages) == 2
    with pytest.raises(CannotDo, match="foreign-code"):
        world.wechat.scan(ALICE, "https://elsewhere.example/")


def test_leaving_is_told_and_ends_what_followers_may(world: World) -> None:
    """After an unsubscribe the person can neither write nor tap; nothing more is shown to them."""
    world.wechat.follow(ALICE)
    world.wechat.leave(ALICE)
    assert world.service.messages[-1].event == "unsubscribe"
    assert world.chat()[-1] == ("notice", "已取消关注")
    for act in (
        lambda: world.wechat.leave(ALICE),
        lambda: world.wechat.say(ALICE, "x"),
        lambda: world.wechat.tap(ALICE, "x"),
    ):
        with pytest.raises(CannotDo, match="not-following"):
            act()


def test_the_menu_s_items_do_what_they_are(world: World) -> None:
    """CLICK sends its key, VIEW sends and opens its address; the menu's Chinese is kept."""
    assert world.call("/cgi-bin/menu/get", access_token=world.token())["errcode"] == 46003
    menu = {
        "button": [
            {"type": "view", "name": "找回密码", "url": "https://recovery.example/wechat/enter"},
            {
                "name": "更多",
                "sub_button": [{"type": "click", "name": "获取验证码", "key": "code"}],
            },
        ]
    }
    world.platform.create_menu(menu)
    assert world.call("/cgi-bin/menu/get", access_token=world.token()) == {"menu": menu}
    world.wechat.follow(ALICE)
    assert world.wechat.tap(ALICE, "找回密码") == "https://recovery.example/wechat/enter"
    assert world.service.messages[-1].event == "view"
    assert world.wechat.tap(ALICE, "获取验证码") == ""
    assert (world.service.messages[-1].event, world.service.messages[-1].key) == ("click", "code")
    with pytest.raises(CannotDo, match="no-such-item"):
        world.wechat.tap(ALICE, "没有")


def test_a_text_arrives_and_each_has_its_own_id(world: World) -> None:
    """Whatever people write arrives, without what XML cannot hold."""
    world.wechat.follow(ALICE)
    texts = ["验证码", "]]> & <b>", "a\x00b\x1f", "😀"]
    for text in texts:
        world.wechat.say(ALICE, text)
    messages = world.service.messages[1:]
    assert [message.content for message in messages] == ["验证码", "]]> & <b>", "ab", "😀"]
    assert len({message.id for message in messages}) == 4
    assert ("person", "验证码") in world.chat()


def test_acts_are_told_apart_by_their_time(world: World) -> None:
    """Two taps within one second still differ in CreateTime, and later ones are later."""
    world.platform.create_menu({"button": [{"type": "click", "name": "码", "key": "code"}]})
    world.wechat.follow(ALICE)
    for _ in range(3):
        world.wechat.tap(ALICE, "码")
    times = [message._data["CreateTime"] for message in world.service.messages]
    assert times == sorted(set(times))


# How the platform treats an account that does not do its part.


def test_no_answer_is_tried_three_times_and_then_told_to_the_person(world: World) -> None:
    """A server that is too slow gets three deliveries of one message."""
    world.wechat.follow(ALICE)
    slow = threading.Event()

    def reply(message: Any) -> str:
        slow.wait(0.5)
        return "zu spät"

    world.service.reply = reply
    outcome = world.wechat.say(ALICE, "hallo")
    slow.set()
    assert (outcome.text, outcome.deliveries) == (None, 3)
    assert world.chat()[-1] == ("notice", OUT_OF_ORDER)
    assert len({message.id for message in world.service.messages[1:]}) == 1


def test_a_second_delivery_that_is_answered_is_enough(world: World) -> None:
    """After one failure the answer to the repeat is shown."""
    world.wechat.follow(ALICE)
    answers: list[str | Answer] = [Answer(500), "endlich"]
    world.service.reply = lambda message: answers.pop(0)
    outcome = world.wechat.say(ALICE, "hallo")
    assert (outcome.text, outcome.deliveries) == ("endlich", 2)
    assert world.chat()[-1] == ("account", "endlich")


@pytest.mark.parametrize(
    "body", [b'{"json": true}', b"<xml><Encrypt>x</Encrypt></xml>", b"<xml>", b"ok"]
)
def test_an_answer_that_cannot_be_read_is_a_fault(world: World, body: bytes) -> None:
    """Only an encrypted reply, `success` or nothing will do."""
    world.wechat.follow(ALICE)
    world.service.reply = lambda message: Answer(200, body)
    outcome = world.wechat.say(ALICE, "hallo")
    assert (outcome.text, outcome.deliveries) == (None, 1)
    assert world.chat()[-1] == ("notice", OUT_OF_ORDER)


def test_an_empty_answer_says_nothing(world: World) -> None:
    """`success` leaves the chat as it is."""
    world.wechat.follow(ALICE)
    world.service.reply = lambda message: ""
    assert world.wechat.say(ALICE, "hallo").text == ""
    assert world.chat()[-1] == ("person", "hallo")


def test_a_reply_to_somebody_else_is_a_fault(world: World) -> None:
    """A reply must be addressed to the person who wrote."""
    world.wechat.follow(ALICE)

    def reply(message: Any) -> Answer:
        swapped = create_reply("x", message=message)
        swapped.target = BOB
        sealed = world.service.crypto.encrypt_message(swapped.render(), "1", "2")
        return Answer(200, to_text(sealed).encode())

    world.service.reply = reply
    assert world.wechat.say(ALICE, "hallo").text is None


# What the account's server calls.


def test_a_template_reaches_followers_and_its_receipt_follows(world: World) -> None:
    """The card has the template's labels, and TEMPLATESENDJOBFINISH the message's id."""
    world.wechat.follow(ALICE)
    world.service.reply = lambda message: ""
    result = world.platform.send_template(
        ALICE, CODE_TEMPLATE_ID, FIELDS, url="https://recovery.example/x", client_msg_id="m1"
    )
    assert result.outcome is TemplateOutcome.SENT
    card = world.wechat.account.chat(ALICE)[-1]
    assert (card.kind, card.url) == ("card", "https://recovery.example/x")
    assert card.fields == (
        ("登录账号", "11010148_cw"),
        ("验证码", "123456"),
        ("温馨提示", "5分钟内有效"),
    )
    deadline = time.monotonic() + 5
    while len(world.service.messages) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    receipt = world.service.messages[-1]
    assert receipt.event == "templatesendjobfinish"
    assert str(receipt._data["MsgID"]) == result.msgid
    assert receipt._data["Status"] == "success"


def test_a_repeat_of_a_template_is_dropped(world: World) -> None:
    """The same client_msg_id within ten minutes is one card, for one person."""
    for openid in (ALICE, BOB):
        world.wechat.follow(openid)

    def send(openid: str, once: str) -> Any:
        return world.platform.send_template(
            openid, CODE_TEMPLATE_ID, FIELDS, url=None, client_msg_id=once
        )

    assert send(ALICE, "m1").msgid == send(ALICE, "m1").msgid
    assert send(BOB, "m1").msgid != send(ALICE, "m1").msgid
    send(ALICE, "m2")
    world.clock.time += 601
    send(ALICE, "m1")
    cards = [kind for kind, _ in world.chat() if kind == "card"]
    assert len(cards) == 3


def test_templates_are_refused_as_wechat_refuses_them(world: World) -> None:
    """Strangers, unknown templates and values that a field may not hold each have their code."""

    def send(openid: str, template: str, fields: dict[str, str]) -> Any:
        return world.platform.send_template(openid, template, fields, url=None, client_msg_id="m")

    assert send(ALICE, CODE_TEMPLATE_ID, FIELDS).outcome is TemplateOutcome.NOT_FOLLOWING
    world.wechat.follow(ALICE)
    for template, fields, errcode in (
        ("other", FIELDS, 40037),
        (CODE_TEMPLATE_ID, {**FIELDS, "thing3": "长" * 21}, 47003),
        (CODE_TEMPLATE_ID, {**FIELDS, "character_string2": "中"}, 47003),
        (CODE_TEMPLATE_ID, {"thing3": "x"}, 47003),
        (NOTICE_TEMPLATE_ID, {"thing1": "x", "character_string2": "1", "time3": "soon"}, 47003),
    ):
        result = send(ALICE, template, fields)
        assert (result.outcome, result.errcode) == (TemplateOutcome.NO_TEMPLATE, errcode)
    assert "card" not in [kind for kind, _ in world.chat()]


def test_tokens_live_and_die_as_stable_token_says(world: World) -> None:
    """Asked again it is the same token; near its end a new one, both good; forced, the old one ends."""

    def ask(**more: Any) -> dict[str, Any]:
        body = {"grant_type": "client_credential", "appid": APP_ID, "secret": SECRET, **more}
        return dict(
            requests.post(world.wechat.url + "/cgi-bin/stable_token", json=body, timeout=5).json()
        )

    def usable(token: str) -> int:
        return int(
            world.call("/cgi-bin/user/info", access_token=token, openid=ALICE).get("errcode", 0)
        )

    first = ask()
    assert ask()["access_token"] == first["access_token"]
    assert first["expires_in"] == 7200
    world.clock.time += 6_950
    second = ask()
    assert second["access_token"] != first["access_token"]
    assert usable(first["access_token"]) == usable(second["access_token"]) == 0
    world.clock.time += 300
    assert usable(first["access_token"]) == 42001
    forced = ask(force_refresh=True)
    assert usable(second["access_token"]) == 40001
    world.wechat.tokens.revoke()
    assert usable(forced["access_token"]) == 40001
    assert usable("x") == 40014
    assert usable("") == 41001
    assert ask(secret="x")["errcode"] == 40125
    assert ask(appid="wx1")["errcode"] == 40013
    assert ask(grant_type="x")["errcode"] == 40002


def test_a_revoked_token_costs_the_client_one_refresh(world: World) -> None:
    """The service's client goes on after the platform has ended its token."""
    world.wechat.follow(ALICE)
    assert world.platform.is_following(ALICE)
    issued = world.wechat.tokens.issued
    world.wechat.tokens.revoke()
    assert world.platform.is_following(ALICE)
    assert world.wechat.tokens.issued == issued + 1


def test_user_info_tells_followers_from_others(world: World) -> None:
    """A follower by a code has its scene; who left is no follower."""
    assert not world.platform.is_following(ALICE)
    world.wechat.follow(ALICE, "s1")
    info = world.call("/cgi-bin/user/info", access_token=world.token(), openid=ALICE)
    assert (info["subscribe"], info["qr_scene_str"]) == (1, "s1")
    world.wechat.leave(ALICE)
    assert not world.platform.is_following(ALICE)


def test_oauth_gives_the_visitor_s_openid_once(world: World) -> None:
    """The page sends the browser back at once; the code works a single time."""
    url = world.platform.authorize_url("https://recovery.example/wechat/enter", "s1")
    answer = requests.get(url, allow_redirects=False, timeout=5, cookies={"_phone": BOB})
    assert answer.status_code == 302
    back = urlsplit(answer.headers["Location"])
    query = parse_qs(back.query)
    assert (back.netloc, back.path, query["state"]) == ("recovery.example", "/wechat/enter", ["s1"])
    assert world.platform.exchange(query["code"][0]) == BOB
    with pytest.raises(OAuthRefused):
        world.platform.exchange(query["code"][0])
    with pytest.raises(OAuthRefused):
        world.platform.exchange("invented")
    late = requests.get(url, allow_redirects=False, timeout=5)
    world.clock.time += 301
    with pytest.raises(OAuthRefused):
        world.platform.exchange(parse_qs(urlsplit(late.headers["Location"]).query)["code"][0])


@pytest.mark.parametrize(
    "changed",
    [
        {"redirect_uri": "https://elsewhere.example/"},
        {"appid": "wx1"},
        {"scope": "snsapi_userinfo"},
        {"response_type": "token"},
    ],
)
def test_oauth_sends_nobody_elsewhere(world: World, changed: dict[str, str]) -> None:
    """A foreign address or another scope ends on WeChat's error page."""
    query = {
        "appid": APP_ID,
        "redirect_uri": "https://recovery.example/",
        "response_type": "code",
        "scope": "snsapi_base",
    }
    answer = requests.get(
        world.wechat.url + "/connect/oauth2/authorize",
        params={**query, **changed},
        allow_redirects=False,
        timeout=5,
    )
    assert answer.status_code == 200
    assert "Location" not in answer.headers


def test_malformed_calls_get_wechat_s_codes(world: World) -> None:
    """Unknown paths, wrong methods, wrong JSON, wrong scenes and wrong menus."""
    token = world.token()
    assert world.call("/cgi-bin/nothing", access_token=token)["errcode"] == 40066
    refused = world.call("/cgi-bin/qrcode/create", access_token=token)
    assert refused["errcode"] == 43002
    assert "rid: " in refused["errmsg"]

    def post(path: str, body: str) -> int:
        return int(world.call(path, body.encode(), access_token=token)["errcode"])

    assert post("/cgi-bin/qrcode/create", "{") == 47001
    assert post("/cgi-bin/qrcode/create", "[]") == 47001
    assert post("/cgi-bin/qrcode/create", '{"action_name":"QR_SCENE"}') == 40053
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


def test_escaped_characters_stay_as_people_would_see_them(world: World) -> None:
    """WeChat does not undo \\u escapes, so a menu must be sent as UTF-8."""
    body = rb'{"button":[{"type":"click","name":"\u7801","key":"k"}]}'
    world.call("/cgi-bin/menu/create", body, access_token=world.token())
    assert world.wechat.account.item("码") is None
    assert world.wechat.account.item(r"\u7801") is not None


def test_failures_can_be_asked_for(world: World) -> None:
    """An interface fails as often as asked, others do not; `mend` ends it."""
    world.wechat.follow(ALICE)
    path = "/cgi-bin/message/template/send"
    world.wechat.fail(45009, path=path, times=2)

    def send(once: str) -> int | None:
        return world.platform.send_template(
            ALICE, CODE_TEMPLATE_ID, FIELDS, url=None, client_msg_id=once
        ).errcode

    assert world.platform.is_following(ALICE)
    assert [send("1"), send("2"), send("3")] == [45009, 45009, None]
    world.wechat.fail(-1, path=path)
    assert send("4") is None
    world.wechat.fail(45009, times=99)
    world.wechat.mend()
    assert send("5") is None
