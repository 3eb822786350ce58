"""The writes that reserve a send: in the ordinary form, or in one made for the stored counts.

A send's limits by requester depend on lists that hold the sends of all requesters. No condition can
count one requester's entries in such a list. So the ordinary form of a write requires that there are few
entries at all, which is true except under attack. Where that fails, DynamoDB returns the item; its
entries are counted here, and the second form requires that the list has not changed since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.condition import size as _size
from pynamodb.expressions.update import Action

from ..domain.codes import DIGITS, LONG_DIGITS
from ..domain.errors import ServiceError, TooManyAttempts, TooManyRequests
from ..domain.limits import DAY, HOUR, Limits, Window, of_last_day, retry_after
from ..domain.requester import Requester
from .code_updates import keep_code, make_code, may_try
from .dynamo import prepend, raw_list, raw_lists, raw_texts, within_limits
from .ephemeral_models import CodeItem, RequesterItem
from .prepared import PreparedUpdate, now_param, text

# Entries of a list or a map, old ones included, beyond which the second form removes the old ones.
_MOST = 200
# Entries of a map that one write removes: an expression has at most 4 KB.
_REMOVED = 40

_DAY = (Window(1, DAY),)

# Sends in a day up to which a requester passes while the budget of the whole service is used up.
_FEW_SENDS = 3

size: Callable[[Any], Any] = _size

RawItem = dict[str, Any]
"""An item in DynamoDB's JSON form."""


class Seen(NamedTuple):
    """The list of sends that a second form was made for."""

    times: tuple[int, ...]
    """Newest first, old ones included."""
    names: tuple[str, ...]
    """The requester or the login of each."""

    def is_unchanged(self, times: Any) -> Condition:
        """Return the condition that the list of times is the same."""
        if not self.times:
            unchanged: Condition = times.does_not_exist() | (size(times) == 0)
            return unchanged
        same: Condition = (times[0] == self.times[0]) & (size(times) == len(self.times))
        return same

    def one_more(self, times: Any, names: Any, now: int, name: str) -> list[Action]:
        """Return the actions that add an entry and drop those that are older than a day."""
        fresh = len(of_last_day(self.times, now))
        return [
            times.set([now, *self.times[:fresh]]),
            names.set([name, *self.names[:fresh]]),
        ]


def seen(item: RawItem | None, names: str) -> Seen:
    """Return the sends of an item; `names` is the attribute that has the name of each."""
    return Seen(tuple(raw_list(item, "sends")), tuple(raw_texts(item, names)))


class SentBy(NamedTuple):
    """The circumstances of a send that decide on its conditions."""

    requester: Requester
    is_owner: bool
    """Whether the requester is the WeChat that the code goes to."""
    is_strict: bool
    """Whether the budget of the whole service is used up."""


def new_code(limits: Limits, by: SentBy, *, sealing: bool) -> PreparedUpdate[CodeItem]:
    """Make a code of six digits the live one and count its send, in the ordinary form.

    `sealing` also stores the code encrypted. The form is the same for all requesters with the same
    properties.
    """
    condition = may_try(limits, is_address=by.requester.is_address, is_owner=by.is_owner)
    few_sends = (Window(limits.sends_per_login_day, DAY),)
    condition &= within_limits(CodeItem.sends, few_sends, now_param)
    few_wrongs = (Window(limits.long_codes_from, DAY),)
    condition &= within_limits(CodeItem.wrongs, few_wrongs, now_param)
    condition &= CodeItem.sends[_MOST].does_not_exist() & CodeItem.wrongs[_MOST].does_not_exist()
    condition &= CodeItem.wrong_by.does_not_exist() | (size(CodeItem.wrong_by) <= _MOST)
    return PreparedUpdate(
        CodeItem,
        [
            *keep_code(),
            *make_code(sealing=sealing),
            CodeItem.wrong_by.set(CodeItem.wrong_by | {}),
            prepend(CodeItem.sends, now_param),
            prepend(CodeItem.senders, text("requester")),
        ],
        condition,
    )


