"""What operators see of a login, and the changes they may make to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from ..domain.firms import counts_as_erased
from ..domain.limits import DAY, HOUR, of_last_day
from . import audit
from .attributes import plain_map
from .bindings import add_unbinding
from .code_updates import END_CODE
from .codes import Codes
from .dynamo import ConditionFailed, read, transact, translate_errors
from .ephemeral_models import BudgetItem, CodeItem, DestinationItem, RequesterItem, UnbinderItem
from .models import AuditItem, LoginItem
from .requester_times import times_by

# Events read to find the last sends; one recovery writes about five.
_EVENTS_SEARCHED = 200

# Requesters whose counts over all logins are cleared with a login's: the person and a few others, once
# for codes and once for unbindings. A transaction has at most a hundred items.
_REQUESTERS_UNLOCKED = 48

_END_RECOVERIES = LoginItem.recovery_epoch.add(1)


@dataclass(frozen=True)
class AccountSnapshot:
    """Everything stored about a login except its secrets.

    Times are epoch seconds; tuples of times are newest first.
    """

    login: str
    firm_no: str
    phone: str | None = field(repr=False)
    openid: str | None = field(repr=False)
    bound_at: int | None
    has_password: bool
    must_change: bool
    changed_at: int | None
    recovered_at: int | None
    reset_year: int | None
    code_until: int | None
    """End of the live code; None without one."""
    code_tries: Mapping[str, int]
    """Attempts on the live code by requester (`Requester.key`)."""
    starts: tuple[int, ...]
    failures: tuple[int, ...]
    sends: tuple[int, ...]
    sends_by: Mapping[str, tuple[int, ...]]
    """The sends of each requester."""
    wrongs: tuple[int, ...]
    """Wrong codes, except those of the WeChat that the codes go to."""
    wrongs_by: Mapping[str, Sequence[int]]
    """The wrong codes of each requester."""
    starts_by: Mapping[str, Sequence[int]]
    """Starts by the key of their requester."""
    details_by: Mapping[str, Sequence[int]]
    """Attempts at the unbinding details, by the key of their requester."""
    unbindings: tuple[int, ...]
    destination_sends: tuple[int, ...]
    """Sends to the phone or openid that codes go to now, for all logins that share it."""
    frozen_at: int | None = None
    """When the login was frozen; None where it is not."""
    closed_at: int | None = None
    """When the firm was closed; None where it is not."""
    erased_at: int | None = None
    """From when on the login of a closed firm counts as erased."""

    def is_erased(self, now: int) -> bool:
        """Return whether the login counts as erased; DynamoDB deletes its item some days later."""
        return counts_as_erased(self.erased_at, now)


@dataclass(frozen=True)
class Event:
    """An event of a login's audit trail; `at` in epoch seconds, `destination` masked."""

    at: int
    event: str
    actor: str
    method: str | None
    destination: str | None
    gateway: str | None
    outcome: str | None
    message_id: str | None
    receipt: str | None
    reason: str | None
    request_id: str | None
    requester: str | None
    """Keyed digest of the visitor."""
    occurrences: int | None
    """Of rolled-up refusals their number, of which `at` is the last; otherwise None."""
    first_at: int | None
    """Of rolled-up refusals the first one."""


