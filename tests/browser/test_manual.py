"""The manual in a real browser at both sizes; each test's docstring is the sentence that it shows."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visits
from tests.browser.stack import Firm, LocalStack, stranger_to
from tests.browser.visit import IN_WECHAT, PC, PHONE, Device, Visit

SIZES = [PHONE, Device("phone", {**PC.options, "user_agent": IN_WECHAT})]
"""WeChat's own browser: a phone's, and the window that WeChat opens on a PC."""

SUPPORT = "010-88250337/0338"
OTHER_PASSWORD = "Encore-une-fois-8"

InWechat = Callable[[Firm], Visit]


@pytest.fixture(params=SIZES, ids=["375x812", "1280x800"])
def in_wechat(request: pytest.FixtureRequest, visits: Visits) -> InWechat:
    """A factory of visits inside the WeChat of a firm's phone, at both sizes."""

    def begin(firm: Firm) -> Visit:
        visit = visits(request.param, wechat=True)
        visit.enter(firm)
        return visit

    return begin


@pytest.fixture(params=[(375, 812), (1280, 800)], ids=["375x812", "1280x800"])
def on_pc(request: pytest.FixtureRequest, visits: Visits) -> Visit:
    """A visit with a PC's browser, in a narrow and in a wide window."""
    width, height = request.param
    visit = visits(PC, viewport={"width": width, "height": height})
    visit.open()
    return visit


def reset_by_sms(visit: Visit, firm: Firm) -> None:
    """Recover the firm's main login, which is not bound, from the first screen to the last."""
    visit.name_login(firm.firm_no)
    visit.get_code()
    visit.confirm(visit.local_stack.sms_code(firm.number))
    visit.expect_done(firm.firm_no)


def unbind(visit: Visit, firm: Firm, button: str) -> None:
    """Remove the binding by the firm's details, from the screen of the code."""
    visit.button(button).click()
    visit.fill_details(firm)
    visit.button("确认解绑").click()


# 一、概述


def test_the_page_is_for_lost_passwords_of_firms(in_wechat: InWechat, firm: Firm) -> None:
    """本手册主要介绍……会计师事务所登录账号密码找回的步骤。"""
    visit = in_wechat(firm)
    expect(visit.heading("找回密码")).to_be_visible()
    expect(visit.page.get_by_text("中国注册会计师行业管理系统").first).to_be_visible()
    steps = visit.page.get_by_role("list", name="步骤").get_by_role("listitem")
    expect(steps).to_have_text(["账号", "验证", "完成"])


def test_each_firm_has_two_logins(in_wechat: InWechat, firm: Firm) -> None:
    """一个为年检、教育等功能账号即会计师事务所编号。一个为财务上报账号即会计师事务所编号+_cw。"""
    visit = in_wechat(firm)
    expect(visit.page.locator("#login-hint")).to_contain_text("年检、教育等功能填会计师事务所编号")
    for login in (firm.firm_no, f"{firm.firm_no}_cw"):
        visit.name_login(login)
        expect(visit.page.locator("#whom")).to_have_text(login)
        visit.button("更换").click()


def test_the_default_password_is_the_area_code_and_the_id_s_end(
    in_wechat: InWechat, firm: Firm
) -> None:
    """重置后的初始密码为会计师事务所所在省会（直辖市）固话区号+主任会计师（分所负责人）身份证号后四位。"""
    visit = in_wechat(firm)
    visit.name_login(f"{firm.firm_no}_cw")
    visit.get_code()
    code = visit.local_stack.sms_code(firm.number)
    # A new password must not contain it: Beijing's area code, and the end of the head's ID.
    visit.confirm(code, "Pekin-010123X-neu")
    expect(visit.fault("password")).to_contain_text("默认密码")
    visit.confirm(code, "Pekin-021123X-neu")
    visit.expect_done(f"{firm.firm_no}_cw")


