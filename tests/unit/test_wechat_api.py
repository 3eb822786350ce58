"""Failed requests to WeChat: late, broken and redirected responses, and what is logged."""

from __future__ import annotations

import logging
import socket
import traceback
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.http_client import (
    MAXIMUM_BODY,
    HttpClient,
    OutcomeUnknown,
    RequestNotSent,
    Response,
    tls_context,
)
from chalicelib.wechat import api
from chalicelib.wechat.client import OAuthRefused, WechatClient
from chalicelib.wechat.template_results import TemplateOutcome, TemplateResult
from tests.support.http_cases import UNANSWERED, UNREADABLE, UNSENT, Case, answering, raw_server
from tests.support.http_server import Reply, self_signed, serving
from tests.support.wechat_platform import (
    CALLS,
    CODE,
    INFO,
    OPENID,
    SECRET,
    SEND,
    SENT,
    STABLE,
    Clock,
    WeChat,
    alarms,
    platform_at,
    refusal,
    send,
)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 with its key."""
    return self_signed(tmp_path_factory.mktemp("tls") / "both.pem")


@pytest.mark.parametrize("case", [*UNSENT, *UNANSWERED, *UNREADABLE], ids=str)
def test_a_bad_server(case: Case, wechat_clock: Clock, certificate: Path) -> None:
    """A message that may have arrived is unknown and not repeated; otherwise WeChat is unavailable."""
    client = HttpClient(lambda: tls_context(str(certificate)), case.timeouts)
    with case.running(certificate) as (url, server):
        wechat_client = platform_at(url, wechat_clock, client, token="canary-token-0")
        # A proxy that redirects has forwarded nothing.
        redirected = isinstance(case.expected, Response) and 300 <= case.expected.status < 500
        if case.expected is RequestNotSent or redirected:
            with pytest.raises(Unavailable):
                send(wechat_client)
        else:
            assert send(wechat_client) == TemplateResult(TemplateOutcome.UNKNOWN)
    assert server.accepted == 1


@pytest.mark.parametrize(
    "answer",
    [
        None,
        (502, b"<html>Bad Gateway</html>"),
        (504, b""),
        (200, b"<html>"),
        (200, b""),
        (200, b"[]"),
        (200, b"[" * 50_000),
        (200, b'{"errcode": "0"}'),
        (200, b'{"errcode": true}'),
        (200, b"{}"),
        (200, b'{"errcode": 0' + b" " * MAXIMUM_BODY + b"}"),
    ],
    ids=lambda answer: str(answer)[:30],
)
def test_a_meaningless_response_leaves_a_message_unknown(
    wechat_platform: WeChat, wechat_client: WechatClient, answer: Reply
) -> None:
    """A broken connection, a gateway's page, no JSON, or too much of it."""
    wechat_platform.answers[SEND] = [answer]
    assert send(wechat_client).outcome is TemplateOutcome.UNKNOWN
    assert len(wechat_platform.asked(SEND)) == 1


@pytest.mark.parametrize(
    "name",
    [b"\x14a", b"a\x07b\x00\t\n\x1f", b"\xce\xf7\xff", b"\xe8\xaf", b"\xed\xa0\xbd", b"\\ud83d"],
    ids=str,
)
def test_a_name_with_control_characters_or_broken_utf_8_is_read(
    wechat_platform: WeChat, wechat_client: WechatClient, name: bytes
) -> None:
    """WeChat does not escape what is in a person's name, city or province; none of it is used.

    Sources: github.com/wechatpy/wechatpy/pull/154, github.com/lanrion/weixin_authorize/pull/52,
    github.com/node-webot/co-wechat-api/issues/63, github.com/chanxuehong/wechat/pull/187.
    """
    for bom in (b"", b"\xef\xbb\xbf"):
        body = b'{"subscribe":1,"openid":"%s","nickname":"%s","city":"%s"}'
        answer = bom + body % (OPENID.encode(), name, name)
        wechat_platform.answers[INFO] = [(200, answer)]
        assert wechat_client.is_following(OPENID)


def test_broken_utf_8_in_an_openid_is_no_openid(
    wechat_platform: WeChat, wechat_client: WechatClient
) -> None:
    """A substituted character never becomes part of a stored value."""
    for openid in (b"o-\xff", b"o-\x00", b"o-\xed\xa0\xbd"):
        wechat_platform.answers[CODE] = [(200, b'{"openid":"%s"}' % openid)]
        with pytest.raises(Unavailable):
            wechat_client.exchange("code")


@pytest.mark.parametrize("status", [302, 307, 403, 404, 407, 413])
def test_a_redirect_or_refusal_of_a_proxy_has_sent_nothing(
    wechat_platform: WeChat, wechat_client: WechatClient, status: int
) -> None:
    """Redirects are not followed, since the URL contains the token."""
    wechat_platform.answers[SEND] = [(status, b"")]
    with pytest.raises(Unavailable):
        send(wechat_client)
    assert [urlsplit(request.path).path for request in wechat_platform.received] == [STABLE, SEND]


