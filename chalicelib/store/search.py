"""The search index of the support desk: from parts of names, numbers and phones to firms.

DynamoDB finds the beginnings of sort keys, so each searchable part of a name is an entry of its own
(`domain.search_terms`). A search is one Query of one partition, which reads as many entries as it
returns, whatever the number of firms. Kinds of entries in the table `desk`, as `kind` and `id`:

- `name#C` and `REST#FIRM`: the name from a character C on; `name` is the whole name.
- `head#C` and `HEAD#FIRM`: the head's whole name, which begins with C.
- `number#PPPP` and `FIRM`: the firm's number, which begins with PPPP.
- `phone#DIGEST` and `LOGIN`: the keyed digest of the login's phone.

An entry is written before what it leads to, and removed after; whoever reads compares the result with
the firm's and the login's items, so that an entry that is left behind finds nothing.

Size: about seven entries of 150 bytes a firm. A million firms are 7 million entries, 1 GB, in
partitions that DynamoDB splits by itself; a search stays one Query.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import NamedTuple

from pynamodb.expressions.condition import Condition

from ..domain.errors import Unavailable
from ..domain.firms import FirmFacts
from ..domain.search_terms import beginnings, first_beginning, fold
from .desk_models import DeskItem
from .dynamo import translate_errors
from .models import LoginItem

log = logging.getLogger(__name__)

NUMBER_DIGITS = 4
"""Digits of a firm's number that a search needs at least."""

# Entries in one answer of a search with a filter, and answers at most: those that do not match are
# read as well.
_PAGE = 500
_PAGES = 4


class NamedFirms(NamedTuple):
    """What a search for a part of a name has found."""

    firms: list[str]
    """Their numbers."""
    is_cut: bool
    """Whether the search ended before all entries with the part's beginning were read."""


