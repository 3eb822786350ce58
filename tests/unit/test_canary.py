"""The canary's steps against a site that answers otherwise than the service does."""

from __future__ import annotations

from typing import Any

import altcha
import pytest
from botocore.session import Session

from chalicelib.handlers.canary import HttpSite
from chalicelib.security.proof_of_work import Proofs
from chalicelib.services.canary import Canary, CanaryResult, SiteResponse
from chalicelib.store import canary as store
from tests.conftest import MakeWorld
from tests.support.http_server import serving

FIRM = "00000000"
PROOFS = Proofs([b"k" * 32], lambda: 1_800_000_000, cost=1)


class ScriptedSite:
    """A site whose answers are the right ones, apart from those of `changes`, by step."""

    def __init__(self, **changes: Any) -> None:
        self._answers: dict[str, tuple[int, Any]] = {
            "proof": (200, PROOFS.challenge("recovery", FIRM)),
            "recovery": (201, {"method": "sms", "token": "t"}),
            "recovery/code": (202, {}),
            "recovery/password": (200, {}),
            "verify": (200, {"valid": True, "must_change": False}),
            **changes,
        }

    def request(self, path: str, body: Any = None, token: str | None = None) -> SiteResponse:
        return SiteResponse(*self._answers[path.partition("?")[0].strip("/")])

    def verify(self, body: Any) -> SiteResponse:
        return SiteResponse(*self._answers["verify"])


@pytest.fixture
def _mailbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mailbox with a code, without a store."""
    monkeypatch.setattr(store, "prepare_login", lambda *_: None)
    monkeypatch.setattr(store, "kept", lambda *_: "sealed")


def run(site: ScriptedSite) -> CanaryResult:
    """Make one recovery at the site."""
    made = Canary(
        clock=lambda: 1_800_000_000,
        firm=FIRM,
        unseal=lambda *_: "123456",
        randbelow=lambda _: 0,
    )
    return made.run(lambda _: site)


@pytest.mark.parametrize(
    ("changes", "step", "problem"),
    [
        ({}, "verify", None),
        ({"proof": (200, {})}, "proof", "no solution"),
        ({"recovery": (201, {"method": "wechat"})}, "start", "method wechat"),
        (
            {"verify": (200, {"valid": True, "must_change": True})},
            "verify",
            "the new password is not valid",
        ),
        ({"verify": (200, {})}, "verify", "the new password is not valid"),
    ],
)
@pytest.mark.usefixtures("_mailbox")
def test_an_unexpected_answer_ends_the_run_with_its_step(
    changes: dict[str, Any], step: str, problem: str | None
) -> None:
    """The site answers with success, and yet not as a recovery needs it."""
    result = run(ScriptedSite(**changes))
    assert (result.step, result.problem) == (step, problem)


@pytest.mark.usefixtures("_mailbox")
def test_a_proof_that_takes_too_long_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The function has a time-out of its own."""
    monkeypatch.setattr(altcha, "solve_challenge", lambda *_, **__: None)
    result = run(ScriptedSite())
    assert (result.step, result.problem) == ("proof", "no solution")


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"\xff", b"[" * 100_000])
def test_an_answer_of_another_form_has_no_members(make_world: MakeWorld, body: bytes) -> None:
    """Such as the page of a proxy before the site; the status counts."""
    with serving(lambda _: (200, body)) as server:
        service = make_world(SITE_URL=server.url).service
        answer = HttpSite(service, "canary:1", Session()).request("/proof")
    assert answer == SiteResponse(200, {})


def test_a_function_without_credentials_sends_no_login(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The result names the reason, and nothing is sent without a signature."""
    session = Session()
    monkeypatch.setattr(session, "get_credentials", lambda: None)
    answer = HttpSite(make_world().service, "canary:1", session).verify({"login": FIRM})
    assert answer == SiteResponse(0, {"code": "no credentials"})
