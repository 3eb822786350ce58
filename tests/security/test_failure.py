"""Attack 64: every dependency fails, at every call; nothing is half-done, and a repeat succeeds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from chalice.test import HTTPResponse

from chalicelib import runtime
from chalicelib.handlers import wechat as wechat_handler
from chalicelib.services.code_sender import CodeSender
from chalicelib.services.notifications import Notifications
from chalicelib.services.wechat_login import WechatLogin
from chalicelib.services.yearly_reset import YearlyReset
from chalicelib.settings.loader import SettingsSource
from chalicelib.sms.gateway import Outcome
from chalicelib.store.codes import Codes
from chalicelib.store.models import LoginItem
from chalicelib.store.sends import Sends
from tests.conftest import PASSWORD, SETTINGS, Clock, MakeWorld, World, add_firm
from tests.security.mutation import SourceMutation, attack
from tests.support.api_client import ApiClient
from tests.support.callbacks import post, signed
from tests.support.wechat_platform import BUSY, EXCHANGE, QR, SEND, SENT, STABLE, WeChat, playing
from tests.support.yearly_reset import YEAR, ResetWorld, client, interrupted

MAIN = "11010148"
SUBSCRIBED: dict[str, object] = {"MsgType": "event", "Event": "subscribe"}
DETAILS = {
    "firm_no": MAIN,
    "approval_no": "京财会许可〔2012〕0084号",
    "head_name": "阿依古丽·买买提",
}
DOWN = EndpointConnectionError(endpoint_url="https://down.example")


def stored() -> str:
    """Return everything in the tables."""
    store = client()
    names = sorted(store.list_tables()["TableNames"])
    return json.dumps([store.scan(TableName=name)["Items"] for name in names])


def failing_at(call: int) -> tuple[Callable[[str], Exception | None], list[str]]:
    """Return a fault at the call of this number, and the list of calls."""
    calls: list[str] = []

    def fault(operation: str) -> Exception | None:
        calls.append(operation)
        return DOWN if len(calls) == call + 1 else None

    return fault, calls


@pytest.mark.whole_way
@attack(
    64,
    SourceMutation(
        Codes.complete,
        "transact(build, CodeItem)",
        "run(self._change_login[destination.method, bind is not None], login, values)\n        transact(build, CodeItem)",
    ),
    SourceMutation(
        Sends._build,
        "transaction.save(send.record)",
        "send.record.save()",
    ),
    SourceMutation(wechat_handler.callback, "except Exception:", "except ZeroDivisionError:"),
)
def test_a_store_that_fails_at_any_call_leaves_nothing_half_done(world: World) -> None:
    """The answer is 503, or `success` to WeChat, without effect; the repeat succeeds."""
    # No budget is written, so that each step has the same calls every time.
    world.service.randbelow = lambda _: 1
    token = world.token()
    bound = "31000001"
    add_firm(world.service.hasher, bound, openid="o-alice")
    other = world.token(bound)
    details = {**DETAILS, "firm_no": bound}

    steps: dict[str, Callable[[], HTTPResponse]] = {
        "subscribe": lambda: post(world, signed(world, SUBSCRIBED)),
        # A login that this visitor has not begun with: the read of a live code may fail without effect.
        "start": lambda: world.start(f"{MAIN}_cw"),
        "send": lambda: world.send(token),
        "confirm": lambda: world.confirm(token, world.phones.codes[0]),
        "unbind": lambda: world.call("POST", "/recovery/unbinding", details, token=other),
    }
    for step, run in steps.items():
        for call in range(10):
            fault, calls = failing_at(call)
            before, sent = stored(), len(world.phones.sent)
            logins = [world.login_item(login).to_simple_dict() for login in (MAIN, bound)]
            with interrupted([client()], fault, after=False):
                answer = run()
            if len(calls) <= call:
                break
            assert len(world.phones.sent) == sent
            assert [world.login_item(login).to_simple_dict() for login in (MAIN, bound)] == logins
            if step == "subscribe":
                assert (answer.status_code, answer.body) == (200, b"success")
            else:
                assert (answer.status_code, answer.json_body.get("code")) == (503, "unavailable")
            # An attempt at a code or at the details is counted before it is compared.
            if step in ("subscribe", "start", "send") or call == 0:
                assert stored() == before
        assert answer.status_code in (200, 201, 202)
        assert call > 0
    assert world.service.hasher.verify(world.login_item().password_hash, PASSWORD)
    assert world.login_item(bound).openid is None
    assert world.service.followers.is_following("o-alice") is True


@pytest.fixture
def wechat() -> Iterator[WeChat]:
    """WeChat's platform with the test's answers."""
    with playing() as platform:
        yield platform


NOT_TAKEN = SourceMutation(
    CodeSender.send, "self._sends.cancel(send, issued.digest, reason)", "pass"
)


@attack(
    64,
    NOT_TAKEN,
    SourceMutation(
        Notifications._attempt,
        "except ServiceError as error:",
        "except ZeroDivisionError as error:",
    ),
    SourceMutation(WechatLogin.follow_link, "except ServiceError:", "except ZeroDivisionError:"),
)
def test_failures_of_gateways_and_wechat_are_not_counted(
    make_world: MakeWorld, wechat: WeChat
) -> None:
    """An unsent code is not counted, and a failed notice undoes nothing."""
    world = make_world(
        WECHAT_API_URL=wechat.url,
        WECHAT_CODE_TEMPLATE_ID="template",
        WECHAT_NOTICE_TEMPLATE_ID="notice",
    )
    add_firm(world.service.hasher)
    post(world, signed(world, SUBSCRIBED))
    refused = Outcome.TRY_ANOTHER

    # The gateway fails for a code: another can be requested at once.
    token = world.token()
    world.phones.outcomes = [refused]
    answer = world.send(token)
    assert (answer.status_code, answer.json_body.get("code")) == (502, "delivery-failed")
    assert world.send(token).status_code == 202
    # Gateway and WeChat fail for the notice: the password is set all the same.
    wechat.answers[STABLE] = [(503, b"")]
    world.phones.outcomes = [refused]
    assert world.confirm(token, world.phones.codes[-1]).status_code == 200
    assert world.login_item().openid == "o-alice"

    # WeChat fails for a code, at each of its two calls.
    world.clock.time += 60
    token = world.token()
    for broken in ({STABLE: [(503, b"")]}, {SEND: [BUSY]}):
        wechat.answers = {SEND: [SENT], **broken}
        answer = world.send(token)
        assert (answer.status_code, answer.json_body.get("code")) == (503, "unavailable")
    wechat.answers = {SEND: [SENT]}
    assert world.send(token).status_code == 202

    # WeChat fails for a QR code, and for an OAuth login.
    wechat.answers = {QR: [(503, b"")], EXCHANGE: [None]}
    assert world.start("11010148_cw", openid=None).status_code == 201

    def enter() -> int:
        away = world.call("GET", "/wechat/enter")
        state = parse_qs(urlsplit(away.headers["Location"]).query)["state"][0]
        state_cookie = {"Cookie": away.headers["Set-Cookie"].partition(";")[0]}
        link = f"/wechat/enter?code=c&state={state}"
        return int(world.call("GET", link, headers=state_cookie).status_code)

    assert enter() == 503
    wechat.answers[EXCHANGE] = [{"access_token": "a", "expires_in": 7200, "openid": "o-1"}]
    assert enter() == 302


@attack(
    64,
    SourceMutation(
        SettingsSource._reload, "except Unavailable as error:", "except OSError as error:"
    ),
)
def test_an_unreadable_secret_is_read_again(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is 503 until it can be read; later failures keep the settings."""
    make_world()
    clock = Clock()
    monkeypatch.setattr(runtime, "now", clock)
    monkeypatch.setenv("SECRETS_ID", "recovery-settings")
    vault = boto3.client("secretsmanager")
    with runtime.using(None):
        for path in ("/health", "/"):
            assert ApiClient().request("GET", path).status_code == 503
        vault.create_secret(Name="recovery-settings", SecretString=json.dumps(SETTINGS))
        assert ApiClient().request("GET", "/health").status_code == 200
        vault.delete_secret(SecretId="recovery-settings", ForceDeleteWithoutRecovery=True)
        clock.time += 600
        for path in ("/health", "/"):
            assert ApiClient().request("GET", path).status_code == 200


