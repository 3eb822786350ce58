"""The logins that a WeChat is bound to, by the index of the table of logins."""

from __future__ import annotations

from typing import NamedTuple

from pynamodb.models import Model

from ..domain.firms import counts_as_erased
from .dynamo import read_together, translate_errors
from .models import FirmItem, LoginItem

_FINANCE = "_cw"


class FoundLogin(NamedTuple):
    """A login that is bound to a WeChat."""

    login: str
    firm_name: str
    of_firm: tuple[str, ...]
    """All logins of the firm."""


class WechatLogins:
    """Reads the logins of a WeChat."""

    def bound_to(self, openid: str, most: int, now: int) -> list[FoundLogin]:
        """Return at most `most` logins that are bound to a WeChat, without those that count as erased.

        `now` in epoch seconds. One Query of the index, and one BatchGetItem where it has an entry, since
        the index is a moment behind the table. Raises Unavailable.
        """
        with translate_errors():
            found = [item.login for item in LoginItem.by_openid.query(openid, limit=most)]
        if not found:
            return []
        firm_nos = sorted({login.removesuffix(_FINANCE) for login in found})
        logins = [login for firm_no in firm_nos for login in (firm_no, firm_no + _FINANCE)]
        keys: list[tuple[type[Model], str]] = [(LoginItem, login) for login in logins]
        items = read_together([*keys, *((FirmItem, firm_no) for firm_no in firm_nos)])
        bound = []
        for login in found:
            item, firm_no = items.get((LoginItem, login)), login.removesuffix(_FINANCE)
            firm = items.get((FirmItem, firm_no))
            if not isinstance(item, LoginItem) or not isinstance(firm, FirmItem):
                continue
            if item.openid == openid and not counts_as_erased(item.expires_at, now):
                of_firm = (firm_no, firm_no + _FINANCE)
                existing = tuple(other for other in of_firm if (LoginItem, other) in items)
                bound.append(FoundLogin(login, firm.name, existing))
        return bound
