"""Find firms by what a caller says: a number, a part of the name, the head's name, a phone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ...domain import search_terms
from ...domain.catalogue import INPUT_REASONS
from ...domain.errors import InvalidInput
from ...domain.firms import counts_as_erased
from ...domain.logins import fold, mask_phone
from ...domain.phones import phone_number
from ...store.firm_cards import FirmCard, LoginCard, read_cards, read_logins
from ...store.search import NUMBER_DIGITS, SearchIndex

MOST = 20
"""Firms in an answer."""

LONGEST = 200
"""Characters of a search."""

Matches = Callable[[LoginCard], bool]

_NUMBER = re.compile(r"([0-9]+)(?:_cw)?")


@dataclass(frozen=True)
class FoundLogin:
    """A login in a list."""

    login: str
    phone: str | None
    """Masked."""
    wechat_bound: bool
    matches: bool
    """Whether the search was for this login's phone or number."""


@dataclass(frozen=True)
class FoundFirm:
    """A firm in a list, without the facts that an identity check compares."""

    firm_no: str
    name: str
    province: str
    by: str
    """What was found: `number`, `phone`, `name` or `head`."""
    logins: tuple[FoundLogin, ...]
    closed_at: int | None
    """When the firm was closed, in epoch seconds; None where it is not."""


@dataclass(frozen=True)
class FindResult:
    """The firms found, and whether there may be more of them."""

    firms: tuple[FoundFirm, ...]
    more: bool


class Find:
    """Searches the index and reads what it found."""

    def __init__(self, index: SearchIndex, clock: Callable[[], int]) -> None:
        self._index = index
        self._clock = clock

    def find(self, text: str) -> FindResult:
        """Return at most MOST firms, the surest kind of match first.

        Raises InvalidInput for an empty or too long text, Unavailable.
        """
        if len(text) > LONGEST:
            raise InvalidInput("q", INPUT_REASONS["too-long"])
        if not search_terms.fold(text):
            raise InvalidInput("q", INPUT_REASONS["missing"])
        phone = phone_number(text)
        number = _NUMBER.fullmatch(fold(text).lower())
        found, is_cut = _Found(self._clock()), False
        if phone is not None:
            found.add("phone", self._with_phone(phone), lambda login: login.phone == phone)
        if number is not None and len(number[1]) >= NUMBER_DIGITS:
            digits, login = number[1], fold(text).lower()
            cards = read_cards(self._index.by_number(digits, MOST + 1))
            found.add("number", cards, lambda card: card.login == login)
        if number is None and phone is None:
            named = self._index.by_name(text, MOST + 1)
            found.add("name", _with_part(named.firms, text), lambda _: False)
            is_cut = named.is_cut
            if len(found.firms) <= MOST:
                found.add("head", self._headed(text), lambda _: False)
        firms = tuple(found.firms.values())
        return FindResult(firms[:MOST], len(firms) > MOST or is_cut)

    def _with_phone(self, phone: str) -> list[FirmCard]:
        logins = read_logins(self._index.by_phone(phone, 100))
        owners = [login.firm_no for login in logins if login.phone == phone]
        return read_cards(list(dict.fromkeys(owners))[: MOST + 1])

    def _headed(self, text: str) -> list[FirmCard]:
        part = search_terms.fold(text)
        cards = read_cards(self._index.by_head(text, MOST + 1))
        return [card for card in cards if search_terms.fold(card.facts.head_name).startswith(part)]

    def sharing_phone(self, login: str, phone: str) -> tuple[str, ...]:
        """Return the other logins with this phone, in E.164, at most MOST. Raises Unavailable."""
        cards = read_logins(self._index.by_phone(phone, MOST + 1))
        return tuple(card.login for card in cards if card.phone == phone and card.login != login)

    def sharing_wechat(self, login: str, openid: str) -> tuple[str, ...]:
        """Return the other logins bound to this openid, at most MOST. Raises Unavailable."""
        cards = read_logins(self._index.by_openid(openid, MOST + 1))
        return tuple(card.login for card in cards if card.openid == openid and card.login != login)


def _with_part(firms: list[str], text: str) -> list[FirmCard]:
    part = search_terms.fold(text)
    # An entry may be left of a former name.
    return [card for card in read_cards(firms) if part in search_terms.fold(card.facts.name)]


class _Found:
    """The firms found, by number, in order; those that count as erased are left out."""

    def __init__(self, now: int) -> None:
        self._now = now
        self.firms: dict[str, FoundFirm] = {}

    def add(self, by: str, cards: Iterable[FirmCard], matches: Matches) -> None:
        """Add firms that were found by the same kind of match."""
        for card in cards:
            if counts_as_erased(card.erased_at, self._now):
                continue
            facts = card.facts
            logins = tuple(
                FoundLogin(
                    login.login,
                    mask_phone(login.phone) if login.phone else None,
                    login.openid is not None,
                    matches(login),
                )
                for login in card.logins
            )
            firm = FoundFirm(facts.firm_no, facts.name, facts.province, by, logins, card.closed_at)
            self.firms.setdefault(facts.firm_no, firm)
