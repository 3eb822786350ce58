"""A prepared update filled in is the request that pynamodb renders from the values themselves."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pynamodb.expressions.operand import Path

from chalicelib.domain.limits import DOUBLINGS, Window
from chalicelib.domain.requester import Requester
from chalicelib.store.code_updates import METHODS
from chalicelib.store.dynamo import prepend, within_limits
from chalicelib.store.ephemeral_models import CodeItem, DestinationItem
from chalicelib.store.logins import StartProof
from chalicelib.store.models import bind
from chalicelib.store.prepared import PreparedUpdate, name, now_param, number, text, texts
from tests.conftest import World

LIMITS = ((5, 3_600), (1, 60))


@settings(max_examples=50, deadline=None)
@given(
    now=st.integers(10**9, 2 * 10**9),
    digest=st.text(min_size=1),
    login=st.text(min_size=1, max_size=20),
    seconds=st.integers(0, 9),
)
def test_the_request_is_pynamodbs(now: int, digest: str, login: str, seconds: int) -> None:
    """It has the same expressions and names, and the same values in their places."""
    bind("recovery")
    windows = [Window(*limit) for limit in LIMITS]

    def parts(now: Any, digest: Any, login: Any, logins: Any, seconds: Any) -> tuple[Any, Any]:
        return [
            CodeItem.digest.set(digest),
            CodeItem.code_expires_at.add(1),
            prepend(CodeItem.sends, now),
            CodeItem.expires_at.set(now + 60),
            CodeItem.sealed.remove(),
            DestinationItem.login.set(login),
            DestinationItem.logins.add(logins),
        ], (CodeItem.code_expires_at < seconds) & within_limits(CodeItem.sends, windows, now)

    actions, condition = parts(now, digest, login, {login}, seconds)
    theirs = CodeItem("code#1").get_update_kwargs_from_instance(
        actions=actions, condition=condition, return_values_on_condition_failure="ALL_OLD"
    )
    places = parts(now_param, text("digest"), text("login"), texts("logins"), number("seconds"))
    values = {"now": now, "digest": digest, "login": login, "seconds": seconds}
    ours = PreparedUpdate(CodeItem, *places).request("code#1", {**values, "logins": {login}})
    assert _readable(ours) == _readable(theirs)


def _readable(request: dict[str, Any]) -> dict[str, Any]:
    """A request with its values and names in their places, however those are numbered."""
    found = dict(request)
    places = {
        **found.pop("ExpressionAttributeNames"),
        **{name: repr(value) for name, value in found.pop("ExpressionAttributeValues").items()},
    }
    for part in {"UpdateExpression", "ConditionExpression"} & set(found):
        found[part] = re.sub("[:#][0-9]+", lambda place: places[place[0]], found[part])
    return found


def test_a_missing_value_is_an_error() -> None:
    """No request is sent with a hole in it."""
    prepared = PreparedUpdate(CodeItem, [CodeItem.digest.set(text("digest"))])
    with pytest.raises(KeyError, match="digest"):
        prepared.request("code#1", {"now": 1})


def test_a_name_in_a_path_is_filled_in_for_each_call() -> None:
    """The request is pynamodb's for that name, in the update and in the condition alike."""
    bind("recovery")

    def parts(entry: str, now: Any) -> tuple[Any, Any]:
        times = Path(["times_by", entry])
        return [prepend(times, now), times[3].remove()], within_limits(times, [Window(2, 60)], now)

    prepared = PreparedUpdate(CodeItem, *parts(name("requester"), now_param))
    for requester in ("0123456789abcdef", "fedcba9876543210"):
        actions, condition = parts(requester, 10**9)
        theirs = CodeItem("code#1").get_update_kwargs_from_instance(
            actions=actions, condition=condition, return_values_on_condition_failure="ALL_OLD"
        )
        ours = prepared.request("code#1", {"requester": requester, "now": 10**9})
        assert _readable(ours) == _readable(theirs)
    with pytest.raises(KeyError, match="requester"):
        prepared.request("code#1", {"now": 10**9})


def test_a_check_has_no_update() -> None:
    """Without values it has no attribute values, which DynamoDB refuses if they are empty."""
    request = PreparedUpdate(CodeItem, condition=CodeItem.digest.exists()).request("code#1", {})
    assert set(request) == {
        "TableName",
        "Key",
        "ConditionExpression",
        "ExpressionAttributeNames",
    }


def test_each_variant_of_a_store_has_its_own_update(world: World) -> None:
    """The condition for `sms` is never returned to a caller with `wechat`, and so for each variant.

    Both variants are made by the same functions, for the same store.
    """
    codes, logins = world.service.codes, world.service.logins

    def conditions(variants: dict[Any, PreparedUpdate[Any]]) -> dict[Any, str]:
        values = {
            name: f"<{name}>"
            for name in ("destination", "to", "bind", "hash", "digest", "method", "send", "sealed")
        }
        given = {
            **values,
            "version": 1,
            "epoch": 0,
            "now": 86_400,
            "login": "1",
            "logins": {"1"},
            "proof": "p",
            "requester": "<requester>",
        }
        rendered = {}
        for variant, prepared in variants.items():
            request = {"ExpressionAttributeValues": {}, **prepared.request("key", given)}
            rendered[variant] = str(_readable(request))
        return rendered

    logins_condition = conditions(codes.check_login)
    assert "'<destination>'" in logins_condition["sms"]
    assert "phone" in logins_condition["sms"]
    assert "phone" not in logins_condition["wechat"]
    for method, binding in itertools.product(METHODS, (True, False)):
        changed = conditions(codes._change_login)[method, binding]
        assert ("phone" in changed) == (method == "sms")
        assert ("bound_at" in changed) == binding
    for sealing in (True, False):
        new_code = {sealing: world.service.sends._new_code[False, False, sealing]}
        assert ("<sealed>" in conditions(new_code)[sealing]) == sealing
        assert ("logins" in conditions(world.service.sends._count_send)[sealing]) == sealing
    for is_address, doublings in itertools.product((True, False), (None, *range(DOUBLINGS + 1))):
        requester, growth = Requester("1", is_address), 1 << (doublings or 0)
        proof = None if doublings is None else StartProof(f"p{is_address}{growth}", growth)
        logins.start("11010148", proof, requester, world.clock.time)
    for (is_address, doublings), condition in conditions(logins._count_start).items():
        assert f"starts_by.<requester>[{29 if is_address else 9}]" in condition
        assert ("proofs" in condition) == (doublings is not None)
        last = None if doublings in (None, DOUBLINGS) else 29 + 10 * doublings
        assert [int(index) for index in re.findall(r"[ (]starts\[([0-9]+)]", condition)] == (
            [] if last is None else [last, last]
        )


def test_a_limit_without_a_window_is_an_error() -> None:
    """It would permit everything."""
    with pytest.raises(ValueError, match="at least one window"):
        within_limits(CodeItem.sends, (), 0)
