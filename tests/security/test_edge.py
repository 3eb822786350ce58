"""Attacks 47 to 51: hosts, certificates, origins, caches, frames, and lax parsing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import segno
from botocore.httpsession import URLLib3Session
from chalice.test import HTTPResponse

from chalicelib import container, http_client
from chalicelib.handlers import receipts, recovery, web
from chalicelib.handlers import wechat as wechat_handler
from chalicelib.handlers.http import cookies, pages, payloads, problems
from chalicelib.services import unbinding
from chalicelib.services.qr_scenes import QrScenes, page_of
from chalicelib.services.wechat_login import WechatLogin
from chalicelib.store import models
from chalicelib.wechat import signature
from tests.conftest import MakeWorld, World, add_firm
from tests.security.mutation import SourceMutation, attack
from tests.support.callbacks import send_message
from tests.support.http_server import Server, self_signed, serving
from tests.support.wechat_platform import EXCHANGE, WeChat, playing

SITE = "https://recovery.example"
GOOD = {"user_type": "firm", "login": "11010148"}


@pytest.fixture
def wechat() -> Iterator[WeChat]:
    """WeChat's platform, which grants every OAuth code."""
    with playing() as platform:
        platform.answers[EXCHANGE] = [{"access_token": "a", "expires_in": 7200, "openid": "o-1"}]
        yield platform


# 47

EVIL = {
    "Host": "evil.example",
    "X-Forwarded-Host": "evil.example",
    "Forwarded": "host=evil.example",
}
FROM_HOST = "'https://' + __import__('app').app.current_request.headers['host']"


@attack(
    47,
    SourceMutation(container.Service.enter_url, "self.settings.site_url", FROM_HOST),
    SourceMutation(WechatLogin._page, "self._site_url", FROM_HOST),
)
def test_no_link_is_built_from_a_host_header(make_world: MakeWorld, wechat: WeChat) -> None:
    """OAuth redirects, QR codes and replies have the site's own URL."""
    world = make_world(WECHAT_API_URL=wechat.url)
    add_firm(world.service.hasher)
    away = world.call("GET", "/wechat/enter", headers=EVIL)
    query = parse_qs(urlsplit(away.headers["Location"]).query)
    assert query["redirect_uri"] == [f"{SITE}/wechat/enter"]
    state_cookie = away.headers["Set-Cookie"].partition(";")[0]
    link = f"/wechat/enter?code=c&state={query['state'][0]}"
    back = world.call("GET", link, headers={**EVIL, "Cookie": state_cookie})
    assert back.headers["Location"] == f"{SITE}/"
    # Without a QR code of WeChat the service's own leads directly to the site.
    wechat.answers["/cgi-bin/qrcode/create"] = [{"errcode": 45009, "errmsg": "no more"}]
    started = world.call("POST", "/recovery", GOOD, headers=EVIL).json_body
    page = page_of(world.service.recovery.read(started["token"]).recovery)
    scene = world.service.scenes.make("11010148", world.clock() + 1800, page)
    drawn = segno.make(f"{SITE}/wechat/enter?scene={scene}", error="m")
    assert started["qr"] == drawn.svg_data_uri(scale=4, border=2, dark="#000", light="#fff")
    reply = send_message(world, {"MsgType": "text", "MsgId": 1, "Content": "找回密码"})
    assert f'"{SITE}/wechat/enter"' in reply
    assert "evil" not in world.call("GET", "/", headers=EVIL).body.decode()


# 48


ANYBODY = "__import__('ssl')._create_unverified_context()"


@pytest.fixture
def untrusted(tmp_path: Path) -> Iterator[Server]:
    """A server with a self-signed certificate."""
    with serving(lambda _: (200, b'{"openid":"o-1"}'), self_signed(tmp_path / "tls.pem")) as server:
        yield server


@attack(
    48,
    SourceMutation(
        http_client._Adapter.build_connection_pool_key_attributes,
        'pool["ssl_context"] = self._tls_context()',
        f'pool["ssl_context"], pool["cert_reqs"] = {ANYBODY}, "CERT_NONE"',
    ),
)
def test_nothing_is_sent_to_a_server_with_an_untrusted_certificate(
    make_world: MakeWorld, untrusted: Server
) -> None:
    """Neither a code to a gateway nor the AppSecret to WeChat."""
    world = make_world(
        SMS_GATEWAYS="http",
        SMS_HTTP_URL=untrusted.url,
        SMS_HTTP_SECRET="h" * 32,
        WECHAT_API_URL=untrusted.url,
    )
    add_firm(world.service.hasher)
    sent = world.send(world.token())
    assert (sent.status_code, sent.json_body.get("code")) == (502, "delivery-failed")
    away = world.call("GET", "/wechat/enter")
    state = parse_qs(urlsplit(away.headers["Location"]).query)["state"][0]
    state_cookie = away.headers["Set-Cookie"].partition(";")[0]
    link = f"/wechat/enter?code=c&state={state}"
    assert world.call("GET", link, headers={"Cookie": state_cookie}).status_code == 503
    assert untrusted.received == []


