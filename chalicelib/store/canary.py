"""The test firm's login, and its mailbox."""

from __future__ import annotations

from ..domain.codes import LIFETIME
from .dynamo import read, update
from .ephemeral_models import MailboxItem
from .models import LoginItem


def prepare_login(firm: str, phone: str) -> None:
    """Create the login of the test firm where it is missing, with this phone and no WeChat.

    `firm` is its number, `phone` in E.164. Raises Unavailable.
    """
    login = LoginItem(firm)
    update(
        login,
        [
            LoginItem.firm_no.set(firm),
            LoginItem.phone.set(phone),
            LoginItem.password_version.set(LoginItem.password_version | 0),
            LoginItem.changed_at.set(LoginItem.changed_at | 0),
            LoginItem.starts_by.set(LoginItem.starts_by | {}),
            LoginItem.openid.remove(),
            LoginItem.bound_at.remove(),
        ],
    )


def keep(login: str, sealed: str, now: int) -> None:
    """Keep the encrypted code of a login in place of an earlier one. Raises Unavailable."""
    expires_at = MailboxItem.expires_at.set(now + LIFETIME)
    update(MailboxItem(_key(login)), [MailboxItem.sealed.set(sealed), expires_at])


def kept(login: str, now: int) -> str | None:
    """Return the encrypted code that was kept last, or None. One read. Raises Unavailable."""
    item = read(MailboxItem, _key(login))
    return None if item is None or item.expires_at <= now else str(item.sealed)


def _key(login: str) -> str:
    return f"canary#{login}"
