"""Scenarios: short sequences of actions that reach cases which random actions would seldom reach.

The machine may do any other action between two of a scenario, so that a scenario makes some orders
likely and none impossible. An action that is not possible when its turn comes is skipped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.stateful.actions import Actions as A
from tests.stateful.choices import Action
from tests.stateful.environment import SHARED
from tests.stateful.rules import Login


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
STRANGERS_GUESS = (
    A.stranger_starts,
    A.sends,
    *GUESSES,
    A.stranger_starts,
    *GUESSES,
    A.minute_passes,
)

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
    scenario(by_sms, A.leaves, RECOVERS, A.confirms_again, A.polls),
    scenario(by_sms, A.leaves_silently, RECOVERS, A.confirms_again),
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
        weight=6,
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
        weight=10,
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
    scenario(with_method, A.starts, A.sends, A.staff_unlocks, A.sends, A.confirms),
    # Too late, or by a wrong method.
    scenario(with_method, A.starts, A.sends, A.half_hour_passes, A.polls, A.sends, A.confirms_late),
    scenario(may_unbind, A.starts, A.half_hour_passes, A.unbinds, weight=1),
    scenario(
        by_sms,
        (A.starts_outside, A.sends, A.confirms_late, A.polls, A.starts, A.unbinds_any, A.sends),
    ),
    scenario(without_method, A.starts, A.polls, A.operator_changes_phone, RECOVERS, weight=1),
    scenario(any_login, (A.starts,) * 6, A.operator_looks, A.minute_passes, A.starts, weight=3),
    scenario(
        any_login,
        (A.starts, *(A.starts_unknown,) * 4, A.starts, *(A.starts_unknown,) * 5, A.starts),
        (A.minute_passes, A.starts, A.starts),
        weight=4,
    ),
    # The login page.
    scenario(
        any_login, LOCKS, A.verifies, A.operator_looks, A.half_hour_passes, A.verifies, weight=4
    ),
    scenario(with_method, LOCKS, RECOVERS, A.verifies, A.verifies_another, weight=3),
    scenario(with_method, A.verifies_wrong, RECOVERS, A.verifies, weight=4),
    scenario(any_login, A.verifies_wrong, (A.verifies,) * 4, LOCKS, A.minute_passes, A.verifies),
    scenario(
        any_login,
        (*LOCKS, A.verifies_unknown, A.staff_unlocks, A.verifies, A.staff_unlocks),
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
    scenario(
        by_wechat,
        (A.template_goes, A.leaves_silently, A.starts, A.sends, A.follows, A.sends),
        weight=5,
    ),
    scenario(by_wechat, A.template_goes, A.leaves, A.starts, A.sends, A.follows_silently, A.sends),
    scenario(by_wechat, A.follows, A.starts, A.sends, A.fetches, A.confirms_wrong, A.fetches_again),
    scenario(by_wechat, A.fetches, A.starts, A.sends, A.fetches_again, A.fetches_elsewhere),
    scenario(by_wechat, A.template_goes, A.owner_starts, A.sends, GUESSES, A.fetches, weight=4),
    scenario(
        by_sms,
        (*RECOVERS, A.minute_passes, A.starts, A.sends, A.minute_passes),
        (A.neighbour_starts, A.sends, A.fetches),
        weight=7,
    ),
    # Unbinding.
    scenario(may_unbind, A.starts, A.sends, A.unbinds, A.fetches, A.polls, A.sends, A.confirms),
    scenario(
        may_unbind,
        (A.starts_outside, A.starts, A.unbinds, A.sends, A.confirms_by_older),
        weight=6,
    ),
    scenario(may_unbind, A.starts_outside, A.unbinds, A.sends, A.polls, weight=6),
    scenario(may_unbind, A.starts, A.unbinds_wrong, A.unbinds, A.starts, A.sends, A.confirms),
    scenario(may_unbind, A.starts, A.unbinds, A.unbinds, A.staff_unbinds, weight=1),
    scenario(
        by_wechat,
        (A.starts, A.unbinds_wrong, A.unbinds_wrong, A.unbinds, A.operator_looks, A.hour_passes),
        (A.starts, A.unbinds),
        weight=3,
    ),
    scenario(must_stay_bound, A.starts, A.unbinds, A.staff_unbinds, weight=5),
    scenario(may_unbind, A.starts, A.sends, A.staff_unbinds, A.confirms_late, A.sends, A.unbinds),
    scenario(
        may_unbind,
        (A.starts, A.sends, A.staff_unbinds, A.starts_in_other_wechat, A.sends, A.confirms),
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
    scenario(
        with_method, A.starts, A.sends, A.confirms_private, A.confirms_private, A.confirms, weight=8
    ),
    scenario(
        by_wechat,
        (A.template_comes, A.follows, A.starts, A.staff_unlocks, A.operator_changes_phone),
        (A.operator_keeps_phone, A.staff_unbinds, A.staff_unbinds),
    ),
    scenario(
        with_method,
        (A.starts, A.sends, *GUESSES, A.minute_passes, A.sends, A.confirms_wrong),
        (A.confirms_wrong, A.staff_unlocks, A.sends, A.confirms),
        weight=1,
    ),
    # Requesters.
    scenario(
        by_sms,
        (A.day_passes, A.starts, A.sends, *GUESSES, A.minute_passes, A.sends, A.confirms_wrong),
        (A.hour_passes, A.stranger_starts, A.sends, A.confirms_wrong, A.confirms),
        weight=5,
    ),
    scenario(by_wechat, STRANGERS_GUESS, A.owner_starts, A.sends, A.fetches, A.confirms, weight=7),
    scenario(
        by_wechat,
        (A.owner_starts, A.sends, *GUESSES, A.confirms_wrong, A.stranger_starts, A.confirms_wrong),
        (A.polls, A.operator_looks, A.owner_continues, A.polls, A.staff_unlocks, A.confirms),
        weight=3,
    ),
    scenario(
        by_wechat,
        (A.stranger_starts, A.sends, *GUESSES, A.stranger_starts, *GUESSES, A.hour_passes),
        (A.starts_outside, A.sends, A.confirms_wrong, A.confirms_wrong, A.confirms_wrong),
        (A.minute_passes, A.sends, A.operator_looks, A.owner_starts, A.sends, A.confirms),
        weight=8,
    ),
    scenario(
        by_wechat,
        (A.stranger_starts, A.sends, A.confirms_wrong, A.confirms_wrong, A.stranger_starts),
        (*GUESSES, A.starts_outside, A.confirms_wrong, A.confirms_wrong, A.operator_looks),
        (A.confirms_wrong, A.owner_starts, A.confirms),
        weight=8,
    ),
    scenario(
        by_wechat,
        (A.starts_outside, A.sends, *GUESSES, *GUESSES, A.moves_within_network, A.confirms_wrong),
        (A.moves, A.confirms_wrong, A.polls, A.confirms),
        weight=4,
    ),
    scenario(
        with_method,
        (A.starts, A.sends, *GUESSES, A.next_login_starts, A.sends, *GUESSES, A.minute_passes),
        (A.sends, A.operator_looks, A.staff_unlocks, A.sends, A.confirms),
        weight=7,
    ),
    scenario(with_method, A.starts, A.sends, A.confirms_wrong, A.confirms, A.verifies, weight=4),
    scenario(by_sms, A.stranger_starts, A.sends, A.owner_continues, A.starts, A.polls, A.confirms),
    scenario(
        by_sms,
        (A.starts, A.sends, A.confirms_wrong, A.minute_passes, A.sends_undeliverable, A.polls),
        (A.confirms_wrong, A.confirms),
        weight=4,
    ),
    scenario(
        with_method,
        (A.day_passes, A.starts, A.sends, A.hour_passes, A.next_login_starts, A.sends),
        (A.hour_passes, A.next_login_starts, A.sends, A.hour_passes),
        (A.instance_begins, A.next_login_starts, A.sends, A.operator_looks),
        weight=8,
    ),
    scenario(
        with_method,
        (A.day_passes, A.starts, A.sends, A.minute_passes, A.sends, A.hour_passes),
        (A.next_login_starts, A.sends, A.minute_passes, A.sends, A.hour_passes),
        (A.next_login_starts, A.sends, A.minute_passes, A.sends, A.operator_looks),
        weight=6,
    ),
    scenario(
        any_login,
        (*(A.starts,) * 4, *(A.stranger_starts,) * 6, A.starts_with_used_proof, A.owner_continues),
        (A.starts, A.operator_looks),
        weight=5,
    ),
    scenario(
        any_login,
        (A.starts_outside,) * 7,
        A.moves_within_network,
        (A.starts_outside,) * 4,
        weight=5,
    ),
    scenario(
        with_method, A.day_passes, A.starts, (A.next_login_starts,) * 3, A.operator_looks, weight=4
    ),
    scenario(any_login, A.starts, A.starts_with_used_proof, A.starts, A.sends),
    # Budgets of the whole service.
    scenario(
        by_sms,
        (A.starts, A.sends, A.confirms_wrong, A.operator_corrects_phones, A.operator_looks),
        (A.minute_passes, A.sends, A.stranger_starts, A.sends, A.operator_corrects_phones),
        (A.minute_passes, A.sends, A.confirms, A.instance_begins, A.sends),
        weight=9,
    ),
    scenario(
        may_unbind,
        (A.follows, A.owner_starts, A.unbinds, A.sends, A.confirms, A.starts, A.unbinds),
        A.next_login_starts,
        (A.sends, A.confirms, A.starts, A.unbinds, A.stranger_starts, A.unbinds, A.unbinds),
        weight=8,
    ),
    scenario(
        may_unbind,
        (A.follows, A.owner_starts, A.unbinds, A.sends, A.confirms, A.starts, A.unbinds),
        (A.minute_passes, A.sends),
        (A.confirms, A.starts, A.unbinds, A.operator_looks, A.staff_unlocks, A.unbinds),
        weight=8,
    ),
    scenario(
        may_unbind,
        A.follows,
        (A.starts, A.unbinds, A.sends, A.confirms, A.starts, A.unbinds, A.hour_passes),
        (A.next_login_starts, A.sends, A.confirms, A.starts, A.unbinds, A.minute_passes, A.sends),
        (A.confirms, A.starts, A.unbinds),
        weight=8,
    ),
    scenario(
        may_unbind,
        (A.starts, *(A.unbinds_wrong,) * 4, A.stranger_starts, A.unbinds, A.operator_looks),
        weight=3,
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
    scenario(any_login, A.year_begins, A.year_begins, A.workers_work, A.year_begins, weight=4),
)
