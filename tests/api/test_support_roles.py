"""Who may call what at the support desk, and what nobody gets to see."""

from __future__ import annotations

from typing import Any

import pytest

from app import app
from chalicelib.store.models import AuditItem
from tests.conftest import PHONE
from tests.support.desk import AGENT, AUDITOR, SUPERVISOR, Desk

LOGIN, FIRM = "11010148", "11010148"
UNKNOWN = "1800000000000-" + "0" * 32
MARK = "0123456789abcdef"
REASON = {"reason": "来电申请"}
FACTS = {
    "approval_no": "京财会许可〔2012〕84号",
    "head_name": "阿依古丽买买提",
    "head_id_last4": "123x",
}
EVERYBODY = {AGENT, SUPERVISOR, AUDITOR}
AGENTS, SUPERVISORS, REVIEWERS = {AGENT, SUPERVISOR}, {SUPERVISOR}, {SUPERVISOR, AUDITOR}

CALLS: list[tuple[str, str, dict[str, Any] | None, set[str], int]] = [
    ("GET", "/support/api/me", None, EVERYBODY, 200),
    ("GET", "/support/api/find?q=11010148", None, AGENTS, 200),
    ("GET", f"/support/api/logins/{LOGIN}", None, AGENTS, 200),
    ("GET", f"/support/api/requesters/{MARK}", None, AGENTS, 200),
    ("POST", f"/support/api/logins/{LOGIN}/unlock", REASON, AGENTS, 200),
    ("POST", f"/support/api/logins/{LOGIN}/unbind", REASON, AGENTS, 200),
    ("POST", f"/support/api/logins/{LOGIN}/freeze", REASON, AGENTS, 200),
    ("POST", f"/support/api/logins/{LOGIN}/unfreeze", REASON, SUPERVISORS, 200),
    ("POST", f"/support/api/firms/{FIRM}/identity", FACTS, AGENTS, 200),
    (
        "POST",
        f"/support/api/firms/{FIRM}/facts",
        {"head_name": "甲", "reason": "换届", "document": "A-1"},
        SUPERVISORS,
        200,
    ),
    (
        "POST",
        f"/support/api/logins/{LOGIN}/phone",
        {"phone": "13900002222", "reason": "换号", "document": "A-1"},
        AGENTS,
        409,
    ),
    ("GET", "/support/api/proposals", None, EVERYBODY, 200),
    ("POST", f"/support/api/proposals/{UNKNOWN}/approve", {}, SUPERVISORS, 404),
    ("POST", f"/support/api/proposals/{UNKNOWN}/reject", {}, SUPERVISORS, 404),
    ("POST", f"/support/api/proposals/{UNKNOWN}/code", {}, AGENTS, 404),
    ("POST", f"/support/api/proposals/{UNKNOWN}/confirm", {"code": "123456"}, AGENTS, 404),
    ("POST", f"/support/api/proposals/{UNKNOWN}/undo", {}, SUPERVISORS, 404),
    ("GET", "/support/api/audit", None, REVIEWERS, 200),
    ("GET", "/support/api/audit?format=csv", None, REVIEWERS, 200),
    ("GET", "/support/api/today", None, REVIEWERS, 200),
    ("POST", "/support/sign-out", {}, EVERYBODY, 200),
]


def test_every_route_of_the_desk_is_in_the_table() -> None:
    """A new route must state its roles here; signing in has none."""
    routes = {
        (method, path)
        for path, methods in app.routes.items()
        for method in methods
        if path.startswith("/support/")
        and path not in ("/support/sign-in", "/support/callback", "/support/assets/{name}")
    }
    table = {
        (
            method,
            path.partition("?")[0]
            .replace(f"logins/{LOGIN}", "logins/{login}")
            .replace(f"firms/{FIRM}", "firms/{firm_no}")
            .replace(MARK, "{requester}")
            .replace(UNKNOWN, "{proposal_id}"),
        )
        for method, path, *_ in CALLS
    }
    assert table == routes


