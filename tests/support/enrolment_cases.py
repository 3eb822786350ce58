"""Rows to enrol, what enrolment stores of them, and doubles of its store and its hasher."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from typing import Any

import boto3

from chalicelib.domain.firms import FirmFacts
from chalicelib.security.password_hasher import PasswordHasher
from chalicelib.store.models import AuditItem
from infra.ops.enrolment.directory_row import COLUMN_NAMES, Row
from infra.ops.enrolment.enrolment import Enrolment, Rebind, Result
from infra.ops.enrolment.firms import Directory, Known, LoginChange
from tests.conftest import CheapHasher, World

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

PEPPERS = {1: b"p" * 32}
"""For doubles of the hasher, whose hashes nobody verifies."""


def row(number: int = 2, /, **changed: str) -> Row:
    """A row of ROW with some columns changed."""
    return Row(number, {**ROW, **changed})


def firm_rows(count: int) -> list[Row]:
    """Rows of so many firms."""
    return [row(number, firm_no=f"{32_000_000 + number}") for number in range(2, count + 2)]


def load_lazily(
    world: World,
    rows: Iterable[Row],
    *,
    directory: Directory | None = None,
    hasher: PasswordHasher | None = None,
    rebind: Rebind | None = None,
    workers: int | None = None,
) -> Generator[Result, None, None]:
    """Load rows into the world's tables as the results are consumed."""
    enrolment = Enrolment(
        directory=directory or Directory(),
        hasher=hasher or world.service.hasher,
        area_codes={},
        clock=world.clock,
        rebind=rebind,
        workers=workers,
    )
    yield from enrolment.load(rows, actor="tester", reason="a test")


def load(
    world: World,
    rows: Iterable[Row],
    *,
    directory: Directory | None = None,
    rebind: Rebind | None = None,
    workers: int | None = None,
) -> list[Result]:
    """Load rows into the world's tables."""
    return list(load_lazily(world, rows, directory=directory, rebind=rebind, workers=workers))


def events(login: str) -> list[AuditItem]:
    """The login's audit events, oldest first."""
    return list(AuditItem.query(login))


def stored() -> dict[str, list[dict[str, Any]]]:
    """Every item of the three tables that enrolment writes."""
    client = boto3.client("dynamodb")
    return {
        name: sorted(client.scan(TableName=f"recovery-{name}")["Items"], key=str)
        for name in ("firms", "logins", "audit")
    }


def write_file(path: Path, firms: int) -> Path:
    """Write a directory file of so many firms, all with the facts of ROW."""
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join(COLUMN_NAMES) + "\n")
        for number in range(firms):
            line = {**ROW, "firm_no": str(32_000_000 + number)}
            file.write(",".join(line.values()) + "\n")
    return path


class Forgetful(Directory):
    """A store that accepts every firm and keeps none."""

    def __init__(self) -> None:
        self.lookups: list[int] = []
        self.written = 0

    def known(self, firm_nos: Sequence[str]) -> dict[str, Known]:
        """Report every firm as absent."""
        self.lookups.append(len(firm_nos))
        return dict.fromkeys(firm_nos, Known(None, None, None))

    def write(self, facts: FirmFacts, changes: Sequence[LoginChange], **_: Any) -> None:
        """Count the write."""
        self.written += 1


class Instant(CheapHasher):
    """A hasher that needs no time and no memory."""

    def __init__(self) -> None:
        super().__init__(PEPPERS)

    def hash(self, password: str) -> str:
        """Return the same text for every password."""
        return "v1:$argon2id$"
