"""The metrics of every use case, and their format for CloudWatch."""

from __future__ import annotations

import io
import json

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.services.diagnosis import LockKind
from chalicelib.sms.failover import Failover
from chalicelib.sms.gateway import Outcome
from chalicelib.store.models import LoginItem
from chalicelib.telemetry import metrics
from chalicelib.telemetry.invocation import Invocation, begun
from chalicelib.wechat.template_results import TemplateOutcome, TemplateResult
from tests.conftest import MakeWorld, Phones, World, add_firm
from tests.support import yearly_reset
from tests.support.callbacks import TAPPED, send_message
from tests.support.log_capture import Watched
from tests.support.yearly_reset import Context, add_logins

pytestmark = pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")

DETAILS = {
    "firm_no": "11010148",
    "approval_no": "京财会许可〔2012〕0084号",
    "head_name": "阿依古丽·买买提",
}


class Push:
    """WeChat's platform for pushed codes, with these outcomes in order."""

    def __init__(self, *outcomes: TemplateOutcome | None) -> None:
        self._outcomes = list(outcomes)

    def send_template(self, *_: object, **__: object) -> TemplateResult:
        outcome = self._outcomes.pop(0)
        if outcome is None:
            raise Unavailable("wechat")
        return TemplateResult(outcome)

    def is_following(self, openid: str, patience: float = 7) -> bool:
        return True


def test_a_recovery_counts_each_of_its_steps(watched: Watched, world: World) -> None:
    """Start, sends by gateway and outcome, wrong codes and completion."""
    token = world.token()
    world.send(token)
    right = world.phones.codes[0]
    world.confirm(token, f"{(int(right) + 1) % 1_000_000:06d}")
    assert world.confirm(token, right).status_code == 200
    assert watched.figures() == {
        "RecoveryStarted": 1,
        "CodeSent gateway=console outcome=sent": 1,
        "CodeWrong": 1,
        "RecoveryCompleted": 1,
    }


def test_every_attempted_gateway_is_counted(watched: Watched, make_world: MakeWorld) -> None:
    """A failover counts both; a send that all refuse is an alarm as well."""
    world = make_world(SMS_GATEWAYS="http,console", SMS_HTTP_URL="http://x.example", **SECRET)
    add_firm(world.service.hasher)
    first = Phones("http", outcomes=[Outcome.TRY_ANOTHER] * 2)
    world.service.sms = Failover([first, world.phones])
    world.phones.outcomes = [Outcome.REFUSED]
    assert world.send(world.token()).status_code == 502
    assert world.send(world.token()).status_code == 202
    assert watched.figures() == {
        "RecoveryStarted": 2,
        "CodeSent gateway=http outcome=try-another": 2,
        "CodeSent gateway=console outcome=refused": 1,
        "CodeSent gateway=console outcome=sent": 1,
        "Alarm alarm=delivery-failed": 1,
    }


SECRET = {"SMS_HTTP_SECRET": "h" * 32}


