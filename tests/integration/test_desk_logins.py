"""The support desk's page of a login, and its acts: the calls of people who get no code."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain import desk_texts
from chalicelib.domain.staff import Staff
from chalicelib.services.diagnosis import Diagnosis, Finding, Overview
from chalicelib.sms.gateway import Outcome
from chalicelib.store import audit
from chalicelib.store.models import AuditItem, LoginItem
from tests.conftest import PHONE
from tests.support.desk import Desk

LOGIN, FINANCE = "11010148", "11010148_cw"
REASON = {"reason": "来电申请"}
FACTS = {
    "approval_no": "京财会许可[2012]84",
    "head_name": "阿依古丽 买买提",
    "head_id_last4": "１２３ｘ",
}


def view(desk: Desk, login: str = LOGIN) -> dict[str, Any]:
    """Return the answer of the login's page."""
    answer = desk.agent.get(f"/support/api/logins/{login}")
    assert answer.status_code == 200, answer.body
    found: dict[str, Any] = answer.json_body
    return found


def check(desk: Desk, **changes: str) -> Any:
    """Check the firm's facts, with changes."""
    return desk.agent.post(f"/support/api/firms/{LOGIN}/identity", {**FACTS, **changes})


def test_each_finding_has_its_sentences() -> None:
    """Why, and what to say."""
    keys = {*(finding.value for finding in Finding), "default-password"}
    assert set(desk_texts.WHY) == set(desk_texts.SAY) == keys


def test_no_code_was_requested(desk: Desk) -> None:
    """Call 1: the caller never tapped the button, or has another login in mind."""
    shown = view(desk)
    assert shown["why"] == desk_texts.WHY["never-sent"]
    assert LOGIN in shown["say"]
    assert (shown["method"], shown["phone"], shown["events"]) == ("sms", "138****1234", [])


def test_an_sms_that_did_not_arrive(desk: Desk) -> None:
    """Call 1: gateway, receipt and reason in one sentence."""
    desk.world.send(desk.world.token())
    send = next(iter(AuditItem.query(LOGIN)))
    audit.add_receipt(LOGIN, send.at, "m1", "failed", "MK:0001")
    shown = view(desk)
    assert shown["why"] == (
        "最近一次验证码（2027年1月15日 16:00，console，138****1234）没有送达：MK:0001。"
    )
    assert "138****1234" in shown["say"]
    (event,) = shown["events"]
    assert (event["text"], event["details"]) == ("发送验证码", "console，已交网关，未送达，MK:0001")
    assert shown["requesters"] == [
        {"requester": event["requester"], "events": 1, "last_at": desk.world.clock.time}
    ]


def test_a_send_that_every_gateway_refused(desk: Desk) -> None:
    """The caller may try again at once."""
    desk.world.phones.outcomes = [Outcome.TRY_ANOTHER]
    assert desk.world.send(desk.world.token()).status_code == 502
    assert "没有发出" in view(desk)["why"]


def test_a_login_without_a_phone(desk: Desk) -> None:
    """Call 3."""
    LoginItem(LOGIN).update([LoginItem.phone.remove()])
    assert view(desk)["why"] == desk_texts.WHY["no-way"]


def test_a_wechat_of_somebody_who_has_left(desk: Desk) -> None:
    """Call 4: who else is bound to it, and unbinding with a reason."""
    for login in (LOGIN, FINANCE):
        LoginItem(login).update([LoginItem.openid.set("o-left")])
    shown = view(desk)
    assert (shown["method"], shown["shares_wechat"]) == ("wechat", [FINANCE])
    answer = desk.agent.post(f"/support/api/logins/{LOGIN}/unbind", REASON)
    assert answer.json_body == {
        "login": LOGIN,
        "changed": True,
        "notified": [{"destination": "138****1234", "outcome": "sent"}],
    }
    after = view(desk)
    assert (after["method"], after["shares_wechat"]) == ("sms", [])
    assert (
        desk.agent.post(f"/support/api/logins/{LOGIN}/unbind", REASON).json_body["changed"] is False
    )


