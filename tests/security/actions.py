"""Common actions of attackers, and doubles of the password hasher."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable
from typing import Any

from chalice.test import HTTPResponse
from itsdangerous.encoding import base64_decode

from chalicelib.store.attributes import plain_map
from chalicelib.store.ephemeral_models import CodeItem
from chalicelib.store.models import LoginItem
from tests.conftest import CheapHasher, World, peppers

WRONG = "999999"
"""A code that `draw` never draws."""

DETAILS = {
    "firm_no": "11010148",
    "approval_no": "京财会许可〔2012〕0084号",
    "head_name": "阿依古丽·买买提",
}


def draw(world: World, *codes: str) -> None:
    """Make the service draw these codes in order, then 600000 and up."""
    left = itertools.chain(map(int, codes), itertools.count(600_000))
    world.service.code_issuer.randbelow = lambda _: next(left)


def guess(world: World, token: str, code: str = WRONG) -> str:
    """Confirm with this code; return `right`, or the code of the problem."""
    answer = world.confirm(token, code)
    return "right" if answer.status_code == 200 else str(answer.json_body["code"])


def version(login: str = "11010148") -> int:
    """Return the login's password version."""
    return int(LoginItem.get(login, consistent_read=True).password_version)


def tries(login: str = "11010148") -> int:
    """Return the attempts on the login's live code, of all requesters."""
    return int(sum(plain_map(code_item(login).tries).values()))


def code_item(login: str = "11010148") -> CodeItem:
    """Return the login's stored code."""
    return CodeItem.get(f"code#{login}", consistent_read=True)


class InterruptingHasher(CheapHasher):
    """A hasher that calls `act` between the comparison of a right code and its use."""

    def __init__(self, world: World, act: Callable[[], object]) -> None:
        super().__init__(peppers(world.service))
        self._act = act
        world.service.hasher = self

    def hash(self, password: str) -> str:
        self._act()
        return super().hash(password)


class CountingHasher(CheapHasher):
    """A hasher that counts the computations of argon2."""

    def __init__(self, world: World) -> None:
        super().__init__(peppers(world.service))
        self.computations = 0
        world.service.hasher = self

    def hash(self, password: str) -> str:
        self.computations += 1
        return super().hash(password)

    def verify(self, stored: str, password: str) -> bool:
        self.computations += 1
        return super().verify(stored, password)


def recorded(world: World) -> list[HTTPResponse]:
    """Return a list to which every later answer is added."""
    answers: list[HTTPResponse] = []
    request = world.http.request

    def recording(*args: Any, **kwargs: Any) -> HTTPResponse:
        answers.append(request(*args, **kwargs))
        return answers[-1]

    world.http.request = recording  # type: ignore[method-assign]
    return answers


def all_of(answer: HTTPResponse) -> str:
    """Return headers and body, with the readable parts of a token in it."""
    body = answer.body.decode()
    opened = ""
    if answer.headers.get("Content-Type", "").startswith("application/json"):
        token = answer.json_body.get("token")
        opened = readable_parts(token) if token else ""
    return f"{answer.headers} {body} {opened}"


def claims_in(token: str) -> list[Any]:
    """Return the claims of a token without verifying it."""
    _, claims = json.loads(base64_decode(token.rpartition(".")[0]))
    return list(claims)


def readable_parts(token: str) -> str:
    """Return what a token shows without its key: its claims, and their decoded bytes."""
    parts = claims_in(token)
    raw = [base64.urlsafe_b64decode(part) for part in parts if _is_base64(part)]
    return f"{parts} {raw}"


def _is_base64(part: object) -> bool:
    return isinstance(part, str) and len(part) > 40 and len(part) % 4 == 0