@attack(
    48,
    SourceMutation(URLLib3Session.__init__, "self._verify = verify", "self._verify = False"),
)
def test_nothing_is_sent_to_a_store_with_an_untrusted_certificate(
    world: World, untrusted: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its requests have hashes, phones and openids."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", untrusted.url)
    models.bind("recovery")
    assert world.start().status_code == 503
    assert untrusted.received == []


# 49

OWN_ORIGIN = SourceMutation(
    recovery._same_origin, "origin is None or origin in service.settings.origins", "True"
)


@attack(
    49,
    SourceMutation(
        payloads.json_object, 'content_type.strip().lower() != "application/json"', "False"
    ),
    OWN_ORIGIN,
    SourceMutation(cookies._write, '"Strict" if strict else "Lax"', '"None"'),
    SourceMutation(cookies._set_cookie, "HttpOnly; "),
)
def test_another_site_cannot_start_a_recovery(world: World) -> None:
    """Neither by requests without preflight, nor with the cookies of a browser inside WeChat."""
    simple = (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "",
        "x/json",
    )
    for kind in (*simple, "text/plain; application/json", "application/json-patch+json"):
        answer = world.call("POST", "/recovery", GOOD, headers={"Content-Type": kind})
        assert (answer.status_code, answer.json_body.get("code")) == (422, "invalid-input")
    token = world.token()
    for path in ("/recovery", "/recovery/code", "/recovery/password", "/recovery/unbinding"):
        for origin in (
            "https://evil.example",
            "null",
            f"{SITE}.evil.example",
            "http://recovery.example",
        ):
            answer = world.call("POST", path, GOOD, token=token, headers={"Origin": origin})
            assert (answer.status_code, answer.json_body.get("code")) == (403, "forbidden")
            assert not [name for name in answer.headers if name.startswith("Access-Control")]
    assert len(world.login_item().starts) == 1
    kept = world.call("GET", "/wechat/enter").headers["Set-Cookie"].split("; ")
    assert {"HttpOnly", "Secure", "SameSite=Lax", "Path=/"} <= set(kept)
    assert kept[0].startswith("__Host-")


# 50


