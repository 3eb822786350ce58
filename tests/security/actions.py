"""What attackers of a recovery do again and again, and what they look at."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable
from typing import Any

from chalice.test import HTTPResponse
from itsdangerous.encoding import base64_decode

from chalicelib.store.models import CodeItem, LoginItem
from tests.conftest import CheapHasher, World, peppers

WRONG = "999999"
"""A code that `draw` never draws."""

DETAILS = {
    "firm_no": "11010148",
    "approval_no": "京财会许可〔2012〕0084号",
    "head_name": "阿依古丽·买买提",
}


def draw(world: World, *codes: str) -> None:
    """Have the service issue these codes, in turn, and then 600000 and on."""
    left = itertools.chain(map(int, codes), itertools.count(600_000))
    world.service.code_issuer.randbelow = lambda _: next(left)


def guess(world: World, token: str, code: str = WRONG) -> str:
    """One guess; the word that it is answered with, `right` where the password is set."""
    answer = world.confirm(token, code)
    return "right" if answer.status_code == 200 else str(answer.json_body["code"])


def version(login: str = "11010148") -> int:
    """How many passwords the login has had."""
    return int(LoginItem.get(login, consistent_read=True).password_version)


def code_item(login: str = "11010148") -> CodeItem:
    """The login's code as it is stored."""
    return CodeItem.get(f"code#{login}", consistent_read=True)


class Meanwhile(CheapHasher):
    """Does something between the comparison of a right code and its use."""

    def __init__(self, world: World, act: Callable[[], object]) -> None:
        super().__init__(peppers(world.service))
        self._act = act
        world.service.hasher = self

    def hash(self, password: str) -> str:
        self._act()
        return super().hash(password)


class Counting(CheapHasher):
    """Counts how often argon2 is worked."""

    def __init__(self, world: World) -> None:
        super().__init__(peppers(world.service))
        self.worked = 0
        world.service.hasher = self

    def hash(self, password: str) -> str:
        self.worked += 1
        return super().hash(password)

    def verify(self, stored: str, password: str) -> bool:
        self.worked += 1
        return super().verify(stored, password)


def recorded(world: World) -> list[HTTPResponse]:
    """Every answer from now on."""
    answers: list[HTTPResponse] = []
    request = world.http.request

    def recording(*args: Any, **kwargs: Any) -> HTTPResponse:
        answers.append(request(*args, **kwargs))
        return answers[-1]

    world.http.request = recording  # type: ignore[method-assign]
    return answers


def all_of(answer: HTTPResponse) -> str:
    """Headers and body, a token in it laid open as far as one can without a key."""
    body = answer.body.decode()
    opened = ""
    if answer.headers.get("Content-Type", "").startswith("application/json"):
        token = answer.json_body.get("token")
        opened = laid_open(token) if token else ""
    return f"{answer.headers} {body} {opened}"


def ticket_in(token: str) -> list[Any]:
    """What a token carries, whoever signed it."""
    _, ticket = json.loads(base64_decode(token.rpartition(".")[0]))
    return list(ticket)


def laid_open(token: str) -> str:
    """What a token shows to whoever holds it: its parts, and those parts' bytes."""
    parts = ticket_in(token)
    raw = [base64.urlsafe_b64decode(part) for part in parts if _is_base64(part)]
    return f"{parts} {raw}"


def _is_base64(part: object) -> bool:
    return isinstance(part, str) and len(part) > 40 and len(part) % 4 == 0
