"""The yearly reset of the finance logins: its rules, on moto."""

from __future__ import annotations

import json

import pytest

from chalicelib.domain.errors import InvalidInput
from chalicelib.store.ephemeral_models import CodeItem
from chalicelib.store.models import AuditItem, LoginItem, RunItem
from tests.support.yearly_reset import (
    SCHEDULED,
    YEAR,
    ResetWorld,
    add_logins,
)

DEFAULT = "010123X"


def test_a_finance_login_gets_its_default_password_of_the_year(reset: ResetWorld) -> None:
    """登录账号为会计师事务所编号+_cw时，默认密码由系统每年财务上报时进行重置。

    重置后的初始密码为会计师事务所所在省会（直辖市）固话区号+主任会计师（分所负责人）身份证号后四位。
    """
    reset.schedule()
    assert reset.work() == 1
    item = LoginItem.get("11010148_cw")
    assert reset.world.service.hasher.verify(item.password_hash, DEFAULT)
    assert (item.must_change, item.reset_year, item.password_version) == (True, YEAR, 2)
    assert item.changed_at == reset.world.clock()
    event = next(iter(AuditItem.query("11010148_cw")))
    assert (event.event, event.actor, event.outcome) == ("yearly-reset", "yearly-reset", "2027")


def test_the_main_login_is_never_touched(reset: ResetWorld) -> None:
    """登录账号为会计师事务所编号时登录密码为会计师事务所入会申请时自行设置的开户密码。"""
    before = LoginItem.get("11010148").to_simple_dict()
    reset.schedule()
    reset.work()
    assert LoginItem.get("11010148").to_simple_dict() == before
    assert not list(AuditItem.query("11010148"))


def test_no_secret_is_queued_announced_or_stored(
    reset: ResetWorld, caplog: pytest.LogCaptureFixture
) -> None:
    """No message, announcement, log line or item has a password or ID digits."""
    caplog.set_level("DEBUG", logger="chalicelib")
    reset.schedule()
    messages = reset.receive()
    assert json.loads(messages[0]["Body"]) == {"year": YEAR, "chunk": "chunk#00000000"}
    reset.delete(messages, reset.invoke(messages))
    stored = [json.dumps(item.attribute_values, default=str) for item in RunItem.scan()]
    stored += [json.dumps(item.attribute_values, default=str) for item in AuditItem.scan()]
    for text in (*stored, *reset.announcements(), caplog.text):
        assert "123X" not in text
        assert "argon2" not in text


def test_the_next_year_resets_again(reset: ResetWorld) -> None:
    """A year later the login has the default password again."""
    reset.schedule()
    reset.work()
    first = LoginItem.get("11010148_cw").password_hash
    reset.world.clock.time += 365 * 86_400
    reset.schedule("2027-12-31T16:00:00Z")
    reset.work()
    item = LoginItem.get("11010148_cw")
    assert item.password_hash != first
    assert item.reset_year == YEAR + 1


@pytest.mark.parametrize(
    ("missing", "reason"),
    [("province", "no-province"), ("head_id_last4", "no-id-digits")],
)
def test_a_login_without_its_parts_is_skipped(reset: ResetWorld, missing: str, reason: str) -> None:
    """It keeps its password, and the notes have the reason."""
    item = LoginItem.get("11010148_cw")
    setattr(item, missing, None)
    item.save()
    reset.schedule()
    reset.work()
    assert LoginItem.get("11010148_cw").password_version == 1
    assert [(n.login, n.outcome, n.reason) for n in reset.story.notes(YEAR)] == [
        ("11010148_cw", "skipped", reason)
    ]
    assert reset.adds_up()


def test_a_password_recovered_during_the_run_stays(reset: ResetWorld) -> None:
    """A password recovered before the worker's write is kept."""
    reset.schedule()
    world = reset.world
    token = world.token("11010148_cw")
    world.send(token)
    assert world.confirm(token, world.phones.codes[0]).status_code == 200
    reset.work()
    item = LoginItem.get("11010148_cw")
    assert world.service.hasher.verify(item.password_hash, "Correct-horse-7")
    assert not item.must_change
    assert [note.reason for note in reset.story.notes(YEAR)] == ["changed"]


