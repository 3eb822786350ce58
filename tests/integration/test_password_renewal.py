"""The renewal of stored hashes, and the exact comparison of passwords."""

from __future__ import annotations

import logging

import pytest
from pynamodb.expressions.update import Action

from chalicelib.security.password_hasher import PasswordHasher
from chalicelib.store.models import LoginItem
from tests.conftest import PASSWORD, CheapHasher, MakeWorld, World, add_firm, imported_hash
from tests.integration.test_verifying_passwords import OPENING, WRONG, failures, verified, verify

PEPPER = "p" * 32

# Hashes of OPENING, with few iterations.
FOREIGN = {
    "bcrypt": "$2b$04$FSgJV1Zgdft0ohHtKp7.R.EcmQXuxeeIPpeQohsa3m624SNTrwF2K",
    "Django": "pbkdf2_sha256$1000$saltsalt$nwGuBh6W5x4M8LVWS44au3Nt0N91xyNAgzFChs4FVBo=",
    "Spring": "{pbkdf2@SpringSecurity_v5_8}73737373737373737373737373737373770a0b717d8b4afe8c01495847c04ce8a161fae35ac7be1378f70d351edbe831",
    "Shiro": "$shiro1$SHA-256$1000$c3Nzc3Nzc3Nzc3Nzc3Nzcw==$KaHxTcJ57zCeTImT/J3cWi0wF2R4iGVpoYaMnVW3Sck=",
}

pytestmark = pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")


def store_hash(world: World, made: str) -> None:
    LoginItem("11010148").update([LoginItem.password_hash.set(made)])


def outdated_hash(kind: str) -> str:
    """Return a hash of OPENING by an import, another pepper or other parameters."""
    if kind == "imported":
        return imported_hash(OPENING)
    if kind in FOREIGN:
        return FOREIGN[kind]
    if kind == "old pepper":
        return CheapHasher({1: b"o" * 32}).hash(OPENING)
    return PasswordHasher({2: PEPPER.encode()}, memory_kib=16, passes=2).hash(OPENING)


@pytest.mark.parametrize("kind", ["imported", "old pepper", "old parameters", *FOREIGN])
def test_an_outdated_hash_is_renewed_by_the_right_password(
    make_world: MakeWorld, kind: str
) -> None:
    """Once, without other changes of the login; a recovery in progress continues."""
    world = make_world(CODE_PEPPER=f"2:{PEPPER},1:{'o' * 32}")
    add_firm(world.service.hasher)
    before = outdated_hash(kind)
    store_hash(world, before)
    token = world.token()
    assert verified(world, "Wrong-horse-1") == WRONG
    assert world.login_item().password_hash == before
    assert verified(world) == {"valid": True, "must_change": False, "changed_at": 1_700_000_000}
    renewed = world.login_item()
    assert renewed.password_hash.startswith("v2:$argon2id$")
    assert not world.service.hasher.needs_rehash(renewed.password_hash)
    assert (renewed.password_version, renewed.changed_at) == (1, 1_700_000_000)
    assert failures(world) == [world.clock.time]
    assert verified(world)["valid"] is True
    assert world.login_item().password_hash == renewed.password_hash
    assert world.send(token).status_code == 202


@pytest.mark.parametrize("changed", ["version", "hash"])
def test_a_renewal_does_not_undo_a_concurrent_password(
    world: World, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    """Between comparison and write the login is recovered, or renewed by another request."""
    store_hash(world, outdated_hash("imported"))
    newer = world.service.hasher.hash(PASSWORD)
    hash_it = world.service.hasher.hash

    def meanwhile(password: str) -> str:
        actions: list[Action] = [LoginItem.password_hash.set(newer)]
        if changed == "version":
            actions += [LoginItem.password_version.set(2), LoginItem.failures.remove()]
        LoginItem("11010148").update(actions)
        return hash_it(password)

    monkeypatch.setattr(world.service.hasher, "hash", meanwhile)
    assert verified(world)["valid"] is True
    assert world.login_item().password_hash == newer
    assert failures(world) == []


def test_passwords_are_compared_after_nfc(world: World) -> None:
    """A decomposed accent is the same password; white space is part of it."""
    LoginItem("11010148").update(
        [LoginItem.password_hash.set(world.service.hasher.hash("Caf\u00e9-bar-1 "))]
    )
    assert verified(world, "Cafe\u0301-bar-1 ")["valid"] is True
    assert verified(world, "Cafe\u0301-bar-1") == WRONG


def test_a_long_password_is_compared_completely(world: World) -> None:
    """Up to 1,024 bytes; more are refused before anything is hashed or counted."""
    long = "x" * 1_024
    LoginItem("11010148").update([LoginItem.password_hash.set(world.service.hasher.hash(long))])
    assert verified(world, long)["valid"] is True
    assert verified(world, long[:-1] + "y") == WRONG
    before = failures(world)
    answer = verify(world, long + "x")
    assert (answer.status_code, answer.json_body["field"]) == (422, "password")
    assert failures(world) == before


def test_no_password_reaches_a_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Neither a right nor a wrong password, nor one of a malformed request, nor a hash."""
    caplog.set_level(logging.DEBUG)
    logging.getLogger("botocore").setLevel(logging.INFO)
    store_hash(world, outdated_hash("imported"))
    for password in (OPENING, "Canary-wrong-1", "Canary-" * 200):
        verify(world, password)
    assert "Canary-" not in caplog.text
    assert OPENING not in caplog.text
    assert "$argon2" not in caplog.text