def test_both_methods_are_offered(in_wechat: InWechat, firm: Firm) -> None:
    """找回密码有手机号短信验证和公众号验证码两种验证方式。"""
    visit = in_wechat(firm)
    visit.local_stack.bind(firm)
    visit.name_login(firm.firm_no)
    expect(visit.heading("公众号验证")).to_be_visible()
    visit.button("更换").click()
    visit.name_login(f"{firm.firm_no}_cw")
    expect(visit.heading("手机号验证")).to_be_visible()


# 二、1.手机端找回


def test_the_menu_leads_to_the_page(in_wechat: InWechat, firm: Firm) -> None:
    """通过微信公众号“找回密码”菜单跳转到找回密码界面。选择要找回登录账号的用户类型，点击【下一步】按钮。"""
    visit = in_wechat(firm)
    expect(visit.page.get_by_text("选择用户类型")).to_be_visible()
    expect(visit.page.get_by_role("radio", name="会计师事务所", exact=True)).to_be_checked()
    visit.field("登录账号").fill(firm.firm_no)
    visit.button("下一步").click()
    expect(visit.heading("手机号验证")).to_be_visible()


def test_a_login_without_a_phone(in_wechat: InWechat, firm_without_phone: Firm, firm: Firm) -> None:
    """系统提示“查询到您未绑定手机号，请联系技术支持010-88250337(0338)”修改密码。"""
    visit = in_wechat(firm)
    visit.name_login(firm_without_phone.firm_no)
    expect(visit.fault("login")).to_have_text(
        "查询到您未绑定手机号，请联系技术支持010-88250337(0338)"
    )


def test_an_unbound_login_is_recovered_by_sms(in_wechat: InWechat, firm: Firm) -> None:
    """未绑定公众号时，默认手机号验证码找回。输入新密码后点击【获取验证码】接收短信验证码并输入，点击【确认重置】。"""
    visit = in_wechat(firm)
    visit.name_login(firm.firm_no)
    expect(visit.heading("手机号验证")).to_be_visible()
    note = visit.page.get_by_text(f"注：如果手机号码有误或收不到验证码请联系{SUPPORT}")
    expect(note).to_be_visible()
    visit.field("新密码").fill(OTHER_PASSWORD)
    visit.get_code()
    visit.field("验证码").fill(visit.local_stack.sms_code(firm.number))
    visit.button("确认重置").click()
    visit.expect_done(firm.firm_no)


def test_success_by_sms_binds_the_wechat(in_wechat: InWechat, firm: Firm) -> None:
    """使用手机号找回过密码成功后会自动将微信绑定，下次找回密码默认使用公众号验证码找回。"""
    visit = in_wechat(firm)
    visit.local_stack.follow(firm.number)
    reset_by_sms(visit, firm)
    expect(visit.heading("已绑定当前微信")).to_be_visible()
    visit.open()
    visit.name_login(firm.firm_no)
    expect(visit.heading("公众号验证")).to_be_visible()


def test_who_does_not_follow_is_not_bound(in_wechat: InWechat, firm: Firm) -> None:
    """自动将微信绑定关注的中国注册会计师协会行业管理系统公众号：没有关注时不绑定。"""
    visit = in_wechat(firm)
    reset_by_sms(visit, firm)
    expect(visit.heading("当前微信没有绑定")).to_be_visible()
    expect(visit.page.locator("#unbound")).to_contain_text("关注后")
    qr = visit.page.get_by_role("img", name="公众号二维码")
    assert qr.evaluate("image => image.naturalWidth") > 0
    expect(visit.page.locator("#bound")).to_be_hidden()


def test_a_former_follower_gets_no_code(in_wechat: InWechat, firm: Firm) -> None:
    """如果取消关注……则不能接收到公众号验证码。"""
    visit = in_wechat(firm)
    visit.local_stack.bind(firm)
    visit.local_stack.act("leave", phone=firm.number)
    visit.name_login(firm.firm_no)
    visit.button("获取验证码").click()
    expect(visit.fault("code")).to_contain_text("已取消关注")