def test_too_many_tries(desk: Desk) -> None:
    """Call 5: which limit, until when, whose tries; unlocked with a reason."""
    now = desk.world.clock.time
    visitor = desk.world.service.requesters.identify("o-alice", "")
    LoginItem(LOGIN).update([LoginItem.starts_by.set({visitor.key: [now - 60] * 10})])
    desk.world.start()
    shown = view(desk)
    assert (
        shown["why"]
        == "“同一微信或网络一小时内开始找回的次数（不影响他人）”已达上限，2027年1月15日 16:59自动解除。"
    )
    (lock,) = shown["locks"]
    assert (lock["kind"], lock["until"]) == ("starts", now + 3_540)
    assert desk.agent.post(f"/support/api/logins/{LOGIN}/unlock", REASON).json_body["changed"]
    after = view(desk)
    assert after["locks"] == []
    assert after["events"][0]["event"] == "unlocked"
    assert after["events"][0]["actor"] == "staff:staff-lin"
    assert after["events"][0]["reason"] == "来电申请"


def test_a_finance_login_after_the_yearly_reset(desk: Desk) -> None:
    """Call 6."""
    LoginItem(FINANCE).update(
        [LoginItem.reset_year.set(2027), LoginItem.changed_at.set(desk.world.clock.time - 60)]
    )
    shown = view(desk, FINANCE)
    assert shown["why"] == "该账号现在是2027年度的默认密码，不能直接登录，须先找回密码。"
    assert "忘记密码" in shown["say"]
    desk.world.send(desk.world.token(FINANCE))
    assert "最近一次验证码" in view(desk, FINANCE)["why"]


def test_when_the_facts_were_imported(desk: Desk) -> None:
    """Call 8: and from which file."""
    event = audit.entry(
        LOGIN, "enrolment-updated", 1_790_000_000, actor="arn:aws:x", reason="名录.csv sha256:ab"
    )
    audit.record(event)
    shown = view(desk)
    assert (shown["imported_at"], shown["imported_from"]) == (1_790_000_000, "名录.csv sha256:ab")


def test_a_phone_that_other_logins_share(desk: Desk) -> None:
    """Found by the keyed digest."""
    index = desk.world.service.desk.search_index
    for login in (LOGIN, FINANCE):
        index.add_phone(login, PHONE)
    assert view(desk)["shares_phone"] == [FINANCE]


def test_looks_are_no_part_of_what_happened(desk: Desk) -> None:
    """They are in the audit alone."""
    desk.world.send(desk.world.token())
    for _ in range(205):
        desk.world.service.desk.journal.looked(
            Staff("s", "s", frozenset(), "0", 0), "desk-viewed", about=LOGIN
        )
    shown = view(desk)
    assert [event["event"] for event in shown["events"]] == ["code-sent"]
    assert "最近一次验证码" in shown["why"]
    acts = desk.auditor.get(f"/support/api/audit?login={LOGIN}").json_body["events"]
    assert [act["event"] for act in acts] == ["desk-viewed"] * 206


def test_facts_are_compared_and_not_shown(desk: Desk) -> None:
    """As typed by ear: widths, brackets, dots, leading zeros and case do not matter."""
    assert check(desk).json_body == {"matches": True}
    for wrong in ({"approval_no": "85"}, {"head_name": "阿依古丽"}, {"head_id_last4": "1234"}):
        assert check(desk, **wrong).json_body == {"matches": False}


def test_a_guess_is_counted_before_it_is_compared(desk: Desk) -> None:
    """Five wrong ones a firm and day; right ones are not counted, and do not clear wrong ones."""
    for _ in range(7):
        assert check(desk).json_body["matches"]
    for _ in range(5):
        assert check(desk, head_id_last4="0000").json_body == {"matches": False}
    answer = check(desk)
    assert (answer.status_code, answer.json_body["code"]) == (429, "too-many-attempts")
    assert answer.json_body["retry_after"] == 86_400
    other = desk.supervisor.post(f"/support/api/firms/{LOGIN}/identity", FACTS)
    assert other.status_code == 429
    desk.world.clock.time += 86_400
    assert check(desk).status_code == 401
    desk._browsers.clear()
    assert check(desk).json_body["matches"]


def test_a_member_of_the_staff_cannot_go_through_the_firms(desk: Desk) -> None:
    """Twenty wrong checks a day over all firms."""
    from chalicelib.store.firms import set_facts
    from chalicelib.store.models import FirmItem
    from tests.integration.test_desk_find import facts

    codes = []
    for number in range(5):
        firm = facts(f"3100000{number}", f"示例{number}会计师事务所")
        FirmItem(firm.firm_no).update(set_facts(firm))
        for _ in range(5):
            path = f"/support/api/firms/{firm.firm_no}/identity"
            codes.append(desk.agent.post(path, {**FACTS, "head_id_last4": "0000"}).status_code)
    assert codes == [200] * 20 + [429] * 5
    assert desk.supervisor.post(f"/support/api/firms/{LOGIN}/identity", FACTS).status_code == 200


