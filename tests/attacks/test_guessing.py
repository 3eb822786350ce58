"""Guessing a code: 1 to 15."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from chalicelib.store.codes import Codes
from tests.attacks.proving import Line, attack
from tests.conftest import World


@attack(1, Line(Codes.spend, "& (CodeItem.attempts < limits.tries_per_code)"))
def test_two_hundred_parallel_guesses_compare_five(real_world: World) -> None:
    """However many arrive together, five guesses are compared and the rest are refused."""
    token = real_world.token()
    real_world.send(token)
    right = int(real_world.phones.codes[0])

    def guess(number: int) -> str:
        answer = real_world.confirm(token, f"{(right + 1 + number) % 1_000_000:06d}")
        return str(answer.json_body["code"])

    with ThreadPoolExecutor(32) as pool:
        answers = Counter(pool.map(guess, range(200)))
    assert answers == {"code-wrong": 5, "too-many-attempts": 195}