@pytest.mark.parametrize(
    ("method", "path", "body", "allowed", "status"),
    CALLS,
    ids=[f"{method} {path[9:40]}" for method, path, *_ in CALLS],
)
@pytest.mark.parametrize("member", [AGENT, SUPERVISOR, AUDITOR])
def test_a_call_is_for_its_roles(
    desk: Desk,
    method: str,
    path: str,
    body: dict[str, Any] | None,
    allowed: set[str],
    status: int,
    member: str,
) -> None:
    """403 `role` otherwise, before anything is read of the request or changed."""
    before = desk.world.login_item().to_simple_dict()
    answer = desk.as_(member).request(method, path, body)
    if member in allowed:
        assert answer.status_code == status, answer.body
        return
    assert (answer.status_code, answer.json_body["code"]) == (403, "role")
    assert "角色" in answer.json_body["detail"]
    assert desk.world.login_item().to_simple_dict() == before


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [(method, path, body) for method, path, body, *_ in CALLS],
    ids=[f"{method} {path[9:40]}" for method, path, *_ in CALLS],
)
def test_a_call_needs_a_session_and_the_desk_s_own_page(
    desk: Desk, method: str, path: str, body: dict[str, Any] | None
) -> None:
    """401 without a session; 403 from another origin, even with one."""
    answer = desk.browser().request(method, path, body)
    assert (answer.status_code, answer.json_body["code"]) == (401, "sign-in")
    if method == "POST":
        for headers in ({"Origin": "https://evil.example"}, {"X-Support-Desk": "0"}):
            answer = desk.supervisor.request(method, path, body, headers)
            assert (answer.status_code, answer.json_body["code"]) == (403, "forbidden")


def test_every_call_is_audited_with_the_subject(desk: Desk) -> None:
    """Looks too; a call that was refused for its role changes nothing and shows nothing."""
    agent, supervisor = desk.agent, desk.supervisor
    agent.get("/support/api/find?q=11010148")
    agent.get(f"/support/api/logins/{LOGIN}")
    agent.post(f"/support/api/firms/{FIRM}/identity", {**FACTS, "head_name": "甲"})
    agent.post(f"/support/api/logins/{LOGIN}/freeze", REASON)
    supervisor.post(f"/support/api/logins/{LOGIN}/unfreeze", REASON)
    supervisor.get("/support/api/audit")
    supervisor.get("/support/api/today")
    supervisor.get("/support/api/proposals")
    events = [(item.event, item.actor) for item in AuditItem.scan()]
    assert sorted(events) == sorted(
        [
            ("desk-find", f"staff:{AGENT}"),
            ("desk-viewed", f"staff:{AGENT}"),
            ("identity-checked", f"staff:{AGENT}"),
            ("frozen", f"staff:{AGENT}"),
            ("unfrozen", f"staff:{SUPERVISOR}"),
            ("desk-audit", f"staff:{SUPERVISOR}"),
            ("desk-today", f"staff:{SUPERVISOR}"),
            ("desk-proposals", f"staff:{SUPERVISOR}"),
        ]
    )
    assert all(item.day == "staff#2027-01-15" for item in AuditItem.scan())
    assert [item.about for item in AuditItem.scan() if item.event == "desk-viewed"] == [LOGIN]
    assert all(item.requester and item.request_id for item in AuditItem.scan())


def test_no_answer_has_a_phone_a_code_a_hash_or_the_firm_s_facts(desk: Desk) -> None:
    """Whatever is called, in whichever order; the calls that change are last."""
    agent, supervisor = desk.agent, desk.supervisor
    desk.world.send(desk.world.token())
    bodies = []
    for method, path, body, *_ in CALLS[:-1]:
        for browser in (agent, supervisor):
            bodies.append(browser.request(method, path, body).body.decode())
    text = "\n".join(bodies)
    item = desk.world.login_item()
    hidden = [
        PHONE.removeprefix("+86"),
        "13900002222",
        desk.world.phones.codes[0],
        item.password_hash,
        "买买提",
        "0084",
        "123X",
        "o-alice",
    ]
    assert [value for value in hidden if value in text] == []
    assert "138****1234" in text


@pytest.mark.parametrize("reason", ["", " ", "x" * 201, None, 7])
def test_a_change_needs_a_reason(desk: Desk, reason: Any) -> None:
    """One line of at most 200 characters."""
    body = {} if reason is None else {"reason": reason}
    answer = desk.agent.post(f"/support/api/logins/{LOGIN}/freeze", body)
    assert (answer.status_code, answer.json_body["field"]) == (422, "reason")
    assert desk.world.login_item().frozen_at is None
