"""Canaries in requests of the API, also in wrong places: no log, metric or problem shows one."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from chalicelib.domain.errors import Unavailable
from tests.conftest import World
from tests.support.callbacks import send_message
from tests.support.canaries import (
    HEAD,
    OPENID,
    PASSWORD,
    PHONE,
    SECRETS,
    nothing_leaked,
    quoting,
    refusals,
    said,
    shown,
    unmasked,
)
from tests.support.log_capture import Watched

pytestmark = pytest.mark.usefixtures("canary_keys")


def _use_canaries(world: World) -> set[str]:
    """Send every canary in valid and invalid requests; return those that nothing may show."""
    token = world.token(openid=OPENID)
    world.send(token)
    code = world.phones.codes[-1]
    world.confirm(token, "111111", PASSWORD)
    world.confirm(token, code, PASSWORD)
    send_message(world, {"MsgType": "text", "MsgId": 7, "Content": f"密码{PHONE}，{code}"}, OPENID)
    world.call("POST", "/credentials/verify", {"login": "11010148", "password": PASSWORD})
    details = {"firm_no": "11010148", "approval_no": "x", "head_name": HEAD}
    world.call("POST", "/recovery/unbinding", details, token=world.token(openid=OPENID))
    world.call("POST", f"/recovery?password={quote(PASSWORD)}", {PASSWORD: PASSWORD})
    world.call("POST", "/recovery/password", f'{{"password": {json.dumps(PASSWORD)},'.encode())
    return {token, code, PASSWORD, PHONE, OPENID, HEAD}


def _fail(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the store, the gateway and the hasher fail with errors that quote their arguments."""

    def send(sms: object) -> None:
        raise RuntimeError(f"cannot send {sms}")

    def read(login: str) -> None:
        raise Unavailable("store") from RuntimeError(f"cannot read {login} of {PHONE} {HEAD}")

    monkeypatch.setattr(world.phones, "send", send)
    world.call("POST", "/recovery/code", {}, token=world.token("11010148_cw"))
    monkeypatch.setattr(world.service.hasher, "verify", quoting(PASSWORD, PHONE))
    world.call("POST", "/credentials/verify", {"login": "11010148", "password": PASSWORD})
    token = world.token("11010148_cw")
    monkeypatch.setattr(
        world.service.codes, "consume_attempt", quoting(PASSWORD, PHONE, OPENID, token)
    )
    world.confirm(token, "123123", PASSWORD)
    monkeypatch.setattr(world.service.logins, "get", read)
    world.send(token)


def test_the_log_shows_no_canary_of_the_api(
    world: World, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither where all calls succeed, nor where dependencies fail and quote their arguments."""
    refused = refusals(world)
    canaries = _use_canaries(world)
    world.clock.time += 61
    _fail(world, monkeypatch)
    assert sum("cannot do it" in line for line in watched.log.getvalue().splitlines()) == 2
    nothing_leaked(watched.text, canaries)
    assert len(refused) >= 6
    nothing_leaked("\n".join(refused), canaries)


def test_without_masking_the_log_shows_the_canaries_of_the_api(
    world: World, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same run shows them, and the settings' keys, where nothing is masked."""
    unmasked(monkeypatch)
    canaries = _use_canaries(world)
    world.clock.time += 61
    _fail(world, monkeypatch)
    assert {PASSWORD, PHONE, *SECRETS} <= shown(watched.text, canaries | SECRETS)


@pytest.mark.parametrize("canary", [PASSWORD, HEAD, "123456"])
def test_canaries_are_detected_in_every_encoding(canary: str) -> None:
    """Otherwise the tests of canaries could not fail."""
    for text in said(canary):
        line = json.dumps({"message": f"failed: {text}, at 12:00"}, ensure_ascii=False)
        assert shown(line, [canary]) == {canary}, line
    assert shown("at 1123456789 of 11234567", ["123456"]) == set()
