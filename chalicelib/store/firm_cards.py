"""Firms with their two logins, as a list at the support desk shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..domain.firms import FirmFacts
from .dynamo import read_together
from .firms import facts_of
from .models import FirmItem, LoginItem


@dataclass(frozen=True)
class LoginCard:
    """A login without its secrets."""

    login: str
    firm_no: str
    phone: str | None = field(repr=False)
    """E.164."""
    openid: str | None = field(repr=False)


@dataclass(frozen=True)
class FirmCard:
    """A firm and those of its logins that exist, the main one first."""

    facts: FirmFacts
    logins: tuple[LoginCard, ...]
    closed_at: int | None = None
    """When the firm was closed, in epoch seconds; None where it is not."""
    erased_at: int | None = None
    """From when on a closed firm counts as erased."""


MOST = 33
"""Firms in one read: three items each, of the hundred of a BatchGetItem."""


def read_cards(firm_nos: Sequence[str]) -> list[FirmCard]:
    """Return at most MOST firms in the given order; those that do not exist are omitted.

    One BatchGetItem. Raises Unavailable.
    """
    if not firm_nos:
        return []
    found = read_together(
        [
            key
            for firm_no in firm_nos[:MOST]
            for key in (
                (FirmItem, firm_no),
                (LoginItem, firm_no),
                (LoginItem, f"{firm_no}_cw"),
            )
        ]
    )
    cards = []
    for firm_no in firm_nos:
        firm = found.get((FirmItem, firm_no))
        if isinstance(firm, FirmItem):
            items = [found.get((LoginItem, name)) for name in (firm_no, f"{firm_no}_cw")]
            logins = tuple(_card(item) for item in items if isinstance(item, LoginItem))
            closed, erased = (
                None if time is None else int(time) for time in (firm.closed_at, firm.expires_at)
            )
            cards.append(FirmCard(facts_of(firm), logins, closed, erased))
    return cards


def read_logins(logins: Sequence[str]) -> list[LoginCard]:
    """Return those of the logins that exist, at most a hundred, in order. Raises Unavailable."""
    if not logins:
        return []
    found = read_together([(LoginItem, login) for login in logins[:100]])
    items = [found.get((LoginItem, login)) for login in logins]
    return [_card(item) for item in items if isinstance(item, LoginItem)]


def _card(item: LoginItem) -> LoginCard:
    return LoginCard(item.login, item.firm_no, item.phone, item.openid)
