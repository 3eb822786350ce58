"""Attacks 52 to 55: secrets in logs, in errors, and in operators' commands."""

from __future__ import annotations

import inspect
import io
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from chalice.test import HTTPResponse

from app import app, yearly_reset
from chalicelib.domain.reasons import parse_reason
from chalicelib.handlers import middleware
from chalicelib.services.diagnosis import Diagnosis
from chalicelib.services.support import Support
from chalicelib.sms.failover import Failover
from chalicelib.sms.gateway import Attempt, Outcome, Sms
from chalicelib.store.models import AuditItem, LoginItem
from chalicelib.telemetry import logs, masking
from infra.ops import __main__ as commands
from infra.ops import session
from infra.ops.command import ops
from infra.ops.enrolment import firms as enrolment_store
from infra.ops.enrolment.enrolment import Enrolment
from tests.conftest import MakeWorld, World, add_firm
from tests.security.actions import draw
from tests.security.mutation import SourceMutation, Together, Value, attack
from tests.support.log_capture import Watched
from tests.support.yearly_reset import SCHEDULED, Context, ResetWorld, client, interrupted

LOGIN = "11010148"

# 52

CANARIES = {
    "password": "Canary·horse-52",
    "code": "529174",
    "phone": "13952525252",
    "openid": "oCanary52-bmjrPTlm6_2sgVt7hX",
}


def _fail(fault: RuntimeError | None, _: str) -> RuntimeError | None:
    return fault


@pytest.mark.whole_way
@attack(
    52,
    Value(masking, "hide", lambda text: text),
    Value(middleware, "_secrets", lambda _: iter(())),
)
def test_no_secret_of_a_recovery_is_logged(watched: Watched, world: World) -> None:
    """Each step fails once with an error that quotes its arguments, then succeeds."""
    add_firm(world.service.hasher, phone=f"+86{CANARIES['phone']}")
    draw(world, CANARIES["code"], CANARIES["code"])
    token = world.token(openid=CANARIES["openid"])
    steps: list[tuple[list[str], Callable[[], HTTPResponse]]] = [
        (["phone", "openid"], lambda: world.start(openid=CANARIES["openid"])),
        (["phone", "openid", "code"], lambda: world.send(token)),
        (list(CANARIES), lambda: world.confirm(token, CANARIES["code"], CANARIES["password"])),
    ]
    bodies = []
    for failing in (True, False):
        for names, step in steps:
            secrets = " ".join(CANARIES[name] for name in names)
            fault = RuntimeError(f"cannot write {secrets}") if failing else None
            with interrupted([client()], partial(_fail, fault), after=False):
                answer = step()
            assert answer.status_code in ((503,) if failing else (200, 201, 202))
            bodies.append(answer.body.decode())
    assert world.phones.codes == [CANARIES["code"]]
    assert [line["message"] for line in watched.lines].count("unexpected failure") == 3
    assert watched.figures()["RecoveryCompleted"] == 1
    for text in (watched.text, *bodies):
        for secret in (*CANARIES.values(), token):
            assert secret not in text
            assert json.dumps(secret)[1:-1] not in text


# 53


class ForgingGateway:
    """A gateway whose reason is chosen by an attacker."""

    name = "console"

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def send(self, _: Sms) -> Attempt:
        return Attempt(self.name, Outcome.REFUSED, reason=self._reason)


REASON = (
    'no\r\n{"level":"ERROR","message":"forged","alarm":"forged"}\n'
    "INFO forged\u2028INFO forged\x1b[2J\u202edegrof\x00\x9b31m\ufeff"
)


@attack(
    53,
    Value(masking, "flat", lambda text, lines=False: text),
    SourceMutation(logs._line, "json.dumps(cleaned, ", "repr(cleaned) or json.dumps(cleaned, "),
)
def test_external_text_forges_no_log_line(watched: Watched, world: World) -> None:
    """Neither a second line nor a terminal control sequence, in JSON and in plain logs."""
    world.service.sms = Failover([ForgingGateway(REASON)])
    before, plain = watched.log.getvalue(), io.StringIO()
    with logs.plainly(plain, logging.INFO):
        assert world.send(world.token()).status_code == 502
    lines = watched.log.getvalue().removeprefix(before).splitlines()
    assert len(lines) == len(plain.getvalue().splitlines()) == 1
    assert lines[0].startswith('{"level":"ERROR"')
    fields = json.loads(lines[0])
    assert fields["alarm"] == "delivery-failed"
    for message in (fields["message"], plain.getvalue().rstrip("\n")):
        assert "forged" in message
        assert message.isprintable()


# 54


@dataclass(frozen=True)
class Rendering:
    """The rendering of a route's errors; without it the bare view is called."""

    method: str
    path: str

    @property
    def named(self) -> str:
        return f"chalicelib.handlers.http.problems.render_errors: {self.method} {self.path}"

    @contextmanager
    def taken_out(self) -> Iterator[None]:
        route = app.routes[self.path][self.method]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(route, "view_function", inspect.unwrap(route.view_function))
            yield


