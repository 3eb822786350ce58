"""Attack 66: nobody switches the verification of passwords off for others."""

from __future__ import annotations

import contextlib
import itertools

import pytest

from chalicelib.domain.errors import TooManyRequests
from chalicelib.services.credential_check import CredentialCheck
from chalicelib.store.ephemeral_models import BudgetItem
from tests.conftest import World
from tests.security.mutation import SourceMutation, attack

OPENING = "Opening-password-1"
MAIN, FINANCE = "11010148", "11010148_cw"
TRIED = 2_325
"""Wrong passwords of unknown logins in one hour, which once refused everybody until its end."""


def sprays(world: World, wrongs: int) -> None:
    """Enter wrong passwords of unknown logins; the budget writes each of its strides exactly."""
    numbers = itertools.count()
    world.service.randbelow = lambda sides: next(numbers) % sides
    check = world.service.credential_check
    for number in range(wrongs):
        assert not check.verify(f"{20_000_000 + number}", OPENING).valid


@pytest.mark.answers_alone
@attack(
    66,
    SourceMutation(
        CredentialCheck._wrong,
        "self._unknown_budget if stored is None else self._wrongs_budget",
        "self._wrongs_budget",
    ),
    SourceMutation(
        CredentialCheck._wrong, "if stored is not None and stored.must_change:", "if True:"
    ),
)
def test_wrong_passwords_of_unknown_logins_refuse_nobody(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """They raise an alarm; right passwords pass, and the default one of a finance login as well."""
    try:
        sprays(world, TRIED)
    except TooManyRequests:
        pytest.fail("an unknown login was refused")
    try:
        for login in (MAIN, FINANCE):
            assert world.service.credential_check.verify(login, OPENING).valid
    except TooManyRequests:
        pytest.fail("a right password was refused")
    alarms = {record.__dict__.get("alarm") for record in caplog.records}
    assert {"budget-unknown-logins-half", "budget-unknown-logins"} <= alarms


@attack(
    66,
    SourceMutation(
        CredentialCheck.verify,
        "if stored is not None and stored.must_change:",
        "if stored is not None:",
    ),
    SourceMutation(CredentialCheck.verify, "self._check_budget(stored)", "pass"),
    SourceMutation(
        CredentialCheck._check_budget, "self._logins.refund_attempt(stored, None)", "pass"
    ),
)
def test_a_full_budget_refuses_only_default_passwords(world: World) -> None:
    """Any number of wrong passwords of known logins leaves the other logins' right ones valid."""
    budget = world.service.credential_check._wrongs_budget
    hour = world.clock.time // 3_600
    BudgetItem(f"budget#wrong-passwords#{hour}", total=2_325, expires_at=(hour + 2) * 3_600).save()
    # This instance learns of it by its next write.
    with contextlib.suppress(TooManyRequests):
        for _ in range(10_000):
            budget.count(world.clock.time)
    check = world.service.credential_check
    try:
        assert check.verify(MAIN, OPENING).valid
        assert not check.verify(MAIN, "Wrong-horse-1").valid
    except TooManyRequests:
        pytest.fail("a login with its own password was refused")
    for _ in range(6):
        try:
            answer = check.verify(FINANCE, OPENING)
        except TooManyRequests:
            continue
        except Exception as error:
            pytest.fail(f"locked by refused attempts: {error}")
        pytest.fail(f"compared: {answer}")
