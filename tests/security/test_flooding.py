"""Attacks 16 to 22: flooding people with codes, and the service with logins."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

import pytest

from chalicelib.domain import logins
from chalicelib.domain.limits import DAY, HOUR, Limits
from chalicelib.handlers import recovery
from chalicelib.handlers.http import cookies, payloads
from chalicelib.services.credential_check import CredentialCheck
from chalicelib.services.rate_limits import StartLimiter
from chalicelib.store import accounts, code_updates, send_updates
from chalicelib.store import logins as login_store
from chalicelib.store.dynamo import within_limits
from chalicelib.store.sends import Sends
from infra.deploy import package
from tests.conftest import PASSWORD, PHONE, MakeWorld, World, add_firm
from tests.security.actions import DETAILS, InterruptingHasher, draw, guess, version
from tests.security.mutation import SourceMutation, Together, Value, attack
from tests.security.mutations import ONE_BUCKET, SAME_LOGIN
from tests.support.callbacks import send_message

# Chalice's own test client lets every signature pass; the test of the local stack checks them.
pytestmark = pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")

OPENING = "Opening-password-1"
NEW_PHONE = "+8613900005678"
START = {"user_type": "firm", "login": "11010148"}


def may_log_in(world: World, password: str = OPENING) -> bool:
    """Return whether the login page accepts the password."""
    question = {"login": "11010148", "password": password}
    answer = world.call("POST", "/credentials/verify", question)
    return answer.status_code == 200 and bool(answer.json_body["valid"])


@attack(
    16,
    SourceMutation(
        payloads.json_object,
        'if unknown:\n        raise InvalidInput(unknown[0][:MAXIMUM_TEXT], INPUT_REASONS["unknown"])',
    ),
    SourceMutation(
        cookies._read,
        'service.signer.verify(f"{name}-cookie", text)',
        "text",
    ),
)
def test_a_request_cannot_set_the_destination_of_a_code(world: World) -> None:
    """In a body it is refused; in a query, a header or a forged cookie it is ignored."""
    token = world.token()
    for field in ("phone", "openid", "destination", "to", "method"):
        added = {field: NEW_PHONE}
        assert world.call("POST", "/recovery", {**START, **added}).status_code == 422
        assert world.call("POST", "/recovery/code", added, token=token).status_code == 422
    forged = {"Cookie": "__Host-wechat=o-mallory", "X-Openid": "o-mallory"}
    started = world.call("POST", "/recovery?openid=o-mallory", START, headers=forged)
    assert started.json_body["method"] == "follow"
    query = f"/recovery/code?phone={NEW_PHONE[1:]}"
    assert world.call("POST", query, {}, token=token).status_code == 202
    assert [sms.to for sms in world.phones.sent] == [PHONE]


CODE_STAYS = SourceMutation(accounts.without_code, "*END_CODE, ")


def _rebind(world: World) -> None:
    world.service.desk.support.change_phone(
        "11010148", NEW_PHONE, actor="an operator", reason="the firm moved"
    )


@attack(
    17,
    Together(CODE_STAYS, SAME_LOGIN),
    SourceMutation(code_updates.check_login, "login_unchanged(method)", "LoginItem.login.exists()"),
)
def test_a_new_phone_ends_the_code_of_the_old_one(world: World) -> None:
    """The old phone's code sets nothing, and its recovery sends no other."""
    draw(world, "100001")
    token = world.token()
    world.send(token)
    _rebind(world)
    guess(world, token, "100001")
    assert version() == 1
    world.clock.time += 61
    assert world.send(token).status_code == 401
    again = world.token()
    assert world.send(again).json_body["destination"] == "139****5678"
    codes = [sms.to for sms in world.phones.sent if sms.template == "code"]
    assert codes == [PHONE, NEW_PHONE]
    assert guess(world, again, world.phones.codes[-1]) == "right"


@attack(17, Together(CODE_STAYS, SAME_LOGIN))
def test_a_new_phone_ends_a_code_that_was_just_compared(world: World) -> None:
    """The phone changes between comparison and write."""
    InterruptingHasher(world, lambda: _rebind(world))
    draw(world, "100001")
    token = world.token()
    world.send(token)
    guess(world, token, "100001")
    assert world.login_item().phone == NEW_PHONE
    assert version() == 1