@attack(
    54,
    Rendering("POST", "/recovery"),
    Rendering("GET", "/wechat/enter"),
    SourceMutation(
        middleware.observe, "raise FunctionFailed(type(error).__name__) from None", "raise"
    ),
)
def test_no_traceback_is_returned(yearly: ResetWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP answers have no details; Lambda, which logs exceptions, receives the kind only."""

    def broken(*_: object) -> None:
        raise LookupError("words of the inside: /var/task/chalicelib")

    world = yearly.world
    monkeypatch.setattr(app, "debug", False)
    monkeypatch.setattr(type(world.service.recovery), "start", broken)
    monkeypatch.setattr(type(world.service.wechat_login), "begin", broken)
    monkeypatch.setattr(type(yearly.story), "start", broken)
    for answer in (world.start(), world.call("GET", "/wechat/enter")):
        assert answer.status_code == 503
        assert answer.headers["Content-Type"].startswith("application/problem+json")
        for inside in (b"Traceback", b"LookupError", b"words", b"chalicelib", b'File "'):
            assert inside not in answer.body
    event = {
        "version": "0",
        "id": "e-1",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "123456789012",
        "time": SCHEDULED,
        "region": "cn-north-1",
        "resources": [],
        "detail": {},
    }
    with pytest.raises(Exception) as raised:  # noqa: PT011 - any exception is logged by Lambda
        yearly_reset(event, Context())
    assert str(raised.value) == "LookupError"
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


# 55

HEADER = (
    "firm_no,name,province,approval_no,head_name,head_id_last4,phone,finance_phone,opening_password"
)
ROW = "11010148,示例会计师事务所,11,京财会许可〔2012〕0084号,甄示例,123X,13800001234,13800001234,"


@attack(
    55,
    SourceMutation(
        Diagnosis.overview, "mask_phone(snapshot.phone) if snapshot.phone", "snapshot.phone if True"
    ),
    SourceMutation(parse_reason, "if not reason:", "if False:"),
    *(
        SourceMutation(change, "actor=actor", "actor='somebody'")
        for change in (
            Support.change_phone,
            Support.unbind,
            Support.unlock,
            Support.freeze,
            Support.unfreeze,
        )
    ),
    Together(
        SourceMutation(Enrolment._enrol, "None if _has_password(known.main) else entry", "entry"),
        SourceMutation(
            enrolment_store._condition,
            "LoginItem.password_hash.does_not_exist()",
            "LoginItem.login.exists()",
        ),
    ),
)
def test_commands_show_and_set_no_secret_and_are_audited(
    serial_moto: None, make_world: MakeWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No command shows or accepts a password or a code; each change has an actor and a reason."""
    world = make_world()
    add_firm(world.service.hasher)
    assert set(ops.commands) == {
        "import",
        "account",
        "phone",
        "unbind",
        "unlock",
        "freeze",
        "unfreeze",
        "close",
        "find",
        "export",
        "search-index",
        "audit",
        "restore",
        "yearly-reset",
        "wechat-menu",
    }
    options = {
        name for command in ops.commands.values() for each in command.params for name in each.opts
    }
    assert not [name for name in options if "password" in name or "code" in name]

    def run(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        status = commands.main(arguments)
        return status, capsys.readouterr().out

    token = world.token(openid="o-canary-55")
    world.send(token)
    LoginItem(LOGIN).update([LoginItem.openid.set("o-canary-55")])
    stored = world.login_item()
    shown = "".join(
        run(name, LOGIN, *form)[1]
        for name in ("account", "audit", "find", "export")
        for form in ((), ("--json",))
    )
    assert "138****1234" in shown
    for secret in (
        world.phones.codes[0],
        stored.password_hash,
        "argon2",
        "13800001234",
        "o-canary",
    ):
        assert secret not in shown

    for arguments in (
        ("phone", LOGIN, "13900002222"),
        *((name, LOGIN) for name in ("unbind", "unlock", "freeze", "unfreeze")),
    ):
        before = AuditItem.count(LOGIN)
        assert run(*arguments)[0] == 2
        assert run(*arguments, "--reason", " \u200b")[0] == 1
        assert AuditItem.count(LOGIN) == before
        assert run(*arguments, "--reason", "本人来函")[0] == 0
        event = list(AuditItem.query(LOGIN))[-1]
        assert (event.actor, event.reason) == (session.caller(), "本人来函")

    path = tmp_path / "firms.csv"
    path.write_text(f"{HEADER}\n{ROW}Mallory-horse-9\n", "utf-8")
    assert run("import", str(path), "--reason", "年度更新")[0] == 0
    after = LoginItem.get(LOGIN, consistent_read=True)
    assert (after.password_hash, int(after.password_version)) == (stored.password_hash, 1)
