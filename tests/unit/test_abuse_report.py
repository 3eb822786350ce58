"""`python -m tests.perf.abuse`: its table, its proofs of work, and three small attacks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from chalicelib.domain.logins import Login
from chalicelib.security.proof_of_work import Proofs
from chalicelib.services.password_policy import PasswordPolicy
from chalicelib.services.recovery import Recovery
from tests.perf.abuse.__main__ import ATTACKS, chosen, main
from tests.perf.abuse.guessing import Attackers
from tests.perf.abuse.people import Scale
from tests.perf.abuse.report import HEADERS, Result, table
from tests.perf.abuse.requester import Journey, ServiceFailed
from tests.perf.abuse.target import phone_of, running
from tests.perf.proofs import Solved, solve, start_with_proof

RESULT = Result(
    "1a", "block a login", "one WeChat", True, False, 1_234, 9, 56.78, "seen", "yes", "no"
)


def test_a_row_has_a_cell_for_each_header() -> None:
    """Numbers are grouped and CPU seconds rounded."""
    assert len(RESULT.cells) == len(HEADERS)
    assert RESULT.cells[:5] == ("1a block a login", "one WeChat", "yes", "1,234", "56.8")


@pytest.mark.parametrize(
    ("reached", "partly", "word"),
    [(True, False, "yes"), (False, True, "partly"), (False, False, "no")],
)
def test_an_aim_may_be_reached_for_a_part_of_the_time(
    reached: bool, partly: bool, word: str
) -> None:
    """The third column is one of three words."""
    assert replace(RESULT, reached=reached, partly=partly).cells[2] == word


def test_the_columns_are_aligned() -> None:
    """All lines of the table are equally long."""
    lines = table([RESULT, replace(RESULT, aim="another and longer aim")]).splitlines()
    assert len(lines) == 4
    assert len(set(map(len, lines))) == 1


@pytest.mark.parametrize(
    ("journey", "words"),
    [
        (Journey("yes", "yes", "yes", "yes"), "yes"),
        (
            Journey("yes", "yes", "yes", "yes", factor=8, waited_s=600),
            "yes after 10 min (proof ×8)",
        ),
        (Journey("too-many-requests"), "no: start too-many-requests"),
        (Journey("yes", "yes", "code-wrong"), "no: confirm code-wrong"),
        (Journey("yes", "yes", "yes", "invalid"), "no: sign-in invalid"),
    ],
)
def test_a_journey_names_its_last_step(journey: Journey, words: str) -> None:
    """Only a person who signed in has recovered."""
    assert str(journey) == words
    assert journey.complete is (words[:3] == "yes")


def test_attacks_are_chosen_by_the_beginning_of_their_names() -> None:
    """None is left out where nothing is chosen, and every number of the list has an attack."""
    assert chosen("") == list(ATTACKS)
    assert chosen("2a, 3") == ["2a", "3a", "3b", "3c"]
    assert {name[0] for name in ATTACKS} == set("12345678")


def test_the_solver_s_proof_is_accepted_and_its_work_counted() -> None:
    """Each derivation counts, the last one too."""
    proofs = Proofs([b"k" * 32], lambda: 1_800_000_000, cost=1)
    challenge = proofs.challenge("recovery", "11010148", 2)
    solved = solve(challenge)
    found = proofs.check(solved.proof, "recovery", 2)
    assert found is not None
    assert found.login == "11010148"
    assert 1 <= solved.derivations <= 3_000
    assert solved.cpu_s > 0


class HardeningService:
    """Requires these factors in turn, and accepts the last one."""

    def __init__(self, *factors: int) -> None:
        self._required = list(factors)
        self._proofs = Proofs([b"k" * 32], lambda: 1_800_000_000, cost=1)
        self.paths: list[str] = []

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        self.paths.append(path)
        factor = int(path.partition("factor=")[2] or 1)
        return 200, self._proofs.challenge("recovery", None, factor)

    def post(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        required = self._required[0]
        if self._proofs.check(body["proof"], "recovery", required) is not None:
            return 201, {"token": "t"}
        if len(self._required) > 1:
            self._required.pop(0)
        return 400, {"code": "proof-invalid", "factor": required}


def test_a_start_follows_the_factor_that_its_refusal_names() -> None:
    """A harder challenge is fetched and solved; the work of both counts."""
    service = HardeningService(4)
    solved: list[Solved] = []
    assert start_with_proof("1", service.get, service.post, solved.append)[0] == 201
    assert service.paths == ["/proof?login=1", "/proof?login=1&factor=4"]
    assert [each.factor for each in solved] == [1, 4]


def test_a_refusal_without_a_greater_factor_is_final() -> None:
    """Otherwise a client would solve the same challenge for ever."""
    service = HardeningService(1)
    answer = {"code": "proof-invalid"}
    assert start_with_proof("1", service.get, lambda _: (400, answer)) == (400, answer)
    assert service.paths == ["/proof?login=1"]


def test_a_sweep_of_four_logins_costs_two_requests_and_a_proof_each() -> None:
    """Requests and CPU are those of the attacker alone; others recover as before."""
    result = ATTACKS["8a"](Scale(logins=4))
    assert (result.reached, result.requests) == (True, 8)
    assert result.seen.startswith("4 logins seen, 4 masked phones")
    assert result.derivations >= 4
    assert result.cpu_s > 0
    assert (result.visitor, result.owner) == ("yes", "yes")


def test_one_wechat_has_ten_guesses_at_a_login_compared_in_a_day() -> None:
    """The day passes on the service's own clock."""
    result = ATTACKS["6a"](Scale())
    assert result.seen.startswith("10 compared, chance 1.0e-05")
    assert not result.reached


def test_the_command_prints_the_table_and_writes_the_results(tmp_path: Path) -> None:
    """The owner of a login can use a code that somebody else had sent."""
    output = tmp_path / "abuse.json"
    ran = CliRunner().invoke(main, ["--only", "2b", "--output", str(output)])
    assert ran.exit_code == 0, ran.output
    assert "| 2b end an owner's live code" in ran.stdout
    (row,) = json.loads(output.read_text("utf-8"))
    assert (row["name"], row["reached"], row["owner"]) == ("2b", False, "yes")


@pytest.mark.parametrize("name", ["5a", "5b"])
def test_an_answer_that_depends_on_the_phone_is_found(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attack succeeds on a service that checks the phone before the code."""

    def weaknesses(_: PasswordPolicy, password: str, login: Login) -> list[str]:
        return ["contains-phone"] if phone_of(str(login))[3:] in password else []

    monkeypatch.setattr(PasswordPolicy, "public_weaknesses", weaknesses)
    result = ATTACKS[name](Scale())
    assert result.reached
    assert result.seen.endswith("the answer differs")


def test_attackers_act_when_their_pause_is_over() -> None:
    """Each in turn, at least a minute after its last action, until the given time."""
    with running(1) as target:
        began = target.now
        acted: list[tuple[str, int]] = []

        def turn(name: str, pause: int) -> int:
            acted.append((name, target.now - began))
            return pause

        attackers = Attackers(target, [lambda: turn("a", 100), lambda: turn("b", 0)])
        attackers.act_until(began + 150)
        assert acted == [("a", 0), ("b", 0), ("b", 60), ("a", 100), ("b", 120)]
        assert target.now == began + 150


def test_a_service_that_fails_ends_the_attack(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise an attack would count as stopped because the service was broken."""

    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(Recovery, "start", fail)
    with pytest.raises(ServiceFailed, match="POST /recovery: 503 unavailable"):
        ATTACKS["2b"](Scale())
