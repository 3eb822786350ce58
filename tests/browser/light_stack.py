"""The local stack, with hashes and proofs of work that cost little; everything else is as it is.

A proof takes the browser 0.2 s of each start, and a hash 30 ms for each firm of the stack; none of these
tests is about them. The demo page's tests and the commands of the documents run with the real cost.
"""

from __future__ import annotations

import sys
from functools import partial

from chalicelib import foundation
from chalicelib.security.password_hasher import PasswordHasher
from chalicelib.security.proof_of_work import Proofs
from infra.local.command import main

_CHEAP = {
    "PasswordHasher": partial(PasswordHasher, memory_kib=8, passes=1),
    "Proofs": partial(Proofs, cost=10),
}

if __name__ == "__main__":
    vars(foundation).update(_CHEAP)
    sys.exit(main())
