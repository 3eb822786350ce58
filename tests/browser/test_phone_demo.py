"""The demo page in a real browser: each scene of the tour, the clock, faults, and its appearance."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Playwright, expect

from infra.local.scenes import NEW_PASSWORD, SCENES
from tests.browser import appearance, needs
from tests.browser.conftest import required
from tests.browser.demo import ARGUMENTS, SEND, DemoPage, open_demo
from tests.support.local_process import running

LOOKS = pytest.mark.parametrize(
    ("width", "height", "scheme"),
    [(*size, scheme) for size in ((375, 812), (1280, 800)) for scheme in ("light", "dark")],
)

EXPECTED = "Failed to load resource"  # an answer that is an error: the service's own business


@pytest.fixture(scope="module")
def running_stack() -> Iterator[str]:
    """Return the address of a local stack with the demo firms."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LIMIT_"))
    }
    with running(environment=environment) as address:
        yield address


@pytest.fixture
def local_stack(running_stack: str) -> str:
    """Start the stack over, and return its address.

    What a test has left, such as a code that its WeChat has not used, would lead the next one elsewhere.
    """
    answer = requests.post(f"{running_stack}/_phone/act", json={"act": "reset"}, timeout=60)
    assert answer.status_code == 200, answer.text
    return running_stack


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """A headless shell that runs the page's scaled frames in one process."""
    path = required(needs.headless_shell)
    expect.set_options(timeout=20_000)
    launched = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
    yield launched
    launched.close()


@pytest.fixture
def demo(browser: Browser, local_stack: str) -> Iterator[DemoPage]:
    """The page in a wide window; an error in its console fails the test."""
    faults: list[str] = []
    demo = open_demo(browser, local_stack, faults)
    yield demo
    demo.page.context.close()
    assert [fault for fault in faults if not fault.startswith(EXPECTED)] == []


def audit(demo: DemoPage) -> list[str]:
    """Return the events in the audit, newest first."""
    return demo.page.locator("#audit b").all_inner_texts()


def test_first_recovery_by_sms(demo: DemoPage) -> None:
    """Follow, name the login, receive the SMS, set the password: the WeChat is bound."""
    demo.begin("首次找回")
    page = demo.page
    page.get_by_role("button", name="关注公众号", exact=True).click()
    demo.expect_done(1)
    page.locator("#menu-items").get_by_role("button", name="找回密码").click()
    expect(demo.web.get_by_label("登录账号").first).to_be_visible()
    demo.offer_login(demo.web, "11010148")
    demo.press(demo.web, "下一步")
    demo.expect_done(2)
    demo.press(demo.web, SEND)
    demo.expect_done(3)
    expect(page.locator("#banner")).to_contain_text("点此填入验证码")
    code = page.locator("#banner .digits").inner_text()
    page.locator("#banner").click()
    expect(demo.web.get_by_label("验证码", exact=True)).to_have_value(code)
    demo.enter_code_and_password(demo.web)
    demo.expect_done(4)
    demo.expect_done(5)
    expect(page.locator("#finished")).to_be_visible()
    demo.open_app("chat")
    expect(page.locator("#chat-list .card")).to_contain_text(
        "密码重置并绑定微信，非本人操作请点此冻结"
    )
    demo.open_app("sms")
    expect(page.locator("#sms-list")).to_contain_text(code)
    assert audit(demo) == ["找回密码", "发送验证码", "导入账号"]


def test_recovery_by_the_official_account(demo: DemoPage) -> None:
    """The code comes to the chat; the account also answers its menu and the word 验证码."""
    demo.begin("公众号验证码")
    page = demo.page
    page.locator("#menu-items").get_by_role("button", name="找回密码").click()
    expect(demo.web.get_by_label("登录账号").first).to_be_visible()
    demo.offer_login(demo.web, "65990006")
    demo.press(demo.web, "下一步")
    demo.expect_done(1)
    demo.press(demo.web, SEND)
    demo.expect_done(2)
    demo.open_app("chat")
    pushed = page.locator("#chat-list .card").last.locator(".digits")
    expect(pushed).to_have_text(re.compile(r"^\d{6}$"))
    page.locator("#menu-items").get_by_role("button", name="获取验证码").click()
    expect(page.locator("#chat-list .bubble").last).to_contain_text(pushed.inner_text())
    page.click("#menu-switch")
    page.fill("#say-text", "验证码")
    page.locator("#say").get_by_role("button", name="发送").click()
    expect(page.locator("#chat-list .person-line").last).to_have_text(re.compile("验证码"))
    demo.open_app("web")
    demo.enter_code_and_password(demo.web)
    demo.expect_done(3)


