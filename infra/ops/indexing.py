"""Write the search entries of every firm and login that is stored, for data of before the index."""

from __future__ import annotations

from typing import NamedTuple

from chalicelib.store.desk_models import DeskItem
from chalicelib.store.dynamo import translate_errors
from chalicelib.store.firms import facts_of
from chalicelib.store.models import FirmItem, LoginItem
from chalicelib.store.search import SearchIndex, entries_of


class Indexed(NamedTuple):
    """The numbers of firms and of phones whose entries were written."""

    firms: int
    phones: int


def rebuild(index: SearchIndex) -> Indexed:
    """Write all entries; those of closed firms expire with the firm. Raises Unavailable.

    One scan of each table, in the order of the table; repeating it is harmless.
    """
    firms = phones = 0
    with translate_errors(), DeskItem.batch_write() as batch:
        for firm in FirmItem.scan():
            for entry in entries_of(facts_of(firm)):
                entry.expires_at = firm.expires_at
                batch.save(entry)
            firms += 1
        for login in LoginItem.scan(LoginItem.phone.exists()):
            entry = index.phone_entry(login.login, login.phone)
            entry.expires_at = login.expires_at
            batch.save(entry)
            phones += 1
    return Indexed(firms, phones)
