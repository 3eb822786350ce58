"""Parser of the column opening_password: a password in the clear, or a hash that can be verified.

What is neither must never be stored as a password: a stolen hash would log in as itself, and a
placeholder is the same for every firm.
"""

from __future__ import annotations

import re
import unicodedata

from chalicelib.domain.logins import fold
from chalicelib.security import foreign_hashes

from .lost_text import is_garbage
from .placeholders import is_masked, is_placeholder, is_spreadsheet_artefact

_MAXIMUM = 120

# Excel displays 1.23457E+11, always with the sign. A password such as 12e4 is none of its numbers.
_SCIENTIFIC = re.compile(r"[0-9](?:\.[0-9]+)?E[+-][0-9]{2,3}", re.ASCII | re.IGNORECASE)

# Forms of stored passwords by the documents of the systems that write them.
_FOREIGN = re.compile(
    # MD5, SHA-1 and SHA-2 in hexadecimal digits, alone or beside a salt; MySQL's *…, SQL Server's 0x….
    r".*(?<![0-9A-Za-z])(?:0x)?(?:[0-9a-f]{32,}|[0-9A-F]{32,})(?![0-9A-Za-z]).*"
    # MD5 cut to its middle 16 digits, as older Chinese systems store it.
    r"|(?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{16}|(?=[0-9]*[A-F])(?=[A-F]*[0-9])[0-9A-F]{16}"
    # The same digests in base64, and the longer strings of ASP.NET.
    r"|[A-Za-z0-9+/]{22}==|[A-Za-z0-9+/]{27}=|[A-Za-z0-9+/]{43}=|[A-Za-z0-9+/]{86}=="
    r"|(?=[^0-9]*[0-9])(?=[^a-z]*[a-z])(?=[^A-Z]*[A-Z])[A-Za-z0-9+/]{40,}={0,2}"
    # crypt(3) and its relatives: $1$, $6$, $y$, $P$, $apr1$, $pbkdf2-sha256$, $scrypt$, $shiro2$.
    r"|\$[A-Za-z0-9_,.-]{1,24}\$.+"
    # LDAP's and Spring's: {SSHA}, {MD5}, {noop}, {scrypt@SpringSecurity_v5_8}.
    r"|\{[A-Za-z][A-Za-z0-9@_./-]{1,40}\}.+"
    # Django's and Werkzeug's: sha1$salt$…, scrypt:32768:8:1$salt$…, pbkdf2:sha256:600000$salt$….
    r"|(?:argon2|bcrypt|crypt|md5|pbkdf2|scrypt|sha[0-9]{1,3}|unsalted)(?:_[a-z0-9_]+)?[$:].{8,}"
    # Django's mark of an account without a usable password, and Jasypt's encryption.
    r"|![A-Za-z0-9]{40}|ENC\(.+\)",
    re.ASCII | re.DOTALL,
)


def password_fault(text: str) -> str | None:
    """Return the key in DIRECTORY_FAULTS of what is wrong with an opening password, or None."""
    if len(text) > foreign_hashes.MAXIMUM_LENGTH:
        return "too-long"
    if foreign_hashes.scheme_of(text) is not None:
        return None
    if foreign_hashes.has_known_prefix(text):
        return "hash-unsound"
    if _FOREIGN.fullmatch(text):
        return "hash-foreign"
    if len(text) > _MAXIMUM:
        return "too-long"
    if any(unicodedata.category(c) == "Cc" or c == "\ufffd" for c in text):
        return "control"
    if is_garbage(text):
        return "control"
    folded = fold(text)
    if _SCIENTIFIC.fullmatch(folded):
        return "scientific"
    if is_spreadsheet_artefact(folded):
        return "formula"
    if is_placeholder(folded) or is_masked(folded):
        return "placeholder"
    return None