def test_pc_and_qr_code(demo: DemoPage) -> None:
    """The PC draws a QR code, the phone does the work, and the new password opens the login page."""
    demo.begin("电脑与二维码")
    page = demo.page
    demo.pc.get_by_role("link", name="忘记密码").click()
    expect(demo.pc.get_by_label("登录账号").first).to_be_visible()
    demo.offer_login(demo.pc, "11010148")
    demo.press(demo.pc, "下一步")
    expect(demo.pc.get_by_role("img", name="二维码").first).to_be_visible()
    demo.expect_done(1)
    demo.offer("扫一扫")
    page.get_by_role("button", name=re.compile("电脑上的二维码：11010148")).click()
    demo.expect_done(2)
    page.get_by_role("button", name="关注公众号", exact=True).click()
    demo.expect_done(3)
    demo.continue_from_message()
    demo.enter_code_and_password(demo.web)
    demo.expect_done(5)
    expect(demo.pc.get_by_role("heading", name="重置成功")).to_be_visible()
    demo.pc.get_by_role("link", name="返回登录").click()
    sign_in(demo, "填入账号密码")
    expect(demo.pc.get_by_role("heading", name="登录成功")).to_be_visible()
    demo.expect_done(6)
    expect(page.locator("#address")).to_have_text(re.compile("^localhost:"))


def sign_in(demo: DemoPage, label: str) -> None:
    """Let the step fill in login and password on the login page, and sign in."""
    expect(demo.pc.get_by_label("密码", exact=True)).to_be_visible()
    demo.offer(label)
    expect(demo.pc.get_by_label("密码", exact=True)).not_to_have_value("")
    demo.press(demo.pc, "登录")


def test_unfollowed_and_unbound(demo: DemoPage) -> None:
    """The code cannot arrive; unbinding by the firm's details, then the SMS binds the WeChat again."""
    demo.begin("取消关注与解绑")
    page = demo.page
    demo.pc.get_by_role("link", name="忘记密码").click()
    expect(demo.pc.get_by_label("登录账号").first).to_be_visible()
    demo.offer_login(demo.pc, "54990007")
    demo.press(demo.pc, "下一步")
    demo.press(demo.pc, SEND)
    demo.expect_done(1)
    demo.press(demo.pc, re.compile("^解绑"))
    expect(demo.pc.get_by_label("成立批准文号")).to_be_visible()
    demo.offer("填入登记信息")
    expect(demo.pc.get_by_label("成立批准文号")).to_have_value("藏财会〔2016〕5号")
    demo.press(demo.pc, "确认解绑")
    demo.expect_done(2)
    expect(demo.pc.get_by_role("img", name="二维码").first).to_be_visible()
    demo.offer("扫一扫")
    page.get_by_role("button", name=re.compile("电脑上的二维码：54990007")).first.click()
    page.get_by_role("button", name="关注公众号", exact=True).click()
    demo.expect_done(4)
    demo.continue_from_message()
    demo.enter_code_and_password(demo.web)
    demo.expect_done(6)
    assert audit(demo)[0] == "找回密码"
    assert "解绑微信" in audit(demo)


def test_no_phone(demo: DemoPage) -> None:
    """The person is referred to technical support; once a phone is registered the SMS arrives."""
    demo.begin("未绑定手机号")
    page = demo.page
    page.locator("#menu-items").get_by_role("button", name="找回密码").click()
    expect(demo.web.get_by_label("登录账号").first).to_be_visible()
    demo.offer_login(demo.web, "44990005")
    demo.press(demo.web, "下一步")
    refused = "查询到您未绑定手机号，请联系技术支持010-88250337(0338)"
    expect(demo.web.get_by_text(refused).first).to_be_visible()
    demo.expect_done(1)
    demo.offer("登记13800001234")
    demo.expect_done(2)
    expect(page.locator("#audit")).to_contain_text("变更手机号")
    demo.press(demo.web, "下一步")
    demo.press(demo.web, SEND)
    demo.expect_done(3)
    demo.enter_code_and_password(demo.web)
    demo.expect_done(4)


