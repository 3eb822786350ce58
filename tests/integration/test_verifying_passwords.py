"""The login page asks about passwords: what is answered, what is counted, and who is let off."""

from __future__ import annotations

from typing import Any

import pytest
from chalice.test import HTTPResponse

from chalicelib.security.password_hasher import PasswordHasher
from chalicelib.store.models import LoginItem
from tests.conftest import PASSWORD, CheapHasher, MakeWorld, World, add_firm, peppers

OPENING = "Opening-password-1"
WRONG = {"valid": False, "must_change": False, "changed_at": 0}

# Chalice's own test client lets every signature pass; the local twin's test checks them.
pytestmark = pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")


def verify(world: World, password: str = OPENING, login: str = "11010148") -> HTTPResponse:
    return world.call("POST", "/credentials/verify", {"login": login, "password": password})


def told(world: World, password: str = OPENING, login: str = "11010148") -> dict[str, Any]:
    answer = verify(world, password, login)
    assert answer.status_code == 200, answer.body
    return dict(answer.json_body)


def failures(world: World, login: str = "11010148") -> list[int]:
    return [int(at) for at in world.login_item(login).failures or ()]


def lock(world: World, login: str = "11010148") -> None:
    for number in range(5):
        assert told(world, f"Wrong-horse-{number}", login) == WRONG


class Watched(CheapHasher):
    """Notes each password that is compared, with the hash that it is compared with."""

    def __init__(self, peppers: dict[int, bytes]) -> None:
        super().__init__(peppers)
        self.compared: list[tuple[str, str]] = []

    def verify(self, stored: str, password: str) -> bool:
        self.compared.append((stored, password))
        return super().verify(stored, password)


@pytest.fixture
def watched(world: World) -> Watched:
    hasher = Watched(peppers(world.service))
    world.service.hasher = hasher
    return hasher


def test_the_right_password_is_told_with_its_date(world: World) -> None:
    """A main login's opening password need not be changed."""
    assert told(world) == {"valid": True, "must_change": False, "changed_at": 1_700_000_000}


def test_a_default_password_must_be_changed_until_it_is(world: World) -> None:
    """After enrolment of a `_cw` login; a recovery ends that."""
    assert told(world, login="11010148_cw")["must_change"] is True
    token = world.token("11010148_cw")
    world.send(token)
    world.clock.time += 5
    assert world.confirm(token, world.phones.codes[0]).status_code == 200
    assert told(world, PASSWORD, "11010148_cw") == {
        "valid": True,
        "must_change": False,
        "changed_at": world.clock.time,
    }
    assert told(world, OPENING, "11010148_cw") == WRONG


def test_a_wrong_password_and_an_unknown_login_look_alike(world: World) -> None:
    """In the body, and in the headers."""
    wrong, unknown = verify(world, "Wrong-horse-1"), verify(world, login="99999999")
    assert wrong.json_body == unknown.json_body == WRONG
    assert wrong.headers == unknown.headers
    assert "Retry-After" not in wrong.headers


@pytest.mark.parametrize("login", ["99999999", "11010148", "11010148_cw"])
def test_each_wrong_answer_costs_one_comparison(world: World, watched: Watched, login: str) -> None:
    """An unknown login and one without a password take a hash of the same cost as any other."""
    LoginItem("11010148_cw").update([LoginItem.password_hash.remove()])
    assert told(world, "Wrong-horse-1", login) == WRONG
    stored = LoginItem.get("11010148").password_hash
    assert len(watched.compared) == 1
    assert (
        watched.compared[0][0].rpartition("$")[0].rpartition("$")[0]
        == (stored.rpartition("$")[0].rpartition("$")[0])
    )


def test_the_decoy_costs_what_a_real_hash_costs() -> None:
    """It has the form and the parameters of the hasher's own hashes, and no password is its own."""
    for hasher in (PasswordHasher({3: b"p" * 32}), CheapHasher({3: b"p" * 32})):
        assert not hasher.needs_rehash(hasher._decoy)
        shape = hasher._decoy.split("$"), hasher.hash("x").split("$")
        assert [len(part) for part in shape[0]] == [len(part) for part in shape[1]]
        assert not hasher.verify_nothing("")


def test_five_wrong_ones_lock_the_login_for_half_an_hour(world: World, watched: Watched) -> None:
    """Nothing is compared then, the right one neither; the lock ends by itself."""
    lock(world)
    world.clock.time += 100
    for password in ("Wrong-horse-9", OPENING):
        answer = verify(world, password)
        assert (answer.status_code, answer.json_body["code"]) == (429, "too-many-attempts")
        assert answer.headers["Retry-After"] == "1700"
        assert answer.json_body["retry_after"] == 1700
        assert "29分钟" in answer.json_body["detail"]
    assert len(watched.compared) == 5
    world.clock.time += 1699
    assert verify(world).status_code == 429
    world.clock.time += 1
    assert told(world)["valid"] is True


def test_a_lock_is_the_login_s_alone(world: World) -> None:
    """The firm's other login, and other firms, go on."""
    add_firm(world.service.hasher, "32990002")
    lock(world)
    assert told(world, login="11010148_cw")["valid"] is True
    assert told(world, login="32990002")["valid"] is True


def test_right_ones_are_never_counted(world: World) -> None:
    """Twenty in a row, and each leaves the login's counts as they were."""
    assert told(world, "Wrong-horse-1") == WRONG
    for _ in range(20):
        assert told(world)["valid"] is True
    assert failures(world) == [world.clock.time]


