"""Canaries go through what AWS and vendors call: the yearly reset, and delivery receipts."""

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


def _told(reset: ResetWorld, monkeypatch: pytest.MonkeyPatch) -> str:
    """A year's run that fails first, in planning, in hashing, in the store; what is queued and told."""

    def hash_(self: PasswordHasher, password: str) -> str:
        logging.getLogger("argon2").warning("slow: hash(%r)", password)
        return quiet(self, password)

    quiet = CheapHasher.hash
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


def test_no_canary_of_a_yearly_reset_is_in_a_line(
    reset: ResetWorld, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Default passwords, ID digits, phones; nor in the queue, the notes, or what operators read."""
    told = _told(reset, monkeypatch)
    for words in ("slow: hash", "cannot do it", "a message will be delivered again"):
        assert words in watched.text
    nothing_leaked(watched.text, OF_THE_RESET)
    nothing_leaked(told, OF_THE_RESET)


def test_without_masking_those_of_a_yearly_reset_would_be(
    reset: ResetWorld, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same run finds them where nothing is hidden."""
    unmasked(monkeypatch)
    _told(reset, monkeypatch)
    expected = {DEFAULT, ID_DIGITS, PHONE, OPENID, *SECRETS}
    assert expected <= shown(watched.text, {*OF_THE_RESET, *SECRETS})


# Delivery receipts

PATH = KEYS["RECEIPTS_PATH"]


def _received(
    make: Make, vendors: Server, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[str], set[str]]:
    """Receipts that quote the phone and the text, good ones and rubbish, then a store that fails."""
    world = make("aliyun", **{name: KEYS[name] for name in KEYS if name.startswith(("SMS", "REC"))})
    item = code_sent(world)
    code = _code(vendors)
    refused = refusals(world)
    quotes = {"err_msg": f"停机 {PHONE}：验证码{code}", "description": f"+86{PHONE} {code}"}
    good: dict[str, Any] = {**aliyun(f"11010148/{item.at}", success=False), **quotes}
    push(world, "aliyun", good, key=PATH)
    assert fate()[2] == "failed"
    push(world, "tencent", {**tencent(success=False), **quotes}, key=PATH)
    for rubbish in ({**good, "success": PHONE}, {**good, "biz_id": [code]}, {PHONE: code}):
        push(world, "aliyun", rubbish, key=PATH)
    push(world, "aliyun", good, key=f"{PATH}{PHONE}")
    world.call("POST", f"/receipts/aliyun/{PATH}?phone={PHONE}", f"{PHONE}={code}".encode())
    line = sns_line("m-1", success=False)
    line["delivery"]["providerResponse"] = quotes["err_msg"]
    sms_receipts(logs(line, {**line, "status": PHONE}), None)
    sms_receipts({"awslogs": {"data": PHONE}}, None)
    monkeypatch.setattr(audit, "add_receipt", quoting(PHONE, code))
    push(world, "aliyun", good, key=PATH)
    monkeypatch.setattr(audit, "message_of", quoting(PHONE, code))
    with pytest.raises(FunctionFailed, match=r"^RuntimeError$"):
        sms_receipts(logs(line), None)
    return refused, {PHONE, code}


def _code(vendors: Server) -> str:
    """The code that Aliyun was given."""
    asked = vendors.received[-1].path
    found = re.search(r"code%22%3A%20%22([0-9]{6})", asked)
    assert found is not None, asked
    return found[1]


def test_no_canary_of_a_receipt_is_in_a_line(
    make: Make, vendors: Server, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Phones, codes and the address that stands in for a signature; nor in the audit."""
    refused, canaries = _received(make, vendors, monkeypatch)
    nothing_leaked(watched.text, canaries)
    assert len(refused) == 6
    nothing_leaked("\n".join(refused), canaries)
    kept = "\n".join(json.dumps(item.attribute_values, default=str) for item in AuditItem.scan())
    nothing_leaked(kept, canaries)


def test_without_masking_those_of_a_receipt_would_be(
    make: Make, vendors: Server, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same run finds them where nothing is hidden."""
    unmasked(monkeypatch)
    _, canaries = _received(make, vendors, monkeypatch)
    assert canaries | SECRETS <= shown(watched.text, canaries | SECRETS)
