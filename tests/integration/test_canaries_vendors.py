"""Vendors answer with all that they were sent, over real connections: no line has any of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from chalicelib.sms import vendor
from chalicelib.store.models import AuditItem
from chalicelib.wechat import client
from tests.conftest import MakeWorld, World, add_firm
from tests.support.canaries import (
    KEYS,
    OPENID,
    PHONE,
    nothing_leaked,
    refusals,
    shown,
    unmasked,
)
from tests.support.http_server import Received, Reply, serving
from tests.support.log_capture import Watched
from tests.support.receipt_cases import VENDORS
from tests.support.wechat_platform import EXCHANGE, RID, STABLE, ok

pytestmark = pytest.mark.usefixtures("canary_keys")

OAUTH_CODE = "canary-oauth-code-of-no-shape"
ACCESS_TOKEN = "canary-access-token-of-no-shape"
WIRED = {name: value for name, value in VENDORS.items() if name not in KEYS}


def echo(request: Received) -> str:
    """All of a request, its address as it stands and read."""
    path = f"{request.path} {unquote(request.path)}"
    return f"{path} {json.dumps(request.headers)} {request.body.decode()}"


# SMS


def _sms(shape: str) -> Callable[[Received], Reply]:
    def reply(request: Received) -> Reply:
        text = echo(request)
        code = text if shape == "as the code" else "isv.NO"
        if shape == "as rubbish":
            return 500, text.encode()
        if "x-acs-action" in request.headers:
            return 400, json.dumps({"Code": code, "Message": text, "RequestId": text}).encode()
        if "x-tc-action" in request.headers:
            status = {"Code": code, "Message": text, "SerialNo": text, "PhoneNumber": text}
            error = {"Error": {"Code": code, "Message": text}, "RequestId": text}
            body = error if shape == "as an error" else {"SendStatusSet": [status]}
            # With 200 an unreadable answer might be a success.
            status_code = 500 if shape == "as the code" else 200
            return status_code, json.dumps({"Response": {"RequestId": text, **body}}).encode()
        return 503, json.dumps({"id": text, "error": text}).encode()

    return reply


def _send(make_world: MakeWorld, shape: str) -> tuple[set[str], str]:
    """Ask for a code, which three vendors refuse; the canaries, and what the problem says."""
    with serving(_sms(shape)) as server:
        urls = dict.fromkeys(("SMS_HTTP_URL", "SMS_ALIYUN_URL", "SMS_TENCENT_URL"), server.url)
        world = make_world(SMS_GATEWAYS="http,aliyun,tencent", **WIRED, **urls)
        add_firm(world.service.hasher)
        refused = refusals(world)
        token = world.token(openid=OPENID)
        assert world.send(token).json_body["code"] == "delivery-failed"
    assert len(server.received) == 3
    code = str(json.loads(server.received[0].body)["params"]["code"])
    signed = {request.headers.get("x-signature", "") for request in server.received} - {""}
    assert len(signed) == 1
    return {PHONE, OPENID, token, code, *signed}, "\n".join(refused)


SHAPES = ["as a status", "as an error", "as the code", "as rubbish"]


@pytest.mark.parametrize("shape", SHAPES)
def test_no_canary_comes_back_from_a_gateway(
    make_world: MakeWorld, watched: Watched, shape: str
) -> None:
    """Neither in a line, nor to the person, nor into the audit: not the phone, code, nor a key."""
    canaries, refused = _send(make_world, shape)
    assert watched.figures()["Alarm alarm=delivery-failed"] == 1
    nothing_leaked(watched.text, canaries)
    nothing_leaked(refused, canaries)
    nothing_leaked(
        "\n".join(map(repr, (item.attribute_values for item in AuditItem.scan()))), canaries
    )


@pytest.mark.parametrize("masked", [True, False])
def test_words_of_a_gateway_that_are_taken_as_they_come_are_masked(
    make_world: MakeWorld, watched: Watched, monkeypatch: pytest.MonkeyPatch, masked: bool
) -> None:
    """Where a vendor's code may be any text, masking is what holds; without it canaries come out."""
    monkeypatch.setattr(vendor, "word", lambda value: str(value or ""))
    if not masked:
        unmasked(monkeypatch)
    canaries, _ = _send(make_world, "as the code")
    if masked:
        nothing_leaked(watched.text, canaries)
        assert "host" in watched.text
    else:
        assert {PHONE} <= shown(watched.text, canaries)


