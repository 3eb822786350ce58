"""Enrolment while another process writes the same firm."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import boto3
import pytest

from chalicelib.domain.catalogue import DIRECTORY_FAULTS
from chalicelib.store.dynamo import ConditionFailed
from chalicelib.store.models import FirmItem
from infra.deploy.tables import create_tables
from infra.ops.enrolment.enrolment import Result
from infra.ops.enrolment.firms import Directory, Known
from tests.conftest import MakeWorld, World
from tests.support.enrolment_cases import ROW, events, firm_rows, load, row

pytestmark = pytest.mark.usefixtures("serial_moto")


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """A service without any firm."""
    return make_world()


class Stale(Directory):
    """A directory whose first read is followed by another write."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        self._meanwhile = meanwhile

    def known(self, firm_nos: Sequence[str]) -> dict[str, Known]:
        found = super().known(firm_nos)
        meanwhile, self._meanwhile = self._meanwhile, lambda: None
        meanwhile()
        return found


class Overtaken(Directory):
    """A directory in which another process always writes first."""

    def write(self, *_: object, **__: object) -> None:
        raise ConditionFailed([None], [True])


def test_a_firm_that_changes_again_and_again_is_refused(world: World) -> None:
    """The report asks for a repeat; nothing of the row is written."""
    (result,) = load(world, [row()], directory=Overtaken())
    assert (result.outcome, result.reasons) == ("refused", (DIRECTORY_FAULTS["store"],))
    assert FirmItem.count() == 0


@pytest.mark.parametrize("there", [False, True])
def test_a_concurrent_write_is_not_overwritten(world: World, there: bool) -> None:
    """A password and a phone set between read and write stay; the rest of the row is written.

    Both where the login did not exist and where it had no password and no phone.
    """
    if there:
        load(world, [row(opening_password="", phone="", finance_phone="")])

    def other() -> None:
        load(world, [row(opening_password="Theirs-1", phone="13700000000", finance_phone="")])

    (result,) = load(world, [row(name="改名")], directory=Stale(other))
    assert result.outcome == "loaded"
    assert result.notes == ("32990002已绑定其他手机号，未改动；变更请用 ops phone",)
    main = world.login_item("32990002")
    assert world.service.hasher.verify(main.password_hash, "Theirs-1")
    assert (main.phone, main.password_version) == ("+8613700000000", 1)
    assert world.login_item("32990002_cw").phone == "+8613900002222"
    assert FirmItem.get("32990002").name == "改名"


@pytest.mark.parametrize("column", ["phone", "opening_password"])
def test_password_and_phone_are_guarded_separately(world: World, column: str) -> None:
    """A concurrently set phone stays where no password was set with it, and vice versa."""
    load(world, [row(opening_password="", phone="")])
    theirs = {"phone": "", "opening_password": ""}
    values = {"phone": "13700000000", "opening_password": "Theirs-1"}

    def other() -> None:
        load(world, [row(**{**theirs, column: values[column]})])

    mine = {**theirs, column: ROW[column]}
    load(world, [row(**mine)], directory=Stale(other))
    main = world.login_item("32990002")
    if column == "phone":
        assert main.phone == "+8613700000000"
    else:
        assert world.service.hasher.verify(main.password_hash, "Theirs-1")


def test_two_loads_at_once_enrol_each_firm_once(
    dynamodb_local: str, monkeypatch: pytest.MonkeyPatch, make_world: MakeWorld
) -> None:
    """On DynamoDB Local: one password and one audit event per login, no row lost."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", dynamodb_local)
    world = make_world(TABLE_PREFIX="enrolment-race")
    create_tables(boto3.client("dynamodb"), "enrolment-race")
    rows = firm_rows(15)
    results: list[list[Result]] = []
    threads = [
        threading.Thread(target=lambda: results.append(load(world, rows, workers=4)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(one) for one in results] == [15] * 3
    for same_row in zip(*results, strict=True):
        outcomes = {result.outcome for result in same_row}
        # The slower one may see a part of what the faster one is writing, and write it again.
        assert "loaded" in outcomes
        assert "refused" not in outcomes
    for one in rows:
        for login in (one.values["firm_no"], one.values["firm_no"] + "_cw"):
            assert world.login_item(login).password_version == 1
            assert [event.event for event in events(login)].count("enrolled") == 1