class CodePlan(NamedTuple):
    """The second form of the update of a login's code: for exactly the counts that were seen."""

    sends: Seen
    wrongs: tuple[int, ...]
    stale: tuple[str, ...]
    """Requesters whose wrong codes are all older than a day."""
    has_map: bool
    """Whether the item has the map of wrong codes by requester."""
    digits: int

    def update(
        self, limits: Limits, by: SentBy, now: int, *, sealing: bool
    ) -> PreparedUpdate[CodeItem]:
        """Make a code the live one, count its send and remove what is older than a day."""
        condition = may_try(limits, is_address=by.requester.is_address, is_owner=by.is_owner)
        condition &= self.sends.is_unchanged(CodeItem.sends)
        if self.digits == DIGITS:
            few_wrongs = (Window(limits.long_codes_from, DAY),)
            condition &= within_limits(CodeItem.wrongs, few_wrongs, now_param)
        actions = [*keep_code(), *make_code(sealing=sealing)]
        actions += self.sends.one_more(CodeItem.sends, CodeItem.senders, now, by.requester.key)
        if len(self.wrongs) > _MOST:
            condition &= (CodeItem.wrongs[0] == self.wrongs[0]) & (
                size(CodeItem.wrongs) == len(self.wrongs)
            )
            actions.append(CodeItem.wrongs.set(of_last_day(self.wrongs, now)))
        for requester in self.stale:
            times = CodeItem.wrong_by[requester]
            condition &= within_limits(times, _DAY, now)
            actions.append(times.remove())
        if not self.has_map:
            actions.append(CodeItem.wrong_by.set(CodeItem.wrong_by | {}))
        return PreparedUpdate(CodeItem, actions, condition)


def plan_code(limits: Limits, by: SentBy, item: RawItem | None, now: int) -> CodePlan:
    """Return the second form for the counts of an item that failed a send's conditions.

    Raises TooManyAttempts or TooManyRequests with the seconds to wait where a limit is reached.
    """
    requester, is_address = by.requester.key, by.requester.is_address
    wrongs = raw_list(item, "wrongs")
    wrong_by = raw_lists(item, "wrong_by")
    mine = limits.wrong_codes_per_requester_login(is_address=is_address)
    wait = retry_after(wrong_by.get(requester, []), mine, now)
    if wait:
        raise TooManyAttempts(wait, "wrong-codes")
    if not by.is_owner:
        wait = retry_after(wrongs, limits.wrong_codes_per_login, now)
        if wait:
            raise TooManyAttempts(wait, "login-wrong-codes")
    sends = seen(item, "senders")
    # An item of an older release has no names of its older sends.
    my_sends = [
        at for at, by_name in zip(sends.times, sends.names, strict=False) if by_name == requester
    ]
    wait = retry_after(my_sends, limits.sends_per_login(is_address=is_address), now)
    if wait:
        raise TooManyRequests(wait, "login-sends")
    stale = [key for key, times in wrong_by.items() if not of_last_day(times, now)]
    under_attack = len(of_last_day(wrongs, now)) >= limits.long_codes_from
    return CodePlan(
        sends=sends,
        wrongs=tuple(wrongs),
        stale=tuple(stale[:_REMOVED]) if len(wrong_by) > _MOST else (),
        has_map=item is not None and "wrong_by" in item,
        digits=LONG_DIGITS if under_attack else DIGITS,
    )


def count_by_requester(limits: Limits, by: SentBy) -> PreparedUpdate[RequesterItem]:
    """Count a send in its requester's item, in the ordinary form: below half of the limits."""
    is_address = by.requester.is_address
    if by.is_strict:
        condition = within_limits(RequesterItem.wrongs, _DAY, now_param)
        at_first = (Window(_few_sends(limits, is_address=is_address), DAY),)
        condition &= within_limits(RequesterItem.sends, at_first, now_param)
    else:
        condition = _may_send(limits, is_address=is_address)
        few = (Window(_half_of_the_logins(limits, is_address=is_address) - 1, DAY),)
        condition &= within_limits(RequesterItem.sends, few, now_param)
    condition &= RequesterItem.sends[_MOST].does_not_exist()
    return PreparedUpdate(
        RequesterItem,
        [
            prepend(RequesterItem.sends, now_param),
            prepend(RequesterItem.sent_logins, text("login")),
            RequesterItem.expires_at.set(now_param + DAY),
        ],
        condition,
    )


