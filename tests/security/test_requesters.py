"""Attacks 66 to 68: limits by requester, so that nobody is refused for what others do."""

from __future__ import annotations

import re

import pytest

from chalicelib.domain import codes as one_time
from chalicelib.domain.limits import Limits
from chalicelib.services import code_sender
from chalicelib.services.code_sender import CodeSender
from chalicelib.services.code_verifier import CodeVerifier
from chalicelib.services.rate_limits import StartLimiter
from chalicelib.services.recovery import Recovery
from chalicelib.sms.gateway import Sms
from chalicelib.store import code_updates, send_updates
from chalicelib.store.budgets import Budget
from chalicelib.store.codes import Codes
from chalicelib.store.models import LoginItem
from tests.conftest import MakeWorld, World, add_firm
from tests.security.actions import WRONG, code_item, draw, guess
from tests.security.mutation import SourceMutation, Together, attack
from tests.support.callbacks import TAPPED, send_message

MAIN = "11010148"
LOGINS = [f"{30_000_000 + number}" for number in range(12)]
WAY_OF_ALL = {"LIMIT_STARTS_PER_ADDRESS_HOUR": "1000"}


def add_logins() -> None:
    for number, login in enumerate(LOGINS):
        LoginItem(login, firm_no=login, phone=f"+8613900{number:06d}", password_version=1).save()


def recovers(world: World, login: str, openid: str) -> str:
    """Start, send and confirm as a visitor who does it for the first time; return the last answer."""
    token = world.token(login, openid)
    sent = world.send(token)
    if sent.status_code != 202:
        return str(sent.json_body["code"])
    return guess(world, token, world.phones.codes[-1])


# 66


STRICT_SENDS = SourceMutation(
    CodeSender.send, "is_strict=self._budget.is_full(now)", "is_strict=False"
)


@attack(
    66,
    STRICT_SENDS,
    SourceMutation(
        send_updates.count_by_requester,
        "at_first = (Window(_few_sends(limits, is_address=is_address), DAY),)",
        "at_first = (Window(_MOST, DAY),)",
    ),
    SourceMutation(
        send_updates.plan_requester,
        "if by.is_strict and not _is_fresh(wrongs, sends.times, now):\n"
        '        raise TooManyRequests(HOUR - now % HOUR, "service-sends")',
    ),
    SourceMutation(CodeSender._count, "self._budget.add(now)", "pass"),
)
def test_a_full_budget_of_sends_refuses_only_who_sent_many(make_world: MakeWorld) -> None:
    """A visitor who burns it is refused; others start, get a code and confirm, all in that hour."""
    world = make_world(LIMIT_SENDS_PER_SERVICE_HOUR="5", **WAY_OF_ALL)
    add_logins()
    mallory = [world.token(login, "o-mallory") for login in LOGINS[:8]]
    answers = [world.send(token).status_code for token in mallory]
    assert answers == [202] * 6 + [429] * 2
    assert [recovers(world, login, f"o-{login}") for login in LOGINS[8:]] == ["right"] * 4


@pytest.mark.parametrize("limit", ["SENDS_PER_REQUESTER_DAY", "LOGINS_PER_REQUESTER_DAY"])
def test_a_full_budget_allows_no_more_than_the_requester_s_own_limits(
    make_world: MakeWorld, limit: str
) -> None:
    """A limit below three, of sends or of logins, holds while the budget is used up as well."""
    changed = {"LIMIT_SENDS_PER_SERVICE_HOUR": "1", f"LIMIT_{limit}": "2"}
    world = make_world(**{**WAY_OF_ALL, **changed})
    add_logins()
    # Starts are counted in each process, sends in all of them: these may come from several.
    world.service.start_limiter = StartLimiter(Limits())
    assert [recovers(world, login, f"o-{login}") for login in LOGINS[8:]] == ["right"] * 4
    tokens = [world.token(login, "o-mallory") for login in LOGINS[:4]]
    assert world.service.budgets.sends.is_full(world.clock.time)
    assert [world.send(token).status_code for token in tokens] == [202] * 2 + [429] * 2


@attack(
    66,
    Together(
        SourceMutation(CodeVerifier._wrong, "self._budget.add(now)", "pass"),
        SourceMutation(
            CodeVerifier.verify, "is_strict = self._budget.is_full(now)", "is_strict = False"
        ),
    ),
)
def test_a_full_budget_of_wrong_codes_refuses_only_who_guessed(make_world: MakeWorld) -> None:
    """Fresh visitors have their first attempt compared, whether it is right or not."""
    world = make_world(LIMIT_WRONG_CODES_PER_SERVICE_HOUR="3", **WAY_OF_ALL)
    draw(world)
    add_logins()
    mallory = [world.token(login, "o-mallory") for login in LOGINS[:6]]
    for token in mallory:
        world.send(token)
    answers = [guess(world, token) for token in mallory]
    assert answers == ["code-wrong"] * 4 + ["too-many-requests"] * 2
    assert [recovers(world, login, f"o-{login}") for login in LOGINS[6:]] == ["right"] * 6
    mistaken = world.token(LOGINS[0], "o-carol")
    assert guess(world, mistaken) == "code-wrong"
    assert guess(world, mistaken) == "too-many-requests"


