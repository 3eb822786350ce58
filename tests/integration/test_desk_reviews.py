"""What supervisors and auditors read: the staff's audit, as JSON and CSV, and the day."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from chalicelib.services.desk import reviews
from chalicelib.services.desk.reviews import as_csv, cell
from chalicelib.sms.gateway import Outcome
from chalicelib.store import audit
from chalicelib.store.accounts import event_of
from chalicelib.store.audit_days import DayEvent
from tests.support.desk import AGENT, SUPERVISOR, Desk

LOGIN = "11010148"
DAY = 86_400


def read(desk: Desk, query: str = "") -> list[dict[str, Any]]:
    """Return the events of the audit, without those of reading it."""
    answer = desk.auditor.get(f"/support/api/audit{query}")
    assert answer.status_code == 200, answer.body
    events: list[dict[str, Any]] = answer.json_body["events"]
    return [event for event in events if event["event"] != "desk-audit"]


def unlock(desk: Desk, login: str = LOGIN, reason: str = "来电申请") -> None:
    """Let the agent look at a login, and freeze it."""
    answer = desk.agent.post(f"/support/api/logins/{login}/freeze", {"reason": reason})
    assert answer.json_body["changed"], answer.body


def test_the_audit_is_read_by_person_login_and_date(desk: Desk) -> None:
    """The staff's acts alone, oldest first."""
    unlock(desk)
    desk.world.send(desk.world.token("11010148_cw"))
    desk.world.clock.time += DAY
    desk._browsers.clear()
    desk.supervisor.post(f"/support/api/logins/{LOGIN}/unfreeze", {"reason": "已核实"})
    desk.world.service.desk.support.freeze(
        "11010148_cw", actor="arn:aws-cn:iam::1:user/ops", reason="夜间"
    )
    assert [(e["login"], e["event"], e["actor"]) for e in read(desk)] == [
        (LOGIN, "unfrozen", SUPERVISOR),
        ("11010148_cw", "frozen", "arn:aws-cn:iam::1:user/ops"),
    ]
    whole = "?from=2027-01-15&to=2027-01-16"
    assert [e["event"] for e in read(desk, whole)] == ["frozen", "unfrozen", "frozen"]
    assert [e["reason"] for e in read(desk, f"{whole}&by={AGENT}")] == ["来电申请"]
    assert [e["event"] for e in read(desk, f"{whole}&login={LOGIN}")] == ["frozen", "unfrozen"]
    by = "arn:aws-cn:iam::1:user/ops"
    assert [e["reason"] for e in read(desk, f"{whole}&by={by}")] == ["夜间"]
    assert read(desk, "?to=2027-01-14") == []
    assert [e["actor"] for e in read(desk, "?to=2027-01-15")] == [AGENT]


@pytest.mark.parametrize(
    "query",
    [
        "from=yesterday",
        "to=2027-13-01",
        "from=2027-01-02&to=2027-01-01",
        "from=2026-01-01&to=2027-01-01",
        "login=x",
        "format=xlsx",
        "by=" + "x" * 301,
    ],
)
def test_a_query_that_is_wrong(desk: Desk, query: str) -> None:
    """422, naming the field."""
    answer = desk.auditor.get(f"/support/api/audit?{query}")
    assert (answer.status_code, answer.json_body["code"]) == (422, "invalid-input")
    assert answer.json_body["field"] in ("from", "to", "login", "format", "by")


