"""The support desk in the sweeps: its staff, who repeat an act after an error of the service."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from chalice.test import HTTPResponse

from chalicelib.domain.staff import SESSION_LIFETIME, Role, Staff
from chalicelib.handlers.http import cookies
from chalicelib.store.desk_models import ProposalItem
from tests.fault_injection.driver import Person, Place, tables
from tests.support.desk import Browser

ISSUER = "https://id.example"
SESSION = "__Host-desk"
SETTINGS = {
    "OIDC_ISSUER": ISSUER,
    "OIDC_CLIENT_ID": "support-desk",
    "OIDC_CLIENT_SECRET": "desk-client-secret",
    "PROOF_OF_WORK": "0",
}
REASON = {"reason": "来电申请"}
FACTS = {
    "approval_no": "京财会许可〔2012〕0084号",
    "head_name": "阿依古丽·买买提",
    "head_id_last4": "123X",
}
NEW = "+8613900002222"


@dataclass(frozen=True)
class _Elsewhere:
    url: str = ISSUER


def staff(place: Place, subject: str, *roles: Role) -> Browser:
    """Return the browser of somebody who has signed in; their sign-in is covered by its own sweep."""
    service = place.world.service
    ends_at = service.clock() + SESSION_LIFETIME
    session = Staff(subject, subject, frozenset(roles), secrets.token_hex(16), ends_at)
    browser = Browser(place.world, _Elsewhere())
    cookie = cookies.keep_staff(service, session).partition(";")[0]
    browser.cookies[SESSION] = cookie.partition("=")[2]
    return browser


class Desk:
    """An agent and a supervisor who serve one person."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.agent = staff(person.place, "staff-lin", Role.AGENT)
        self.supervisor = staff(person.place, "staff-zhao", Role.SUPERVISOR)

    def insist(
        self, step: str, browser: Browser, path: str, body: dict[str, Any] | None = None
    ) -> HTTPResponse:
        """Call the desk while the point is armed, and repeat it once after an error of the service."""
        method = "GET" if body is None else "POST"
        return self.person.insist(
            step, lambda: browser.request(method, f"/support/api/{path}", body)
        )

    def on_login(self, act: str, by: Browser) -> HTTPResponse:
        """Do an act on the person's login, with a reason."""
        return self.insist(act, by, f"logins/{self.person.login}/{act}", REASON)

    def check_identity(self) -> None:
        """Check the caller's identity without a fault."""
        path = f"/support/api/firms/{self.person.login}/identity"
        assert self.agent.post(path, FACTS).json_body == {"matches": True}

    @property
    def new_phone(self) -> dict[str, str]:
        """The body of the person's proposal."""
        return {"phone": NEW, "reason": "员工离职", "document": "公函2027-3"}

    def propose(self) -> str:
        """Propose the new phone without a fault and return the proposal's id."""
        self.check_identity()
        path = f"/support/api/logins/{self.person.login}/phone"
        answer = self.agent.post(path, self.new_phone)
        assert answer.status_code == 202, answer.body
        return str(answer.json_body["id"])

    def decide(self, proposal: str, act: str, body: dict[str, Any] | None = None) -> HTTPResponse:
        """Do an act on a proposal without a fault."""
        by = self.agent if act in ("code", "confirm") else self.supervisor
        return by.post(f"/support/api/proposals/{proposal}/{act}", body or {})

    def phone_codes(self) -> list[str]:
        """Return the codes that reached the new phone, oldest first."""
        return [
            text["params"]["code"]
            for text in self.person.place.network.accepted
            if text["template"] == "phone-code" and text["params"]["login"] == self.person.login
        ]

    def notified(self, notice: str, phone: str) -> int:
        """Return how often a phone got a notice about the person's login."""
        return sum(
            (text["template"], text["to"], text["params"]["login"])
            == (notice, phone, self.person.login)
            for text in self.person.place.network.accepted
        )

    def confirm_at_last(self, proposal: str) -> None:
        """Bind the phone of an approved proposal by a code, sent again if it has not arrived."""
        self.person.world.clock.time += 60
        if not self.phone_codes() or len(self.phone_codes()) < len(
            self.person.events("phone-code-sent")
        ):
            # The newest code, which replaced the earlier ones, has not arrived.
            assert self.decide(proposal, "code").status_code == 202
        answer = self.decide(proposal, "confirm", {"code": self.phone_codes()[-1]})
        assert answer.json_body["state"] == "active", answer.body
        assert self.person.item().phone == NEW


def proposals() -> list[ProposalItem]:
    """Return the stored proposals; the table has search entries as well."""
    items = tables()[ProposalItem.Meta.table_name].all_items()
    found = [item.to_json()["Attributes"] for item in items]
    return [ProposalItem.from_raw_data(item) for item in found if "state" in item]
