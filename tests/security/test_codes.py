"""Attacks 7 to 14: codes in another form, at another time, or for another login."""

from __future__ import annotations

import math
import secrets
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from chalicelib import container
from chalicelib.domain import codes as one_time
from chalicelib.handlers.http import payloads, problems
from chalicelib.services.code_sender import CodeSender
from chalicelib.settings import load
from chalicelib.sms.gateway import Attempt, Outcome
from chalicelib.store import code_updates
from chalicelib.store.bindings import Bindings
from chalicelib.store.codes import Codes
from chalicelib.store.ephemeral_models import CodeItem
from chalicelib.store.pending_codes import PendingCodes
from tests.conftest import PASSWORD, SETTINGS, World, add_firm, peppers
from tests.security.actions import (
    DETAILS,
    WRONG,
    InterruptingHasher,
    all_of,
    code_item,
    draw,
    guess,
    recorded,
    tries,
    version,
)
from tests.security.mutation import SourceMutation, Together, Value, attack
from tests.security.mutations import A_CODE_FOR_EACH_LOGIN, SAME_LOGIN
from tests.support.callbacks import TAPPED, send_message

OF_A_LOGIN = '("code", login, method, purpose, code)'
FORMS: Sequence[Any] = (
    None,
    True,
    271828,
    271828.0,
    ["271828"],
    {"code": "271828"},
    "",
    "２７１８２８",
    "٢٧١٨٢٨",
    "²⁷¹⁸²⁸",
    "②⑦①⑧②⑧",
    "271828\n",
    " 271828",
    "271 828",
    "271828\0",
    "\u200e271828",
    "27182８",
    "2718281",
    "27182",
    "+27182",
    "-27182",
    "0x4a4a",
    "\ud800271828",
    "2718281828"[:7],
    "271828182",
    "２７１８２８１８",
    "271828" * 1_000,
    "271828" * 1_000_000,
)


@attack(
    7,
    SourceMutation(
        payloads._text,
        'if not isinstance(value, str):\n        raise InvalidInput(name, INPUT_REASONS["text"])',
    ),
    SourceMutation(
        payloads.TextField.accepts,
        "re.fullmatch(self.pattern, value)",
        're.fullmatch(self.pattern.replace("[0-9]", r"\\d"), value)',
    ),
    SourceMutation(
        payloads.TextField.accepts,
        "re.fullmatch(self.pattern, value)",
        "re.match(self.pattern, value)",
    ),
    SourceMutation(payloads._check, "expected.accepts(value)", "expected.accepts(value.strip())"),
)
def test_a_code_must_be_six_ascii_digits(world: World) -> None:
    """The right code in any other form is refused as malformed and not counted."""
    draw(world, "271828")
    token = world.token()
    world.send(token)
    for form in FORMS:
        body = {"code": form, "password": PASSWORD}
        answer = world.call("POST", "/recovery/password", body, token=token)
        assert answer.status_code == 422, form
        assert tries() == 0, form
    assert guess(world, token, "271828") == "right"


@attack(
    8,
    Together(
        *A_CODE_FOR_EACH_LOGIN,
        SourceMutation(one_time.digest, OF_A_LOGIN, '("code", method, purpose, code)'),
    ),
)
def test_a_code_of_one_login_opens_no_other(world: World) -> None:
    """Whether the other login, which has the same phone and firm, has a code or not."""
    draw(world, "100001", "100002")
    main, finance = world.token(), world.token("11010148_cw")
    world.send(main)
    world.confirm(finance, "100001")
    assert version("11010148_cw") == 1
    world.clock.time += 61
    world.send(finance)
    world.confirm(finance, "100001")
    assert version("11010148_cw") == 1
    assert guess(world, main, "100001") == "right"


@attack(8, SourceMutation(one_time.digest, OF_A_LOGIN, '("code", method, purpose, code)'))
def test_a_stored_code_copied_to_another_login_is_wrong(world: World) -> None:
    """An attacker who can write the table gains nothing by copying a digest."""
    draw(world, "100001", "100002")
    main, finance = world.token(), world.token("11010148_cw")
    world.send(main)
    world.clock.time += 61
    world.send(finance)
    code_item("11010148_cw").update([CodeItem.digest.set(code_item().digest)])
    assert guess(world, finance, "100001") == "code-wrong"
    assert version("11010148_cw") == 1


