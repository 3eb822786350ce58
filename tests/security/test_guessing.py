"""Attacks 1 to 6: guessing a code. All attempts are counted together."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app import app
from chalicelib.domain import codes as one_time
from chalicelib.services.code_verifier import CodeVerifier
from chalicelib.services.recovery import Recovery
from chalicelib.store import code_updates, send_updates
from chalicelib.store.budgets import Budget
from chalicelib.store.codes import Codes
from chalicelib.store.models import LoginItem
from infra.deploy import monitoring
from tests.conftest import PASSWORD, MakeWorld, World, add_firm
from tests.security.actions import WRONG, draw, guess, tries, version
from tests.security.mutation import SourceMutation, Together, Value, attack
from tests.security.mutations import NO_NEW_CODE, TRIES_OF_A_CODE
from tests.support.callbacks import send_message

# Chalice's own test client lets every signature pass; the test of the local stack checks them.
pytestmark = pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")

IN_A_DAY = SourceMutation(
    code_updates.count_attempt,
    "condition &= may_try(limits, is_address=is_address, is_owner=is_owner)",
    "pass",
)


@attack(
    1, TRIES_OF_A_CODE, SourceMutation(code_updates.count_attempt, "_tries.set((_tries | 0) + 1),")
)
def test_two_hundred_parallel_guesses_compare_five(real_world: World) -> None:
    """Five guesses of one requester are compared and the others refused."""
    draw(real_world, "100001")
    token = real_world.token()
    real_world.send(token)
    with ThreadPoolExecutor(32) as pool:
        answers = Counter(pool.map(lambda n: guess(real_world, token, f"2{n:05d}"), range(200)))
    assert answers == {"code-wrong": 5, "too-many-attempts": 195}
    assert guess(real_world, token, "100001") == "too-many-attempts"


@attack(2, IN_A_DAY, NO_NEW_CODE)
def test_new_codes_do_not_reset_the_daily_limit(world: World) -> None:
    """Three guesses for each code: ten guesses are compared, then no code is sent."""
    draw(world)
    token = world.token()
    answers: list[str] = []
    sent = 0
    while world.send(token).status_code == 202:
        sent += 1
        answers += [guess(world, token) for _ in range(3)]
        world.clock.time += 61
    assert Counter(answers) == {"code-wrong": 10, "too-many-attempts": 2}
    refused = world.send(token)
    assert (sent, refused.json_body["code"]) == (4, "too-many-attempts")
    assert guess(world, token, world.phones.codes[-1]) == "too-many-attempts"


@attack(3, TRIES_OF_A_CODE, NO_NEW_CODE)
def test_parallel_recoveries_share_the_limits(real_world: World) -> None:
    """Five attempts per code and ten per day for all recoveries that one requester has of a login.

    Ten recoveries an hour are the most that a requester may have.
    """
    draw(real_world)
    tokens = [real_world.token() for _ in range(10)]
    for sender in tokens[:2]:
        assert real_world.send(sender).status_code == 202
        with ThreadPoolExecutor(20) as pool:
            answers = Counter(pool.map(lambda token: guess(real_world, token), tokens * 4))
        assert answers == {"code-wrong": 5, "too-many-attempts": 35}
        real_world.clock.time += 61
    assert {real_world.send(token).status_code for token in tokens[2:4]} == {429}
    assert len(real_world.phones.sent) == 2


@attack(
    4,
    SourceMutation(
        CodeVerifier.verify, "is_strict = self._budget.is_full(now)", "is_strict = False"
    ),
    SourceMutation(CodeVerifier._wrong, "self._budget.add(now)", "pass"),
    SourceMutation(Codes.count_wrong, "(Window(1, DAY),) if is_strict else windows", "windows"),
    SourceMutation(Budget.add, "if count >= self._limit / 2 > count - events:", "if False:"),
)
def test_guesses_on_many_logins_raise_an_alarm_and_are_stopped(
    make_world: MakeWorld, caplog: pytest.LogCaptureFixture
) -> None:
    """The service's budget raises an alarm at half; full, it refuses whoever had a wrong code.

    One guess per login is within each login's own limits.
    """
    budget, logins = 4, [f"{30_000_000 + n}" for n in range(9)]
    world = make_world(
        LIMIT_WRONG_CODES_PER_SERVICE_HOUR=f"{budget}", LIMIT_STARTS_PER_ADDRESS_HOUR="1000"
    )
    draw(world)
    _add(logins)
    tokens = []
    for login in logins:
        tokens.append(world.token(login, "o-mallory"))
        assert world.send(tokens[-1]).status_code == 202

    answers = [guess(world, token) for token in tokens[:budget]]
    assert answers == ["code-wrong"] * budget
    alarms = [record.__dict__["alarm"] for record in caplog.records if "alarm" in record.__dict__]
    assert alarms == ["budget-wrong-codes-half"]
    # The next one shows that the budget is used up.
    answers = [guess(world, token) for token in tokens[budget:]]
    assert answers == ["code-wrong"] + ["too-many-requests"] * (len(logins) - budget - 1)
    # Her right code is not compared either.
    refused = world.confirm(tokens[-1], world.phones.codes[-1])
    assert (refused.status_code, version(logins[-1])) == (429, 1)
    assert 0 < int(refused.headers["Retry-After"]) <= 3_600
    # Other visitors pass: one wrong code each, and the right one at once.
    other = world.token(logins[-1], "o-bob")
    assert guess(world, other, world.phones.codes[-1]) == "right"
    others = [guess(world, world.token(login, f"o-{login}")) for login in logins[:2]]
    assert others == ["code-wrong"] * 2


@attack(
    4,
    SourceMutation(
        Codes.count_wrong,
        "self._add_wrong(transaction, login, requester, now, allowed)",
        "self._add_wrong(transaction, login, requester, now)",
    ),
    SourceMutation(
        CodeVerifier.verify, "if is_strict or not attempt.is_first_of_sender:", "if is_strict:"
    ),
    SourceMutation(
        CodeVerifier._wrong, "self._codes.record_wrong(login, attempt.requester, now)", "pass"
    ),
    Together(
        SourceMutation(
            send_updates._may_send,
            "may: Condition = within_limits(RequesterItem.wrongs, wrongs, now_param)\n"
            "    may &= within_limits(RequesterItem.sends, sends, now_param)",
            "may = within_limits(RequesterItem.sends, sends, now_param)",
        ),
    ),
)
def test_a_requester_has_twenty_wrong_codes_over_all_logins(make_world: MakeWorld) -> None:
    """No further code is then sent to it, and none is compared that was sent for others."""
    most, logins = 6, [f"{30_000_000 + n}" for n in range(5)]
    world = make_world(LIMIT_WRONG_CODES_PER_REQUESTER_DAY=f"{most}")
    draw(world)
    _add(logins)
    tokens = [world.token(login, "o-mallory") for login in logins]
    others = [world.token(login, "o-bob") for login in logins]
    assert [world.send(token).status_code for token in tokens[:3]] == [202] * 3
    assert world.send(others[3]).status_code == 202
    guesses = [guess(world, token) for token in tokens[:3] for _ in range(2)]
    assert guesses == ["code-wrong"] * most
    assert guess(world, tokens[0]) == "too-many-attempts"
    assert guess(world, tokens[3], world.phones.codes[3]) == "too-many-attempts"
    refused = world.send(tokens[4])
    assert (refused.status_code, refused.json_body.get("code")) == (429, "too-many-attempts")
    assert guess(world, others[3], world.phones.codes[3]) == "right"
    world.clock.time += int(refused.headers["Retry-After"])
    again = world.token(logins[4], "o-mallory")
    assert world.send(again).status_code == 202
    assert guess(world, again, world.phones.codes[-1]) == "right"


@attack(4, Value(monitoring, "ALARMS", ()))
def test_alarms_exist_for_the_budget_of_wrong_codes() -> None:
    """One at half of the budget and one at its end."""
    words = {
        metric.dimensions.get("alarm") for alarm in monitoring.ALARMS for metric in alarm.metrics
    }
    assert {"budget-wrong-codes-half", "budget-wrong-codes"} <= words


def _add(logins: list[str]) -> None:
    with LoginItem.batch_write() as batch:
        for number, login in enumerate(logins):
            batch.save(
                LoginItem(
                    login,
                    firm_no=login,
                    phone=f"+8613900{number:06d}",
                    password_version=1,
                )
            )


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The codes that were compared with a stored one."""
    codes: list[str] = []
    matches = one_time.matches

    def record(code: str, *args: Any, **kwargs: Any) -> bool:
        codes.append(code)
        return matches(code, *args, **kwargs)

    monkeypatch.setattr(one_time, "matches", record)
    return codes


