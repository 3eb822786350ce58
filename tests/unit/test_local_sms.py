"""The SMS simulator of the local stack, called by the service's own gateway."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from chalicelib.http_client import HttpClient
from chalicelib.sms.gateway import Outcome, Sms
from chalicelib.sms.http import Http, signature
from infra.local.sms import Message, SimulatedSms

SECRET = "s" * 32
SMS = Sms("+8613800001234", "验证码123456", "code", {"code": "123456"}, reference="r")


@pytest.fixture
def told() -> list[Message]:
    return []


@pytest.fixture
def network(told: list[Message]) -> Iterator[SimulatedSms]:
    with SimulatedSms(
        SECRET, sign="示例签名", on_message=told.append, clock=lambda: 1_800_000_000
    ) as network:
        yield network


def send(network: SimulatedSms, secret: str = SECRET) -> Outcome:
    return Http(network.url, secret, HttpClient()).send(SMS).outcome


def test_a_message_is_put_into_its_phone_s_inbox(
    network: SimulatedSms, told: list[Message]
) -> None:
    """The gateway's signature is checked, and the observer is called."""
    assert send(network) is Outcome.SENT
    [message] = network.inbox("+8613800001234")
    assert message.text == "【示例签名】验证码123456"
    assert (message.at, message.template, message.params) == (
        1_800_000_000,
        "code",
        {"code": "123456"},
    )
    assert told == [message]
    assert network.numbers() == ["+8613800001234"]
    assert network.inbox("+8613900000000") == []


def test_a_wrong_signature_is_refused(network: SimulatedSms) -> None:
    """Another secret or none: the inbox stays empty."""
    assert send(network, "t" * 32) is Outcome.REFUSED
    assert requests.post(network.url, data=b"{}", timeout=60).status_code == 403
    assert requests.get(network.url, timeout=60).status_code == 405
    assert network.numbers() == []


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"to":"+861"}', b'{"to":1,"text":"","template":"","params":{}}']
)
def test_a_body_that_is_no_message_is_refused(network: SimulatedSms, body: bytes) -> None:
    """A correctly signed body of another form gets a 400."""
    headers = {"X-Signature": signature(SECRET, body)}
    assert requests.post(network.url, data=body, headers=headers, timeout=60).status_code == 400


def test_failures_occur_as_often_as_requested(network: SimulatedSms) -> None:
    """A 5xx fails over and a 4xx is final."""
    network.fail(503, times=2)
    assert [send(network) for _ in range(3)] == [
        Outcome.TRY_ANOTHER,
        Outcome.TRY_ANOTHER,
        Outcome.SENT,
    ]
    network.fail(422)
    assert [send(network) for _ in range(2)] == [Outcome.REFUSED, Outcome.SENT]
    network.fail(503, times=3)
    network.fail(times=0)
    assert send(network) is Outcome.SENT


def test_a_slow_network_accepts_the_message_late(network: SimulatedSms) -> None:
    """A delay loses nothing."""
    network.fail(delay=0.05)
    assert send(network) is Outcome.SENT
    assert len(network.inbox("+8613800001234")) == 1
