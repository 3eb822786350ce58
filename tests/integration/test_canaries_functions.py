"""Canaries in the calls of AWS and of vendors: the yearly reset and delivery receipts."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

import pytest

from app import sms_receipts
from chalicelib.handlers.middleware import FunctionFailed
from chalicelib.security.password_hasher import PasswordHasher
from chalicelib.store import audit
from chalicelib.store.models import AuditItem, LoginItem
from chalicelib.store.reset_runs import ResetRuns
from tests.conftest import CheapHasher
from tests.support.canaries import (
    HEAD,
    ID_DIGITS,
    KEYS,
    OPENID,
    PHONE,
    SECRETS,
    nothing_leaked,
    quoting,
    refusals,
    shown,
    unmasked,
)
from tests.support.http_server import Server
from tests.support.log_capture import Watched
from tests.support.receipt_cases import (
    Make,
    aliyun,
    code_sent,
    fate,
    logs,
    push,
    sns_line,
    tencent,
)
from tests.support.yearly_reset import (
    YEAR,
    ResetWorld,
    client,
    interrupted,
)

pytestmark = pytest.mark.usefixtures("canary_keys")

# The yearly reset

FINANCE = "11010148_cw"
DEFAULT = f"010{ID_DIGITS}"
OF_THE_RESET = {DEFAULT, ID_DIGITS, PHONE, OPENID, HEAD}


def _reset_with_failures(reset: ResetWorld, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a yearly reset that fails in planning, in hashing and in the store before it succeeds.

    Return its messages, notes and announcements.
    """

    def hash_(self: PasswordHasher, password: str) -> str:
        logging.getLogger("argon2").warning("slow: hash(%r)", password)
        return real(self, password)

    real = CheapHasher.hash
    monkeypatch.setattr(CheapHasher, "hash", hash_)
    LoginItem(FINANCE).update([LoginItem.openid.set(OPENID)])
    fail = quoting(DEFAULT, ID_DIGITS, PHONE, OPENID)
    with monkeypatch.context() as patch:
        patch.setattr(ResetRuns, "open", fail)
        with pytest.raises(FunctionFailed, match=r"^RuntimeError$"):
            reset.schedule()
    reset.schedule()
    queued = reset.receive()
    assert queued
    with monkeypatch.context() as patch:
        patch.setattr(CheapHasher, "hash", fail)
        assert len(reset.invoke(queued)) == len(queued)
    faults = iter([RuntimeError(f"cannot write {DEFAULT} of {PHONE}")])

    def fault(operation: str) -> BaseException | None:
        return next(faults, None) if operation == "TransactWriteItems" else None

    with interrupted([client()], fault, after=False):
        reset.delete(queued, reset.invoke(queued))
    reset.work()
    assert reset.adds_up()
    notes = [repr(note) for note in reset.story.notes(YEAR)]
    return "\n".join(
        [*(str(message["Body"]) for message in queued), *notes, *reset.announcements()]
    )


def test_the_log_shows_no_canary_of_a_yearly_reset(
    reset: ResetWorld, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No default password, ID digits or phone; nor do messages, notes or announcements."""
    written = _reset_with_failures(reset, monkeypatch)
    for words in ("slow: hash", "cannot do it", "a message will be delivered again"):
        assert words in watched.text
    nothing_leaked(watched.text, OF_THE_RESET)
    nothing_leaked(written, OF_THE_RESET)


def test_without_masking_the_log_shows_the_canaries_of_a_yearly_reset(
    reset: ResetWorld, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same run shows them where nothing is masked."""
    unmasked(monkeypatch)
    _reset_with_failures(reset, monkeypatch)
    expected = {DEFAULT, ID_DIGITS, PHONE, OPENID, *SECRETS}
    assert expected <= shown(watched.text, {*OF_THE_RESET, *SECRETS})


# Delivery receipts

PATH = KEYS["RECEIPTS_PATH"]


def _receive_receipts(
    make: Make, vendors: Server, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[str], set[str]]:
    """Push valid and invalid receipts that quote phone and text, then let the store fail.

    Return the problems of the API and the canaries.
    """
    world = make("aliyun", **{name: KEYS[name] for name in KEYS if name.startswith(("SMS", "REC"))})
    item = code_sent(world)
    code = _code(vendors)
    refused = refusals(world)
    quotes = {"err_msg": f"停机 {PHONE}：验证码{code}", "description": f"+86{PHONE} {code}"}
    valid: dict[str, Any] = {**aliyun(f"11010148/{item.at}", success=False), **quotes}
    push(world, "aliyun", valid, key=PATH)
    assert fate()[2] == "failed"
    push(world, "tencent", {**tencent(success=False), **quotes}, key=PATH)
    for invalid in ({**valid, "success": PHONE}, {**valid, "biz_id": [code]}, {PHONE: code}):
        push(world, "aliyun", invalid, key=PATH)
    push(world, "aliyun", valid, key=f"{PATH}{PHONE}")
    world.call("POST", f"/receipts/aliyun/{PATH}?phone={PHONE}", f"{PHONE}={code}".encode())
    line = sns_line("m-1", success=False)
    line["delivery"]["providerResponse"] = quotes["err_msg"]
    sms_receipts(logs(line, {**line, "status": PHONE}), None)
    sms_receipts({"awslogs": {"data": PHONE}}, None)
    monkeypatch.setattr(audit, "add_receipt", quoting(PHONE, code))
    push(world, "aliyun", valid, key=PATH)
    monkeypatch.setattr(audit, "message_of", quoting(PHONE, code))
    with pytest.raises(FunctionFailed, match=r"^RuntimeError$"):
        sms_receipts(logs(line), None)
    return refused, {PHONE, code}


def _code(vendors: Server) -> str:
    """Return the code in the last request to Aliyun."""
    path = vendors.received[-1].path
    found = re.search(r"code%22%3A%20%22([0-9]{6})", path)
    assert found is not None, path
    return found[1]


def test_the_log_shows_no_canary_of_a_receipt(
    make: Make, vendors: Server, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No phone, code or secret path; nor does the audit."""
    refused, canaries = _receive_receipts(make, vendors, monkeypatch)
    nothing_leaked(watched.text, canaries)
    assert len(refused) == 3
    nothing_leaked("\n".join(refused), canaries)
    stored = "\n".join(json.dumps(item.attribute_values, default=str) for item in AuditItem.scan())
    nothing_leaked(stored, canaries)


def test_without_masking_the_log_shows_the_canaries_of_a_receipt(
    make: Make, vendors: Server, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same run shows them where nothing is masked."""
    unmasked(monkeypatch)
    _, canaries = _receive_receipts(make, vendors, monkeypatch)
    assert canaries | SECRETS <= shown(watched.text, canaries | SECRETS)
