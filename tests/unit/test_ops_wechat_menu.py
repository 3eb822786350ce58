"""`wechat-menu`: the menu of the account afterwards, and WeChat's refusals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from infra.local.wechat import SimulatedWeChat
from infra.ops import words
from tests.conftest import SETTINGS, Clock, MakeWorld, World
from tests.support.ops_runner import REASON, Run

MENU = {
    "button": [
        {"type": "view", "name": "找回密码", "url": "https://recovery.example/wechat/enter"},
        {"type": "click", "name": "获取验证码", "key": "code"},
    ]
}
CREATE, STABLE = "/cgi-bin/menu/create", "/cgi-bin/stable_token"


@pytest.fixture
def wechat() -> Iterator[SimulatedWeChat]:
    """WeChat, with an account that has no menu yet."""
    with SimulatedWeChat(
        SETTINGS["WECHAT_APP_ID"],
        SETTINGS["WECHAT_APP_SECRET"],
        SETTINGS["WECHAT_TOKEN"],
        SETTINGS["WECHAT_AES_KEY"],
        callback_url=lambda: "http://127.0.0.1:9",
        visitor=lambda _: "o-alice",
        clock=Clock(),
    ) as platform:
        yield platform


@pytest.fixture
def world(make_world: MakeWorld, wechat: SimulatedWeChat, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world whose client of the platform repeats without a pause."""
    world = make_world(WECHAT_API_URL=wechat.url)
    with monkeypatch.context() as patch:
        # The client is built at its first use, with the `sleep` of then.
        patch.setattr("time.sleep", lambda _: None)
        assert world.service.platform
    return world


@pytest.fixture
def run(world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `wechat-menu` on a terminal of 120 columns."""
    return Run(capsys, monkeypatch, "wechat-menu", columns=120)


def as_json(run: Run, *options: str) -> tuple[int, Any]:
    """Return the exit status and the parsed output."""
    ran = run(*options, "--json")
    return ran.status, ran.json


def test_the_command_creates_the_menu(run: Run, wechat: SimulatedWeChat) -> None:
    """Both items have Chinese names; a repeat changes nothing."""
    for _ in range(2):
        status, out, err = run(*REASON)
        assert status == 0
        assert err.startswith("执行位置：AWS账号123456789012")
        assert wechat.account.menu == MENU
    assert "找回密码" in out
    assert "https://recovery.example/wechat/enter" in out
    assert "获取验证码" in out
    assert words.MENU_MADE in out


def test_json_has_the_menu(run: Run, wechat: SimulatedWeChat) -> None:
    """The menu as WeChat was given it, and that it was."""
    assert as_json(run, *REASON) == (0, {"menu": MENU, "made": True})
    assert wechat.account.menu == MENU


def test_the_menu_is_set_for_a_reason_only(run: Run, wechat: SimulatedWeChat) -> None:
    """Without one no request is sent."""
    status, out, err = run()
    assert (status, out) == (2, "")
    assert "缺少--reason" in err
    assert wechat.account.menu is None


def test_a_dry_run_sends_no_request(run: Run, wechat: SimulatedWeChat) -> None:
    """It shows the menu that would be created."""
    wechat.fail(-1, times=99)
    status, out, _ = run("--dry-run")
    assert status == 0
    assert "找回密码" in out
    assert words.MENU_PREVIEW in out
    assert words.MENU_MADE not in out
    assert as_json(run, "--dry-run") == (0, {"menu": MENU, "made": False})
    assert wechat.account.menu is None


@pytest.mark.parametrize("path", [CREATE, STABLE])
@pytest.mark.parametrize("errcode", [48001, 40164, 45009, 40013, 40125, 65400])
def test_a_refusal_is_explained(run: Run, wechat: SimulatedWeChat, path: str, errcode: int) -> None:
    """With its code, the rid for WeChat's support, and advice."""
    wechat.fail(errcode, path=path, times=2)
    status, out, err = run(*REASON)
    assert (status, out) == (1, "")
    assert f"errcode {errcode}" in err
    assert "rid " in err
    assert words.WECHAT_REFUSALS.get(errcode, words.WECHAT_REFUSALS[0]) in err
    assert SETTINGS["WECHAT_APP_SECRET"] not in err
    status, answer = as_json(run, *REASON)
    assert (status, answer["error"]) == (1, "wechat-refused")
    assert f"errcode {errcode}" in answer["message"]
    assert wechat.account.menu is None


def test_an_expired_token_is_refreshed_once(run: Run, wechat: SimulatedWeChat) -> None:
    """A second refusal of the token is reported."""
    run(*REASON)
    wechat.tokens.revoke()
    assert run(*REASON).status == 0
    wechat.fail(40001, path=CREATE, times=2)
    status, _, err = run(*REASON)
    assert status == 1
    assert words.WECHAT_REFUSALS[40001] in err


def test_a_busy_or_silent_platform_is_reported(run: Run, wechat: SimulatedWeChat) -> None:
    """Whether the menu was created is unknown then."""
    wechat.fail(-1, path=CREATE, times=3)
    status, out, err = run(*REASON)
    assert (status, out) == (1, "")
    assert words.MENU_SILENT in err
    wechat.fail(-1, path=CREATE, times=3)
    assert as_json(run, *REASON) == (1, {"error": "unavailable", "message": words.MENU_SILENT})


def test_a_failure_of_the_store_is_not_reported_as_wechat(run: Run) -> None:
    """The shared token is in the store."""
    boto3.client("dynamodb").delete_table(TableName="recovery-ephemera")
    status, _, err = run(*REASON)
    assert status == 1
    assert "DynamoDB" in err
