"""Recoveries, unbindings, follows, operators, the support desk, yearly resets and the clock, in any order.

hypothesis chooses the actions; the model predicts each answer.
"""

from __future__ import annotations

import pytest
from hypothesis import Phase

from tests.conftest import Report
from tests.stateful import environment, runner
from tests.stateful.choices import ANYTIME
from tests.stateful.machine import Machine
from tests.stateful.runner import STEPS, seeds, table


@pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")
def test_the_service_agrees_with_the_model_in_every_run(report: Report) -> None:
    """In any order of actions each answer and each login are as in the model."""
    Machine.steps.clear()
    Machine.answers.clear()
    with environment.running() as Machine.environment:
        runner.run(seeds(STEPS), [Phase.generate, Phase.shrink])
    report(f"machine, {Machine.steps.total()} steps: {table(Machine.steps)}")
    report(f"machine, {len(Machine.answers)} kinds of answers: {table(Machine.answers)}")
    assert Machine.steps.total() >= STEPS
    # What was never reached was not tested.
    assert {action.__name__ for action in ANYTIME} <= set(Machine.steps)
    assert set(Machine.answers) >= EXPECTED


EXPECTED_OF_DESK = {
    "desk": (
        "role agent",
        "role supervisor",
        "sign-in after signing out",
        "sign-in too old",
    ),
    "sign out": ("200",),
    "freeze": ("200 False", "200 True", "invalid-input closed"),
    "unfreeze": ("200 False", "200 True"),
    "unlock": ("200 False", "200 True", "account-not-found"),
    "unbind by staff": ("200 False", "200 True", "phone-not-bound"),
    "owner": (
        "200 frozen",
        "200 frozen before",
        "freeze-link-invalid before the end of a freezing",
        "freeze-link-invalid other binding",
        "freeze-link-invalid too old",
    ),
    "identity": (
        "200 False",
        "200 True",
        "account-not-found",
        "too-many-attempts firm",
        "too-many-attempts staff",
    ),
    "correct": ("200", "account-not-found", "invalid-input closed"),
    "propose": (
        "202",
        "account-not-found",
        "identity-not-checked",
        "invalid-input closed",
        "invalid-input same phone",
    ),
    "approve": (
        "200",
        "invalid-input closed",
        "own-proposal",
        "proposal-closed approved",
        "proposal-closed ended",
        "proposal-closed rejected",
        "too-many-requests phone by the hour",
        "too-many-requests phone by the minute",
    ),
    "reject": ("200", "own-proposal", "proposal-closed active", "proposal-closed ended"),
    "code": (
        "202",
        "delivery-failed",
        "invalid-input closed",
        "proposal-closed active",
        "proposal-closed ended",
        "proposal-closed rejected",
        "proposal-closed waiting",
        "proposal-not-found",
        "too-many-requests minute",
        "too-many-requests two days",
    ),
    "confirm phone": (
        "200",
        "code-expired",
        "code-wrong",
        "invalid-input closed",
        "proposal-closed active",
        "proposal-closed ended",
        "proposal-closed rejected",
        "proposal-closed waiting",
        "proposal-not-found",
        "too-many-attempts phone-code-tries",
    ),
    "undo": (
        "200",
        "invalid-input closed",
        "proposal-closed ended",
        "proposal-closed other phone",
        "proposal-closed rejected",
        "proposal-closed undone",
    ),
    "list": ("200 none", "200 none and none of others", "200 some"),
    "firm close": ("changed", "erased", "unchanged"),
    "firm reopen": ("changed", "erased", "unchanged"),
}
"""The kinds of answers at the desk, to links and to operators who close firms."""

EXPECTED = {
    f"{what} {kind}"
    for what, kinds in {
        "start": (
            "201 follow",
            "201 sms",
            "201 wechat",
            "account-not-found",
            "frozen",
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
            "200 frozen",
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
            "erased",
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
            "closed",
            "erased",
        ),
        **EXPECTED_OF_DESK,
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
"""Every kind of answer of the model that a scenario plans."""
