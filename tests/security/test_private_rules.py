"""Attack 65: answers without the right code depend on no private fact of a login."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from chalice.test import HTTPResponse
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from chalicelib.domain.catalogue import PASSWORD_REASONS
from chalicelib.services.rate_limits import StartLimiter
from chalicelib.services.recovery import Recovery
from chalicelib.store import code_updates
from chalicelib.store.attributes import plain_map
from chalicelib.store.codes import Codes
from chalicelib.store.ephemeral_models import RequesterItem
from chalicelib.store.models import AuditItem, FirmItem, LoginItem
from tests.conftest import World, add_firm
from tests.security.actions import DETAILS, code_item, draw, tries
from tests.security.mutation import SourceMutation, attack
from tests.stateful.doubles import Platform
from tests.support import moto_direct

# Chalice's own test client lets every signature pass; the test of the local stack checks them.
pytestmark = pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")

MAIN, FINANCE = "11010148", "11010148_cw"
CODE = "424242"
FIRMS = (("13800001234", "123X", "阿依古丽·买买提"), ("13876541234", "4567", "甄示例"))
"""Phone, ID digits and head of two firms. The masked phone, which is public, is the same."""
DEFAULTS = ("010123X", "0104567")
WORDS = (*(phone for phone, _, _ in FIRMS), *DEFAULTS, *(digits for _, digits, _ in FIRMS))

PUBLIC_THEN = (
    "reasons = self._password_policy.public_weaknesses(password, parse_login(claims.login))"
)
PRIVATE_FIRST = (
    f"{PUBLIC_THEN}\n"
    "    reasons += self._password_policy.private_weaknesses(\n"
    "        password, claims.phone, claims.default\n"
    "    )"
)
FOLLOW = 'if claims.method == "follow":'

passwords = st.builds(
    "{}{}{}".format,
    st.sampled_from(("", "Horse-", "短")),
    st.lists(st.sampled_from(WORDS), max_size=6).map("".join),
    st.sampled_from(("", "-staple", "x" * 80)),
)
heads = st.sampled_from([head for _, _, head in FIRMS])
calls = st.lists(
    st.one_of(
        st.tuples(st.just("start"), st.sampled_from((None, "o-alice", "o-mallory"))),
        st.tuples(st.just("send"), st.none()),
        st.tuples(st.just("progress"), st.none()),
        st.tuples(st.just("confirm"), passwords),
        st.tuples(st.just("verify"), passwords.map("never{}".format)),
        st.tuples(st.just("unbind"), heads),
        st.tuples(st.just("pass"), st.sampled_from((1, 61, 301))),
    ),
    min_size=3,
    max_size=12,
)


def seen(answer: HTTPResponse) -> tuple[Any, ...]:
    """Return status, headers and body; of a token, which is encrypted and random, its length."""
    body, headers = dict(answer.json_body), dict(answer.headers)
    if "token" in body:
        body["token"] = len(body["token"])
    # The picture of a scene, which is random as well.
    body.pop("qr", None)
    headers.pop("Content-Length", None)
    return answer.status_code, headers, body


def answers(
    world: World, login: str, bound: str | None, number: int, actions: Sequence[tuple[str, Any]]
) -> list[tuple[Any, ...]]:
    """Return the answers of one of the two firms to the calls, from new tables on."""
    for table in moto_direct.backend().tables.values():
        table.items.clear()
    world.service.start_limiter = StartLimiter(world.service.settings.limits)
    phone, digits, head = FIRMS[number]
    add_firm(world.service.hasher, phone=f"+86{phone}", finance_phone=f"+86{phone}", openid=bound)
    for name in (MAIN, FINANCE):
        LoginItem(name).update([LoginItem.head_id_last4.set(digits)])
    FirmItem(MAIN).update([FirmItem.head_id_last4.set(digits), FirmItem.head_name.set(head)])
    world.clock.time, token, received = 1_800_000_000, "", []
    for action, value in [("start", "o-alice"), ("send", None), *actions]:
        if action == "start":
            answer = world.start(login, value)
            token = answer.json_body.get("token", token)
        elif action == "send":
            answer = world.send(token)
        elif action == "progress":
            answer = world.call("GET", "/recovery", token=token)
        elif action == "confirm":
            answer = world.confirm(token, "999999", value)
        elif action == "verify":
            body = {"login": login, "password": value}
            answer = world.call("POST", "/credentials/verify", body)
        elif action == "unbind":
            # One public detail is wrong, so that the answer may not depend on the head.
            body = {**DETAILS, "approval_no": "京财会〔1999〕0001号", "head_name": value}
            answer = world.call("POST", "/recovery/unbinding", body, token=token)
        else:
            world.clock.time += value
            continue
        received.append(seen(answer))
    return received


@pytest.mark.answers_alone
@attack(
    65,
    SourceMutation(Recovery.complete, PUBLIC_THEN, PRIVATE_FIRST),
    SourceMutation(
        Recovery.complete,
        FOLLOW,
        "if claims.method == 'follow' and not self._password_policy.private_weaknesses(\n"
        "        password, claims.phone, claims.default\n"
        "    ):",
    ),
)
def test_no_answer_without_the_code_depends_on_phone_head_or_id(world: World) -> None:
    """Two firms that differ in these alone answer any sequence of calls alike."""
    world.service.randbelow = lambda _: 1
    # Only the account's reply to a menu has the codes: nothing is pushed.
    world.service.__dict__["platform"] = Platform({"o-alice"})
    world.service.code_issuer.randbelow = lambda _: int(CODE)

    @settings(
        max_examples=40, database=None, derandomize=True, phases=[Phase.explicit, Phase.generate]
    )
    @example(MAIN, None, [("start", None), ("confirm", f"Horse-{FIRMS[0][0]}-staple")])
    @given(st.sampled_from((MAIN, FINANCE)), st.sampled_from((None, "o-alice")), calls)
    def are_alike(login: str, bound: str | None, actions: list[tuple[str, Any]]) -> None:
        first, second = (answers(world, login, bound, number, actions) for number in range(2))
        assert first == second

    are_alike()


@attack(
    65,
    SourceMutation(code_updates.refund_attempt, "_tries.set(_tries - 1), "),
    SourceMutation(code_updates.refund_attempt, ", *_uncount_wrong(is_owner=is_owner)"),
    SourceMutation(
        code_updates._uncount_wrong, "[_wrong_by[0], CodeItem.wrongs[0]]", "[_wrong_by[0]]"
    ),
    SourceMutation(
        code_updates._uncount_wrong, "[_wrong_by[0], CodeItem.wrongs[0]]", "[CodeItem.wrongs[0]]"
    ),
    SourceMutation(Codes._take_back, "if attempt.is_recorded:", "if False:"),
    SourceMutation(Recovery._set_password, "if reasons:", "if False:"),
)
def test_a_private_refusal_after_the_right_code_costs_no_attempt(world: World) -> None:
    """The code stays live for any number of such passwords, and each refusal has its reasons."""
    draw(world, CODE)
    token = world.token(FINANCE)
    world.send(token)
    for _ in range(6):
        refused = world.confirm(token, CODE, f"Horse-{FIRMS[0][0]}-{DEFAULTS[0]}")
        assert refused.status_code == 422
        reasons = {PASSWORD_REASONS["contains-phone"], PASSWORD_REASONS["contains-default"]}
        assert set(refused.json_body["reasons"]) == reasons
    item = code_item(FINANCE)
    assert (tries(FINANCE), item.wrongs) == (0, [])
    assert list(plain_map(item.wrong_by).values()) == [[]]
    assert [each.event for each in world.service.diagnosis.history(FINANCE, 9)] == ["code-sent"]
    # The same password with a wrong code is one wrong try as any other.
    wrong = world.confirm(token, "999999", f"Horse-{FIRMS[0][0]}-{DEFAULTS[0]}")
    assert (wrong.status_code, wrong.json_body["attempts_left"]) == (400, 4)
    # From the second attempt on, the requester's count and the audit precede the comparison.
    for _ in range(2):
        refused = world.confirm(token, CODE, f"Horse-{FIRMS[0][0]}-{DEFAULTS[0]}")
        assert refused.status_code == 422
    (requester,) = [each for each in RequesterItem.scan() if each.id.startswith("requester#")]
    assert len(requester.wrongs) == 1
    (rolled,) = [each for each in AuditItem.query(FINANCE) if each.event == "code-wrong"]
    assert int(rolled.occurrences) == 1
    assert world.confirm(token, CODE).status_code == 200


@attack(
    65, SourceMutation(code_updates.refund_attempt, 'CodeItem.digest == text("digest")', "None")
)
def test_a_refund_never_gives_attempts_to_another_code(world: World) -> None:
    """A resend between the comparison and the refund leaves the new code's count alone."""
    draw(world, CODE, "111111")
    token = world.token()
    world.send(token)
    real, codes = world.service.codes.refund_attempt, world.service.codes
    counted: list[int] = []

    def refund_after_a_resend(*args: Any) -> None:
        world.clock.time += 60
        assert world.send(token).status_code == 202
        assert world.confirm(token, "999999").status_code == 400
        try:
            real(*args)
        finally:
            counted.append(tries())

    codes.refund_attempt = refund_after_a_resend  # type: ignore[method-assign, assignment]
    refused = world.confirm(token, CODE, f"Horse-{FIRMS[0][0]}-staple")
    assert counted == [1]
    assert (refused.status_code, refused.json_body["code"]) == (410, "code-expired")


@attack(
    65,
    SourceMutation(
        Codes.refund_attempt,
        "transaction.add_check(check.request(login, destination.values))",
        "pass",
    ),
)
def test_a_recovery_that_is_over_gets_no_private_reason(world: World) -> None:
    """Also with the right code of a newer recovery of the login."""
    old = world.token()
    LoginItem(MAIN).update([LoginItem.password_version.set(7)])
    draw(world, CODE)
    world.send(world.token())
    refused = world.confirm(old, CODE, f"Horse-{FIRMS[0][0]}-staple")
    assert (refused.status_code, refused.json_body["code"]) == (401, "recovery-expired")
