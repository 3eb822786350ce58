"""JSON of the support desk's answers that several calls give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...services.desk.phone_change import Proposal


def proposal_facts(proposal: Proposal) -> dict[str, Any]:
    """Return a proposal without its secrets; phones are masked."""
    return {
        "id": proposal.id,
        "state": proposal.state,
        "login": proposal.login,
        "firm_no": proposal.firm_no,
        "phone": proposal.phone,
        "former": proposal.former,
        "reason": proposal.reason,
        "document": proposal.document,
        "proposed_by": proposal.proposed_by,
        "proposed_at": proposal.proposed_at,
        "expires_at": proposal.ends_at,
        "decided_by": proposal.decided_by,
        "decided_at": proposal.decided_at,
        "confirmed_at": proposal.confirmed_at,
        "undo_until": proposal.undo_until,
    }