def test_the_audit_as_csv(desk: Desk) -> None:
    """With a byte order mark, by which spreadsheets recognise UTF-8."""
    unlock(desk, reason='引号" 和,逗号')
    answer = desk.auditor.get("/support/api/audit?format=csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="audit.csv"'
    text = answer.body.decode("utf-8")
    assert text.startswith("\ufeff")
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    frozen = next(row for row in rows if row["事件"] == "冻结账号")
    assert (frozen["人员"], frozen["账号"]) == (AGENT, LOGIN)
    assert frozen["原因"] == '引号" 和,逗号'
    assert frozen["时间"] == "2027-01-15 16:00:00"


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "  =cmd|' /C calc'!A0",
        "\t=1",
        "\r=1",
        "＝1+1",
        "＠SUM(A1)",
        '=HYPERLINK("https://evil.example","点击")',
    ],
)
def test_no_cell_is_executed_by_a_spreadsheet(desk: Desk, text: str) -> None:
    """An apostrophe precedes it; also in what a member of the staff writes as a reason."""
    (row,) = csv.reader(io.StringIO(cell(text)))
    assert row == [f"'{text}"]
    item = audit.entry(LOGIN, "unlocked", desk.world.clock.time, actor="staff:x", reason=text)
    lines = as_csv((DayEvent(LOGIN, event_of(item)),))
    assert f"'{text}".replace('"', '""') in lines
    assert f'"{text}'.replace('"=', '"=') not in lines


def test_the_day_at_a_glance(desk: Desk) -> None:
    """Started, sent, completed, refused, by gateway and province, and what the staff changed."""
    world = desk.world
    token = world.token()
    world.send(token)
    world.confirm(token, "000000" if world.phones.codes[0] != "000000" else "111111")
    assert world.confirm(token, world.phones.codes[0]).status_code == 200
    world.phones.outcomes = [Outcome.TRY_ANOTHER]
    world.clock.time += 61
    world.send(world.token("11010148_cw"))
    world.send(world.token("11010148_cw"))
    world.send(world.token("11010148_cw"))
    audit.record(audit.entry("11010148_cw", "yearly-reset", world.clock.time, actor="yearly-reset"))
    audit.record(audit.entry(LOGIN, "enrolled", world.clock.time, actor="arn:aws:x"))
    audit.record(audit.entry(LOGIN, "frozen-by-owner", world.clock.time))
    unlock(desk)
    answer = desk.auditor.get("/support/api/today")
    assert answer.status_code == 200, answer.body
    day = answer.json_body
    assert day == {
        "day": "2027-01-15",
        "started": 4,
        "sent": 2,
        "delivered": 0,
        "completed": 1,
        "refused": 1,
        "wrong": 1,
        "reset": 1,
        "frozen_by_owner": 1,
        "changed_by_staff": 1,
        "waiting": 0,
        "gateways": {"console": {"sent": 2, "delivered": 0, "failed": 1}},
        "provinces": {"11": 1},
        "partial": False,
    }


def test_a_day_of_too_many_events_is_counted_in_part(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer says so; events that are none of the counted ones change no number."""
    monkeypatch.setattr(reviews, "_MOST_OF_DAY", 2)
    now = desk.world.clock.time
    for event in ("wechat-unbound", "frozen-by-owner", "frozen-by-owner"):
        audit.record(audit.entry(LOGIN, event, now))
        now += 1
    day = desk.auditor.get("/support/api/today").json_body
    assert (day["partial"], day["frozen_by_owner"]) == (True, 1)
    assert (day["sent"], day["wrong"], day["refused"], day["completed"]) == (0, 0, 0, 0)


def test_yesterday_is_no_part_of_today(desk: Desk) -> None:
    """The day is one of Beijing: it ends at 16:00 UTC."""
    desk.world.send(desk.world.token())
    desk.world.clock.time += 8 * 3_600 - 1
    assert desk.auditor.get("/support/api/today").json_body["sent"] == 1
    desk.world.clock.time += 1
    desk._browsers.clear()
    after = desk.auditor.get("/support/api/today").json_body
    assert (after["day"], after["sent"], after["started"]) == ("2027-01-16", 0, 0)


def test_looks_are_recorded_before_they_are_shown(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the audit cannot be written, nothing is shown."""
    from chalicelib.domain.errors import Unavailable

    def fail(_: object) -> None:
        raise Unavailable("store")

    browsers = (desk.agent, desk.auditor)
    monkeypatch.setattr(audit, "record", fail)
    for browser, path in (
        (browsers[0], f"/support/api/logins/{LOGIN}"),
        (browsers[0], "/support/api/find?q=11010148"),
        (browsers[1], "/support/api/audit"),
        (browsers[1], "/support/api/today"),
    ):
        assert browser.get(path).status_code == 503, path
