"""Operators' commands, in which each outgoing call fails once."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest

from chalicelib.store.models import AuditItem, FirmItem, LoginItem
from infra.ops import __main__ as commands
from infra.ops.enrolment import enrolment
from tests.fault_injection.driver import MakePlace, Person, stored
from tests.fault_injection.sweep import Faults, Point

pytestmark = pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")

NEW = "+8613900002222"
CODES = {"unavailable", "identity"}

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def insist(capsys: pytest.CaptureFixture[str], serial_moto: None) -> Run:
    """Runs a command, and again after it failed; what the last one printed as JSON."""

    def run(point: Point, *arguments: str) -> dict[str, Any]:
        point.step = arguments[0]
        with point:
            status = commands.main([*arguments, "--json"])
        printed: dict[str, Any] = json.loads(capsys.readouterr().out)
        if status == 0:
            return printed
        assert status == 1
        assert printed.get("interrupted") or printed["error"] in CODES, printed
        assert point.name is not None
        assert commands.main([*arguments, "--json"]) == 0
        return dict(json.loads(capsys.readouterr().out))

    return run


def told_at_most_once(person: Person, told: list[str], number: int) -> None:
    """Assert that nobody is told twice, and all unless something failed.

    A change whose answer was lost is found done by the next command, which then tells nobody; a
    notice that failed is shown to the operator, who may call.
    """
    assert len(set(told)) == len(told)
    assert len(told) == number or (person.point.name is not None and len(told) < number)


def test_a_phone_is_changed(make_place: MakePlace, faults: Faults, insist: Run) -> None:
    """Once, with one event; the live code ends with it."""
    place = make_place(PROOF_OF_WORK="0")

    def act(point: Point) -> None:
        person = place.person(point)
        token = place.world.token(person.login, person.phone.openid)
        assert place.world.send(token).status_code == 202
        code = person.texted[-1]
        insist(point, "phone", person.login, NEW, "--reason", "来函")
        assert person.item().phone == NEW
        assert len(person.events("phone-changed")) == 1
        assert place.world.confirm(token, code).json_body["code"] in (
            "code-expired",
            "recovery-expired",
        )
        assert not person.is_whole()
        told = [
            text["to"] for text in place.network.accepted if text["template"] == "phone-changed"
        ]
        told_at_most_once(person, [to for to in told if to == person.number], 1)

    swept = faults.sweep("operator changes a phone", act)
    assert {"GetCallerIdentity", "GetItem", "TransactWriteItems", "/"} <= set(swept)


def test_a_binding_is_undone(make_place: MakePlace, faults: Faults, insist: Run) -> None:
    """Once, with one event."""
    place = make_place(PROOF_OF_WORK="0")

    def act(point: Point) -> None:
        person = place.person(point, bound=True)
        insist(point, "unbind", person.login, "--reason", "来函")
        assert person.item().openid is None
        assert len(person.events("wechat-unbound")) == 1
        told_at_most_once(person, person.told, 2)

    assert "/cgi-bin/message/template/send" in faults.sweep("operator undoes a binding", act)


def test_limits_are_lifted(make_place: MakePlace, faults: Faults, insist: Run) -> None:
    """Once, with one event, and the person goes on."""
    place = make_place(PROOF_OF_WORK="0")

    def act(point: Point) -> None:
        person = place.person(point)
        for number in range(5):
            assert not person.right(f"Wrong-horse-{number}")
        insist(point, "unlock", person.login, "--reason", "来电")
        assert len(person.events("unlocked")) == 1
        assert person.right("Opening-password-1")
        told_at_most_once(person, person.told, 1)

    faults.sweep("operator lifts limits", act)


class SameContext(ThreadPoolExecutor):
    """Threads in which the point is armed as well."""

    def submit(self, call: Callable[..., Any], /, *given: Any, **named: Any) -> Future[Any]:
        return super().submit(copy_context().run, call, *given, **named)


def test_a_firm_is_enrolled(
    make_place: MakePlace,
    faults: Faults,
    insist: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whole or not at all; the file loaded again completes it, and changes nothing more."""
    monkeypatch.setattr(enrolment, "ThreadPoolExecutor", SameContext)
    place = make_place(PROOF_OF_WORK="0")
    file = tmp_path / "firms.csv"
    file.write_text(
        "firm_no,name,province,approval_no,head_name,head_id_last4,phone,finance_phone,"
        "opening_password\n"
        "32990002,江苏样例会计师事务所有限公司,32,苏财会〔2010〕0017号,甄示例,4321,13800001234,,"
        "Opening-password-1\n",
        "utf-8",
    )

    def act(point: Point) -> None:
        place.empty()
        insist(point, "import", str(file))
        logins = {item.login: item for item in stored(LoginItem)}
        assert set(logins) == {"32990002", "32990002_cw"}
        assert len(stored(FirmItem)) == 1
        assert all(int(item.password_version) == 1 for item in logins.values())
        assert [item.event for item in stored(AuditItem)] == ["enrolled"] * 2

    swept = faults.sweep("operator enrols a firm", act)
    assert set(swept) == {"GetCallerIdentity", "BatchGetItem", "TransactWriteItems"}
