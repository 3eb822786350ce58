"""The commands on a single login: account, audit, phone, unbind, unlock."""

from __future__ import annotations

import boto3
import pytest
from rich.cells import cell_len

from chalicelib.store import audit
from chalicelib.store.models import LoginItem
from infra.ops import words
from tests.conftest import PHONE, World
from tests.support.ops_runner import LOGIN, NEW_PHONE, REASON, Run, Type

pytestmark = pytest.mark.usefixtures("serial_moto")


def test_account_shows_state_findings_and_last_sends(run_ops: Run, world: World) -> None:
    """People read what it is, what is wrong and what became of the last codes."""
    world.send(world.token())
    out = run_ops("account", LOGIN).out
    for text in (
        "11010148（年检、教育等功能账号）",
        "示例会计师事务所",
        "138****1234",
        words.FINDINGS["no-receipt"],
        words.LOCKS["resend-pause"],
        "2027年1月15日 16:01",
        "console",
        "已交网关",
    ):
        assert text in out
    assert PHONE[3:] not in out


def test_account_as_json(run_ops: Run, world: World) -> None:
    """It has the same facts; times are epoch seconds."""
    world.send(world.token())
    seen = run_ops("account", LOGIN, "--json").json
    assert (seen["login"], seen["phone"], seen["method"]) == (LOGIN, "138****1234", "sms")
    assert seen["locks"] == [{"kind": "resend-pause", "until": world.clock.time + 60}]
    assert seen["findings"] == ["no-receipt"]
    assert seen["sends"][0]["gateway"] == "console"
    assert seen["code_until"] == world.clock.time + 300


@pytest.mark.parametrize("columns", [10, 20, 40, 60, 80, 120, 300])
def test_the_account_is_readable_at_any_width(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, world: World, columns: int
) -> None:
    """No line is longer than the terminal, and no column becomes a pillar of single characters."""
    reason = "MOBILE_NOT_ON_SERVICE 停机"
    world.send(world.token())
    audit.entry(LOGIN, "code-sent", world.clock.time + 1, reason=reason, gateway="tencent").save()
    out = Run(capsys, monkeypatch, columns=columns)("account", LOGIN).out
    assert all(cell_len(line) <= columns for line in out.splitlines())
    if columns >= 40:
        lines = [line.split() for line in out.splitlines()]
        assert any("138****1234" in line for line in lines)
        assert any("MOBILE_NOT_ON_SERVICE" in line for line in out.splitlines())


