"""The proof of work of a recovery's start: enough of it, for this login, used once."""

from __future__ import annotations

from typing import Any

from ..domain.catalogue import INPUT_REASONS
from ..domain.errors import InvalidInput, ProofInvalid
from ..security.proof_of_work import LIFETIME, MAXIMUM_FACTOR, Proofs
from ..store.budgets import claim_once
from ..store.logins import StartProof
from .service_budgets import ServiceBudgets

PROOF_ACTION = "recovery"
"""The action that a challenge of `GET /proof` is bound to."""

_FACTOR_DIGITS = len(str(MAXIMUM_FACTOR))


class ProofCheck:
    """Makes challenges, and checks proofs where the settings require them."""

    def __init__(self, proofs: Proofs, budgets: ServiceBudgets, *, required: bool) -> None:
        """Without `required`, starts need no proof."""
        self._proofs = proofs
        self._budgets = budgets
        self._required = required

    def challenge(self, login: str | None, factor_text: str | None, now: int) -> dict[str, Any]:
        """Return an ALTCHA challenge, bound to the login if one is given.

        `factor_text` is how many times the ordinary work the client requests, in decimal digits. It is
        at least the work that every start requires now; the start itself finds out whether its login
        requires more. Raises InvalidInput where it is no number from 1 to MAXIMUM_FACTOR.
        """
        factor = self._budgets.proof_factor(now)
        if factor_text is not None:
            digits = factor_text if factor_text.isascii() and factor_text.isdecimal() else ""
            if not 0 < len(digits) <= _FACTOR_DIGITS or not 0 < int(digits) <= MAXIMUM_FACTOR:
                raise InvalidInput("factor", INPUT_REASONS["factor"])
            factor = max(factor, int(digits))
        return self._proofs.challenge(PROOF_ACTION, login, factor)

    def verify(self, payload: str | None, login: str, now: int) -> StartProof | None:
        """Return the proof, or None where none is required. Raises ProofInvalid.

        A proof that names the login has still to be claimed: `Logins.start` does so in the write
        that counts the start.
        """
        if not self._required:
            return None
        proof = self._proofs.check(payload or "", PROOF_ACTION)
        if proof is None or proof.login not in (None, login):
            raise ProofInvalid
        base = self._budgets.proof_factor(now)
        if proof.factor < base:
            raise ProofInvalid(base)
        # A proof that names no login could be used for each of them; claimed by its id alone.
        if proof.login is None and not claim_once("proof", proof.id, now, LIFETIME):
            raise ProofInvalid
        return StartProof(proof.id, proof.factor // base, base, LIFETIME)
