"""Recoveries, unbindings, follows, operators, yearly resets and the clock, in any order.

hypothesis chooses the actions; the model predicts each answer. MACHINE_STEPS sets the number of steps
and makes them random; MACHINE_SEED repeats those of a failure.
"""

from __future__ import annotations

import os
import secrets
from collections import Counter

import pytest
from hypothesis import Phase

from tests.conftest import Report
from tests.stateful import environment, runner
from tests.stateful.machine import Machine
from tests.stateful.runner import STEPS, seeds


@pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")
def test_the_service_agrees_with_the_model_in_every_run(report: Report) -> None:
    """In any order of actions each answer and each login are as in the model."""
    Machine.steps.clear()
    Machine.answers.clear()
    steps = int(os.environ.get("MACHINE_STEPS", STEPS))
    # A given number of steps is for other runs than the suite's, and for others each time.
    random_seed = secrets.randbelow(2**32) if "MACHINE_STEPS" in os.environ else 0
    first = int(os.environ.get("MACHINE_SEED", random_seed))
    numbers = [first + number for number in seeds(steps)]
    report(f"machine, MACHINE_SEED={first}")
    with environment.running() as Machine.environment:
        runner.run(numbers, [Phase.generate, Phase.shrink])
    report(f"machine, {Machine.steps.total()} steps: {_table(Machine.steps)}")
    report(f"machine, {len(Machine.answers)} kinds of answers: {_table(Machine.answers)}")
    assert Machine.steps.total() >= steps
    # A rule that was never reached was not tested.
    assert steps < STEPS or not EXPECTED - set(Machine.answers)


EXPECTED = {
    f"{what} {kind}"
    for what, kinds in {
        "start": (
            "201 follow",
            "201 sms",
            "201 wechat",
            "account-not-found",
            "phone-not-bound",
            "proof-invalid budgets",
            "proof-invalid login",
            "proof-invalid used",
            "too-many-requests address-starts",
            "too-many-requests requester-logins",
            "too-many-requests starts",
        ),
        "send": (
            "202 sms sent",
            "202 sms sent after unbinding",
            "202 sms sent long",
            "202 wechat pull",
            "202 wechat pull long",
            "202 wechat sent",
            "202 wechat sent long",
            "delivery-failed",
            "invalid-input follow",
            "invalid-input follow after unbinding",
            "not-following by event",
            "not-following by request",
            "not-following pushed",
            "recovery-expired changed by an operator",
            "recovery-expired other password",
            "recovery-expired too old",
            "too-many-attempts login-wrong-codes",
            "too-many-attempts requester-wrong-codes",
            "too-many-attempts wrong-codes",
            "too-many-requests day",
            "too-many-requests hour",
            "too-many-requests login-sends",
            "too-many-requests minute",
            "too-many-requests requester-logins",
            "too-many-requests requester-sends",
            "too-many-requests service-sends hard",
            "too-many-requests service-sends soft",
        ),
        "confirm": (
            "200 repeat",
            "200 sms",
            "200 sms of another",
            "200 sms of no follower",
            "200 wechat",
            "200 wechat of another",
            "code-expired follow",
            "code-expired no WeChat to bind",
            "code-expired none",
            "code-expired repeat with another password",
            "code-expired too late",
            "code-expired used",
            "code-wrong",
            "code-wrong first",
            "code-wrong of its WeChat",
            "recovery-expired changed by an operator",
            "recovery-expired no such destination",
            "recovery-expired other password",
            "recovery-expired too old",
            "too-many-attempts code-tries",
            "too-many-attempts login-wrong-codes",
            "too-many-attempts requester-wrong-codes",
            "too-many-attempts wrong-codes",
            "too-many-requests service-wrong-codes",
            "weak-password private",
            "weak-password public",
        ),
        "poll": (
            "200 code_sent",
            "200 done",
            "200 open",
            "200 open, with a code of another",
            "recovery-expired changed by an operator",
            "recovery-expired other password",
            "recovery-expired too old",
        ),
        "unbind": (
            "200 follow",
            "200 sms",
            "details-do-not-match",
            "phone-not-bound",
            "recovery-expired changed by an operator",
            "recovery-expired never bound",
            "recovery-expired other binding",
            "recovery-expired too old",
            "too-many-requests requester-unbindings",
            "too-many-requests service-unbindings hard",
            "too-many-requests service-unbindings soft",
            "too-many-requests unbindings",
            "too-many-requests wrong-details",
        ),
        "verify": (
            "200 must change",
            "200 right",
            "200 unknown",
            "200 wrong",
            "too-many-attempts",
        ),
        "fetch again": (
            "0",
            "some",
        ),
        "fetch": (
            "0",
            "1",
            "2",
        ),
        "look": (
            "code-tries",
            "destination-sends",
            "login-sends",
            "login-wrong-codes",
            "nothing",
            "resend-pause",
            "service-sends",
            "service-wrong-codes",
            "starts",
            "unbindings",
            "wrong-codes",
            "wrong-details",
            "wrong-passwords",
        ),
        "phone changed": (
            "False",
            "True",
        ),
        "operator unbound": (
            "False",
            "None",
            "True",
        ),
        "unlocked": (
            "False",
            "True",
        ),
        "year": (
            "changed",
            "done",
            "finished before",
            "later-year",
            "new",
            "under way",
        ),
    }.items()
    for kind in kinds
}
"""Every kind of answer of the model that can be reached. A phone is never removed, so that no
recovery loses its last method."""


def _table(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())
