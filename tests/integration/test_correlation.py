"""One id is in a request's log lines, metrics and messages; failures are logged without secrets."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from app import app
from chalicelib import container, runtime
from chalicelib.domain.errors import ServiceError, Unavailable
from chalicelib.handlers import middleware, yearly_reset
from chalicelib.sms.gateway import Outcome
from chalicelib.telemetry import metrics
from chalicelib.telemetry.invocation import correlation_id
from tests.conftest import PASSWORD, MakeWorld, World, add_firm
from tests.package.runtime import api_event
from tests.support.callbacks import send_message
from tests.support.http_server import Server, serving
from tests.support.log_capture import Watched
from tests.support.sms_cases import SMS, http
from tests.support.yearly_reset import Context, ResetWorld

SECRET = {"SMS_HTTP_SECRET": "h" * 32}


@pytest.fixture
def gateway() -> Iterator[Server]:
    """An SMS endpoint that accepts every message."""
    with serving(lambda _: (200, b'{"id":"m-1"}')) as server:
        yield server


def test_one_id_leads_from_the_request_to_the_gateway(
    watched: Watched, make_world: MakeWorld, gateway: Server
) -> None:
    """API Gateway's request id is in each log line, in the metrics, and in the request to the gateway."""
    world = make_world(SMS_GATEWAYS="http", SMS_HTTP_URL=gateway.url, **SECRET)
    add_firm(world.service.hasher)
    token = world.token()
    ids = []
    for _ in range(2):
        world.clock.time += 60
        before = len(watched.lines)
        assert world.send(token).status_code == 202
        request_id = gateway.received[-1].headers["x-correlation-id"]
        lines = watched.lines[before:]
        assert [line["message"] for line in lines] == ["code sent"]
        assert {line["correlation_id"] for line in lines} == {request_id}
        assert watched.documents[-1]["correlation_id"] == request_id
        ids.append(request_id)
    assert ids[0] != ids[1]
    assert correlation_id() is None


def get_event(path: str = "/health", **context: object) -> dict[str, Any]:
    """Return API Gateway's event of a GET, with this request context."""
    event = api_event("GET", path)
    event["requestContext"] = {"httpMethod": "GET", "resourcePath": path, **context}
    return event


@pytest.fixture
def logging_world(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world that logs a line for each request of /health."""
    real = runtime.service

    def service() -> container.Service:
        logging.getLogger("chalicelib.test").info("here")
        return real()

    monkeypatch.setattr(runtime, "service", service)
    return world


@pytest.mark.parametrize(
    ("context", "named"),
    [
        (
            {"requestId": "2f4c1d9e-7b1a-4c55-9c0e-0f3b7a9d5e11"},
            "2f4c1d9e-7b1a-4c55-9c0e-0f3b7a9d5e11",
        ),
        ({}, "request-1"),
        ({"requestId": "a\n\x1b[31m" + "b" * 99}, "a31m" + "b" * 60),
    ],
)
def test_the_id_is_the_gateway_s_or_lambda_s(
    watched: Watched, logging_world: World, context: dict[str, str], named: str
) -> None:
    """It is reduced to harmless characters; Lambda's own id is logged beside it."""
    assert app(get_event(**context), Context())["statusCode"] == 200
    (line,) = watched.lines
    assert (line["correlation_id"], line["request_id"]) == (named, "request-1")


def test_two_requests_at_once_keep_their_ids_apart(watched: Watched) -> None:
    """The local stack answers in several threads."""
    both = threading.Barrier(2)

    def answer(_: Any) -> None:
        both.wait(60)
        logging.getLogger("chalicelib.test").info("here")
        metrics.count("CodeWrong")

    class Event:
        def __init__(self, name: str) -> None:
            self.context = Context(aws_request_id=name)

    threads = [
        threading.Thread(target=middleware.observe, args=(Event(name), answer)) for name in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert {line["correlation_id"] for line in watched.lines} == {"a", "b"}
    assert {document["correlation_id"] for document in watched.documents} == {"a", "b"}
    assert watched.figures() == {"CodeWrong": 2}


def test_the_thread_of_a_callback_has_the_request_s_id(
    watched: Watched, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its log lines and metrics have the request's id, and its failure is only logged."""

    def answer(_: object) -> str:
        metrics.count("CallbackEvent", event="text")
        raise ValueError("broken")

    monkeypatch.setattr(world.service.conversation, "answer", answer)
    assert send_message(world, {"MsgType": "text", "Content": "你好", "MsgId": 8}) == ""
    (line,) = watched.lines
    assert line["message"] == "a message was not answered"
    assert {document["correlation_id"] for document in watched.documents} == {
        line["correlation_id"]
    }
    assert watched.figures() == {"CallbackEvent event=text": 1, "Alarm alarm=callback": 1}


# Failures


class Loud(Exception):
    """An error whose message has a secret."""


def test_an_internal_error_is_answered_without_details(
    watched: Watched, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer has no traceback, the log has it masked, and the metrics are written."""

    def fail(*_: object) -> None:
        metrics.count("CodeWrong")
        raise Loud(f"cannot hash {PASSWORD}")

    monkeypatch.setattr(world.service.recovery, "complete", fail)
    answer = world.confirm(world.token(), "123456")
    assert (answer.status_code, answer.json_body["code"]) == (503, "unavailable")
    assert "Traceback" not in answer.body.decode()
    (line,) = watched.lines
    assert line["exception"].endswith("Loud: cannot hash ***")
    assert PASSWORD not in watched.text
    assert watched.figures()["Alarm alarm=unexpected"] == 1
    assert watched.figures()["CodeWrong"] == 1


def test_an_error_of_chalice_is_answered_without_details(
    watched: Watched, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also outside of every view, where errors are not rendered."""

    def fail(*_: object) -> None:
        raise Loud("sealed=secret-7")

    monkeypatch.setattr("chalice.app.RestAPIEventHandler._main_rest_api_handler", fail)
    answer = app(get_event(), Context())
    assert (answer["statusCode"], "unavailable" in answer["body"]) == (503, True)
    assert "secret-7" not in answer["body"] + watched.text
    assert watched.figures() == {"Alarm alarm=unexpected": 1}


@pytest.mark.parametrize("error", [Unavailable("queue"), Loud(f"password={PASSWORD}")])
def test_a_failed_function_raises_the_kind_of_its_error_only(
    watched: Watched,
    yearly: ResetWorld,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    """Lambda logs the exception and returns it to the caller."""

    def fail(*_: object) -> None:
        try:
            raise KeyError(PASSWORD)
        except KeyError:
            raise error from None

    monkeypatch.setattr(yearly_reset, "plan", fail)
    kind = type(error) if isinstance(error, ServiceError) else middleware.FunctionFailed
    with pytest.raises(kind) as raised:
        yearly.schedule()
    assert PASSWORD not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
    alarm = "unavailable" if isinstance(error, ServiceError) else "unexpected"
    assert watched.figures() == {f"Alarm alarm={alarm}": 1}
    assert PASSWORD not in watched.text


def test_an_alarm_outside_of_a_call_is_counted(watched: Watched) -> None:
    """For example at a cold start, before the first request."""
    logging.getLogger("chalicelib.test").error("settings", extra={"alarm": "settings"})
    assert watched.figures() == {"Alarm alarm=settings": 1}


def test_a_request_outside_of_a_call_has_no_id() -> None:
    """An operator's command has no request id."""
    with serving(lambda _: (200, b"{}")) as server:
        attempt = http(server.url).send(SMS)
    assert attempt.outcome is Outcome.SENT
    assert "x-correlation-id" not in server.received[0].headers