def test_yearly_reset_and_must_change(demo: DemoPage) -> None:
    """On 1 January the default password is valid again, and the login page requires a new one."""
    demo.begin("年度重置")
    page = demo.page
    demo.offer("拨到1月1日")
    demo.expect_done(1)
    expect(page.locator("#now")).to_contain_text("1月1日 00:0")
    expect(page.locator("#audit")).to_contain_text("年度重置")
    sign_in(demo, "填入账号和默认密码")
    expect(demo.pc.get_by_role("heading", name="请先设置新密码")).to_be_visible()
    demo.expect_done(2)
    demo.pc.get_by_role("link", name="设置新密码").click()
    expect(demo.pc.get_by_label("登录账号").first).to_have_value("33990003_cw")
    demo.press(demo.pc, "下一步")
    demo.press(demo.pc, SEND)
    demo.expect_done(3)
    demo.enter_code_and_password(demo.pc)
    demo.expect_done(4)
    demo.pc.get_by_role("link", name="返回登录").click()
    sign_in(demo, "填入账号密码")
    expect(demo.pc.get_by_role("heading", name="登录成功")).to_be_visible()
    demo.expect_done(5)


def test_one_clock_for_the_service_and_the_page(demo: DemoPage) -> None:
    """Five minutes later the code has expired, in the page's countdown and for the service."""
    demo.begin("公众号验证码")
    page = demo.page
    page.locator("#menu-items").get_by_role("button", name="找回密码").click()
    expect(demo.web.get_by_label("登录账号").first).to_be_visible()
    demo.offer_login(demo.web, "65990006")
    demo.press(demo.web, "下一步")
    demo.press(demo.web, SEND)
    demo.expect_done(2)
    demo.offer("填入验证码")
    expect(demo.web.locator("#left")).to_contain_text(re.compile("4分|300秒"))
    page.get_by_role("button", name="+5分钟").click()
    expect(page.locator("#now")).to_contain_text("快5分钟")
    expect(demo.web.locator("#left")).not_to_contain_text(re.compile("4分|300秒"))
    demo.offer("填入新密码")
    demo.press(demo.web, "确认重置")
    expect(demo.web.locator("#code-error")).not_to_be_empty()
    expect(demo.step(3)).not_to_have_class("step done")
    page.get_by_role("button", name="重新开始").click()
    expect(page.locator("#now b")).to_have_count(0)
    expect(page.locator(".step")).to_have_count(0)
    expect(page.locator("#no-audit")).to_be_visible()


@pytest.mark.parametrize("part", ["短信故障", "微信故障"])
def test_a_broken_platform_refuses_until_it_is_mended(demo: DemoPage, part: str) -> None:
    """The code is not sent while the switch is on, and is sent once it is off."""
    by_sms = part == "短信故障"
    demo.begin("首次找回" if by_sms else "公众号验证码")
    page = demo.page
    if by_sms:
        page.get_by_role("button", name="关注公众号", exact=True).click()
    page.locator("#menu-items").get_by_role("button", name="找回密码").click()
    expect(demo.web.get_by_label("登录账号").first).to_be_visible()
    demo.offer_login(demo.web, "11010148" if by_sms else "65990006")
    demo.press(demo.web, "下一步")
    expect(demo.web.get_by_role("button", name=SEND)).to_be_visible()
    switch = page.get_by_role("switch", name=part)
    switch.click()
    expect(switch).to_be_checked()
    demo.press(demo.web, SEND)
    if by_sms:
        expect(demo.web.get_by_text("验证码没有发送成功").first).to_be_visible()
        switch.click()
        expect(switch).not_to_be_checked()
        demo.press(demo.web, SEND)
        demo.expect_done(3)
    else:
        # WeChat cannot push the code, which the person then fetches in the account's menu.
        demo.open_app("chat")
        expect(page.locator("#chat-list .card")).to_have_count(0)
        page.locator("#menu-items").get_by_role("button", name="获取验证码").click()
        expect(page.locator("#chat-list .bubble").last.locator(".digits")).to_be_visible()
        switch.click()
        expect(switch).not_to_be_checked()