@attack(
    18,
    SourceMutation(
        code_updates.count_send,
        "within_limits(DestinationItem.sends, limits.sends_per_destination, now_param),",
    ),
    ONE_BUCKET,
)
def test_fifty_parallel_requests_send_a_phone_one_code(real_world: World) -> None:
    """For two logins with the same phone."""
    tokens = [real_world.token(), real_world.token("11010148_cw")] * 25
    with ThreadPoolExecutor(16) as pool:
        answers = Counter(pool.map(lambda token: real_world.send(token).status_code, tokens))
    assert len(real_world.phones.sent) == 1
    assert answers[202] == 1
    assert set(answers) <= {202, 429, 503}


@attack(
    18,
    SourceMutation(Limits.sends_per_destination, "Window(self.sends_per_destination_hour, HOUR),"),
    SourceMutation(Limits.sends_per_destination, "Window(self.sends_per_destination_day, DAY),"),
    ONE_BUCKET,
)
def test_a_phone_receives_five_codes_an_hour_and_fifteen_a_day(make_world: MakeWorld) -> None:
    """For all of its logins together."""
    world = make_world(LIMIT_SENDS_PER_LOGIN_DAY="99", LIMIT_SENDS_PER_REQUESTER_DAY="99")
    add_firm(world.service.hasher)
    sent = []
    for _ in range(4):
        tokens = [world.token(), world.token("11010148_cw")]
        before = len(world.phones.sent)
        for number in range(6):
            world.send(tokens[number % 2])
            world.clock.time += 61
        sent.append(len(world.phones.sent) - before)
        world.clock.time += HOUR
    assert sent == [5, 5, 5, 0]


@attack(
    18,
    SourceMutation(
        send_updates.plan_code,
        "wait = retry_after(my_sends, limits.sends_per_login(is_address=is_address), now)",
        "wait = 0",
    ),
    SourceMutation(
        send_updates.new_code,
        "condition &= within_limits(CodeItem.sends, few_sends, now_param)",
        "pass",
    ),
)
def test_a_requester_sends_a_login_five_codes_a_day(make_world: MakeWorld) -> None:
    """An address fifteen; the codes of one requester leave those of the others."""
    world = make_world(LIMIT_SENDS_PER_DESTINATION_HOUR="99", LIMIT_SENDS_PER_DESTINATION_DAY="99")
    add_firm(world.service.hasher, openid="o-alice")
    send_message(world, {"MsgType": "event", "Event": "subscribe"})
    sent = {}
    for visitor, tried in (("o-mallory", 7), (None, 17), ("o-alice", 2)):
        token = world.token(openid=visitor)
        statuses = []
        for _ in range(tried):
            statuses.append(world.send(token).status_code)
            world.clock.time += 60
        assert statuses == sorted(statuses)
        sent[visitor] = statuses.count(202)
    assert sent == {"o-mallory": 5, None: 15, "o-alice": 2}


@attack(
    20,
    SourceMutation(
        send_updates.plan_requester,
        'raise TooManyRequests(max(1, oldest + DAY - now), "requester-logins")',
        "pass",
    ),
    SourceMutation(
        Sends.reserve, "if plans.requester and plans.requester.has_reached_half:", "if False:"
    ),
    SourceMutation(
        send_updates.count_by_requester,
        "condition &= within_limits(RequesterItem.sends, few, now_param)",
        "pass",
    ),
)
def test_a_requester_sends_codes_for_a_few_logins_a_day(
    make_world: MakeWorld, caplog: pytest.LogCaptureFixture
) -> None:
    """At half of them an alarm is raised; beyond the limit, those it has had a code for pass."""
    world = make_world(LIMIT_LOGINS_PER_REQUESTER_DAY="6", LIMIT_STARTS_PER_ADDRESS_HOUR="99")
    logins = [f"{30_000_000 + number}" for number in range(8)]
    for number, login in enumerate(logins):
        add_firm(world.service.hasher, login, phone=f"+8613900{number:06d}")
    statuses, alarms = [], []
    for login in logins:
        # Another instance, which has counted no start of this requester.
        world.service.__dict__.pop("start_limiter", None)
        statuses.append(world.send(world.token(login)).status_code)
        alarms.append(sum("alarm" in record.__dict__ for record in caplog.records))
    assert statuses == [202] * 6 + [429] * 2
    assert alarms == [0, 0, *[1] * 6]
    world.clock.time += 60
    assert world.send(world.token(logins[0])).status_code == 202
    assert world.send(world.token(logins[-1], "o-bob")).status_code == 202
    world.clock.time += DAY - 60
    assert world.send(world.token(logins[-1])).status_code == 202


