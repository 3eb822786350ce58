"""Mutants: the service without one of its rules, each of which the state machine must detect."""

from __future__ import annotations

from chalicelib.domain.limits import Limits
from chalicelib.security.tokens import Tokens
from chalicelib.services.code_delivery import CodeDelivery
from chalicelib.services.code_verifier import CodeVerifier
from chalicelib.services.follower_check import FollowerCheck
from chalicelib.services.recovery import Recovery
from chalicelib.services.recovery_progress import RecoveryProgress
from chalicelib.services.refusals import Refusals
from chalicelib.services.support import Support
from chalicelib.services.unbinding import Unbinding
from chalicelib.services.yearly_reset import YearlyReset
from chalicelib.store import (
    accounts,
    audit,
    bindings,
    code_updates,
    logins,
    pending_codes,
    reset_runs,
    send_updates,
)
from chalicelib.store.accounts import Accounts
from chalicelib.store.bindings import Bindings
from chalicelib.store.logins import Logins
from chalicelib.store.message_dedup import MessageDedup
from chalicelib.store.sends import Sends
from tests.security.mutation import Defence, SourceMutation, Together, Value
from tests.security.mutations import NO_NEW_CODE, ONE_BUCKET, SAME_LOGIN, TRIES_OF_A_CODE
from tests.stateful.mutants_of_desk import MUTANTS_OF_DESK
from tests.stateful.mutants_of_requesters import MUTANTS_OF_REQUESTERS

_ENDED = "*END_CODE, "
_ENDED_LINE = "*END_CODE,\n"
_VERSION = "LoginItem.password_version.set(LoginItem.password_version + 1),"
_NEITHER_CHANGED = Together(
    SourceMutation(reset_runs._add_reset, " & (LoginItem.changed_at < run.started_at)"),
    SourceMutation(YearlyReset._skip_reason, "login.changed_at >= run.started_at", "False"),
)
_NO_LATER_YEAR = Together(
    SourceMutation(
        reset_runs._add_reset, "(LoginItem.reset_year < run.year)", "(LoginItem.login.exists())"
    ),
    SourceMutation(YearlyReset._skip_reason, "login.reset_year is not None and ", "False and "),
)
_PHONE_LEFT = Together(
    SourceMutation(bindings.add_unbinding, " & LoginItem.phone.exists()"),
    SourceMutation(Unbinding.unbind, "account.phone is None", "False"),
    SourceMutation(
        Support.unbind, "        if before.phone is None:\n            raise PhoneNotBound\n"
    ),
)


