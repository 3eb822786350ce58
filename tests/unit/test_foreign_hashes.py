"""Hashes of previous systems: vectors of the systems themselves, damaged and expensive hashes."""

from __future__ import annotations

import base64
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.security import foreign_hashes
from chalicelib.security.password_hasher import PasswordHasher

DJANGO = "开户密码-1"
SALT = "c2FsdHNhbHRzYWx0c2FsdA=="

# By where the hash comes from: scheme, hash and password.
VECTORS = {
    # The reference of Spring Security, "Password Storage", shows these two with their password.
    "Spring bcrypt": (
        "bcrypt",
        "{bcrypt}$2a$10$dXJ3SW6G7P50lGmMkkmwe.20cQQubK3.HZWzG3YB1tlRy.fqvM/BG",
        "password",
    ),
    "Spring PBKDF2": (
        "PBKDF2 (Spring)",
        "{pbkdf2}5d923b44a6d129f3ddf3e3c8d29412723dcbde72445e8ef6bf3b508fbf17fa4ed4d6b99ca763d8dc",
        "password",
    ),
    # The rest of Django's were made by its own hashers, version 5.2, with few iterations.
    "Django PBKDF2": (
        "PBKDF2 (Django)",
        "pbkdf2_sha256$1000$0123456789abcdefSALTxy$knhC/VnS0PlHpxHJoB9YFHyfLI2sUcu7J5fKgDF7HuQ=",
        DJANGO,
    ),
    "Django PBKDF2 with SHA-1": (
        "PBKDF2 (Django)",
        "pbkdf2_sha1$1000$0123456789abcdefSALTxy$aqEmHPtztHQpgWLW/Tbqhw4APLM=",
        DJANGO,
    ),
    "Django bcrypt": (
        "bcrypt",
        "bcrypt$$2b$04$MfFDb04qmxmdHqa/aSkt5.alsFLKZ7mWrPIoNF6cVtYm24N1Z40uW",
        DJANGO,
    ),
    "Django bcrypt over SHA-256": (
        "bcrypt",
        "bcrypt_sha256$$2b$04$ZvOlLnUu5CT1z8Vrk5T0sOriTRaxsDvcgYai9O8vDFAVuG.L7h.vO",
        DJANGO,
    ),
    "Django argon2": (
        "argon2",
        "argon2$argon2id$v=19$m=64,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZlNBTFR4eQ"
        "$PIQM7tR9fG4WDEHA6td7bmISdwvtxTYywbcVaDi1wSY",
        DJANGO,
    ),
    # The output of Shiro's command-line hasher 1.2.0 for this password, as published by its users.
    "Shiro": (
        "Shiro",
        "$shiro1$SHA-256$500000$QmLtx8PaCMe72i+yVuqH+A=="
        "$P5ohK5uWi30u38ujuTnmmeUK2gPwqhxTnke2wd9fZXw=",
        "123qwe",
    ),
}


@pytest.mark.parametrize(("scheme", "stored", "password"), VECTORS.values(), ids=VECTORS)
def test_a_hash_of_each_system_verifies_its_password(
    scheme: str, stored: str, password: str
) -> None:
    """And no other password, nor the hash itself; it is to be renewed."""
    hasher = PasswordHasher({1: b"p" * 32}, memory_kib=8, passes=1)
    assert foreign_hashes.scheme_of(stored) == scheme
    assert hasher.verify(stored, password)
    assert not hasher.verify(stored, password + "x")
    assert not hasher.verify(stored, stored)
    assert hasher.needs_rehash(stored)


def test_spring_s_pbkdf2_of_version_5_8_has_its_own_parameters() -> None:
    """SHA-256, 310,000 iterations and 16 bytes of salt; a hash of the older form is not one."""
    older = VECTORS["Spring PBKDF2"][1].partition("}")[2]
    assert foreign_hashes.scheme_of("{pbkdf2@SpringSecurity_v5_8}" + older) is None
    assert foreign_hashes.scheme_of("{pbkdf2@SpringSecurity_v5_8}" + "00" * 48)
    assert foreign_hashes.scheme_of("{pbkdf2}" + "00" * 48) is None


def test_bcrypt_compares_72_bytes_as_the_previous_system_did() -> None:
    """A longer password verifies instead of raising an error."""
    import bcrypt

    stored = bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode()
    assert foreign_hashes.verify(stored, b"x" * 100)
    assert not foreign_hashes.verify(stored, b"x" * 71)


def base64_of(length: int) -> str:
    return base64.b64encode(b"t" * length).decode()


BCRYPT = VECTORS["Spring bcrypt"][1].removeprefix("{bcrypt}")


@pytest.mark.parametrize(
    "stored",
    [
        # Too expensive.
        BCRYPT.replace("$10$", "$15$"),
        BCRYPT.replace("$10$", "$31$"),
        f"pbkdf2_sha256$2000001$saltsalt${base64_of(32)}",
        f"pbkdf2_sha256$99999999$saltsalt${base64_of(32)}",
        f"$shiro1$SHA-256$1000001${SALT}${base64_of(32)}",
        f"$argon2id$v=19$m=262144,t=5,p=1${SALT.rstrip('=')}${base64_of(30)}",
        # Truncated, or longer than its digest.
        BCRYPT[:-1],
        BCRYPT + "a",
        "$2a$10$",
        f"pbkdf2_sha256$1000$saltsalt${base64_of(31)}",
        f"pbkdf2_sha256$1000$saltsalt${base64_of(32)[:-1]}",
        "pbkdf2_sha256$1000$saltsalt",
        f"$shiro1$SHA-256$1000${SALT}${base64_of(16)}",
        f"$shiro1$SHA-256$1000$${base64_of(32)}",
        "{pbkdf2}5d923b44",
        "{bcrypt}",
        f"$argon2id$v=19$m=64,t=1,p=1${SALT.rstrip('=')}${'A' * 512}",
        # Without rounds, without enough salt, in a form that no password has.
        f"pbkdf2_sha256$0$saltsalt${base64_of(32)}",
        f"pbkdf2_sha256$1000$salt${base64_of(32)}",
        f"$shiro1$SHA-256$0${SALT}${base64_of(32)}",
        BCRYPT.replace("$10$", "$03$"),
        BCRYPT.replace("$2a$", "$2x$"),
        BCRYPT[:-1] + "H",
    ],
)
def test_a_damaged_or_expensive_hash_verifies_nothing_and_costs_nothing(stored: str) -> None:
    """It is recognised by its beginning, so that it never counts as a password in the clear."""
    began = time.process_time()
    assert foreign_hashes.scheme_of(stored) is None
    assert foreign_hashes.has_known_prefix(stored)
    assert not foreign_hashes.verify(stored, b"password")
    assert time.process_time() - began < 0.1


@given(st.text(max_size=600) | st.sampled_from(sorted(v[1] for v in VECTORS.values())))
def test_any_text_is_recognised_or_not_without_an_error(text: str) -> None:
    """What has a scheme has a known prefix as well."""
    scheme = foreign_hashes.scheme_of(text)
    assert scheme is None or foreign_hashes.has_known_prefix(text)
    assert scheme is not None or not foreign_hashes.verify(text, b"password")


def test_a_start_loads_neither_the_module_nor_bcrypt() -> None:
    """Most functions never verify such a hash."""
    names = "{'bcrypt', 'chalicelib.security.foreign_hashes'}"
    code = f"import sys, chalicelib.security.password_hasher; sys.exit(bool({names} & {{*sys.modules}}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
