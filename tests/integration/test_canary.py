"""The canary: a whole recovery of the test firm over HTTP, apart from everybody's."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from chalice.local import LocalChalice

from app import app
from app import canary as function
from chalicelib.domain import canary
from chalicelib.domain.catalogue import SMS_TEMPLATES
from chalicelib.domain.errors import DeliveryFailed, Unavailable
from chalicelib.domain.limits import DAY, HOUR
from chalicelib.domain.staff import Role, Staff
from chalicelib.services.canary import SEALING_PURPOSE
from chalicelib.settings import SettingsError, load
from chalicelib.sms.failover import Delivery
from chalicelib.sms.gateway import Attempt, Outcome
from chalicelib.store import canary as store
from chalicelib.store.attributes import plain_map
from chalicelib.store.ephemeral_models import BudgetItem, CodeItem, MailboxItem
from chalicelib.store.models import AuditItem, FirmItem, LoginItem
from chalicelib.version import VERSION
from infra.local.gateway import Gateway
from infra.local.service import build_server
from infra.local.serving import bind
from infra.local.sigv4_check import SigV4Check
from tests.conftest import SETTINGS, MakeWorld, World, add_firm
from tests.support.log_capture import Watched
from tests.support.ops_runner import Run

FIRM = "00000000"
CALLER = "arn:aws-cn:sts::123456789012:assumed-role/canary/canary"

Serve = Callable[..., AbstractContextManager[World]]


@pytest.fixture
def serve(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """A factory of worlds whose service is reached over HTTP, with proofs of work and signatures."""

    @contextmanager
    def served(secret: str | None = None, **settings: str) -> Iterator[World]:
        # Restored at the end: the gateway replaces the class of the app.
        monkeypatch.setattr(app, "__class__", LocalChalice)
        key, own = (os.environ[f"AWS_{name}"] for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"))
        check = SigV4Check(key, secret or own, lambda: int(time.time()))
        bound = bind(0)
        site = f"http://127.0.0.1:{bound.getsockname()[1]}"
        world = make_world(**{"SITE_URL": site, "PROOF_OF_WORK": "1", **settings})
        server = build_server(bound, Gateway(app, check, CALLER).answer, {}, site)
        server.start()
        try:
            yield world
        finally:
            server.close()

    return served


def test_a_run_recovers_the_test_firm_and_logs_in(serve: Serve, watched: Watched) -> None:
    """Proof, start, code, password, and a signed login; its figures are the canary's alone."""
    with serve() as world:
        result = function({}, None)
        assert (result["succeeded"], result["problem"]) == (True, None)
        assert (result["step"], result["version"]) == ("verify", VERSION)
        login = world.login_item(FIRM)
        assert login.password_version == 1
        assert not login.must_change
        assert login.openid is None
        figures = watched.figures()
        assert figures.pop("CanarySucceeded") == 1
        assert figures.pop("CanaryMilliseconds") == result["milliseconds"] > 0
        # Nothing else: people's starts, codes and logins would seem to go on where only the canary's do.
        assert figures == {}
        # No firm, no message to a phone, no count in a budget of the service.
        assert world.phones.sent == []
        assert list(FirmItem.scan()) == []
        assert not [item for item in BudgetItem.scan() if item.id.startswith("budget#")]


def test_runs_do_not_use_up_each_other_s_limits(serve: Serve) -> None:
    """Within the limits that hold for everybody, and without lists that grow without end."""
    with serve(PROOF_OF_WORK="0") as world:
        for number in range(12):
            assert function({}, None)["succeeded"], number
            world.clock.time += HOUR // 6
        assert len(plain_map(world.login_item(FIRM).starts_by)) < 12
        item = CodeItem.get(f"code#{FIRM}")
        assert len(item.sends) == 12
        # Two days later, as if the canary had run all the time.
        world.clock.time += 2 * DAY
        times = [world.clock.time - 600 * number for number in range(1, 289)]
        item.update(
            [
                CodeItem.sends.set(times),
                CodeItem.senders.set([f"{number:016x}" for number in range(288)]),
                CodeItem.wrong_by.set({f"{number:016x}": [] for number in range(288)}),
            ]
        )
        assert function({}, None)["succeeded"]
        stored = CodeItem.get(item.id)
        assert len(stored.sends) == len(stored.senders) == 144
        assert len(plain_map(stored.wrong_by)) < 288