SPELLINGS = (
    "11010148_cw",
    "１１０１０１４８＿ｃｗ",
    " 1101 0148 _CW",
    "1101\u200b0148_Cw",
    "①1010148_cw",
)


@attack(
    19,
    SourceMutation(logins.fold, 'unicodedata.normalize("NFKC", text)', "text"),
    SourceMutation(logins.parse_login, ".lower()"),
    SourceMutation(CredentialCheck.verify, "str(parse_login(login_text))", "login_text"),
)
def test_all_spellings_of_a_login_share_its_limits(make_world: MakeWorld) -> None:
    """Starts, codes and passwords are counted by the normalized login."""
    world = make_world(LIMIT_STARTS_PER_REQUESTER_LOGIN_HOUR=f"{len(SPELLINGS)}")
    add_firm(world.service.hasher)
    answers = [world.start(spelling) for spelling in SPELLINGS]
    assert [answer.status_code for answer in answers] == [201] * len(SPELLINGS)
    assert {answer.json_body["login"] for answer in answers} == {"11010148_cw"}
    assert {world.start(spelling).status_code for spelling in SPELLINGS} == {429}
    sends = [world.send(answer.json_body["token"]).status_code for answer in answers]
    assert sends == [202, *[429] * (len(SPELLINGS) - 1)]
    statuses = []
    for spelling in (*SPELLINGS, "11010148_cw"):
        question = {"login": spelling, "password": "Wrong-horse-1"}
        statuses.append(world.call("POST", "/credentials/verify", question).status_code)
    assert statuses == [200] * 5 + [429]


COUNTED = SourceMutation(
    recovery.start, "service.start_limiter.count(requester, login, service.clock())"
)


@attack(20, COUNTED)
def test_an_enumeration_of_logins_ends_at_the_address_s_limit(make_world: MakeWorld) -> None:
    """Existing and unknown logins count alike, and after the limit both are refused."""
    world = make_world(LIMIT_STARTS_PER_ADDRESS_HOUR="10")
    add_firm(world.service.hasher)
    swept = [world.start(f"{11010139 + number}", None).status_code for number in range(40)]
    assert swept == [404] * 9 + [201] + [429] * 30
    assert "Retry-After" in world.start(openid=None).headers
    world.clock.time += HOUR
    assert world.start(openid=None).status_code == 201


@attack(
    20,
    COUNTED,
    SourceMutation(StartLimiter._count, "if login not in seen.logins:", "if False:"),
    SourceMutation(StartLimiter._count, "at <= now - DAY", "at <= now - 60"),
)
def test_one_wechat_sweeps_twenty_logins_a_day(world: World) -> None:
    """However slowly; at half of them an alarm is raised."""
    swept = []
    for number in range(1_000):
        swept.append(world.start(f"{11010139 + number}", "o-mallory").status_code)
        world.clock.time += 80
    # Counted by runs: the difference of two long lists takes pytest minutes where it is not cut short.
    runs = [(status, len(list(run))) for status, run in groupby(swept)]
    assert runs == [(404, 9), (201, 1), (404, 10), (429, 980)]


@attack(20, Value(package, "TEMPLATES", package.TEMPLATES[:1]))
def test_the_firewall_limits_the_requests_of_an_address() -> None:
    """Over all instances, by the source address, which no header replaces."""
    firewall = package.additions()["Resources"].get("Firewall")
    assert firewall, "no firewall"
    limits = [rule["Statement"]["RateBasedStatement"] for rule in firewall["Properties"]["Rules"]]
    assert {limit["AggregateKeyType"] for limit in limits} == {"IP"}
    assert min(limit["Limit"] for limit in limits) <= 60


