"""Attacks 39 to 46: forged, replayed, foreign and malicious deliveries to WeChat's callback."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from chalice.test import HTTPResponse

from chalicelib.handlers import wechat as handler
from chalicelib.store.followers import Followers
from chalicelib.store.message_dedup import MessageDedup
from chalicelib.store.models import LoginItem
from chalicelib.wechat import messages, signature
from chalicelib.wechat.cipher import MessageCipher
from chalicelib.wechat.client import WechatClient
from tests.conftest import SETTINGS, MakeWorld, World, add_firm
from tests.security.actions import draw
from tests.security.mutation import SourceMutation, Together, attack
from tests.support.callbacks import (
    TAPPED,
    Signed,
    changed,
    followers,
    post,
    query,
    said,
    send_message,
    signed,
)
from tests.support.official_account import code_in
from tests.support.wechat_platform import INFO, WeChat, playing, refusal

SUBSCRIBED: dict[str, object] = {"MsgType": "event", "Event": "subscribe"}
LEFT: dict[str, object] = {"MsgType": "event", "Event": "unsubscribe"}
TOKEN = SETTINGS["WECHAT_TOKEN"]
HEADERS = ("Content-Type", "Cache-Control", "X-Content-Type-Options")


def enveloped(world: World, encrypted: str, *, prolog: str = "", written: str = "") -> Signed:
    """Return a delivery of any ciphertext with a right signature; `written` replaces it in the XML."""
    timestamp, nonce = str(world.clock.time), "1234567890"
    signed_text = signature.sign(TOKEN, timestamp, nonce, encrypted)
    body = (
        f"{prolog}<xml><ToUserName>gh_1</ToUserName><Encrypt>{written or encrypted}</Encrypt></xml>"
    )
    return Signed(
        f"timestamp={timestamp}&nonce={nonce}&encrypt_type=aes&msg_signature={signed_text}",
        body.encode(),
    )


def sealed(world: World, xml: str, *, app_id: str | None = None) -> str:
    """Return the ciphertext of an inner message."""
    cipher = world.service.cipher
    if app_id is not None:
        cipher = MessageCipher(SETTINGS["WECHAT_AES_KEY"], app_id)
    return cipher.encrypt(xml.encode(), secrets.token_bytes(16))


def inner(openid: str = "o-mallory", more: str = "") -> str:
    return (
        f"<xml><ToUserName>gh_1</ToUserName><FromUserName>{openid}</FromUserName>{more}"
        "<CreateTime>1800000000</CreateTime><MsgType>event</MsgType><Event>subscribe</Event></xml>"
    )


# 39


@attack(39, SourceMutation(handler._open_plain, "not service.settings.wechat_plain or "))
def test_a_captured_plain_signature_authorizes_no_message(world: World) -> None:
    """It covers only timestamp and nonce, so that it would authorize any message of any sender."""
    for kind in ("raw", None):
        captured = changed(signed(world, SUBSCRIBED), encrypt_type=kind, msg_signature=None)
        answer = post(world, Signed(captured.query, inner().encode()))
        assert (answer.status_code, answer.body) == (403, b"")
    assert followers() == {}


@attack(
    39,
    SourceMutation(
        handler._open,
        'not _is_signed(_parameter("msg_signature"), outer.encrypted)',
        "False",
    ),
)
def test_a_captured_signature_authorizes_no_other_body(world: World) -> None:
    """Neither the plain signature in place of the other, nor that of another message."""
    one, other = signed(world, SUBSCRIBED), signed(world, SUBSCRIBED, "o-mallory")
    for delivery in (
        Signed(one.query, other.body),
        changed(other, msg_signature=query(other)["signature"]),
        changed(other, msg_signature="0" * 40),
    ):
        assert post(world, delivery).status_code == 403
    assert followers() == {}


# 40


@attack(
    41,
    SourceMutation(Followers.note, "(FollowerItem.since <= at)", "FollowerItem.openid.exists()"),
    SourceMutation(handler.callback, "if not plain:", "if False:"),
)
def test_a_replayed_delivery_changes_and_discloses_nothing(world: World) -> None:
    """A later replay of a captured delivery has no effect, and its reply is encrypted."""
    captured = signed(world, SUBSCRIBED)
    post(world, captured)
    world.clock.time += 10
    post(world, signed(world, LEFT))
    world.clock.time += 86_400
    answers = [post(world, captured)]
    assert followers() == {"o-alice": False}
    LoginItem("11010148").update([LoginItem.openid.set("o-alice")])
    post(world, signed(world, SUBSCRIBED))
    tap = signed(world, TAPPED)
    draw(world, "135790")
    assert world.send(world.token()).status_code == 202
    world.clock.time += 1
    answers += [post(world, tap), post(world, tap)]
    for answer in answers:
        assert answer.status_code == 200
        for secret in ("135790", "o-alice", "欢迎"):
            assert secret not in answer.body.decode()


@attack(41, SourceMutation(signature.is_right, " or not well_formed(timestamp, nonce)"))
def test_a_signature_is_valid_for_one_split_of_its_parts(world: World) -> None:
    """Moving digits between timestamp and nonce does not change the hash."""
    # They are adjacent in the signed text only where the random ciphertext does not sort between them.
    while True:
        delivery = signed(world, SUBSCRIBED)
        given = query(delivery)
        encrypted = delivery.body.partition(b"<Encrypt>")[2].partition(b"</Encrypt>")[0].decode()
        low, high = sorted([given["timestamp"], given["nonce"]])
        if not low < encrypted < high:
            break
    joined = low + high
    same = 0
    for cut in (0, 5, 15, 20):
        for first, second in ((joined[:cut], joined[cut:]), (joined[cut:], joined[:cut])):
            same += signature.sign(TOKEN, first, second, encrypted) == given["msg_signature"]
            other = changed(delivery, timestamp=first, nonce=second)
            assert post(world, other).status_code == 403
    assert same >= 2
    assert followers() == {}


# 42


@attack(
    42,
    SourceMutation(
        MessageDedup.first_answer, "return answer if first is None else", "return answer or"
    ),
)
def test_three_concurrent_deliveries_have_one_effect_and_one_reply(
    make_real_world: MakeWorld,
) -> None:
    """Also where another code was requested since the first delivery."""
    world = make_real_world()
    add_firm(world.service.hasher, openid="o-alice")
    send_message(world, SUBSCRIBED)
    token = world.token()
    assert world.send(token).status_code == 202
    fields: dict[str, object] = {
        "MsgType": "text",
        "MsgId": 7,
        "Content": "验证码",
        "CreateTime": 5,
    }

    def deliver_thrice() -> set[str]:
        deliveries = [signed(world, fields) for _ in range(3)]
        with ThreadPoolExecutor(3) as pool:
            return {
                said(world, one) for one in pool.map(lambda each: post(world, each), deliveries)
            }

    (first,) = deliver_thrice()
    world.clock.time += 60
    assert world.send(token).status_code == 202
    assert deliver_thrice() == {first}
    newest = send_message(world, {**fields, "MsgId": 8})
    assert newest != first
    assert world.confirm(token, code_in(newest), "Another-horse-8").status_code == 200


@attack(42, SourceMutation(handler._in_time, "outcome.result(DEADLINE)", "outcome.result()"))
def test_a_reply_does_not_wait_for_the_store(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reply is `success` before WeChat's time-out of five seconds."""
    assert handler.DEADLINE < 5
    monkeypatch.setattr(handler, "DEADLINE", 0.1)
    answered, released = threading.Event(), threading.Event()
    monkeypatch.setattr(Followers, "note", lambda *_: released.wait(60))
    answers: list[HTTPResponse] = []

    def deliver() -> None:
        answers.append(post(world, signed(world, SUBSCRIBED)))
        answered.set()

    caller = threading.Thread(target=deliver)
    caller.start()
    try:
        assert answered.wait(4)
    finally:
        released.set()
        caller.join()
    assert (answers[0].status_code, answers[0].body) == (200, b"success")