def test_another_wechat_gets_no_code(in_wechat: InWechat, firm: Firm) -> None:
    """使用其他微信重新关注则不能接收到公众号验证码。只能使用初次使用手机号验证码找回密码时微信关注的公众号。"""
    visit = in_wechat(stranger_to(firm))
    visit.local_stack.bind(firm)
    visit.name_login(firm.firm_no)
    visit.button("获取验证码").click()
    told = "验证码已发送到绑定的微信，当前微信收不到"
    expect(visit.page.locator("#sent")).to_contain_text(told)
    expect(
        visit.page.locator("#code-field").get_by_role("button", name="解绑公众号")
    ).to_be_visible()


def test_a_bound_login_is_recovered_by_the_account(in_wechat: InWechat, firm: Firm) -> None:
    """点击【获取验证码】可在公众号接收到验证码，输入验证码及新密码点击【确认重置】即可重置成功。"""
    visit = in_wechat(firm)
    visit.local_stack.bind(firm)
    visit.name_login(firm.firm_no)
    expect(visit.heading("公众号验证")).to_be_visible()
    visit.get_code()
    visit.confirm(visit.local_stack.wechat_code(firm.number), OTHER_PASSWORD)
    visit.expect_done(firm.firm_no)


def test_unbinding_leads_back_to_sms(in_wechat: InWechat, firm: Firm) -> None:
    """点击【解绑公众号】按钮，信息校验成功即可解除绑定。再次找回密码默认手机号验证码找回。"""
    visit = in_wechat(firm)
    visit.local_stack.bind(firm)
    visit.name_login(firm.firm_no)
    unbind(visit, firm, "解绑公众号")
    expect(visit.heading("手机号验证")).to_be_visible()
    expect(visit.page.get_by_text("已解绑公众号，")).to_be_visible()
    visit.button("更换").click()
    visit.button("下一步").click()
    expect(visit.heading("手机号验证")).to_be_visible()


# 二、2.电脑端找回


def test_a_pc_recovers_a_bound_login(on_pc: Visit, firm: Firm) -> None:
    """用户类型选择会计师事务所并输入要找回的账号，点击【下一步】按钮。点击【发送验证码】会自动发送验证码到关注的公众号。"""
    on_pc.local_stack.bind(firm)
    expect(on_pc.page.get_by_role("radio", name="会计师事务所", exact=True)).to_be_checked()
    on_pc.name_login(firm.firm_no)
    on_pc.get_code()
    on_pc.confirm(on_pc.local_stack.wechat_code(firm.number), OTHER_PASSWORD)
    on_pc.expect_done(firm.firm_no)
    leave = on_pc.page.get_by_role("link", name="返回登录")
    expect(leave).to_have_attribute("href", re.compile(rf"\?login={firm.firm_no}$"))


def test_unbinding_on_a_pc(on_pc: Visit, firm: Firm) -> None:
    """接收不到公众号验证码时点击【解绑】按钮……注：再次操作找回密码参考【1手机端找回】。"""
    on_pc.local_stack.bind(firm)
    on_pc.name_login(firm.firm_no)
    unbind(on_pc, firm, "解绑")
    expect(on_pc.heading("扫码关注")).to_be_visible()
    expect(on_pc.page.get_by_role("dialog")).to_contain_text("已解绑公众号")


def test_an_unbound_login_shows_the_qr_code(
    on_pc: Visit, visits: Visits, local_stack: LocalStack, firm: Firm
) -> None:
    """未绑定行业管理系统公众号时扫码关注系统弹出公众号二维码，后续操作参考【1手机端找回】。"""
    on_pc.name_login(firm.firm_no)
    expect(on_pc.page.get_by_role("img", name="公众号二维码")).to_be_visible()
    phone = visits(PHONE, wechat=True)
    phone.come_as(firm)
    phone.open(local_stack.follow_by_qr(firm.number))
    expect(phone.heading("手机号验证")).to_be_visible()
    phone.get_code()
    phone.confirm(local_stack.sms_code(firm.number))
    phone.expect_done(firm.firm_no)
    on_pc.expect_done(firm.firm_no)
