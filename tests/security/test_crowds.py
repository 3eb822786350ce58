"""Attacks 66 and 70: crowds of starts and of unbindings leave others their own."""

from __future__ import annotations

import base64
import itertools
import json

import altcha
import pytest

from chalicelib.domain.errors import ProofInvalid, TooManyRequests
from chalicelib.domain.limits import HOUR, Limits
from chalicelib.security import proof_of_work
from chalicelib.security.proof_of_work import Proofs
from chalicelib.services.notifications import Notifications
from chalicelib.services.proof_check import ProofCheck
from chalicelib.services.rate_limits import StartLimiter
from chalicelib.services.service_budgets import ServiceBudgets
from chalicelib.services.unbinding import Unbinding
from chalicelib.store import bindings, logins
from chalicelib.store.bindings import Bindings
from chalicelib.store.logins import Logins, StartProof
from chalicelib.store.models import LoginItem
from tests.conftest import SETTINGS, MakeWorld, World, add_firm
from tests.security.actions import DETAILS, draw, guess
from tests.security.mutation import SourceMutation, attack

MAIN = "11010148"


@pytest.fixture(autouse=True)
def _little_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """The factors count here, not the computing."""
    monkeypatch.setattr(proof_of_work, "COUNTERS", range(4))


def proven(make_world: MakeWorld) -> World:
    """A world that requires proofs of work, which cost nothing to compute."""
    world = make_world(PROOF_OF_WORK="1")
    add_firm(world.service.hasher)
    world.service.proofs = Proofs([SETTINGS["SIGNING_KEYS"].encode()], world.clock, cost=1)
    return world


def start(world: World, openid: str, factor: int, login: str = MAIN) -> tuple[str, int]:
    """Begin a recovery with so much work; return its token or "", and the work it requires."""
    challenge = world.call("GET", f"/proof?login={login}&factor={factor}").json_body
    found = altcha.solve_challenge(altcha.Challenge.from_dict(challenge))
    assert found is not None
    solution = {"counter": found.counter, "derivedKey": found.derived_key}
    proof = base64.b64encode(
        json.dumps({"challenge": challenge, "solution": solution}).encode()
    ).decode()
    body = {"user_type": "firm", "login": login, "proof": proof}
    answer = world.call("POST", "/recovery", body, openid=openid)
    if answer.status_code == 201:
        return str(answer.json_body["token"]), factor
    return "", int(answer.json_body.get("factor", 0))


@attack(
    66,
    SourceMutation(logins._count_start, "if doublings < DOUBLINGS:", "if True:"),
    SourceMutation(logins._count_start, "within_limits(own, windows, now_param)", "own.exists()"),
    SourceMutation(logins._count_start, "if doublings is not None:", "if False:"),
    SourceMutation(
        logins._starts_limit,
        "limits.starts_per_login_hour + STARTS_PER_DOUBLING * doublings",
        "10_000",
    ),
    SourceMutation(Logins._refusal, "growth * proof.base", "None"),
)
def test_starts_of_strangers_refuse_no_owner(make_world: MakeWorld) -> None:
    """A crowd works ever harder, ten starts each; the owner works once and recovers."""
    world = proven(make_world)
    draw(world)
    factor, paid, proofs = 1, 0, itertools.count()

    def begins(stranger: str, growth: int) -> int:
        """Start with so much work; return the work that a refused start requires, 0 for a limit."""
        requester = world.service.requesters.identify(stranger, "")
        proof = StartProof(f"{next(proofs)}", growth)
        try:
            world.service.logins.start(MAIN, proof, requester, world.clock.time)
        except ProofInvalid as error:
            return error.factor or 0
        except TooManyRequests:
            return 0
        return growth

    for stranger in (f"o-{number}" for number in range(11)):
        for _ in range(10):
            required = begins(stranger, factor)
            if required != factor:
                factor = required
                assert begins(stranger, factor) == factor
            paid += factor
        assert begins(stranger, 64) == 0
    # Thirty of 1, then ten of each doubling, the last thirty of 64.
    assert paid == 30 + 10 * (2 + 4 + 8 + 16 + 32) + 30 * 64
    assert start(world, "o-owner", 1) == ("", 64)
    token, _ = start(world, "o-owner", 64)
    assert world.send(token).status_code == 202
    assert guess(world, token, world.phones.codes[-1]) == "right"


@attack(
    66,
    SourceMutation(ServiceBudgets.proof_factor, "self._full_factor if", "1 if"),
    SourceMutation(ProofCheck.verify, "proof.factor // base", "proof.factor"),
)
def test_a_full_budget_makes_starts_harder_and_refuses_none(make_world: MakeWorld) -> None:
    """Whichever it is; the work of a login under attack grows from there."""
    world = proven(make_world)
    for name in ("sends", "wrong_codes", "unbindings"):
        getattr(world.service.budgets, name)._full_hour = world.clock.time // HOUR
        challenge = world.call("GET", f"/proof?login={MAIN}").json_body
        assert challenge["parameters"]["data"]["factor"] == 8
        assert start(world, f"o-{name}", 8)[0]
        LoginItem(MAIN).update([LoginItem.starts.set([world.clock.time] * 30)])
        assert start(world, f"o-{name}", 8) == ("", 16)
        assert start(world, f"o-{name}", 16)[0]
        world.clock.time += HOUR
        assert start(world, f"o-{name}", 1)[0]


