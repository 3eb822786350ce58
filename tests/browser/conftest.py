"""A browser, a local stack, and visits to its page on a phone and on a PC."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Playwright, expect, sync_playwright

from tests.browser import needs
from tests.browser.stack import LIGHT, Firm, LocalStack, made_up, running
from tests.browser.visit import IN_WECHAT, PC, PHONE, Device, Visit
from tests.support.dynamodb_local import impossible

Visits = Callable[..., Visit]


@pytest.fixture(scope="session")
def axe() -> str:
    """Return the source of axe-core."""
    return required(needs.axe)


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """The only Playwright of this process, which cannot have two."""
    with sync_playwright() as playwright:
        # A machine that runs other tests as well may be slow; a page that is right is never late.
        expect.set_options(timeout=15_000)
        yield playwright


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """Chromium's headless shell."""
    # Chromium's sandbox does not run as root.
    browser = playwright.chromium.launch(
        executable_path=required(needs.headless_shell), args=["--no-sandbox"]
    )
    yield browser
    browser.close()


def required(fetch: Callable[[], str]) -> str:
    """Return what `needs` fetches; without it the test is skipped, and in CI it fails."""
    try:
        return fetch()
    except needs.CannotHave as reason:
        impossible(str(reason))


@pytest.fixture(scope="session")
def local_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """The local stack, for all tests of this process."""
    with running(tmp_path_factory.mktemp("stack"), module=LIGHT) as local_stack:
        yield local_stack


@pytest.fixture(scope="session")
def _firms() -> Iterator[Firm]:
    return iter(made_up()[1:])


@pytest.fixture
def firm(_firms: Iterator[Firm]) -> Firm:
    """A firm of this test alone, with its own phone and no WeChat bound."""
    return next(_firms)


@pytest.fixture
def firm_without_phone() -> Firm:
    """A firm whose logins have no phone."""
    return made_up()[0]


@pytest.fixture
def visits(browser: Browser, local_stack: LocalStack, axe: str) -> Iterator[Visits]:
    """A factory of visits: `visits(PHONE, wechat=True)`; an error in a browser's console fails the test."""
    begun: list[Visit] = []

    def begin(device: Device = PHONE, *, wechat: bool = False, **options: Any) -> Visit:
        agent = {"user_agent": IN_WECHAT} if wechat else {}
        context = browser.new_context(
            **{"locale": "zh-CN", "color_scheme": "light", **device.options, **agent, **options}
        )
        visit = Visit(local_stack, device, context, context.new_page(), axe)
        begun.append(visit)
        return visit

    yield begin
    for visit in begun:
        visit.context.close()
    assert [fault for visit in begun for fault in visit.faults] == []


@pytest.fixture(params=[PHONE, PC], ids=lambda device: device.name)
def device(request: pytest.FixtureRequest) -> Device:
    """Both devices, one after the other."""
    device: Device = request.param
    return device