def test_accounts_are_tapped_in(demo: DemoPage) -> None:
    """A login of the list is filled in where a login is entered, on the PC or on the phone."""
    page = demo.page
    page.get_by_role("tab", name="演示账号").click()
    page.get_by_role("button", name=re.compile("^15990011_cw")).click()
    expect(demo.pc.get_by_label("登录账号")).to_have_value("15990011_cw")
    demo.open_app("web")
    expect(demo.web.get_by_label("登录账号").first).to_be_visible()
    page.get_by_role("button", name=re.compile("^32990002 ?13")).click()
    expect(demo.web.get_by_label("登录账号").first).to_have_value("32990002")
    page.locator("#people").get_by_text("贾财务").click()
    demo.open_app("sms")
    expect(page.locator("#sms-list")).to_have_text("还没有短信")


@LOOKS
def test_the_page_fits_and_is_accessible(
    browser: Browser, local_stack: str, axe: str, scheme: Any, width: int, height: int
) -> None:
    """Nothing overflows, and axe-core finds nothing in any part; a picture of each is kept."""
    faults: list[str] = []
    demo = open_demo(
        browser, local_stack, faults, {"width": width, "height": height}, color_scheme=scheme
    )
    page = demo.page

    def look(name: str) -> None:
        page.wait_for_timeout(50)
        appearance.picture(page, f"demo-{width}-{scheme}-{name}")
        assert demo.overhang() <= 0, name
        assert appearance.barriers(page, axe, scheme, frames=False) == [], name

    def view(label: str) -> None:
        if width < 900:
            page.get_by_role("navigation", name="切换画面").get_by_text(label).click()

    for scene in SCENES:
        view("导览")
        page.get_by_role("button", name=re.compile(f"^{scene.title}")).click()
        expect(page.locator(".scene[aria-pressed=true] b")).to_have_text(scene.title)
        expect(page.locator(".step")).to_have_count(len(scene.steps))
        look(f"scene-{scene.name}")
    view("手机")
    for name in ("sms", "chat", "scan", "web"):
        demo.open_app(name)
        look(name)
    if width < 900:
        view("电脑")
        look("pc")
        view("记录")
    look("audit")
    page.get_by_role("tab", name="演示账号").click()
    look("firms")
    assert [fault for fault in faults if not fault.startswith(EXPECTED)] == []
    page.context.close()


@LOOKS
def test_the_login_page_fits_and_is_accessible(
    browser: Browser, local_stack: str, axe: str, scheme: Any, width: int, height: int
) -> None:
    """The form, a wrong password, a default password and success; 忘记密码 leads to the service."""
    size: Any = {"width": width, "height": height}
    context = browser.new_context(locale="zh-CN", viewport=size, color_scheme=scheme)
    page = context.new_page()

    def look(name: str) -> None:
        appearance.picture(page, f"login-{width}-{scheme}-{name}")
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert appearance.barriers(page, axe, scheme, frames=False) == [], name

    def sign_in(login: str, password: str) -> None:
        page.goto(f"{local_stack}/_login")
        page.get_by_label("登录账号").fill(login)
        page.get_by_label("密码", exact=True).fill(password)
        page.get_by_role("button", name="登录").click()

    page.goto(f"{local_stack}/_login")
    look("form")
    sign_in("32990002", NEW_PASSWORD)
    expect(page.get_by_role("alert")).to_have_text("登录账号或密码不正确。")
    expect(page.get_by_label("登录账号")).to_have_value("32990002")
    look("wrong")
    sign_in("32990002_cw", "0254321")
    expect(page.get_by_role("heading", name="请先设置新密码")).to_be_visible()
    look("must-change")
    sign_in("32990002", "Demo-2026-yangli")
    expect(page.get_by_role("heading", name="登录成功")).to_be_visible()
    look("signed-in")
    page.get_by_role("link", name="退出登录").click()
    expect(page.get_by_label("登录账号")).to_have_value("32990002")
    page.get_by_role("link", name="忘记密码").click()
    expect(page.get_by_role("heading", name="找回密码")).to_be_visible()
    assert page.url == f"{local_stack}/"
    context.close()
