"""How much work a challenge requires, and of whom."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import altcha
import pytest

from chalicelib.security.proof_of_work import COUNTERS, MAXIMUM_LENGTH, Proofs, solve
from chalicelib.web.recovery.assets import read

NOW = 1_800_000_000


@pytest.fixture
def proofs() -> Proofs:
    return Proofs([b"k" * 32], lambda: NOW, cost=1)


def draws(monkeypatch: pytest.MonkeyPatch, number: int) -> list[int]:
    """Draw this number from now on; return the bounds that are drawn below."""
    bounds: list[int] = []

    def randbelow(bound: int) -> int:
        bounds.append(bound)
        return number if number >= 0 else bound + number

    monkeypatch.setattr("chalicelib.security.proof_of_work.secrets.randbelow", randbelow)
    return bounds


def solved(challenge: dict[str, Any]) -> tuple[str, int]:
    """Return the proof as an ordinary solver finds it, and the counter of the solution."""
    found = altcha.solve_challenge(altcha.Challenge.from_dict(challenge))
    assert found is not None
    solution = {"counter": found.counter, "derivedKey": found.derived_key}
    payload = {"challenge": challenge, "solution": solution}
    return base64.b64encode(json.dumps(payload).encode()).decode(), found.counter


def test_solutions_start_where_the_page_s_solver_starts(
    proofs: Proofs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise an attacker would skip what the page's visitors compute."""
    first = re.search(r"for \(let first = (\d+);", read("solver.js"))
    assert first is not None
    assert COUNTERS.start == int(first[1])
    draws(monkeypatch, 0)
    proof, counter = solved(proofs.challenge("recovery", None))
    assert counter == COUNTERS.start
    assert proofs.check(proof, "recovery") is not None


@pytest.mark.parametrize("factor", [1, 2, 8])
def test_the_work_grows_by_the_factor(
    proofs: Proofs, monkeypatch: pytest.MonkeyPatch, factor: int
) -> None:
    """So many times the counters, and the last of them is a solution, too."""
    bounds = draws(monkeypatch, -1)
    challenge = proofs.challenge("recovery", "11010148", factor)
    assert bounds == [len(COUNTERS) * factor]
    assert challenge["parameters"]["cost"] == 1
    proof, counter = solved(challenge)
    assert counter == len(COUNTERS) * factor - 1
    found = proofs.check(proof, "recovery", factor)
    assert found is not None
    assert (found.login, found.factor) == ("11010148", factor)
    assert proofs.check(proof, "recovery", factor + 1) is None


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        ["action"],
        {"action": "recovery", "factor": "8"},
        {"action": "recovery", "factor": True},
        {"action": "recovery", "factor": None},
        {"action": "recovery", "factor": 1.5},
        {"action": "recovery", "login": 1},
        {"action": ["recovery"]},
    ],
)
def test_a_signed_challenge_of_another_shape_is_no_proof(
    proofs: Proofs, monkeypatch: pytest.MonkeyPatch, data: Any
) -> None:
    """Another release may have signed it with the same keys."""
    create = altcha.create_challenge
    monkeypatch.setattr(
        altcha, "create_challenge", lambda *args, **how: create(*args, **{**how, "data": data})
    )
    proof, _ = solved(proofs.challenge("recovery", None))
    assert proofs.check(proof, "recovery") is None


def test_a_challenge_of_before_there_were_factors_is_an_ordinary_one(
    proofs: Proofs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that was open while a new release came still starts its recovery."""
    create = altcha.create_challenge
    data = {"action": "recovery", "login": "11010148"}
    monkeypatch.setattr(
        altcha, "create_challenge", lambda *args, **how: create(*args, **{**how, "data": data})
    )
    proof, _ = solved(proofs.challenge("recovery", None))
    found = proofs.check(proof, "recovery")
    assert found is not None
    assert found.factor == 1
    assert proofs.check(proof, "recovery", 2) is None


@pytest.mark.parametrize("suffix", [" " * MAXIMUM_LENGTH, "é"])
def test_a_long_proof_and_one_of_other_characters_are_none(proofs: Proofs, suffix: str) -> None:
    """Even if they begin with a right one."""
    proof, _ = solved(proofs.challenge("recovery", None))
    assert proofs.check(proof, "recovery") is not None
    assert proofs.check(proof + suffix, "recovery") is None


@pytest.mark.parametrize(
    "challenge", [{}, {"parameters": None}, {"parameters": [], "signature": 1}]
)
def test_a_malformed_challenge_is_not_solved(challenge: dict[str, Any]) -> None:
    """The canary has then no proof, and reports it."""
    assert solve(challenge, 1.0) is None
