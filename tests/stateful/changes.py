"""The part of the model about changes by operators, by the staff and by a notice's link.

Whoever makes such a change is named in the audit with a reason, and the login's person is notified.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.stateful.recoveries import Recoveries
from tests.stateful.rules import DAY, Act, Answer, Firm, Login, answer, within

LINK_LIFETIME = 7 * DAY

OFF, ERASED = "closed", "erased"
"""Why a login cannot be changed: its firm is closed, or counts as erased."""


class By(NamedTuple):
    """Who makes a change, and why."""

    actor: str
    reason: str | None


@dataclass
class Changes(Recoveries):
    """Recoveries, and the changes that are no part of one."""

    acts: Counter[Act] = field(default_factory=Counter)
    """The audit of operators and staff."""

    def record(self, place: str, event: str, by: By) -> None:
        """Expect an audit entry of an operator or of the staff."""
        self.acts[Act(place, event, *by)] += 1

    def unchangeable(self, name: str) -> str | None:
        """Return why a login cannot be changed, or None."""
        firm = self.firm(name)
        if firm.is_erased(self.now):
            return ERASED
        return None if firm.closed_at is None else OFF

    @staticmethod
    def refusal(why: str, field: str = "login") -> Answer:
        """Return the answer of the desk to a change of such a login or firm."""
        if why == ERASED:
            return answer(404, "account-not-found")
        return answer(422, "invalid-input", why="closed", field=field)

    def sent_to(self, login: Login) -> list[int]:
        """Return the times of all codes sent to this login's destination, which logins may share."""
        method, destination = login.destination
        return self.sends_to.setdefault((method, destination or ""), [])

    def end_recoveries(self, login: Login) -> None:
        """End the live code of a login and every recovery that began before."""
        login.code = None
        login.epoch += 1

    # Single logins. Each returns whether anything changed.

    def change_phone(self, name: str, phone: str, by: By) -> bool:
        """Bind another phone."""
        login = self.logins[name]
        if login.phone == phone:
            return False
        self._notify("phone-changed", name, [login.phone, phone], login.openid, by_operator=True)
        self.end_recoveries(login)
        login.phone = phone
        self.record(name, "phone-changed", by)
        # The operator has no second pair of eyes.
        self.record(name, "break-glass", by)
        return True

    def unbind_login(self, name: str, by: By) -> bool | None:
        """Undo the binding; None where the login would be left without a method."""
        login = self.logins[name]
        if login.openid is None:
            return False
        if login.phone is None:
            return None
        self._notify("wechat-unbound", name, [login.phone], login.openid, by_operator=True)
        login.openid = None
        self.end_recoveries(login)
        self.record(name, "wechat-unbound", by)
        return True

    def freeze(self, name: str, by: By) -> bool:
        """Freeze a login."""
        login = self.logins[name]
        if login.frozen_at is not None:
            return False
        self._freeze(login)
        self.record(name, "frozen", by)
        self._notify("frozen", name, [login.phone], login.openid, by_operator=True)
        return True

    def _freeze(self, login: Login) -> None:
        login.frozen_at = self.now
        self.end_recoveries(login)

    def unfreeze(self, name: str, by: By) -> bool:
        """End the freezing of a login; the links of earlier notices end with it."""
        login = self.logins[name]
        if login.frozen_at is None:
            return False
        login.frozen_at, login.unfrozen_at = None, self.now
        self.record(name, "unfrozen", by)
        self._notify("unfrozen", name, [login.phone], login.openid, by_operator=True)
        return True

    def freeze_by_link(self, number: int) -> Answer:
        """Freeze a login by the link of a notice, the one of this number."""
        link = self.links[number]
        login = self.logins[link.login]
        if self.now >= link.at + LINK_LIFETIME:
            return _invalid_link("too old")
        if self.firm(link.login).is_erased(self.now):
            return _invalid_link("erased")
        if login.openid not in (None, link.openid):
            return _invalid_link("other binding")
        if login.unfrozen_at is not None and link.at < login.unfrozen_at:
            return _invalid_link("before the end of a freezing")
        if login.frozen_at is not None:
            return answer(200, why="frozen before")
        self._freeze(login)
        login.audit["frozen-by-owner"] += 1
        self._notify("frozen", link.login, [login.phone], login.openid)
        return answer(200, why="frozen")

    def unlock(self, name: str, by: By) -> bool:
        """Clear the counts, also those of the requesters of today."""
        login = self.logins[name]
        counts: tuple[Any, ...] = (
            login.starts,
            login.starts_by,
            *login.sends_by.values(),
            login.wrong_codes,
            login.details_by,
            login.unbindings,
            login.wrong_passwords,
            self.sent_to(login),
        )
        if not any((*counts, *login.wrong_by.values())):
            return False
        recent = [
            (requester, times)
            for by_requester in (login.wrong_by, login.sends_by)
            for requester, times in by_requester.items()
            if within(times, DAY, self.now)
        ]
        for requester, times in recent:
            self.of(requester).wrongs.clear()
            self.of(requester).sends.clear()
            times.clear()
        for requester, times in login.details_by.items():
            if within(times, DAY, self.now):
                self.of(requester).unbindings.clear()
                self.of(requester).wrong_details_at = None
        for each in counts:
            each.clear()
        self.record(name, "unlocked", by)
        self._notify("unlocked", name, [login.phone], login.openid, by_operator=True)
        return True

    # Firms.

    def logins_of(self, firm_no: str) -> list[str]:
        """Return the logins of a firm."""
        return [name for name in (firm_no, f"{firm_no}_cw") if name in self.logins]

    def close(self, firm_no: str, by: By) -> str:
        """Close a firm; return `changed`, `unchanged` or `erased`."""
        firm = self.firms[firm_no]
        if firm.closed_at is None:
            for name in self.logins_of(firm_no):
                self.end_recoveries(self.logins[name])
        return self._set_closed(firm, firm_no, "firm-closed", self.now, by)

    def reopen(self, firm_no: str, by: By) -> str:
        """Open a closed firm again; return `changed`, `unchanged` or `erased`."""
        return self._set_closed(self.firms[firm_no], firm_no, "firm-reopened", None, by)

    def _set_closed(self, firm: Firm, firm_no: str, event: str, at: int | None, by: By) -> str:
        if firm.is_erased(self.now):
            return ERASED
        if (firm.closed_at is None) == (at is None):
            return "unchanged"
        firm.closed_at, firm.erased_at = at, None if at is None else at + self.rules.erasure
        names = self.logins_of(firm_no)
        for name in names:
            self.record(name, event, by)
        # Each person is notified once, of the firm.
        openids = dict.fromkeys(self.logins[name].openid for name in names)
        phones = dict.fromkeys(self.logins[name].phone for name in names)
        for openid in openids:
            self._notify(event, firm_no, [], openid)
        self._notify(event, firm_no, list(phones), None, by_operator=True)
        return "changed"

    def correct(self, firm_no: str, facts: dict[str, str], by: By) -> Sequence[str]:
        """Store corrected facts; return their names."""
        self.firms[firm_no].facts.update(facts)
        for name in self.logins_of(firm_no):
            self.record(name, "facts-corrected", by)
            if name in self.defaults and "head_id_last4" in facts:
                area = self.defaults[name][:-4]
                self.defaults[name] = area + facts["head_id_last4"]
        return list(facts)


def _invalid_link(why: str) -> Answer:
    return answer(410, "freeze-link-invalid", why=why)