@attack(66, SourceMutation(ProofCheck.verify, "proof.factor < base", "False"))
def test_work_done_before_a_budget_was_full_is_not_enough(make_world: MakeWorld) -> None:
    """Challenges fetched in advance are worth what they were made for."""
    world = proven(make_world)
    challenge = world.call("GET", f"/proof?login={MAIN}").json_body
    found = altcha.solve_challenge(altcha.Challenge.from_dict(challenge))
    assert found is not None
    solution = {"counter": found.counter, "derivedKey": found.derived_key}
    payload = json.dumps({"challenge": challenge, "solution": solution}).encode()
    world.service.budgets.sends._full_hour = world.clock.time // HOUR
    body = {"user_type": "firm", "login": MAIN, "proof": base64.b64encode(payload).decode()}
    answer = world.call("POST", "/recovery", body, openid="o-mallory")
    assert (answer.status_code, answer.json_body.get("factor")) == (400, 8)


# 70


def add_bound(world: World, number: int) -> str:
    """Enrol a firm whose logins are bound to a WeChat; return its number."""
    firm_no = f"{20_000_000 + number}"
    add_firm(world.service.hasher, firm_no, openid=f"o-owner-{number}")
    return firm_no


def unbind(world: World, firm_no: str, openid: str, **wrong: str) -> int:
    """Begin a recovery of the firm's login and enter its public details; return the status."""
    answer = world.start(firm_no, openid)
    if answer.status_code != 201:
        return answer.status_code
    details = {**DETAILS, "firm_no": firm_no, **wrong}
    token = str(answer.json_body["token"])
    return world.call("POST", "/recovery/unbinding", details, token=token).status_code


@attack(
    70,
    SourceMutation(
        Bindings.unbind,
        "within_limits(UnbinderItem.unbindings, by_requester, now)",
        "UnbinderItem.login.exists() | UnbinderItem.login.does_not_exist()",
    ),
    SourceMutation(Limits.unbindings_per_requester, "self.logins_per_requester_day", "99"),
)
def test_one_requester_unbinds_twenty_logins_a_day(world: World) -> None:
    """Also where each of its starts reaches another instance."""
    statuses = []
    for number in range(24):
        world.service.start_limiter = StartLimiter(world.service.settings.limits)
        statuses.append(unbind(world, add_bound(world, number), "o-mallory"))
    assert statuses == [200] * 20 + [429] * 4


@attack(
    70,
    SourceMutation(Unbinding._count_for_service, "self._budgets.unbindings.add(now)", "pass"),
    SourceMutation(Unbinding.unbind, "self._budgets.unbindings.is_full(now)", "False"),
    SourceMutation(bindings._is_fresh, "none_today | (UnbinderItem.login == login)", "no_wrong"),
    SourceMutation(bindings._is_fresh, " | (UnbinderItem.login == login)"),
    SourceMutation(
        Bindings.record_wrong, "UnbinderItem.wrong_at.set(now)", "UnbinderItem.login.set('')"
    ),
    SourceMutation(Unbinding.unbind, "self._budgets.unbindings.is_exhausted(now)", "False"),
)
def test_mass_unbinding_alarms_and_stops(
    make_world: MakeWorld, caplog: pytest.LogCaptureFixture
) -> None:
    """Full, the budget passes fresh requesters alone; at ten times of it nobody unbinds."""
    world = make_world(LIMIT_UNBINDINGS_PER_SERVICE_HOUR="2")
    for number in range(3):
        assert unbind(world, add_bound(world, number), "o-mallory") == 200
    alarms = {record.__dict__.get("alarm") for record in caplog.records}
    assert {"budget-unbindings-half", "budget-unbindings"} <= alarms
    assert unbind(world, add_bound(world, 5), "o-mallory") == 429
    erring = add_bound(world, 6)
    assert unbind(world, erring, "o-trent", head_name="张三") == 403
    assert unbind(world, erring, "o-trent") == 429
    again = add_bound(world, 7)
    for _ in range(2):
        assert unbind(world, again, "o-owner-7") == 200
        LoginItem(again).update([LoginItem.openid.set("o-owner-7")])
    for number in range(8, 8 + 16):
        assert unbind(world, add_bound(world, number), f"o-owner-{number}") == 200
    assert unbind(world, add_bound(world, 50), "o-owner-50") == 429
    assert "budget-unbindings-hard" in {r.__dict__.get("alarm") for r in caplog.records}
    world.clock.time += HOUR
    assert unbind(world, add_bound(world, 51), "o-owner-50") == 200


@attack(
    70,
    SourceMutation(Limits.unbindings_per_login, "self.unbindings_per_login_day", "99"),
    SourceMutation(Bindings.unbind, "prepend(CodeItem.unbindings, now),"),
)
def test_right_details_count_as_well(world: World) -> None:
    """A login is unbound three times a day, by however many requesters."""
    firm_no = add_bound(world, 1)
    for number in range(3):
        assert unbind(world, firm_no, f"o-{number}") == 200
        LoginItem(firm_no).update([LoginItem.openid.set("o-owner")])
    assert unbind(world, firm_no, "o-3") == 429


@attack(
    70,
    SourceMutation(Notifications._count, "self._budgets.sends.add(now)", "pass"),
    SourceMutation(Notifications._within_budget, "self._budgets.sends.is_exhausted(now)", "False"),
)
def test_notices_count_as_sends(make_world: MakeWorld, caplog: pytest.LogCaptureFixture) -> None:
    """They fill the budget of sends, which refuses none of them; its hard limit ends them."""
    world = make_world(LIMIT_SENDS_PER_SERVICE_HOUR="2", LIMIT_SENDS_HARD_FACTOR="3")
    for number in range(10):
        assert unbind(world, add_bound(world, number), f"o-{number}") == 200
    alarms = {record.__dict__.get("alarm") for record in caplog.records}
    assert {"budget-sends", "budget-sends-hard"} <= alarms
    assert len(world.phones.sent) == 7