def test_the_account_is_not_folded_without_a_terminal(
    run_ops: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file or a pipe has no width: each row is one line."""
    monkeypatch.delenv("COLUMNS")
    long = "原因" * 60
    world.send(world.token())
    audit.entry(LOGIN, "code-sent", world.clock.time + 1, reason=long, gateway="tencent").save()
    for name in ("account", "audit"):
        (row,) = [line for line in run_ops(name, LOGIN).out.splitlines() if long in line]
        assert "tencent" in row


def test_a_new_phone_of_a_bound_login_comes_with_advice(run_ops: Run, world: World) -> None:
    """Codes go to WeChat; the exit status is that of the change."""
    LoginItem(LOGIN).update([LoginItem.openid.set("o-alice")])
    for _ in range(2):
        ran = run_ops("phone", LOGIN, NEW_PHONE, *REASON)
        assert ran.status == 0
        assert "验证码仍发到微信" in ran.out
        assert f"unbind {LOGIN}" in ran.out
    run_ops("unbind", LOGIN, *REASON)
    assert "验证码仍发到微信" not in run_ops("phone", LOGIN, "13900003333", *REASON).out


DOUBTFUL = "14500002222"


def test_a_doubtful_phone_needs_a_terminal_or_yes(run_ops: Run, world: World) -> None:
    """Without either nothing is changed, and the exit status is 2."""
    ran = run_ops("phone", LOGIN, DOUBTFUL, *REASON)
    assert (ran.status, ran.out) == (2, "")
    assert words.PHONE_DOUBTS["data-card"] in ran.err
    LoginItem("31010001", firm_no="31010001", phone="+8617012345678").save()
    as_json = run_ops("phone", LOGIN, "17012345678", *REASON, "--json")
    assert (as_json.status, as_json.json["error"]) == (2, "not-confirmed")
    assert words.PHONE_DOUBTS["other-firm"] in as_json.json["message"]
    assert world.login_item().phone == PHONE
    assert run_ops("phone", LOGIN, DOUBTFUL, *REASON, "--yes").status == 0
    assert world.login_item().phone == f"+86{DOUBTFUL}"


@pytest.mark.parametrize(
    ("typed", "status"), [("145 0000 2222", 0), ("14500002223", 2), ("", 2), ("y", 2)]
)
def test_a_doubtful_phone_is_typed_twice(
    run_ops: Run, world: World, terminal: Type, typed: str, status: int
) -> None:
    """Only the same number changes it."""
    terminal(typed)
    assert run_ops("phone", LOGIN, DOUBTFUL, *REASON).status == status
    assert world.login_item().phone == (PHONE if status else f"+86{DOUBTFUL}")


def test_account_of_a_login_with_everything(run_ops: Run, world: World) -> None:
    """Binding, follower, default password, last run and last recovery are shown."""
    LoginItem(f"{LOGIN}_cw").update(
        [
            LoginItem.openid.set("o-alice"),
            LoginItem.bound_at.set(1_790_000_000),
            LoginItem.recovered_at.set(1_790_000_000),
            LoginItem.reset_year.set(2027),
        ]
    )
    world.service.followers.note("o-alice", False, 1)
    out = run_ops("account", f"{LOGIN}_cw").out
    for text in ("微信公众号", "已绑定（2026年9月21日", "须修改", "本人2026年9月21日", "2027年"):
        assert text in out
    assert words.FINDINGS["not-following"] in out
    assert "o-alice" not in out


def test_account_of_a_login_with_nothing(run_ops: Run, world: World) -> None:
    """No phone, no WeChat, no password."""
    LoginItem(LOGIN).update([LoginItem.phone.remove(), LoginItem.password_hash.remove()])
    out = run_ops("account", LOGIN).out
    for text in (words.NO_METHOD, words.NOT_BOUND, words.HAS_NO_PASSWORD, words.FINDINGS["no-way"]):
        assert text in out


def test_changes_are_audited_under_the_caller(run_ops: Run, world: World) -> None:
    """The audit has the caller's AWS identity and the reason, as text and as JSON."""
    ran = run_ops("phone", LOGIN, NEW_PHONE, "--reason", "本人 来函\n")
    assert ran.status == 0
    assert "手机号已变更" in ran.out
    assert "已短信通知 138****1234" in ran.out
    event, _ = run_ops("audit", LOGIN, "--json").json
    identity = boto3.client("sts").get_caller_identity()["Arn"]
    assert (event["event"], event["actor"], event["reason"]) == (
        "phone-changed",
        identity,
        "本人 来函",
    )
    out = run_ops("audit", LOGIN).out
    for text in ("变更手机号", "user/moto", "139****2222", "原为138****1234", "本人 来函"):
        assert text in out


def test_unbind_and_unlock_report_their_effect(run_ops: Run, world: World) -> None:
    """A second call reports that there is nothing to do."""
    LoginItem(LOGIN).update([LoginItem.openid.set("o-alice"), LoginItem.starts.set([1])])
    for name in ("unbind", "unlock"):
        ran = run_ops(name, LOGIN, "--reason", "本人来函")
        assert ran.status == 0
        assert words.CHANGED[name].replace("$login", LOGIN) in ran.out
        again = run_ops(name, LOGIN, "--reason", "本人来函", "--json")
        assert (again.status, again.json) == (
            0,
            {"login": LOGIN, "changed": False, "notified": [], "codes_by_wechat": False},
        )


def test_unbinding_the_last_method_is_refused_with_advice(run_ops: Run, world: World) -> None:
    """The operator's sentence names a command instead of the support line."""
    LoginItem(LOGIN).update([LoginItem.openid.set("o-alice"), LoginItem.phone.remove()])
    ran = run_ops("unbind", LOGIN, "--reason", "x")
    assert ran.status == 1
    assert "phone 命令" in ran.err


def test_audit_shows_the_requested_number_of_events(run_ops: Run, world: World) -> None:
    """Newest first; a login without events is reported as such."""
    assert words.NO_EVENTS in run_ops("audit", LOGIN).out
    for number in range(4):
        audit.entry(LOGIN, f"event-{number}", world.clock.time + number).save()
    seen = run_ops("audit", LOGIN, "--count", "2", "--json").json
    assert [event["event"] for event in seen] == ["event-3", "event-2"]
    assert "本人" in run_ops("audit", LOGIN).out


def test_audit_shows_requesters_and_refusals(run_ops: Run, world: World) -> None:
    """A refusal with its number and its first time, a limit by its name, all with their requester."""
    token = world.token()
    world.send(token)
    for _ in range(6):
        world.confirm(token, "999999")
    mark = world.service.requesters.identify("o-alice", "").id
    shown = {event["event"]: event for event in run_ops("audit", LOGIN, "--json").json}
    assert shown["code-wrong"]["occurrences"] == 5
    assert shown["refused-code-tries"]["occurrences"] == 1
    assert {event["requester"] for event in shown.values()} == {mark}
    assert all(event["request_id"] for event in shown.values())
    out = run_ops("audit", LOGIN).out
    for text in ("验证码错误", "5次", "超限拒绝", mark):
        assert text in out
    assert "o-alice" not in out