def test_the_day_s_figures_are_people_s(serve: Serve) -> None:
    """The audit has the canary's events, for its own login alone."""
    with serve(PROOF_OF_WORK="0") as world:
        assert function({}, None)["succeeded"]
        events = list(AuditItem.query(FIRM))
        assert [event.event for event in events] == ["code-sent", "password-recovered"]
        assert {event.day for event in events} == {None}
        assert events[0].gateway == canary.GATEWAY
        staff = Staff("s", "审计", frozenset({Role.AUDITOR}), "session", world.clock.time + HOUR)
        today = world.service.desk.reviews.today(staff)
        assert (today.started, today.sent, today.completed, today.gateways) == (0, 0, 0, {})


def test_operators_see_the_test_firm_s_login(serve: Serve, run_ops: Run) -> None:
    """Without a firm in the directory; and its figures are in no search."""
    with serve(PROOF_OF_WORK="0"):
        assert function({}, None)["succeeded"]
        account = run_ops("account", FIRM, "--json")
        assert account.status == 0, account.out + account.err
        assert run_ops("audit", FIRM, "--json").status == 0
        assert run_ops("find", FIRM, "--json").json["firms"] == []


def test_no_log_line_has_the_code_or_a_credential(serve: Serve, watched: Watched) -> None:
    """Of the function and of the requests that it made."""
    with serve() as world:
        assert function({}, None)["succeeded"]
        (kept,) = MailboxItem.scan(MailboxItem.id.startswith("canary#"))
        code = world.service.sealer.unseal(SEALING_PURPOSE, str(kept.sealed))
        assert code is not None
        assert watched.lines
        phone = world.login_item(FIRM).phone
        for secret in (code, "Aa1-", str(phone), "canary:", os.environ["AWS_SECRET_ACCESS_KEY"]):
            assert secret not in watched.text


def test_nobody_else_begins_a_recovery_of_the_test_firm(serve: Serve) -> None:
    """Neither a browser nor a WeChat; the login does not exist for them."""
    with serve(PROOF_OF_WORK="0") as world:
        assert function({}, None)["succeeded"]
        for openid in ("o-alice", "canary", None):
            answer = world.start(FIRM, openid)
            assert (answer.status_code, answer.json_body["code"]) == (404, "account-not-found")
        # And a cookie that only a holder of the keys can make is of no use elsewhere.
        add_firm(world.service.hasher)
        assert world.start("11010148", canary.visitor("1")).status_code == 404
        assert world.start(f"{FIRM}_cw", canary.visitor("1")).status_code == 404


def test_another_test_firm_is_a_firm_like_any_other(serve: Serve) -> None:
    """The canary's is the one that the setting names; another one's codes go to its phone."""
    other = "00000001"
    with serve(PROOF_OF_WORK="0") as world:
        add_firm(world.service.hasher, other)
        assert world.start(other, canary.visitor("1")).status_code == 404
        assert world.send(world.token(other)).status_code == 202
        assert [sms.to for sms in world.phones.sent] == [world.login_item(other).phone]
        assert [item for item in BudgetItem.scan() if item.id.startswith("budget#sends")]
        assert not list(MailboxItem.scan(MailboxItem.id.startswith("canary#")))
    with serve(CANARY_FIRM=other, PROOF_OF_WORK="0") as world:
        assert function({}, None)["succeeded"]
        assert world.login_item(other).phone.startswith("+86100")
    for wrong in ("11010148", "0000000", "00000000_cw"):
        with pytest.raises(SettingsError, match="CANARY_FIRM must be 8 to 20 digits"):
            load({**SETTINGS, "CANARY_FIRM": wrong})


def test_only_the_test_firm_s_messages_go_into_the_mailbox(serve: Serve) -> None:
    """By the login, so that another login with the same phone gets its own; sealed, and for minutes."""
    with serve(PROOF_OF_WORK="0") as world:
        assert function({}, None)["succeeded"]
        phone = world.login_item(FIRM).phone
        add_firm(world.service.hasher, phone=phone)
        world.clock.time += 61
        assert world.send(world.token()).status_code == 202
        assert [sms.to for sms in world.phones.sent] == [phone]
        (kept,) = MailboxItem.scan(MailboxItem.id.startswith("canary#"))
        assert kept.id == f"canary#{FIRM}"
        assert world.phones.codes[0] not in str(kept.sealed)
        assert world.clock.time < kept.expires_at <= world.clock.time + 300
        # An operator's notice about the test firm is no SMS either.
        frozen = world.service.desk.support.freeze(FIRM, actor="a", reason="演练")
        assert frozen.notified[0].gateway == canary.GATEWAY
        assert len(world.phones.sent) == 1
        assert all("$login" in text for text in SMS_TEMPLATES.values())


