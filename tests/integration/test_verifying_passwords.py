"""The verification of credentials for the login page: answers, counts and locks."""

from __future__ import annotations

from typing import Any

import pytest
from chalice.test import HTTPResponse

from chalicelib.security.password_hasher import PasswordHasher
from chalicelib.store import logins
from chalicelib.store.dynamo import update
from chalicelib.store.models import LoginItem
from tests.conftest import PASSWORD, CheapHasher, MakeWorld, World, add_firm, peppers

OPENING = "Opening-password-1"
WRONG = {"valid": False, "must_change": False, "changed_at": 0}

# Chalice's own test client lets every signature pass; the test of the local stack checks them.
pytestmark = pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")


def verify(world: World, password: str = OPENING, login: str = "11010148") -> HTTPResponse:
    return world.call("POST", "/credentials/verify", {"login": login, "password": password})


def verified(world: World, password: str = OPENING, login: str = "11010148") -> dict[str, Any]:
    answer = verify(world, password, login)
    assert answer.status_code == 200, answer.body
    return dict(answer.json_body)


def failures(world: World, login: str = "11010148") -> list[int]:
    return [int(at) for at in world.login_item(login).failures or ()]


def lock(world: World, login: str = "11010148") -> None:
    for number in range(5):
        assert verified(world, f"Wrong-horse-{number}", login) == WRONG


class RecordingHasher(CheapHasher):
    """A hasher that records each comparison as hash and password."""

    def __init__(self, peppers: dict[int, bytes]) -> None:
        super().__init__(peppers)
        self.compared: list[tuple[str, str]] = []

    def verify(self, stored: str, password: str) -> bool:
        self.compared.append((stored, password))
        return super().verify(stored, password)


@pytest.fixture
def recording_hasher(world: World) -> RecordingHasher:
    hasher = RecordingHasher(peppers(world.service))
    world.service.hasher = hasher
    return hasher


def test_the_right_password_is_confirmed_with_its_date(world: World) -> None:
    """The opening password of a main login need not be changed."""
    assert verified(world) == {"valid": True, "must_change": False, "changed_at": 1_700_000_000}


def test_a_default_password_must_be_changed_until_it_is(world: World) -> None:
    """That of an enrolled `_cw` login, until a recovery."""
    assert verified(world, login="11010148_cw")["must_change"] is True
    token = world.token("11010148_cw")
    world.send(token)
    world.clock.time += 5
    assert world.confirm(token, world.phones.codes[0]).status_code == 200
    assert verified(world, PASSWORD, "11010148_cw") == {
        "valid": True,
        "must_change": False,
        "changed_at": world.clock.time,
    }
    assert verified(world, OPENING, "11010148_cw") == WRONG


def test_a_wrong_password_and_an_unknown_login_have_the_same_answer(world: World) -> None:
    """The same body and the same headers."""
    wrong, unknown = verify(world, "Wrong-horse-1"), verify(world, login="99999999")
    assert wrong.json_body == unknown.json_body == WRONG
    assert wrong.headers == unknown.headers
    assert "Retry-After" not in wrong.headers


@pytest.mark.parametrize("login", ["99999999", "11010148", "11010148_cw"])
def test_each_wrong_answer_costs_one_comparison(
    world: World, recording_hasher: RecordingHasher, login: str
) -> None:
    """Also for an unknown login and one without a password, with a hash of the same cost."""
    LoginItem("11010148_cw").update([LoginItem.password_hash.remove()])
    assert verified(world, "Wrong-horse-1", login) == WRONG
    stored = LoginItem.get("11010148").password_hash
    assert len(recording_hasher.compared) == 1
    assert (
        recording_hasher.compared[0][0].rpartition("$")[0].rpartition("$")[0]
        == (stored.rpartition("$")[0].rpartition("$")[0])
    )


