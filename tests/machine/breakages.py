"""Rules taken out of the service, one at a time: each makes a story go wrong that the machine tells."""

from __future__ import annotations

from chalicelib.domain.limits import Limits
from chalicelib.keys.tokens import Tokens
from chalicelib.store import accounts, bindings, code_updates, logins, runs, waiting
from chalicelib.store.accounts import Accounts
from chalicelib.store.bindings import Bindings
from chalicelib.store.codes import Codes
from chalicelib.store.inbox import Inbox
from chalicelib.store.logins import Logins
from chalicelib.stories.delivery import Delivery
from chalicelib.stories.operations import Operations
from chalicelib.stories.recovery import Recovery
from chalicelib.stories.unbinding import Unbinding
from chalicelib.stories.yearly_reset import YearlyReset
from tests.attacks.defences import ONE_BUCKET, SAME_LOGIN, TRIES_OF_A_CODE
from tests.attacks.proving import Defence, Line, Together, Value

_ENDED = "*END_CODE, "
_ENDED_LINE = "*END_CODE,\n"
_VERSION = "LoginItem.password_version.set(LoginItem.password_version + 1),"
_NEITHER_CHANGED = Together(
    Line(runs._add_reset, " & (LoginItem.changed_at < run.started_at)"),
    Line(YearlyReset._obstacle, "login.changed_at >= run.started_at", "False"),
)
_NO_LATER_YEAR = Together(
    Line(runs._add_reset, "(LoginItem.reset_year < run.year)", "(LoginItem.login.exists())"),
    Line(YearlyReset._obstacle, "login.reset_year is not None and ", "False and "),
)
_PHONE_LEFT = Together(
    Line(bindings.add_unbinding, " & LoginItem.phone.exists()"),
    Line(Unbinding.unbind, "account.phone is None", "False"),
    Line(Operations.unbind, "        if was.phone is None:\n            raise PhoneNotBound\n"),
)


