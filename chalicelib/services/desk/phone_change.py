"""Change a login's phone with four eyes: proposed, approved by another person, confirmed by a code."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from ...domain import codes as one_time
from ...domain.catalogue import INPUT_REASONS, SMS_TEMPLATES, fill
from ...domain.codes import LIFETIME
from ...domain.errors import (
    AccountNotFound,
    CodeExpired,
    CodeWrong,
    DeliveryFailed,
    IdentityNotChecked,
    InvalidInput,
    OwnProposal,
    ProposalClosed,
    ProposalNotFound,
    ServiceError,
    TooManyAttempts,
    TooManyRequests,
    Unavailable,
)
from ...domain.limits import MINUTE, Limits
from ...domain.logins import mask_phone, parse_login
from ...domain.phones import phone_number
from ...domain.reasons import parse_reason
from ...domain.staff import Staff, same_person
from ...security.tokens import Sealer
from ...sms.failover import Failover
from ...sms.gateway import Sms
from ...store import audit
from ...store.accounts import Accounts, AccountSnapshot, ConditionFailed
from ...store.codes import Codes
from ...store.models import AuditItem
from ...store.proposals import (
    TRIES,
    UNDO_LIFETIME,
    Proposal,
    Proposals,
    new_proposal,
    proposal_of,
)
from ...store.search import SearchIndex
from ..notifications import Notifications
from ..support import REPLACED

log = logging.getLogger(__name__)

PURPOSE = "phone"
"""The purpose that every digest is bound to: a code of a recovery confirms no phone."""


class PhoneChange:
    """Proposals, from making them to undoing what they changed."""

    def __init__(
        self,
        *,
        clock: Callable[[], int],
        randbelow: Callable[[int], int],
        peppers: Mapping[int, bytes],
        sealer: Sealer,
        accounts: Accounts,
        proposals: Proposals,
        codes: Codes,
        limits: Limits,
        index: SearchIndex,
        sms: Failover,
        notifications: Notifications,
    ) -> None:
        """`peppers` maps versions to keys, the current version first."""
        self._clock = clock
        self._randbelow = randbelow
        self._peppers = peppers
        self._sealer = sealer
        self._accounts = accounts
        self._proposals = proposals
        self._codes = codes
        self._limits = limits
        self._index = index
        self._sms = sms
        self._notifications = notifications

    def propose(
        self, staff: Staff, login_text: str, number: str, reason: str, document: str
    ) -> Proposal:
        """Store a proposal, which ends after two days.

        Raises InvalidInput, AccountNotFound, IdentityNotChecked, Unavailable.
        """
        now, why = self._clock(), parse_reason(reason)
        paper = parse_reason(document, "document")
        phone = phone_number(number)
        account = self._account(str(parse_login(login_text)))
        if phone is None or phone == account.phone:
            raise InvalidInput("phone", INPUT_REASONS["phone" if phone is None else "same-phone"])
        item = new_proposal(
            account,
            masked=mask_phone(phone),
            sealed=self._sealer.seal(_sealing(account.login), phone),
            reason=why,
            document=paper,
            subject=staff.subject,
            now=now,
        )
        event = audit.entry(
            account.login,
            "phone-proposed",
            now,
            actor=staff.actor,
            reason=f"{why}（{paper}）",
            destination=item.phone,
        )
        self._write(
            item.id,
            lambda: self._proposals.propose(item, account, staff.subject, event, now),
            lambda _: True,
            IdentityNotChecked(),
        )
        return proposal_of(item)

    def approve(self, staff: Staff, proposal_id: str) -> Proposal:
        """Approve another person's proposal, send the code and notify the phone of now.

        Raises ProposalNotFound, OwnProposal, ProposalClosed; DeliveryFailed or TooManyRequests where
        the code was not sent and may be requested again; Unavailable.
        """
        proposal, now = self._get(proposal_id), self._clock()
        # Read before the decision, after which nothing may prevent the notice.
        account = self._account(proposal.login)
        decided = self._decide(staff, proposal, "approved", now)
        self._notifications.notify(
            "phone-approved", proposal.login, now, phone=account.phone, openid=account.openid
        )
        return self._send_code(staff, decided, now)

    def reject(self, staff: Staff, proposal_id: str) -> Proposal:
        """Reject another person's proposal.

        Raises ProposalNotFound, OwnProposal, ProposalClosed, Unavailable.
        """
        return self._decide(staff, self._get(proposal_id), "rejected", self._clock())

    def _decide(self, staff: Staff, proposal: Proposal, state: str, now: int) -> Proposal:
        if same_person(proposal.proposed_by, staff.subject):
            raise OwnProposal
        event = audit.entry(
            proposal.login,
            f"phone-{state}",
            now,
            actor=staff.actor,
            reason=proposal.reason,
            destination=proposal.phone,
        )
        self._write(
            proposal.id,
            lambda: self._proposals.decide(proposal.id, state, staff.subject, event, now),
            lambda after: (after.state, after.decided_by) == (state, staff.subject),
        )
        return replace(proposal, state=state, decided_by=staff.subject, decided_at=now)

    def send_code(self, staff: Staff, proposal_id: str) -> Proposal:
        """Send a code to the new phone of an approved proposal; it replaces an earlier one.

        Raises ProposalNotFound, AccountNotFound, InvalidInput where the firm was closed,
        ProposalClosed, TooManyRequests, DeliveryFailed, Unavailable.
        """
        proposal = self._get_for(staff, proposal_id)
        # The code could not be confirmed.
        self._account(proposal.login)
        return self._send_code(staff, proposal, self._clock())

    def _send_code(self, staff: Staff, proposal: Proposal, now: int) -> Proposal:
        phone = self._opened(proposal, proposal.sealed_phone)
        code = one_time.generate(self._randbelow)
        version, pepper = next(iter(self._peppers.items()))
        digest = one_time.digest(
            code,
            login=proposal.login,
            method=proposal.id,
            purpose=PURPOSE,
            version=version,
            pepper=pepper,
        )
        event = audit.entry(
            proposal.login,
            "phone-code-sent",
            now,
            actor=staff.actor,
            method="sms",
            destination=proposal.phone,
            outcome="handed-over",
        )
        is_open = proposal.state == "approved" and proposal.ends_at > now
        self._write(
            proposal.id,
            lambda: self._proposals.reserve_code(
                proposal.id,
                digest,
                self._codes.destination_id("sms", phone),
                self._limits.sends_per_destination,
                event,
                now,
            ),
            lambda after: after.digest == digest,
            TooManyRequests(MINUTE, "phone-codes") if is_open else ProposalClosed(),
        )
        params = {"login": proposal.login, "code": code, "minutes": str(LIFETIME // MINUTE)}
        sms = Sms(
            phone,
            fill(SMS_TEMPLATES["phone-code"], **params),
            "phone-code",
            params,
            reference=f"phone-code.{proposal.login}.{now}",
        )
        try:
            settled = self._sms.send(sms).settled
        except DeliveryFailed:
            _settle(event, "failed")
            raise
        log.info("a code for a new phone was sent")
        _settle(event, settled.outcome.value, settled.gateway)
        return proposal

    def confirm(self, staff: Staff, proposal_id: str, code: str) -> Proposal:
        """Compare the code that reached the new phone, and bind that phone.

        The WeChat is unbound, open recoveries end, and both phones are notified. Raises
        ProposalNotFound, ProposalClosed, CodeExpired, CodeWrong, TooManyAttempts, Unavailable.
        """
        proposal, now = self._get_for(staff, proposal_id), self._clock()
        if proposal.state != "approved" or proposal.ends_at <= now:
            raise ProposalClosed
        try:
            counted = self._proposals.count_try(proposal.id, now)
        except ConditionFailed:
            if proposal.digest is not None and proposal.attempts >= TRIES:
                raise TooManyAttempts(None, "phone-code-tries") from None
            raise CodeExpired from None
        if counted.digest is None or not one_time.matches(
            code,
            counted.digest,
            login=proposal.login,
            method=proposal.id,
            purpose=PURPOSE,
            peppers=self._peppers,
        ):
            raise CodeWrong(TRIES - counted.attempts)
        phone = self._opened(counted, counted.sealed_phone)
        was = self._account(proposal.login)
        former = None if was.phone is None else mask_phone(was.phone)
        event = audit.entry(
            was.login,
            "phone-changed",
            now,
            actor=staff.actor,
            reason=f"{proposal.reason}（{proposal.document}）",
            method="sms",
            destination=proposal.phone,
            outcome=REPLACED + former if former else "first-phone",
        )
        sealed = None if was.phone is None else self._sealer.seal(_sealing(was.login), was.phone)
        self._index.add_phone(was.login, phone)
        self._write(
            proposal.id,
            lambda: self._proposals.activate(counted, was, phone, sealed, former, event, now),
            lambda after: (after.state, after.confirmed_at) == ("active", now),
        )
        self._notify("phone-changed", was, phone, now)
        if was.phone is not None:
            self._index.remove_phone(was.login, was.phone)
        return replace(
            counted,
            state="active",
            former=former,
            confirmed_at=now,
            undo_until=now + UNDO_LIFETIME,
        )

    def undo(self, staff: Staff, proposal_id: str) -> Proposal:
        """Bind the former phone again, within a day; a WeChat bound since is unbound.

        Raises ProposalNotFound, ProposalClosed, Unavailable.
        """
        proposal, now = self._get(proposal_id), self._clock()
        if proposal.state != "active" or (proposal.undo_until or 0) <= now:
            raise ProposalClosed
        phone = self._opened(proposal, proposal.sealed_phone)
        former = None
        if proposal.sealed_former is not None:
            former = self._opened(proposal, proposal.sealed_former)
        was = self._account(proposal.login)
        if was.phone != phone:
            # Somebody has changed the phone since; that change is not undone with this one.
            raise ProposalClosed
        event = audit.entry(
            was.login,
            "phone-change-undone",
            now,
            actor=staff.actor,
            method="sms",
            destination=proposal.former,
            outcome=REPLACED + proposal.phone,
        )
        if former is not None:
            self._index.add_phone(was.login, former)
        self._write(
            proposal.id,
            lambda: self._proposals.undo(proposal.id, was, former, event, now),
            lambda after: after.state == "undone",
        )
        self._notify("phone-undone", was, former, now)
        self._index.remove_phone(was.login, phone)
        return replace(proposal, state="undone")

    def newest(self) -> list[Proposal]:
        """Return the newest proposals. Raises Unavailable."""
        return self._proposals.newest()

    def _notify(self, notice: str, was: AccountSnapshot, phone: str | None, now: int) -> None:
        self._notifications.notify(notice, was.login, now, phone=was.phone, openid=was.openid)
        self._notifications.notify(notice, was.login, now, phone=phone, openid=None)

    def _write(
        self,
        proposal_id: str,
        write: Callable[[], None],
        is_done: Callable[[Proposal], bool],
        refusal: ServiceError | None = None,
    ) -> None:
        """Do a write, and read whether it took effect where its outcome is unknown.

        A repeat by the staff would find the proposal closed, and nobody would be notified. For the
        same reason no act reads the proposal again after its write. Raises `refusal` where the
        write's condition does not hold, by default ProposalClosed; Unavailable.
        """
        try:
            write()
        except ConditionFailed:
            raise refusal or ProposalClosed() from None
        except Unavailable:
            after = self._proposals.get(proposal_id)
            if after is None or not is_done(after):
                raise

    def _get_for(self, staff: Staff, proposal_id: str) -> Proposal:
        """Return a proposal that the person may see; another one does not exist for them."""
        proposal = self._get(proposal_id)
        if not staff.sees_proposals_of(proposal.proposed_by):
            raise ProposalNotFound
        return proposal

    def _get(self, proposal_id: str) -> Proposal:
        proposal = self._proposals.get(proposal_id)
        if proposal is None:
            raise ProposalNotFound
        return proposal

    def _account(self, login: str) -> AccountSnapshot:
        account = self._accounts.read(login)
        if account is None or account.is_erased(self._clock()):
            raise AccountNotFound
        if account.closed_at is not None:
            raise InvalidInput("login", INPUT_REASONS["closed"])
        return account

    def _opened(self, proposal: Proposal, sealed: str | None) -> str:
        phone = None if sealed is None else self._sealer.unseal(_sealing(proposal.login), sealed)
        if phone is None:
            # Removed, or sealed by a key that is no longer among SIGNING_KEYS.
            raise ProposalClosed
        return phone


def _settle(event: AuditItem, outcome: str, gateway: str | None = None) -> None:
    """Write the event of a code again, with the outcome of its send; best effort."""
    event.outcome, event.gateway = outcome, gateway
    # Written as a whole: the desk's role may not change single attributes of the audit. The code is
    # on its way, so that a failure must not lead to another one.
    try:
        audit.record(event)
    except Unavailable:
        log.warning("the outcome of a code for a new phone was not recorded")


def _sealing(login: str) -> str:
    return "proposal " + login


__all__ = ["PhoneChange", "Proposal"]
