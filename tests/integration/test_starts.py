"""Starts of recoveries: counted by requester, and harder for a login that many start."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import altcha
import pytest
from chalice.test import HTTPResponse

from chalicelib.domain.errors import TooManyRequests, Unavailable
from chalicelib.domain.limits import DAY, HOUR
from chalicelib.security import proof_of_work
from chalicelib.security.proof_of_work import LIFETIME, Proofs
from chalicelib.store import logins
from chalicelib.store.models import LoginItem
from chalicelib.store.requester_times import times_by
from tests.conftest import SETTINGS, MakeWorld, World, add_firm, store_calls

LOGIN = "11010148"


@pytest.fixture(autouse=True)
def _little_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """The factors count here, not the computing."""
    monkeypatch.setattr(proof_of_work, "COUNTERS", range(4))


def proven(make_world: MakeWorld, **settings: str) -> World:
    """A world that requires proofs of work, which cost nothing to compute."""
    world = make_world(PROOF_OF_WORK="1", **settings)
    add_firm(world.service.hasher)
    world.service.proofs = Proofs([SETTINGS["SIGNING_KEYS"].encode()], world.clock, cost=1)
    return world


def prove(world: World, factor: int | None = None, login: str = LOGIN) -> str:
    """Return a solved challenge of `GET /proof`."""
    path = f"/proof?login={login}" + ("" if factor is None else f"&factor={factor}")
    challenge = world.call("GET", path).json_body
    found = altcha.solve_challenge(altcha.Challenge.from_dict(challenge))
    assert found is not None
    solution = {"counter": found.counter, "derivedKey": found.derived_key}
    payload = {"challenge": challenge, "solution": solution}
    return base64.b64encode(json.dumps(payload).encode()).decode()


def start(world: World, proof: str, openid: str = "o-alice", login: str = LOGIN) -> HTTPResponse:
    """Begin a recovery with this proof."""
    body = {"user_type": "firm", "login": login, "proof": proof}
    return world.call("POST", "/recovery", body, openid=openid)


def crowd(world: World, starts: int, login: str = LOGIN) -> None:
    """Let strangers have started the login so often within the hour."""
    LoginItem(login).update([LoginItem.starts.set([world.clock.time - 5] * starts)])


def factor_of(answer: HTTPResponse) -> Any:
    """Return the factor that a refused start requires; 1 where the start was not refused."""
    if answer.status_code == 201:
        return 1
    assert (answer.status_code, answer.json_body["code"]) == (400, "proof-invalid")
    return answer.json_body.get("factor")


def test_a_requester_starts_a_login_ten_times_an_hour(world: World) -> None:
    """An address three times as often; the others and the other login are not concerned."""
    for openid, figure in (("o-mallory", 10), (None, 30)):
        statuses = [world.start(openid=openid).status_code for _ in range(figure + 1)]
        assert statuses == [201] * figure + [429]
    refused = world.start(openid="o-mallory")
    assert refused.headers["Retry-After"] == str(HOUR)
    assert world.start().status_code == 201
    assert world.start(f"{LOGIN}_cw", "o-mallory").status_code == 201
    world.clock.time += HOUR
    assert world.start(openid="o-mallory").status_code == 201


def test_parallel_starts_of_a_requester_share_its_limit(real_world: World) -> None:
    """Also on DynamoDB Local, where the item has no map at first."""
    LoginItem(LOGIN).update([LoginItem.starts_by.remove()])
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: real_world.start().status_code, range(24)))
    assert answers.count(201) == 10
    assert answers.count(429) == 14
    assert len(real_world.login_item().starts) == 10


@pytest.mark.parametrize(
    ("starts", "factor"),
    [(29, 1), (30, 2), (39, 2), (40, 4), (50, 8), (79, 32), (80, 64), (300, 64)],
)
def test_the_work_doubles_with_each_further_ten_starts(
    make_world: MakeWorld, starts: int, factor: int
) -> None:
    """From the thirtieth of an hour on, up to 64 times, and no number of starts refuses anybody."""
    world = proven(make_world)
    crowd(world, starts)
    if factor > 1:
        assert factor_of(start(world, prove(world))) == factor
        assert factor_of(start(world, prove(world, factor // 2))) == factor
    assert start(world, prove(world, factor)).status_code == 201
    world.clock.time += HOUR
    assert start(world, prove(world)).status_code == 201


def test_too_small_a_proof_is_neither_counted_nor_used_up(make_world: MakeWorld) -> None:
    """It serves when the hour of the others' starts has passed."""
    world = proven(make_world)
    crowd(world, 30)
    LoginItem(LOGIN).update([LoginItem.starts.set([world.clock.time - HOUR + 60] * 30)])
    proof = prove(world)
    with store_calls() as calls:
        assert factor_of(start(world, proof)) == 2
    assert calls == ["UpdateItem"]
    item = world.login_item()
    assert len(item.starts) == 30
    assert item.proofs is None
    assert times_by(item.starts_by) == {}
    world.clock.time += 60
    assert start(world, proof).status_code == 201
    assert factor_of(start(world, proof)) is None


