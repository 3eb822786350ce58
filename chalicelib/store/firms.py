"""The table of firms, as registered by the association."""

from __future__ import annotations

from dataclasses import asdict, fields

from pynamodb.expressions.update import Action

from ..domain.firms import FirmFacts
from .dynamo import read
from .models import FirmItem

KEY = "firm_no"


class Firms:
    """Reads firms; enrolment writes them."""

    def get(self, firm_no: str) -> FirmFacts | None:
        """Return the firm by a consistent read, or None. Raises Unavailable."""
        item = read(FirmItem, firm_no)
        return None if item is None else facts_of(item)


def facts_of(item: FirmItem) -> FirmFacts:
    """Convert an item of the table to the firm's facts."""
    return FirmFacts(**{fact.name: getattr(item, fact.name) for fact in fields(FirmFacts)})


def set_facts(facts: FirmFacts) -> list[Action]:
    """Return the update actions that store every fact but the key."""
    return [
        getattr(FirmItem, name).set(value) for name, value in asdict(facts).items() if name != KEY
    ]
