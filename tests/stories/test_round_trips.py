"""Calls to DynamoDB for each step, counted where botocore sends them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from botocore.endpoint import Endpoint

from tests.conftest import World


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The operations that were sent, in order."""
    sent: list[str] = []
    make_request = Endpoint.make_request

    def counting(self: Endpoint, operation_model: object, request_dict: object) -> object:
        sent.append(operation_model.name)  # type: ignore[attr-defined]
        return make_request(self, operation_model, request_dict)

    monkeypatch.setattr(Endpoint, "make_request", counting)
    return sent


@contextmanager
def _only(sent: list[str]) -> Iterator[list[str]]:
    sent.clear()
    yield sent


def test_each_step_costs_what_it_must(world: World, counted: list[str]) -> None:
    """Start 1, code 1, wrong code 1, confirm 2; one send and one wrong code in ten or twenty also
    writes the service-wide budget, which this test keeps from being drawn."""
    world.service.recovery._sends_budget._randbelow = lambda _: 1
    world.service.recovery._wrongs_budget._randbelow = lambda _: 1
    world.token()  # The first call of a model asks for its table's keys in nobody's way.
    with _only(counted) as calls:
        token = world.token()
        assert calls == ["UpdateItem"]
    with _only(counted) as calls:
        assert world.send(token).status_code == 202
        assert calls == ["TransactWriteItems"]
    code = world.phones.codes[0]
    with _only(counted) as calls:
        world.confirm(token, f"{(int(code) + 1) % 1_000_000:06d}")
        assert calls == ["UpdateItem"]
    with _only(counted) as calls:
        assert world.confirm(token, code).status_code == 200
        assert calls == ["UpdateItem", "TransactWriteItems"]