def test_without_proofs_of_work_nothing_grows(world: World) -> None:
    """There is no work that could grow, and a login's starts refuse nobody."""
    crowd(world, 300)
    assert world.start().status_code == 201


@pytest.mark.parametrize("name", ["sends", "wrong_codes", "unbindings"])
def test_a_full_budget_makes_every_start_harder(make_world: MakeWorld, name: str) -> None:
    """Eight times, and more for a login that many start; `GET /proof` already requires it."""
    world = proven(make_world)
    early = prove(world)
    budget = getattr(world.service.budgets, name)
    budget._full_hour = world.clock.time // HOUR
    assert factor_of(start(world, early)) == 8
    assert start(world, prove(world)).status_code == 201
    crowd(world, 30)
    assert factor_of(start(world, prove(world))) == 16
    assert start(world, prove(world, 16)).status_code == 201
    # The challenge that the page fetches has what it requests, not eight times as much.
    challenge = world.call("GET", f"/proof?login={LOGIN}&factor=16").json_body
    assert challenge["parameters"]["data"]["factor"] == 16
    LoginItem(LOGIN).update([LoginItem.starts.set([])])
    world.clock.time += HOUR
    assert start(world, prove(world)).status_code == 201
    assert world.call("GET", "/proof").json_body["parameters"]["data"]["factor"] == 1


@pytest.mark.parametrize("factor", ["0", "-1", "4097", "1.5", "x", "", "２", "10000000000", "1_0"])
def test_a_factor_is_a_number_in_bounds(world: World, factor: str) -> None:
    """Everything else is a wrong input."""
    answer = world.call("GET", f"/proof?factor={factor}")
    assert (answer.status_code, answer.json_body["code"]) == (422, "invalid-input")
    assert answer.json_body["field"] == "factor"


def test_an_item_without_the_map_of_starts_gets_it(world: World) -> None:
    """Two calls more, once; enrolment creates it for others."""
    LoginItem(LOGIN).update([LoginItem.starts_by.remove()])
    world.token(f"{LOGIN}_cw")
    for cost, openid in ((3, "o-alice"), (1, "o-bob")):
        with store_calls() as calls:
            assert world.start(openid=openid).status_code == 201
        assert calls == ["UpdateItem"] * cost
    assert [len(times) for times in times_by(world.login_item().starts_by).values()] == [1, 1]


def test_an_unknown_login_stays_unknown(world: World) -> None:
    """No item is created for it."""
    assert world.start("99999999").status_code == 404
    with pytest.raises(LoginItem.DoesNotExist):
        world.login_item("99999999")


def test_what_a_login_keeps_of_its_starts_is_bounded(make_world: MakeWorld) -> None:
    """Requesters of the last hour, 160 starts, and every proof that is still valid."""
    world = proven(make_world)
    for number in range(24):
        assert start(world, prove(world, 64), f"o-{number}").status_code == 201
    assert len(times_by(world.login_item().starts_by)) == 24
    world.clock.time += HOUR
    assert start(world, prove(world), "o-late").status_code == 201
    assert len(times_by(world.login_item().starts_by)) == 5
    assert start(world, prove(world), "o-later").status_code == 201
    kept = times_by(world.login_item().starts_by)
    assert len(kept) == 6
    crowd(world, 160)
    assert start(world, prove(world, 64), "o-last").status_code == 201
    assert len(world.login_item().starts) == 101