@attack(5, TRIES_OF_A_CODE)
def test_no_route_compares_a_code_uncounted(world: World, compared: list[str]) -> None:
    """Of all routes and parameters one compares a code, and counts the attempt."""
    draw(world, "100001")
    token = world.token()
    world.send(token)
    _everywhere(world, token, WRONG)
    assert compared == [WRONG]
    assert tries() == 1
    assert [guess(world, token) for _ in range(4)] == ["code-wrong"] * 4
    _everywhere(world, token, "100001")
    assert compared == [WRONG] * 5
    assert version() == 1


def _everywhere(world: World, token: str, code: str) -> None:
    bodies = (
        {"code": code, "password": PASSWORD},
        {"login": "11010148", "password": code},
        {"user_type": "firm", "login": "11010148", "proof": code},
        {"code": code},
    )
    for route, methods in app.routes.items():
        path = route.replace("{name}", code).replace("{key}", code).replace("{vendor}", "aliyun")
        for method in methods:
            for body in bodies if method == "POST" else (None,):
                world.call(method, f"{path}?code={code}&state={code}", body, token=token)
    send_message(world, {"MsgType": "text", "MsgId": 7, "Content": code})


@attack(5, SourceMutation(Recovery._repeated, "used.recovery == claims.recovery and "))
def test_a_used_code_can_be_repeated_by_its_recovery_only(
    world: World, compared: list[str]
) -> None:
    """Only the recovery that used a code may repeat it; guesses of another are not compared."""
    draw(world, "100001")
    mallory, alice = world.token(openid="o-mallory"), world.token()
    world.send(alice)
    assert guess(world, alice, "100001") == "right"
    compared.clear()
    assert {guess(world, mallory, code) for code in (WRONG, "100001")} == {"code-expired"}
    assert compared == []
    assert guess(world, alice, "100001") == "right"


