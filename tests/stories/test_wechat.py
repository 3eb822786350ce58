"""WeChat's part: the callback, codes by the Official Account, unbinding."""

from __future__ import annotations

import secrets
from xml.etree.ElementTree import fromstring

import pytest
from chalice.test import HTTPResponse

from chalicelib.wechat import signature
from chalicelib.wechat.replies import NOTHING
from tests.conftest import World

DETAILS = {
    "firm_no": "１１０１０１４８",
    "approval_no": "京财会许可[2012]84號",
    "head_name": "阿依古丽•买买提",
}


def _callback(world: World, fields: dict[str, object], *, tamper: str = "") -> HTTPResponse:
    """A callback as WeChat's servers send it."""
    inner = {"ToUserName": "gh_1", "FromUserName": "o-alice", "CreateTime": world.clock.time}
    xml = "".join(f"<{k}>{v}</{k}>" for k, v in {**inner, **fields}.items())
    encrypted = world.service.cipher.encrypt(f"<xml>{xml}</xml>".encode(), secrets.token_bytes(16))
    timestamp, nonce = str(world.clock.time), "nonce1"
    signed = signature.sign("callbacktoken", timestamp, nonce, encrypted)
    body = f"<xml><ToUserName>gh_1</ToUserName><Encrypt>{tamper or encrypted}</Encrypt></xml>"
    return world.call(
        "POST",
        f"/wechat/callback?timestamp={timestamp}&nonce={nonce}&encrypt_type=aes"
        f"&msg_signature={signed}",
        body.encode(),
        headers={"Content-Type": "text/xml"},
    )


def _said(world: World, answer: HTTPResponse) -> str:
    """What the account answered, opened."""
    assert answer.status_code == 200
    if answer.body == NOTHING.encode():
        return ""
    encrypted = fromstring(answer.body).findtext("Encrypt") or ""
    return fromstring(world.service.cipher.decrypt(encrypted)).findtext("Content") or ""


def _bound(world: World) -> str:
    """Recover once by SMS, which binds o-alice; the token of a new recovery on a PC."""
    token = world.token()
    world.send(token)
    assert world.confirm(token, world.phones.codes[0]).status_code == 200
    world.clock.time += 60
    assert _said(world, _callback(world, {"MsgType": "event", "Event": "subscribe"}))
    return world.token(openid=None)


def test_the_server_address_is_confirmed_byte_for_byte(world: World) -> None:
    """The echo comes back as plain text, and only under a right signature."""
    signed = signature.sign("callbacktoken", "1800000000", "n")
    path = "/wechat/callback?timestamp=1800000000&nonce=n&echostr=%3Cb%3E12&signature="
    answer = world.call("GET", path + signed)
    assert (answer.status_code, answer.body) == (200, b"<b>12")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert world.call("GET", path + "0" * 40).status_code == 403
    assert world.call("GET", path + signed + "&nonce=m").status_code == 400


def test_a_captured_signature_is_no_use_for_another_body(world: World) -> None:
    """Nothing is decrypted or parsed before the signature over the very body is right."""
    answer = _callback(world, {"MsgType": "event", "Event": "subscribe"}, tamper="QUJD")
    assert (answer.status_code, answer.body) == (403, b"")


def test_a_plain_message_is_refused(world: World) -> None:
    """A plain signature does not cover the body, so it opens nothing."""
    signed = signature.sign("callbacktoken", "1800000000", "n")
    xml = (
        b"<xml><ToUserName>g</ToUserName><FromUserName>o</FromUserName><CreateTime>5</CreateTime>"
        b"<MsgType>event</MsgType><Event>unsubscribe</Event></xml>"
    )
    answer = world.call(
        "POST",
        f"/wechat/callback?timestamp=1800000000&nonce=n&signature={signed}",
        xml,
        headers={"Content-Type": "text/xml"},
    )
    assert answer.status_code == 403


def test_a_bound_login_gets_its_code_from_the_official_account(world: World) -> None:
    """已绑定公众号时，默认公众号验证码找回: no template here, so the person fetches the code."""
    token = _bound(world)
    sent = world.send(token)
    assert sent.status_code == 202, sent.body
    assert (sent.json_body["method"], sent.json_body["delivery"]) == ("wechat", "pull")
    tapped = _callback(world, {"MsgType": "event", "Event": "CLICK", "EventKey": "code"})
    said = _said(world, tapped)
    assert "11010148" in said
    code = said.partition("验证码")[2][:6]
    assert world.confirm(token, code, "Another-horse-8").status_code == 200


def test_another_wechat_never_gets_the_code(world: World) -> None:
    """Only the bound openid is answered with the code."""
    world.send(_bound(world))
    fields = {"MsgType": "event", "Event": "CLICK", "EventKey": "code", "FromUserName": "o-mallory"}
    assert "没有可领取的验证码" in _said(world, _callback(world, fields))


def test_who_has_left_is_told_so_and_may_come_back(world: World) -> None:
    """如果取消关注则不能接收到公众号验证码; the same WeChat following again works again."""
    token = _bound(world)
    world.clock.time += 1
    _callback(world, {"MsgType": "event", "Event": "unsubscribe"})
    refused = world.send(token)
    assert (refused.status_code, refused.json_body["code"]) == (409, "not-following")
    world.clock.time += 1
    _callback(world, {"MsgType": "event", "Event": "subscribe"})
    assert world.send(token).status_code == 202


def test_three_deliveries_of_one_event_have_one_answer(world: World) -> None:
    """A repeat changes nothing and says the same."""
    fields = {"MsgType": "text", "MsgId": 7, "Content": "找回密码"}
    answers = {_said(world, _callback(world, fields)) for _ in range(3)}
    assert len(answers) == 1
    assert "/wechat/enter" in answers.pop()


def test_unbinding_leads_back_to_the_phone(world: World) -> None:
    """信息校验成功即可解除绑定: details as people type them; then the method is SMS again."""
    token = _bound(world)
    done = world.call("POST", "/recovery/unbinding", DETAILS, token=token)
    assert done.status_code == 200, done.body
    assert done.json_body == {"login": "11010148", "method": "follow"}
    assert world.login_item().openid is None
    assert world.phones.sent[-1].template == "wechat-unbound"
    assert world.start().json_body["method"] == "sms"


def test_within_one_recovery_the_way_changes_with_the_binding(world: World) -> None:
    """The token of before the unbinding goes on by SMS, inside a WeChat, and binds that one."""
    _bound(world)
    token = world.token(openid="o-new")
    assert world.call("POST", "/recovery/unbinding", DETAILS, token=token).status_code == 200
    sent = world.send(token)
    assert (sent.status_code, sent.json_body["method"]) == (202, "sms")
    assert world.confirm(token, world.phones.codes[-1], "Another-horse-8").status_code == 200
    assert world.login_item().openid == "o-new"


@pytest.mark.parametrize("field", list(DETAILS))
def test_wrong_details_are_refused_without_a_word_which(world: World, field: str) -> None:
    """Each wrong detail gets the same answer, and five a day are all one gets."""
    token = _bound(world)
    wrong = {**DETAILS, field: "99999999"}
    answers = [world.call("POST", "/recovery/unbinding", wrong, token=token) for _ in range(6)]
    assert {a.json_body["code"] for a in answers[:5]} == {"details-do-not-match"}
    assert len({a.body for a in answers[:5]}) == 1
    assert answers[5].status_code == 429
    assert world.login_item().openid == "o-alice"