@attack(
    64,
    SourceMutation(
        YearlyReset._notify_if_ended, "self._runs.settle_notification(run, now, told=False)", "pass"
    ),
    SourceMutation(
        YearlyReset._resume, "self._queue.send([_message(run.year, chunk.part)])", "pass"
    ),
)
def test_failures_of_queue_and_topic_only_delay_the_reset(
    yearly: ResetWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repeated schedule finishes it, and operators are notified once."""
    add_firm(yearly.world.service.hasher)

    def down(*_: object, **__: object) -> None:
        raise DOWN

    queue = yearly.story._queue
    with monkeypatch.context() as patch:
        patch.setattr(queue, "_connect", down)
        with pytest.raises(Exception, match="queue"):
            yearly.schedule()
    assert LoginItem.get("11010148_cw").reset_year is None
    yearly.schedule()
    messages = yearly.receive()
    assert len(messages) == 1
    with monkeypatch.context() as patch:
        patch.setattr(yearly.story._topic, "_connect", down)
        assert yearly.invoke(messages) == {messages[0]["MessageId"]}
    assert LoginItem.get("11010148_cw").reset_year == YEAR
    assert yearly.announcements() == []
    assert yearly.invoke(messages) == set()
    assert len(yearly.announcements()) == 1
    assert yearly.adds_up()
