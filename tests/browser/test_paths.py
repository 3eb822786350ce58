"""Every path from the first screen to the last, on a phone and on a PC, with a picture of each screen."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.conftest import Visits
from tests.browser.stack import Firm, LocalStack
from tests.browser.visit import PASSWORD, PC, PHONE, Device

SUPPORT = "010-88250337/0338"


def test_a_password_is_reset_by_sms(visits: Visits, local_stack: LocalStack, firm: Firm) -> None:
    """On a phone inside WeChat: login, new password, code by SMS, done; the follower is bound."""
    local_stack.follow(firm.number)
    visit = visits(PHONE, wechat=True)
    visit.enter(firm)
    expect(visit.page.get_by_role("radio", name="会计师事务所", exact=True)).to_be_checked()
    visit.look("account")
    visit.name_login(firm.firm_no)
    expect(visit.heading("手机号验证")).to_be_visible()
    shown = f"{firm.number[:3]}****{firm.number[-4:]}"
    expect(visit.page.locator("#destination")).to_contain_text(shown)
    expect(
        visit.page.get_by_text(f"注：如果手机号码有误或收不到验证码请联系{SUPPORT}")
    ).to_be_visible()
    expect(visit.button("解绑公众号")).to_be_hidden()
    visit.look("sms")
    visit.field("新密码").fill("kurz")
    visit.look("sms-rules")
    visit.field("新密码").fill(PASSWORD)
    visit.get_code()
    assert visit.focused() == "code"
    expect(visit.page.locator("#sent")).to_contain_text(shown)
    expect(visit.send).to_have_text(re.compile("后可重发"))
    visit.look("sms-sent")
    visit.field("验证码").fill(local_stack.sms_code(firm.number))
    visit.button("确认重置").click()
    visit.expect_done(firm.firm_no)
    expect(visit.heading("已绑定当前微信")).to_be_visible()
    expect(visit.page.locator("#unbound")).to_be_hidden()
    visit.look("done-bound")


def test_a_password_is_reset_by_the_official_account(
    visits: Visits, local_stack: LocalStack, firm: Firm, device: Device
) -> None:
    """With a bound WeChat the code is sent there; there is no SMS and no new binding."""
    local_stack.bind(firm)
    visit = visits(device, wechat=device.is_phone)
    visit.come_as(firm)
    visit.open()
    visit.name_login(firm.firm_no)
    expect(visit.heading("公众号验证")).to_be_visible()
    expect(visit.button(visit.unbind_words)).to_be_visible()
    expect(visit.page.locator("#sms-note")).to_be_hidden()
    visit.look("wechat")
    visit.get_code()
    expect(visit.page.locator("#sent")).to_contain_text("公众号")
    visit.look("wechat-sent")
    visit.confirm(local_stack.wechat_code(firm.number))
    visit.expect_done(firm.firm_no)
    expect(visit.page.locator("#bound")).to_be_hidden()
    visit.look("done")


def test_a_code_is_fetched_in_the_menu_where_none_can_be_pushed(
    visits: Visits, local_stack: LocalStack, firm: Firm, device: Device
) -> None:
    """Without templates the page names the menu item, whose reply has a valid code."""
    local_stack.bind(firm)
    local_stack.act("fail-wechat", errcode=48001, path="/cgi-bin/message/template/send")
    visit = visits(device, wechat=device.is_phone)
    visit.come_as(firm)
    visit.open()
    visit.name_login(firm.firm_no)
    visit.get_code()
    expect(visit.page.locator("#sent")).to_contain_text("点击菜单“获取验证码”")
    visit.look("wechat-pull")
    local_stack.act("tap", phone=firm.number, item="获取验证码")
    visit.confirm(local_stack.wechat_code(firm.number))
    visit.expect_done(firm.firm_no)


def test_unbinding_on_a_phone_leads_to_sms(
    visits: Visits, local_stack: LocalStack, firm: Firm
) -> None:
    """Inside WeChat, the firm's details remove the binding, and the same recovery continues by SMS."""
    local_stack.bind(firm)
    visit = visits(PHONE, wechat=True)
    visit.enter(firm)
    visit.name_login(firm.firm_no)
    visit.button("解绑公众号").click()
    expect(visit.button("确认解绑")).to_be_visible()
    expect(visit.field("会计师事务所编号")).to_have_value(firm.firm_no)
    visit.look("unbinding")
    visit.fill_details(firm, 成立批准文号=firm.approval_no.replace("〔", "[").replace("〕", "]"))
    visit.button("确认解绑").click()
    expect(visit.heading("手机号验证")).to_be_visible()
    expect(visit.page.locator("#live")).to_contain_text("已解绑")
    expect(visit.page.get_by_text("已解绑公众号，")).to_be_visible()
    masked = f"{firm.number[:3]}****{firm.number[-4:]}"
    expect(visit.page.locator("#destination")).to_contain_text(masked)
    expect(visit.fault("code")).to_be_hidden()
    visit.look("unbound")
    # The SMS that bound this phone's WeChat was sent less than a minute ago.
    visit.button("获取验证码").click()
    expect(visit.fault("code")).to_contain_text("秒后再试")
    visit.look("sms-wait")
    visit.button("更换").click()
    expect(visit.field("登录账号")).to_have_value(firm.firm_no)