def _unbind_with_a_code(world: World) -> tuple[str, CodeItem]:
    """Send a code to o-alice's WeChat, then undo the binding; return token and code."""
    add_firm(world.service.hasher, openid="o-alice")
    send_message(world, {"MsgType": "event", "Event": "subscribe"})
    draw(world, "100001")
    token = world.token(openid="o-mallory")
    assert world.send(token).json_body["method"] == "wechat"
    code = code_item()
    unbound = world.call("POST", "/recovery/unbinding", DETAILS, token=token)
    assert unbound.json_body["method"] == "sms"
    return token, code


@attack(
    9,
    Together(
        SourceMutation(Bindings.unbind, "*END_CODE,"),
        SourceMutation(
            code_updates.login_unchanged,
            "LoginItem.openid == destination",
            "LoginItem.login.exists()",
        ),
    ),
)
def test_an_unbinding_ends_the_code(world: World) -> None:
    """A code sent to a WeChat sets no password after the unbinding."""
    token, _ = _unbind_with_a_code(world)
    guess(world, token, "100001")
    assert version() == 1


@attack(9, SourceMutation(one_time.digest, OF_A_LOGIN, '("code", login, purpose, code)'))
def test_a_code_of_one_method_is_wrong_for_the_other(world: World) -> None:
    """Even where the stored method was changed to SMS."""
    token, code = _unbind_with_a_code(world)
    code.method = "sms"
    code.save()
    assert guess(world, token, "100001") == "code-wrong"
    assert version() == 1
    assert world.login_item().openid is None


@attack(9, SourceMutation(one_time.digest, OF_A_LOGIN, '("code", login, method, code)'))
def test_a_code_of_another_purpose_sets_no_password(world: World) -> None:
    """The purpose is part of the digest."""
    draw(world, "100001")
    token = world.token()
    world.send(token)
    ((number, pepper),) = peppers(world.service).items()
    other = one_time.digest(
        "100001",
        login="11010148",
        method="sms",
        purpose="unbinding",
        version=number,
        pepper=pepper,
    )
    code_item().update([CodeItem.digest.set(other)])
    assert guess(world, token, "100001") == "code-wrong"
    assert version() == 1


IN_USE = SourceMutation(code_updates.use_code, 'CodeItem.digest == text("digest")', "None")


@attack(
    10,
    Together(IN_USE, SAME_LOGIN),
)
def test_of_two_right_confirms_at_once_one_succeeds(real_world: World) -> None:
    """Both are compared before either is written; each has its own recovery and password."""
    draw(real_world, "100001")
    both = Barrier(2, timeout=60)
    InterruptingHasher(real_world, both.wait)
    tokens = [real_world.token(), real_world.token(openid="o-mallory")]
    real_world.send(tokens[0])
    passwords = ["Alice-horse-7", "Mallory-horse-7"]

    def confirm(number: int) -> int:
        return real_world.confirm(tokens[number], "100001", passwords[number]).status_code

    with ThreadPoolExecutor(2) as pool:
        statuses = list(pool.map(confirm, range(2)))
    assert sorted(statuses) in ([200, 401], [200, 410])
    assert version() == 2
    winner = statuses.index(200)
    item = real_world.login_item()
    assert item.openid == ["o-alice", "o-mallory"][winner]
    assert real_world.service.hasher.verify(item.password_hash, passwords[winner])


@attack(11, SourceMutation(code_updates.make_code, 'CodeItem.digest.set(text("digest")),'))
def test_a_resend_ends_the_earlier_code(world: World) -> None:
    """The old code is wrong and counted; the new one is right."""
    draw(world, "100001", "100002")
    token = world.token()
    world.send(token)
    world.clock.time += 60
    assert world.send(token).status_code == 202
    assert guess(world, token, "100001") == "code-wrong"
    assert version() == 1
    assert guess(world, token, "100002") == "right"


@attack(11, IN_USE)
def test_a_resend_ends_an_earlier_code_that_was_just_compared(world: World) -> None:
    """A new code is sent between comparison and write, so that the old one sets nothing."""
    draw(world, "100001", "100002")

    def resend() -> None:
        if len(world.phones.codes) == 1:
            world.clock.time += 60
            assert world.send(token).status_code == 202

    InterruptingHasher(world, resend)
    token = world.token()
    world.send(token)
    assert guess(world, token, "100001") == "code-expired"
    assert version() == 1
    assert guess(world, token, "100002") == "right"