# 43


@attack(43, SourceMutation(messages._fields, "parser.StartDoctypeDeclHandler = _refuse"))
def test_a_document_type_with_entities_is_refused(world: World) -> None:
    """Files, URLs, entity bombs and harmless entities, outside and inside of the encryption."""
    text = sealed(world, inner())
    middle = len(text) // 2
    plain = f'<!DOCTYPE xml [<!ENTITY e "{text[middle:]}">]>'
    bomb = '<!ENTITY a0 "lol">' + "".join(
        f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10)
    )
    for prolog, entity in (
        (plain, "&e;"),
        ('<!DOCTYPE xml [<!ENTITY e SYSTEM "file:///etc/passwd">]>', "&e;"),
        ('<!DOCTYPE xml [<!ENTITY e SYSTEM "http://127.0.0.1:9/">]>', "&e;"),
        (f"<!DOCTYPE xml [{bomb}]>", "&a9;"),
    ):
        outside = enveloped(world, text, prolog=prolog, written=text[:middle] + entity)
        assert post(world, outside).status_code == 400
        poisoned = prolog + inner().replace("<Event>subscribe", f"<Event>subscribe{entity}")
        assert post(world, enveloped(world, sealed(world, poisoned))).status_code == 400
    assert followers() == {}


@attack(
    43,
    Together(
        SourceMutation(handler.callback, "len(raw) > MAXIMUM_BYTES", "False"),
        SourceMutation(messages._fields, "len(xml) > MAXIMUM_BYTES", "False"),
    ),
)
def test_five_megabytes_are_refused_unread(world: World) -> None:
    """Also with a right signature."""
    delivery = signed(world, SUBSCRIBED)
    large = Signed(delivery.query, delivery.body + b" " * 5_000_000)
    assert post(world, large).status_code == 400
    assert followers() == {}