@pytest.mark.parametrize(
    ("name", "step", "problem"),
    [
        ("frozen", "start", "403 frozen"),
        ("unsigned", "verify", "403 forbidden"),
        ("no mailbox", "code", "502 delivery-failed"),
        ("empty mailbox", "mailbox", "no code"),
        ("no site", "proof", "0 ConnectionRefusedError"),
    ],
)
def test_a_failure_names_its_step(
    serve: Serve,
    watched: Watched,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    step: str,
    problem: str,
) -> None:
    """The metric is 0, the function itself does not fail, and no code or password is in the log."""
    with serve("another" if name == "unsigned" else None, PROOF_OF_WORK="0") as world:
        if name == "frozen":
            now = world.clock.time
            LoginItem(FIRM, firm_no=FIRM, starts_by={}, frozen_at=now).save()
        elif name == "no mailbox":
            failing: Any = world.service.sms
            monkeypatch.setattr(failing, "_mailbox", Broken())
        elif name == "empty mailbox":
            monkeypatch.setattr(world.service.sms, "_mailbox", Deaf())
        elif name == "no site":
            closed = bind(0)
            address = f"http://127.0.0.1:{closed.getsockname()[1]}"
            closed.close()
            object.__setattr__(world.service.settings, "site_url", address)
        result = function({}, None)
        assert (result["succeeded"], result["step"], result["problem"]) == (False, step, problem)
        assert watched.figures()["CanarySucceeded"] == 0
        (line,) = (each for each in watched.lines if each["message"] == "a canary's recovery")
        assert (line["level"], line["step"]) == ("ERROR", step)


def test_a_run_that_could_not_begin_is_a_missing_one(
    serve: Serve, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The function fails, and counts nothing: the alarm treats a missing success as a failure."""

    def down(*_: object) -> None:
        raise Unavailable("store")

    with serve():
        monkeypatch.setattr(store, "prepare_login", down)
        with pytest.raises(Unavailable):
            function({}, None)
        assert "CanarySucceeded" not in watched.figures()
        assert watched.figures() == {"Alarm alarm=unavailable": 1}


class Broken:
    """A mailbox that cannot store."""

    def send(self, *_: object) -> None:
        raise DeliveryFailed(["canary: try-another unavailable"])


class Deaf:
    """A mailbox that says it has stored, and has not."""

    def send(self, _: object, tried: object) -> Any:
        return Delivery((Attempt("canary", Outcome.SENT),))


def test_a_store_that_is_down_is_the_mailbox_s_failure(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway's protocol has no exceptions: the attempt says why, and the send is cancelled."""

    def down(*_: object) -> None:
        raise Unavailable("store")

    world = make_world()
    monkeypatch.setattr(store, "keep", down)
    store.prepare_login(FIRM, canary.phone(1))
    token = world.token(FIRM, canary.visitor("1"))
    answer = world.send(token)
    assert (answer.status_code, answer.json_body["code"]) == (502, "delivery-failed")
    (event,) = AuditItem.query(FIRM)
    assert (event.outcome, event.reason) == ("failed", "canary: try-another unavailable")


def test_the_steps_on_dynamodb_local(make_real_world: MakeWorld) -> None:
    """The login is made once and kept; mailbox and code are those of the last send."""
    world = make_real_world()
    for number in (1, 2):
        store.prepare_login(FIRM, canary.phone(number))
        visitor = canary.visitor(str(number))
        token = world.token(FIRM, visitor)
        assert world.send(token).status_code == 202
        sealed = store.kept(FIRM, world.clock.time)
        assert sealed is not None
        code = world.service.sealer.unseal(SEALING_PURPOSE, sealed)
        assert code is not None
        assert world.confirm(token, code).status_code == 200
        login = world.login_item(FIRM)
        assert (login.password_version, login.phone) == (number, canary.phone(number))
        assert login.openid is None
        assert store.kept(FIRM, world.clock.time + 300) is None


def test_a_test_firm_is_no_real_one() -> None:
    """Its number has no province's code; its phone and its openid are nobody's."""
    for number in ("11010148", "000000", "0" * 21, "00000000_cw", "０００００００００"):
        assert not canary.is_firm_number(number)
    assert canary.is_firm_number(FIRM)
    assert not canary.is_canary("oABC_-0123456789012345678901")
    assert canary.phone(7) == "+8610000000007"
