"""Enrolling firms from a directory file, on moto."""

from __future__ import annotations

import threading
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import boto3
import pytest
from argon2 import PasswordHasher as Argon2

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.firms import FirmFacts
from chalicelib.store.models import AuditItem, FirmItem
from infra.ops import enrol
from infra.ops.enrolment.directory_row import COLUMN_NAMES, Row
from infra.ops.enrolment.enrolment import Enrolment, Report, Result
from infra.ops.enrolment.firms import Directory, Known, LoginChange
from infra.ops.files import directory_file
from infra.tables import create_tables
from tests.conftest import CheapHasher, MakeWorld, World
from tests.serial_moto import serial_moto  # noqa: F401

ROW = {
    "firm_no": "32990002",
    "name": "江苏样例会计师事务所有限公司",
    "province": "32",
    "approval_no": "苏财会〔2010〕0017号",
    "head_name": "甄示例",
    "head_id_last4": "432x",
    "phone": "13800001234",
    "finance_phone": "13900002222",
    "opening_password": "Opening-1",
}


pytestmark = pytest.mark.usefixtures("serial_moto")


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """A service without any firm."""
    return make_world()


def row(number: int = 2, **changed: str) -> Row:
    return Row(number, {**ROW, **changed})


def firm_rows(count: int) -> list[Row]:
    return [row(number, firm_no=f"{32_000_000 + number}") for number in range(2, count + 2)]


def enrolment(world: World, **parts: Any) -> Enrolment:
    given = {
        "directory": Directory(),
        "hasher": world.service.hasher,
        "area_codes": {},
        "clock": world.clock,
    }
    return Enrolment(**{**given, **parts})


def load(world: World, rows: Iterable[Row], **parts: Any) -> list[Result]:
    return list(enrolment(world, **parts).load(rows, actor="tester", reason="a test"))


def events(login: str) -> list[AuditItem]:
    return list(AuditItem.query(login))


def stored() -> dict[str, list[dict[str, Any]]]:
    """Everything in the three tables that enrolment writes."""
    client = boto3.client("dynamodb")
    return {
        name: sorted(client.scan(TableName=f"recovery-{name}")["Items"], key=str)
        for name in ("firms", "logins", "audit")
    }


def test_a_firm_comes_with_its_two_logins(world: World) -> None:
    """The firm's facts, the opening password of the main login, the default one of the other."""
    (result,) = load(world, [row()])
    assert result == Result(2, "32990002", "loaded", hashes=2)
    firm = FirmItem.get("32990002")
    assert (firm.name, firm.province, firm.head_id_last4) == (ROW["name"], "32", "432X")
    main, finance = world.login_item("32990002"), world.login_item("32990002_cw")
    assert (main.phone, finance.phone) == ("+8613800001234", "+8613900002222")
    assert world.service.hasher.verify(main.password_hash, "Opening-1")
    assert world.service.hasher.verify(finance.password_hash, "025432X")
    assert (main.must_change, finance.must_change) == (False, True)
    for login in (main, finance):
        assert login.password_hash.startswith("v1:$argon2id$")
        assert (login.firm_no, login.province, login.head_id_last4) == ("32990002", "32", "432X")
        assert (login.password_version, login.changed_at) == (1, world.clock.time)
        (event,) = events(login.login)
        assert (event.event, event.actor, event.reason) == ("enrolled", "tester", "a test")
        assert event.destination == f"{login.phone[3:6]}****{login.phone[-4:]}"


def test_enrolled_logins_recover_their_passwords(world: World) -> None:
    """What enrolment wrote is what a recovery needs."""
    load(world, [row()])
    token = world.token("32990002_cw")
    world.send(token)
    assert world.phones.sent[0].to == "+8613900002222"
    assert world.confirm(token, world.phones.codes[0]).status_code == 200


def test_the_same_file_twice_changes_nothing(world: World) -> None:
    """The second load hashes nothing and writes nothing, not even an event."""
    rows = [row(), row(3, firm_no="32990003", phone="", opening_password="")]
    load(world, rows)
    before = stored()
    world.clock.time += 1
    assert [(one.outcome, one.hashes) for one in load(world, rows)] == [("unchanged", 0)] * 2
    assert stored() == before


def test_a_second_load_asks_for_many_firms_at_once(world: World) -> None:
    """Two BatchGetItem for all the rows, and nothing else."""
    rows = firm_rows(12)
    load(world, rows)
    calls: list[str] = []
    # All tables have one client.
    client = FirmItem._get_connection().connection.client
    client.meta.events.register("before-call.dynamodb", lambda model, **_: calls.append(model.name))
    load(world, rows)
    assert calls == ["BatchGetItem"] * 2


