"""Concurrent verifications of one login, on DynamoDB Local."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.store.models import LoginItem
from tests.conftest import World, imported_hash, peppers

OPENING = "Opening-password-1"
RIGHT, WRONG, LOCKED = (200, True), (200, False), (429, None)

pytestmark = pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")


def verify(world: World, password: str) -> tuple[int, bool | None]:
    body = {"login": "11010148", "password": password}
    answer = world.call("POST", "/credentials/verify", body)
    return answer.status_code, answer.json_body.get("valid")


@pytest.fixture
def compared(real_world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that were compared with a hash, in order."""
    passwords: list[str] = []
    compare = real_world.service.hasher.verify

    def record(stored: str, password: str) -> bool:
        passwords.append(password)
        return compare(stored, password)

    monkeypatch.setattr(real_world.service.hasher, "verify", record)
    return passwords


def failures(world: World) -> int:
    return len(world.login_item().failures or ())


def test_two_hundred_wrong_ones_at_once_compare_five(
    real_world: World, compared: list[str]
) -> None:
    """The others are refused without a comparison, also the right password."""
    real_world.pauses.wait = lambda _: None
    with ThreadPoolExecutor(32) as pool:
        guesses = [f"Wrong-horse-{number}" for number in range(200)]
        answers = Counter(pool.map(lambda guess: verify(real_world, guess), guesses))
    assert len(compared) == 5
    assert answers == {WRONG: 5, LOCKED: 195}
    assert verify(real_world, OPENING) == LOCKED
    assert len(compared) == 5


def test_concurrent_right_passwords_are_all_confirmed(
    real_world: World, compared: list[str]
) -> None:
    """Each is counted while it is compared, which locks none of the others, and none stays counted."""
    verify(real_world, "Wrong-horse-1")
    with ThreadPoolExecutor(12) as pool:
        answers = Counter(pool.map(lambda _: verify(real_world, OPENING), range(12)))
    assert answers == {RIGHT: 12}
    assert failures(real_world) == 1


def test_only_wrong_passwords_stay_counted(real_world: World) -> None:
    """Three wrong among twelve concurrent ones, in any order."""
    passwords = [OPENING, OPENING, OPENING, "Wrong-horse-1"] * 3
    with ThreadPoolExecutor(12) as pool:
        answers = Counter(pool.map(lambda password: verify(real_world, password), passwords))
    assert answers == {RIGHT: 9, WRONG: 3}
    assert failures(real_world) == 3


def test_one_of_several_concurrent_renewals_is_stored(
    real_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four requests renew the old hash; one new hash is stored, and it verifies."""
    hasher = real_world.service.hasher
    LoginItem("11010148").update(
        [LoginItem.password_hash.set(imported_hash(OPENING)), LoginItem.failures.remove()]
    )
    together = threading.Barrier(4)
    hash_it, made = hasher.hash, []

    def hashing(password: str) -> str:
        together.wait(20)
        made.append(hash_it(password))
        return made[-1]

    monkeypatch.setattr(hasher, "hash", hashing)
    with ThreadPoolExecutor(4) as pool:
        answers = Counter(pool.map(lambda _: verify(real_world, OPENING), range(4)))
    assert answers == {RIGHT: 4}
    assert len(made) == 4
    assert real_world.login_item().password_hash in made
    assert failures(real_world) == 0
    assert verify(real_world, OPENING) == RIGHT
    assert int(real_world.login_item().password_version) == 1


def test_an_unknown_login_takes_as_long_as_a_wrong_password(real_world: World) -> None:
    """With argon2 at its real cost both take the same processor time, within a quarter."""
    from chalicelib.security.password_hasher import PasswordHasher

    service = real_world.service
    service.hasher = PasswordHasher(peppers(service))
    LoginItem("11010148").update(
        [LoginItem.password_hash.set(service.hasher.hash(OPENING)), LoginItem.failures.remove()]
    )
    took: dict[str, list[float]] = {"11010148": [], "99999999": []}
    for _ in range(9):
        for login, times in took.items():
            # Half an hour apart, so that nothing is locked.
            real_world.clock.time += 1_000
            began = time.thread_time()
            assert not service.credential_check.verify(login, "Wrong-horse-1").valid
            times.append(time.thread_time() - began)
    known, unknown = map(min, took.values())
    assert 0.75 < known / unknown < 1.33, (known, unknown)