def test_codes_by_wechat_are_counted_by_outcome(
    watched: Watched, make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pushed, unknown, held to be fetched, or unavailable."""
    world = make_world(WECHAT_CODE_TEMPLATE_ID="template", LIMIT_SENDS_PER_DESTINATION_MINUTE="9")
    add_firm(world.service.hasher, openid="o-alice")
    outcomes = (TemplateOutcome.SENT, TemplateOutcome.UNKNOWN, TemplateOutcome.NO_TEMPLATE, None)
    monkeypatch.setattr(world.service, "platform", Push(*outcomes))
    token = world.token()
    assert [world.send(token).status_code for _ in outcomes] == [202, 202, 202, 503]
    assert watched.figures() == {
        "RecoveryStarted": 1,
        "CodeSent gateway=wechat-template outcome=sent": 1,
        "CodeSent gateway=wechat-template outcome=unknown": 1,
        "CodeSent gateway=wechat-template outcome=no-template": 1,
        "CodeSent gateway=wechat-pull outcome=held": 1,
        "CodeSent gateway=wechat-template outcome=unavailable": 1,
        "Alarm alarm=unavailable": 1,
    }


def test_only_a_successful_unbinding_is_counted(watched: Watched, make_world: MakeWorld) -> None:
    """An attempt with wrong details is not counted."""
    world = make_world()
    add_firm(world.service.hasher, openid="o-alice")
    token = world.token()
    for details in ({**DETAILS, "head_name": "甄示例"}, DETAILS):
        world.call("POST", "/recovery/unbinding", details, token=token)
    assert watched.figures() == {"RecoveryStarted": 1, "Unbound": 1}


def test_callbacks_are_counted_by_event(watched: Watched, world: World) -> None:
    """An unknown event is counted as `other`."""
    event: dict[str, object] = {"MsgType": "event"}
    for fields in (
        {**event, "Event": "subscribe"},
        {**event, "Event": "unsubscribe"},
        {**event, "Event": "SCAN", "EventKey": "x"},
        {**TAPPED},
        {**event, "Event": "VIEW", "EventKey": "https://recovery.example/"},
        {**event, "Event": "TEMPLATESENDJOBFINISH", "MsgID": 7, "Status": "success"},
        {"MsgType": "text", "Content": "你好", "MsgId": 8},
        {"MsgType": "voice", "MsgId": 9},
        {**event, "Event": "made_up_by_somebody"},
    ):
        send_message(world, fields)
    named = ["subscribed", "unsubscribed", "scanned", "clicked", "viewed", "template-sent", "text"]
    assert watched.figures() == {
        **{f"CallbackEvent event={name}": 1 for name in named},
        "CallbackEvent event=other": 2,
    }


def test_verified_passwords_are_counted_by_answer(watched: Watched, world: World) -> None:
    """Right, must change, wrong, and locked."""
    for login, password in (
        ("11010148", "Opening-password-1"),
        ("11010148_cw", "Opening-password-1"),
        *[("11010148", "Wrong-password-1")] * 6,
    ):
        world.call("POST", "/credentials/verify", {"login": login, "password": password})
    assert watched.figures() == {
        "PasswordVerified outcome=right": 1,
        "PasswordVerified outcome=must-change": 1,
        "PasswordVerified outcome=wrong": 5,
        "PasswordVerified outcome=locked": 1,
        "RefusedByLimit limit=wrong-passwords": 1,
    }


def exhaust(world: World, limit: str) -> None:
    """Exhaust this limit."""
    if limit in STARTED:
        for login in ("11010148", STARTED[limit]):
            world.start(login, None if limit == "address-starts" else "o-alice")
    elif "unbindings" in limit:
        unbind_too_often(world, limit)
    elif limit == LockKind.WRONG_DETAILS:
        token = world.token("11010148_cw")
        for _ in range(2):
            world.call("POST", "/recovery/unbinding", {**DETAILS, "firm_no": "1"}, token=token)
    elif limit == LockKind.WRONG_PASSWORDS:
        for _ in range(2):
            world.call("POST", "/credentials/verify", {"login": "11010148", "password": "Wrong-1"})
    elif limit == LockKind.SERVICE_WRONG_PASSWORDS:
        for login in ("11010148", "11010148_cw", "11010199"):
            world.call("POST", "/credentials/verify", {"login": login, "password": "Wrong-1"})
    else:
        token = world.token()
        for _ in range(4):
            world.send(token)
            code = f"{(int(world.phones.codes[-1]) + 1) % 1_000_000:06d}"
            if "code" in limit:
                world.confirm(token, code)
                world.confirm(token, code)


STARTED = {
    "starts": "11010148",
    "address-starts": "11010199",
    "requester-logins": "11010148_cw",
}
"""The login of the second start, by the limit that refuses it."""


def unbind_too_often(world: World, limit: str) -> None:
    """Exhaust a limit of unbindings by a login that is bound again after each."""
    token = world.token("11010148_cw")
    if limit == "service-unbindings":
        wrong = {**DETAILS, "firm_no": "1"}
        world.call("POST", "/recovery/unbinding", wrong, token=token)
        for _ in range(2):
            world.service.budgets.unbindings.add(world.clock.time)
    for _ in range(2):
        LoginItem("11010148_cw").update([LoginItem.openid.set("o-alice")])
        world.call("POST", "/recovery/unbinding", DETAILS, token=token)


SERVICE_WIDE = {
    "address-starts",
    "requester-sends",
    "requester-wrong-codes",
    "requester-logins",
    "requester-unbindings",
    "service-unbindings",
}
"""Limits that concern no single login, and so none of the operators' `account`."""

LIMITS = {
    "starts": {"LIMIT_STARTS_PER_REQUESTER_LOGIN_HOUR": "1"},
    "requester-logins": {"LIMIT_LOGINS_PER_REQUESTER_DAY": "1"},
    "unbindings": {"LIMIT_UNBINDINGS_PER_LOGIN_DAY": "1"},
    "requester-unbindings": {"LIMIT_LOGINS_PER_REQUESTER_DAY": "1"},
    "service-unbindings": {"LIMIT_UNBINDINGS_PER_SERVICE_HOUR": "1"},
    "address-starts": {"LIMIT_STARTS_PER_ADDRESS_HOUR": "1"},
    "login-sends": {"LIMIT_SENDS_PER_LOGIN_DAY": "1"},
    "destination-sends": {},
    "requester-sends": {"LIMIT_SENDS_PER_REQUESTER_DAY": "1"},
    "wrong-codes": {"LIMIT_WRONG_CODES_PER_REQUESTER_LOGIN_DAY": "1"},
    "login-wrong-codes": {"LIMIT_WRONG_CODES_PER_LOGIN_DAY": "1"},
    "requester-wrong-codes": {
        "LIMIT_WRONG_CODES_PER_REQUESTER_DAY": "1",
        "LIMIT_TRIES_PER_CODE": "9",
    },
    "code-tries": {"LIMIT_TRIES_PER_CODE": "1"},
    "wrong-details": {"LIMIT_WRONG_DETAILS_PER_LOGIN_DAY": "1"},
    "wrong-passwords": {"LIMIT_WRONG_PASSWORDS_PER_LOGIN_HALF_HOUR": "1"},
    "service-sends": {"LIMIT_SENDS_PER_SERVICE_HOUR": "1"},
    "service-wrong-codes": {"LIMIT_WRONG_CODES_PER_SERVICE_HOUR": "1"},
    "service-wrong-passwords": {"LIMIT_WRONG_PASSWORDS_PER_SERVICE_HOUR": "1"},
}


def test_commands_and_metrics_have_the_same_names_of_limits() -> None:
    """Except the limits that concern no single login."""
    # The pause between two codes is counted as the destination's limit.
    assert {*LIMITS} == {*LockKind, *SERVICE_WIDE} - {LockKind.RESEND_PAUSE}


@pytest.mark.parametrize("limit", LIMITS)
def test_a_refusal_names_its_limit(watched: Watched, make_world: MakeWorld, limit: str) -> None:
    """The metric of a refusal has the exhausted limit, and no other."""
    plenty = "" if limit == "destination-sends" else "9"
    world = make_world(LIMIT_SENDS_PER_DESTINATION_MINUTE=plenty, **LIMITS[limit])
    add_firm(world.service.hasher)
    LoginItem("11010148_cw").update([LoginItem.openid.set("o-alice")])
    exhaust(world, limit)
    limits = {name for name in watched.figures() if name.startswith("RefusedByLimit")}
    assert limits == {f"RefusedByLimit limit={limit}"}


def test_the_yearly_reset_counts_logins_by_outcome(
    watched: Watched, yearly: yearly_reset.ResetWorld
) -> None:
    """The metrics equal the run's counts, and each log line has Lambda's request id."""
    add_logins(30)
    add_firm(yearly.world.service.hasher)
    LoginItem("21000003_cw").update([LoginItem.province.remove()])
    yearly.schedule(context=Context(aws_request_id="planned-1"))
    yearly.work()
    run = yearly.story.status(yearly_reset.YEAR)
    assert run is not None
    figures = watched.figures()
    assert figures["ResetProgress outcome=done"] == run.done == 30
    assert figures["ResetProgress outcome=skipped"] == run.skipped == 1
    assert figures["ResetProgress outcome=failed"] == run.failed == 0
    finished = [line for line in watched.lines if line["message"] == "chunk finished"]
    assert len(finished) == 2
    assert {line["correlation_id"] for line in finished} == {"request-1"}
    assert {document["correlation_id"] for document in watched.documents} == {"request-1"}


def test_dimensions_have_known_words_only(watched: Watched) -> None:
    """Each other value would be a further metric, which has a price."""
    with begun(Invocation("c", "r", tuple)) as invocation:
        metrics.count("Alarm", alarm="+8613912345678")
        metrics.count("Alarm", alarm="x" * 41)
        metrics.count("Alarm", alarm="")
        metrics.flush(invocation)
    assert watched.figures() == {"Alarm alarm=other": 3}


def test_powertools_variables_do_not_change_the_metrics(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alarms depend on the namespace and dimensions, which Powertools' variables could change."""
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "other")
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Other")
    monkeypatch.setenv("POWERTOOLS_METRICS_DISABLED", "1")
    with begun(Invocation("c", "r", tuple)) as invocation:
        metrics.count("CodeSent", gateway="http", outcome="sent")
        metrics.flush(invocation)
    assert watched.figures() == {"CodeSent gateway=http outcome=sent": 1}


def test_a_count_after_the_end_is_written_at_once(watched: Watched) -> None:
    """A thread that outlives its request may still count."""
    with begun(Invocation("late", "r", tuple)) as invocation:
        metrics.flush(invocation)
        metrics.count("CodeWrong")
    metrics.count("Unbound")
    assert watched.figures() == {"CodeWrong": 1, "Unbound": 1}
    assert [document.get("correlation_id") for document in watched.documents] == ["late", None]


def test_two_stacks_of_one_account_are_apart() -> None:
    """Each metric has its stack's name as a dimension, beside its own."""
    written = io.StringIO()
    try:
        for stack in ("recovery", "Recovery-staging-2"):
            metrics.print_to(written, stack)
            metrics.count("Unbound")
            metrics.count("CodeSent", gateway="http", outcome="sent")
    finally:
        metrics.print_to(None)
    documents = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [document["stack"] for document in documents] == [
        *["recovery"] * 2,
        *["Recovery-staging-2"] * 2,
    ]
    dimensions = [
        document["_aws"]["CloudWatchMetrics"][0]["Dimensions"] for document in documents[:2]
    ]
    assert dimensions == [[["stack"]], [["stack", "gateway", "outcome"]]]


class Broken:
    """A stream that cannot be written to."""

    def write(self, _: str) -> None:
        raise OSError

    flush = write


def test_a_failure_to_write_metrics_does_not_fail_the_request(
    watched: Watched, world: World
) -> None:
    """The failure is logged."""
    metrics.print_to(Broken())  # type: ignore[arg-type]
    assert world.start().status_code == 201
    assert [line["message"] for line in watched.lines] == ["figures were not written: OSError"]
