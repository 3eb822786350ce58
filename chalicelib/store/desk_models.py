"""The models of the table `desk`: search entries, and proposals, which expire."""

from __future__ import annotations

from pynamodb.attributes import ListAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.models import Model


class DeskItem(Model):
    """A search entry of the support desk; the table has its proposals as well.

    Key: `kind` and `id`; see `store.search`. TTL: of a closed firm alone.
    """

    class Meta:
        table_name = "desk"

    kind = UnicodeAttribute(hash_key=True)
    id = UnicodeAttribute(range_key=True)
    name = UnicodeAttribute(null=True)
    """Of a name's entry: the whole name, folded."""
    expires_at = NumberAttribute(null=True)
    """When the entry of a closed firm is erased."""


class ProposalItem(Model):
    """A proposal to change a login's phone.

    Key: `proposal`, and epoch milliseconds in 13 digits with 32 random hexadecimal ones. TTL:
    `store.proposals.RETENTION` after it was made.
    """

    class Meta:
        table_name = "desk"

    kind = UnicodeAttribute(hash_key=True, default="proposal")
    id = UnicodeAttribute(range_key=True)
    expires_at = NumberAttribute()
    state = UnicodeAttribute()
    """`waiting`, `approved`, `active`, `rejected` or `undone`."""
    login = UnicodeAttribute()
    firm_no = UnicodeAttribute()
    phone = UnicodeAttribute()
    """The new phone, masked."""
    sealed_phone = UnicodeAttribute(null=True)
    """The new phone, encrypted; removed when nothing needs it any more."""
    former = UnicodeAttribute(null=True)
    """The phone that was replaced, masked; missing where there was none."""
    sealed_former = UnicodeAttribute(null=True)
    """It, encrypted, for as long as the change can be undone."""
    reason = UnicodeAttribute()
    document = UnicodeAttribute()
    """The reference of the document that the caller has presented."""
    proposed_by = UnicodeAttribute()
    """The subject of the member of the staff."""
    proposed_at = NumberAttribute()
    ends_at = NumberAttribute()
    decided_by = UnicodeAttribute(null=True)
    decided_at = NumberAttribute(null=True)
    digest = UnicodeAttribute(null=True)
    """Keyed digest of the live code."""
    code_expires_at = NumberAttribute(null=True)
    attempts = NumberAttribute(default=0)
    """Tries of the live code."""
    sends = ListAttribute[int](of=NumberAttribute, null=True)  # type: ignore[arg-type]
    """Times of codes sent."""
    confirmed_at = NumberAttribute(null=True)
    undo_until = NumberAttribute(null=True)
