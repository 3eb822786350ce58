"""Every dependency down, at every call: nothing half-done, and the same again succeeds: 64."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from chalice.test import HTTPResponse

from chalicelib import runtime
from chalicelib.handlers import wechat as wechat_door
from chalicelib.services.code_sender import CodeSender
from chalicelib.services.notifications import Notifications
from chalicelib.services.wechat_login import WechatLogin
from chalicelib.services.yearly_reset import YearlyReset
from chalicelib.settings.loader import SettingsSource
from chalicelib.sms.gateway import Outcome
from chalicelib.store.codes import Codes
from chalicelib.store.models import LoginItem
from tests.conftest import PASSWORD, SETTINGS, Clock, Door, MakeWorld, World, add_firm
from tests.security.mutation import SourceMutation, attack
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
    """Everything in the tables."""
    store = client()
    names = sorted(store.list_tables()["TableNames"])
    return json.dumps([store.scan(TableName=name)["Items"] for name in names])


def failing_at(call: int) -> tuple[Callable[[str], Exception | None], list[str]]:
    """A fault at the step's call of this number, and the calls that there were."""
    calls: list[str] = []

    def fault(operation: str) -> Exception | None:
        calls.append(operation)
        return DOWN if len(calls) == call + 1 else None

    return fault, calls


@attack(
    64,
    SourceMutation(
        Codes.complete,
        "transact(build, CodeItem)",
        "run(self._change_login[destination.method, bind is not None], login, values)\n        transact(build, CodeItem)",
    ),
    SourceMutation(
        Codes.reserve,
        "transact(build, CodeItem)",
        "run(self._new_code[sealing], f'code#{login}', values)\n        transact(build, CodeItem)",
    ),
    SourceMutation(wechat_door.callback, "except Exception:", "except ZeroDivisionError:"),
)
def test_a_store_that_fails_at_any_call_leaves_nothing_half_done(world: World) -> None:
    """503, or `success` to WeChat; no SMS, no new password, no binding; and then it goes on."""
    # No budget is written, so that each step has the same calls every time.
    world.service.randbelow = lambda _: 1
    token = world.token()
    bound = "31000001"
    add_firm(world.service.hasher, bound, openid="o-alice")
    other = world.token(bound)
    details = {**DETAILS, "firm_no": bound}

    steps: dict[str, Callable[[], HTTPResponse]] = {
        "subscribe": lambda: post(world, signed(world, SUBSCRIBED)),
        "start": world.start,
        "send": lambda: world.send(token),
        "confirm": lambda: world.confirm(token, world.phones.codes[0]),
        "unbind": lambda: world.call("POST", "/recovery/unbinding", details, token=other),
    }
    for step, run in steps.items():
        for call in range(10):
            fault, calls = failing_at(call)
            before, sent = stored(), len(world.phones.sent)
            logins = [world.login_item(login).attribute_values for login in (MAIN, bound)]
            with interrupted([client()], fault, after=False):
                answer = run()
            if len(calls) <= call:
                break
            assert len(world.phones.sent) == sent
            assert [world.login_item(login).attribute_values for login in (MAIN, bound)] == logins
            if step == "subscribe":
                assert (answer.status_code, answer.body) == (200, b"success")
            else:
                assert (answer.status_code, answer.json_body.get("code")) == (503, "unavailable")
            # A try at a code or at the details is counted before it is compared.
            if step in ("subscribe", "start", "send") or call == 0:
                assert stored() == before
        assert answer.status_code in (200, 201, 202)
        assert call > 0
    assert world.service.hasher.verify(world.login_item().password_hash, PASSWORD)
    assert world.login_item(bound).openid is None
    assert world.service.followers.is_following("o-alice") is True


@pytest.fixture
def wechat() -> Iterator[WeChat]:
    """WeChat's platform, whose answers the test chooses."""
    with playing() as platform:
        yield platform


NOT_TAKEN = SourceMutation(
    CodeSender.send, "self._codes.cancel_send(login, destination, send, now, reason)", "pass"
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
def test_gateways_and_wechat_that_fail_cost_nobody_anything(
    make_world: MakeWorld, wechat: WeChat
) -> None:
    """No code that did not go out counts, no notice that fails undoes what it tells of."""
    world = make_world(
        WECHAT_API_URL=wechat.url,
        WECHAT_CODE_TEMPLATE_ID="template",
        WECHAT_NOTICE_TEMPLATE_ID="notice",
    )
    add_firm(world.service.hasher)
    refused = Outcome.TRY_ANOTHER

    # The gateway is down for a code: it may be asked for again at once.
    token = world.token()
    world.phones.outcomes = [refused]
    answer = world.send(token)
    assert (answer.status_code, answer.json_body.get("code")) == (502, "delivery-failed")
    assert world.send(token).status_code == 202
    # Both roads are down for the notice: the password is set all the same.
    wechat.answers[STABLE] = [(503, b"")]
    world.phones.outcomes = [refused]
    assert world.confirm(token, world.phones.codes[-1]).status_code == 200
    assert world.login_item().openid == "o-alice"

    # WeChat is down for a code, at each of its two calls.
    world.clock.time += 60
    token = world.token()
    for broken in ({STABLE: [(503, b"")]}, {SEND: [BUSY]}):
        wechat.answers = {SEND: [SENT], **broken}
        answer = world.send(token)
        assert (answer.status_code, answer.json_body.get("code")) == (503, "unavailable")
    wechat.answers = {SEND: [SENT]}
    assert world.send(token).status_code == 202

    # WeChat is down for a QR code, and for somebody who enters.
    wechat.answers = {QR: [(503, b"")], EXCHANGE: [None]}
    assert world.start("11010148_cw", openid=None).status_code == 201

    def enter() -> int:
        away = world.call("GET", "/wechat/enter")
        state = parse_qs(urlsplit(away.headers["Location"]).query)["state"][0]
        trip = {"Cookie": away.headers["Set-Cookie"].partition(";")[0]}
        link = f"/wechat/enter?code=c&state={state}"
        return int(world.call("GET", link, headers=trip).status_code)

    assert enter() == 503
    wechat.answers[EXCHANGE] = [{"access_token": "a", "expires_in": 7200, "openid": "o-1"}]
    assert enter() == 302


@attack(
    64,
    SourceMutation(
        SettingsSource._reload, "except Unavailable as error:", "except OSError as error:"
    ),
)
def test_a_secret_that_cannot_be_read_is_asked_for_again(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 until it can be; from then on the process goes on with what it has."""
    make_world()
    clock = Clock()
    monkeypatch.setattr(runtime, "now", clock)
    monkeypatch.setenv("SECRETS_ID", "recovery-settings")
    vault = boto3.client("secretsmanager")
    with runtime.using(None):
        for path in ("/health", "/"):
            assert Door().request("GET", path).status_code == 503
        vault.create_secret(Name="recovery-settings", SecretString=json.dumps(SETTINGS))
        assert Door().request("GET", "/health").status_code == 200
        vault.delete_secret(SecretId="recovery-settings", ForceDeleteWithoutRecovery=True)
        clock.time += 600
        for path in ("/health", "/"):
            assert Door().request("GET", path).status_code == 200


@attack(
    64,
    SourceMutation(
        YearlyReset._notify_if_ended, "self._runs.settle_notification(run, now, told=False)", "pass"
    ),
    SourceMutation(
        YearlyReset._resume, "self._queue.send([_message(run.year, chunk.part)])", "pass"
    ),
)
def test_a_queue_and_a_topic_that_fail_delay_the_reset_alone(
    yearly: ResetWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The schedule comes again and finishes it; operators are told once."""
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
