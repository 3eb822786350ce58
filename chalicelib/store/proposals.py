"""Proposals to change a login's phone: one decision is one conditional write."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from ..domain.codes import LIFETIME
from ..domain.errors import TooManyRequests
from ..domain.limits import DAY, MINUTE, Window, retry_after
from .accounts import AccountSnapshot, same_destinations, without_code
from .desk_models import ProposalItem
from .dynamo import (
    ConditionFailed,
    prepend,
    raw_list,
    read,
    transact,
    translate_errors,
    update,
    within_limits,
)
from .ephemeral_models import CodeItem, DestinationItem, IdentityItem
from .identity_checks import match_key
from .models import AuditItem, LoginItem

KIND = "proposal"

LIFETIME_OF_PROPOSAL = 2 * DAY
UNDO_LIFETIME = DAY
RETENTION = 30 * DAY
"""Seconds after which a proposal is deleted; the audit keeps what was decided."""

TRIES = 5
"""Tries of one code."""

SENDS = (Window(1, MINUTE), Window(5, LIFETIME_OF_PROPOSAL))

_MOST = 200


@dataclass(frozen=True)
class Proposal:
    """A proposal as stored. Times in epoch seconds, phones masked."""

    id: str
    state: str
    login: str
    firm_no: str
    phone: str
    sealed_phone: str | None = field(repr=False)
    former: str | None
    sealed_former: str | None = field(repr=False)
    reason: str
    document: str
    proposed_by: str
    proposed_at: int
    ends_at: int
    decided_by: str | None
    decided_at: int | None
    digest: str | None = field(repr=False)
    attempts: int
    confirmed_at: int | None
    undo_until: int | None


def new_id(now: int) -> str:
    """Return an id that sorts by time and has 128 random bits."""
    return f"{now * 1000:013d}-{secrets.token_hex(16)}"


class Proposals:
    """Reads and decides proposals."""

    @staticmethod
    def get(proposal_id: str) -> Proposal | None:
        """Return a proposal by a consistent read, or None. Raises Unavailable."""
        item = read(ProposalItem, KIND, proposal_id)
        return None if item is None else proposal_of(item)

    @staticmethod
    def newest() -> list[Proposal]:
        """Return the newest proposals, the newest first, at most 200. Raises Unavailable."""
        with translate_errors():
            items = ProposalItem.query(KIND, scan_index_forward=False, limit=_MOST)
            return [proposal_of(item) for item in items]

    @staticmethod
    def propose(
        item: ProposalItem, account: AccountSnapshot, subject: str, event: AuditItem, now: int
    ) -> None:
        """Store a proposal with its audit event.

        `item` is from `new_proposal`. Raises ConditionFailed where no identity check of this firm by
        this person has matched within the hour, Unavailable.
        """

        def build(transaction: TransactWrite) -> None:
            transaction.condition_check(
                IdentityItem,
                match_key(account.firm_no, subject),
                condition=IdentityItem.expires_at > now,
            )
            transaction.save(event)
            transaction.save(item)

        transact(build, ProposalItem)

    @staticmethod
    def decide(proposal_id: str, state: str, subject: str, event: AuditItem, now: int) -> None:
        """Approve or reject a waiting proposal that another person has made.

        `state` is `approved` or `rejected`. Raises ConditionFailed where it is not waiting any more,
        has ended, or was made by `subject`; Unavailable.
        """
        actions: list[Action] = [
            ProposalItem.state.set(state),
            ProposalItem.decided_by.set(subject),
            ProposalItem.decided_at.set(now),
        ]
        if state == "rejected":
            actions.append(ProposalItem.sealed_phone.remove())

        def build(transaction: TransactWrite) -> None:
            transaction.save(event)
            transaction.update(
                ProposalItem(KIND, proposal_id),
                actions,
                _is_open("waiting", now) & (ProposalItem.proposed_by != subject),
            )

        transact(build, ProposalItem)

    @staticmethod
    def reserve_code(
        proposal_id: str,
        digest: str,
        to: str,
        windows: Sequence[Window],
        event: AuditItem,
        now: int,
    ) -> None:
        """Make a code the live one of an approved proposal, count its send and write the event.

        `to` is the phone's key, as `Codes.destination_id` returns it, and `windows` its limits, which
        the codes of recoveries share. Raises ConditionFailed where the proposal is not approved or has
        ended, or the limits of SENDS are reached; TooManyRequests where the phone has had its codes;
        Unavailable.
        """
        actions: list[Action] = [
            ProposalItem.digest.set(digest),
            ProposalItem.code_expires_at.set(now + LIFETIME),
            ProposalItem.attempts.set(0),
            prepend(ProposalItem.sends, now),
        ]

        def build(transaction: TransactWrite) -> None:
            transaction.save(event)
            transaction.update(
                ProposalItem(KIND, proposal_id),
                actions,
                _is_open("approved", now) & within_limits(ProposalItem.sends, SENDS, now),
            )
            transaction.update(
                DestinationItem(to),
                [prepend(DestinationItem.sends, now), DestinationItem.expires_at.set(now + DAY)],
                within_limits(DestinationItem.sends, windows, now),
                return_values="ALL_OLD",
            )

        try:
            transact(build, ProposalItem)
        except ConditionFailed as refused:
            _, proposal_failed, phone_failed = refused.failed
            if phone_failed and not proposal_failed:
                wait = retry_after(raw_list(refused.items[2], "sends"), windows, now)
                raise TooManyRequests(max(1, wait), "destination-sends") from None
            raise

    @staticmethod
    def count_try(proposal_id: str, now: int) -> Proposal:
        """Count a try of the live code, before the comparison, and return the proposal.

        Raises ConditionFailed where there is no live code or its tries are used up, Unavailable.
        """
        item = update(
            ProposalItem(KIND, proposal_id),
            [ProposalItem.attempts.add(1)],
            _is_open("approved", now)
            & ProposalItem.digest.exists()
            & (ProposalItem.code_expires_at > now)
            & (ProposalItem.attempts < TRIES),
        )
        return proposal_of(item)

    @staticmethod
    def activate(
        proposal: Proposal,
        was: AccountSnapshot,
        phone: str,
        sealed_former: str | None,
        former: str | None,
        event: AuditItem,
        now: int,
    ) -> None:
        """Set the phone, remove the WeChat, end recoveries and codes, in one transaction.

        `phone` in E.164. Raises ConditionFailed where the code was used, the proposal has ended, or
        the login's phone or binding has changed since `was` was read; Unavailable.
        """
        actions: list[Action] = [
            ProposalItem.state.set("active"),
            ProposalItem.confirmed_at.set(now),
            ProposalItem.undo_until.set(now + UNDO_LIFETIME),
            ProposalItem.digest.remove(),
        ]
        if sealed_former is not None:
            actions += [
                ProposalItem.sealed_former.set(sealed_former),
                ProposalItem.former.set(former or ""),
            ]
        same_code = ProposalItem.digest == proposal.digest

        def build(transaction: TransactWrite) -> None:
            transaction.save(event)
            transaction.update(
                ProposalItem(KIND, proposal.id), actions, _is_open("approved", now) & same_code
            )
            transaction.update(
                LoginItem(was.login),
                [LoginItem.phone.set(phone), *_UNBIND],
                LoginItem.login.exists() & same_destinations(was),
            )
            transaction.update(CodeItem(f"code#{was.login}"), without_code(now))

        transact(build, ProposalItem)

    @staticmethod
    def undo(
        proposal_id: str, was: AccountSnapshot, former: str | None, event: AuditItem, now: int
    ) -> None:
        """Set the former phone again, or none, and remove a WeChat that was bound since.

        Raises ConditionFailed where the change cannot be undone any more, or the login's phone or
        binding has changed since `was` was read; Unavailable.
        """
        phone = LoginItem.phone.remove() if former is None else LoginItem.phone.set(former)

        def build(transaction: TransactWrite) -> None:
            transaction.save(event)
            transaction.update(
                ProposalItem(KIND, proposal_id),
                [
                    ProposalItem.state.set("undone"),
                    ProposalItem.sealed_phone.remove(),
                    ProposalItem.sealed_former.remove(),
                ],
                (ProposalItem.state == "active") & (ProposalItem.undo_until > now),
            )
            transaction.update(
                LoginItem(was.login),
                [phone, *_UNBIND],
                LoginItem.login.exists() & same_destinations(was),
            )
            transaction.update(CodeItem(f"code#{was.login}"), without_code(now))

        transact(build, ProposalItem)


_UNBIND: Sequence[Action] = (
    LoginItem.openid.remove(),
    LoginItem.bound_at.remove(),
    LoginItem.recovery_epoch.add(1),
)


def _is_open(state: str, now: int) -> Condition:
    # A missing item has no state, so it fails too.
    is_open: Condition = (ProposalItem.state == state) & (ProposalItem.ends_at > now)
    return is_open


def new_proposal(
    account: AccountSnapshot,
    *,
    masked: str,
    sealed: str,
    reason: str,
    document: str,
    subject: str,
    now: int,
) -> ProposalItem:
    """Return a proposal that is not yet written."""
    return ProposalItem(
        KIND,
        new_id(now),
        expires_at=now + RETENTION,
        state="waiting",
        login=account.login,
        firm_no=account.firm_no,
        phone=masked,
        sealed_phone=sealed,
        reason=reason,
        document=document,
        proposed_by=subject,
        proposed_at=now,
        ends_at=now + LIFETIME_OF_PROPOSAL,
    )


def proposal_of(item: ProposalItem) -> Proposal:
    """Return a proposal from its item."""
    return Proposal(
        id=item.id,
        state=item.state,
        login=item.login,
        firm_no=item.firm_no,
        phone=item.phone,
        sealed_phone=item.sealed_phone,
        former=item.former,
        sealed_former=item.sealed_former,
        reason=item.reason,
        document=item.document,
        proposed_by=item.proposed_by,
        proposed_at=int(item.proposed_at),
        ends_at=int(item.ends_at),
        decided_by=item.decided_by,
        decided_at=_whole(item.decided_at),
        digest=item.digest,
        attempts=int(item.attempts or 0),
        confirmed_at=_whole(item.confirmed_at),
        undo_until=_whole(item.undo_until),
    )


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)


__all__ = ["ConditionFailed", "Proposal", "Proposals", "new_proposal", "proposal_of"]
