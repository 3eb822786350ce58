"""The phone page in a real browser: a whole recovery by clicks, and its appearance."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect

from tests.browser import needs

ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / "artifacts" / "screenshots"


@pytest.fixture(scope="module")
def local_stack() -> Iterator[str]:
    """Return the address of a local stack."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LIMIT_"))
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.local", "--port", "0"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("ready "):
                break
        else:
            pytest.fail("the local stack did not start:\n" + "".join(lines))
        yield lines[-1].split()[1]
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """A Chromium that runs the page's scaled frames in one process."""
    try:
        path = needs.browser()
    except needs.CannotHave as reason:
        if os.environ.get("CI") == "true":
            pytest.fail(str(reason))
        pytest.skip(str(reason))
    # Without a sandbox of its own, since root may not have one. Playwright misses what it
    # clicks in a frame that is scaled and has a process of its own.
    launched = playwright.chromium.launch(
        executable_path=path,
        args=[
            "--no-sandbox",
            "--disable-site-isolation-trials",
            "--disable-features=IsolateOrigins,site-per-process",
        ],
    )
    yield launched
    launched.close()


def opened(browser: Browser, local_stack: str, faults: list[str], **options: Any) -> Page:
    context = browser.new_context(locale="zh-CN", timezone_id="Asia/Shanghai", **options)
    page = context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "console",
        lambda said: faults.append(said.text) if said.type == "error" else None,
    )
    page.goto(f"{local_stack}/_phone")
    expect.set_options(timeout=20_000)
    expect(page.locator("#people .person")).to_have_count(3)
    return page


def app(page: Page, name: str) -> None:
    page.click(f".dock [data-app={name}]")


def test_a_whole_recovery_with_phone_and_pc(browser: Browser, local_stack: str) -> None:
    """From the QR code on the PC over following, SMS and the new password to the PC's confirmation."""
    faults: list[str] = []
    page = opened(browser, local_stack, faults, viewport={"width": 1280, "height": 800})
    pc, web = page.frame_locator("#pc"), page.frame_locator("#web")

    pc.get_by_label("登录账号").first.fill("11010148")
    pc.get_by_role("button", name="下一步").click()
    expect(pc.get_by_role("img").first).to_be_visible()

    app(page, "scan")
    page.get_by_role("button", name=re.compile("电脑上的二维码：11010148")).click()
    page.get_by_role("button", name="关注公众号", exact=True).click()
    page.get_by_text("点此继续").click()

    web.get_by_role("button", name="下一步").click()
    web.get_by_label("新密码").first.fill("Sehr-Gutes-1")
    web.get_by_role("button", name="获取验证码").click()
    banner = page.locator("#banner")
    expect(banner).to_contain_text("点此复制验证码")
    code = banner.locator(".digits").inner_text()
    web.get_by_label("验证码").first.fill(code)
    web.get_by_role("button", name="确认重置").click()
    expect(web.get_by_role("heading", name="重置成功")).to_be_visible()
    expect(pc.get_by_role("heading", name="重置成功")).to_be_visible()

    app(page, "sms")
    expect(page.locator("#sms-list .message")).to_have_count(2)
    expect(page.locator("#sms-list")).to_contain_text(code)
    app(page, "chat")
    expect(page.locator("#chat-list .card")).to_contain_text("密码已重置并绑定本微信")

    page.click("#pc-reload")
    pc.get_by_label("登录账号").first.fill("11010148")
    pc.get_by_role("button", name="下一步").click()
    pc.get_by_role("button", name="发送验证码").click()
    pushed = page.locator("#chat-list .card").last.locator(".digits")
    expect(pushed).to_have_text(re.compile(r"^\d{6}$"))
    page.get_by_role("button", name="获取验证码").click()
    expect(page.locator("#chat-list .bubble").last).to_contain_text(pushed.inner_text())

    page.click("#menu-switch")
    page.fill("#say-text", "找回密码")
    page.get_by_role("button", name="发送").click()
    expect(page.locator("#chat-list .person-line").last).to_have_text(re.compile("找回密码"))
    page.get_by_role("button", name="取消关注").click()
    expect(page.locator("#profile")).to_be_visible()

    page.locator("#people").get_by_text("贾财务").click()
    expect(page.locator("#profile")).to_be_visible()
    app(page, "sms")
    expect(page.locator("#sms-list")).to_have_text("还没有短信")
    assert faults == []
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(375, 812), (1280, 800)])
def test_the_page_fits_and_is_accessible(
    browser: Browser, local_stack: str, scheme: Any, width: int, height: int
) -> None:
    """Nothing overflows, and axe-core finds nothing in any part; a picture of each is kept."""
    faults: list[str] = []
    size = {"width": width, "height": height}
    page = opened(browser, local_stack, faults, viewport=size, color_scheme=scheme)
    axe = needs.axe()
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)

    def look(name: str) -> None:
        page.wait_for_timeout(50)
        page.screenshot(path=SCREENSHOTS / f"demo-{width}-{scheme}-{name}.png")
        overhang = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert overhang <= 0, name
        page.evaluate(axe)
        found = page.evaluate(
            "axe.run(document, {iframes: false}).then(({violations}) => violations.map("
            "({id, nodes}) => [id, nodes.map((node) => node.target.join(' ') + ' ' + node.any.map((check) => check.message).join())]))"
        )
        assert found == [], name

    for name in ("sms", "chat", "scan", "web"):
        app(page, name)
        look(name)
    if width < 900:
        for part, label in (("pc", "电脑"), ("firms", "演示事务所")):
            page.get_by_role("navigation", name="切换画面").get_by_text(label).click()
            look(part)
    assert faults == []
    page.context.close()
