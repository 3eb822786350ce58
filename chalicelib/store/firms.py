"""The table of firms, as registered by the association."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields, replace

from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from ..domain.firms import FirmFacts
from .dynamo import read, transact
from .models import AuditItem, FirmItem, LoginItem

KEY = "firm_no"


class Firms:
    """Reads firms and corrects them; enrolment writes them."""

    def get(self, firm_no: str) -> FirmFacts | None:
        """Return the firm by a consistent read, or None. Raises Unavailable."""
        item = read(FirmItem, firm_no)
        return None if item is None else facts_of(item)

    @staticmethod
    def correct(
        was: FirmFacts, facts: dict[str, str], logins: Sequence[str], events: Sequence[AuditItem]
    ) -> FirmFacts:
        """Store corrected facts, their copies in the logins and the events; return the facts of now.

        One transaction; `logins` are those that the firm has. Raises ConditionFailed where the firm is
        closed or one of its facts has changed since it was read, Unavailable.
        """
        now = replace(was, **facts)
        same = FirmItem.closed_at.does_not_exist()
        for name, value in asdict(was).items():
            same &= getattr(FirmItem, name) == value

        def build(transaction: TransactWrite) -> None:
            for event in events:
                transaction.save(event)
            transaction.update(FirmItem(was.firm_no), set_facts(now), same)
            for login in logins:
                transaction.update(
                    LoginItem(login),
                    [LoginItem.head_id_last4.set(now.head_id_last4)],
                    LoginItem.login.exists(),
                )

        transact(build, FirmItem)
        return now


def facts_of(item: FirmItem) -> FirmFacts:
    """Convert an item of the table to the firm's facts."""
    return FirmFacts(**{fact.name: getattr(item, fact.name) for fact in fields(FirmFacts)})


def set_facts(facts: FirmFacts) -> list[Action]:
    """Return the update actions that store every fact but the key."""
    return [
        getattr(FirmItem, name).set(value) for name, value in asdict(facts).items() if name != KEY
    ]
