"""Canaries in the operators' commands: neither their output nor the log shows one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chalicelib.security.password_hasher import PasswordHasher
from chalicelib.sms.failover import Failover
from chalicelib.sms.gateway import Attempt, Outcome, Sms
from chalicelib.store.models import LoginItem
from infra.ops import __main__ as commands
from infra.ops.enrolment.directory_row import COLUMN_NAMES
from tests.conftest import CheapHasher, World
from tests.support.canaries import (
    HEAD,
    ID_DIGITS,
    OPENID,
    OPENING,
    PHONE,
    nothing_leaked,
    shown,
    unmasked,
)
from tests.support.yearly_reset import client

pytestmark = pytest.mark.usefixtures("canary_keys", "serial_moto")

LOGIN, ENROLLED = "11010148", "32990002"
NEW, BAD_PHONE, BAD_DIGITS = "13900002222", "1380000123x", "Canary-12"
DEFAULT = f"025{ID_DIGITS}"
CANARIES = {PHONE, NEW, OPENING, HEAD, ID_DIGITS, DEFAULT, OPENID, BAD_PHONE, BAD_DIGITS}
FIRM = {
    "firm_no": ENROLLED,
    "name": "江苏样例会计师事务所有限公司",
    "province": "32",
    "approval_no": "苏财会〔2010〕0017号",
    "head_name": HEAD,
    "head_id_last4": ID_DIGITS,
    "phone": PHONE,
    "finance_phone": NEW,
    "opening_password": OPENING,
}


@pytest.fixture
def firms(tmp_path: Path) -> Path:
    """A directory file with one valid row and five invalid ones, all with canaries."""
    invalid: list[dict[str, str]] = [
        {"firm_no": "32990003", "phone": BAD_PHONE},
        {"firm_no": "32990004", "head_id_last4": BAD_DIGITS},
        {"firm_no": "32990005", "province": "3", "name": ""},
        {"firm_no": ENROLLED},
        {"firm_no": "32990006", "opening_password": OPENING + "," + OPENING},
    ]
    lines = [
        ",".join({**FIRM, **changed}[name] for name in COLUMN_NAMES) for changed in [{}, *invalid]
    ]
    path = tmp_path / "firms.csv"
    path.write_text("\n".join([",".join(COLUMN_NAMES), *lines]), "utf-8")
    return path


class Refusing:
    """A gateway that refuses every message, and logs its recipient and text."""

    name = "console"

    def send(self, sms: Sms) -> Attempt:
        logging.getLogger("vendor").warning("cannot send %r to %s", sms, sms.to)
        return Attempt(self.name, Outcome.REFUSED, reason="no")


@pytest.fixture
def logging_dependencies(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make the hasher, the store's client and the gateway log their arguments."""

    def hash_(self: PasswordHasher, password: str) -> str:
        logging.getLogger("argon2").warning("slow: hash(%r)", password)
        return real(self, password)

    def log_call(model: Any, params: dict[str, Any], **_: Any) -> None:
        logging.getLogger("botocore.retries").warning("again: %s %s", model.name, params["body"])

    real = CheapHasher.hash
    monkeypatch.setattr(CheapHasher, "hash", hash_)
    monkeypatch.setattr(world.service, "sms", Failover([Refusing()]))
    events = client().meta.events
    events.register("before-call.dynamodb", log_call)
    yield
    events.unregister("before-call.dynamodb", log_call)


def _operate(firms: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Run every command on accounts; return the output on both streams."""
    LoginItem(LOGIN).update([LoginItem.openid.set(OPENID)])
    reason = ["--reason", "本人来函"]
    assert commands.main(["import", str(firms), *reason]) == 1
    # The phone is another firm's.
    assert commands.main(["phone", LOGIN, NEW, *reason]) == 2
    for arguments in (
        ["import", str(firms), *reason, "--json"],
        ["account", ENROLLED],
        ["phone", LOGIN, NEW, "--yes", *reason],
        ["phone", LOGIN, BAD_PHONE, *reason],
        ["unbind", LOGIN, *reason],
        ["unlock", LOGIN, *reason],
        ["account", LOGIN, "--json"],
        ["audit", LOGIN],
        ["audit", ENROLLED, "--json"],
        ["yearly-reset", "--year", "2027", "--dry-run"],
        ["import", str(firms), "--update-phones", *reason],
    ):
        assert commands.main(arguments) in (0, 1)
    out, err = capsys.readouterr()
    return str(out) + str(err)


def test_commands_print_and_log_no_canary(
    world: World, firms: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No phone, ID digits, name, password, openid or key; invalid rows included."""
    text = _operate(firms, capsys)
    assert "32990003" in text
    nothing_leaked(text, CANARIES)


@pytest.mark.usefixtures("logging_dependencies")
def test_commands_show_no_canary_that_a_dependency_logs(
    world: World, firms: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The hasher, the store's client and the gateway log all of their arguments."""
    text = _operate(firms, capsys)
    for word in ("slow: hash", "again: ", "cannot send"):
        assert word in text
    nothing_leaked(text, CANARIES)


@pytest.mark.usefixtures("logging_dependencies")
def test_without_masking_commands_show_the_canaries(
    world: World,
    firms: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same run shows them where nothing is masked."""
    unmasked(monkeypatch)
    text = _operate(firms, capsys)
    assert shown(text, CANARIES) >= {PHONE, NEW, OPENING, HEAD, ID_DIGITS, DEFAULT}
