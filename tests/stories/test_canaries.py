"""Canary secrets go through the API, also in wrong places; no line and no figure shows one."""

# ruff: noqa: F811 - fixtures of other modules are imported by their names.
from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.telemetry import masking
from tests.callbacks import tell
from tests.conftest import World
from tests.watching import Watched, watched  # noqa: F401

PASSWORD = 'Canary-horse"7\\é'
PHONE = "13800001234"
OPENID = "oCanary0123456789abcdefghijk"
HEAD = "阿依古丽·买买提"


def _told(world: World) -> set[str]:
    """Tell the service every canary, rightly and wrongly; what must stand nowhere."""
    token = world.token(openid=OPENID)
    world.send(token)
    code = world.phones.codes[-1]
    world.confirm(token, "111111", PASSWORD)
    world.confirm(token, code, PASSWORD)
    tell(world, {"MsgType": "text", "MsgId": 7, "Content": f"密码{PHONE}，{code}"}, OPENID)
    world.call("POST", "/credentials/verify", {"login": "11010148", "password": PASSWORD})
    details = {"firm_no": "11010148", "approval_no": "x", "head_name": HEAD}
    world.call("POST", "/recovery/unbinding", details, token=world.token(openid=OPENID))
    world.call("POST", f"/recovery?password={quote(PASSWORD)}", {PASSWORD: PASSWORD})
    world.call("POST", "/recovery/password", f'{{"password": {json.dumps(PASSWORD)},'.encode())
    return {token, code, PASSWORD, PHONE, OPENID, HEAD}


def _shown(text: str, canaries: set[str]) -> set[str]:
    return {canary for canary in canaries if any(form in text for form in _forms(canary))}


def _forms(canary: str) -> set[str]:
    plain = json.dumps(canary, ensure_ascii=False)[1:-1]
    forms = {canary, plain, json.dumps(canary)[1:-1], repr(canary)[1:-1], quote(canary, safe="")}
    # And each within a line, which is JSON itself.
    return forms | {json.dumps(form, ensure_ascii=False)[1:-1] for form in forms}


def _fail(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the store and the phones quote what they were given, and fail."""

    def send(sms: object) -> None:
        raise RuntimeError(f"cannot send {sms}")

    def verify(stored: str, password: str) -> bool:
        raise RuntimeError(f"cannot compare {password} by {stored}")

    def read(login: str) -> None:
        raise Unavailable("store") from RuntimeError(f"cannot read {login} of {PHONE} {HEAD}")

    monkeypatch.setattr(world.phones, "send", send)
    world.call("POST", "/recovery/code", {}, token=world.token("11010148_cw"))
    monkeypatch.setattr(world.service.hasher, "verify", verify)
    world.call("POST", "/credentials/verify", {"login": "11010148", "password": PASSWORD})
    token = world.token("11010148_cw")
    monkeypatch.setattr(world.service.logins, "get", read)
    world.send(token)


def test_no_canary_is_in_a_line(
    world: World, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where all is well, and where what is used fails and quotes what it was given."""
    canaries = _told(world)
    world.clock.time += 61
    _fail(world, monkeypatch)
    assert "cannot compare" in watched.text
    assert not _shown(watched.text, canaries)


def test_without_masking_they_would_be(
    world: World, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same run finds canaries where nothing is hidden."""
    monkeypatch.setattr(masking, "hide", lambda text: text)
    canaries = _told(world)
    world.clock.time += 61
    _fail(world, monkeypatch)
    assert {PASSWORD, PHONE} <= _shown(watched.text, canaries)
