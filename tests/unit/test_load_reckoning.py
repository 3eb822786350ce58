"""The accounting of the load test: it finds each loss, and nothing where nothing was lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from chalicelib.domain.limits import Limits
from tests.perf.load.reckoning import (
    Action,
    Event,
    Responses,
    StoredLogin,
    YearlyRun,
    faults,
    unexplained,
)

LOGIN, PHONE = "11010148", "+8613800001234"


def story() -> tuple[Responses, dict[str, StoredLogin], dict[str, int]]:
    """Return one login that was recovered by SMS and then through the WeChat bound by that."""
    responses = Responses()
    responses.passwords[LOGIN] += ["first", "second"]
    responses.openids[LOGIN] = "o-alice"
    responses.sent[LOGIN] = 2
    responses.wrong_codes[LOGIN] = 1
    events = [
        Event(100, "code-sent", "sms"),
        Event(101, "password-recovered", "sms"),
        Event(102, "code-sent", "sms", "failed"),
        Event(170, "code-sent", "wechat"),
        Event(171, "password-recovered", "wechat"),
    ]
    return responses, {LOGIN: StoredLogin("second", PHONE, "o-alice", events)}, {PHONE: 1}


def reckon(responses: Responses, kept: dict[str, StoredLogin], sms: dict[str, int]) -> list[str]:
    """A password's hash is the password itself here."""
    return faults(responses, kept, sms, Limits(), lambda stored, given: stored == given)


def test_a_story_that_adds_up_has_no_fault() -> None:
    """A send that no gateway accepted is not counted."""
    assert reckon(*story()) == []


Spoil = Callable[[Responses, dict[str, StoredLogin], dict[str, int]], object]


def _keep(kept: dict[str, StoredLogin], **changed: object) -> None:
    kept[LOGIN] = replace(kept[LOGIN], **changed)  # type: ignore[arg-type]


def _more(kept: dict[str, StoredLogin], *events: Event) -> None:
    _keep(kept, events=[*kept[LOGIN].events, *events])


def _sends(
    responses: Responses, kept: dict[str, StoredLogin], sms: dict[str, int], *times: int
) -> None:
    responses.sent[LOGIN] += len(times)
    sms[PHONE] += len(times)
    _more(kept, *(Event(at, "code-sent", "sms") for at in times))


SPOILT: dict[str, tuple[Spoil, str]] = {
    "password lost": (
        lambda responses, kept, sms: _keep(kept, password_hash="first"),
        "not the stored",
    ),
    "password never stored": (
        lambda responses, kept, sms: _keep(kept, password_hash=None),
        "not the",
    ),
    "two answers to one": (
        lambda responses, kept, sms: responses.passwords[LOGIN].append("second"),
        "3 times",
    ),
    "event lost": (
        lambda responses, kept, sms: _keep(kept, events=kept[LOGIN].events[:-1]),
        "recovered",
    ),
    "binding lost": (lambda responses, kept, sms: _keep(kept, openid=None), "binding"),
    "unbound unasked": (
        lambda responses, kept, sms: _more(kept, Event(9, "wechat-unbound")),
        "unbound",
    ),
    "code lost": (lambda responses, kept, sms: sms.clear(), "a phone has 0"),
    "code twice": (lambda responses, kept, sms: sms.update({PHONE: 2}), "a phone has 2"),
    "too soon": (lambda responses, kept, sms: _sends(responses, kept, sms, 159), "a phone of 2"),
    "too many codes": (
        lambda responses, kept, sms: _sends(responses, kept, sms, *range(4_000, 80_000, 8_000)),
        "more codes than its limit",
    ),
    "guesses": (
        lambda responses, kept, sms: responses.wrong_codes.update({LOGIN: 10}),
        "11 wrong codes",
    ),
}


@pytest.mark.parametrize("name", SPOILT)
def test_each_discrepancy_is_found(name: str) -> None:
    """Each loss, each repeat and each exceeded limit."""
    spoil, words = SPOILT[name]
    responses, kept, sms = story()
    spoil(responses, kept, sms)
    assert any(words in fault for fault in reckon(responses, kept, sms)), reckon(
        responses, kept, sms
    )


def _doubt_second(responses: Responses, kept: dict[str, StoredLogin], sms: dict[str, int]) -> None:
    responses.passwords[LOGIN].pop()
    responses.doubt_password(LOGIN, "second", None)


def _doubt_binding(responses: Responses, kept: dict[str, StoredLogin], sms: dict[str, int]) -> None:
    responses.openids[LOGIN] = None
    responses.doubtful_openids[LOGIN].add("o-alice")


def _doubt_unbinding(
    responses: Responses, kept: dict[str, StoredLogin], sms: dict[str, int]
) -> None:
    responses.doubts[LOGIN]["wechat-unbound"] += 1
    responses.doubtful_openids[LOGIN].add(None)


def _doubt_send(responses: Responses, kept: dict[str, StoredLogin], sms: dict[str, int]) -> None:
    responses.sent[LOGIN] -= 1
    responses.doubts[LOGIN]["code-sent"] += 1
    sms[PHONE] -= 1