class Accounts:
    """Logins with their counts and audit events, for operators."""

    def __init__(self, codes: Codes) -> None:
        self._codes = codes

    def read(self, login: str) -> AccountSnapshot | None:
        """Return the login by consistent reads, or None. Raises Unavailable."""
        item = read(LoginItem, login)
        if item is None:
            return None
        code = read(CodeItem, f"code#{login}")
        key = self._destination_key(item.phone, item.openid)
        destination = None if key is None else read(DestinationItem, key)
        live = code is not None and bool(code.digest)
        return AccountSnapshot(
            login=item.login,
            firm_no=item.firm_no,
            phone=item.phone,
            openid=item.openid,
            bound_at=_whole(item.bound_at),
            has_password=item.password_hash is not None,
            must_change=bool(item.must_change),
            changed_at=_whole(item.changed_at) or None,
            recovered_at=_whole(item.recovered_at),
            reset_year=_whole(item.reset_year),
            code_until=_whole(code.code_expires_at) if code and live else None,
            code_tries=_tries(code) if code and live else {},
            starts=_times(item.starts),
            failures=_times(item.failures),
            sends=_times(code.sends) if code else (),
            sends_by=_sends_by(code) if code else {},
            wrongs=_times(code.wrongs) if code else (),
            wrongs_by=times_by(code.wrong_by) if code else {},
            starts_by=times_by(item.starts_by),
            details_by=times_by(code.details_by) if code else {},
            unbindings=_times(code.unbindings) if code else (),
            destination_sends=_times(destination.sends) if destination else (),
            frozen_at=_whole(item.frozen_at),
            closed_at=_whole(item.closed_at),
            erased_at=_whole(item.expires_at),
        )

    def _destination_key(self, phone: str | None, openid: str | None) -> str | None:
        if openid is not None:
            return self._codes.destination_id("wechat", openid)
        return None if phone is None else self._codes.destination_id("sms", phone)

    @staticmethod
    def counted(budget: str, now: int) -> int:
        """Return how many events of a service-wide budget this clock hour has counted.

        Raises Unavailable.
        """
        item = read(BudgetItem, f"budget#{budget}#{now // HOUR}")
        return 0 if item is None else int(item.total)

    @staticmethod
    def history(login: str, most: int) -> list[Event]:
        """Return at most `most` events of a login, newest first. Raises Unavailable."""
        return _events(login, most)

    @staticmethod
    def last_sends(login: str, most: int) -> list[Event]:
        """Return at most `most` sends of codes to a login, newest first. Raises Unavailable."""
        sends = (event for event in _events(login, _EVENTS_SEARCHED) if event.event == "code-sent")
        return list(islice(sends, most))

    @staticmethod
    def is_phone_of_another_firm(phone: str, firm_no: str) -> bool:
        """Return whether a login of another firm has the phone, in E.164, by a scan of the table.

        Raises Unavailable.
        """
        with translate_errors():
            logins = LoginItem.scan(
                (LoginItem.phone == phone) & (LoginItem.firm_no != firm_no),
                attributes_to_get=["login"],
            )
            return next(iter(logins), None) is not None

    @staticmethod
    def change_phone(
        was: AccountSnapshot, phone: str, events: Sequence[AuditItem], now: int
    ) -> None:
        """Set another phone, end the live code and write the events in one transaction.

        `phone` is in E.164. Open recoveries of the login end. Raises ConditionFailed if the phone or
        the binding has changed since `was` was read, Unavailable.
        """

        def build(transaction: TransactWrite) -> None:
            for event in events:
                transaction.save(event)
            transaction.update(
                LoginItem(was.login),
                [LoginItem.phone.set(phone), _END_RECOVERIES],
                LoginItem.login.exists() & same_destinations(was),
            )
            transaction.update(CodeItem(f"code#{was.login}"), without_code(now))

        transact(build, LoginItem)

    @staticmethod
    def unbind(was: AccountSnapshot, event: AuditItem, now: int) -> None:
        """Remove the binding, end the live code and write the event in one transaction.

        Open recoveries of the login end. Raises ConditionFailed if the phone or the binding has
        changed since `was` was read or the login has no phone, Unavailable.
        """

        def build(transaction: TransactWrite) -> None:
            same = same_destinations(was)
            code_actions = without_code(now)
            add_unbinding(
                transaction, was.login, was.openid, code_actions, event, same, [_END_RECOVERIES]
            )

        transact(build, LoginItem)

    def unlock(self, was: AccountSnapshot, event: AuditItem, now: int) -> None:
        """Clear the counts of the login, its destination and its last requesters, and write the event.

        One transaction. The attempts on a live code stay. Raises ConditionFailed if the login no
        longer exists or its phone or binding has changed since `was` was read, Unavailable.
        """
        # Set to empty lists, not removed: a request in progress may still remove its own entry by
        # index, which fails on a missing attribute.
        counts: list[Action] = [
            attribute.set([])
            for attribute in (
                CodeItem.sends,
                CodeItem.senders,
                CodeItem.wrongs,
                CodeItem.unbindings,
            )
        ]
        counts.append(CodeItem.details_by.set({}))
        wrongs_by = [by for by, times in was.wrongs_by.items() if of_last_day(times, now)]
        counts += [CodeItem.wrong_by[by].set([]) for by in wrongs_by]
        sends_by = [by for by, times in was.sends_by.items() if of_last_day(times, now)]
        requesters = sorted({*wrongs_by, *sends_by})[:_REQUESTERS_UNLOCKED]
        details_by = (by for by, times in was.details_by.items() if of_last_day(times, now))
        unbinders = sorted(details_by)[:_REQUESTERS_UNLOCKED]
        key = self._destination_key(was.phone, was.openid)

        def build(transaction: TransactWrite) -> None:
            transaction.save(event)
            transaction.update(
                LoginItem(was.login),
                [
                    LoginItem.starts.set([]),
                    LoginItem.starts_by.set({}),
                    LoginItem.failures.set([]),
                ],
                LoginItem.login.exists() & same_destinations(was),
            )
            transaction.update(
                CodeItem(f"code#{was.login}"), [*counts, CodeItem.expires_at.set(now + DAY)]
            )
            if key is not None:
                transaction.update(
                    DestinationItem(key),
                    [DestinationItem.sends.set([]), DestinationItem.expires_at.set(now + DAY)],
                )
            for requester in requesters:
                transaction.update(
                    RequesterItem(f"requester#{requester}"),
                    [
                        RequesterItem.wrongs.set([]),
                        RequesterItem.sends.set([]),
                        RequesterItem.sent_logins.set([]),
                        RequesterItem.expires_at.set(now + DAY),
                    ],
                )
            for requester in unbinders:
                transaction.update(
                    UnbinderItem(f"unbinder#{requester}"),
                    [
                        UnbinderItem.unbindings.set([]),
                        UnbinderItem.wrong_at.remove(),
                        UnbinderItem.expires_at.set(now + DAY),
                    ],
                )

        transact(build, LoginItem)


