"""The login page's question, each of whose outgoing calls fails once."""

from __future__ import annotations

import pytest

from chalicelib.store.models import LoginItem
from tests.conftest import PASSWORD, imported_hash
from tests.fault_injection.driver import OPENING, MakePlace, Person
from tests.fault_injection.sweep import REPEATED, Faults, Point

pytestmark = pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")


def asked(person: Person, password: str) -> dict[str, object]:
    body = {"login": person.login, "password": password}
    return person.done("question", lambda: person.world.call("POST", "/credentials/verify", body))


def failures(person: Person) -> int:
    return len(person.item().failures or ())


def test_a_right_password(make_place: MakePlace, faults: Faults) -> None:
    """It is right, at once or when asked again; at most one count stays, which ends by time."""
    place = make_place()

    def act(point: Point) -> None:
        person = place.person(point)
        assert asked(person, OPENING)["valid"] is True
        # To take the count of a right password back is best effort.
        assert failures(person) <= (point.hit is not None)
        assert person.right(OPENING)
        assert person.item().password_version == 1

    assert set(faults.sweep("right password", act)) == {"UpdateItem"}


def test_a_wrong_password(make_place: MakePlace, faults: Faults) -> None:
    """It is counted before it is compared, and again where it is asked again."""
    place = make_place()

    def act(point: Point) -> None:
        person = place.person(point)
        assert asked(person, PASSWORD) == {"valid": False, "must_change": False, "changed_at": 0}
        # The login's count came first, and stands where the budget's failed or either answer was
        # lost; the client's own repeat counts once more.
        counted_twice = point.name and (point.number == 1 or point.kind.took_effect)
        counted_twice = counted_twice or (point.kind is REPEATED and point.number == 0)
        assert failures(person) == (2 if counted_twice else 1)
        assert person.right(OPENING)

    assert set(faults.sweep("wrong password", act)) == {"UpdateItem"}


def test_a_password_that_is_hashed_anew(make_place: MakePlace, faults: Faults) -> None:
    """Before, midway and after, exactly the one password is right; the next question renews it."""
    place = make_place()

    def act(point: Point) -> None:
        person = place.person(point)
        hasher = place.world.service.hasher
        stale = imported_hash(OPENING)
        LoginItem(person.login).update([LoginItem.password_hash.set(stale)])
        assert asked(person, OPENING)["valid"] is True
        kept = person.item().password_hash == stale
        assert kept is (point.number == 1 and point.name is not None and not point.kind.took_effect)
        assert not person.right(PASSWORD)
        assert person.right(OPENING)
        assert not hasher.needs_rehash(person.item().password_hash)
        assert person.item().password_version == 1

    assert set(faults.sweep("hashing anew", act)) == {"UpdateItem"}
