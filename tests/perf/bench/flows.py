"""The API's flows, each run by the packaged function: preparation, and the counted part."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree.ElementTree import fromstring

from tests.package import runtime
from tests.perf.bench import callback, ours
from tests.perf.bench.machine import Watch

Story = Callable[[ours.Function, str, Watch], Iterator[None]]
"""Of a login that no story has used yet; the watch sees what is counted."""


def by_sms(function: ours.Function, login: str, watch: Watch) -> Iterator[None]:
    """Recover by SMS, which binds the WeChat in which it is made."""
    yield
    started = function.post(watch, "request", "/recovery", login, ours.named(login))
    bearer = f"Bearer {started['token']}"
    function.post(watch, "code", "/recovery/code", login, {}, Authorization=bearer)
    _set(function, login, watch, bearer, function.place.code())


def by_wechat(function: ours.Function, login: str, watch: Watch) -> Iterator[None]:
    """Recover by WeChat, with a code from the Official Account's menu."""
    yield
    started = function.post(watch, "request", "/recovery", login, ours.named(login))
    bearer = f"Bearer {started['token']}"
    function.post(watch, "code", "/recovery/code", login, {}, Authorization=bearer)
    said = _tell(function, watch, login, {"MsgType": "event", "Event": "CLICK", "EventKey": "code"})
    code = re.search(r"(?<![0-9])[0-9]{6}(?![0-9])", said)
    if code is None:
        raise AssertionError(f"no code in {said!r}")
    _set(function, login, watch, bearer, code[0])


def wrong_code(function: ours.Function, login: str, watch: Watch) -> Iterator[None]:
    """Send one more wrong code."""
    aside = Watch(function.pids)
    started = function.post(aside, "request", "/recovery", login, ours.named(login))
    bearer = f"Bearer {started['token']}"
    function.post(aside, "code", "/recovery/code", login, {}, Authorization=bearer)
    wrong = "000000" if function.place.code() != "000000" else "000001"
    body = {"code": wrong, "password": ours.PASSWORD}
    event = runtime.api_event("POST", "/recovery/password", body, Authorization=bearer)
    yield
    answer = watch("wrong code", lambda: function.api.invoke(event))
    if answer["statusCode"] != 400:
        raise AssertionError(f"a wrong code: {answer}")


def unbinding(function: ours.Function, login: str, watch: Watch) -> Iterator[None]:
    """Unbind a lost WeChat; the recovery before and after it is not counted."""
    aside = Watch(function.pids)
    started = function.post(aside, "request", "/recovery", login, ours.named(login))
    bearer = f"Bearer {started['token']}"
    body = {"firm_no": login, "approval_no": ours.APPROVAL_NO, "head_name": ours.HEAD_NAME}
    yield
    function.post(watch, "unbinding", "/recovery/unbinding", login, body, Authorization=bearer)


def verified(function: ours.Function, login: str, watch: Watch) -> Iterator[None]:
    """Verify a right password, as the login page does."""
    yield
    body = {"login": login, "password": ours.PASSWORD}
    answer = function.post(watch, "verify", "/credentials/verify", login, body)
    if answer["valid"] is not True:
        raise AssertionError(f"the password was not right: {answer}")


def followed(function: ours.Function, login: str, watch: Watch) -> Iterator[None]:
    """Follow the Official Account."""
    yield
    _tell(function, watch, login, {"MsgType": "event", "Event": "subscribe", "EventKey": ""})


STORIES: dict[str, tuple[Story, bool]] = {
    "recovery by SMS": (by_sms, False),
    "recovery by WeChat": (by_wechat, True),
    "a wrong code more": (wrong_code, False),
    "WeChat unbound": (unbinding, True),
    "password verified": (verified, False),
    "account followed": (followed, False),
}
"""Each story, and whether its logins have a WeChat bound."""


def play(
    function: ours.Function,
    story: Story,
    login: str,
    watch: Watch,
    ready: Callable[[], object] = lambda: None,
) -> None:
    """Run a flow; `ready` is called where the counted part begins."""
    playing = story(function, login, watch)
    next(playing)
    ready()
    watch.resume()
    for _ in playing:
        raise AssertionError("a story yields once")


def _set(function: ours.Function, login: str, watch: Watch, bearer: str, code: str) -> None:
    body = {"code": code, "password": ours.PASSWORD}
    done = function.post(watch, "password", "/recovery/password", login, body, Authorization=bearer)
    if done["wechat_bound"] is not True:
        raise AssertionError(f"the recovery did not end: {done}")


def _tell(function: ours.Function, watch: Watch, login: str, fields: dict[str, str]) -> str:
    service = function.place.service
    openid = f"o-{login}"
    delivery = callback.deliver(service, fields, openid, int(time.time()))
    event: Any = callback.event(delivery)
    answer = watch("callback", lambda: function.api.invoke(event))
    if answer["statusCode"] != 200:
        raise AssertionError(f"the callback: {answer}")
    encrypted = fromstring(answer["body"]).findtext("Encrypt") or ""
    return fromstring(service.cipher.decrypt(encrypted)).findtext("Content") or ""
