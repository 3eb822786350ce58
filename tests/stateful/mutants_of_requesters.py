"""Mutants of the limits by requester and of the budgets of the whole service."""

from __future__ import annotations

from chalicelib.domain.limits import Limits
from chalicelib.security import requesters
from chalicelib.services.code_sender import CodeSender
from chalicelib.services.code_verifier import CodeVerifier
from chalicelib.services.notifications import Notifications
from chalicelib.services.rate_limits import StartLimiter
from chalicelib.services.service_budgets import ServiceBudgets
from chalicelib.services.unbinding import Unbinding
from chalicelib.store import code_updates, logins, requester_times, send_updates, sends
from chalicelib.store.accounts import Accounts
from chalicelib.store.bindings import Bindings
from chalicelib.store.codes import Codes
from chalicelib.store.sends import Sends
from tests.security.mutation import Defence, SourceMutation, Together, Value

ALWAYS = "CodeItem.id.exists() | CodeItem.id.does_not_exist()"

MUTANTS_OF_REQUESTERS: dict[str, Defence] = {
    # Requesters.
    "an address has the figures of a WeChat": SourceMutation(
        Limits.of_requester, "figure * self.address_factor if is_address else figure", "figure"
    ),
    "a visitor has as many addresses as its network": SourceMutation(
        requesters._network, "ipaddress.ip_network((parsed, 64), strict=False)", "parsed"
    ),
    "a requester's counts are forgotten in an hour": SourceMutation(
        Limits._day_of_requester, "DAY", "HOUR"
    ),
    "a requester's wrong codes on a login are not counted": SourceMutation(
        code_updates.count_attempt, "prepend(_wrong_by, now_param)", "prepend(_wrong_by, 0)"
    ),
    "a requester's wrong codes on a login have no limit": SourceMutation(
        code_updates.may_try, "within_limits(_wrong_by, mine, now_param)", ALWAYS
    ),
    "a requester's wrong codes are not counted": SourceMutation(
        code_updates.count_wrong, "prepend(RequesterItem.wrongs, now_param), "
    ),
    "a requester's wrong codes have no limit": SourceMutation(
        code_updates.count_wrong,
        "within_limits(RequesterItem.wrongs, windows, now_param) if windows else None",
        "None",
    ),
    "all tries of a sender are compared before they count": SourceMutation(
        CodeVerifier.verify, "is_strict or not attempt.is_first_of_sender", "is_strict"
    ),
    "all first tries on a code are compared before they count": SourceMutation(
        Codes._consumed, "tries == 1 and item.sender == requester.key", "tries == 1"
    ),
    "a later try with the right code stays counted": SourceMutation(
        Codes._take_back, "if attempt.is_recorded:", "if False:"
    ),
    "strangers' wrong codes use up the owner's tries": SourceMutation(
        code_updates.count_attempt,
        "may_try(limits, is_address=is_address, is_owner=is_owner)",
        "may_try(limits, is_address=is_address, is_owner=False)",
    ),
    "the owner's wrong codes count with those of strangers": Together(
        SourceMutation(
            code_updates.count_attempt,
            "*([] if is_owner else [prepend(CodeItem.wrongs, now_param)]),",
            "prepend(CodeItem.wrongs, now_param),",
        ),
        SourceMutation(code_updates._uncount_wrong, "[_wrong_by[0]] if is_owner else "),
    ),
    "codes under attack have six digits": Together(
        SourceMutation(send_updates.plan_code, "LONG_DIGITS if under_attack else DIGITS", "DIGITS"),
        SourceMutation(send_updates.CodePlan.update, "self.digits == DIGITS", "False"),
    ),
    "strangers' sends use up the owner's": SourceMutation(
        send_updates.plan_code, " if by_name == requester"
    ),
    "a requester's sends are not counted": SourceMutation(
        send_updates.count_by_requester,
        "prepend(RequesterItem.sends, now_param),",
        further=(('prepend(RequesterItem.sent_logins, text("login")),', ""),),
    ),
    "a requester's sends have no limit": Together(
        SourceMutation(
            send_updates._may_send,
            "may &= within_limits(RequesterItem.sends, sends, now_param)",
            "pass",
        ),
        SourceMutation(
            send_updates.plan_requester, 'raise TooManyRequests(wait, "requester-sends")', "pass"
        ),
    ),
    "a requester's failed send stays counted": SourceMutation(
        Sends._uncount,
        "RequesterItem.sends[0].remove(), RequesterItem.sent_logins[0].remove()",
        "RequesterItem.expires_at.set(send.now)",
    ),
    "a requester sends codes for any number of logins": SourceMutation(
        send_updates.plan_requester, "len(after) > most and login not in known", "False"
    ),
    "a requester starts recoveries of any number of logins": SourceMutation(
        StartLimiter._count, 'raise TooManyRequests(wait, "requester-logins")', "pass"
    ),
    "a failed resend ends the code before": Value(sends, "RESTORE_CODE", code_updates.END_CODE),
    "a failed resend keeps the tries of the failed code": SourceMutation(
        code_updates.keep_code, "in _KEPT", "in _KEPT if live is not CodeItem.tries"
    ),
    "a code of another is reported": SourceMutation(
        Codes.live, "item.sender != requester.key", "False"
    ),
    "unbindings of a login have no limit": SourceMutation(
        Bindings.unbind, "within_limits(CodeItem.unbindings, on_login, now)", "None"
    ),
    "unbindings of a requester have no limit": SourceMutation(
        Bindings.unbind,
        "within_limits(UnbinderItem.unbindings, by_requester, now)",
        "UnbinderItem.id.exists() | UnbinderItem.id.does_not_exist()",
    ),
    "requesters that still count are dropped from maps": SourceMutation(
        requester_times.dropping, "entries[name][0] <= since", "True"
    ),
    "unlocking leaves the requester's wrong codes": SourceMutation(
        Accounts.unlock, "RequesterItem.wrongs.set([]),"
    ),
    "unlocking leaves the requester's wrong codes on the login": SourceMutation(
        Accounts.unlock, "counts += [CodeItem.wrong_by[by].set([]) for by in wrongs_by]", "pass"
    ),
    "unlocking leaves the requester's starts": SourceMutation(
        Accounts.unlock, "LoginItem.starts_by.set({}),"
    ),
    # Proofs of work and budgets of the whole service.
    "many starts of a login require no more work": SourceMutation(
        logins._count_start,
        "condition &= within_limits(LoginItem.starts, all_starts, now_param)",
        "pass",
    ),
    "many starts of a login are refused": SourceMutation(
        logins._count_start, "doublings < DOUBLINGS", "True"
    ),
    "a proof of work may be used again": SourceMutation(
        logins._count_start,
        "condition &= LoginItem.proofs.does_not_exist() | ~LoginItem.proofs.contains(proof)",
        "pass",
    ),
    "a full budget requires no more work": SourceMutation(
        ServiceBudgets.proof_factor,
        "self._full_factor if any(budget.is_full(now) for budget in soft) else 1",
        "1",
    ),
    "a full budget of sends refuses nobody": SourceMutation(
        CodeSender.send, "self._budget.is_full(now)", "False"
    ),
    "a full budget of sends refuses everybody": SourceMutation(
        CodeSender.send, 'method == "sms" and self._budget.is_exhausted', "self._budget.is_full"
    ),
    "SMS have no last limit": SourceMutation(
        CodeSender.send, "self._budget.is_exhausted(now)", "False"
    ),
    "notices have no last limit": SourceMutation(
        Notifications._within_budget, "self._budgets.sends.is_exhausted(now)", "False"
    ),
    "notices are not counted": SourceMutation(Notifications.by_sms, "self._count(now)", "pass"),
    "a full budget of wrong codes refuses nobody": SourceMutation(
        CodeVerifier.verify, "self._budget.is_full(now)", "False"
    ),
    "a full budget of wrong codes refuses everybody": SourceMutation(
        CodeVerifier.verify, "self._budget.is_full(now)", "bool(self._budget.check(now))"
    ),
    "a full budget of unbindings refuses nobody": SourceMutation(
        Unbinding.unbind, "is_strict=self._budgets.unbindings.is_full(now)", "is_strict=False"
    ),
    "wrong details do not count in a full budget": SourceMutation(
        Unbinding.unbind, "self._bindings.record_wrong(requester, now)", "pass"
    ),
    "unbindings have no last limit": SourceMutation(
        Unbinding.unbind, "self._budgets.unbindings.is_exhausted(now)", "False"
    ),
}
"""Mutants by name; the name states how the service behaves."""