def same_destinations(was: AccountSnapshot) -> Condition:
    """Return the condition that the phone and the openid are those that will be notified.

    It does not hold for the login of a closed firm, which nobody may change.
    """
    pairs = ((LoginItem.phone, was.phone), (LoginItem.openid, was.openid))
    phone, openid = (
        attribute.does_not_exist() if value is None else attribute == value
        for attribute, value in pairs
    )
    same: Condition = phone & openid & LoginItem.closed_at.does_not_exist()
    return same


def without_code(now: int) -> list[Action]:
    """Return the actions on a login's code item that end its live code; `now` in epoch seconds."""
    # The update may create the item, which then needs its TTL.
    return [*END_CODE, CodeItem.expires_at.set(now + DAY)]


def _events(login: str, most: int) -> list[Event]:
    with translate_errors():
        items = list(AuditItem.query(login, scan_index_forward=False, limit=most))
    # Of those with no occurrence left every attempt was right in the end.
    events = [event_of(item) for item in items if item.occurrences != 0]
    # Refusals have the key of their day's start.
    return sorted(events, key=lambda event: event.at, reverse=True)


def _tries(code: CodeItem) -> dict[str, int]:
    return {by: int(number) for by, number in plain_map(code.tries).items()}


def _sends_by(code: CodeItem) -> dict[str, tuple[int, ...]]:
    sends: dict[str, tuple[int, ...]] = {}
    for at, by in zip(_times(code.sends), code.senders or (), strict=False):
        sends[by] = (*sends.get(by, ()), at)
    return sends


def event_of(item: AuditItem) -> Event:
    """Convert an item of the audit to an event."""
    return Event(
        at=audit.time_of(item),
        event=item.event,
        actor=item.actor,
        method=item.method,
        destination=item.destination,
        gateway=item.gateway,
        outcome=item.outcome,
        message_id=item.message_id,
        receipt=item.receipt,
        reason=item.reason,
        request_id=item.request_id,
        requester=item.requester,
        occurrences=_whole(item.occurrences),
        first_at=_whole(item.first_at),
    )


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)


def _times(times: Sequence[float] | None) -> tuple[int, ...]:
    return tuple(int(time) for time in times or ())


__all__ = ["AccountSnapshot", "Accounts", "ConditionFailed", "Event"]
