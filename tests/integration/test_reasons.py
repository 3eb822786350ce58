"""What is true of the visitor's own code and details, and nothing about others'."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.store.models import LoginItem
from tests.conftest import World

DETAILS = {
    "firm_no": "11010148",
    "approval_no": "京财会许可〔2012〕0084号",
    "head_name": "阿依古丽·买买提",
}


def refusal(world: World, token: str, code: str = "000000") -> tuple[str, str | None, str]:
    answer = world.confirm(token, code)
    body = answer.json_body
    return body["code"], body.get("reason"), body["detail"]


def test_a_code_that_was_never_requested(world: World) -> None:
    assert refusal(world, world.token()) == (
        "code-expired",
        "never-sent",
        "您还没有获取验证码，请重新获取验证码。",
    )


def test_an_expired_code(world: World) -> None:
    token = world.token()
    world.send(token)
    world.clock.time += 300
    assert refusal(world, token)[1:] == ("expired", "验证码已过期，请重新获取验证码。")


def test_a_used_code(world: World) -> None:
    """Of the same recovery, with another password; another recovery gets no reason."""
    token, other = world.token(), world.token()
    world.send(token)
    code = world.phones.codes[0]
    assert world.confirm(token, code).status_code == 200
    again = world.confirm(token, code, "Another-horse-8").json_body
    assert (again["code"], again["reason"]) == ("code-expired", "used")
    assert refusal(world, other, code)[1] is None


def test_a_code_of_another_visitor_is_no_reason(world: World) -> None:
    """Whether it is live, expired or used, a visitor without a code was never sent one."""
    owner, stranger = world.token(), world.token(openid="o-bob")
    world.send(owner)
    world.clock.time += 300
    assert refusal(world, stranger)[1] == "never-sent"


def test_the_fifth_wrong_code_says_what_to_do(world: World) -> None:
    """No number of attempts where there is none."""
    token = world.token()
    world.send(token)
    wrong = f"{(int(world.phones.codes[0]) + 1) % 1_000_000:06d}"
    answers = [world.confirm(token, wrong).json_body for _ in range(5)]
    assert [answer["attempts_left"] for answer in answers] == [4, 3, 2, 1, 0]
    assert "还可以再试1次" in answers[3]["detail"]
    assert "0次" not in answers[4]["detail"]
    assert "请重新获取验证码" in answers[4]["detail"]


@pytest.fixture
def bound(world: World) -> World:
    """A world whose main login is bound to o-alice."""
    LoginItem("11010148").update([LoginItem.openid.set("o-alice")])
    return world


def unbind(world: World, token: str, **details: str) -> dict[str, Any]:
    answer = world.call("POST", "/recovery/unbinding", {**DETAILS, **details}, token=token)
    return {"status": answer.status_code, **answer.json_body}


def test_wrong_details_count_down(bound: World) -> None:
    """By the day, over the visitor's recoveries of the login; others have their own."""
    answers = [unbind(bound, bound.token(), head_name="张三") for _ in range(5)]
    assert [answer["attempts_left"] for answer in answers] == [4, 3, 2, 1, 0]
    assert "今天还可以再试1次" in answers[3]["detail"]
    assert "0次" not in answers[4]["detail"]
    assert unbind(bound, bound.token())["code"] == "too-many-requests"
    assert unbind(bound, bound.token(openid="o-bob"), head_name="张三")["attempts_left"] == 4


@pytest.mark.parametrize("number", ["11010148_cw", "11010148_CW", "１１０１０１４８＿ｃｗ"])
def test_a_login_stands_for_the_firm_s_number(bound: World, number: str) -> None:
    assert unbind(bound, bound.token(), firm_no=number)["status"] == 200


def test_a_login_of_another_firm_does_not_match(bound: World) -> None:
    assert unbind(bound, bound.token(), firm_no="11010149_cw")["code"] == "details-do-not-match"
