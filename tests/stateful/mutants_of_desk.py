"""Mutants of the support desk, of freezing and of closed firms."""

from __future__ import annotations

from chalicelib.domain import staff
from chalicelib.domain.limits import DAY
from chalicelib.domain.staff import Staff
from chalicelib.handlers.http import cookies
from chalicelib.security import freeze_tokens
from chalicelib.services.closing import Closing
from chalicelib.services.credential_check import CredentialCheck
from chalicelib.services.desk.identity import Identity
from chalicelib.services.desk.phone_change import PhoneChange
from chalicelib.services.desk.sign_in import SignIn
from chalicelib.services.owner_freezing import OwnerFreezing
from chalicelib.services.support import Support
from chalicelib.store import closing, freezing, identity_checks, logins, proposals
from chalicelib.store.firms import Firms
from chalicelib.store.identity_checks import IdentityChecks
from chalicelib.store.logins import Logins
from chalicelib.store.models import LoginItem
from chalicelib.store.proposals import Proposals
from tests.security.mutation import Defence, SourceMutation, Together, Value

MUTANTS_OF_DESK: dict[str, Defence] = {
    # Freezing.
    "a frozen login may be recovered": SourceMutation(
        logins._count_start, " & LoginItem.frozen_at.does_not_exist()"
    ),
    "a frozen login's password is valid": SourceMutation(
        Logins.count_password, "item.frozen_at is not None or "
    ),
    "attempts on a frozen login count": SourceMutation(
        CredentialCheck.verify, "self._logins.refund_attempt(stored, None)", "pass"
    ),
    "freezing leaves open recoveries": SourceMutation(
        freezing._freeze, ", LoginItem.recovery_epoch.add(1)"
    ),
    "a former owner's link freezes": SourceMutation(
        OwnerFreezing._permits, "not self._tokens.is_recipient(claims, state.openid)", "False"
    ),
    "a link from before the end of a freezing freezes": SourceMutation(
        OwnerFreezing._permits, "claims.issued_at >= state.unfrozen_at", "True"
    ),
    "a link lives twice as long": Value(freeze_tokens, "FREEZE_LIFETIME", 14 * DAY),
    "the staff's freezing names nobody": SourceMutation(
        Support.freeze, "actor=actor, reason=why", "reason=why"
    ),
    # Sessions and roles.
    "roles are not checked": SourceMutation(Staff.require, "not self.roles & allowed", "False"),
    "a session never ends": Together(
        SourceMutation(staff.signed_in, " or staff.ends_at <= now"),
        SourceMutation(cookies.keep_staff, "staff.ends_at - service.clock()", "99 * 86_400"),
    ),
    "a session survives its end by the person": SourceMutation(
        SignIn.check, "staff_sessions.has_ended(staff.session, self._clock())", "False"
    ),
    # Identity checks.
    "a proposal needs no identity check": SourceMutation(
        Proposals.propose,
        "IdentityItem.expires_at > now",
        "IdentityItem.id.exists() | IdentityItem.id.does_not_exist()",
    ),
    "an identity check permits proposals for a day": Value(identity_checks, "MATCH_LIFETIME", DAY),
    "a colleague's identity check permits proposals": SourceMutation(
        identity_checks.match_key, "#{subject}"
    ),
    "wrong identity checks have no limit": SourceMutation(
        IdentityChecks.count, "within_limits(IdentityItem.wrongs, windows, now)", "None"
    ),
    "right identity checks stay counted": SourceMutation(
        IdentityChecks.match, "in _keys(firm_no, subject)", "in ()"
    ),
    "an erased firm's facts are compared": SourceMutation(
        Identity.check, " or state.is_erased(now)"
    ),
    "a correction leaves the login's copy": SourceMutation(
        Firms.correct, "set(now.head_id_last4)", "set(was.head_id_last4)"
    ),
    # Proposals.
    "a person approves their own proposal": Together(
        SourceMutation(
            PhoneChange._decide, "same_person(proposal.proposed_by, staff.subject)", "False"
        ),
        SourceMutation(Proposals.decide, " & (ProposalItem.proposed_by != subject)"),
    ),
    "a name in capitals is another person": SourceMutation(
        staff.same_person,
        "subject.strip().casefold() == other.strip().casefold()",
        "subject == other",
    ),
    "a rejected proposal may be approved": SourceMutation(
        proposals._is_open, "(ProposalItem.state == state) & "
    ),
    "a proposal never ends": SourceMutation(proposals._is_open, " & (ProposalItem.ends_at > now)"),
    "an agent acts on proposals of others": SourceMutation(
        Staff.sees_proposals_of, "bool(self.roles & REVIEWERS) or self.subject == subject", "True"
    ),
    "any code confirms a phone": SourceMutation(
        PhoneChange.confirm, "or not one_time.matches(", "or False and one_time.matches("
    ),
    "tries of a phone's code have no limit": SourceMutation(
        Proposals.count_try, "& (ProposalItem.attempts < TRIES)"
    ),
    "a phone's codes have no limit": SourceMutation(
        Proposals.reserve_code, " & within_limits(ProposalItem.sends, SENDS, now)"
    ),
    "proposals share no limit of their phone": SourceMutation(
        Proposals.reserve_code, "prepend(DestinationItem.sends, now), "
    ),
    "a phone's code lives twice as long": Value(proposals, "LIFETIME", 600),
    "a proposal's phone leaves open recoveries": Value(
        proposals, "_UNBIND", (LoginItem.openid.remove(), LoginItem.bound_at.remove())
    ),
    "a proposal's phone leaves the binding": Value(
        proposals, "_UNBIND", (LoginItem.recovery_epoch.add(1),)
    ),
    "the old phone is not notified of an approval": SourceMutation(
        PhoneChange.approve, "phone=account.phone", "phone=None"
    ),
    "a change may be undone for ever": Together(
        SourceMutation(PhoneChange.undo, " or (proposal.undo_until or 0) <= now"),
        SourceMutation(Proposals.undo, " & (ProposalItem.undo_until > now)"),
    ),
    "undoing replaces a later phone": SourceMutation(
        PhoneChange.undo, "was.phone != phone", "False"
    ),
    "a former phone is still found": SourceMutation(
        PhoneChange.confirm, "self._index.remove_phone(was.login, was.phone)", "pass"
    ),
    # Closed firms.
    "a closed firm is found for ever": SourceMutation(
        Closing._index_state, "self._index.expire(firm.facts, phones, firm.erased_at)", "pass"
    ),
    "a closed firm's login may be recovered": SourceMutation(
        logins._count_start, "condition &= LoginItem.closed_at.does_not_exist()", "pass"
    ),
    "closing leaves open recoveries": SourceMutation(
        closing.close, "LoginItem.recovery_epoch.add(1),"
    ),
    "a closed firm's logins may be changed": SourceMutation(
        Support._change, "before.closed_at is not None", "False"
    ),
    "codes are sent for a closed firm's proposal": SourceMutation(
        PhoneChange.send_code, "self._account(proposal.login)", "pass"
    ),
}
"""Mutants by name; the name states how the service behaves."""