# WeChat


def _wechat(shape: str) -> Callable[[Received], Reply]:
    def reply(request: Received) -> Reply:
        text = echo(request)
        if urlsplit(request.path).path == STABLE and shape != "for want of a token":
            return ok({"access_token": ACCESS_TOKEN, "expires_in": 7200, "note": text})
        if shape == "as rubbish":
            return 200, text.encode()
        if shape == "by a proxy":
            return 502, text.encode()
        return ok({"errcode": 40164, "errmsg": f"{text} {RID}", "openid": [text], "url": [text]})

    return reply


def _ask(make_world: MakeWorld, shape: str) -> tuple[set[str], str]:
    """Enter by OAuth, ask for a QR code and for a push; the canaries, and what the problems say."""
    with serving(_wechat(shape)) as server:
        world = make_world(WECHAT_API_URL=server.url, WECHAT_CODE_TEMPLATE_ID="template")
        add_firm(world.service.hasher)
        add_firm(world.service.hasher, "11010149", openid=OPENID)
        refused = refusals(world)
        state = _enter(world)
        world.start(openid=None)
        token = world.token("11010149", OPENID)
        world.send(token)
    asked = {urlsplit(request.path).path for request in server.received}
    assert {EXCHANGE, STABLE} <= asked
    return {OPENID, OAUTH_CODE, ACCESS_TOKEN, PHONE, token, state}, "\n".join(refused)


def _enter(world: World) -> str:
    departed = world.call("GET", "/wechat/enter").headers
    (state,) = parse_qs(urlsplit(departed["Location"]).query)["state"]
    cookie = {"Cookie": departed["Set-Cookie"].partition(";")[0]}
    back = f"/wechat/enter?code={OAUTH_CODE}&state={state}"
    assert world.call("GET", back, headers=cookie).json_body["code"] == "unavailable"
    return state


WORDINGS = ["as an error", "for want of a token", "as rubbish", "by a proxy"]


@pytest.mark.parametrize("shape", WORDINGS)
def test_no_canary_comes_back_from_wechat(
    make_world: MakeWorld, watched: Watched, shape: str
) -> None:
    """Not the OAuth code, the openid, the access token, nor the AppSecret."""
    canaries, refused = _ask(make_world, shape)
    assert "from wechat" in watched.text or "wechat refused" in watched.text
    nothing_leaked(watched.text, canaries)
    nothing_leaked(refused, canaries)


@pytest.mark.parametrize("masked", [True, False])
def test_words_of_wechat_that_are_taken_as_they_come_are_masked(
    make_world: MakeWorld, watched: Watched, monkeypatch: pytest.MonkeyPatch, masked: bool
) -> None:
    """Where all of `errmsg` were written, masking would hold; without it canaries come out."""

    def whole(answer: dict[str, Any]) -> str:
        return str(answer.get("errmsg", ""))

    monkeypatch.setattr(client, "_rid", whole)
    if not masked:
        unmasked(monkeypatch)
    canaries, _ = _ask(make_world, "as an error")
    if masked:
        nothing_leaked(watched.text, canaries)
        assert "errcode 40164" in watched.text
    else:
        expected = {OPENID, OAUTH_CODE, ACCESS_TOKEN, KEYS["WECHAT_APP_SECRET"]}
        assert expected <= shown(watched.text, {*canaries, *KEYS.values()})
