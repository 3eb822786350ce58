"""Scenarios: short sequences of actions that reach cases which random actions would seldom reach.

The machine may do any other action between two of a scenario, so that a scenario makes some orders
likely and none impossible. An action that is not possible when its turn comes is skipped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.stateful.actions import Actions as A
from tests.stateful.driver import Draw
from tests.stateful.environment import SHARED
from tests.stateful.rules import Login

Action = Callable[[Any, Draw], None]

POSSIBLE: dict[Action, Callable[[A], object]] = {
    **dict.fromkeys(
        (
            A.sends,
            A.sends_undeliverable,
            A.confirms_old,
            A.confirms_late,
            A.confirms_weak,
            A.confirms_private,
            A.polls,
        ),
        lambda machine: machine.recoveries,
    ),
    **dict.fromkeys(
        (A.confirms, A.confirms_wrong, A.confirms_by_older), lambda machine: machine.with_code
    ),
    **dict.fromkeys(
        (
            A.confirms_again,
            A.confirms_again_otherwise,
            A.confirms_again_elsewhere,
            A.confirms_again_mistyped,
        ),
        lambda machine: machine.last,
    ),
    **dict.fromkeys((A.unbinds, A.unbinds_wrong), lambda machine: machine.once_bound),
    A.fetches_again: lambda machine: machine.environment.may_repeat,
    A.workers_work: lambda machine: machine.model.begun,
}
"""The condition of an action; the actions that are not listed are always possible."""

ANYTIME: dict[Action, int] = {
    A.time_passes: 6,
    A.sends: 6,
    A.sends_undeliverable: 1,
    A.confirms: 4,
    A.confirms_wrong: 3,
    A.confirms_old: 3,
    A.confirms_by_older: 2,
    A.confirms_weak: 1,
    A.confirms_private: 2,
    A.confirms_again: 2,
    A.confirms_again_otherwise: 1,
    A.confirms_again_elsewhere: 1,
    A.confirms_again_mistyped: 1,
    A.unbinds: 3,
    A.unbinds_wrong: 1,
    A.polls: 3,
    A.starts: 6,
    A.starts_outside: 1,
    A.starts_in_other_wechat: 1,
    A.neighbour_starts: 1,
    A.starts_unknown: 1,
    A.verifies: 4,
    A.verifies_wrong: 2,
    A.verifies_another: 3,
    A.verifies_unknown: 1,
    A.follows: 1,
    A.follows_silently: 1,
    A.leaves: 1,
    A.leaves_silently: 1,
    A.template_comes: 1,
    A.template_goes: 1,
    A.fetches: 2,
    A.fetches_elsewhere: 1,
    A.fetches_again: 1,
    A.operator_looks: 4,
    A.operator_changes_phone: 2,
    A.operator_keeps_phone: 1,
    A.operator_unbinds: 2,
    A.operator_unlocks: 1,
    A.year_begins: 1,
    A.next_year_begins: 1,
    A.workers_work: 2,
}
"""Every action, with its weight outside of a scenario."""


def any_login(_: Login) -> bool:
    return True


def with_method(login: Login) -> bool:
    return login.openid is not None or login.phone is not None


def by_sms(login: Login) -> bool:
    return login.openid is None and login.phone is not None


def by_wechat(login: Login) -> bool:
    return login.openid is not None


def may_unbind(login: Login) -> bool:
    return login.openid is not None and login.phone is not None


def must_stay_bound(login: Login) -> bool:
    return login.openid is not None and login.phone is None


def without_method(login: Login) -> bool:
    return login.openid is None and login.phone is None


def shared(login: Login) -> bool:
    return login.phone == SHARED and login.openid is None


def of_finance(login: Login) -> bool:
    return login.finance and with_method(login)


@dataclass(frozen=True)
class Scenario:
    """Actions in order, for a login that `fits` accepts."""

    fits: Callable[[Login], bool]
    actions: tuple[Action, ...]
    weight: int = 2


def scenario(
    fits: Callable[[Login], bool], *actions: Action | tuple[Action, ...], weight: int = 2
) -> Scenario:
    """Make a scenario; some of its actions may be given as tuples."""
    flat: list[Action] = []
    for action in actions:
        flat += action if isinstance(action, tuple) else (action,)
    return Scenario(fits, tuple(flat), weight)


RECOVERS = (A.starts, A.sends, A.confirms)
GUESSES = (A.confirms_wrong,) * 3
LOCKS = (A.verifies_wrong,) * 3

FIRST: tuple[tuple[Action, ...], ...] = (
    (),
    (),
    (A.day_passes,),
    (A.day_passes,),
    (A.template_comes,),
    (A.template_goes,),
)
"""What may precede a scenario; one of them is chosen."""

SCENARIOS = (
    # A successful recovery, and its repeats.
    scenario(by_sms, A.starts, A.sends, A.polls, A.confirms, A.polls, A.confirms_again, A.verifies),
    scenario(by_wechat, A.starts, A.sends, A.fetches, A.confirms, A.confirms_again, A.polls),
    scenario(
        with_method,
        (A.starts, A.starts, A.sends, A.confirms, A.confirms_again_otherwise),
        (A.confirms_again_mistyped, A.confirms_again_elsewhere, A.confirms_again),
        weight=5,
    ),
    scenario(with_method, A.starts, A.starts, A.sends, A.confirms_by_older, A.polls, A.sends),
    scenario(
        with_method,
        (A.starts, A.starts, A.sends, A.confirms, A.minute_passes, A.starts, A.sends),
        (A.confirms_by_older, A.confirms),
        weight=4,
    ),
    # Guessing.
    scenario(
        with_method, A.starts, A.sends, GUESSES, A.confirms, A.fetches, A.operator_looks, weight=3
    ),
    scenario(
        with_method,
        (A.starts, A.sends, *GUESSES, A.minute_passes, A.sends, *GUESSES),
        (A.minute_passes, A.sends, A.operator_looks, A.hour_passes, A.starts, A.sends),
        (A.confirms_wrong, A.operator_looks),
        weight=8,
    ),
    scenario(
        with_method,
        (A.starts, A.sends, A.confirms_wrong, A.confirms_wrong, A.confirms),
        (A.minute_passes, A.starts, A.sends, *GUESSES, A.operator_looks, A.minute_passes, A.sends),
        weight=1,
    ),
    scenario(by_sms, A.starts, A.sends, A.five_minutes_pass, A.confirms, A.polls, A.confirms_weak),
    scenario(
        by_wechat,
        (A.follows, A.starts, A.sends, A.five_minutes_pass, A.fetches, A.confirms, A.polls),
        weight=4,
    ),
    # Sending.
    scenario(
        with_method,
        (A.starts, A.sends, A.sends, A.minute_passes, A.sends, A.minute_passes, A.sends),
        (A.operator_looks, A.half_hour_passes, A.starts, A.sends),
        weight=3,
    ),
    scenario(
        with_method, (A.starts, A.sends, A.hour_passes) * 4, A.starts, A.sends, A.operator_looks
    ),
    scenario(
        shared,
        (A.day_passes, A.starts, A.sends, A.hour_passes, A.starts, A.sends, A.hour_passes),
        (A.neighbour_starts, A.sends, A.hour_passes, A.starts, A.sends, A.minute_passes),
        (A.sends, A.hour_passes, A.starts, A.sends, A.operator_looks),
        weight=4,
    ),
    scenario(shared, A.starts, A.sends, A.neighbour_starts, A.sends, A.minute_passes, A.sends),
    scenario(by_sms, A.starts, A.sends_undeliverable, A.polls, A.sends, A.confirms),
    scenario(with_method, A.starts, A.sends, A.operator_unlocks, A.sends, A.confirms),
    # Too late, or by a wrong method.
    scenario(with_method, A.starts, A.sends, A.half_hour_passes, A.polls, A.sends, A.confirms_late),
    scenario(may_unbind, A.starts, A.half_hour_passes, A.unbinds, weight=1),
    scenario(by_sms, A.starts_outside, A.sends, A.confirms_late, A.polls, A.starts, A.sends),
    scenario(without_method, A.starts, A.polls, A.operator_changes_phone, RECOVERS, weight=1),
    scenario(any_login, (A.starts,) * 6, A.operator_looks, A.minute_passes, A.starts, weight=3),
    scenario(
        any_login,
        (A.starts, *(A.starts_unknown,) * 4, A.starts, *(A.starts_unknown,) * 5, A.starts),
        (A.minute_passes, A.starts, A.starts),
        weight=4,
    ),
    # The login page.
    scenario(any_login, LOCKS, A.verifies, A.operator_looks, A.half_hour_passes, A.verifies),
    scenario(with_method, LOCKS, RECOVERS, A.verifies, A.verifies_another, weight=3),
    scenario(with_method, A.verifies_wrong, RECOVERS, A.verifies, weight=4),
    scenario(any_login, A.verifies_wrong, (A.verifies,) * 4, LOCKS, A.minute_passes, A.verifies),
    scenario(
        any_login,
        (*LOCKS, A.verifies_unknown, A.operator_unlocks, A.verifies, A.operator_unlocks),
        weight=4,
    ),
    # WeChat.
    scenario(by_wechat, A.template_comes, A.follows, RECOVERS),
    scenario(
        by_wechat,
        (A.follows, A.leaves_silently, A.template_comes, A.starts, A.sends),
        (A.template_goes, A.sends, A.follows),
        weight=4,
    ),
    scenario(by_wechat, A.template_goes, A.leaves_silently, A.starts, A.sends, A.follows, A.sends),
    scenario(by_wechat, A.template_goes, A.leaves, A.starts, A.sends, A.follows_silently, A.sends),
    scenario(by_wechat, A.follows, A.starts, A.sends, A.fetches, A.confirms_wrong, A.fetches_again),
    scenario(by_wechat, A.fetches, A.starts, A.sends, A.fetches_again, A.fetches_elsewhere),
    scenario(
        by_sms,
        (*RECOVERS, A.minute_passes, A.starts, A.sends, A.minute_passes),
        (A.neighbour_starts, A.sends, A.fetches),
        weight=4,
    ),
    # Unbinding.
    scenario(may_unbind, A.starts, A.sends, A.unbinds, A.fetches, A.polls, A.sends, A.confirms),
    scenario(
        may_unbind,
        (A.starts_outside, A.starts, A.unbinds, A.sends, A.confirms_by_older),
        weight=3,
    ),
    scenario(may_unbind, A.starts_outside, A.unbinds, A.sends, A.polls, weight=3),
    scenario(may_unbind, A.starts, A.unbinds_wrong, A.unbinds, A.starts, A.sends, A.confirms),
    scenario(may_unbind, A.starts, A.unbinds, A.unbinds, A.operator_unbinds, weight=1),
    scenario(
        by_wechat,
        (A.starts, A.unbinds_wrong, A.unbinds_wrong, A.unbinds, A.operator_looks, A.hour_passes),
        (A.starts, A.unbinds),
        weight=3,
    ),
    scenario(must_stay_bound, A.starts, A.unbinds, A.operator_unbinds, weight=3),
    scenario(
        may_unbind, A.starts, A.sends, A.operator_unbinds, A.confirms_late, A.sends, A.unbinds
    ),
    scenario(
        may_unbind,
        (A.starts, A.sends, A.operator_unbinds, A.starts_in_other_wechat, A.sends, A.confirms),
        (A.starts, A.sends, A.fetches_elsewhere, A.fetches),
        weight=8,
    ),
    # Operators.
    scenario(
        by_sms, A.starts, A.sends, A.operator_changes_phone, A.confirms_late, A.sends, A.polls
    ),
    scenario(by_sms, A.starts, A.operator_changes_phone, A.sends, A.starts, A.sends, weight=3),
    scenario(by_sms, A.starts, A.sends, A.operator_keeps_phone, A.confirms, A.confirms_again),
    scenario(
        by_sms,
        (A.starts, A.operator_changes_phone, A.starts, A.sends, A.confirms_by_older, A.confirms),
        weight=3,
    ),
    scenario(
        by_wechat,
        (A.starts, A.operator_changes_phone, A.polls, A.unbinds, A.starts, A.sends),
        (A.confirms_by_older, A.confirms),
        weight=4,
    ),
    scenario(with_method, A.starts, A.sends, A.confirms_private, A.confirms_private, A.confirms),
    scenario(
        by_wechat,
        (A.template_comes, A.follows, A.starts, A.operator_unlocks, A.operator_changes_phone),
        (A.operator_keeps_phone, A.operator_unbinds, A.operator_unbinds),
    ),
    scenario(
        with_method,
        (A.starts, A.sends, *GUESSES, A.minute_passes, A.sends, A.confirms_wrong),
        (A.confirms_wrong, A.operator_unlocks, A.sends, A.confirms),
        weight=1,
    ),
    # The year.
    scenario(
        of_finance,
        (A.starts, A.sends, A.year_begins, A.workers_work, A.confirms_late, A.sends, A.polls),
        (A.verifies, A.minute_passes, A.starts, A.sends, A.confirms, A.verifies),
        weight=3,
    ),
    scenario(
        of_finance,
        (*RECOVERS, A.second_passes, A.starts, A.year_begins, A.workers_work, A.polls, A.verifies),
        weight=4,
    ),
    scenario(
        of_finance,
        (A.year_begins, *RECOVERS, A.workers_work, A.verifies, A.year_begins),
        weight=4,
    ),
    scenario(
        of_finance,
        (A.next_year_begins, A.workers_work, A.second_passes, A.year_begins, A.workers_work),
        A.verifies,
        weight=4,
    ),
    scenario(any_login, A.year_begins, A.year_begins, A.workers_work, A.year_begins),
)