def test_a_right_one_does_not_give_a_guesser_new_tries(world: World) -> None:
    """The person logs in between the guesses; the fifth guess is still the last."""
    for number in range(4):
        assert told(world, f"Wrong-horse-{number}") == WRONG
        world.clock.time += 60
        assert told(world)["valid"] is True
    assert len(failures(world)) == 4
    assert told(world, "Wrong-horse-4") == WRONG
    assert verify(world).status_code == 429


def test_a_recovery_lifts_the_lock(world: World) -> None:
    """Whoever has the phone is not kept out by somebody else's guesses."""
    lock(world)
    token = world.token()
    world.send(token)
    assert world.confirm(token, world.phones.codes[0]).status_code == 200
    assert told(world, PASSWORD)["valid"] is True


def test_the_spellings_of_a_login_share_their_counts(world: World) -> None:
    """Full width, spaces and case are one login."""
    for login in ("11010148", "１１０１０１４８", " 1101 0148 ", "11010148", "110101\u200b48"):
        assert told(world, "Wrong-horse-1", login) == WRONG
    assert verify(world).status_code == 429


def test_the_list_of_failures_does_not_grow_for_ever(world: World) -> None:
    """Half an hour later it starts anew, and old entries are cut off."""
    for _ in range(40):
        assert told(world, "Wrong-horse-1") == WRONG
        world.clock.time += 600
    assert len(failures(world)) <= 10
    assert told(world)["valid"] is True


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"login": "11010148"}, "password"),
        ({"login": "11010148", "password": ""}, "password"),
        ({"login": "11010148", "password": None}, "password"),
        ({"login": "11010148", "password": ["Opening-password-1"]}, "password"),
        ({"login": "11010148", "password": True}, "password"),
        ({"password": OPENING}, "login"),
        ({"login": 11010148, "password": OPENING}, "login"),
        ({"login": "x", "password": OPENING}, "login"),
        ({"login": "11010148", "password": OPENING, "otp": "1"}, "otp"),
        (b'{"login":"11010148","login":"11010148","password":"x"}', "body"),
        (b"\xff", "body"),
        ([], "body"),
    ],
)
def test_malformed_questions_name_the_field(world: World, body: Any, field: str) -> None:
    """And count nothing."""
    answer = world.call("POST", "/credentials/verify", body)
    assert (answer.status_code, answer.json_body["code"]) == (422, "invalid-input")
    assert answer.json_body["field"] == field
    assert failures(world) == []


def test_a_count_that_is_no_longer_in_front_is_taken_back_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong one comes in while the right one is compared; only the wrong one stays counted."""
    compare = world.service.hasher.verify

    def slowly(stored: str, password: str) -> bool:
        monkeypatch.setattr(world.service.hasher, "verify", compare)
        world.clock.time += 7
        assert told(world, "Wrong-horse-1") == WRONG
        return compare(stored, password)

    began = world.clock.time
    monkeypatch.setattr(world.service.hasher, "verify", slowly)
    assert told(world)["valid"] is True
    assert failures(world) == [began + 7]


def test_a_store_that_fails_at_the_second_write_does_not_refuse_a_right_password(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password was right; what is left over is one count, which ends by time."""
    from botocore.exceptions import ReadTimeoutError

    from chalicelib.domain.errors import Unavailable
    from chalicelib.store import logins

    def failing(*_: Any) -> Any:
        raise Unavailable("store") from ReadTimeoutError(endpoint_url="x")

    # The count itself is a statement that is run; taking it back is an update.
    monkeypatch.setattr(logins, "update", failing)
    assert told(world)["valid"] is True
    assert failures(world) == [world.clock.time]


def test_the_service_s_budget_stops_a_spray(
    make_world: MakeWorld, caplog: pytest.LogCaptureFixture
) -> None:
    """One guess on each of many logins: an alarm at half, refusal at the full, anew in an hour."""
    world = make_world(LIMIT_WRONG_PASSWORDS_PER_SERVICE_HOUR="6")
    add_firm(world.service.hasher)
    assert told(world)["valid"] is True
    guesses = [verify(world, "Wrong-horse-1", f"{20_000_000 + n}") for n in range(8)]
    assert [answer.status_code for answer in guesses] == [200] * 6 + [429] * 2
    assert guesses[-1].json_body["code"] == "too-many-requests"
    assert 0 < int(guesses[-1].headers["Retry-After"]) <= 3_600
    alarms = [record.__dict__["alarm"] for record in caplog.records if "alarm" in record.__dict__]
    assert alarms == ["budget-wrong-passwords-half", "budget-wrong-passwords"]
    assert verify(world).status_code == 429
    locks = world.service.diagnosis.overview("11010148").locks
    assert [lock.kind for lock in locks] == ["service-wrong-passwords"]
    world.clock.time += 3_600
    assert told(world)["valid"] is True


def test_a_burst_of_questions_waits_for_those_under_way(world: World) -> None:
    """Five that came this very second may be right ones: the sixth waits, and then gets its answer."""
    waited: list[float] = []

    def others_end(seconds: float) -> None:
        waited.append(seconds)
        LoginItem("11010148").update([LoginItem.failures.set([])])

    LoginItem("11010148").update([LoginItem.failures.set([world.clock.time] * 5)])
    world.pauses.wait = others_end
    assert told(world)["valid"] is True
    assert len(waited) == 1


def test_a_lock_that_stands_makes_nobody_wait(world: World) -> None:
    """The wait is for bursts alone, and is bounded there too."""
    waited: list[float] = []
    lock(world)
    world.pauses.wait = waited.append
    assert verify(world).status_code == 429
    assert 0 < sum(waited) < 1
    waited.clear()
    world.clock.time += 3
    assert verify(world).status_code == 429
    assert waited == []
