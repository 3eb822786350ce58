"""Canaries: secrets that are fed through every use case, every spelling in which one may appear, and
doubles of dependencies that quote them.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn
from urllib.parse import quote, quote_plus

import pytest
from chalice.test import HTTPResponse

from chalicelib.telemetry import masking
from tests.conftest import SETTINGS, World

# None of these but the phone and the openid has a shape that gives it away.
PASSWORD = 'Canary-horse"7\\é'
OPENING = "Canary-opening+7 é"
PHONE = "13800001234"
OPENID = "oCanary0123456789abcdefghijk"
HEAD = "阿依古丽·买买提"
ID_DIGITS = "123X"

SIGNING, PEPPER = "canary-signing-key-of-no-shape-at-all", "canary-pepper-of-no-shape-whatsoever"
KEYS = {
    "SIGNING_KEYS": SIGNING,
    "CODE_PEPPER": f"1:{PEPPER}",
    "WECHAT_APP_SECRET": "canary-app-secret-of-no-shape",
    "WECHAT_TOKEN": "canarycallbacktokenofnoshape",
    "WECHAT_AES_KEY": "canaryencodingaeskeyofnoshapeforthecallback",
    "SMS_HTTP_SECRET": "canary-sms-secret-of-no-shape",
    "SMS_ALIYUN_KEY_SECRET": "canary-aliyun-key-of-no-shape",
    "SMS_TENCENT_KEY_SECRET": "canary-tencent-key-of-no-shape",
    "OIDC_CLIENT_SECRET": "canary-oidc-secret-of-no-shape",
    "RECEIPTS_PATH": "canary-receipts-path-of-no-shape-either",
}
SECRETS = frozenset({*KEYS.values(), PEPPER} - {KEYS["CODE_PEPPER"]})
"""What of the settings is secret, each as it is used."""


@pytest.fixture
def canary_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace every secret of the settings by a canary, for worlds and their doubles."""
    for name, value in KEYS.items():
        monkeypatch.setitem(SETTINGS, name, value)


def spellings(canary: str) -> set[str]:
    """The canary as programs write it: plain, in JSON, a repr, an address, or base64."""
    forms = {
        canary,
        json.dumps(canary)[1:-1],
        json.dumps(canary, ensure_ascii=False)[1:-1],
        repr(canary)[1:-1],
        repr(canary.encode())[2:-1],
        quote(canary, safe=""),
        quote_plus(canary),
        *_base64(canary),
    }
    # And each within a line, which is JSON itself.
    return forms | {json.dumps(form, ensure_ascii=False)[1:-1] for form in forms}


def _base64(canary: str) -> Iterator[str]:
    """What is the same in base64 whatever stands around the canary, wherever it begins."""
    for before, cut in ((0, 0), (1, 2), (2, 3)):
        text = b"." * before + canary.encode()
        whole = len(text) * 8 // 6
        for spell in (b64encode, urlsafe_b64encode):
            encoded = spell(text).decode()[cut:whole]
            yield from (encoded, quote(encoded, safe=""))


def shown(text: str, canaries: Iterable[str]) -> set[str]:
    """Those that stand in the text in one spelling or another."""
    return {canary for canary in canaries if any(_stands(form, text) for form in spellings(canary))}


def _stands(form: str, text: str) -> bool:
    if form.isdecimal() and len(form) < 8:
        # A code's six digits may be part of a time.
        return re.search(f"(?<![0-9]){form}(?![0-9])", text) is not None
    return form in text


def nothing_leaked(text: str, canaries: Iterable[str]) -> None:
    """No canary of these and no key of the settings stands in the text."""
    found = shown(text, {*canaries, *SECRETS})
    places = [line for line in text.splitlines() if shown(line, found)]
    assert not found, places


def said(canary: str) -> list[str]:
    """What programs say where they quote it."""
    header = b64encode(f"user:{canary}".encode()).decode()
    return [
        f"is {canary}",
        repr({"said": canary}),
        json.dumps({"said": canary}),
        repr(canary.encode()),
        f"/a?b={quote(canary, safe='')}",
        f"Basic {header}",
        f"/a?b={quote(header, safe='')}",
    ]


def quoted(canaries: Iterable[str]) -> str:
    """What a talkative dependency says of what it was given, in every spelling that one knows."""
    return " | ".join(text for canary in sorted({*canaries, *SECRETS}) for text in said(canary))


def quoting(*canaries: str) -> Callable[..., NoReturn]:
    """Something that fails whatever it is asked, and quotes these and the settings' keys."""

    def fail(*_: Any, **__: Any) -> NoReturn:
        raise RuntimeError(f"cannot do it: {quoted(canaries)}")

    return fail


def unmasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the masking out: what is known, named or shaped as a secret is written all the same."""
    monkeypatch.setattr(masking, "hide", lambda text: text)


def refusals(world: World) -> list[str]:
    """Every problem that the world answers from now on, headers and all, but for the field's name:
    that is the caller's own word, and the API must name it.
    """
    heard: list[str] = []
    request = world.http.request

    def listening(*args: Any, **kwargs: Any) -> HTTPResponse:
        answer = request(*args, **kwargs)
        if answer.status_code >= 400:
            members = json.loads(answer.body) if answer.body else {}
            members.pop("field", None)
            heard.append(f"{answer.headers} {json.dumps(members, ensure_ascii=False)}")
        return answer

    world.http.request = listening  # type: ignore[method-assign]
    return heard