def test_unbinding_on_a_pc_leads_to_the_qr_code(
    visits: Visits, local_stack: LocalStack, firm: Firm
) -> None:
    """On a PC the QR code follows, without entering the login again."""
    local_stack.bind(firm)
    visit = visits(PC)
    visit.open()
    visit.name_login(firm.firm_no)
    visit.button("解绑").click()
    visit.look("unbinding")
    visit.fill_details(firm)
    visit.button("确认解绑").click()
    expect(visit.heading("扫码关注")).to_be_visible()
    expect(visit.page.get_by_role("img", name="公众号二维码")).to_be_visible()


def test_a_pc_hands_over_to_the_phone(visits: Visits, local_stack: LocalStack, firm: Firm) -> None:
    """The QR code leads the phone to the verification; the PC shows the completion."""
    pc = visits(PC)
    pc.open()
    pc.name_login(firm.firm_no)
    expect(pc.heading("扫码关注")).to_be_visible()
    qr = pc.page.get_by_role("img", name="公众号二维码")
    assert qr.evaluate("image => image.naturalWidth") > 0
    pc.look("follow")
    phone = visits(PHONE, wechat=True)
    phone.come_as(firm)
    phone.open(local_stack.follow_by_qr(firm.number))
    expect(pc.page.locator("#follow-state")).to_contain_text("已关注")
    expect(phone.heading("手机号验证")).to_be_visible()
    expect(phone.page.locator("#whom")).to_have_text(firm.firm_no)
    assert phone.page.url == local_stack.url + "/"
    phone.get_code()
    expect(pc.page.locator("#follow-state")).to_contain_text("已获取验证码")
    pc.look("follow-code-sent")
    phone.confirm(local_stack.sms_code(firm.number))
    phone.expect_done(firm.firm_no)
    pc.expect_done(firm.firm_no)
    expect(pc.page.get_by_role("dialog")).to_be_hidden()
    leave = pc.page.get_by_role("link", name="返回登录")
    address = f"{local_stack.url}/_login?login={firm.firm_no}"
    expect(leave).to_have_attribute("href", address)
    pc.look("done-handed-over")


def test_a_phone_outside_wechat_is_led_into_it(
    visits: Visits, local_stack: LocalStack, firm: Firm
) -> None:
    """A phone cannot scan its own screen: the page explains how to open WeChat and copies the link."""
    visit = visits(PHONE, permissions=["clipboard-read", "clipboard-write"])
    visit.open()
    visit.name_login(firm.firm_no)
    expect(visit.heading("请在微信中打开")).to_be_visible()
    visit.look("open-in-wechat")
    visit.page.get_by_role("button", name=re.compile("复制链接")).click()
    expect(visit.page.locator("#copied")).to_contain_text("已复制")
    assert (
        visit.page.evaluate("navigator.clipboard.readText()") == local_stack.url + "/wechat/enter"
    )


def test_the_finance_login_is_one_tap_away(visits: Visits, firm: Firm, device: Device) -> None:
    """The chip appends `_cw` to the number and removes it again."""
    visit = visits(device)
    visit.open()
    chip = visit.button("财务上报账号（_cw）")
    visit.field("登录账号").fill(firm.firm_no)
    chip.click()
    expect(visit.field("登录账号")).to_have_value(firm.firm_no + "_cw")
    expect(chip).to_have_attribute("aria-pressed", "true")
    chip.click()
    expect(visit.field("登录账号")).to_have_value(firm.firm_no)
    chip.click()
    visit.button("下一步").click()
    expect(visit.page.locator("#follow-title")).to_be_visible()
    assert firm.firm_no + "_cw" in visit.page.locator("#follow").inner_text()


def test_other_users_see_their_contact(visits: Visits, device: Device) -> None:
    """The page names it at once and has no further button."""
    visit = visits(device)
    visit.open()
    radios = visit.page.get_by_role("radio")
    expect(radios).to_have_count(1)
    visit.page.get_by_text("其他用户类型").click()
    expect(radios).to_have_count(4)
    for other in radios.all()[1:]:
        other.check()
        expect(visit.page.locator("#elsewhere")).to_contain_text(SUPPORT)
        expect(visit.button("下一步")).to_be_hidden()
    visit.look("other-user")
    # Folding away restores the firm, so that no choice is out of sight.
    visit.page.get_by_text("其他用户类型").click()
    expect(radios).to_be_checked()
    expect(visit.button("下一步")).to_be_visible()
    expect(visit.page.locator("#elsewhere")).to_be_hidden()


def test_a_login_without_a_phone_sees_the_manual_s_sentence(
    visits: Visits, firm_without_phone: Firm, device: Device
) -> None:
    """It stands beside the field, word for word."""
    visit = visits(device, wechat=device.is_phone)
    visit.open()
    visit.name_login(firm_without_phone.firm_no)
    expect(visit.fault("login")).to_have_text(
        "查询到您未绑定手机号，请联系技术支持010-88250337(0338)"
    )
    assert visit.focused() == "login"
    visit.look("phone-not-bound")
