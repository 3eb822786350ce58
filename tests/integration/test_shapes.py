"""Items of another release's shape: an older one is read, a newer one is left alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.store import audit, models
from chalicelib.store.dynamo import read
from chalicelib.store.ephemeral_models import CodeItem
from chalicelib.store.models import AuditItem, FirmItem, FollowerItem, LoginItem
from chalicelib.store.pynamodb_internals import connection_of
from chalicelib.store.shapes import ATTRIBUTE, Shaped
from tests.conftest import MakeWorld, World, add_firm
from tests.support.operator_cases import BY, NEW_PHONE

LOGIN = "11010148"
SHAPED = (FirmItem, LoginItem, FollowerItem, AuditItem)


@pytest.fixture(params=["moto", "DynamoDB Local"])
def world(request: pytest.FixtureRequest) -> World:
    """A world with a firm, on moto and on Amazon's own store."""
    name = "make_world" if request.param == "moto" else "make_real_world"
    make: MakeWorld = request.getfixturevalue(name)
    made = make()
    add_firm(made.service.hasher)
    return made


def set_shape(item: Any, shape: int) -> None:
    """Write the version of an item's shape past the models, which refuse a newer one."""
    keys = {"login": {"S": item.login}} if isinstance(item, LoginItem) else {}
    keys = keys or {"firm_no": {"S": item.firm_no}}
    model: type[Shaped] = type(item)
    connection_of(model).dispatch(
        "UpdateItem",
        {
            "TableName": model.Meta.table_name,
            "Key": keys,
            "UpdateExpression": "SET #s = :s",
            "ExpressionAttributeNames": {"#s": ATTRIBUTE},
            "ExpressionAttributeValues": {":s": {"N": str(shape)}},
        },
    )


def stored() -> list[Any]:
    """Return every item of the tables, in DynamoDB's own form."""
    connection = connection_of(LoginItem)
    every: tuple[type[Any], ...] = (*models.DURABLE, CodeItem)
    names = {model.Meta.table_name for model in every}
    found = [
        connection.dispatch("Scan", {"TableName": name, "ConsistentRead": True})["Items"]
        for name in sorted(names)
    ]
    return [sorted(items, key=str) for items in found]


def test_the_long_lived_items_have_a_versioned_shape() -> None:
    """Firms, logins with their bindings, followers, and the audit."""
    assert {model for model in models.DURABLE if issubclass(model, Shaped)} == set(SHAPED)
    assert {model.SHAPE for model in SHAPED} == {1}


@pytest.mark.parametrize("shape", [None, 1])
def test_an_item_of_the_older_shape_is_read(world: World, shape: int | None) -> None:
    """Without the attribute, as all items have been written so far, or with the first number."""
    login, firm = LoginItem.get(LOGIN), FirmItem.get(LOGIN)
    assert [item.shape for item in (login, firm)] == [None] * 2
    if shape is not None:
        set_shape(login, shape)
        set_shape(firm, shape)
    token = world.token()
    assert world.send(token).status_code == 202
    assert world.confirm(token, world.phones.codes[-1]).status_code == 200
    assert world.login_item().shape == shape
    firms = world.service.firms.get(LOGIN)
    assert firms is not None


def test_a_newer_release_reads_both(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """During a release, and after its backfill; a refusal stays the refusal that it is."""
    monkeypatch.setattr(LoginItem, "SHAPE", 2)
    assert world.start().status_code == 201
    set_shape(world.login_item(), 2)
    token = world.token()
    assert world.send(token).status_code == 202
    assert world.service.desk.support.change_phone(LOGIN, NEW_PHONE, **BY).changed
    world.clock.time += 61
    assert world.send(token).json_body["code"] == "recovery-expired"
    verify = {"login": LOGIN, "password": "wrong"}
    codes = [world.call("POST", "/credentials/verify", verify).status_code for _ in range(6)]
    assert codes == [200] * 5 + [429]


def test_an_item_of_a_newer_shape_is_left_alone(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Every step answers 503 `unavailable`, and nothing is written, whichever write comes first."""
    token = world.token()
    world.send(token)
    code = world.phones.codes[-1]
    world.clock.time += 61
    set_shape(world.login_item(), 2)
    before = stored()
    verify = {"login": LOGIN, "password": "Opening-password-1"}
    answers = {
        "start": world.start(),
        "code": world.send(token),
        "progress": world.call("GET", "/recovery", token=token),
        "verify": world.call("POST", "/credentials/verify", verify),
    }
    for step, answer in answers.items():
        assert (answer.status_code, answer.json_body["code"]) == (503, "unavailable"), step
    assert "an item of LoginItem has the shape of a newer release" in caplog.text
    support = world.service.desk.support
    changes: tuple[Callable[..., object], ...] = (support.unlock, support.freeze, support.unbind)
    for change in changes:
        with pytest.raises(Unavailable):
            change(LOGIN, **BY)
    assert stored() == before
    # The last step counts its attempt in the code's item before it reaches the login's.
    answer = world.confirm(token, code)
    assert (answer.status_code, answer.json_body["code"]) == (503, "unavailable")
    tables = [items for items in stored() if not any("digest" in item for item in items)]
    assert tables == [items for items in before if not any("digest" in item for item in items)]


def test_a_newer_firm_and_a_newer_event_are_not_read(world: World) -> None:
    """As an unreadable item of another kind: the caller learns that the store is unavailable."""
    set_shape(FirmItem.get(LOGIN), 2)
    with pytest.raises(Unavailable):
        world.service.firms.get(LOGIN)
    AuditItem(LOGIN, "1", event="e", actor="a", shape=2).save()
    with pytest.raises(Unavailable):
        world.service.accounts.history(LOGIN, 5)
    with pytest.raises(Unavailable):
        audit.settle_send(LOGIN, "1", outcome="sent")
    FollowerItem("o-alice", following=True, since=1, shape=2).save()
    with pytest.raises(Unavailable):
        world.service.followers.is_following("o-alice")
    with pytest.raises(Unavailable):
        read(FollowerItem, "o-alice")
