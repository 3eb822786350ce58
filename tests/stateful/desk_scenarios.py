"""Scenarios of the support desk, of owners who freeze a login, and of firms that are closed."""

from __future__ import annotations

from tests.stateful.actions import Actions as A
from tests.stateful.scenarios import (
    Scenario,
    any_login,
    by_wechat,
    may_unbind,
    of_finance,
    scenario,
    with_method,
    without_method,
)

PROPOSES = (A.staff_checks_identity, A.staff_proposes)
APPROVED = (*PROPOSES, A.staff_approves)
CHANGES = (*APPROVED, A.staff_confirms_phone)
NOTIFIED = (A.template_comes, A.follows)
RECOVERS = (A.starts, A.sends, A.confirms)

DESK_SCENARIOS: tuple[Scenario, ...] = (
    # Freezing.
    scenario(
        with_method,
        (A.starts, A.sends, A.staff_freezes, A.confirms_late, A.polls, A.sends, A.starts),
        (A.staff_freezes, A.verifies, A.operator_looks, A.agent_unfreezes, A.staff_unfreezes),
        (A.sends, *RECOVERS, A.staff_unfreezes),
        weight=5,
    ),
    scenario(
        any_login,
        (A.verifies_wrong, A.staff_freezes, A.verifies, *(A.verifies_wrong,) * 3, A.verifies),
        (A.staff_unfreezes, A.verifies, A.staff_signs_out, A.staff_freezes, A.staff_unfreezes),
        weight=4,
    ),
    scenario(
        by_wechat,
        (*NOTIFIED, *RECOVERS, A.starts, A.owner_freezes, A.owner_freezes, A.sends, A.starts),
        (A.verifies, A.minute_passes, A.staff_unfreezes, A.owner_freezes_by_old_link, A.sends),
        (A.owner_freezes, A.staff_unfreezes),
        weight=8,
    ),
    scenario(
        may_unbind,
        (*NOTIFIED, A.starts, A.unbinds, A.starts_in_other_wechat, A.sends, A.confirms),
        (A.owner_freezes_by_old_link, A.starts, A.week_passes, A.owner_freezes_by_old_link),
        weight=6,
    ),
    scenario(
        may_unbind,
        (*NOTIFIED, A.starts, A.unbinds, A.sends, A.owner_freezes, A.confirms_late, A.sends),
        (A.staff_unfreezes, A.week_passes, A.owner_freezes),
        weight=4,
    ),
    scenario(
        by_wechat,
        (*NOTIFIED, A.staff_freezes, A.staff_unbinds, A.operator_changes_phone, A.staff_unlocks),
        (A.auditor_changes, A.staff_unfreezes, A.starts, A.sends, A.staff_unlocks),
        weight=4,
    ),
    scenario(
        of_finance,
        (A.staff_freezes, A.year_begins, A.workers_work, A.verifies, A.staff_unfreezes),
        (A.verifies, A.starts, A.sends, A.confirms),
    ),
    # Proposals.
    scenario(
        with_method,
        (*PROPOSES, A.proposer_approves, A.staff_confirms_phone, A.staff_sends_phone_code),
        (A.staff_approves, A.staff_approves, A.starts, A.sends, A.staff_confirms_phone_wrong),
        (A.staff_confirms_phone, A.staff_confirms_phone, A.polls, A.confirms_late, A.sends),
        (*RECOVERS, A.starts, A.staff_undoes, A.sends, A.polls, A.staff_undoes),
        weight=6,
    ),
    scenario(
        any_login,
        (A.supervisor_serves, *PROPOSES, A.proposer_approves, A.proposer_approves_in_capitals),
        (A.proposer_rejects, A.staff_rejects, A.staff_approves, A.staff_sends_phone_code),
        (A.staff_confirms_phone, A.staff_lists_proposals, A.staff_undoes),
        weight=5,
    ),
    scenario(
        any_login,
        (*PROPOSES, A.two_days_pass, A.staff_approves, A.staff_rejects, A.staff_proposes),
        weight=4,
    ),
    scenario(
        any_login,
        (*APPROVED, A.two_days_pass, A.staff_sends_phone_code, A.staff_confirms_phone),
        weight=4,
    ),
    scenario(
        any_login,
        (*APPROVED, A.staff_sends_phone_code, A.staff_confirms_phone_wrong),
        (A.staff_confirms_phone_wrong, A.staff_confirms_phone, A.minute_passes),
        (A.staff_sends_phone_code, A.staff_confirms_phone, A.staff_rejects),
        weight=6,
    ),
    scenario(
        any_login,
        (*APPROVED, A.five_minutes_pass, A.staff_confirms_phone),
        (A.staff_sends_phone_code_undeliverable, A.minute_passes, A.staff_sends_phone_code),
        (A.staff_confirms_phone, A.staff_undoes),
        weight=4,
    ),
    scenario(
        any_login,
        (A.staff_lists_proposals, *APPROVED, A.colleague_sends_phone_code),
        (A.colleague_confirms_phone, A.staff_lists_proposals, A.colleague_lists_proposals),
        (A.minute_passes, A.staff_sends_phone_code, A.staff_confirms_phone),
        weight=6,
    ),
    scenario(
        by_wechat,
        (*NOTIFIED, A.owner_starts, A.sends, *CHANGES, A.fetches, A.confirms_late, A.unbinds),
        (*RECOVERS, A.owner_freezes_by_old_link, A.staff_undoes, A.verifies),
        weight=5,
    ),
    scenario(
        any_login,
        (*CHANGES, A.staff_sends_phone_code, A.operator_changes_phone, A.staff_undoes),
        (A.staff_rejects, A.staff_confirms_phone),
        weight=5,
    ),
    # Two proposals for the same phone, or for another one.
    scenario(
        any_login,
        (*APPROVED, *APPROVED, A.minute_passes, A.staff_sends_phone_code, A.minute_passes),
        (*APPROVED, A.staff_sends_phone_code, A.staff_proposes, A.staff_approves),
        (A.hour_passes, A.staff_sends_phone_code, A.staff_confirms_phone, A.day_passes),
        (A.staff_undoes, A.starts),
        weight=6,
    ),
    scenario(
        without_method, *CHANGES, A.starts, A.sends, A.staff_undoes, A.polls, A.starts, weight=3
    ),
    # Identity checks and facts.
    scenario(
        any_login,
        (A.staff_checks_identity_wrong, A.staff_checks_identity_wrong, A.staff_checks_identity),
        (A.next_firm, A.staff_checks_identity_wrong, A.staff_checks_identity, A.staff_proposes),
        weight=7,
    ),
    scenario(
        any_login,
        (A.staff_checks_identity_wrong, A.staff_proposes, A.staff_checks_identity),
        (A.staff_proposes_same_phone, A.supervisor_serves, A.staff_proposes, A.hour_passes),
        weight=4,
    ),
    scenario(any_login, A.staff_checks_identity, A.hour_passes, A.staff_proposes, weight=3),
    scenario(
        may_unbind,
        (A.starts, A.staff_corrects_facts, A.staff_checks_first_facts, A.staff_checks_identity),
        (A.unbinds_by_first_facts, A.unbinds, A.sends, A.confirms),
        weight=6,
    ),
    scenario(
        of_finance,
        (A.starts, A.sends, A.staff_corrects_facts, A.confirms_private, A.confirms),
        (A.next_year_begins, A.workers_work, A.verifies, A.minute_passes, A.starts, A.sends),
        (A.confirms_private, A.confirms),
        weight=3,
    ),
    # Closed firms.
    scenario(
        with_method,
        (*NOTIFIED, A.starts, A.sends, A.operator_closes, A.confirms_late, A.polls, A.starts),
        (A.verifies, A.staff_freezes, A.staff_corrects_facts, *PROPOSES, A.operator_closes),
        (A.operator_changes_phone, A.operator_looks, A.operator_reopens, A.sends, *RECOVERS),
        (A.verifies, A.operator_reopens),
        weight=6,
    ),
    scenario(
        any_login,
        (*PROPOSES, A.operator_closes, A.staff_approves, A.operator_reopens, A.staff_approves),
        (A.operator_closes, A.minute_passes, A.staff_sends_phone_code, A.staff_confirms_phone),
        (A.operator_reopens, A.staff_confirms_phone, A.staff_sends_phone_code),
        (A.staff_confirms_phone, A.operator_closes, A.staff_undoes, A.operator_reopens),
        A.staff_undoes,
        weight=7,
    ),
    scenario(
        any_login,
        (A.operator_closes, A.two_days_pass, A.operator_reopens, A.operator_closes),
        (A.operator_looks, A.staff_unlocks, A.staff_corrects_facts, *PROPOSES),
        (A.operator_changes_phone, A.starts, A.verifies),
        weight=6,
    ),
)
