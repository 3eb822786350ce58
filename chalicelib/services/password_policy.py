"""The policy for new passwords: the configured profile and the firm's default password."""

from __future__ import annotations

from collections.abc import Mapping

from ..domain.logins import Kind, Login
from ..domain.passwords import (
    Profile,
    default_password,
    is_too_long,
    private_weaknesses,
    public_weaknesses,
)
from ..store.logins import Account


class PasswordPolicy:
    """Finds the weaknesses of a new password."""

    def __init__(self, profile: Profile, area_codes: Mapping[str, str]) -> None:
        """`area_codes` maps provinces to area codes and overrides the table."""
        self._profile = profile
        self._area_codes = area_codes

    def default_password(self, login: Login, account: Account) -> str | None:
        """Return the default password of a finance login; None for others or where it is unknown."""
        if login.kind is not Kind.FINANCE:
            return None
        return default_password(account.province, account.head_id_last4, self._area_codes)

    def public_weaknesses(self, password: str, login: Login) -> list[str]:
        """Return the weaknesses that anybody can find, in Chinese: they reveal nothing stored."""
        return public_weaknesses(password, self._profile, login)

    def private_weaknesses(
        self, password: str, phone: str | None, default: str | None
    ) -> list[str]:
        """Return the weaknesses that reveal stored facts, in Chinese: for holders of the code only.

        `phone` is in E.164; `default` is the login's default password. None where there is none.
        Empty for a password that is too long, of which nothing else is checked.
        """
        if is_too_long(password, self._profile):
            return []
        return private_weaknesses(password, phone=phone, default=default)
