"""The verification of credentials, of which every outgoing call fails once."""

from __future__ import annotations

import pytest

from chalicelib.store.models import LoginItem
from tests.conftest import PASSWORD, imported_hash
from tests.fault_injection.driver import OPENING, MakePlace, Person
from tests.fault_injection.sweep import REPEATED, Faults, Point

pytestmark = pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")


def verified(person: Person, password: str) -> dict[str, object]:
    body = {"login": person.login, "password": password}
    return person.done(
        "verification", lambda: person.world.call("POST", "/credentials/verify", body)
    )


def failures(person: Person) -> int:
    return len(person.item().failures or ())


def test_a_right_password_is_confirmed(make_place: MakePlace, faults: Faults) -> None:
    """It is confirmed at once or by a repeat; at most one attempt stays counted, until it expires."""
    place = make_place()

    def act(point: Point) -> None:
        person = place.person(point)
        assert verified(person, OPENING)["valid"] is True
        # Refunding the attempt of a right password is best effort.
        assert failures(person) <= (point.hit is not None)
        assert person.right(OPENING)
        assert person.item().password_version == 1

    assert set(faults.sweep("right password", act)) == {"UpdateItem"}


def test_a_wrong_password_is_counted(make_place: MakePlace, faults: Faults) -> None:
    """It is counted before it is compared, and once more for a repeat."""
    place = make_place()

    def act(point: Point) -> None:
        person = place.person(point)
        assert verified(person, PASSWORD) == {"valid": False, "must_change": False, "changed_at": 0}
        # The login's count is written first. It stays where the budget's write failed or an answer
        # was lost; the client's own repeat counts once more.
        counted_twice = point.name and (point.number == 1 or point.kind.took_effect)
        counted_twice = counted_twice or (point.kind is REPEATED and point.number == 0)
        assert failures(person) == (2 if counted_twice else 1)
        assert person.right(OPENING)

    assert set(faults.sweep("wrong password", act)) == {"UpdateItem"}


def test_an_outdated_hash_is_renewed(make_place: MakePlace, faults: Faults) -> None:
    """Exactly one password is right at any time; the next verification renews the hash."""
    place = make_place()

    def act(point: Point) -> None:
        person = place.person(point)
        hasher = place.world.service.hasher
        stale = imported_hash(OPENING)
        LoginItem(person.login).update([LoginItem.password_hash.set(stale)])
        assert verified(person, OPENING)["valid"] is True
        unchanged = person.item().password_hash == stale
        assert unchanged is (
            point.number == 1 and point.name is not None and not point.kind.took_effect
        )
        assert not person.right(PASSWORD)
        assert person.right(OPENING)
        assert not hasher.needs_rehash(person.item().password_hash)
        assert person.item().password_version == 1

    assert set(faults.sweep("hashing anew", act)) == {"UpdateItem"}
