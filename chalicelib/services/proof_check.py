"""Check the proof of work of a recovery's start: solved, for this login, used once."""

from __future__ import annotations

from ..domain.errors import ProofInvalid
from ..security.proof_of_work import LIFETIME, Proofs
from ..store.budgets import claim_once

PROOF_ACTION = "recovery"
"""The action that a challenge of `GET /proof` is bound to."""


class ProofCheck:
    """Checks proofs where the settings require them."""

    def __init__(self, proofs: Proofs | None) -> None:
        """No proof is required where `proofs` is None."""
        self._proofs = proofs

    def verify(self, payload: str | None, login: str, now: int) -> str | None:
        """Return the proof's id, or None where no proof is required. Raises ProofInvalid.

        A proof that names the login has still to be claimed: `Logins.start` does so in the write
        that counts the start.
        """
        if self._proofs is None:
            return None
        proof = self._proofs.check(payload or "", PROOF_ACTION)
        if proof is None or proof.login not in (None, login):
            raise ProofInvalid
        # A proof that names no login could be used for each of them; claimed by its id alone.
        if proof.login is None and not claim_once("proof", proof.id, now, LIFETIME):
            raise ProofInvalid
        return proof.id
