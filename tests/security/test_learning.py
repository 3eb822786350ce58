"""Attacks 23 to 28: disclosure by answers, by time, and by tokens."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from chalice.test import HTTPResponse

from chalicelib.domain import codes as one_time
from chalicelib.domain import logins
from chalicelib.security.tokens import Tokens
from chalicelib.services import unbinding
from chalicelib.services.credential_check import CredentialCheck
from chalicelib.services.recovery import Recovery
from chalicelib.services.unbinding import Unbinding
from chalicelib.store import codes as store_codes
from chalicelib.store import logins as login_store
from chalicelib.store.bindings import Bindings
from chalicelib.store.codes import Codes
from chalicelib.store.models import LoginItem
from tests.conftest import PASSWORD, PHONE, MakeWorld, World, add_firm
from tests.security.actions import (
    DETAILS,
    WRONG,
    CountingHasher,
    all_of,
    code_item,
    draw,
    guess,
    recorded,
)
from tests.security.mutation import SourceMutation, Together, Value, attack
from tests.security.mutations import A_CODE_FOR_EACH_LOGIN, ONE_BUCKET, TRIES_OF_A_CODE
from tests.support.yearly_reset import client, interrupted

# Chalice's own test client lets every signature pass; the test of the local stack checks them.
pytestmark = pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")

OPENING = "Opening-password-1"
MISTAKEN: Sequence[dict[str, str]] = (
    {"firm_no": "11010149"},
    {"approval_no": "京财会许可〔2012〕0085号"},
    {"head_name": "某人"},
    {"firm_no": "11010149", "approval_no": "京财会许可〔2012〕0085号", "head_name": "某人"},
)


def unbind(world: World, token: str, mistaken: dict[str, str]) -> HTTPResponse:
    return world.call("POST", "/recovery/unbinding", {**DETAILS, **mistaken}, token=token)


def verify(world: World, login: str, password: str) -> HTTPResponse:
    question = {"login": login, "password": password}
    return world.call("POST", "/credentials/verify", question)


def are_identical(answers: Sequence[HTTPResponse]) -> bool:
    """Return whether all answers have the same status, headers and body."""
    return len({(one.status_code, str(one.headers), one.body) for one in answers}) == 1


@attack(
    23,
    SourceMutation(
        Unbinding.unbind,
        "if not all(right):",
        "if not right[0]:\n        raise RecoveryExpired\n    if not all(right):",
    ),
)
def test_no_answer_tells_which_detail_was_wrong(world: World) -> None:
    """With one or all of them wrong, status, headers and body are the same."""
    add_firm(world.service.hasher, openid="o-alice")
    # The attempts that remain are stated, so that each visitor makes one.
    answers = [
        unbind(world, world.token(openid=f"o-mallory-{number}"), mistaken)
        for number, mistaken in enumerate(MISTAKEN)
    ]
    assert answers[0].json_body["code"] == "details-do-not-match"
    assert are_identical(answers)


@attack(
    23,
    SourceMutation(
        CredentialCheck.verify,
        "self._hasher.verify_nothing(password)\n        return self._wrong(stored)",
        "return VerifyResult(False, True, 0)",
    ),
)
def test_no_answer_tells_a_wrong_password_from_an_unknown_login(world: World) -> None:
    """Nor a login without a password, nor a main login from a finance login."""
    LoginItem("11010148_cw").update([LoginItem.password_hash.remove()])
    answers = [verify(world, login, "Wrong-1") for login in ("11010148", "11010148_cw", "99999999")]
    assert answers[0].json_body == {"valid": False, "must_change": False, "changed_at": 0}
    assert are_identical(answers)


@attack(
    23,
    SourceMutation(Codes._attempt_refusal, " or not live", ""),
    SourceMutation(Recovery._repeated, "else used.reason", "else None"),
    SourceMutation(
        store_codes._own_reason,
        'if requester.key not in raw_texts(item, "senders"):',
        'if not raw_texts(item, "senders"):',
    ),
)
def test_no_answer_tells_why_there_is_no_code(world: World) -> None:
    """Whether one was never sent for anybody, has expired, or was used: a stranger sees no difference."""
    draw(world, "100001")
    logins_of_firms = ("11010148", "22010148", "33010148")
    for firm in logins_of_firms[1:]:
        add_firm(world.service.hasher, firm, phone=f"+86139{firm}")
    world.send(world.token("22010148"))
    world.clock.time += one_time.LIFETIME
    tokens = [world.token(login, "o-mallory") for login in logins_of_firms]
    owner = world.token("33010148")
    world.send(owner)
    assert guess(world, owner, world.phones.codes[-1]) == "right"
    answers = [world.confirm(token, WRONG) for token in tokens]
    assert answers[0].json_body["code"] == "code-expired"
    assert are_identical(answers)


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, Any]]:
    """The pairs that were compared in constant time."""
    pairs: list[tuple[Any, Any]] = []

    def compare_digest(one: Any, other: Any) -> bool:
        pairs.append((one, other))
        return hmac.compare_digest(one, other)

    recorder = SimpleNamespace(new=hmac.new, compare_digest=compare_digest)
    for module in (one_time, unbinding):
        monkeypatch.setattr(module, "hmac", recorder)
    return pairs


@attack(
    24,
    SourceMutation(one_time.matches, "hmac.compare_digest(made, stored)", "made == stored"),
)
def test_the_time_of_an_answer_discloses_nothing_of_a_code(
    world: World, compared: list[tuple[Any, Any]]
) -> None:
    """Every guess is compared once, as digests, in constant time."""
    draw(world, "100001")
    token = world.token()
    world.send(token)
    assert {guess(world, token, code) for code in ("100002", WRONG)} == {"code-wrong"}
    stored = code_item().digest
    assert [pair[1] for pair in compared] == [stored, stored]
    assert {len(made) for made, _ in compared} == {len(stored)}


@pytest.mark.whole_way
@attack(
    24,
    SourceMutation(
        Unbinding.unbind,
        "_same(_firm_no(firm_no), fold_number(firm.firm_no)),",
        "_same(_firm_no(firm_no), fold_number(firm.firm_no)) and",
    ),
    SourceMutation(
        unbinding._same, "hmac.compare_digest(given.encode(), known.encode())", "given == known"
    ),
)
def test_the_time_of_an_answer_discloses_nothing_of_the_details(
    world: World, compared: list[tuple[Any, Any]]
) -> None:
    """All three are always compared in constant time, after the same calls."""
    add_firm(world.service.hasher, openid="o-alice")
    token = world.token(openid="o-mallory")
    # The first attempt of a day has one call more, whatever its details.
    unbind(world, token, MISTAKEN[0])
    done = []
    for mistaken in MISTAKEN:
        compared.clear()
        calls = _calls(partial(unbind, world, token, mistaken))
        done.append((calls, len(compared)))
    assert done == [(done[0][0], 3)] * len(MISTAKEN)


@pytest.mark.whole_way
@attack(24, SourceMutation(CredentialCheck.verify, "self._hasher.verify_nothing(password)"))
def test_the_time_of_an_answer_discloses_nothing_of_a_login(make_world: MakeWorld) -> None:
    """Unknown login, login without password, wrong password: one argon2 and the same calls."""
    # A budget this small is written each time, a larger one at random.
    world = make_world(LIMIT_WRONG_PASSWORDS_PER_SERVICE_HOUR="100")
    hasher = CountingHasher(world)
    add_firm(hasher)
    LoginItem("11010148_cw").update([LoginItem.password_hash.remove()])
    verify(world, "11010148", OPENING)
    done = []
    for login in ("11010148", "11010148_cw", "99999999"):
        hasher.computations = 0
        calls = _calls(partial(verify, world, login, "Wrong-1"))
        done.append((calls, hasher.computations))
    assert done == [(done[0][0], 1)] * 3


def _calls(act: Callable[[], object]) -> list[str]:
    """Return the calls of `act` to DynamoDB."""
    names: list[str] = []

    def record(name: str) -> None:
        names.append(name)

    with interrupted([client()], record, after=False):
        act()
    return names


@attack(25, TRIES_OF_A_CODE)
def test_a_refusal_discloses_nothing_of_the_code(world: World) -> None:
    """After five attempts the right code has the same answer as any other."""
    draw(world, "100001")
    token = world.token()
    world.send(token)
    assert {guess(world, token) for _ in range(5)} == {"code-wrong"}
    answers = [world.confirm(token, code) for code in (WRONG, "100001", "100002")]
    assert answers[0].status_code == 429
    assert are_identical(answers)


@attack(
    25,
    SourceMutation(
        login_store._count_password, "& within_limits(LoginItem.failures, windows, now_param)"
    ),
)
def test_a_refusal_discloses_nothing_of_the_password(world: World) -> None:
    """For a locked login the right password has the same answer as a wrong one."""
    assert {verify(world, "11010148", "Wrong-1").status_code for _ in range(5)} == {200}
    answers = [verify(world, "11010148", password) for password in ("Wrong-1", OPENING)]
    assert answers[0].status_code == 429
    assert are_identical(answers)


@attack(
    25,
    SourceMutation(Bindings.count_details, " & within_limits(own, windows, now)"),
)
def test_a_refusal_discloses_nothing_of_the_details(world: World) -> None:
    """After five wrong attempts the right details have the same answer as wrong ones."""
    add_firm(world.service.hasher, openid="o-alice")
    token = world.token(openid="o-mallory")
    assert {unbind(world, token, MISTAKEN[0]).status_code for _ in range(5)} == {403}
    answers = [unbind(world, token, mistaken) for mistaken in (MISTAKEN[0], {})]
    assert answers[0].status_code == 429
    assert are_identical(answers)


A_PHONE = re.compile(r"1[3-9][0-9]{9}")


@attack(
    26,
    SourceMutation(logins.mask_phone, 'f"{national[:3]}****{national[-4:]}"', "national"),
    SourceMutation(
        Tokens.issue, 'self._sealer.seal("claims " + claims.recovery, hidden)', "hidden"
    ),
)
def test_answers_and_tokens_show_seven_digits_of_a_phone(world: World) -> None:
    """They show nothing of an openid, also when a token is decoded without its key."""
    add_firm(world.service.hasher, openid="o-alice")
    add_firm(world.service.hasher, "22010148", phone=PHONE)
    answers = recorded(world)
    world.start()
    token = world.start("22010148", "o-bob").json_body.get("token", "")
    for answer in answers:
        assert "o-alice" not in all_of(answer)
        assert "o-bob" not in all_of(answer)
    assert world.send(token).status_code == 202
    guess(world, token)
    assert guess(world, token, world.phones.codes[-1]) == "right"
    bound = world.token(openid="o-mallory")
    assert unbind(world, bound, {}).status_code == 200
    assert world.send(bound).status_code == 429
    world.clock.time += 61
    assert world.send(bound).json_body["destination"] == "138****1234"
    world.call("GET", "/recovery", token=bound)
    for answer in answers:
        shown = all_of(answer)
        assert PHONE.removeprefix("+86") not in shown
        assert not A_PHONE.search(answer.body.decode())
        assert "o-alice" not in shown
        assert "o-bob" not in shown


LOOK_ALIKES = (
    "11010148_сw",  # a Cyrillic с
    "11010148_cѡ",  # a Cyrillic omega
    "11010148＿сｗ",
    "١١٠١٠١٤٨",  # Arabic-Indic digits
    "११०१०१४८",  # Devanagari digits
    "1101O148",  # a letter O
    "l1010148",  # a letter l
    "11010148‗cw",
    "11010148_cw_cw",
    "11010148_cw\u0301",
    "一一〇一〇一四八",
)


@attack(
    27,
    Value(logins, "_LOGIN", re.compile(r"(\d{8,20})(_cw)?")),
    SourceMutation(logins.parse_login, "_LOGIN.fullmatch(", "_LOGIN.match("),
)
def test_a_look_alike_of_a_login_is_refused(world: World) -> None:
    """Letters and digits of other scripts are refused by every route."""
    for text in LOOK_ALIKES:
        answers = [
            world.start(text),
            verify(world, text, OPENING),
            world.call("GET", f"/proof?login={quote(text)}"),
        ]
        assert [answer.status_code for answer in answers] == [422] * 3, text
        page = world.call("GET", f"/?login={quote(text)}").body.decode()
        assert 'value="11010148' not in page, text
        assert text not in page, text


@attack(28, Together(*A_CODE_FOR_EACH_LOGIN), ONE_BUCKET)
def test_a_firm_s_two_logins_have_two_codes_and_one_limit(world: World) -> None:
    """Each code has its own attempts; sends to the common phone are counted together."""
    draw(world, "100001", "100002")
    main, finance = world.token(), world.token("11010148_cw")
    assert world.send(main).status_code == 202
    refused = world.send(finance)
    assert refused.status_code == 429
    world.clock.time += int(refused.headers["Retry-After"])
    assert world.send(finance).status_code == 202
    assert {guess(world, finance) for _ in range(5)} == {"code-wrong"}
    assert guess(world, finance) == "too-many-attempts"
    assert guess(world, main, "100001") == "right"
    assert verify(world, "11010148", PASSWORD).json_body["valid"] is True
    assert verify(world, "11010148_cw", PASSWORD).json_body["valid"] is False
