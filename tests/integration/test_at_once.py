"""Concurrent requests on DynamoDB Local, whose writes are atomic, unlike moto's."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from chalicelib.store.models import LoginItem
from tests.conftest import World


def _codes(answers: list[tuple[int, str]]) -> Counter[tuple[int, str]]:
    return Counter(answers)


def test_fifty_wrong_confirms_at_once_compare_five(real_world: World) -> None:
    """Of fifty concurrent guesses five are compared and the others refused."""
    token = real_world.token()
    real_world.send(token)
    right = int(real_world.phones.codes[0])

    def guess(number: int) -> tuple[int, str]:
        answer = real_world.confirm(token, f"{(right + 1 + number) % 1_000_000:06d}")
        return answer.status_code, answer.json_body["code"]

    with ThreadPoolExecutor(16) as pool:
        answers = _codes(list(pool.map(guess, range(50))))
    assert answers[400, "code-wrong"] == 5
    assert answers[429, "too-many-attempts"] == 45


def test_twenty_right_confirms_at_once_have_one_success(real_world: World) -> None:
    """One sets its password; the others are refused, since the code is used."""
    tokens = [real_world.token() for _ in range(5)]
    real_world.send(tokens[0])
    code = real_world.phones.codes[0]

    def confirm(number: int) -> int:
        password = f"Correct-horse-{number}"
        return real_world.confirm(tokens[number % 5], code, password).status_code

    with ThreadPoolExecutor(20) as pool:
        answers = Counter(pool.map(confirm, range(20)))
    assert answers[200] == 1
    assert set(answers) <= {200, 401, 410, 429}
    item = LoginItem.get("11010148", consistent_read=True)
    assert int(item.password_version) == 2
    assert item.openid == "o-alice"


def test_fifty_sends_at_once_send_one_sms(real_world: World) -> None:
    """Of fifty concurrent requests for two logins with one phone, one sends an SMS."""
    main, finance = real_world.token(), real_world.token("11010148_cw")

    def send(number: int) -> int:
        return real_world.send(main if number % 2 else finance).status_code

    with ThreadPoolExecutor(16) as pool:
        answers = Counter(pool.map(send, range(50)))
    assert len(real_world.phones.sent) == 1
    assert answers[202] == 1
    assert set(answers) <= {202, 429, 503}


def test_a_recovery_on_dynamodb_local(real_world: World) -> None:
    """Start, code and password succeed, and the code cannot be used again."""
    token = real_world.token()
    assert real_world.send(token).status_code == 202
    code = real_world.phones.codes[0]
    assert real_world.confirm(token, code).status_code == 200
    assert real_world.confirm(token, code, "Another-horse-9").status_code == 410
    assert real_world.start().json_body["method"] == "wechat"
