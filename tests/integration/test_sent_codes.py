"""Returning to the page: the visitor's own live code is named, and nobody else's."""

from __future__ import annotations

from typing import Any

import pytest
from chalice.test import HTTPResponse

from tests.conftest import MakeWorld, World, add_firm, store_calls
from tests.support.callbacks import send_message
from tests.support.wechat_platform import SEND, playing

LOGIN = "11010148"


def started(answer: HTTPResponse) -> dict[str, Any]:
    assert answer.status_code == 201, answer.body
    return dict(answer.json_body)


def test_a_first_start_has_no_sent_code(world: World) -> None:
    """The member is null, and the start is one call."""
    world.service.randbelow = lambda _: 1
    world.start("11010148_cw")  # The first call of a model also describes its table.
    with store_calls() as calls:
        body = started(world.start())
    assert calls == ["UpdateItem"]
    assert body["sent"] is None


def test_a_repeated_start_names_the_live_code(world: World) -> None:
    """How it is delivered, how long it is valid, and when another one may be sent."""
    world.send(world.token())
    world.clock.time += 48
    again = started(world.start())
    assert again["sent"] == {"delivery": "sent", "expires_in": 252, "resend_in": 12}
    assert world.confirm(again["token"], world.phones.codes[0]).status_code == 200


def test_a_repeated_start_has_one_more_read(world: World) -> None:
    """The code's item; for a code that went to a WeChat also the send's event."""
    world.service.randbelow = lambda _: 1
    world.send(world.token())
    world.start()
    with store_calls() as calls:
        world.start()
    assert calls == ["UpdateItem", "GetItem"]


@pytest.mark.parametrize("seconds", [300, 900])
def test_an_expired_code_is_not_named(world: World, seconds: int) -> None:
    world.send(world.token())
    world.clock.time += seconds
    assert started(world.start())["sent"] is None


def test_a_code_is_named_late_in_its_recovery(world: World) -> None:
    """It was sent twenty minutes after the start of the recovery."""
    token = world.token()
    world.clock.time += 1_200
    world.send(token)
    world.clock.time += 200
    assert started(world.start())["sent"] == {
        "delivery": "sent",
        "expires_in": 100,
        "resend_in": 0,
    }


def test_a_code_of_another_visitor_is_not_named(world: World) -> None:
    """Neither at the first start nor at a repeated one, nor in a refused send."""
    world.send(world.token())
    for _ in range(2):
        body = started(world.start(openid="o-bob"))
        assert body["sent"] is None
    refused = world.send(body["token"])
    assert refused.status_code == 429
    assert "sent" not in refused.json_body


def test_a_used_code_is_not_named(world: World) -> None:
    token = world.token()
    world.send(token)
    assert world.confirm(token, world.phones.codes[0]).status_code == 200
    assert started(world.start())["sent"] is None


def test_a_code_without_attempts_is_not_named(world: World) -> None:
    """Nothing can be done with it but request another one."""
    token = world.token()
    world.send(token)
    wrong = f"{(int(world.phones.codes[0]) + 1) % 1_000_000:06d}"
    for _ in range(5):
        assert world.confirm(token, wrong).status_code == 400
    assert started(world.start())["sent"] is None


def test_a_code_to_an_earlier_phone_is_not_named(world: World) -> None:
    world.send(world.token())
    item = world.login_item()
    item.update([type(item).phone.set("+8613800009999")])
    assert started(world.start())["sent"] is None


def test_a_second_tab_that_sends_gets_the_code_that_is_live(world: World) -> None:
    """The send stays refused, and the problem names the visitor's own code."""
    first, second = world.token(), world.token()
    world.send(first)
    world.clock.time += 10
    refused = world.send(second)
    assert (refused.status_code, refused.json_body["code"]) == (429, "too-many-requests")
    assert refused.json_body["retry_after"] == 50
    assert refused.json_body["sent"] == {"delivery": "sent", "expires_in": 290, "resend_in": 50}
    assert len(world.phones.codes) == 1


@pytest.mark.parametrize(("pushed", "delivery"), [(True, "sent"), (False, "pull")])
def test_the_delivery_is_that_of_the_code(
    make_world: MakeWorld, pushed: bool, delivery: str
) -> None:
    """`pull` where WeChat refused the template, so that the person fetches the code."""
    with playing() as wechat:
        wechat.answers[SEND] = [{"errcode": 0, "msgid": 7} if pushed else {"errcode": 45009}]
        world = make_world(WECHAT_API_URL=wechat.url, WECHAT_CODE_TEMPLATE_ID="template")
        add_firm(world.service.hasher, openid="o-alice")
        send_message(world, {"MsgType": "event", "Event": "subscribe"})
        assert world.send(world.token()).json_body["delivery"] == delivery
        world.clock.time += 30
        assert started(world.start())["sent"] == {
            "delivery": delivery,
            "expires_in": 270,
            "resend_in": 30,
        }


def test_another_wechat_is_named_only_inside_wechat(make_world: MakeWorld) -> None:
    """Not on a PC, and not where no WeChat is bound."""
    world = make_world()
    add_firm(world.service.hasher, openid="o-alice")
    add_firm(world.service.hasher, "22010148")
    assert started(world.start())["this_wechat"] is True
    other = started(world.start(openid="o-bob"))
    assert (other["method"], other["this_wechat"]) == ("wechat", False)
    assert "this_wechat" not in started(world.start(openid=None))
    assert "this_wechat" not in started(world.start("22010148"))