@attack(
    12,
    SourceMutation(code_updates.count_attempt, "& (CodeItem.code_expires_at > now_param)"),
    SourceMutation(Codes.live, "item.code_expires_at <= now", "False"),
    SourceMutation(PendingCodes._may_be_fetched, "and code.code_expires_at > now"),
)
def test_a_code_ends_before_its_item_is_deleted(world: World) -> None:
    """DynamoDB deletes days late: an expired code is neither accepted, nor reported, nor fetched."""
    add_firm(world.service.hasher, "22010148", phone="+8613900005678", openid="o-bob")
    send_message(world, {"MsgType": "event", "Event": "subscribe"}, "o-bob")
    draw(world, "100001", "100002")
    by_sms, by_wechat = world.token(), world.token("22010148", "o-bob")
    world.send(by_sms)
    assert world.send(by_wechat).json_body["delivery"] == "pull"
    world.clock.time += one_time.LIFETIME
    assert code_item().digest
    assert code_item("22010148").digest
    assert world.call("GET", "/recovery", token=by_sms).json_body["state"] == "open"
    assert "100002" not in send_message(world, {**TAPPED, "CreateTime": world.clock.time}, "o-bob")
    assert guess(world, by_sms, "100001") == "code-expired"
    assert guess(world, by_wechat, "100002") == "code-expired"
    assert (version(), version("22010148")) == (1, 1)


def _is_uniform(counts: Counter[str], cells: int, degrees: int) -> bool:
    """Apply Pearson's chi-square test; a uniform source fails it once in 10^12 runs."""
    expected = counts.total() / cells
    statistic = sum((seen - expected) ** 2 / expected for seen in counts.values())
    statistic += (cells - len(counts)) * expected
    # Laurent and Massart (2000), lemma 1: a chi-square of n degrees of freedom is above
    # n + 2 sqrt(n t) + 2 t with a probability of e^-t at the most; e^-28 is under 10^-12.
    return statistic < degrees + 2 * math.sqrt(degrees * 28) + 2 * 28


SEEDED = {
    **(container.Service.__init__.__kwdefaults__ or {}),
    "randbelow": lambda below: below // 2,
}


@attack(
    13,
    SourceMutation(one_time.generate, "{randbelow(10**digits)", "{100_000 + randbelow(900_000)"),
    SourceMutation(one_time.generate, "randbelow(10**digits)", "(randbelow(10**3) * 1_001)"),
    Value(container.Service.__init__, "__kwdefaults__", SEEDED),
)
def test_codes_are_uniform_and_from_the_system_s_randomness(world: World) -> None:
    """Every digit at every place, independent of the other digits and of the code before."""
    service = container.Service(load(SETTINGS))
    assert service.randbelow is secrets.randbelow
    drawn = [one_time.generate(service.randbelow) for _ in range(20_000)]
    places = Counter(f"{place}{digit}" for code in drawn for place, digit in enumerate(code))
    assert _is_uniform(places, 60, 6 * 9)
    halves = Counter(
        f"{place}{code[place]}{code[place + 3]}" for code in drawn for place in range(3)
    )
    assert _is_uniform(halves, 300, 3 * 99)
    followers = Counter(
        first[-1] + second[-1] for first, second in zip(drawn[::2], drawn[1::2], strict=True)
    )
    assert _is_uniform(followers, 100, 99)


@attack(
    14,
    SourceMutation(
        CodeSender.send,
        "return SendResult(method, masked,",
        "return SendResult(method, masked + issued.code,",
    ),
    SourceMutation(
        problems.render, "members: dict[str, Any] = {}", 'members = {"error": str(error)}'
    ),
)
def test_no_answer_has_the_code(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor its digest: after sends, wrong and right codes, repeats, and a gateway's error that quotes it."""
    draw(world, "719384", "719384")
    answers = recorded(world)
    token = world.token()
    with monkeypatch.context() as failing:
        refused = Attempt("console", Outcome.REFUSED, reason="bad text: 719384")
        failing.setattr(world.phones, "send", lambda _: refused)
        world.send(token)
    world.send(token)
    digest = str(code_item().digest)
    world.send(token)
    world.call("GET", "/recovery", token=token)
    for code in (WRONG, "719384", "719384"):
        # The submitted code is not returned either.
        guess(world, token, code)
    world.call("GET", "/recovery", token=token)
    statuses = [answer.status_code for answer in answers]
    assert statuses == [201, 502, 202, 429, 200, 400, 200, 200, 200]
    for answer in answers:
        assert "719384" not in all_of(answer)
        assert digest.partition(":")[2] not in all_of(answer)