@pytest.mark.parametrize("path", CALLS)
def test_a_closed_port_is_unavailable(wechat_clock: Clock, path: str) -> None:
    """Without a connection nothing was sent."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        wechat_client = platform_at(f"http://127.0.0.1:{taken.getsockname()[1]}", wechat_clock)
        with pytest.raises(Unavailable):
            CALLS[path](wechat_client)


@pytest.mark.parametrize("path", [path for path in CALLS if path != SEND])
def test_other_calls_without_an_answer_are_unavailable(
    wechat_platform: WeChat, wechat_client: WechatClient, path: str
) -> None:
    """For calls that send nothing to a person, no response and a wrong one are the same."""
    for answer in (None, (500, b""), (200, b"{"), refusal(45009)):
        wechat_platform.answers[path] = [answer]
        with pytest.raises(Unavailable):
            CALLS[path](wechat_client)


def test_no_time_left_means_nothing_is_sent(wechat_platform: WeChat) -> None:
    """The response could not be awaited."""
    with pytest.raises(api.NoAnswer) as caught:
        api.request(HttpClient(), wechat_platform.url, SEND, {}, {}, lambda: 0)
    assert not caught.value.arrived
    assert wechat_platform.received == []


@pytest.mark.parametrize("left", [6.5, 0.5])
def test_the_time_left_bounds_the_request(left: float) -> None:
    """The HTTP client's limit is the rest of the call's time."""
    times: list[object] = []

    class Client(HttpClient):
        def request(self, *_: object, seconds_left: float | None = None) -> Response:
            times.append(seconds_left)
            raise OutcomeUnknown("stopped")

    with pytest.raises(api.NoAnswer) as caught:
        api.request(Client(), "http://127.0.0.1:1", INFO, {}, None, lambda: left)
    assert caught.value.arrived
    assert times == [left]


def test_each_request_has_its_own_connection(
    wechat_platform: WeChat, wechat_client: WechatClient
) -> None:
    """A connection kept while the process was frozen would lose a message."""
    wechat_platform.answers[SEND] = [SENT]
    send(wechat_client)
    send(wechat_client)
    assert {request.headers["connection"] for request in wechat_platform.received} == {"close"}


# What is logged, and what is not.


@pytest.mark.parametrize("errcode", [45009, 40164, 48001, 40037, 47003])
def test_a_fault_of_the_account_raises_an_alarm(
    wechat_platform: WeChat,
    wechat_client: WechatClient,
    caplog: pytest.LogCaptureFixture,
    errcode: int,
) -> None:
    """With the interface, the code, and the rid for WeChat's support."""
    wechat_platform.answers[SEND] = [refusal(errcode)]
    send(wechat_client)
    assert alarms(caplog) == [f"wechat-{errcode}"]
    assert f"{SEND}: errcode {errcode} rid 64635211-1adf7efb-7b834cc4" in caplog.text


@pytest.mark.parametrize("errcode", [43004, 43101, 45011, 40029])
def test_a_person_s_refusal_raises_no_alarm(
    wechat_platform: WeChat,
    wechat_client: WechatClient,
    caplog: pytest.LogCaptureFixture,
    errcode: int,
) -> None:
    """A former follower is no fault; the rid is logged all the same."""
    wechat_platform.answers[SEND] = [refusal(errcode)]
    send(wechat_client)
    assert alarms(caplog) == []
    assert "rid 64635211" in caplog.text


@pytest.mark.parametrize("errcode", [40001, 40013, 40125, 40164, 40243])
def test_a_missing_token_raises_an_alarm(
    wechat_platform: WeChat,
    wechat_client: WechatClient,
    caplog: pytest.LogCaptureFixture,
    errcode: int,
) -> None:
    """No call to WeChat works then, whatever the code is."""
    wechat_platform.answers[STABLE] = [refusal(errcode)]
    assert send(wechat_client).outcome is TemplateOutcome.NO_TEMPLATE
    assert alarms(caplog) == [f"wechat-{errcode}"]


ANSWERS: dict[str, bytes] = {
    "refused": b'HTTP/1.1 200 OK\r\n\r\n{"errcode":40029,"errmsg":"invalid code, rid: 1-2-3"}',
    "broken head": b'HTTP/1.1 200 OK\r\nno header\r\nX: 1\r\n\r\n{"errcode":45009}',
    "not http": b"220 mail ready\r\n",
    "cut off": b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{",
    "redirect": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n",
    "silent": b"",
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("path", CALLS)
def test_no_secret_is_logged_or_raised(
    wechat_clock: Clock, caplog: pytest.LogCaptureFixture, path: str, answer: bytes
) -> None:
    """For any failure, at the lowest log level: no AppSecret, token, openid or code."""
    canaries = (SECRET, "canary-token", OPENID, CODE)
    caplog.set_level(logging.DEBUG)
    with raw_server(answering(answer)) as server:
        wechat_client = platform_at(
            f"http://{server.address}", wechat_clock, token="canary-token-0"
        )
        try:
            CALLS[path](wechat_client)
        except (Unavailable, OAuthRefused) as error:
            links, chain = [error], [repr(error)]
            while (link := links.pop()).__context__ is not None:
                links.append(link.__context__)  # type: ignore[arg-type]
                chain += [repr(link.__context__)]
            told = "".join([*traceback.format_exception(error), *chain])
            assert not [canary for canary in canaries if canary in told]
    logged = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    assert logged
    assert not [canary for canary in canaries if canary in logged]


# The platform's certificate.


def test_nothing_is_sent_to_an_untrusted_certificate(
    wechat_clock: Clock, certificate: Path
) -> None:
    """No secret goes to somebody whom no authority has certified."""
    with serving(lambda _: (200, b"{}"), certificate) as server:
        wechat_client = platform_at(server.url, wechat_clock, token="canary-token-0")
        with pytest.raises(Unavailable):
            send(wechat_client)
    assert server.received == []