MUTANTS: dict[str, Defence] = {
    # The end of a recovery.
    "wrong passwords stay counted": SourceMutation(
        code_updates.change_login, "LoginItem.failures.remove(),"
    ),
    "must_change stays": SourceMutation(
        code_updates.change_login, "LoginItem.must_change.set(False),"
    ),
    "the password's version stays": SourceMutation(code_updates.change_login, _VERSION),
    "the right code stays counted": SourceMutation(
        code_updates.use_code, "*_uncount_wrong(is_owner=is_owner),"
    ),
    "the code stays live": SourceMutation(code_updates.use_code, _ENDED_LINE, "\n"),
    "the login is not checked at the end": SAME_LOGIN,
    "the WeChat is not bound": SourceMutation(
        code_updates.change_login, 'LoginItem.openid.set(text("bind")), '
    ),
    "the time of recovery is not stored": SourceMutation(
        code_updates.change_login, "LoginItem.recovered_at.set(now_param),"
    ),
    "a repeat is refused": SourceMutation(
        code_updates.use_code, 'CodeItem.used_by.set(text("recovery")),'
    ),
    "any recovery may repeat": SourceMutation(
        Recovery._repeated, "used.recovery == claims.recovery and self", "self"
    ),
    "any password may be repeated": SourceMutation(
        Recovery._repeated, " or not self._hasher.verify(stored.password_hash, password)"
    ),
    "any code may be repeated": SourceMutation(
        CodeVerifier.matches_used, "return any(", "return True or any("
    ),
    "private rules apply to wrong codes": SourceMutation(
        Recovery.complete,
        "public_weaknesses(password, parse_login(claims.login))",
        "private_weaknesses(password, claims.phone, claims.default)",
    ),
    "a private refusal costs an attempt": SourceMutation(
        code_updates.refund_attempt, "_tries.set(_tries - 1), "
    ),
    "a private refusal counts as a wrong code": SourceMutation(
        code_updates.refund_attempt, ", *_uncount_wrong(is_owner=is_owner)"
    ),
    "refusals are not recorded": SourceMutation(
        Refusals._record, "audit.roll_up(login, event, self._clock())", "pass"
    ),
    "a second refusal replaces the first": SourceMutation(
        audit.rolled_up, "AuditItem.occurrences.add(1)", "AuditItem.occurrences.set(1)"
    ),
    "no notice of a new password": SourceMutation(
        Recovery._set_password, "phone=claims.phone", "phone=None"
    ),
    "no notice on WeChat": SourceMutation(
        Recovery._set_password,
        'openid=claims.bound_openid if attempt.method == "wechat" else bind',
        "openid=None",
    ),
    "an SMS recovery binds no WeChat": SourceMutation(
        Recovery._set_password, 'claims.visitor_openid if attempt.method == "sms" else None', "None"
    ),
    "a WeChat that does not follow is bound": SourceMutation(
        Recovery._set_password, "visitor if follows else None", "visitor"
    ),
    "WeChat does not decide without an event": SourceMutation(
        FollowerCheck.certainly_follows,
        "self._platform.is_following(openid, _PATIENCE)",
        "True",
    ),
    # The end of a code and of a recovery.
    "an unbinding leaves the code": SourceMutation(Bindings.unbind, _ENDED_LINE, "\n"),
    "an operator's change leaves the code": SourceMutation(accounts.without_code, _ENDED),
    "the yearly reset leaves the code": SourceMutation(reset_runs._add_reset, _ENDED),
    "the yearly reset leaves the version": SourceMutation(reset_runs._add_reset, _VERSION),
    "the yearly reset requires no change": SourceMutation(
        reset_runs._add_reset, "LoginItem.must_change.set(True),"
    ),
    "the yearly reset overrides changed passwords": _NEITHER_CHANGED,
    "an earlier year overrides a later": _NO_LATER_YEAR,
    "a recovery survives a new password": SourceMutation(
        code_updates.login_unchanged,
        '(LoginItem.password_version == number("version")) & same_destination',
        "same_destination",
    ),
    "a recovery by SMS survives a new phone": Together(
        SourceMutation(code_updates.login_unchanged, "(LoginItem.phone == destination) & "),
        SourceMutation(Accounts.change_phone, ", _END_RECOVERIES"),
    ),
    "a recovery by WeChat survives a new phone": SourceMutation(
        Accounts.change_phone, ", _END_RECOVERIES"
    ),
    "a recovery survives an operator's unbinding": SourceMutation(
        Accounts.unbind, "[_END_RECOVERIES]", "[]"
    ),
    "an unbinding ignores operators' changes": SourceMutation(
        Bindings.unbind, "same_epoch(epoch)", "LoginItem.login.exists()"
    ),
    "codes are sent for a changed login": SourceMutation(
        code_updates.check_login, "login_unchanged(method)", "LoginItem.login.exists()"
    ),
    "a code lives twice as long": Value(code_updates, "LIFETIME", 600),
    "an expired code is accepted": SourceMutation(
        code_updates.count_attempt,
        # A code that was never sent has the time 0.
        "CodeItem.code_expires_at > now_param",
        "CodeItem.code_expires_at > 0",
    ),
    "a recovery lives twice as long": SourceMutation(
        Tokens.issue, "TOKEN_LIFETIME,\n", "2 * TOKEN_LIFETIME,\n"
    ),
    "every reset counts as done": SourceMutation(
        RecoveryProgress.of, "self._codes.used_by(claims.login) != claims.recovery", "False"
    ),
    # Counting.
    "tries are not counted": SourceMutation(
        code_updates.count_attempt, "_tries.set((_tries | 0) + 1),", "_tries.set(_tries | 0),"
    ),
    "tries of a code have no limit": TRIES_OF_A_CODE,
    "a login's wrong codes are not counted": SourceMutation(
        code_updates.count_attempt,
        "prepend(CodeItem.wrongs, now_param)",
        "prepend(CodeItem.wrongs, 0)",
    ),
    "a login's wrong codes have no limit": SourceMutation(
        code_updates.may_try, "may & _within_the_login(limits)", "may"
    ),
    "wrong codes do not stop sends": NO_NEW_CODE,
    "a login's wrong codes are forgotten in an hour": SourceMutation(
        Limits.wrong_codes_per_login, "DAY", "HOUR"
    ),
    "a login's sends are not counted": SourceMutation(
        send_updates.new_code,
        "prepend(CodeItem.sends, now_param),",
        further=(('prepend(CodeItem.senders, text("requester")),', ""),),
    ),
    "a login's sends are forgotten in an hour": SourceMutation(
        send_updates.new_code, "limits.sends_per_login_day, DAY", "limits.sends_per_login_day, HOUR"
    ),
    "a phone's sends are not counted": SourceMutation(
        code_updates.count_send, "prepend(DestinationItem.sends, now_param),"
    ),
    "a phone's sends are counted by login": ONE_BUCKET,
    "no limit by the minute": SourceMutation(Limits.sends_per_destination, "MINUTE", "1"),
    "an hour of sends is half of one": SourceMutation(
        Limits.sends_per_destination, "HOUR", "30 * MINUTE"
    ),
    "a day of sends is an hour": SourceMutation(Limits.sends_per_destination, "DAY", "HOUR"),
    "a send that failed stays counted": SourceMutation(
        Sends._uncount, ", CodeItem.sends[0].remove(), CodeItem.senders[0].remove()"
    ),
    "a phone's send that failed stays counted": SourceMutation(
        Sends._uncount,
        "[DestinationItem.sends[0].remove()]",
        "[DestinationItem.login.set(send.login)]",
    ),
    "a code that was not sent is live": SourceMutation(Sends._uncount, "*RESTORE_CODE, "),
    "details are not counted": SourceMutation(
        Bindings.count_details, "prepend(own, now)", "prepend(own, 0)"
    ),
    "details are forgotten in an hour": SourceMutation(
        Limits.wrong_details,
        "self._day_of_requester(self.wrong_details_per_login_day, is_address)",
        "[Window(self.of_requester(self.wrong_details_per_login_day, is_address=is_address), HOUR)]",
    ),
    "any details are right": SourceMutation(Unbinding.unbind, "not all(right)", "False"),
    "the last method may be removed": _PHONE_LEFT,
    "wrong passwords have no limit": SourceMutation(
        logins._count_password,
        "LoginItem.login.exists() & within_limits(LoginItem.failures, windows, now_param)",
        "LoginItem.login.exists()",
    ),
    "wrong passwords are forgotten early": SourceMutation(
        Limits.wrong_passwords_per_login, "30 * MINUTE", "MINUTE"
    ),
    "right passwords are counted": SourceMutation(
        Logins.refund_attempt, "range(_REFUND_TRIES)", "range(0)"
    ),
    "starts of a requester are not counted": SourceMutation(
        logins._count_start, ", prepend(own, now_param)"
    ),
    "starts of a requester are forgotten early": SourceMutation(
        Limits.starts_per_requester, "HOUR", "MINUTE"
    ),
    "starts of an address are forgotten early": SourceMutation(
        Limits.starts_per_address, "HOUR", "MINUTE"
    ),
    # WeChat and operators.
    "a former WeChat may fetch codes": SourceMutation(
        pending_codes.PendingCodes.pending_for, "bound and "
    ),
    "expired codes may be fetched": SourceMutation(
        pending_codes.PendingCodes._may_be_fetched, "and code.code_expires_at > now"
    ),
    "codes without attempts left may be fetched": SourceMutation(
        pending_codes.PendingCodes._may_be_fetched,
        "and tries.get(self._requester_of(openid).key, 0) < self._limits.tries_per_code",
    ),
    "a follower who left is not stored": SourceMutation(
        CodeDelivery._by_wechat,
        "self._followers.left(destination.address, audit.time_of(send))",
        "pass",
    ),
    "codes wait for a follower who left": SourceMutation(
        CodeDelivery._by_wechat, "not self._still_follows(destination.address)", "False"
    ),
    "a repeated message gets another answer": SourceMutation(
        MessageDedup.first_answer, "unseen,\n", 'SeenItem.id != "",\n'
    ),
    "the old phone is not notified": SourceMutation(
        Support.change_phone, "for number in (before.phone, phone)", "for number in (phone,)"
    ),
    "the WeChat is not notified of operators' changes": SourceMutation(
        Support._notify, "before.openid is not None", "False"
    ),
    "unlocking leaves wrong passwords": SourceMutation(
        Accounts.unlock, "LoginItem.failures.set([]),"
    ),
    "unlocking leaves the phone's sends": SourceMutation(
        Accounts.unlock, "DestinationItem.sends.set([]), "
    ),
    **MUTANTS_OF_REQUESTERS,
    **MUTANTS_OF_DESK,
}
"""Mutants by name; the name states how the service behaves."""
