"""Actions at the support desk that its attacks share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from chalice.test import HTTPResponse

from infra.local.identity_provider import CLIENT_ID, StaffMember
from tests.support.desk import Browser, Desk
from tests.support.id_tokens import signed

LOGIN = "11010148"
NEW = "13900002222"
SESSION = "__Host-desk"
ME = "/support/api/me"
PROPOSALS = "/support/api/proposals"
REASON = {"reason": "来电申请"}
FACTS = {
    "approval_no": "京财会许可〔2012〕0084号",
    "head_name": "阿依古丽·买买提",
    "head_id_last4": "123X",
}

MakeToken = Callable[[dict[str, Any]], str]


def is_refused(answer: HTTPResponse, status: int, code: str) -> bool:
    """Return whether the answer is this problem."""
    return (answer.status_code, answer.json_body.get("code")) == (status, code)


def issue(
    monkeypatch: pytest.MonkeyPatch, desk: Desk, make: MakeToken | None = None, **claims: Any
) -> None:
    """Let the provider issue its ID tokens with these claims; the claim None is left out.

    `make` returns the token of all claims; by default the provider's own key signs it.
    """

    def id_token(member: StaffMember, nonce: str) -> str:
        now = desk.world.clock()
        whole = {
            "iss": desk.provider.url,
            "aud": CLIENT_ID,
            "sub": member.subject,
            "roles": list(member.roles),
            "nonce": nonce,
            "iat": now,
            "exp": now + 300,
            **claims,
        }
        return make(whole) if make else signed(whole, desk.provider.key)

    monkeypatch.setattr(desk.provider, "id_token", id_token)


def identity(browser: Browser, login: str = LOGIN, **said: str) -> HTTPResponse:
    """Check the identity of a firm, with other words of the caller."""
    return browser.post(f"/support/api/firms/{login}/identity", {**FACTS, **said})


def propose(browser: Browser, login: str = LOGIN, phone: str = NEW) -> str:
    """Check the identity, propose the phone, and return the proposal's id."""
    assert identity(browser, login).json_body == {"matches": True}
    body = {"phone": phone, "reason": "员工离职", "document": "公函2027-3"}
    answer = browser.post(f"/support/api/logins/{login}/phone", body)
    assert answer.status_code == 202, answer.body
    return str(answer.json_body["id"])


def act(browser: Browser, proposal: str, name: str, **body: str) -> HTTPResponse:
    """Call an act on a proposal."""
    return browser.post(f"{PROPOSALS}/{proposal}/{name}", body)


def approved(desk: Desk) -> str:
    """Return the id of the agent's proposal that the supervisor has approved."""
    proposal = propose(desk.agent)
    answer = act(desk.supervisor, proposal, "approve")
    assert answer.status_code == 200, answer.body
    return proposal


def phone_code(desk: Desk) -> str:
    """Return the last code that was sent to a new phone."""
    return [sms.params["code"] for sms in desk.world.phones.sent if sms.template == "phone-code"][
        -1
    ]


def wrong(code: str) -> str:
    """Return another code of six digits."""
    return f"{(int(code) + 1) % 1_000_000:06d}"