@attack(
    66,
    SourceMutation(CodeSender.send, 'method == "sms" and self._budget.is_exhausted(now)', "False"),
    SourceMutation(Budget.add, "self._exhausted_hour = hour", "pass"),
)
def test_ten_times_the_budget_stops_every_sms(
    make_world: MakeWorld, caplog: pytest.LogCaptureFixture
) -> None:
    """It is the one stop for everybody, with an alarm; codes by WeChat cost nothing and go on."""
    world = make_world(LIMIT_SENDS_PER_SERVICE_HOUR="1", LIMIT_SENDS_HARD_FACTOR="4", **WAY_OF_ALL)
    add_logins()
    add_firm(world.service.hasher, openid="o-alice")
    send_message(world, {"MsgType": "event", "Event": "subscribe"})
    answers = [world.send(world.token(login, f"o-{login}")).status_code for login in LOGINS[:7]]
    assert answers == [202] * 5 + [429] * 2
    assert len(world.phones.codes) == 5
    assert world.send(world.token(MAIN, "o-alice")).json_body["method"] == "wechat"
    alarms = {record.__dict__.get("alarm") for record in caplog.records}
    assert "budget-sends-hard" in alarms
    world.clock.time += 3_600
    assert world.send(world.token(LOGINS[9], "o-bob")).status_code == 202


