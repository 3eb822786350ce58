"""Attackers, owners and other visitors, and the result of an attack for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib.domain.limits import HOUR
from tests.perf.abuse.report import Result
from tests.perf.abuse.requester import Requester, recover, recover_within
from tests.perf.abuse.target import Target, openid_of

PATIENCE = HOUR
"""Seconds for which an owner tries again."""


@dataclass(frozen=True)
class Scale:
    """The size of the attacks."""

    logins: int = 1_000
    requesters: int = 100
    """Of an attack on one login by many."""
    full_proof: bool = False
    """Whether proofs of work are solved at their full cost, instead of priced."""

    @property
    def firms(self) -> int:
        """Firms with two logins each, and one that is not attacked."""
        return (self.logins + 1) // 2 + 1


@dataclass(frozen=True)
class Attack:
    """An attack: its aim and its attacker."""

    name: str
    aim: str
    attacker: str

    def result(
        self,
        target: Target,
        attackers: Sequence[Requester],
        *,
        seen: str,
        reached: bool | None = None,
        partly: bool = False,
        owner: str | None = None,
        owner_of: str | None = None,
    ) -> Result:
        """Return the attack's result; afterwards a fresh visitor and an owner recover their logins.

        `reached` None: the aim was to stop the fresh visitor. `owner` is the owner's outcome, where it
        was seen already, `owner_of` the login of the owner who has yet to try.
        """
        requests = sum(attacker.requests for attacker in attackers)
        derivations = sum(attacker.derivations for attacker in attackers)
        cpu_s = sum(attacker.cpu_s for attacker in attackers)
        fresh = recover(visitor(target), target.firms[-1].firm_no)
        if owner is None:
            login = owner_of or target.firms[0].firm_no
            owner = str(
                recover_within(owner_of_login(target, login), login, PATIENCE, target.wait_until)
            )
        return Result(
            self.name,
            self.aim,
            self.attacker,
            not fresh.complete if reached is None else reached,
            partly,
            requests,
            derivations,
            cpu_s,
            seen,
            str(fresh),
            owner,
        )


def owner_of_login(target: Target, login: str) -> Requester:
    """Return the owner of a login, who has the login's phone and WeChat."""
    return Requester(target, openid_of(login), "198.51.100.7")


def visitor(target: Target) -> Requester:
    """Return the owner of a login that is not attacked; nobody else comes from this address."""
    return Requester(target, openid_of(target.firms[-1].firm_no), "198.51.100.8")


def wechats(target: Target, scale: Scale, count: int = 1) -> list[Requester]:
    """Return attackers with a WeChat and an address each."""
    return [
        Requester(target, f"o-attacker-{number}", f"192.0.2.{1 + number}", scale.full_proof)
        for number in range(count)
    ]


def addresses(target: Target, scale: Scale, count: int) -> list[Requester]:
    """Return attackers with an address each and no WeChat."""
    return [
        Requester(target, None, f"192.0.2.{1 + number}", scale.full_proof)
        for number in range(count)
    ]


def attacked_logins(target: Target, scale: Scale) -> list[str]:
    """Return the logins that are attacked: all but those of the fresh visitor's firm."""
    found = [login for firm in target.firms[:-1] for login in (firm.firm_no, firm.finance)]
    return found[: scale.logins]