BREAKAGES: dict[str, Defence] = {
    # What a recovery's end does.
    "wrong passwords stay counted": Line(code_updates.change_login, "LoginItem.failures.remove(),"),
    "must_change stays": Line(code_updates.change_login, "LoginItem.must_change.set(False),"),
    "the password's version stays": Line(code_updates.change_login, _VERSION),
    "the right code stays counted": Line(code_updates.use_code, "CodeItem.wrongs[0].remove(),"),
    "the code stays live": Line(code_updates.use_code, _ENDED_LINE, "\n"),
    "nothing is asked of the login": SAME_LOGIN,
    "the WeChat is not bound": Line(
        code_updates.change_login, 'LoginItem.openid.set(text("bind")), '
    ),
    "no time of recovery": Line(
        code_updates.change_login, "LoginItem.recovered_at.set(now_param),"
    ),
    "a repeat is refused": Line(code_updates.use_code, 'CodeItem.used_by.set(text("recovery")),'),
    "any recovery may repeat": Line(
        Recovery._repeated, "used.recovery == ticket.recovery and any", "any"
    ),
    "any password may be repeated": Line(
        Recovery._repeated, " or not self._hasher.verify(stored, password)"
    ),
    "any code may be repeated": Line(
        Recovery._repeated, "self._matches(code, used.digest, ticket.login, method)", "True"
    ),
    "no notice of a new password": Line(Recovery._set_password, "phone=ticket.phone", "phone=None"),
    "no notice on WeChat": Line(
        Recovery._set_password, "openid=bind or ticket.bound", "openid=None"
    ),
    "an SMS recovery binds nobody": Line(
        Recovery._set_password, 'ticket.visitor if spent.method == "sms" else None', "None"
    ),
    # What ends a code, and a recovery.
    "an unbinding leaves the code": Line(Bindings.unbind, _ENDED),
    "an operator's change leaves the code": Line(accounts._without_code, _ENDED),
    "the yearly reset leaves the code": Line(runs._add_reset, _ENDED),
    "the yearly reset leaves the version": Line(runs._add_reset, _VERSION),
    "the yearly reset asks for no change": Line(
        runs._add_reset, "LoginItem.must_change.set(True),"
    ),
    "the yearly reset overrides people": _NEITHER_CHANGED,
    "an earlier year overrides a later": _NO_LATER_YEAR,
    "a recovery survives a new password": Line(
        code_updates.login_unchanged,
        '(LoginItem.password_version == number("version")) & road',
        "road",
    ),
    "a recovery survives a new phone": Line(
        code_updates.login_unchanged, "(LoginItem.phone == destination) & "
    ),
    "codes go to any login": Line(
        code_updates.check_login, "login_unchanged(method)", "LoginItem.login.exists()"
    ),
    "a code lives twice as long": Value(code_updates, "LIFETIME", 600),
    "a late code is taken": Line(
        code_updates.count_attempt, "& (CodeItem.code_expires_at > now_param)"
    ),
    "a recovery lives twice as long": Line(
        Tokens.issue, "TOKEN_LIFETIME,\n", "2 * TOKEN_LIFETIME,\n"
    ),
    "every reset counts as done": Line(
        Recovery.progress, "account.recovered_at < ticket.started_at", "False"
    ),
    # Counting.
    "tries are not counted": Line(code_updates.count_attempt, "CodeItem.attempts.add(1),"),
    "tries of a code have no limit": TRIES_OF_A_CODE,
    "wrong codes are not counted": Line(
        code_updates.count_attempt,
        "noted(CodeItem.wrongs, now_param),",
        "noted(CodeItem.wrongs, 0),",
    ),
    "wrong codes have no limit": Line(
        code_updates.count_attempt,
        "& room(CodeItem.wrongs, limits.wrong_codes_per_login, now_param)",
    ),
    "wrong codes do not stop sends": Line(
        code_updates.new_code,
        "& room(CodeItem.wrongs, limits.wrong_codes_per_login, now_param)",
    ),
    "wrong codes are forgotten in an hour": Line(Limits.wrong_codes_per_login, "DAY", "HOUR"),
    "a login's sends are not counted": Line(
        code_updates.new_code, "noted(CodeItem.sends, now_param),"
    ),
    "a login's sends are forgotten in an hour": Line(Limits.sends_per_login, "DAY", "HOUR"),
    "a phone's sends are not counted": Line(
        code_updates.count_send, "noted(DestinationItem.sends, now_param),"
    ),
    "a phone's sends are counted by login": ONE_BUCKET,
    "no limit by the minute": Line(Limits.sends_per_destination, "MINUTE", "1"),
    "an hour of sends is half of one": Line(Limits.sends_per_destination, "HOUR", "30 * MINUTE"),
    "a day of sends is an hour": Line(Limits.sends_per_destination, "DAY", "HOUR"),
    "a send that failed stays counted": Line(Codes.release, "CodeItem.sends[0].remove(),"),
    "a phone's send that failed stays counted": Line(
        Codes.release, "[DestinationItem.sends[0].remove()]", "[DestinationItem.login.set(login)]"
    ),
    "a code that was not sent is live": Line(Codes.release, _ENDED_LINE, "\n"),
    "wrong details are not counted": Together(
        Line(Bindings.count_details, "noted(CodeItem.wrong_details, now), "),
        Line(Bindings.unbind, ", CodeItem.wrong_details[0].remove()"),
    ),
    "wrong details are forgotten in an hour": Line(Limits.wrong_details_per_login, "DAY", "HOUR"),
    "right details stay counted": Line(Bindings.unbind, ", CodeItem.wrong_details[0].remove()"),
    "any details are right": Line(Unbinding.unbind, "not all(right)", "False"),
    "no way may be left": _PHONE_LEFT,
    "wrong passwords have no limit": Line(
        logins._count_password,
        "LoginItem.login.exists() & room(LoginItem.failures, windows, now_param)",
        "LoginItem.login.exists()",
    ),
    "wrong passwords are forgotten early": Line(
        Limits.wrong_passwords_per_login, "30 * MINUTE", "MINUTE"
    ),
    "right passwords are counted": Line(Logins.take_back, "range(_TAKE_BACK_TRIES)", "range(0)"),
    "starts of a login are not counted": Line(
        logins._count_start, "noted(LoginItem.starts, now_param)", "LoginItem.starts.set([])"
    ),
    "starts of a login are forgotten early": Line(Limits.starts_per_login, "HOUR", "MINUTE"),
    "starts of an address are forgotten early": Line(Limits.starts_per_address, "HOUR", "MINUTE"),
    # WeChat and operators.
    "codes are told to who was bound": Line(waiting.WaitingCodes.held_for, "bound and "),
    "late codes are told": Line(
        waiting.WaitingCodes._may_be_fetched, "and code.code_expires_at > now"
    ),
    "codes without tries are told": Line(
        waiting.WaitingCodes._may_be_fetched, "and code.attempts < self._limits.tries_per_code"
    ),
    "who has left is not remembered": Line(
        Delivery._by_wechat, "self._followers.left(road.destination, audit.time_of(send))", "pass"
    ),
    "codes wait for who has left": Line(
        Delivery._by_wechat, "not self._still_follows(road.destination)", "False"
    ),
    "a repeated message is answered anew": Line(Inbox.keep, "unseen,\n", 'SeenItem.id != "",\n'),
    "the old phone is not told": Line(
        Operations.change_phone, "for number in (was.phone, phone)", "for number in (phone,)"
    ),
    "the WeChat is not told by operators": Line(
        Operations._tell, "was.openid is not None", "False"
    ),
    "unlocking leaves wrong passwords": Line(Accounts.unlock, ", LoginItem.failures.set([])"),
    "unlocking leaves the phone's sends": Line(Accounts.unlock, "DestinationItem.sends.set([]), "),
}
"""By what becomes of the service."""