class SearchIndex:
    """Writes and searches the entries."""

    def __init__(self, pepper: bytes) -> None:
        """`pepper` keys the digests of phones; with another one they are not found."""
        self._pepper = pepper

    def add(self, facts: FirmFacts, phones: Iterable[tuple[str, str]] = ()) -> None:
        """Write the entries of a firm and of phones, pairs of login and number in E.164.

        Raises Unavailable.
        """
        entries = [*entries_of(facts), *(self.phone_entry(*pair) for pair in phones)]
        with translate_errors(), DeskItem.batch_write() as batch:
            for entry in entries:
                batch.save(entry)

    def add_phone(self, login: str, phone: str) -> None:
        """Write the entry of a login's phone, in E.164. Raises Unavailable."""
        with translate_errors():
            self.phone_entry(login, phone).save()

    @staticmethod
    def add_head(facts: FirmFacts) -> None:
        """Write the entry of a firm's head. Raises Unavailable."""
        with translate_errors():
            _head_entry(facts).save()

    @staticmethod
    def remove_head(was: FirmFacts, now: FirmFacts) -> None:
        """Remove the entry of a firm's former head where the present one has another; best effort."""
        entry = _head_entry(was)
        if entry.id != _head_entry(now).id:
            with _best_effort(), translate_errors():
                entry.delete()

    def expire(self, facts: FirmFacts, phones: Iterable[tuple[str, str]], at: int) -> None:
        """Let the entries of a closed firm and of its phones expire at a time, in epoch seconds.

        `add` lets them stay again. Raises Unavailable.
        """
        entries = [*entries_of(facts), *(self.phone_entry(*pair) for pair in phones)]
        with translate_errors(), DeskItem.batch_write() as batch:
            for entry in entries:
                entry.expires_at = at
                batch.save(entry)

    def remove_phone(self, login: str, phone: str) -> None:
        """Remove the entry of a phone that the login no longer has; best effort.

        What the entry was for has already changed, and the person is still to be notified of it.
        """
        with _best_effort(), translate_errors():
            self.phone_entry(login, phone).delete()

    def remove(self, was: FirmFacts, now: FirmFacts | None = None) -> None:
        """Remove the entries of a firm's former facts that its present ones do not have; best effort."""
        kept = set() if now is None else {(entry.kind, entry.id) for entry in entries_of(now)}
        left = [entry for entry in entries_of(was) if (entry.kind, entry.id) not in kept]
        with _best_effort(), translate_errors(), DeskItem.batch_write() as batch:
            for entry in left:
                batch.delete(entry)

    def by_name(self, part: str, most: int) -> NamedFirms:
        """Return the numbers of firms whose name has this part, at most `most`.

        Empty for a part of generic words alone. Raises Unavailable.
        """
        folded = fold(part)
        position = first_beginning(folded)
        if position is None:
            return NamedFirms([], is_cut=False)
        rest = folded[position:]
        contains: Condition | None = DeskItem.name.contains(folded) if position else None
        return _firms(f"name#{rest[0]}", rest, most, contains)

    def by_head(self, name: str, most: int) -> list[str]:
        """Return the numbers of firms whose head's name begins so. Raises Unavailable."""
        folded = fold(name)
        return _firms(f"head#{folded[0]}", folded, most).firms if folded else []

    def by_number(self, digits: str, most: int) -> list[str]:
        """Return the firm numbers that begin with these digits, NUMBER_DIGITS or more of them.

        Raises Unavailable.
        """
        return _firms(f"number#{digits[:NUMBER_DIGITS]}", digits, most).firms

    def by_phone(self, phone: str, most: int) -> list[str]:
        """Return the logins that may have this phone, in E.164. Raises Unavailable."""
        with translate_errors():
            return [item.id for item in DeskItem.query(self._phone_kind(phone), limit=most)]

    @staticmethod
    def by_openid(openid: str, most: int) -> list[str]:
        """Return the logins that may be bound to this openid. Raises Unavailable."""
        with translate_errors():
            return [item.login for item in LoginItem.by_openid.query(openid, limit=most)]

    def phone_entry(self, login: str, phone: str) -> DeskItem:
        """Return the entry of a login's phone, in E.164, not yet written."""
        return DeskItem(self._phone_kind(phone), login)

    def _phone_kind(self, phone: str) -> str:
        digest = hmac.new(self._pepper, b"search\0" + phone.encode(), hashlib.sha256)
        return f"phone#{digest.hexdigest()}"


@contextmanager
def _best_effort() -> Iterator[None]:
    """Log that entries were left behind, which find nothing."""
    try:
        yield
    except Unavailable:
        log.warning("search entries were not removed")


def entries_of(facts: FirmFacts) -> Iterator[DeskItem]:
    """Yield the entries of a firm's number, name and head."""
    name, number = fold(facts.name), facts.firm_no
    yield DeskItem(f"number#{number[:NUMBER_DIGITS]}", number)
    for position in beginnings(name):
        yield DeskItem(f"name#{name[position]}", f"{name[position:]}#{number}", name=name)
    if fold(facts.head_name):
        yield _head_entry(facts)


def _head_entry(facts: FirmFacts) -> DeskItem:
    head = fold(facts.head_name)
    return DeskItem(f"head#{head[:1]}", f"{head}#{facts.firm_no}")


def _firms(kind: str, beginning: str, most: int, contains: Condition | None = None) -> NamedFirms:
    with translate_errors():
        entries = DeskItem.query(
            kind,
            DeskItem.id.startswith(beginning),
            filter_condition=contains,
            page_size=2 * most if contains is None else _PAGE,
        )
        # A name may have the part twice, and the filter may leave few entries of a page.
        numbers: dict[str, None] = {}
        for page in islice(entries.page_iter, _PAGES):
            numbers.update({entry["id"]["S"].rpartition("#")[2]: None for entry in page["Items"]})
            if len(numbers) >= most:
                break
        return NamedFirms(list(islice(numbers, most)), entries.last_evaluated_key is not None)