@attack(
    6,
    SourceMutation(
        code_updates._uncount_wrong, "[count.remove() for count in counts]", "[_wrong_by.set([])]"
    ),
)
def test_a_success_does_not_reset_wrong_codes(world: World) -> None:
    """Neither an attacker's success with another login, nor the owner's between guesses."""
    add_firm(world.service.hasher, "22010148", phone="+8613900005678")
    draw(world, "100001", "100002", "100003", "100004")
    victim = world.token()
    world.send(victim)
    assert [guess(world, victim) for _ in range(5)] == ["code-wrong"] * 5

    own = world.token("22010148", "o-mallory")
    world.send(own)
    assert guess(world, own, "100002") == "right"
    assert guess(world, victim) == "too-many-attempts"

    world.clock.time += 61
    assert world.send(victim).status_code == 202
    assert guess(world, victim, "100003") == "right"
    send_message(world, {"MsgType": "event", "Event": "subscribe"})
    again = world.token()
    assert world.send(again).status_code == 202
    assert [guess(world, again) for _ in range(5)] == ["code-wrong"] * 5
    assert guess(world, again) == "too-many-attempts"
    world.clock.time += 61
    refused = world.send(again)
    assert refused.status_code == 429
    assert refused.json_body["code"] == "too-many-attempts"
