"""One-time codes with everything that may be stored of them: the keyed digest and a sealed copy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..domain import codes as one_time
from ..security.tokens import Sealer

PURPOSE = "password"
"""The purpose that every digest is bound to."""


@dataclass(frozen=True)
class IssuedCode:
    """A new code, and what the store may keep of it."""

    code: str = field(repr=False)
    """Six or eight digits, for the message alone."""
    digest: str
    """`version:hex`, bound to the login, the method and PURPOSE."""
    sealed: str | None
    """The code encrypted, for the method `wechat` alone, where the person may have to fetch it."""


class CodeIssuer:
    """Issues codes, compares codes with stored digests, opens sealed codes."""

    def __init__(
        self, randbelow: Callable[[int], int], peppers: Mapping[int, bytes], sealer: Sealer
    ) -> None:
        """`peppers` maps versions to keys, the current version first."""
        self.randbelow = randbelow
        self._peppers = peppers
        self._sealer = sealer

    def issue(self, login: str, method: str, digits: int = one_time.DIGITS) -> IssuedCode:
        """Generate a code for a login; `method` is `sms` or `wechat`."""
        code = one_time.generate(self.randbelow, digits)
        version, pepper = next(iter(self._peppers.items()))
        digest = one_time.digest(
            code, login=login, method=method, purpose=PURPOSE, version=version, pepper=pepper
        )
        # An SMS needs no stored copy of the code.
        sealed = self._sealer.seal(_sealing_purpose(login), code) if method == "wechat" else None
        return IssuedCode(code, digest, sealed)

    def matches(self, code: str, digest: str, login: str, method: str) -> bool:
        """Compare a code with a stored digest in constant time."""
        return one_time.matches(
            code, digest, login=login, method=method, purpose=PURPOSE, peppers=self._peppers
        )

    def unseal(self, login: str, sealed: str) -> str | None:
        """Return the code of a sealed copy; None where it was not sealed for this login."""
        return self._sealer.unseal(_sealing_purpose(login), sealed)


def _sealing_purpose(login: str) -> str:
    return "code " + login