def test_the_decoy_costs_what_a_real_hash_costs() -> None:
    """It has the form and parameters of the hasher's hashes, and matches no password."""
    for hasher in (PasswordHasher({3: b"p" * 32}), CheapHasher({3: b"p" * 32})):
        assert not hasher.needs_rehash(hasher._decoy)
        shape = hasher._decoy.split("$"), hasher.hash("x").split("$")
        assert [len(part) for part in shape[0]] == [len(part) for part in shape[1]]
        assert not hasher.verify_nothing("")


def test_five_wrong_passwords_lock_the_login_for_half_an_hour(
    world: World, recording_hasher: RecordingHasher
) -> None:
    """Nothing is compared then, not even the right password, until the lock ends."""
    lock(world)
    world.clock.time += 100
    for password in ("Wrong-horse-9", OPENING):
        answer = verify(world, password)
        assert (answer.status_code, answer.json_body["code"]) == (429, "too-many-attempts")
        assert answer.headers["Retry-After"] == "1700"
        assert answer.json_body["retry_after"] == 1700
        assert "29分钟" in answer.json_body["detail"]
    assert len(recording_hasher.compared) == 5
    world.clock.time += 1699
    assert verify(world).status_code == 429
    world.clock.time += 1
    assert verified(world)["valid"] is True


def test_a_lock_applies_to_one_login(world: World) -> None:
    """The firm's other login and other firms are not locked."""
    add_firm(world.service.hasher, "32990002")
    lock(world)
    assert verified(world, login="11010148_cw")["valid"] is True
    assert verified(world, login="32990002")["valid"] is True


def test_right_passwords_are_not_counted(world: World) -> None:
    """Twenty in a row do not change the login's counts."""
    assert verified(world, "Wrong-horse-1") == WRONG
    for _ in range(20):
        assert verified(world)["valid"] is True
    assert failures(world) == [world.clock.time]


def test_a_right_password_does_not_reset_the_count(world: World) -> None:
    """The person logs in between guesses; the fifth guess locks the login."""
    for number in range(4):
        assert verified(world, f"Wrong-horse-{number}") == WRONG
        world.clock.time += 60
        assert verified(world)["valid"] is True
    assert len(failures(world)) == 4
    assert verified(world, "Wrong-horse-4") == WRONG
    assert verify(world).status_code == 429


def test_a_recovery_lifts_the_lock(world: World) -> None:
    """The owner of the phone is not locked out by another person's guesses."""
    lock(world)
    token = world.token()
    world.send(token)
    assert world.confirm(token, world.phones.codes[0]).status_code == 200
    assert verified(world, PASSWORD)["valid"] is True


def test_the_spellings_of_a_login_share_their_counts(world: World) -> None:
    """Full width, spaces and case do not matter."""
    for login in ("11010148", "１１０１０１４８", " 1101 0148 ", "11010148", "110101\u200b48"):
        assert verified(world, "Wrong-horse-1", login) == WRONG
    assert verify(world).status_code == 429


def test_the_list_of_failures_is_bounded(world: World) -> None:
    """Expired entries are removed."""
    for _ in range(40):
        assert verified(world, "Wrong-horse-1") == WRONG
        world.clock.time += 600
    assert len(failures(world)) <= 10
    assert verified(world)["valid"] is True


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
def test_malformed_requests_name_the_field(world: World, body: Any, field: str) -> None:
    """They are not counted."""
    answer = world.call("POST", "/credentials/verify", body)
    assert (answer.status_code, answer.json_body["code"]) == (422, "invalid-input")
    assert answer.json_body["field"] == field
    assert failures(world) == []