def test_a_proof_stays_marked_while_it_is_valid(make_world: MakeWorld) -> None:
    """However many starts a login has meanwhile."""
    world = proven(make_world)
    first = prove(world, 64)
    assert start(world, first, "o-mallory").status_code == 201
    strangers = [f"{number:032x}" for number in range(300)]
    item = world.login_item()
    now = world.clock.time
    LoginItem(LOGIN).update(
        [
            LoginItem.starts.set([now] * 301),
            LoginItem.proofs.set([*strangers, *item.proofs]),
        ]
    )
    assert start(world, prove(world, 64), "o-alice").status_code == 201
    assert factor_of(start(world, first, "o-mallory")) is None
    world.clock.time += LIFETIME
    assert factor_of(start(world, first, "o-mallory")) is None
    assert start(world, prove(world, 64), "o-bob").status_code == 201
    assert len(world.login_item().proofs) == 303 - 60


def test_a_requester_starts_twenty_logins_a_day(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Existing or not; an alarm is raised at the tenth, and the same login counts once."""
    statuses = [world.start(f"{11010148 + number}").status_code for number in range(10)]
    assert statuses == [201] + [404] * 9
    assert [record.__dict__.get("alarm") for record in caplog.records].count(
        "requester-logins"
    ) == 1
    assert {world.start().status_code for _ in range(5)} == {201}
    statuses = [world.start(f"{11010248 + number}").status_code for number in range(11)]
    assert statuses == [404] * 10 + [429]
    assert world.start().status_code == 201
    assert world.start("11010148_cw", "o-bob").status_code == 201
    refused = world.start("11010148_cw")
    assert refused.headers["Retry-After"] == str(DAY)
    world.clock.time += DAY
    assert world.start("11010148_cw").status_code == 201
    assert [record.__dict__.get("alarm") for record in caplog.records].count(
        "requester-logins"
    ) == 1


def test_an_address_starts_sixty_times_an_hour(world: World) -> None:
    """Outside WeChat; whoever has an openid counts by it and not by the address."""
    for number in range(60):
        login = f"{11010148 + number % 3}"
        assert world.start(login, None).status_code in (201, 404)
    assert world.start(openid=None).status_code == 429
    assert world.start(openid="o-alice").status_code == 201
    world.clock.time += HOUR
    assert world.start(openid=None).status_code == 201


def test_the_limiter_forgets_the_requester_unseen_for_longest(world: World) -> None:
    """Ten thousand are kept."""
    limiter, now = world.service.start_limiter, world.clock.time
    requesters = world.service.requesters
    first = requesters.identify(None, "192.0.2.1")
    for _ in range(60):
        limiter.count(first, LOGIN, now)
    with pytest.raises(TooManyRequests):
        limiter.count(first, LOGIN, now)
    for number in range(10_000):
        limiter.count(requesters.identify(f"o-{number}", ""), LOGIN, now)
    limiter.count(first, LOGIN, now)
    assert len(limiter._seen) == 10_000


def test_a_login_that_is_frozen_meanwhile_is_not_started(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two writes of its first start."""
    LoginItem(LOGIN).update([LoginItem.starts_by.remove()])
    create = logins._create_starts_by

    def overtaken(login: str) -> None:
        create(login)
        LoginItem(login).update([LoginItem.frozen_at.set(world.clock.time)])

    monkeypatch.setattr(logins, "_create_starts_by", overtaken)
    answer = world.start()
    assert (answer.status_code, answer.json_body["code"]) == (403, "frozen")
    assert times_by(world.login_item().starts_by) == {}


def test_starts_that_cannot_be_dropped_stay_until_a_later_one(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start itself is counted and succeeds."""
    world = proven(make_world)
    crowd(world, 160)

    def fail(*_: object) -> None:
        raise Unavailable("store")

    with monkeypatch.context() as broken:
        broken.setattr(logins, "update", fail)
        assert start(world, prove(world, 64)).status_code == 201
    assert len(world.login_item().starts) == 161
    assert start(world, prove(world, 64), "o-last").status_code == 201
    assert len(world.login_item().starts) == 102
