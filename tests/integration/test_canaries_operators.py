"""Canaries go through the operators' commands: neither what they print nor what is logged has one."""

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
GIVEN = {PHONE, NEW, OPENING, HEAD, ID_DIGITS, DEFAULT, OPENID, BAD_PHONE, BAD_DIGITS}
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
    """A directory file with one good row and with bad ones, whose cells are canaries all the same."""
    bad: list[dict[str, str]] = [
        {"firm_no": "32990003", "phone": BAD_PHONE},
        {"firm_no": "32990004", "head_id_last4": BAD_DIGITS},
        {"firm_no": "32990005", "province": "3", "name": ""},
        {"firm_no": ENROLLED},
        {"firm_no": "32990006", "opening_password": OPENING + "," + OPENING},
    ]
    lines = [",".join({**FIRM, **changed}[name] for name in COLUMN_NAMES) for changed in [{}, *bad]]
    path = tmp_path / "firms.csv"
    path.write_text("\n".join([",".join(COLUMN_NAMES), *lines]), "utf-8")
    return path


class Refusing:
    """A gateway that takes nothing, and says to whom and what it was to send."""

    name = "console"

    def send(self, sms: Sms) -> Attempt:
        logging.getLogger("vendor").warning("cannot send %r to %s", sms, sms.to)
        return Attempt(self.name, Outcome.REFUSED, reason="no")


@pytest.fixture
def talkative(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hashing, the store's client and the gateway write down what they get, in bad times as usual."""

    def hash_(self: PasswordHasher, password: str) -> str:
        logging.getLogger("argon2").warning("slow: hash(%r)", password)
        return quiet(self, password)

    def tell(model: Any, params: dict[str, Any], **_: Any) -> None:
        logging.getLogger("botocore.retries").warning("again: %s %s", model.name, params["body"])

    quiet = CheapHasher.hash
    monkeypatch.setattr(CheapHasher, "hash", hash_)
    monkeypatch.setattr(world.service, "sms", Failover([Refusing()]))
    events = client().meta.events
    events.register("before-call.dynamodb", tell)
    yield
    events.unregister("before-call.dynamodb", tell)


def _operate(firms: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Enrol, look, change and look again; all that came out, on either stream."""
    LoginItem(LOGIN).update([LoginItem.openid.set(OPENID)])
    said = ["--reason", "本人来函"]
    for arguments in (
        ["import", str(firms)],
        ["import", str(firms), "--json"],
        ["account", ENROLLED],
        ["phone", LOGIN, NEW, *said],
        ["phone", LOGIN, BAD_PHONE, *said],
        ["unbind", LOGIN, *said],
        ["unlock", LOGIN, *said],
        ["account", LOGIN, "--json"],
        ["audit", LOGIN],
        ["audit", ENROLLED, "--json"],
        ["yearly-reset", "--year", "2027", "--dry-run"],
        ["import", str(firms), "--update-phones", *said],
    ):
        assert commands.main(arguments) in (0, 1)
    out, err = capsys.readouterr()
    return str(out) + str(err)


def test_no_canary_is_printed_or_logged(
    world: World, firms: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Phones, ID digits, names, opening and default passwords, openids, keys; bad rows as well."""
    text = _operate(firms, capsys)
    assert "32990003" in text
    nothing_leaked(text, GIVEN)


@pytest.mark.usefixtures("talkative")
def test_no_canary_comes_out_of_a_talkative_dependency(
    world: World, firms: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where what the commands use writes down what it gets."""
    text = _operate(firms, capsys)
    for word in ("slow: hash", "again: ", "cannot send"):
        assert word in text
    nothing_leaked(text, GIVEN)


@pytest.mark.usefixtures("talkative")
def test_without_masking_they_would_come_out(
    world: World,
    firms: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same run finds them where nothing is hidden."""
    unmasked(monkeypatch)
    text = _operate(firms, capsys)
    assert shown(text, GIVEN) >= {PHONE, NEW, OPENING, HEAD, ID_DIGITS, DEFAULT}
