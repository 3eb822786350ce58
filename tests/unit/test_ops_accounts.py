"""The commands on a single login: account, audit, phone, unbind, unlock."""

from __future__ import annotations

import boto3
import pytest

from chalicelib.store import audit
from chalicelib.store.models import LoginItem
from infra.ops import words
from tests.conftest import PHONE, World
from tests.support.ops_runner import LOGIN, NEW_PHONE, Run

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
        words.LOCKS["destination-sends"],
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
    assert seen["locks"] == [{"kind": "destination-sends", "until": world.clock.time + 60}]
    assert seen["findings"] == ["locked", "no-receipt"]
    assert seen["sends"][0]["gateway"] == "console"
    assert seen["code_until"] == world.clock.time + 300


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
    (event,) = run_ops("audit", LOGIN, "--json").json
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
        assert (again.status, again.json) == (0, {"login": LOGIN, "changed": False, "notified": []})


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
    mark = world.service.requesters.mark("o-alice", "")
    shown = {event["event"]: event for event in run_ops("audit", LOGIN, "--json").json}
    assert shown["code-wrong"]["occurrences"] == 5
    assert shown["refused-code-tries"]["occurrences"] == 1
    assert {event["requester"] for event in shown.values()} == {mark}
    assert all(event["request_id"] for event in shown.values())
    out = run_ops("audit", LOGIN).out
    for text in ("验证码错误", "5次", "超限拒绝", mark):
        assert text in out
    assert "o-alice" not in out