# 44


@attack(
    44,
    SourceMutation(handler.verify, "not right or "),
    SourceMutation(handler.verify, "_text(echo)", '_text(echo, "text/html; charset=utf-8")'),
    SourceMutation(handler._text, "{**HEADERS, ", "{"),
)
def test_an_echo_needs_a_signature_and_is_plain_text(world: World) -> None:
    """Otherwise a link could run a script on the service's origin."""
    script = "%3Cscript%3Ealert(1)%3C/script%3E"
    path = f"/wechat/callback?timestamp=1800000000&nonce=n&echostr={script}"
    right = signature.sign(TOKEN, "1800000000", "n")
    for given in ("", f"&signature={'0' * 40}", f"&signature={right[:-1]}", "&signature="):
        answer = world.call("GET", path + given)
        assert (answer.status_code, answer.body) == (403, b"")
    answer = world.call("GET", f"{path}&signature={right}")
    assert (answer.status_code, answer.body) == (200, b"<script>alert(1)</script>")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.headers.get("X-Content-Type-Options") == "nosniff"


# 45


@attack(
    45,
    SourceMutation(handler._parameter, "len(values) > 1 or "),
    SourceMutation(handler.callback, "(InvalidInput, MessageError)", "ZeroDivisionError"),
    SourceMutation(messages._value, "len(found) > 1", "False"),
)
def test_malformed_deliveries_have_one_refusal(world: World) -> None:
    """The same answer for repeated parameters and for signed messages without a sender, never a 5xx.

    A signed message that is unusable for another reason has no effect either.
    """
    good = signed(world, SUBSCRIBED, "o-mallory")
    refusals = [
        Signed(f"{good.query}&{name}={query(good)[name]}", good.body)
        for name in ("timestamp", "nonce", "msg_signature", "encrypt_type")
    ]
    refusals += [
        enveloped(world, sealed(world, xml))
        for xml in (
            "",
            "no xml",
            "<xml/>",
            "<html></html>",
            "<xml><FromUserName/></xml>",
            inner(more="<FromUserName>o-alice</FromUserName>"),
            inner("o-mallory\x00"),
            inner("中文"),
            "<a>" * 5_000,
        )
    ]
    refusals += [Signed(good.query, body) for body in (b"", b"{}", b"\xff\xfe", b"<xml>" * 9_000)]
    for delivery in refusals:
        answer = post(world, delivery)
        assert (answer.status_code, answer.body) == (400, b"")
        assert [answer.headers[name] for name in HEADERS] == [
            "text/plain; charset=utf-8",
            "no-store",
            "nosniff",
        ]
    for time in ("soon", "9" * 5_000):
        timeless = sealed(world, inner().replace("1800000000", time))
        assert post(world, enveloped(world, timeless)).body == b"success"
    assert followers() == {}


# 46


@attack(46, SourceMutation(MessageCipher.decrypt, " or plain[_HEAD + length :] != self._app_id"))
def test_a_message_for_another_account_is_refused(world: World) -> None:
    """Also with the same token and key, and with characters added to the app id."""
    own = SETTINGS["WECHAT_APP_ID"]
    for app_id in ("wxfedcba9876543210", own + "0", own[:-1], ""):
        delivery = enveloped(world, sealed(world, inner(), app_id=app_id))
        assert post(world, delivery).status_code == 403
    assert followers() == {}


@pytest.fixture
def wechat() -> Iterator[WeChat]:
    """WeChat's platform, for which every openid is invalid."""
    with playing() as platform:
        platform.answers[INFO] = [refusal(40003, "invalid openid")]
        yield platform


FOREIGN = SourceMutation(WechatClient.is_following, "_errcode(answer) == _INVALID_OPENID", "False")


@attack(46, FOREIGN)
def test_an_openid_of_another_account_gets_no_code(make_world: MakeWorld, wechat: WeChat) -> None:
    """A person's openid differs in each account, so that a foreign one follows nothing here."""
    world = make_world(WECHAT_API_URL=wechat.url)
    add_firm(world.service.hasher, openid="o-of-another-account")
    refused = world.send(world.token())
    assert (refused.status_code, refused.json_body["code"]) == (409, "not-following")
    # The openid in the query is ignored: the sender is the one in the encrypted message.
    tap = changed(signed(world, TAPPED, "o-mallory"), openid="o-of-another-account")
    assert "没有可领取的验证码" in said(world, post(world, tap))