def test_firms_are_looked_up_by_fifties(world: World) -> None:
    """A hundred logins are what one BatchGetItem may ask for."""
    directory = Forgetful()
    load(world, firm_rows(120), directory=directory, hasher=Instant(world.service._peppers))
    assert directory.asked == [50, 50, 20]


def test_a_password_that_exists_is_never_overwritten(world: World) -> None:
    """Whatever the file says, the person's own password stays, and so does must_change."""
    load(world, [row()])
    token = world.token("32990002_cw")
    world.send(token)
    assert world.confirm(token, world.phones.codes[0], "Recovered-7").status_code == 200
    load(world, [row(opening_password="Opening-2", head_id_last4="9999", name="改名")])
    main, finance = world.login_item("32990002"), world.login_item("32990002_cw")
    assert world.service.hasher.verify(main.password_hash, "Opening-1")
    assert world.service.hasher.verify(finance.password_hash, "Recovered-7")
    assert not finance.must_change
    assert (main.head_id_last4, finance.head_id_last4) == ("9999", "9999")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("name", "改名会计师事务所"),
        ("province", "33"),
        ("approval_no", "苏财会〔2010〕0018号"),
        ("head_name", "尤样例"),
        ("head_id_last4", "1111"),
    ],
)
def test_changed_facts_reach_the_firm_and_both_logins(
    world: World, column: str, value: str
) -> None:
    """A firm that moved, was renamed or has a new head is changed in every copy."""
    load(world, [row()])
    world.clock.time += 1
    (result,) = load(world, [row(**{column: value})])
    assert (result.outcome, result.hashes) == ("loaded", 0)
    assert getattr(FirmItem.get("32990002"), column) == value
    for login in ("32990002", "32990002_cw"):
        item = world.login_item(login)
        assert item.phone
        assert item.password_version == 1
        assert events(login)[-1].event == "enrolment-updated"
        if column in ("province", "head_id_last4"):
            assert getattr(item, column) == value
    (again,) = load(world, [row(**{column: value})])
    assert again.outcome == "unchanged"


def test_a_phone_is_bound_where_there_is_none(world: World) -> None:
    """A number that the association learnt later comes with the next file."""
    load(world, [row(phone="", finance_phone="")])
    world.clock.time += 1
    (result,) = load(world, [row(phone="")])
    assert (result.outcome, result.notes) == ("loaded", ())
    assert world.login_item("32990002").phone is None
    assert world.login_item("32990002_cw").phone == "+8613900002222"
    assert len(events("32990002")) == 1
    assert [event.event for event in events("32990002_cw")] == ["enrolled", "enrolment-updated"]


def test_a_bound_phone_stays_and_the_operator_is_told(world: World) -> None:
    """A file is no way to lead somebody's codes to another phone unseen."""
    load(world, [row()])
    (result,) = load(world, [row(phone="13700000000", finance_phone="")])
    assert result.outcome == "unchanged"
    assert result.notes == ("32990002已绑定其他手机号，未改动；变更请用 ops phone",)
    assert world.login_item("32990002").phone == "+8613800001234"
    assert world.login_item("32990002_cw").phone == "+8613900002222"


def test_a_bound_phone_is_changed_by_whoever_may(world: World) -> None:
    """Where phones are to be updated, each one goes the way of an operator's change."""
    changes: list[tuple[str, str]] = []
    load(world, [row()])
    (result,) = load(
        world,
        [row(phone="13700000000")],
        rebind=lambda login, phone: changes.append((login, phone)),
    )
    assert changes == [("32990002", "+8613700000000")]
    assert (result.outcome, result.notes) == ("loaded", ("32990002绑定的手机号已变更",))


def test_a_hash_of_the_old_system_is_kept_as_it_came(world: World) -> None:
    """A PHC string is stored itself, works, and costs no hashing."""
    made = Argon2(time_cost=1, memory_cost=64, parallelism=1).hash("旧密码1")
    (result,) = load(world, [row(opening_password=made)])
    assert result.hashes == 1
    main = world.login_item("32990002")
    assert main.password_hash == made
    assert world.service.hasher.verify(main.password_hash, "旧密码1")
    assert world.service.hasher.needs_rehash(main.password_hash)


