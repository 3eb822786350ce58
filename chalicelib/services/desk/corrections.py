"""Correct a firm's registered facts by a document, where the directory file is not up to date."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from ...domain.catalogue import INPUT_REASONS
from ...domain.corrections import parse_facts
from ...domain.errors import AccountNotFound, InvalidInput, Unavailable
from ...domain.firms import counts_as_erased
from ...domain.logins import parse_login
from ...domain.reasons import parse_reason
from ...domain.staff import Staff
from ...store import audit
from ...store.dynamo import ConditionFailed
from ...store.firm_cards import FirmCard, read_cards
from ...store.firms import Firms
from ...store.search import SearchIndex

CORRECTED = "facts-corrected"
"""The audit's event of a correction."""

# An import may write the same firm first; the correction is then repeated on the new facts.
_TRIES = 3


class Corrections:
    """Corrections of the facts that identity checks and unbindings compare."""

    def __init__(self, *, clock: Callable[[], int], firms: Firms, index: SearchIndex) -> None:
        """`index` is kept in step with the head's name."""
        self._clock = clock
        self._firms = firms
        self._index = index

    def correct(
        self,
        staff: Staff,
        firm_no_text: str,
        given: Mapping[str, str],
        reason: str,
        document: str,
    ) -> tuple[str, ...]:
        """Store the given facts and return their names.

        The audit has their names and not their values, at each of the firm's logins. A fact that is
        equal to the stored one is written and audited all the same, so that nobody learns what is
        stored. Raises InvalidInput, AccountNotFound, Unavailable.
        """
        why, paper = parse_reason(reason), parse_reason(document, "document")
        facts, firm_no = parse_facts(given), parse_login(firm_no_text).firm_no
        names, now = tuple(facts), self._clock()
        for _ in range(_TRIES):
            card = self._card(firm_no, now)
            logins = [login.login for login in card.logins]
            events = [
                audit.entry(
                    login,
                    CORRECTED,
                    now,
                    actor=staff.actor,
                    reason=f"{why}（{paper}）",
                    outcome=",".join(names),
                )
                for login in logins
            ]
            was = card.facts
            if "head_name" in facts:
                self._index.add_head(replace(was, **facts))
            try:
                after = self._firms.correct(was, facts, logins, events)
            except ConditionFailed:
                continue
            self._index.remove_head(was, after)
            return names
        raise Unavailable("store")

    @staticmethod
    def _card(firm_no: str, now: int) -> FirmCard:
        cards = read_cards([firm_no])
        if not cards or counts_as_erased(cards[0].erased_at, now):
            raise AccountNotFound
        if cards[0].closed_at is not None:
            raise InvalidInput("firm_no", INPUT_REASONS["closed"])
        return cards[0]
