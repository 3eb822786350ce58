"""不是我操作: the page that a notice's link leads to, and the recovery page for a frozen login."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visits
from tests.browser.stack import Firm, LocalStack
from tests.browser.visit import PASSWORD, PHONE, Device, Visit, begun

SUPPORT = "010-88250337/0338"


def expect_frozen(visit: Visit, firm: Firm) -> None:
    """Assert that the screen names the login and the telephone, and that nothing counts down."""
    expect(visit.heading("账号已冻结")).to_be_visible()
    screen = visit.page.locator("#frozen")
    expect(screen).to_contain_text(firm.firm_no)
    expect(screen).to_contain_text(f"如需恢复请联系技术支持{SUPPORT}")
    expect(screen.get_by_role("link", name="拨打技术支持")).to_have_attribute(
        "href", "tel:010-88250337"
    )
    expect(visit.page.locator("[aria-disabled=true]:visible")).to_have_count(0)
    expect(visit.page.locator("#live")).to_contain_text("该账号为安全起见已冻结")
    assert visit.focused() == "title"


def test_the_link_of_a_notice_freezes_the_login(
    visits: Visits, local_stack: LocalStack, firm: Firm, device: Device
) -> None:
    """One address and one button, without a script; nobody can then recover the login."""
    local_stack.bind(firm)
    visit = visits(device, wechat=device.is_phone, java_script_enabled=False)
    visit.come_as(firm)
    visit.open(local_stack.freeze_link(firm.number))
    expect(visit.heading("冻结账号")).to_be_visible()
    expect(visit.page.get_by_text(f"确定冻结账号 {firm.firm_no} 吗？")).to_be_visible()
    visit.picture("freeze-ask-light")
    visit.button("冻结账号").click()
    expect(visit.heading("账号已冻结")).to_be_visible()
    expect(visit.page.locator("main")).to_contain_text(SUPPORT)
    visit.picture("freeze-done-light")
    # Once more, as from the chat or by a reload.
    visit.open(local_stack.freeze_link(firm.number))
    visit.button("冻结账号").click()
    expect(visit.heading("账号已冻结")).to_be_visible()
    page = visits(PHONE, wechat=True)
    page.enter(firm)
    page.name_login(firm.firm_no)
    expect_frozen(page, firm)


def test_the_pages_of_the_link_have_no_barriers(
    visits: Visits, local_stack: LocalStack, firm: Firm, device: Device
) -> None:
    """Asked, done, refused: in light and dark, by axe."""
    local_stack.bind(firm)
    visit = visits(device)
    visit.open(local_stack.freeze_link(firm.number))
    visit.look("freeze-ask")
    visit.button("冻结账号").press("Enter")
    expect(visit.heading("账号已冻结")).to_be_visible()
    visit.look("freeze-done")
    visit.open("/freeze?token=x")
    expect(visit.heading("链接已失效")).to_be_visible()
    expect(visit.page.locator("main")).to_contain_text(SUPPORT)
    visit.look("freeze-invalid")


def test_an_unknown_address_has_a_page(visits: Visits, device: Device) -> None:
    """At any depth, with the way back to the recovery."""
    visit = visits(device)
    for path in ("/no-such-page", "/a/b/c", "/support/x"):
        visit.open(path)
        expect(visit.heading("页面不存在")).to_be_visible()
    visit.look("not-found")
    visit.page.get_by_role("link", name="返回找回密码").click()
    expect(visit.field("登录账号")).to_be_visible()


def test_a_frozen_login_is_explained_at_the_start(
    visits: Visits, local_stack: LocalStack, firm: Firm, device: Device
) -> None:
    """On a screen of its own, from which the way leads back to the first one."""
    local_stack.bind(firm)
    local_stack.freeze(firm.number)
    visit = visits(device)
    visit.open()
    visit.name_login(firm.firm_no)
    expect_frozen(visit, firm)
    visit.look("frozen")
    visit.button("返回").click()
    expect(visit.heading("找回密码")).to_be_visible()
    expect(visit.field("登录账号")).to_have_value(firm.firm_no)
    # The firm's other login is not frozen.
    visit.button("财务上报账号（_cw）").click()
    visit.button("下一步").click()
    expect(visit.page.get_by_role("dialog")).to_contain_text(f"{firm.firm_no}_cw")


def at_verification(visits: Visits, firm: Firm) -> Visit:
    """Come to the screen of code and password of a bound login, which is frozen meanwhile."""
    visit = visits(PHONE, wechat=True)
    visit.local_stack.bind(firm)
    visit.enter(firm)
    visit.name_login(firm.firm_no)
    expect(visit.heading("公众号验证")).to_be_visible()
    return visit


def test_a_login_that_is_frozen_before_the_code(visits: Visits, firm: Firm) -> None:
    """The button for the code leads to the same screen."""
    visit = at_verification(visits, firm)
    visit.local_stack.freeze(firm.number)
    visit.button("获取验证码").click()
    expect_frozen(visit, firm)


def test_a_login_that_is_frozen_before_the_end(visits: Visits, firm: Firm) -> None:
    """A right code is of no use, and the page does not advise another one."""
    visit = at_verification(visits, firm)
    visit.get_code()
    code = visit.local_stack.wechat_code(firm.number)
    visit.local_stack.freeze(firm.number)
    visit.confirm(code)
    expect_frozen(visit, firm)
    visit.page.go_back()
    expect(visit.field("登录账号")).to_be_visible()


def test_a_login_that_is_frozen_before_a_reload(visits: Visits, firm: Firm) -> None:
    """The page that comes back finds it out by itself."""
    visit = at_verification(visits, firm)
    visit.get_code()
    visit.local_stack.freeze(firm.number)
    visit.page.reload()
    expect_frozen(visit, firm)
    visit.page.reload()
    expect(visit.field("登录账号")).to_be_visible()


def test_a_login_that_is_frozen_during_an_unbinding(visits: Visits, firm: Firm) -> None:
    """The details are of no use either."""
    visit = at_verification(visits, firm)
    visit.button("解绑公众号").click()
    visit.fill_details(firm)
    visit.local_stack.freeze(firm.number)
    visit.button("确认解绑").click()
    expect_frozen(visit, firm)


@pytest.mark.parametrize("path", ["recovery/code", "recovery/password"])
def test_the_answer_frozen_of_any_step_has_the_screen(
    visits: Visits, firm: Firm, path: str
) -> None:
    """Should a step answer `frozen` itself."""
    visit = begun(visits, firm)
    detail = f"该账号为安全起见已冻结，如需恢复请联系技术支持{SUPPORT}。"
    problem = {"code": "frozen", "title": "账号已冻结", "detail": detail, "status": 403}
    visit.page.route(f"**/{path}", lambda route: route.fulfill(status=403, json=problem))
    if path.endswith("code"):
        visit.send.click()
    else:
        visit.get_code()
        visit.confirm(visit.local_stack.sms_code(firm.number), PASSWORD)
    expect_frozen(visit, firm)


def test_the_other_login_may_be_frozen(visits: Visits, local_stack: LocalStack, firm: Firm) -> None:
    """Which the last screen leads to."""
    local_stack.freeze_at_the_desk(firm.firm_no)
    visit = visits(PHONE, wechat=True)
    visit.enter(firm)
    visit.name_login(f"{firm.firm_no}_cw")
    visit.get_code()
    visit.confirm(local_stack.sms_code(firm.number))
    visit.expect_done(f"{firm.firm_no}_cw")
    visit.button(f"找回另一个账号 {firm.firm_no}").click()
    expect_frozen(visit, firm)