def _may_send(limits: Limits, *, is_address: bool) -> Condition:
    sends = limits.sends_per_requester(is_address=is_address)
    wrongs = limits.wrong_codes_per_requester(is_address=is_address)
    may: Condition = within_limits(RequesterItem.wrongs, wrongs, now_param)
    may &= within_limits(RequesterItem.sends, sends, now_param)
    return may


def _few_sends(limits: Limits, *, is_address: bool) -> int:
    """Return the sends that need no further look while the service's budget is used up.

    The settings may allow fewer sends, or fewer logins, than the budget does.
    """
    logins = limits.of_requester(limits.logins_per_requester_day, is_address=is_address)
    sends = [window.limit for window in limits.sends_per_requester(is_address=is_address)]
    return min(_FEW_SENDS, logins, *sends)


def _half_of_the_logins(limits: Limits, *, is_address: bool) -> int:
    logins = limits.of_requester(limits.logins_per_requester_day, is_address=is_address)
    return max(2, logins // 2)


class RequesterPlan(NamedTuple):
    """The second form of the update of a requester's counts."""

    sends: Seen
    wrongs: tuple[int, ...]
    logins: int
    """The distinct logins of the last day, with that of this send."""
    has_reached_half: bool
    """Whether this send is the one by which the requester reaches half of its logins a day."""

    def update(
        self, limits: Limits, by: SentBy, login: str, now: int
    ) -> PreparedUpdate[RequesterItem]:
        """Count a send and remove what is older than a day."""
        condition = _may_send(limits, is_address=by.requester.is_address)
        condition &= self.sends.is_unchanged(RequesterItem.sends)
        actions = self.sends.one_more(RequesterItem.sends, RequesterItem.sent_logins, now, login)
        if len(self.wrongs) > _MOST:
            condition &= (RequesterItem.wrongs[0] == self.wrongs[0]) & (
                size(RequesterItem.wrongs) == len(self.wrongs)
            )
            actions.append(RequesterItem.wrongs.set(of_last_day(self.wrongs, now)))
        actions.append(RequesterItem.expires_at.set(now_param + DAY))
        return PreparedUpdate(RequesterItem, actions, condition)


def plan_requester(
    limits: Limits, by: SentBy, login: str, item: RawItem | None, now: int
) -> RequesterPlan:
    """Return the second form for the counts of a requester's item that failed a send's conditions.

    Raises TooManyAttempts or TooManyRequests with the seconds to wait where a limit is reached.
    """
    is_address = by.requester.is_address
    wrongs, sends = raw_list(item, "wrongs"), seen(item, "sent_logins")
    wait = retry_after(wrongs, limits.wrong_codes_per_requester(is_address=is_address), now)
    if wait:
        raise TooManyAttempts(wait, "requester-wrong-codes")
    wait = retry_after(sends.times, limits.sends_per_requester(is_address=is_address), now)
    if wait:
        raise TooManyRequests(wait, "requester-sends")
    if by.is_strict and not _is_fresh(wrongs, sends.times, now):
        raise TooManyRequests(HOUR - now % HOUR, "service-sends")
    before = sends.names[: len(of_last_day(sends.times, now))]
    known = set(before)
    after = known | {login}
    most = limits.of_requester(limits.logins_per_requester_day, is_address=is_address)
    if len(after) > most and login not in known:
        # The oldest of the counted logins leaves the day first.
        oldest = min(_newest_sends(sends, known).values())
        raise TooManyRequests(max(1, oldest + DAY - now), "requester-logins")
    half = _half_of_the_logins(limits, is_address=is_address)
    return RequesterPlan(
        sends=sends,
        wrongs=tuple(wrongs),
        logins=len(after),
        has_reached_half=len(known) < half <= len(after),
    )


def _is_fresh(wrongs: Sequence[int], sends: Sequence[int], now: int) -> bool:
    return not of_last_day(wrongs, now) and len(of_last_day(sends, now)) < _FEW_SENDS


def _newest_sends(sends: Seen, logins: Iterable[str]) -> dict[str, int]:
    return {login: sends.times[sends.names.index(login)] for login in logins}


def first_refusal(refusals: Sequence[ServiceError]) -> ServiceError:
    """Return the refusal to report: about wrong codes if there is one, else the longest wait."""
    for refusal in refusals:
        if isinstance(refusal, TooManyAttempts):
            return refusal
    return max(refusals, key=lambda refusal: getattr(refusal, "retry_after", 0) or 0)
