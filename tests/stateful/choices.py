"""The actions of the machine: when each is possible, and how often it is done outside of a scenario."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.stateful.actions import Actions as A
from tests.stateful.driver import Draw

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
    **dict.fromkeys(
        (A.unbinds, A.unbinds_wrong, A.unbinds_by_first_facts), lambda machine: machine.once_bound
    ),
    **dict.fromkeys(
        (
            A.staff_approves,
            A.staff_rejects,
            A.proposer_approves,
            A.proposer_approves_in_capitals,
            A.proposer_rejects,
            A.staff_sends_phone_code,
            A.staff_sends_phone_code_undeliverable,
            A.colleague_sends_phone_code,
            A.staff_confirms_phone,
            A.staff_confirms_phone_wrong,
            A.colleague_confirms_phone,
            A.staff_undoes,
        ),
        lambda machine: machine.proposals,
    ),
    **dict.fromkeys(
        (A.owner_freezes, A.owner_freezes_by_old_link), lambda machine: machine.model.links
    ),
    A.starts_with_used_proof: lambda machine: machine.proof[0],
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
    A.unbinds_by_first_facts: 1,
    A.polls: 3,
    A.starts: 6,
    A.starts_outside: 1,
    A.starts_in_other_wechat: 1,
    A.neighbour_starts: 1,
    A.owner_starts: 1,
    A.stranger_starts: 2,
    A.next_login_starts: 1,
    A.starts_unknown: 1,
    A.starts_with_used_proof: 1,
    A.owner_continues: 1,
    A.moves: 2,
    A.moves_within_network: 1,
    A.instance_begins: 1,
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
    A.operator_corrects_phones: 1,
    A.operator_keeps_phone: 1,
    A.operator_closes: 1,
    A.operator_reopens: 1,
    A.staff_freezes: 1,
    A.staff_unfreezes: 2,
    A.staff_unlocks: 1,
    A.staff_unbinds: 2,
    A.auditor_changes: 1,
    A.agent_unfreezes: 1,
    A.supervisor_serves: 1,
    A.next_firm: 1,
    A.staff_checks_identity: 2,
    A.staff_checks_identity_wrong: 1,
    A.staff_checks_first_facts: 1,
    A.staff_corrects_facts: 1,
    A.staff_proposes: 2,
    A.staff_proposes_same_phone: 1,
    A.staff_approves: 2,
    A.staff_rejects: 1,
    A.proposer_approves: 1,
    A.proposer_approves_in_capitals: 1,
    A.proposer_rejects: 1,
    A.staff_sends_phone_code: 1,
    A.staff_sends_phone_code_undeliverable: 1,
    A.colleague_sends_phone_code: 1,
    A.staff_confirms_phone: 2,
    A.staff_confirms_phone_wrong: 1,
    A.colleague_confirms_phone: 1,
    A.staff_undoes: 1,
    A.staff_lists_proposals: 1,
    A.colleague_lists_proposals: 1,
    A.staff_signs_out: 1,
    A.owner_freezes: 1,
    A.owner_freezes_by_old_link: 1,
    A.year_begins: 1,
    A.next_year_begins: 1,
    A.workers_work: 2,
}
"""Every action, with its weight outside of a scenario."""
