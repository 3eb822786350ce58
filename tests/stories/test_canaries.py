"""Secrets go through every story, among libraries that quote them all: none comes out of it.

Each test proves itself: without the mask it finds what its story was given.
"""

# ruff: noqa: F811 - fixtures of other modules are imported by their names.
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from chalicelib import wiring
from chalicelib.settings import load
from chalicelib.store.models import LoginItem
from chalicelib.telemetry import masking
from infra.local.aws import Resources
from infra.ops.__main__ import main  # noqa: F401 - adds every command
from infra.ops.command import ops
from infra.tables import create_tables, load_template
from tests import canaries, conftest
from tests.canaries import CODE, OPENING, PHONE, Hostile, Stage
from tests.canary_stories import GIVEN, STORIES, Story
from tests.conftest import CheapHasher, Clock, Door, Phones, World, add_firm
from tests.loopback import Received, Reply, serving
from tests.reset_world import MIDNIGHT, REGION, ResetWorld
from tests.serial_moto import serial_moto  # noqa: F401
from tests.sms_cases import aliyun_body, tencent_body
from tests.watching import watching
from tests.wechat_platform import playing

pytestmark = pytest.mark.filterwarnings("ignore:IAMAuthorizer:UserWarning")


def vendor(request: Received) -> Reply:
    """Every vendor in one, taking every message."""
    if "x-acs-action" in request.headers:
        return 200, aliyun_body("OK")
    return 200, tencent_body("Ok") if "x-tc-action" in request.headers else b'{"id":"m-1"}'


@pytest.fixture
def make(
    serial_moto: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[[dict[str, str]], Stage]]:
    """Builds the stage of a story, with these settings beside the canaries."""
    for name, value in canaries.KEYS.items():
        monkeypatch.setitem(conftest.SETTINGS, name, value)
    # The mask must know the keys of this process from its settings alone.
    monkeypatch.setattr(masking, "_always", frozenset())
    with mock_aws(), serving(vendor) as sms, playing() as wechat, wiring.using(None):
        canaries.answer_kindly(wechat)
        create_tables(boto3.client("dynamodb"), "recovery")
        resources = Resources(load_template(), "recovery", REGION)
        resources.make_queues(boto3.client("sqs"))
        resources.make_topics(boto3.client("sns"))
        urls = {
            "SMS_HTTP_URL": sms.url,
            "SMS_ALIYUN_URL": sms.url,
            "SMS_TENCENT_URL": sms.url,
            "WECHAT_API_URL": wechat.url,
            "RESET_QUEUE_URL": resources.values["ResetQueue"],
            "OPS_TOPIC_ARN": resources.values["OpsTopic"],
        }

        def made(settings: dict[str, str]) -> Stage:
            clock = Clock(MIDNIGHT)
            service = wiring.Service(
                load({**conftest.SETTINGS, **canaries.SETTINGS, **urls, **settings}),
                clock=clock,
                randbelow=lambda most: int(CODE) % most,
                pause=lambda _: None,
            )
            service.__dict__["hasher"] = CheapHasher(service._peppers)
            service.platform._sleep = service.platform._tokens._sleep = lambda _: None
            wiring.install(service)
            add_firm(service.hasher, phone=f"+86{PHONE}", finance_phone=f"+86{PHONE}")
            for login in ("11010148", "11010148_cw"):
                stored = service.hasher.hash(OPENING)
                LoginItem(login).update([LoginItem.password_hash.set(stored)])
            world = World(service, clock, Phones(), Door())
            reset = ResetWorld(world, urls["RESET_QUEUE_URL"], "", "")
            hostile = Hostile()
            hostile.install(monkeypatch)
            return Stage(reset, hostile, tmp_path)

        yield made


def told(stage: Stage, story: Story, fails_at: int = 0) -> str:
    """Everything that comes out of a story, whose libraries fail at this call, or not at all."""
    stage.hostile.fails_at, stage.hostile.calls = fails_at, 0
    stage.said.clear()
    canaries.started.clear()
    canaries.listening.append(True)
    try:
        with watching() as watched:
            service = stage.world.service
            keys = [setting.encode() for setting in service.settings.secrets()]
            stage.hostile.quote(f"{service._keys} {service._peppers} {keys}")
            with suppress(canaries.Enough):
                story(stage)
    finally:
        canaries.listening.clear()
    # Each line once as it is written, once as a reader of the JSON has it.
    read = [str(line) for line in watched.lines + watched.documents]
    return "\n".join([watched.text, *read, *stage.said, *canaries.started])


Make = Callable[[dict[str, str]], Stage]


@pytest.mark.parametrize("name", STORIES)
def test_no_secret_comes_out_of_a_story(
    make: Make, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In no line, figure, exception, answer or argument; whole, and failing at each call in turn.

    Without the mask every key comes out, and what people gave to this story: so the search finds
    what it looks for, and nothing but the mask hides it.
    """
    story, settings = STORIES[name]
    stage = make(settings)
    with monkeypatch.context() as bare:
        bare.setattr(masking, "clean", lambda value, **_: value)
        assert stage.shown(told(stage, story)) >= {*GIVEN[name], *canaries.KEYS}
    assert stage.shown(told(stage, story)) == set()
    calls = stage.hostile.calls
    assert calls > 0
    for number in range(1, calls + 1):
        text = told(stage, story, fails_at=number)
        assert stage.shown(text) == set(), f"failing at call {number}"


def test_every_canary_is_given_to_some_story() -> None:
    """And by the test above is found there, where nothing hides it."""
    assert set().union(*GIVEN.values(), canaries.KEYS) == {
        *canaries.FOUND_ANYWHERE,
        *canaries.WORDS,
        "cookie",
        "token",
    }


def test_no_command_takes_a_password_or_a_code() -> None:
    """What stands in an argument, every process of the machine can read. A phone is asked for."""
    for command in ops.commands.values():
        names = {str(parameter.name) for parameter in command.params}
        assert not names & {"password", "opening_password", "code", "token", "secret", "key"}