@attack(
    21,
    COUNTED,
    SourceMutation(
        payloads.address,
        'identity.get("sourceIp", "")',
        'request.headers.get("x-forwarded-for", identity.get("sourceIp", ""))',
    ),
)
def test_no_header_replaces_the_source_address(make_world: MakeWorld) -> None:
    """Each of the headers of proxies, with a new address each time."""
    world = make_world(LIMIT_STARTS_PER_ADDRESS_HOUR="3")
    add_firm(world.service.hasher)
    names = ("X-Forwarded-For", "x-real-ip", "Forwarded")
    for name in names:
        statuses = [
            world.call("POST", "/recovery", START, headers={name: f"203.0.113.{n}"}).status_code
            for n in range(4)
        ]
        assert statuses == [201, 201, 201, 429]
        world.clock.time += HOUR


ENDS_BY_TIME = SourceMutation(within_limits, " | (oldest <= now - window.seconds)")
APART = SourceMutation(
    login_store._count_password,
    "within_limits(LoginItem.failures, windows, now_param)",
    "within_limits(LoginItem.starts, windows, now_param)",
)
SMALL = {
    "LIMIT_STARTS_PER_REQUESTER_LOGIN_HOUR": "8",
    "LIMIT_WRONG_CODES_PER_LOGIN_DAY": "2",
    "LIMIT_WRONG_DETAILS_PER_LOGIN_DAY": "2",
}


@attack(22, ENDS_BY_TIME, APART)
def test_an_exhausted_limit_expires_and_does_not_lock_the_login_page(make_world: MakeWorld) -> None:
    """Starts, codes and attempts are exhausted; the owner logs in, and recovers at Retry-After."""
    world = make_world(**SMALL)
    add_firm(world.service.hasher)
    draw(world)
    mallory = world.token(openid="o-mallory")
    world.send(mallory)
    assert [guess(world, mallory) for _ in range(3)] == ["code-wrong"] * 2 + ["too-many-attempts"]
    while (start := world.start()).status_code == 201:
        pass
    assert start.json_body["code"] == "too-many-requests"
    assert may_log_in(world)
    world.clock.time += int(start.headers["Retry-After"]) - 1
    assert world.start().status_code == 429
    world.clock.time += 1
    refused = world.send(world.token())
    assert refused.json_body["code"] == "too-many-attempts"
    assert may_log_in(world)
    world.clock.time += int(refused.headers["Retry-After"]) - 1
    alice = world.token()
    assert world.send(alice).status_code == 429
    world.clock.time += 1
    assert world.send(alice).status_code == 202
    assert guess(world, alice, world.phones.codes[-1]) == "right"
    assert may_log_in(world, PASSWORD)


@attack(22, ENDS_BY_TIME)
def test_exhausted_attempts_at_the_details_expire(make_world: MakeWorld) -> None:
    """Guesses at the details do not lock the login page, nor a later unbinding."""
    world = make_world(**SMALL)
    add_firm(world.service.hasher, openid="o-alice")
    wrong = {**DETAILS, "head_name": "某人"}
    token = world.token(openid="o-mallory")
    for status in (403, 403, 429):
        refused = world.call("POST", "/recovery/unbinding", wrong, token=token)
        assert refused.status_code == status
    assert may_log_in(world)
    world.clock.time += int(refused.headers["Retry-After"])
    token = world.token(openid="o-mallory")
    assert world.call("POST", "/recovery/unbinding", DETAILS, token=token).status_code == 200


@attack(22, SourceMutation(code_updates.change_login, "LoginItem.failures.remove(),"))
def test_a_recovery_ends_a_lock_by_wrong_passwords(world: World) -> None:
    """An attacker's wrong passwords lock the login until its owner recovers it."""
    for _ in range(6):
        may_log_in(world, "Wrong-horse-1")
    assert not may_log_in(world)
    token = world.token()
    world.send(token)
    assert guess(world, token, world.phones.codes[0]) == "right"
    assert may_log_in(world, PASSWORD)
