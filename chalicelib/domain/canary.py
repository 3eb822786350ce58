"""The canary: a recovery of a test firm that the service makes by itself, apart from people's.

The test firm's number begins with two zeros, which are no province's, so no real firm can be named in
its place. Its recoveries are begun by the canary alone, a visitor whose openid no WeChat can have, and
the messages for it go into its mailbox and to no phone.
"""

from __future__ import annotations

import re

FIRM_PREFIX = "00"

GATEWAY = "canary"
"""The name of the mailbox in place of an SMS gateway's."""

# WeChat's openids have letters, digits, `_` and `-`.
_VISITOR = "canary:"

_FIRM = re.compile(f"{FIRM_PREFIX}[0-9]{{6,18}}")

# Numbers of mobile phones begin with 13 to 19.
_PHONE = "+86100"


def is_test_firm(login: str) -> bool:
    """Return whether a login in its canonical form, or a firm's number, is that of a test firm."""
    return login.startswith(FIRM_PREFIX)


def is_firm_number(text: str) -> bool:
    """Return whether the text is a number that a test firm may have."""
    return _FIRM.fullmatch(text) is not None


def visitor(nonce: str) -> str:
    """Return the openid of one run of the canary."""
    return _VISITOR + nonce


def is_canary(openid: str | None) -> bool:
    """Return whether a visitor is the canary."""
    return openid is not None and openid.startswith(_VISITOR)


def may_start(login: str, openid: str | None, firm: str) -> bool:
    """Return whether this visitor may begin a recovery of the login.

    `firm` is the number of the test firm, whose login is the canary's alone; the canary has no other.
    """
    return is_canary(openid) == (login == firm)


def phone(digits: int) -> str:
    """Return a number, not a phone's, for one run; `digits` below 10**8."""
    return f"{_PHONE}{digits:08d}"
