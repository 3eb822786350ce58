"""Password hashes of previous systems: recognise them and verify a password.

They are stored as they were exported, since each form begins with a prefix that names its scheme.
The first right password replaces such a hash by one of `password_hasher`.

Two libraries verify them: `bcrypt` of the Python Cryptographic Authority, and PBKDF2 of the standard
library, which is OpenSSL's. passlib, which has all these forms, had its last release in 2020; libpass
and pwdlib verify bcrypt by the same package and have neither Spring's nor Shiro's form; Django's
hashers would bring the whole framework into the functions.

Every form has upper bounds of its cost, so that no imported hash makes a verification slow: about
two seconds of a core at the most.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass

from argon2 import PasswordHasher as Argon2
from argon2.exceptions import InvalidHashError, VerificationError

MAXIMUM_LENGTH = 512
"""Characters. An argon2 string with a long salt and a long hash has about two hundred."""

# 256 MiB.
_ARGON2_MEMORY_KIB = 262_144
_ARGON2_WORK = 1_048_576
_BCRYPT_COST = 14
# Django 6.0 has 1,200,000; each release raises the number.
_PBKDF2_ITERATIONS = 2_000_000
# Each round of Shiro's is a call from Python. Its own default is 500,000.
_SHIRO_ITERATIONS = 1_000_000
# bcrypt ignores what follows; the library refuses a longer password instead.
_BCRYPT_BYTES = 72

_SALT_BYTES = 8
_DIGEST_BYTES = 12

_DIGESTS = {"sha1": 20, "sha256": 32, "sha512": 64}
"""Bytes of the digest by the name in hashlib."""


@dataclass(frozen=True)
class _Form:
    """A form of stored hashes."""

    scheme: str
    """The name for operators."""
    pattern: re.Pattern[str]
    is_sound: Callable[[re.Match[str]], bool]
    """Whether all parts have a usable length and the cost is within its bounds."""
    verify: Callable[[re.Match[str], bytes], bool]


def scheme_of(stored: str) -> str | None:
    """Return the name of a hash's scheme, or None for a hash that cannot be verified."""
    recognised = _recognise(stored)
    return None if recognised is None else recognised[0].scheme


def has_known_prefix(stored: str) -> bool:
    """Return whether a text begins like a hash of a supported form, be it a sound hash or not."""
    return _PREFIXES.match(stored) is not None


def verify(stored: str, password: bytes) -> bool:
    """Return whether the password has the hash; False for a hash that cannot be verified."""
    recognised = _recognise(stored)
    return recognised is not None and recognised[0].verify(recognised[1], password)


def _recognise(stored: str) -> tuple[_Form, re.Match[str]] | None:
    if len(stored) > MAXIMUM_LENGTH:
        return None
    for form in _FORMS:
        match = form.pattern.fullmatch(stored)
        if match is not None:
            return (form, match) if form.is_sound(match) else None
    return None


def _argon2_is_sound(match: re.Match[str]) -> bool:
    memory, passes, lanes = int(match["memory"]), int(match["passes"]), int(match["lanes"])
    # RFC 9106, section 3.1: at least one pass and 8 KiB a lane, a salt of 8 bytes, a tag of 4. A tag
    # of four bytes would match by chance too often, so at least 12 are required.
    return (
        passes >= 1
        and 1 <= lanes <= 16
        and 8 * lanes <= memory <= _ARGON2_MEMORY_KIB
        and memory * passes <= _ARGON2_WORK
        and len(_unpadded(match["salt"])) >= _SALT_BYTES
        and len(_unpadded(match["digest"])) >= _DIGEST_BYTES
    )


def _argon2_verify(match: re.Match[str], password: bytes) -> bool:
    try:
        return Argon2().verify(match["phc"], password)
    except (VerificationError, InvalidHashError):
        return False


def _bcrypt_is_sound(match: re.Match[str]) -> bool:
    return 4 <= int(match["cost"]) <= _BCRYPT_COST


def _bcrypt_verify(match: re.Match[str], password: bytes) -> bool:
    import bcrypt

    if match["before"]:
        # Django hashes the password to hexadecimal digits first, so that bcrypt cuts nothing off.
        password = hashlib.sha256(password).hexdigest().encode()
    return bcrypt.checkpw(password[:_BCRYPT_BYTES], match["crypt"].encode())


def _django_is_sound(match: re.Match[str]) -> bool:
    return (
        1 <= int(match["iterations"]) <= _PBKDF2_ITERATIONS
        and len(_padded(match["digest"])) == _DIGESTS[match["name"]]
    )


def _django_verify(match: re.Match[str], password: bytes) -> bool:
    return _pbkdf2(
        match["name"],
        password,
        match["salt"].encode(),
        int(match["iterations"]),
        _padded(match["digest"]),
    )


def _spring_is_sound(match: re.Match[str]) -> bool:
    return len(bytes.fromhex(match["hex"])) == _SPRING[match["version"]][2] + 32


