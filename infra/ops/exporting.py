"""Everything that is kept about a firm, as a person may request it (PIPL, article 45)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from chalicelib.container import Service
from chalicelib.domain.errors import AccountNotFound
from chalicelib.domain.logins import mask_phone, parse_login
from chalicelib.store import audit, closing
from chalicelib.store.accounts import AccountSnapshot
from chalicelib.store.proposals import Proposals

_MOST_EVENTS = 10_000
"""Events of a login, the newest ones; one recovery writes about five."""

_SEALED = frozenset({"sealed_phone", "sealed_former", "digest"})


def export(service: Service, firm_text: str, actor: str) -> dict[str, Any]:
    """Return the firm's facts, its logins, their audit and the proposals, and record the export.

    Phones are masked, and of the WeChat only that it is bound is stated: whoever requests the data
    has both. Raises InvalidInput, AccountNotFound, Unavailable.
    """
    firm_no, now = parse_login(firm_text).firm_no, service.clock()
    firm = closing.read_state(firm_no)
    if firm is None or (firm.erased_at is not None and firm.erased_at <= now):
        raise AccountNotFound
    event = audit.entry(firm_no, "exported", now, actor=actor)
    audit.record(event)
    names = (firm_no, f"{firm_no}_cw")
    accounts = [service.accounts.read(name) for name in names]
    proposals = [asdict(each) for each in Proposals.newest() if each.firm_no == firm_no]
    return {
        "firm": {**asdict(firm.facts), "closed_at": firm.closed_at, "erased_at": firm.erased_at},
        "logins": [_account(account) for account in accounts if account is not None],
        "events": {
            name: [asdict(event) for event in service.accounts.history(name, _MOST_EVENTS)]
            for name in names
        },
        "proposals": [
            {name: value for name, value in each.items() if name not in _SEALED}
            for each in proposals
        ],
    }


def _account(account: AccountSnapshot) -> dict[str, Any]:
    facts = asdict(account)
    openid = facts.pop("openid")
    phone = mask_phone(account.phone) if account.phone else None
    return {**facts, "phone": phone, "wechat_bound": openid is not None}