def test_an_attempt_is_refunded_also_behind_a_newer_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong password is sent while the right one is compared; only the wrong one stays counted."""
    compare = world.service.hasher.verify

    def verify_slowly(stored: str, password: str) -> bool:
        monkeypatch.setattr(world.service.hasher, "verify", compare)
        world.clock.time += 7
        assert verified(world, "Wrong-horse-1") == WRONG
        return compare(stored, password)

    began = world.clock.time
    monkeypatch.setattr(world.service.hasher, "verify", verify_slowly)
    assert verified(world)["valid"] is True
    assert failures(world) == [began + 7]


def test_a_refund_that_is_overtaken_again_and_again_is_given_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The right password is confirmed, and one attempt stays counted until it expires."""

    def overtaken(item: LoginItem, *arguments: Any) -> Any:
        counts = [world.clock.time - len(failures(world)), *failures(world)]
        LoginItem(item.login).update([LoginItem.failures.set(counts)])
        return update(item, *arguments)

    monkeypatch.setattr(logins, "update", overtaken)
    monkeypatch.setattr(logins, "_REFUND_TRIES", 2)
    assert verified(world)["valid"] is True
    assert world.clock.time in failures(world)


def test_a_failed_refund_does_not_refuse_a_right_password(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One attempt stays counted until it expires."""
    from botocore.exceptions import ReadTimeoutError

    from chalicelib.domain.errors import Unavailable

    def failing(*_: Any) -> Any:
        raise Unavailable("store") from ReadTimeoutError(endpoint_url="x")

    # The attempt is counted by a prepared statement; the refund is an update.
    monkeypatch.setattr(logins, "update", failing)
    assert verified(world)["valid"] is True
    assert failures(world) == [world.clock.time]


def test_the_service_s_budget_stops_a_spray(
    make_world: MakeWorld, caplog: pytest.LogCaptureFixture
) -> None:
    """One guess on each of many logins: an alarm at half, refusal at the limit, for one hour.

    The refusal is of logins with a default password alone.
    """
    world = make_world(LIMIT_WRONG_PASSWORDS_PER_SERVICE_HOUR="6")
    add_firm(world.service.hasher)
    for number in range(8):
        add_firm(world.service.hasher, f"{20_000_000 + number}")
    finance = "11010148_cw"
    assert verified(world, login=finance)["valid"] is True
    guesses = [verify(world, "Wrong-horse-1", f"{20_000_000 + n}_cw") for n in range(8)]
    assert [answer.status_code for answer in guesses] == [200] * 6 + [429] * 2
    assert guesses[-1].json_body["code"] == "too-many-requests"
    assert 0 < int(guesses[-1].headers["Retry-After"]) <= 3_600
    alarms = [record.__dict__["alarm"] for record in caplog.records if "alarm" in record.__dict__]
    assert alarms == ["budget-wrong-passwords-half", "budget-wrong-passwords"]
    assert verify(world, login=finance).status_code == 429
    # The refused attempt was not compared, so it does not count against the login.
    assert failures(world, finance) == []
    locks = world.service.diagnosis.overview(finance).locks
    assert [lock.kind for lock in locks] == ["service-wrong-passwords"]
    # A password that its owner has set is still verified.
    assert verified(world)["valid"] is True
    assert world.service.diagnosis.overview("11010148").locks == ()
    world.clock.time += 3_600
    assert verified(world, login=finance)["valid"] is True


def test_a_burst_waits_for_attempts_in_progress(world: World) -> None:
    """Five attempts of the same second may be right: the sixth waits, and is then answered."""
    waited: list[float] = []

    def others_end(seconds: float) -> None:
        waited.append(seconds)
        LoginItem("11010148").update([LoginItem.failures.set([])])

    LoginItem("11010148").update([LoginItem.failures.set([world.clock.time] * 5)])
    world.pauses.wait = others_end
    assert verified(world)["valid"] is True
    assert len(waited) == 1


def test_an_older_lock_does_not_wait(world: World) -> None:
    """Only bursts wait, and less than a second."""
    waited: list[float] = []
    lock(world)
    world.pauses.wait = waited.append
    assert verify(world).status_code == 429
    assert 0 < sum(waited) < 1
    waited.clear()
    world.clock.time += 3
    assert verify(world).status_code == 429
    assert waited == []