@attack(
    50,
    SourceMutation(problems.json_response, "**HEADERS, "),
    SourceMutation(problems.problem, "**HEADERS, "),
    SourceMutation(pages.document_response, "**HEADERS,"),
    SourceMutation(wechat_handler._redirect, "**HEADERS, "),
    SourceMutation(wechat_handler._text, "**HEADERS, "),
    SourceMutation(wechat_handler._refusal, "**HEADERS, "),
)
def test_no_response_may_be_cached(world: World) -> None:
    """Answers and problems, the page, OAuth redirects, the callback."""
    token = world.token()
    answers: list[HTTPResponse] = [
        world.start(),
        world.start("99999999"),
        world.call("GET", "/recovery", token=token),
        world.call("GET", "/recovery"),
        world.send(token),
        world.send(token),
        world.confirm(token, "no code"),
        world.confirm(token, world.phones.codes[0], "weak"),
        world.confirm(token, world.phones.codes[0]),
        world.call("GET", "/"),
        world.call("GET", "/proof"),
        world.call("GET", "/nothing"),
        world.call("GET", "/wechat/enter"),
        world.call("POST", "/wechat/callback", b"x"),
        world.call("GET", "/wechat/callback"),
    ]
    right = signature.sign("callbacktoken", "1800000000", "n")
    echo = f"/wechat/callback?timestamp=1800000000&nonce=n&echostr=e&signature={right}"
    answers.append(world.call("GET", echo))
    assert {answer.status_code // 100 for answer in answers} == {2, 3, 4}
    for answer in answers:
        assert answer.headers.get("Cache-Control") == "no-store"


# 51


@attack(
    51,
    SourceMutation(pages.document_response, '"Content-Security-Policy": policy,', ""),
    SourceMutation(pages.document_response, '"X-Frame-Options": "DENY",', ""),
    SourceMutation(pages.document_response, "if settings.secure:", "if False:"),
    SourceMutation(web.document, "html.escape(str(value))", "str(value)"),
)
def test_the_page_runs_no_foreign_script_and_cannot_be_framed(make_world: MakeWorld) -> None:
    """No inline or foreign script, and none from a setting or the URL."""
    world = make_world(LOGIN_URL='https://login.example/"><script>alert(1)</script>')
    answer = world.call("GET", "/?login=%3Cscript%3Ealert(2)%3C/script%3E&entry=%3Cscript%3E")
    policy = dict(
        part.split(" ", 1)
        for part in answer.headers.get("Content-Security-Policy", "").split("; ")
        if " " in part
    )
    assert policy.get("default-src") == "'none'"
    assert policy.get("script-src") == policy.get("style-src") == "'self'"
    assert policy.get("frame-ancestors") == policy.get("base-uri") == "'none'"
    assert "unsafe" not in str(policy)
    assert answer.headers.get("X-Frame-Options") == "DENY"
    assert "max-age=31536000" in answer.headers.get("Strict-Transport-Security", "")
    text = answer.body.decode()
    assert "alert(" not in re.sub("&lt;script&gt;alert", "", text)
    assert re.findall(r"<script(?![^>]*\ssrc=)", text) == []
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=", text) == []


@attack(
    51,
    SourceMutation(payloads._parse, "object_pairs_hook=_unique, "),
    SourceMutation(payloads._parse, ", parse_constant=_no_constant"),
    SourceMutation(
        payloads._parse,
        "if _nesting(text) > _DEPTH:\n"
        '            raise InvalidInput("body", INPUT_REASONS["body-too-deep"])\n'
        "        body = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)\n"
        "    except (ValueError, RecursionError):",
        "body = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)\n"
        "    except ValueError:",
    ),
    SourceMutation(payloads._text, "except UnicodeEncodeError:", "except ZeroDivisionError:"),
    SourceMutation(payloads.json_object, ".strip().lower()", ".strip()"),
)
def test_ambiguous_json_is_refused(world: World) -> None:
    """Repeated keys, NaN, deep nesting and surrogates are 422; the media type is case-insensitive."""
    body = '{"user_type":"firm","login":%s}'
    for raw in (
        b'{"user_type":"firm","login":"11010149","login":"11010148"}',
        b'{"user_type":"firm","login":NaN}',
        (body % ("[" * 3_900 + "]" * 3_900)).encode(),
        (body % ('{"a":' * 1_500 + "1" + "}" * 1_500)).encode(),
        (body % '"\\ud800"').encode(),
        (body % '"11010148"').encode("utf-16"),
        b"\xef\xbb\xbf" + (body % '"11010148"').encode(),
    ):
        answer = world.call("POST", "/recovery", raw)
        assert (answer.status_code, answer.json_body.get("code")) == (422, "invalid-input")
        assert answer.json_body["field"] in ("body", "login")
    nan = world.call("POST", "/recovery", b'{"user_type":"firm","login":NaN}').json_body
    assert nan["field"] == "body"
    assert world.login_item().starts is None
    for kind in ("Application/JSON", "APPLICATION/JSON; charset=UTF-8", " application/json ;x"):
        answer = world.call("POST", "/recovery", GOOD, headers={"Content-Type": kind})
        assert answer.status_code == 201


@attack(
    51,
    SourceMutation(
        WechatLogin.find_state,
        "oauth_state.nonce.encode(), state.encode()",
        "oauth_state.nonce, state",
    ),
    SourceMutation(
        signature.is_right, "sign(*parts).encode(), signature.encode()", "sign(*parts), signature"
    ),
    SourceMutation(unbinding._same, "given.encode(), known.encode()", "given, known"),
    SourceMutation(
        receipts._receive,
        'key.encode("utf-8", "replace"), expected.key()',
        "key, expected.reveal()",
    ),
    SourceMutation(QrScenes.read, "not scene.isascii() or "),
)
def test_text_that_is_not_ascii_is_compared_without_an_error(make_world: MakeWorld) -> None:
    """`compare_digest` raises on such text, which must be wrong instead."""
    world = make_world(RECEIPTS_PATH="r" * 32)
    add_firm(world.service.hasher, openid="o-alice")
    chinese = "密钥é"
    there = quote(chinese)

    def status(method: str, path: str, body: Any = None, **how: Any) -> int:
        return int(world.call(method, path, body, **how).status_code)

    away = world.call("GET", "/wechat/enter")
    state_cookie = {"Cookie": away.headers["Set-Cookie"].partition(";")[0]}
    assert status("GET", "/recovery", token=chinese) == 401
    assert status("GET", f"/wechat/enter?code=c&state={there}", headers=state_cookie) == 401
    assert status("GET", f"/wechat/enter?scene={there}.{there}") == 302
    signed = f"timestamp=1800000000&nonce=n&signature={there}&msg_signature={there}"
    assert status("GET", f"/wechat/callback?{signed}&echostr=e") == 403
    sealed = b"<xml><ToUserName>a</ToUserName><Encrypt>YQ==</Encrypt></xml>"
    assert status("POST", f"/wechat/callback?{signed}", sealed) == 403
    assert status("POST", f"/receipts/aliyun/{chinese}", []) == 404
    details = {"firm_no": chinese, "approval_no": chinese, "head_name": "阿依古丽"}
    token = world.token()
    assert status("POST", "/recovery/unbinding", details, token=token) == 403
    forged = world.call("GET", "/", headers={"Cookie": f"__Host-wechat={chinese}"})
    assert forged.status_code == 200