def test_a_reset_ends_a_recovery_in_progress(reset: ResetWorld) -> None:
    """A code sent before the reset sets no password after it; a new recovery does."""
    world = reset.world
    token = world.token("11010148_cw")
    world.send(token)
    reset.schedule()
    reset.work()
    late = world.confirm(token, world.phones.codes[0])
    assert late.status_code in (401, 410)
    assert CodeItem.get("code#11010148_cw").digest is None
    world.clock.time += 60
    token = world.token("11010148_cw")
    world.send(token)
    assert world.confirm(token, world.phones.codes[1]).status_code == 200
    assert not LoginItem.get("11010148_cw").must_change


def test_a_login_that_vanished_is_skipped(reset: ResetWorld) -> None:
    """A login deleted after the planning is not a failure."""
    reset.schedule()
    LoginItem.get("11010148_cw").delete()
    reset.work()
    assert [note.reason for note in reset.story.notes(YEAR)] == ["gone"]
    assert reset.adds_up()
    # Also where it is deleted between the worker's read and its write.
    run = reset.story.status(YEAR)
    assert run is not None
    assert reset.story._runs.reset(run, "11010148_cw", "hash", 1) == "gone"


def test_a_concurrent_recovery_does_not_stop_its_chunk(
    reset: ResetWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password recovered while its chunk is hashed is kept; the other logins are reset."""
    add_logins(3)
    reset.schedule()
    hasher = reset.world.service.hasher
    real = hasher.hash

    def recover_and_hash(password: str) -> str:
        item = LoginItem.get("21000001_cw")
        item.changed_at = reset.world.clock()
        item.save()
        return real(password)

    monkeypatch.setattr(hasher, "hash", recover_and_hash)
    reset.work()
    years = {item.login: item.reset_year for item in LoginItem.scan(LoginItem.login.contains("_"))}
    assert years == {
        "11010148_cw": YEAR,
        "21000000_cw": YEAR,
        "21000001_cw": None,
        "21000002_cw": YEAR,
    }
    assert [(n.login, n.reason) for n in reset.story.notes(YEAR)] == [("21000001_cw", "changed")]


def test_a_forecast_changes_nothing(reset: ResetWorld) -> None:
    """It counts the outcomes without writing."""
    add_logins(2)
    item = LoginItem.get("21000001_cw")
    item.province = None
    item.save()
    before = {item.login: item.to_simple_dict() for item in LoginItem.scan()}
    forecast = reset.story.forecast(YEAR)
    assert (forecast.logins, dict(forecast.outcomes)) == (3, {"done": 2, "no-province": 1})
    assert {item.login: item.to_simple_dict() for item in LoginItem.scan()} == before
    assert not list(RunItem.scan())
    reset.schedule()
    reset.work()
    assert dict(reset.story.forecast(YEAR).outcomes) == {"already": 2, "no-province": 1}


@pytest.mark.parametrize("year", [1999, 2029, 20270])
def test_an_implausible_year_is_refused(reset: ResetWorld, year: int) -> None:
    """A mistyped year must not mark later years as reset."""
    with pytest.raises(InvalidInput):
        reset.story.start(year, "local")
    assert not list(RunItem.scan())


def test_a_branch_uses_its_own_head(reset: ResetWorld) -> None:
    """分所负责人: the digits are those of the branch's own record, and the override table wins."""
    LoginItem(
        "110101480001_cw",
        firm_no="110101480001",
        province="65",
        head_id_last4="876x",
        password_version=1,
        changed_at=1,
    ).save()
    reset.schedule(SCHEDULED)
    reset.work()
    stored = LoginItem.get("110101480001_cw").password_hash
    assert reset.world.service.hasher.verify(stored, "0991876X")
