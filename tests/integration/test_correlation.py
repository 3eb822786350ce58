"""One id joins a request's lines, figures and messages; failures are told, and nothing secret with them."""

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
from tests.support.callbacks import tell
from tests.support.http_server import Server, serving
from tests.support.log_capture import Watched
from tests.support.sms_cases import SMS, http
from tests.support.yearly_reset import Context, ResetWorld

SECRET = {"SMS_HTTP_SECRET": "h" * 32}


@pytest.fixture
def gateway() -> Iterator[Server]:
    """An SMS endpoint that takes everything."""
    with serving(lambda _: (200, b'{"id":"m-1"}')) as server:
        yield server


def test_one_id_leads_from_the_request_to_the_gateway(
    watched: Watched, make_world: MakeWorld, gateway: Server
) -> None:
    """API Gateway's own name of it: in each line, in the figures, and in what the gateway gets."""
    world = make_world(SMS_GATEWAYS="http", SMS_HTTP_URL=gateway.url, **SECRET)
    add_firm(world.service.hasher)
    token = world.token()
    ids = []
    for _ in range(2):
        world.clock.time += 60
        before = len(watched.lines)
        assert world.send(token).status_code == 202
        named = gateway.received[-1].headers["x-correlation-id"]
        said = watched.lines[before:]
        assert [line["message"] for line in said] == ["code sent"]
        assert {line["correlation_id"] for line in said} == {named}
        assert watched.documents[-1]["correlation_id"] == named
        ids.append(named)
    assert ids[0] != ids[1]
    assert correlation_id() is None


def called(path: str = "/health", **context: object) -> dict[str, Any]:
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
    """And harmless, whatever it is; Lambda's own stands beside it."""
    assert app(called(**context), Context())["statusCode"] == 200
    (line,) = watched.lines
    assert (line["correlation_id"], line["request_id"]) == (named, "request-1")


def test_two_requests_at_once_keep_their_ids_apart(watched: Watched) -> None:
    """The local twin answers in many threads."""
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


def test_the_thread_that_answers_wechat_belongs_to_the_request(
    watched: Watched, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lines and figures carry the request's id, and its failure ends in the log alone."""

    def answer(_: object) -> str:
        metrics.count("CallbackEvent", event="text")
        raise ValueError("broken")

    monkeypatch.setattr(world.service.conversation, "answer", answer)
    assert tell(world, {"MsgType": "text", "Content": "你好", "MsgId": 8}) == ""
    (line,) = watched.lines
    assert line["message"] == "a message was not answered"
    assert {document["correlation_id"] for document in watched.documents} == {
        line["correlation_id"]
    }
    assert watched.figures() == {"CallbackEvent event=text": 1, "Alarm alarm=callback": 1}


# Failures


class Loud(Exception):
    """A failure whose words quote a secret."""


def test_a_failure_of_ours_is_told_to_people_in_plain_words(
    watched: Watched, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No traceback; the log has it, masked, and the figures are written all the same."""

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


def test_what_chalice_itself_fails_at_is_answered_alike(
    watched: Watched, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outside of every view, where none of our own rendering is."""

    def fail(*_: object) -> None:
        raise Loud("sealed=secret-7")

    monkeypatch.setattr("chalice.app.RestAPIEventHandler._main_rest_api_handler", fail)
    answer = app(called(), Context())
    assert (answer["statusCode"], "unavailable" in answer["body"]) == (503, True)
    assert "secret-7" not in answer["body"] + watched.text
    assert watched.figures() == {"Alarm alarm=unexpected": 1}


@pytest.mark.parametrize("error", [Unavailable("queue"), Loud(f"password={PASSWORD}")])
def test_a_function_that_fails_tells_lambda_the_kind_alone(
    watched: Watched,
    yearly: ResetWorld,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    """Lambda writes the exception down as it is, and hands it on to whatever called."""

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


def test_an_alarm_counts_where_no_call_is_under_way(watched: Watched) -> None:
    """As at a cold start, before the first request."""
    logging.getLogger("chalicelib.test").error("settings", extra={"alarm": "settings"})
    assert watched.figures() == {"Alarm alarm=settings": 1}


def test_a_gateway_gets_no_id_outside_of_a_request() -> None:
    """An operator's command has none to give."""
    with serving(lambda _: (200, b"{}")) as server:
        attempt = http(server.url).send(SMS)
    assert attempt.outcome is Outcome.SENT
    assert "x-correlation-id" not in server.received[0].headers