def _hang(responses: Responses, kept: dict[str, StoredLogin], sms: dict[str, int]) -> None:
    unknown = replace(kept[LOGIN].events[0], outcome="unknown")
    _keep(kept, events=[unknown, *kept[LOGIN].events[1:]])
    sms[PHONE] -= 1


@pytest.mark.parametrize(
    "doubt", [_doubt_second, _doubt_binding, _doubt_unbinding, _doubt_send, _hang]
)
def test_a_write_in_doubt_may_have_taken_effect(doubt: Spoil) -> None:
    """A fault of the database, or of a vendor, leaves its outcome open."""
    responses, kept, sms = story()
    doubt(responses, kept, sms)
    assert reckon(responses, kept, sms) == []


def test_a_write_in_doubt_may_have_failed() -> None:
    """The password before it is then the stored one."""
    responses, kept, sms = story()
    responses.doubt_password(LOGIN, "third", "o-bob")
    assert reckon(responses, kept, sms) == []
    _keep(kept, password_hash="third", openid="o-bob")
    _more(kept, Event(180, "password-recovered", "sms"))
    assert reckon(responses, kept, sms) == []


def test_a_certain_answer_ends_the_doubt() -> None:
    """A password in doubt cannot be set after a later one was answered 200."""
    responses, kept, sms = story()
    responses.doubt_password(LOGIN, "third", "o-bob")
    responses.set_password(LOGIN, "fourth", "o-alice")
    _more(kept, Event(190, "password-recovered", "sms"))
    _keep(kept, password_hash="third", openid="o-bob")
    assert reckon(responses, kept, sms) == [
        f"{LOGIN}: the last password that was answered 200 is not the stored one",
        f"{LOGIN}: the binding is not the one that was answered",
    ]


@pytest.mark.parametrize(
    ("started_at", "stored", "is_lost"),
    [
        (172, "default", False),
        (172, "second", True),
        # The second password was set after the run had begun, so that the run skips or precedes it.
        (171, "second", False),
        (171, "default", True),
    ],
)
def test_the_yearly_run_replaces_what_is_older(started_at: int, stored: str, is_lost: bool) -> None:
    """It sets the default password once, and never over a password that is younger than the run."""
    responses, kept, sms = story()
    _keep(kept, password_hash=stored, reset_year=2027, default_password="default")
    yearly = YearlyRun(2027, started_at)
    found = faults(responses, kept, sms, Limits(), lambda hash, given: hash == given, yearly)
    assert bool(found) is is_lost, found


def test_sends_a_minute_apart_are_within_the_limit() -> None:
    """A minute ends after sixty seconds."""
    responses, kept, sms = story()
    _sends(responses, kept, sms, 160)
    assert reckon(responses, kept, sms) == []


@pytest.mark.parametrize(
    ("actions", "refusal"),
    [
        ([Action("send", 1_000)], Action("send", 1_030)),
        ([Action("send", at) for at in range(0, 500, 100)], Action("send", 1_000)),
        ([Action("wrong code", at) for at in range(5)], Action("confirm", 10)),
        ([Action("wrong code", at) for at in range(5)], Action("send", 10)),
        ([Action("wrong details", at) for at in range(5)], Action("unbind", 10)),
        ([Action("unbind", at) for at in range(3)], Action("unbind", 10)),
        (
            [
                *(Action("unbind", at) for at in range(2)),
                *(Action("wrong details", at) for at in range(3)),
            ],
            Action("unbind", 10),
        ),
        ([Action("wrong password", at) for at in range(5)], Action("verify", 10)),
        ([Action("start", at) for at in range(10)], Action("start", 10)),
    ],
)
def test_a_refusal_is_explained_by_the_person_s_own_steps_alone(
    actions: list[Action], refusal: Action
) -> None:
    """One step less, and somebody else must have caused it."""
    assert unexplained(actions, [refusal], Limits()) == []
    assert unexplained(actions[1:], [refusal], Limits()) == [refusal]


@pytest.mark.parametrize(
    ("action", "refusal"),
    [
        (Action("send", 1_000), Action("send", 1_070)),
        (Action("send", 1_000), Action("confirm", 1_001)),
        (Action("send", 1_031), Action("send", 1_030)),
        (Action("send", 1_000), Action("step of another release", 1_001)),
    ],
)
def test_other_steps_and_earlier_windows_explain_nothing(action: Action, refusal: Action) -> None:
    """Nor does what the person did later."""
    assert unexplained([action], [refusal], Limits()) == [refusal]


def test_people_refused_because_of_others_are_counted_by_step() -> None:
    """A person's own refusals are no fault."""
    responses, kept, sms = story()
    responses.actions["o-alice"] = [Action("send", 1_000)]
    responses.refusals["o-alice"] = [Action("send", 1_030), Action("confirm", 1_031)]
    responses.refusals["o-bob"] = [Action("confirm", 1_032)]
    assert reckon(responses, kept, sms) == [
        "2 times: confirm refused, although within the person's own limits"
    ]