@attack(
    66, SourceMutation(code_sender.run_beside, "thread.start()", "thread.start() or thread.join()")
)
def test_the_budget_s_write_delays_no_code(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs beside the delivery, which waits for it in this test and not the other way round."""
    from threading import Event

    world = make_world(LIMIT_SENDS_PER_SERVICE_HOUR="5")
    add_firm(world.service.hasher)
    delivered, order = Event(), []
    send, add = world.phones.send, Budget.add

    def deliver(sms: Sms) -> object:
        order.append("delivered")
        delivered.set()
        return send(sms)

    def count(budget: Budget, now: int) -> None:
        # As long as it takes where the defence is removed, whose delivery waits for this.
        delivered.wait(2)
        order.append("counted")
        add(budget, now)

    monkeypatch.setattr(world.phones, "send", deliver)
    monkeypatch.setattr(Budget, "add", count)
    assert world.send(world.token()).status_code == 202
    assert order == ["delivered", "counted"]


# 67


@attack(
    67,
    SourceMutation(
        code_updates.count_attempt,
        "_tries.set((_tries | 0) + 1)",
        'CodeItem.tries["all"].set((CodeItem.tries["all"] | 0) + 1)',
        (
            (
                "_tries.does_not_exist() | (_tries < tries)",
                'CodeItem.tries["all"].does_not_exist() | (CodeItem.tries["all"] < tries)',
            ),
        ),
    ),
)
def test_strangers_do_not_end_the_owner_s_live_code(world: World) -> None:
    """Three of them use up all of their tries on it; the owner still has five."""
    draw(world, "100001")
    alice = world.token()
    assert world.send(alice).status_code == 202
    for stranger in ("o-mallory", "o-bob", None):
        token = world.token(openid=stranger)
        while (answer := guess(world, token)) == "code-wrong":
            pass
        assert answer in ("too-many-attempts", "code-expired")
    refused = world.confirm(alice, WRONG)
    assert (refused.status_code, refused.json_body.get("attempts_left")) == (400, 4)
    assert guess(world, alice, "100001") == "right"


@attack(
    67,
    SourceMutation(
        Recovery.complete,
        "owner = openid if openid == claims.bound_openid else None",
        "owner = None",
    ),
    SourceMutation(code_updates.may_try, "may if is_owner else may & ", "may & "),
    SourceMutation(
        CodeSender.send,
        'is_owner=method == "wechat" and openid == destination.address',
        "is_owner=False",
    ),
)
def test_the_bound_wechat_recovers_whatever_strangers_guessed(make_world: MakeWorld) -> None:
    """Its tries are outside of those of all others, which are used up; its codes have eight digits."""
    world = make_world(LIMIT_WRONG_CODES_PER_LOGIN_DAY="12")
    add_firm(world.service.hasher, openid="o-alice")
    send_message(world, {"MsgType": "event", "Event": "subscribe"})
    draw(world)
    assert world.send(world.token(openid="o-m0")).status_code == 202
    strangers = [world.token(openid=f"o-m{number}") for number in range(4)]
    answers = [guess(world, token) for token in strangers for _ in range(4)]
    assert answers == ["code-wrong"] * 12 + ["too-many-attempts"] * 4
    world.clock.time += 60
    refused = world.send(strangers[3])
    assert (refused.status_code, refused.json_body.get("code")) == (429, "too-many-attempts")
    alice = world.token()
    sent = world.send(alice)
    assert (sent.status_code, sent.json_body.get("delivery")) == (202, "pull")
    assert [guess(world, alice) for _ in range(4)] == ["code-wrong"] * 4
    assert len(code_item().wrongs) == 12
    (code,) = re.findall(r"验证码([0-9]{8})(?![0-9])", send_message(world, TAPPED))
    assert guess(world, alice, code) == "right"


@attack(
    67,
    SourceMutation(
        code_updates.count_attempt, 'condition &= CodeItem.destination == text("to")', "pass"
    ),
)
def test_a_former_wechat_has_no_tries_of_its_own(world: World) -> None:
    """Its recovery from before the unbinding is one of the strangers, whose tries are counted together."""
    world.login_item().update([LoginItem.openid.set("o-mallory")])
    mallory = world.token(openid="o-mallory")
    world.login_item().update([LoginItem.openid.remove()])
    draw(world, "100001")
    alice = world.token()
    assert world.send(alice).status_code == 202
    assert [guess(world, mallory) for _ in range(3)] == ["code-wrong"] * 3
    assert len(code_item().wrongs or []) == 3
    assert guess(world, alice, "100001") == "right"


@attack(67, SourceMutation(Codes.live, " or item.sender != requester.key"))
def test_the_state_says_nothing_about_the_codes_of_others(world: World) -> None:
    """Only the requester that a code was sent for sees that it is live."""
    alice, mallory, pc = (world.token(openid=visitor) for visitor in ("o-alice", "o-mallory", None))
    assert world.send(alice).status_code == 202
    states = [
        world.call("GET", "/recovery", token=token).json_body["state"]
        for token in (alice, mallory, pc)
    ]
    assert states == ["code_sent", "open", "open"]


@attack(
    67,
    SourceMutation(
        CodeVerifier.verify,
        "attempt = self._codes.consume_attempt(login, requester, openid, now)",
        "attempt = self._codes.consume_attempt(login, requester, openid, now)\n"
        "    if not isinstance(attempt, UsedCode) and not attempt.is_first_of_sender:\n"
        "        raise CodeWrong(0)",
    ),
)
def test_the_owner_uses_a_code_that_somebody_else_triggered(world: World) -> None:
    """A stranger's sends to the phone do not keep its owner from recovering."""
    draw(world, "100001")
    mallory = world.token(openid="o-mallory")
    assert world.send(mallory).status_code == 202
    alice = world.token()
    assert world.send(alice).status_code == 429
    assert guess(world, alice, world.phones.codes[0]) == "right"
    history = world.service.diagnosis.history(MAIN, 9)
    assert "code-wrong" not in [event.event for event in history]


# 68


@pytest.mark.answers_alone
@attack(
    68,
    SourceMutation(code_updates.may_try, "may if is_owner else may & ", "may if True else may & "),
)
def test_a_hundred_requesters_compare_a_hundred_guesses(world: World) -> None:
    """On one login a day, however many codes are sent."""
    draw(world)
    tokens = [world.token(openid=f"o-{number}") for number in range(25)]
    compared = 0
    for sender in tokens[:2]:
        assert world.send(sender).status_code == 202
        for token in tokens:
            compared += [guess(world, token) for _ in range(3)].count("code-wrong")
        world.clock.time += 61
    assert compared == 100
    refused = world.send(tokens[3])
    assert (refused.status_code, refused.json_body.get("code")) == (429, "too-many-attempts")
    world.clock.time += int(refused.headers["Retry-After"])
    assert world.send(world.token()).status_code == 202


@attack(
    68,
    SourceMutation(
        send_updates.new_code,
        "condition &= within_limits(CodeItem.wrongs, few_wrongs, now_param)",
        "pass",
    ),
    SourceMutation(send_updates.plan_code, "LONG_DIGITS if under_attack else DIGITS", "DIGITS"),
    SourceMutation(one_time.generate, "{randbelow(10**digits)", "{randbelow(10**DIGITS)"),
)
def test_a_login_under_attack_gets_codes_of_eight_digits(world: World) -> None:
    """From the tenth wrong code on, until they are a day old; the code works as any other."""
    drawn: list[int] = []

    def randbelow(below: int) -> int:
        drawn.append(below)
        return below - 1 - len(drawn)

    world.service.code_issuer.randbelow = randbelow
    for number in range(2):
        token = world.token(openid=f"o-{number}")
        assert world.send(token).status_code == 202
        assert [guess(world, token, "000001") for _ in range(5)] == ["code-wrong"] * 5
        world.clock.time += 61
    assert {len(code) for code in world.phones.codes} == {6}
    world.clock.time += 3_600
    alice = world.token()
    assert world.send(alice).status_code == 202
    code = world.phones.codes[-1]
    assert (len(code), code[:5]) == (8, "99999")
    assert guess(world, alice, code[:6]) == "code-wrong"
    assert guess(world, alice, code[-6:]) == "code-wrong"
    assert guess(world, alice, code) == "right"
    world.clock.time += 86_400
    send_message(world, TAPPED)
    world.login_item().update([LoginItem.openid.remove()])
    assert world.send(world.token()).status_code == 202
    assert len(world.phones.codes[-1]) == 6
