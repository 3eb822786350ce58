"""Corrections of a firm's facts at the support desk: call 8, the head of the firm has changed."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.store import firm_cards
from chalicelib.store.desk_models import DeskItem
from chalicelib.store.dynamo import ConditionFailed
from chalicelib.store.firms import Firms
from chalicelib.store.models import AuditItem, FirmItem, LoginItem
from tests.support.desk import SUPERVISOR, Desk

LOGIN, FINANCE = "11010148", "11010148_cw"
WHY = {"reason": "换届", "document": "批复1号"}
NEW = {
    "approval_no": "京财会许可〔2027〕0009号",
    "head_name": "甄示例",
    "head_id_last4": "４３２１",
}


def correct(desk: Desk, **body: str) -> Any:
    """Correct facts as the supervisor, and return the answer."""
    return desk.supervisor.post(f"/support/api/firms/{LOGIN}/facts", {**WHY, **body})


def stored() -> dict[str, str]:
    """Return the stored facts that can be corrected."""
    item = FirmItem.get(LOGIN, consistent_read=True)
    return {name: getattr(item, name) for name in NEW}


def test_all_three_facts_are_corrected(desk: Desk) -> None:
    """An identity check then compares with them, and the next default password has the new digits."""
    answer = correct(desk, **NEW)
    assert (answer.status_code, answer.json_body) == (200, {"corrected": list(NEW)})
    assert stored() == {**NEW, "head_id_last4": "4321"}
    for login in (LOGIN, FINANCE):
        assert LoginItem.get(login, consistent_read=True).head_id_last4 == "4321"
    path = f"/support/api/firms/{LOGIN}/identity"
    assert desk.agent.post(path, NEW).json_body == {"matches": True}


def test_a_fact_that_is_not_given_stays(desk: Desk) -> None:
    """Also where its field is empty."""
    before = stored()
    assert correct(desk, head_name="甄示例", approval_no=" ").json_body == {
        "corrected": ["head_name"]
    }
    assert stored() == {**before, "head_name": "甄示例"}


def test_the_audit_has_no_values(desk: Desk) -> None:
    """Who, when, by which document, and the names of the facts, at both logins."""
    correct(desk, **NEW)
    for login in (LOGIN, FINANCE):
        (event,) = [item for item in AuditItem.query(login) if item.event == "facts-corrected"]
        assert (event.actor, event.reason) == (f"staff:{SUPERVISOR}", "换届（批复1号）")
        assert event.outcome == "approval_no,head_name,head_id_last4"
    # A key's random part, a request's id, a digest and a time may contain four digits by chance.
    by_chance = {"at", "request_id", "requester", "expires_at"}
    for item in AuditItem.scan():
        facts = item.to_simple_dict()
        assert not [value for value in NEW.values() if value in str(facts)]
        assert "4321" not in str({name: facts[name] for name in facts.keys() - by_chance})


def test_a_correction_is_one_act_of_the_day(desk: Desk) -> None:
    """Although it is audited at both logins."""
    correct(desk, **NEW)
    assert desk.supervisor.get("/support/api/today").json_body["changed_by_staff"] == 1


def test_the_diagnosis_says_when_and_by_which_document(desk: Desk) -> None:
    """And by whom; the event's text is in Chinese."""
    assert desk.agent.get(f"/support/api/logins/{LOGIN}").json_body["corrected_at"] is None
    correct(desk, head_name="甄示例", head_id_last4="4321")
    shown = desk.agent.get(f"/support/api/logins/{FINANCE}").json_body
    assert (shown["corrected_at"], shown["corrected_by"], shown["corrected_from"]) == (
        desk.world.clock.time,
        SUPERVISOR,
        "换届（批复1号）",
    )
    assert shown["events"][0]["text"] == "更正登记信息"
    assert shown["events"][0]["details"].startswith("主任会计师、身份证后四位")


