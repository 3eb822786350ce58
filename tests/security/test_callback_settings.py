"""Attack 40: a callback whose token or key is empty or malformed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chalicelib import runtime
from chalicelib.settings import Secret, parsers, schema
from chalicelib.wechat import signature
from tests.conftest import SETTINGS, MakeWorld, World
from tests.security.mutation import SourceMutation, Together, attack
from tests.support.api_client import ApiClient
from tests.support.callbacks import changed, followers, post, query, signed

SUBSCRIBED: dict[str, object] = {"MsgType": "event", "Event": "subscribe"}

NO_TOKEN = SourceMutation(
    parsers.callback_token, 'r"[0-9A-Za-z]{3,32}", value.strip()', 'r".*", value.strip()'
)
NO_KEY = SourceMutation(parsers.aes_key, "len(key) != 43 or len(decoded) != 32", "False")
MISSING = SourceMutation(
    schema.load, "if not raw.strip():", "if not raw.strip() and row.default is not None:"
)


@attack(40, NO_TOKEN, NO_KEY, Together(MISSING, NO_TOKEN), Together(MISSING, NO_KEY))
def test_an_empty_or_malformed_token_or_key_is_refused_at_the_start(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With such a token anybody could sign, with such a key anybody could encrypt."""
    malformed = {"WECHAT_TOKEN": ("", " ", "x"), "WECHAT_AES_KEY": ("", " ", "A" * 42)}
    for name, values in malformed.items():
        for value in values:
            for setting, good in SETTINGS.items():
                monkeypatch.setenv(setting, value if setting == name else good)
            with runtime.using(None):
                assert ApiClient().request("GET", "/health").status_code == 503
    for setting, good in SETTINGS.items():
        monkeypatch.setenv(setting, good)
    with runtime.using(None):
        assert ApiClient().request("GET", "/health").status_code == 200


@attack(40, SourceMutation(signature.is_right, "not token or "))
def test_an_empty_token_verifies_no_signature(world: World) -> None:
    """A second check, should the settings ever allow it."""
    delivery = signed(world, SUBSCRIBED)
    given = query(delivery)
    encrypted = delivery.body.partition(b"<Encrypt>")[2].partition(b"</Encrypt>")[0].decode()
    forged = signature.sign("", given["timestamp"], given["nonce"], encrypted)
    world.service.settings = replace(world.service.settings, wechat_token=Secret(""))
    assert post(world, changed(delivery, msg_signature=forged)).status_code == 403
    assert followers() == {}


# 41
