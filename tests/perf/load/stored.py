"""What is stored after a run, read straight from the tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from chalicelib.domain.passwords import area_codes, default_password
from chalicelib.store import audit
from chalicelib.store.desk_models import ProposalItem
from chalicelib.store.models import AuditItem, LoginItem
from chalicelib.store.proposals import KIND
from tests.browser.stack import Firm
from tests.perf.load.desk_reckoning import DeskLogin, DeskProposal
from tests.perf.load.reckoning import Event, StoredLogin

_FINANCE = "_cw"


def logins_of(firm: Firm) -> tuple[str, str]:
    """Return the firm's two logins."""
    return firm.firm_no, f"{firm.firm_no}{_FINANCE}"


def _events(login: str) -> list[AuditItem]:
    return list(AuditItem.query(login, consistent_read=True))


def people(firms: Sequence[Firm]) -> dict[str, StoredLogin]:
    """Return both logins of each firm."""
    found = {}
    for firm in firms:
        for login in logins_of(firm):
            item = LoginItem.get(login, consistent_read=True)
            events = [
                Event(audit.time_of(one), one.event, one.method, one.outcome)
                for one in _events(login)
            ]
            found[login] = StoredLogin(
                item.password_hash,
                item.phone,
                item.openid,
                events,
                None if item.reset_year is None else int(item.reset_year),
                default_password(item.province, item.head_id_last4, area_codes()) or "",
            )
    return found


def desk(firms: Sequence[Firm]) -> dict[str, DeskLogin]:
    """Return the main login of each of the desk's firms."""
    found = {}
    for firm in firms:
        item = LoginItem.get(firm.firm_no, consistent_read=True)
        events = [one.event for one in _events(firm.firm_no)]
        found[firm.firm_no] = DeskLogin(
            f"+86{firm.number}", item.phone, item.frozen_at is not None, events
        )
    return found


def proposals() -> list[DeskProposal]:
    """Return all proposals."""
    return [
        DeskProposal(
            item.id,
            item.login,
            item.state,
            None if item.confirmed_at is None else int(item.confirmed_at),
        )
        for item in ProposalItem.query(KIND, consistent_read=True)
    ]


def yearly_faults(run: dict[str, Any]) -> list[str]:
    """Return what the yearly run left undone or did twice, a sentence each.

    `run` has the run's `year`, its `started_at` in epoch seconds, and its counts; None where it has
    not ended.
    """
    if run["started_at"] is None:
        return ["the yearly run has not ended"]
    found = []
    if run["failed"] or run["done"] + run["skipped"] != run["logins"]:
        found.append(f"the yearly run does not add up: {run}")
    resets = Counter(
        item.login
        for item in AuditItem.scan(AuditItem.event == "yearly-reset", consistent_read=True)
    )
    finance = 0
    for item in LoginItem.scan(consistent_read=True):
        if not item.login.endswith(_FINANCE):
            if resets[item.login]:
                found.append(f"{item.login}: reset, although it is no finance login")
            continue
        finance += 1
        is_reset = item.reset_year == run["year"]
        if resets[item.login] != is_reset:
            found.append(f"{item.login}: the history has {resets[item.login]} resets")
        if not is_reset and item.changed_at < run["started_at"]:
            found.append(f"{item.login}: neither reset nor changed since the yearly run began")
    if run["logins"] != finance:
        found.append(f"the yearly run had {run['logins']} logins of {finance}")
    return found
