"""Vendors answer with all that they received, over real connections: no log shows any of it."""

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
    """Return all of a request as text, with its path as sent and decoded."""
    path = f"{request.path} {unquote(request.path)}"
    return f"{path} {json.dumps(request.headers)} {request.body.decode()}"


# SMS


def _sms(shape: str) -> Callable[[Received], Reply]:
    def reply(request: Received) -> Reply:
        text = echo(request)
        code = text if shape == "as the code" else "isv.NO"
        if shape == "unreadable":
            return 500, text.encode()
        if "x-acs-action" in request.headers:
            return 400, json.dumps({"Code": code, "Message": text, "RequestId": text}).encode()
        if "x-tc-action" in request.headers:
            status = {"Code": code, "Message": text, "SerialNo": text, "PhoneNumber": text}
            error = {"Error": {"Code": code, "Message": text}, "RequestId": text}
            body = error if shape == "as an error" else {"SendStatusSet": [status]}
            # An unreadable answer with status 200 might be a success.
            status_code = 500 if shape == "as the code" else 200
            return status_code, json.dumps({"Response": {"RequestId": text, **body}}).encode()
        return 503, json.dumps({"id": text, "error": text}).encode()

    return reply


def _send(make_world: MakeWorld, shape: str) -> tuple[set[str], str]:
    """Request a code, which three vendors refuse; return the canaries and the problem."""
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


GATEWAY_ANSWERS = ["as a status", "as an error", "as the code", "unreadable"]


@pytest.mark.parametrize("shape", GATEWAY_ANSWERS)
def test_a_gateway_s_answer_shows_no_canary(
    make_world: MakeWorld, watched: Watched, shape: str
) -> None:
    """Neither the log, nor the problem, nor the audit has the phone, the code or a key."""
    canaries, refused = _send(make_world, shape)
    assert watched.figures()["Alarm alarm=delivery-failed"] == 1
    nothing_leaked(watched.text, canaries)
    nothing_leaked(refused, canaries)
    nothing_leaked(
        "\n".join(map(repr, (item.attribute_values for item in AuditItem.scan()))), canaries
    )


@pytest.mark.parametrize("masked", [True, False])
def test_unfiltered_codes_of_a_gateway_are_masked(
    make_world: MakeWorld, watched: Watched, monkeypatch: pytest.MonkeyPatch, masked: bool
) -> None:
    """Where a vendor's code may be any text, masking alone hides the canaries."""
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
        if urlsplit(request.path).path == STABLE and shape != "without a token":
            return ok({"access_token": ACCESS_TOKEN, "expires_in": 7200, "note": text})
        if shape == "unreadable":
            return 200, text.encode()
        if shape == "by a proxy":
            return 502, text.encode()
        return ok({"errcode": 40164, "errmsg": f"{text} {RID}", "openid": [text], "url": [text]})

    return reply


def _call_wechat(make_world: MakeWorld, shape: str) -> tuple[set[str], str]:
    """Log in by OAuth, request a QR code and a push; return the canaries and the problems."""
    with serving(_wechat(shape)) as server:
        world = make_world(WECHAT_API_URL=server.url, WECHAT_CODE_TEMPLATE_ID="template")
        add_firm(world.service.hasher)
        add_firm(world.service.hasher, "11010149", openid=OPENID)
        refused = refusals(world)
        state = _enter(world)
        world.start(openid=None)
        token = world.token("11010149", OPENID)
        world.send(token)
    paths = {urlsplit(request.path).path for request in server.received}
    assert {EXCHANGE, STABLE} <= paths
    return {OPENID, OAUTH_CODE, ACCESS_TOKEN, PHONE, token, state}, "\n".join(refused)


def _enter(world: World) -> str:
    redirect = world.call("GET", "/wechat/enter").headers
    (state,) = parse_qs(urlsplit(redirect["Location"]).query)["state"]
    cookie = {"Cookie": redirect["Set-Cookie"].partition(";")[0]}
    back = f"/wechat/enter?code={OAUTH_CODE}&state={state}"
    assert world.call("GET", back, headers=cookie).json_body["code"] == "unavailable"
    return state


WECHAT_ANSWERS = ["as an error", "without a token", "unreadable", "by a proxy"]


@pytest.mark.parametrize("shape", WECHAT_ANSWERS)
def test_wechat_s_answer_shows_no_canary(
    make_world: MakeWorld, watched: Watched, shape: str
) -> None:
    """Neither the log nor the problem has the OAuth code, openid, access token or AppSecret."""
    canaries, refused = _call_wechat(make_world, shape)
    assert "from wechat" in watched.text or "wechat refused" in watched.text
    nothing_leaked(watched.text, canaries)
    nothing_leaked(refused, canaries)


@pytest.mark.parametrize("masked", [True, False])
def test_unfiltered_messages_of_wechat_are_masked(
    make_world: MakeWorld, watched: Watched, monkeypatch: pytest.MonkeyPatch, masked: bool
) -> None:
    """Where all of `errmsg` is logged, masking alone hides the canaries."""

    def whole(answer: dict[str, Any]) -> str:
        return str(answer.get("errmsg", ""))

    monkeypatch.setattr(client, "_rid", whole)
    if not masked:
        unmasked(monkeypatch)
    canaries, _ = _call_wechat(make_world, "as an error")
    if masked:
        nothing_leaked(watched.text, canaries)
        assert "errcode 40164" in watched.text
    else:
        expected = {OPENID, OAUTH_CODE, ACCESS_TOKEN, KEYS["WECHAT_APP_SECRET"]}
        assert expected <= shown(watched.text, {*canaries, *KEYS.values()})
