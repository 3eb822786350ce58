"""The load of a directory file: reads, order, bounds, interruptions."""

from __future__ import annotations

import threading
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import boto3
import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.firms import FirmFacts
from chalicelib.store.models import FirmItem
from infra.ops import enrol
from infra.ops.enrolment.directory_row import Row
from infra.ops.enrolment.enrolment import Report, Result
from infra.ops.enrolment.firms import Directory, LoginChange
from infra.ops.files import directory_file
from tests.conftest import CheapHasher, MakeWorld, World
from tests.support.enrolment_cases import (
    PEPPERS,
    Forgetful,
    Instant,
    events,
    firm_rows,
    load,
    load_lazily,
    row,
    stored,
    write_file,
)

pytestmark = pytest.mark.usefixtures("serial_moto")


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """A service without any firm."""
    return make_world()


def test_a_second_load_reads_in_batches(world: World) -> None:
    """All rows are read by two BatchGetItem, and nothing is written."""
    rows = firm_rows(12)
    load(world, rows)
    calls: list[str] = []
    # All tables have one client.
    client = FirmItem._get_connection().connection.client
    client.meta.events.register("before-call.dynamodb", lambda model, **_: calls.append(model.name))
    load(world, rows)
    assert calls == ["BatchGetItem"] * 2


def test_firms_are_looked_up_by_fifties(world: World) -> None:
    """One BatchGetItem may read a hundred items, which are the logins of fifty firms."""
    directory = Forgetful()
    list(load_lazily(world, firm_rows(120), directory=directory, hasher=Instant()))
    assert directory.lookups == [50, 50, 20]


class Uneven(CheapHasher):
    """A hasher that is slow for the password `1` only."""

    def __init__(self) -> None:
        super().__init__(PEPPERS)

    def hash(self, password: str) -> str:
        time.sleep(0.01 if password == "1" else 0)
        return "v1:$argon2id$"


def test_results_come_in_the_rows_order(world: World) -> None:
    """Also where hashes take different times."""
    rows = [row(n, firm_no=str(32_000_000 + n), opening_password=str(n % 5)) for n in range(2, 132)]
    results = list(load_lazily(world, rows, workers=4, hasher=Uneven(), directory=Forgetful()))
    assert [one.row for one in results] == list(range(2, 132))


class Slow(CheapHasher):
    """A hasher that waits until two passwords are being hashed."""

    def __init__(self) -> None:
        super().__init__(PEPPERS)
        self.both = threading.Barrier(2, timeout=20)

    def hash(self, password: str) -> str:
        self.both.wait()
        return super().hash(password)


def test_passwords_are_hashed_in_parallel(world: World) -> None:
    """A sequential load would wait for ever at its first hash."""
    results = list(load_lazily(world, firm_rows(4), hasher=Slow(), workers=2))
    assert [one.outcome for one in results] == ["loaded"] * 4


def test_the_number_of_rows_in_progress_is_bounded(world: World) -> None:
    """Rows are not read faster than they are written."""
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


def test_closing_the_results_stops_the_load(world: World) -> None:
    """An operator's Ctrl-C does not wait for thousands of hashes."""
    directory = Forgetful()
    loading = load_lazily(world, firm_rows(1_000), directory=directory)
    next(loading)
    loading.close()
    assert directory.written <= 150
    assert not [t for t in threading.enumerate() if t.name.startswith("enrolment")]


def test_memory_does_not_grow_with_the_file(world: World, tmp_path: Path) -> None:
    """Only the firm's number of a row is kept, to find a second row of it and the firms without one."""

    def peak(firms: int) -> int:
        path = write_file(tmp_path / f"{firms}.csv", firms)
        report = Report()
        loading = load_lazily(
            world,
            directory_file.rows(path),
            directory=Forgetful(),
            hasher=Instant(),
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
    # Both are beyond the 150 rows that may be in progress, so that the difference is what rows leave.
    small, large = peak(500), peak(2_500)
    assert (large - small) / 2_000 < 300, (small, large)


class Broken(Directory):
    """A directory that fails after some writes."""

    def __init__(self, writes: int) -> None:
        self._left = writes

    def write(self, facts: FirmFacts, changes: Sequence[LoginChange], **kwargs: Any) -> None:
        self._left -= 1
        if self._left < 0:
            raise Unavailable("store")
        super().write(facts, changes, **kwargs)


def test_a_failing_store_stops_the_load(world: World) -> None:
    """The rows before are reported, the error is raised, and the next load completes the file."""
    rows = firm_rows(12)
    done: list[Result] = []
    with pytest.raises(Unavailable):
        done.extend(load_lazily(world, rows, directory=Broken(5), workers=1))
    assert [one.outcome for one in done] == ["loaded"] * 5
    again = load(world, rows)
    assert [one.outcome for one in again] == ["unchanged"] * 5 + ["loaded"] * 7


def test_a_file_is_loaded_with_its_name_and_digest_as_reason(world: World, tmp_path: Path) -> None:
    """The audit has the file of an account; the report has the duration."""
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


def test_an_undecodable_file_loads_nothing(world: World, tmp_path: Path) -> None:
    """The whole file is read before the first row is written."""
    path = write_file(tmp_path / "firms.csv", 3)
    path.write_bytes(path.read_bytes() + b"32990009,\xff\xff")
    with pytest.raises(directory_file.DirectoryError):
        enrol.load(path)
    assert stored() == {"firms": [], "logins": [], "audit": []}


def test_an_interrupted_load_has_a_report(world: World, tmp_path: Path) -> None:
    """The exception has the counts so far."""
    path = write_file(tmp_path / "firms.csv", 3)
    boto3.client("dynamodb").delete_table(TableName="recovery-audit")
    with pytest.raises(enrol.Interrupted) as error:
        enrol.load(path)
    assert error.value.report.loaded == 0
    assert list(boto3.client("dynamodb").scan(TableName="recovery-logins")["Items"]) == []