def test_without_an_opening_password_a_login_has_none(world: World) -> None:
    """The row loads with a note; a later file may bring the password, once."""
    (result,) = load(world, [row(opening_password="")])
    assert (result.outcome, result.hashes) == ("loaded", 1)
    assert result.notes == ("没有开户密码，账号须先找回密码才能登录",)
    main = world.login_item("32990002")
    assert main.password_hash is None
    assert (main.password_version, main.must_change, main.changed_at) == (0, False, 0)
    (later,) = load(world, [row()])
    assert (later.outcome, later.notes, later.hashes) == ("loaded", (), 1)
    main = world.login_item("32990002")
    assert main.password_version == 1
    assert world.service.hasher.verify(main.password_hash, "Opening-1")


def test_a_weak_opening_password_loads(world: World) -> None:
    """The old system let people have it; the policy is for new ones."""
    assert load(world, [row(opening_password="1")])[0].outcome == "loaded"


def test_a_bad_row_loads_nothing_and_stops_nobody(world: World) -> None:
    """Its reasons are said, in the rows' order, and the rows around it are loaded."""
    rows = [
        row(2),
        row(3, firm_no="32990003", phone="1", province="99"),
        row(4, firm_no="32990004"),
    ]
    results = load(world, rows)
    assert [(one.row, one.outcome) for one in results] == [
        (2, "loaded"),
        (3, "refused"),
        (4, "loaded"),
    ]
    assert results[1].firm_no == "32990003"
    assert results[1].reasons == ("province应为两位行政区划代码", "phone应为11位大陆手机号")
    assert not any("32990003" in str(items) for items in stored().values())


def test_the_second_row_of_a_firm_is_at_fault(world: World) -> None:
    """Each firm stands in a file once; the first good row counts, however its number is typed."""
    bad = row(2, province="99")
    again = row(4, firm_no="３２９９０００２", name="另一家")
    results = load(world, [bad, row(3), again])
    assert [one.outcome for one in results] == ["refused", "loaded", "refused"]
    assert results[2].reasons == ("firm_no与第3行重复",)
    assert FirmItem.get("32990002").name == ROW["name"]


class Uneven(CheapHasher):
    """Takes longest for the rows that come first."""

    def hash(self, password: str) -> str:
        time.sleep(0.01 if password == "1" else 0)
        return "v1:$argon2id$"


def test_results_come_in_the_rows_order(world: World) -> None:
    """However long each hash takes."""
    rows = [row(n, firm_no=str(32_000_000 + n), opening_password=str(n % 5)) for n in range(2, 132)]
    hasher = Uneven(world.service._peppers)
    results = load(world, rows, workers=4, hasher=hasher, directory=Forgetful())
    assert [one.row for one in results] == list(range(2, 132))


class Slow(CheapHasher):
    """Goes on only when two passwords are being hashed at once."""

    def __init__(self, peppers: dict[int, bytes]) -> None:
        super().__init__(peppers)
        self.met = threading.Barrier(2, timeout=20)

    def hash(self, password: str) -> str:
        self.met.wait()
        return super().hash(password)


def test_passwords_are_hashed_side_by_side(world: World) -> None:
    """Hashing one at a time would never get past the first."""
    results = load(world, firm_rows(4), hasher=Slow(world.service._peppers), workers=2)
    assert [one.outcome for one in results] == ["loaded"] * 4


class Forgetful(Directory):
    """Takes every firm and keeps none."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.written = 0

    def known(self, firm_nos: Sequence[str]) -> dict[str, Known]:
        self.asked.append(len(firm_nos))
        return dict.fromkeys(firm_nos, Known(None, None, None))

    def write(self, facts: FirmFacts, changes: Sequence[LoginChange], **_: Any) -> None:
        self.written += 1


def test_only_a_bounded_number_of_rows_is_under_way(world: World) -> None:
    """Rows are not read faster than they are loaded."""
    read = 0

    def rows() -> Iterator[Row]:
        nonlocal read
        for one in firm_rows(1_000):
            read += 1
            yield one

    ahead = 0
    for done, _ in enumerate(load_lazily(world, rows(), directory=Forgetful()), 1):
        ahead = max(ahead, read - done)
    assert done == 1_000
    assert ahead <= 150


def load_lazily(world: World, rows: Iterable[Row], **parts: Any) -> Iterator[Result]:
    return enrolment(world, **parts).load(rows, actor="tester", reason="a test")


def test_whoever_stops_listening_stops_the_load(world: World) -> None:
    """An operator's Ctrl-C does not wait for thousands of hashes."""
    directory = Forgetful()
    loading = load_lazily(world, firm_rows(1_000), directory=directory)
    next(loading)
    loading.close()  # type: ignore[attr-defined]
    assert directory.written <= 150
    assert not [t for t in threading.enumerate() if t.name.startswith("enrolment")]


class Instant(CheapHasher):
    """No hashing at all, where memory is what is tested."""

    def hash(self, password: str) -> str:
        return "v1:$argon2id$"