def test_a_fact_that_is_right_already_is_answered_alike(desk: Desk) -> None:
    """Otherwise the answer would tell whether a guess is right; it is audited too."""
    right = stored()["head_id_last4"]
    answers = [correct(desk, head_id_last4=digits) for digits in (right, "9999")]
    assert [(each.status_code, each.json_body) for each in answers] == [
        (200, {"corrected": ["head_id_last4"]})
    ] * 2
    events = [item.event for item in AuditItem.query(LOGIN)]
    assert events.count("facts-corrected") == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("head_id_last4", "12"),
        ("head_id_last4", "12345"),
        ("head_id_last4", "abcd"),
        ("head_name", "甄?例"),
        ("head_name", "甄\u0007例"),
        ("head_name", "——"),
        ("head_name", "甄" * 121),
        ("approval_no", "京财会许可□0084号"),
        ("reason", " "),
        ("document", ""),
    ],
)
def test_a_fact_that_cannot_be_one_is_refused(desk: Desk, field: str, value: str) -> None:
    """With its name; nothing is written."""
    before = stored()
    answer = correct(desk, **{"head_name": "甄示例", field: value})
    assert (answer.status_code, answer.json_body["field"]) == (422, field)
    assert stored() == before
    assert not [item for item in AuditItem.query(LOGIN) if item.event == "facts-corrected"]


def test_nothing_to_correct(desk: Desk) -> None:
    """And a firm that does not exist, or is closed."""
    assert correct(desk).json_body["code"] == "invalid-input"
    path = "/support/api/firms/99999999/facts"
    answer = desk.supervisor.post(path, {**WHY, "head_name": "甄示例"})
    assert answer.json_body["code"] == "account-not-found"
    desk.world.service.desk.closing.close(LOGIN, actor="a", reason="r")
    assert correct(desk, head_name="甄示例").status_code == 422


def test_the_firm_is_found_by_its_new_head(desk: Desk) -> None:
    """And by the former one no more."""
    index, firm = desk.world.service.desk.search_index, desk.world.service.firms.get(LOGIN)
    assert firm is not None
    index.add(firm)
    correct(desk, head_name="甄示例")

    def found(text: str) -> int:
        return len(desk.agent.get(f"/support/api/find?q={text}").json_body["firms"])

    assert (found("甄示例"), found("阿依古丽")) == (1, 0)
    assert [item.id for item in DeskItem.scan() if item.kind.startswith("head#")] == [
        f"甄示例#{LOGIN}"
    ]


def test_an_import_in_between_is_taken_into_account(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it wrote stays, except for the fact that is corrected."""
    real, tries = Firms.correct, []

    def overtaken(*arguments: Any) -> Any:
        tries.append(arguments)
        if len(tries) == 1:
            FirmItem(LOGIN).update([FirmItem.name.set("新名会计师事务所")])
        return real(*arguments)

    monkeypatch.setattr(Firms, "correct", staticmethod(overtaken))
    assert correct(desk, head_name="甄示例").status_code == 200
    item = FirmItem.get(LOGIN, consistent_read=True)
    assert (len(tries), item.name, item.head_name) == (2, "新名会计师事务所", "甄示例")


def test_a_firm_that_changes_all_the_time(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is half done; the supervisor may try again."""

    def fail(*_: object) -> None:
        raise ConditionFailed([], [])

    monkeypatch.setattr(Firms, "correct", staticmethod(fail))
    answer = correct(desk, head_name="甄示例")
    assert (answer.status_code, answer.json_body["code"]) == (503, Unavailable.code)


def test_the_condition_is_what_was_read(desk: Desk) -> None:
    """Each fact of it."""
    (card,) = firm_cards.read_cards([LOGIN])
    FirmItem(LOGIN).update([FirmItem.approval_no.set("另一文号")])
    with pytest.raises(ConditionFailed):
        Firms.correct(card.facts, {"head_name": "甄示例"}, [LOGIN], [])
    assert stored()["head_name"] != "甄示例"
