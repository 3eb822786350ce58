"""The operators' commands, of which every outgoing call fails once."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest

from chalicelib.store.desk_models import DeskItem
from chalicelib.store.models import AuditItem, FirmItem, LoginItem
from infra.ops import __main__ as commands
from infra.ops.enrolment import enrolment
from tests.fault_injection.driver import MakePlace, Person, stored
from tests.fault_injection.sweep import Faults, Point

pytestmark = pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")

NEW = "+8613900002222"
CODES = {"unavailable", "identity", "alarm"}

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def insist(capsys: pytest.CaptureFixture[str], serial_moto: None) -> Run:
    """Run a command, and repeat it after a failure; return the last JSON output."""

    def run(point: Point, *arguments: str) -> dict[str, Any]:
        point.step = arguments[0]
        with point:
            status = commands.main([*arguments, "--json"])
        printed: dict[str, Any] = json.loads(capsys.readouterr().out)
        if status == 0:
            return printed
        assert status == 1
        is_partial = printed.get("interrupted") or printed.get("indexed") is False
        assert is_partial or printed["error"] in CODES, printed
        assert point.name is not None
        assert commands.main([*arguments, "--json"]) == 0
        return dict(json.loads(capsys.readouterr().out))

    return run


def notified_at_most_once(person: Person, notices: list[str], number: int) -> None:
    """Assert that no notice is sent twice, and that none is missing unless one of its calls failed.

    A change whose answer was lost is notified. A notice that failed is shown to the operator, who may
    phone.
    """
    assert len(set(notices)) == len(notices)
    failed = person.point.name not in (None, "TransactWriteItems")
    assert len(notices) == number or (failed and len(notices) < number)


def test_a_phone_is_changed_once(make_place: MakePlace, faults: Faults, insist: Run) -> None:
    """The change has one audit event, and ends the live code."""
    place = make_place(PROOF_OF_WORK="0")

    def act(point: Point) -> None:
        person = place.person(point)
        token = place.world.token(person.login, person.phone.openid)
        assert place.world.send(token).status_code == 202
        code = person.sms_codes[-1]
        insist(point, "phone", person.login, NEW, "--reason", "来函")
        assert person.item().phone == NEW
        assert [len(person.events(name)) for name in ("phone-changed", "break-glass")] == [1, 1]
        assert place.world.confirm(token, code).json_body["code"] in (
            "code-expired",
            "recovery-expired",
        )
        assert not person.is_consistent()
        notified = [
            text["to"] for text in place.network.accepted if text["template"] == "phone-changed"
        ]
        notified_at_most_once(person, [to for to in notified if to == person.number], 1)

    swept = faults.sweep("operator changes a phone", act)
    calls = {"GetCallerIdentity", "GetItem", "PutMetricData", "TransactWriteItems", "/"}
    assert calls <= set(swept)


def test_a_binding_is_undone_once(make_place: MakePlace, faults: Faults, insist: Run) -> None:
    """The change has one audit event."""
    place = make_place(PROOF_OF_WORK="0")

    def act(point: Point) -> None:
        person = place.person(point, bound=True)
        insist(point, "unbind", person.login, "--reason", "来函")
        assert person.item().openid is None
        assert len(person.events("wechat-unbound")) == 1
        notified_at_most_once(person, person.notices, 2)

    assert "/cgi-bin/message/template/send" in faults.sweep("operator undoes a binding", act)


def test_limits_are_lifted_once(make_place: MakePlace, faults: Faults, insist: Run) -> None:
    """The change has one audit event, and the person can log in again."""
    place = make_place(PROOF_OF_WORK="0")

    def act(point: Point) -> None:
        person = place.person(point)
        for number in range(5):
            assert not person.right(f"Wrong-horse-{number}")
        insist(point, "unlock", person.login, "--reason", "来电")
        assert len(person.events("unlocked")) == 1
        assert person.right("Opening-password-1")
        notified_at_most_once(person, person.notices, 1)

    faults.sweep("operator lifts limits", act)


def test_a_firm_is_closed_and_opened_again_once(
    make_place: MakePlace, faults: Faults, insist: Run
) -> None:
    """Each change has one audit event a login, and the search entries follow the firm."""
    place = make_place(PROOF_OF_WORK="0")

    def act(point: Point) -> None:
        person = place.person(point)
        firm = (person.login, "--reason", "公告注销")
        closed = insist(point, "close", *firm)
        assert person.item().closed_at == closed["closed_at"]
        assert person.item().expires_at == closed["erased_at"]
        assert {entry.expires_at for entry in stored(DeskItem)} == {closed["erased_at"]}
        insist(point, "close", *firm, "--undo")
        assert person.item().expires_at is None
        assert {entry.expires_at for entry in stored(DeskItem)} == {None}
        assert [len(person.events(name)) for name in ("firm-closed", "firm-reopened")] == [1, 1]
        assert person.right("Opening-password-1")

    swept = faults.sweep("operator closes a firm", act)
    assert {"GetItem", "TransactWriteItems", "BatchWriteItem"} <= set(swept)


class SameContext(ThreadPoolExecutor):
    """A thread pool that copies the context, in which the point is armed."""

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return super().submit(copy_context().run, call, *args, **kwargs)


def test_a_firm_is_enrolled_completely_or_not_at_all(
    make_place: MakePlace,
    faults: Faults,
    insist: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A second load of the file completes it and changes nothing else."""
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
        insist(point, "import", str(file), "--reason", "首批")
        logins = {item.login: item for item in stored(LoginItem)}
        assert set(logins) == {"32990002", "32990002_cw"}
        assert len(stored(FirmItem)) == 1
        assert all(int(item.password_version) == 1 for item in logins.values())
        assert [item.event for item in stored(AuditItem)] == ["enrolled"] * 2

    swept = faults.sweep("operator enrols a firm", act)
    calls = {"GetCallerIdentity", "BatchGetItem", "BatchWriteItem", "TransactWriteItems", "Scan"}
    assert set(swept) == calls