def test_an_unknown_firm_has_no_identity(desk: Desk) -> None:
    """Firm numbers are public, so the answer says so."""
    answer = desk.agent.post("/support/api/firms/99999999/identity", FACTS)
    assert (answer.status_code, answer.json_body["code"]) == (404, "account-not-found")


def test_a_freezing_by_the_owner_is_shown(desk: Desk) -> None:
    """By a notice's link; the requester is the visitor who pressed the button."""
    service = desk.world.service
    token = service._freeze_tokens.issue(LOGIN, "o-alice", desk.world.clock.time)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    body = f"token={token}".encode()
    answer = desk.world.call("POST", "/freeze", body, headers=form, openid="o-alice")
    assert answer.status_code == 200
    shown = view(desk)
    assert "frozen" in shown["findings"]
    (event,) = shown["events"]
    assert (event["text"], event["actor"]) == ("本人冻结", "person")
    assert event["requester"] == service.requesters.identify("o-alice", "").id
    assert shown["requesters"][0]["requester"] == event["requester"]


def test_a_frozen_login_is_shown_as_frozen(desk: Desk) -> None:
    """Call 9: open recoveries end, the person is notified; a supervisor unfreezes."""
    token = desk.world.token()
    desk.world.send(token)
    answer = desk.agent.post(f"/support/api/logins/{LOGIN}/freeze", REASON)
    assert answer.json_body["changed"] is True
    assert desk.world.phones.sent[-1].template == "frozen"
    assert view(desk)["why"] == "账号已于2027年1月15日 16:00冻结，不能找回密码，也不能登录。"
    confirmed = desk.world.confirm(token, desk.world.phones.codes[0])
    assert (confirmed.status_code, confirmed.json_body["code"]) in (
        (410, "code-expired"),
        (401, "recovery-expired"),
    )
    again = desk.agent.post(f"/support/api/logins/{LOGIN}/freeze", REASON)
    assert again.json_body["changed"] is False
    assert desk.agent.post(f"/support/api/logins/{LOGIN}/unfreeze", REASON).status_code == 403
    thawed = desk.supervisor.post(f"/support/api/logins/{LOGIN}/unfreeze", REASON)
    assert thawed.json_body["changed"] is True
    assert desk.world.phones.sent[-1].template == "unfrozen"
    assert view(desk)["frozen_at"] is None


def test_what_else_a_visitor_has_touched(desk: Desk) -> None:
    """Call 9: from the mark in the timeline to the other logins, of today and yesterday."""
    world = desk.world
    world.send(world.token(LOGIN, openid="o-stranger"))
    world.clock.time += 61
    world.send(world.token(FINANCE, openid="o-stranger"))
    (mark,) = (each["requester"] for each in view(desk)["requesters"])

    def touched(mark: str) -> Any:
        return desk.agent.get(f"/support/api/requesters/{mark}").json_body["logins"]

    both = [{"login": LOGIN, "events": 1}, {"login": FINANCE, "events": 1}]
    assert sorted(touched(mark), key=str) == sorted(both, key=str)
    assert touched("0" * 16) == []
    world.clock.time += 86_400
    desk._browsers.clear()
    assert len(touched(mark)) == 2
    world.clock.time += 86_400
    desk._browsers.clear()
    assert touched(mark) == []


@pytest.mark.parametrize("mark", ["x", "0" * 15, "0" * 17, "0123456789ABCDEF", "staff"])
def test_a_mark_that_is_none(desk: Desk, mark: str) -> None:
    """422, naming the field."""
    answer = desk.agent.get(f"/support/api/requesters/{mark}")
    assert (answer.status_code, answer.json_body["field"]) == (422, "requester")


@pytest.mark.parametrize("login", ["1", "x", "11010148_xx", "99999999"])
def test_a_login_that_is_none(desk: Desk, login: str) -> None:
    """Malformed or unknown."""
    answer = desk.agent.get(f"/support/api/logins/{login}")
    assert answer.status_code == (404 if login.isdecimal() and len(login) == 8 else 422)


def test_a_login_that_is_erased_meanwhile(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the two reads of its view: 404, as if it had been erased before."""
    overview = Diagnosis.overview

    def erased(self: Diagnosis, login: str) -> Overview:
        found = overview(self, login)
        LoginItem.get(found.login).delete()
        return found

    monkeypatch.setattr(Diagnosis, "overview", erased)
    answer = desk.agent.get(f"/support/api/logins/{LOGIN}")
    assert (answer.status_code, answer.json_body["code"]) == (404, "account-not-found")
