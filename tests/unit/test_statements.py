"""A statement filled in is the request that pynamodb renders from the values themselves."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.store.dynamo import noted, room
from chalicelib.store.models import CodeItem, DestinationItem, bind
from chalicelib.store.statements import NOW, Statement, Statements, number, text, texts
from tests.conftest import World

LIMITS = ((5, 3_600), (1, 60))


@settings(max_examples=50, deadline=None)
@given(
    now=st.integers(10**9, 2 * 10**9),
    digest=st.text(min_size=1),
    login=st.text(min_size=1, max_size=20),
    attempts=st.integers(0, 9),
)
def test_it_says_what_pynamodb_says(now: int, digest: str, login: str, attempts: int) -> None:
    """The same expressions and names, and the same values in their places."""
    bind("recovery")
    windows = [_Window(*limit) for limit in LIMITS]

    def parts(now: Any, digest: Any, login: Any, logins: Any, attempts: Any) -> tuple[Any, Any]:
        return [
            CodeItem.digest.set(digest),
            CodeItem.attempts.add(1),
            noted(CodeItem.sends, now),
            CodeItem.expires_at.set(now + 60),
            CodeItem.sealed.remove(),
            DestinationItem.login.set(login),
            DestinationItem.logins.add(logins),
        ], (CodeItem.attempts < attempts) & room(CodeItem.sends, windows, now)

    actions, condition = parts(now, digest, login, {login}, attempts)
    theirs = CodeItem("code#1").get_update_kwargs_from_instance(
        actions=actions, condition=condition, return_values_on_condition_failure="ALL_OLD"
    )
    places = parts(NOW, text("digest"), text("login"), texts("logins"), number("attempts"))
    values = {"now": now, "digest": digest, "login": login, "attempts": attempts}
    ours = Statement(CodeItem, *places).request("code#1", {**values, "logins": {login}})
    assert _readable(ours) == _readable(theirs)


class _Window:
    def __init__(self, limit: int, seconds: int) -> None:
        self.limit, self.seconds = limit, seconds


def _readable(request: dict[str, Any]) -> dict[str, Any]:
    """A request with its values and names in their places, however those are numbered."""
    found = dict(request)
    places = {
        **found.pop("ExpressionAttributeNames"),
        **{name: repr(value) for name, value in found.pop("ExpressionAttributeValues").items()},
    }
    for part in ("UpdateExpression", "ConditionExpression"):
        found[part] = re.sub("[:#][0-9]+", lambda place: places[place[0]], found[part])
    return found


def test_a_value_that_is_missing_is_an_error() -> None:
    """Rather than a request with a hole in it."""
    statement = Statement(CodeItem, [CodeItem.digest.set(text("digest"))])
    with pytest.raises(KeyError, match="digest"):
        statement.request("code#1", {"now": 1})


def test_a_check_has_no_update() -> None:
    """And without values it names none, which DynamoDB would refuse."""
    request = Statement(CodeItem, condition=CodeItem.digest.exists()).request("code#1", {})
    assert set(request) == {
        "TableName",
        "Key",
        "ConditionExpression",
        "ExpressionAttributeNames",
    }


def test_a_statement_is_rendered_once_for_each_variant(world: World) -> None:
    """However many calls there are; another variant is another statement."""
    statements, made = Statements(), []

    def make(method: str) -> Statement[CodeItem]:
        made.append(method)
        return Statement(CodeItem, [CodeItem.method.set(method)])

    first = statements(make, "sms")
    assert statements(make, "sms") is first
    assert statements(make, "wechat") is not first
    assert made == ["sms", "wechat"]