def write_file(path: Path, firms: int) -> Path:
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join(COLUMN_NAMES) + "\n")
        for number in range(firms):
            line = {**ROW, "firm_no": str(32_000_000 + number)}
            file.write(",".join(line.values()) + "\n")
    return path


def test_memory_is_flat_however_long_the_file(world: World, tmp_path: Path) -> None:
    """A row leaves behind no more than its firm's number, by which a second one is found."""

    def peak(firms: int) -> int:
        path = write_file(tmp_path / f"{firms}.csv", firms)
        report = Report()
        loading = load_lazily(
            world,
            directory_file.rows(path),
            directory=Forgetful(),
            hasher=Instant(world.service._peppers),
        )
        tracemalloc.start()
        try:
            for result in loading:
                report.add(result)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            assert report.loaded == firms

    peak(200)
    small, large = peak(1_000), peak(5_000)
    assert (large - small) / 4_000 < 200, (small, large)


class Stale(Directory):
    """Sees the tables as they were before somebody else came."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        self._meanwhile = meanwhile

    def known(self, firm_nos: Sequence[str]) -> dict[str, Known]:
        found = super().known(firm_nos)
        meanwhile, self._meanwhile = self._meanwhile, lambda: None
        meanwhile()
        return found


@pytest.mark.parametrize("there", [False, True])
def test_who_was_faster_is_not_overwritten(world: World, there: bool) -> None:
    """A password and a phone set between looking and writing stay; the row goes on with the rest.

    So whether the login was not there at all, or only without a password and a phone.
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
def test_either_of_the_two_is_guarded_by_itself(world: World, column: str) -> None:
    """A phone that somebody bound meanwhile stays though no password came with it, and so on."""
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


class Broken(Directory):
    """Stops answering after some writes."""

    def __init__(self, writes: int) -> None:
        self._left = writes

    def write(self, facts: FirmFacts, changes: Sequence[LoginChange], **given: Any) -> None:
        self._left -= 1
        if self._left < 0:
            raise Unavailable("store")
        super().write(facts, changes, **given)


def test_a_store_that_stops_answering_stops_the_load(world: World) -> None:
    """The rows before are reported, the error comes out, and the next load completes the file."""
    rows = firm_rows(12)
    done: list[Result] = []
    with pytest.raises(Unavailable):
        done.extend(load_lazily(world, rows, directory=Broken(5), workers=1))
    assert [one.outcome for one in done] == ["loaded"] * 5
    again = load(world, rows)
    assert [one.outcome for one in again] == ["unchanged"] * 5 + ["loaded"] * 7


def test_a_file_is_loaded_with_its_name_and_digest_as_reason(world: World, tmp_path: Path) -> None:
    """The audit says which file an account came from; the report says how long it took."""
    path = write_file(tmp_path / "firms.csv", 3)
    counts: list[int] = []
    seen: list[Result] = []
    report = enrol.load(path, seen.append, counted=counts.append)
    assert (report.loaded, report.unchanged, report.refused, counts) == (3, 0, [], [3])
    assert [one.row for one in seen] == [2, 3, 4]
    assert report.hashes == 6
    assert report.hashes_per_second == pytest.approx(6 / report.seconds)
    (event,) = events("32000000")
    assert event.actor == "local"
    assert event.reason == enrol.source_of(path)
    assert event.reason.startswith("firms.csv sha256:")


def test_a_file_that_breaks_off_loads_nothing(world: World, tmp_path: Path) -> None:
    """It is read to its end before the first row is written."""
    path = write_file(tmp_path / "firms.csv", 3)
    path.write_bytes(path.read_bytes() + b"32990009,\xff\xff")
    with pytest.raises(directory_file.DirectoryError):
        enrol.load(path)
    assert stored() == {"firms": [], "logins": [], "audit": []}


def test_an_interrupted_load_hands_over_what_it_knows(world: World, tmp_path: Path) -> None:
    """The operator sees how far it came."""
    path = write_file(tmp_path / "firms.csv", 3)
    boto3.client("dynamodb").delete_table(TableName="recovery-audit")
    with pytest.raises(enrol.Interrupted) as error:
        enrol.load(path)
    assert error.value.report.loaded == 0
    assert stored_logins() == []


def stored_logins() -> list[Any]:
    return list(boto3.client("dynamodb").scan(TableName="recovery-logins")["Items"])


def test_two_loads_at_once_enrol_each_firm_once(
    dynamodb_local: str, monkeypatch: pytest.MonkeyPatch, make_world: MakeWorld
) -> None:
    """On DynamoDB itself: one password a login, one event of enrolment, no row lost."""
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
