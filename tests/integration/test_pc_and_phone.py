"""A page on a PC shows how far the phone is that scanned its own QR code, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.services.qr_scenes import page_of
from chalicelib.store.scan_progress import ScanProgress
from tests.conftest import World, add_firm, store_calls
from tests.support.callbacks import send_message

LOGIN = "11010148"
EVENT = {"MsgType": "event"}


class Page:
    """A page on a PC, with its QR code."""

    def __init__(self, world: World, login: str = LOGIN) -> None:
        self._world = world
        self.token = world.token(login, openid=None)
        page = page_of(world.service.recovery.read(self.token).recovery)
        self.scene = world.service.scenes.make(login, world.clock() + 1_800, page)

    @property
    def state(self) -> str:
        answer = self._world.call("GET", "/recovery", token=self.token)
        return str(answer.json_body.get("state") or answer.json_body["code"])

    def scanned_by(self, openid: str = "o-alice", *, follows: bool = False) -> None:
        fields = {"Event": "SCAN", "EventKey": self.scene}
        if not follows:
            fields = {"Event": "subscribe", "EventKey": f"qrscene_{self.scene}"}
        send_message(self._world, {**EVENT, **fields}, openid)


def begin(world: World, scene: str, login: str = LOGIN, openid: str = "o-alice") -> str:
    """Begin a recovery on the phone with a scene; return its token."""
    body = {"user_type": "firm", "login": login, "scene": scene}
    answer = world.call("POST", "/recovery", body, openid=openid)
    assert answer.status_code == 201, answer.body
    return str(answer.json_body["token"])


def test_the_page_shows_every_step_of_its_phone(world: World) -> None:
    """A follower's scan is `scanned`; a new follower's is `followed`."""
    page = Page(world)
    seen = [page.state]
    page.scanned_by(follows=True)
    seen.append(page.state)
    page.scanned_by("o-bob")
    seen.append(page.state)
    token = begin(world, page.scene)
    world.send(token)
    seen.append(page.state)
    assert world.confirm(token, world.phones.codes[0]).status_code == 200
    seen.append(page.state)
    assert seen == ["open", "scanned", "followed", "code_sent", "done"]


def test_the_firm_s_name_is_given_after_the_right_code_alone(world: World) -> None:
    """To the recovery that entered it, not to the page on the PC."""
    page = Page(world)
    token = begin(world, page.scene)
    world.send(token)
    assert "name" not in world.call("GET", "/recovery", token=token).json_body
    world.confirm(token, world.phones.codes[0])
    assert world.call("GET", "/recovery", token=token).json_body["name"] == "示例会计师事务所"
    assert "name" not in world.call("GET", "/recovery", token=page.token).json_body


def test_a_state_never_goes_back(world: World) -> None:
    """A second scan after the code was sent, by another person."""
    page = Page(world)
    page.scanned_by()
    world.send(begin(world, page.scene))
    page.scanned_by("o-bob", follows=True)
    assert page.state == "code_sent"


def test_another_page_of_the_same_login_shows_nothing(world: World) -> None:
    """Each QR code has its own page; the other page's recovery ends with the new password."""
    mine, other = Page(world), Page(world)
    mine.scanned_by()
    token = begin(world, mine.scene)
    world.send(token)
    assert (mine.state, other.state) == ("code_sent", "open")
    world.confirm(token, world.phones.codes[0])
    assert (mine.state, other.state) == ("done", "recovery-expired")


def test_a_phone_without_the_scene_shows_nothing(world: World) -> None:
    """Nor does one whose scene is forged, expired, or of another login."""
    add_firm(world.service.hasher, "22010148", phone="+8613900005678")
    page, foreign = Page(world), Page(world, "22010148")
    expired = world.service.scenes.make(LOGIN, world.clock(), page.scene.split(".")[2])
    forged = page.scene[:-1] + ("0" if page.scene[-1] != "0" else "1")
    world.send(world.token())
    for number, scene in enumerate((foreign.scene, expired, forged, "x", "号")):
        world.clock.time += 60
        world.send(begin(world, scene, openid=f"o-{number}"))
    assert (page.state, foreign.state) == ("open", "open")


def test_a_scene_that_is_too_long_is_a_wrong_input(world: World) -> None:
    body: dict[str, Any] = {"user_type": "firm", "login": LOGIN, "scene": "x" * 201}
    answer = world.call("POST", "/recovery", body, openid="o-alice")
    assert (answer.status_code, answer.json_body["field"]) == (422, "scene")


def test_an_expired_scene_in_an_event_changes_no_page(world: World) -> None:
    page = Page(world)
    world.clock.time += 1_800
    page.scanned_by()
    world.clock.time -= 1
    assert page.state == "open"


def test_a_link_costs_one_call_for_each_step(world: World) -> None:
    """A recovery without a scene has none of them; a poll has two reads."""
    world.service.randbelow = lambda _: 1
    page = Page(world)
    page.scanned_by()
    token = begin(world, page.scene)
    with store_calls() as calls:
        world.send(token)
    assert calls == ["TransactWriteItems", "UpdateItem"]
    with store_calls() as calls:
        assert page.state == "code_sent"
    assert calls == ["GetItem"] * 2
    with store_calls() as calls:
        world.confirm(token, world.phones.codes[0])
    assert calls == ["UpdateItem", "GetItem", "TransactWriteItems", "UpdateItem"]


def test_a_state_that_is_not_stored_fails_no_step(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page still shows the end where the phone's recovery used the code."""
    page = Page(world)
    token = begin(world, page.scene)
    world.send(token)

    def down(*_: object, **__: object) -> None:
        raise Unavailable("store")

    monkeypatch.setattr(ScanProgress, "advance", down)
    page.scanned_by()
    assert world.confirm(token, world.phones.codes[0]).status_code == 200
    assert page.state == "done"


def test_the_page_of_a_login_that_was_deleted_has_expired(world: World) -> None:
    """And so has a recovery on the phone."""
    page, token = Page(world), world.token()
    world.login_item().delete()
    assert page.state == "recovery-expired"
    assert world.call("GET", "/recovery", token=token).json_body["code"] == "recovery-expired"