def _spring_verify(match: re.Match[str], password: bytes) -> bool:
    name, iterations, length = _SPRING[match["version"]]
    raw = bytes.fromhex(match["hex"])
    return _pbkdf2(name, password, raw[:length], iterations, raw[length:])


_SPRING: dict[str | None, tuple[str, int, int]] = {
    None: ("sha1", 185_000, 8),
    "@SpringSecurity_v5_8": ("sha256", 310_000, 16),
}
"""Digest, iterations and bytes of the salt, by what follows `pbkdf2` in the prefix.

They are `defaultsForSpringSecurity_v5_5` and `_v5_8` of Pbkdf2PasswordEncoder; the hash does not
contain them. A hash made with a secret of the application verifies no password.
"""


def _shiro_is_sound(match: re.Match[str]) -> bool:
    return (
        1 <= int(match["iterations"]) <= _SHIRO_ITERATIONS
        and len(_padded(match["salt"])) >= _SALT_BYTES
        and len(_padded(match["digest"])) == _DIGESTS[_shiro_name(match)]
    )


def _shiro_verify(match: re.Match[str], password: bytes) -> bool:
    """Compare with Shiro's SimpleHash: the digest of salt and password, digested again and again."""
    new = getattr(hashlib, _shiro_name(match))
    digest: bytes = new(_padded(match["salt"]) + password).digest()
    for _ in range(int(match["iterations"]) - 1):
        digest = new(digest).digest()
    return hmac.compare_digest(digest, _padded(match["digest"]))


def _shiro_name(match: re.Match[str]) -> str:
    return str(match["name"]).replace("-", "").lower()


def _pbkdf2(name: str, password: bytes, salt: bytes, iterations: int, digest: bytes) -> bool:
    made = hashlib.pbkdf2_hmac(name, password, salt, iterations, len(digest))
    return hmac.compare_digest(made, digest)


def _unpadded(text: str) -> bytes:
    """Decode base64 without padding; return no bytes where its form is not the canonical one."""
    return b"" if "=" in text else _padded(text + "=" * (-len(text) % 4))


def _padded(text: str) -> bytes:
    """Decode base64; return no bytes where its form is not the canonical one."""
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""
    return raw if base64.b64encode(raw).decode() == text else b""


_FORMS = (
    _Form(
        "argon2",
        # Bare, as Spring and as Django write it.
        re.compile(
            r"(?:\{argon2(?:@SpringSecurity_v5_8)?\}|argon2)?"
            r"(?P<phc>\$argon2(?:id|i|d)\$v=19"
            r"\$m=(?P<memory>[0-9]{1,7}),t=(?P<passes>[0-9]{1,3}),p=(?P<lanes>[0-9]{1,3})"
            r"\$(?P<salt>[A-Za-z0-9+/]+)\$(?P<digest>[A-Za-z0-9+/]+))",
            re.ASCII,
        ),
        _argon2_is_sound,
        _argon2_verify,
    ),
    _Form(
        "bcrypt",
        # Bare, as Spring and as Django write it. $2x$ marks hashes of a faulty implementation. The
        # last characters of salt and digest hold two and four bits, the rest is zero.
        re.compile(
            r"(?:\{bcrypt\}|bcrypt(?P<before>_sha256)?\$)?"
            r"(?P<crypt>\$2[aby]\$(?P<cost>[0-9]{2})\$"
            r"[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{30}[.CGKOSWaeimquy26])",
            re.ASCII,
        ),
        _bcrypt_is_sound,
        _bcrypt_verify,
    ),
    _Form(
        "PBKDF2 (Django)",
        re.compile(
            r"pbkdf2_(?P<name>sha1|sha256|sha512)\$(?P<iterations>[0-9]{1,7})"
            r"\$(?P<salt>[^$\s]{8,128})\$(?P<digest>[A-Za-z0-9+/]+={0,2})",
            re.ASCII,
        ),
        _django_is_sound,
        _django_verify,
    ),
    _Form(
        "PBKDF2 (Spring)",
        re.compile(
            r"\{pbkdf2(?P<version>@SpringSecurity_v5_8)?\}(?P<hex>(?:[0-9a-f]{2})+)", re.ASCII
        ),
        _spring_is_sound,
        _spring_verify,
    ),
    _Form(
        "Shiro",
        re.compile(
            r"\$shiro1\$(?P<name>SHA-256|SHA-512)\$(?P<iterations>[0-9]{1,7})"
            r"\$(?P<salt>[A-Za-z0-9+/]+={0,2})\$(?P<digest>[A-Za-z0-9+/]+={0,2})",
            re.ASCII,
        ),
        _shiro_is_sound,
        _shiro_verify,
    ),
)

_PREFIXES = re.compile(
    r"(?:\{argon2|argon2)?\$argon2|\{argon2|argon2\$"
    r"|\{bcrypt\}|bcrypt(?:_sha256)?\$|\$2[abxy]\$"
    r"|pbkdf2_sha(?:1|256|512)\$|\{pbkdf2(?:@[^}]*)?\}|\$shiro1\$",
    re.ASCII,
)
