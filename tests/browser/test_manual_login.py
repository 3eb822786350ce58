"""The manual's sentences about the login page (figure 10) and what surrounds it, in a real browser.

Each test's docstring is the sentence that it shows. They have a local stack of their own, since the
yearly reset moves its clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visits
from tests.browser.stack import LIGHT, Firm, LocalStack, made_up, running
from tests.browser.visit import PASSWORD, PC, PHONE, Device, Visit
from tests.support.waiting import wait_until

OPENING = "Kaihu-Mima-2026"
DEFAULT = "010123X"
"""Beijing's area code, and the last four of the head's ID."""

FIRMS = [replace(firm, opening_password=OPENING) for firm in made_up(9)[1:]]

SIZES = pytest.mark.parametrize("device", [PHONE, PC], ids=["375x812", "1280x800"])


@pytest.fixture(scope="module")
def local_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A local stack with eight firms, whose main logins have an opening password."""
    with running(tmp_path_factory.mktemp("stack"), FIRMS, module=LIGHT) as local_stack:
        yield local_stack


@pytest.fixture(scope="module")
def _own_firms() -> Iterator[Firm]:
    return iter(FIRMS)


@pytest.fixture
def firm(_own_firms: Iterator[Firm]) -> Firm:
    """A firm of this test alone."""
    return next(_own_firms)


def sign_in(visit: Visit, login: str, password: str) -> None:
    """Sign in at the login page."""
    visit.open("/_login")
    visit.field("登录账号").fill(login)
    visit.field("密码").fill(password)
    visit.button("登录").click()


# 一、概述


@SIZES
def test_the_main_login_has_the_opening_password(
    visits: Visits, local_stack: LocalStack, device: Device
) -> None:
    """登录账号为会计师事务所编号时登录密码为会计师事务所入会申请时自行设置的开户密码。"""
    visit = visits(device)
    sign_in(visit, FIRMS[0].firm_no, OPENING)
    expect(visit.heading("登录成功")).to_be_visible()
    sign_in(visit, FIRMS[0].firm_no, f"{OPENING}x")
    expect(visit.page.get_by_role("alert")).to_be_visible()


@SIZES
def test_the_account_is_found_by_its_name_or_its_qr_code(
    visits: Visits, local_stack: LocalStack, firm: Firm, device: Device
) -> None:
    """用户可通过微信搜索公众号“中国注册会计师协会行业管理系统”或者扫描下方二维码关注公众号。"""
    visit = visits(device)
    visit.open()
    visit.name_login(firm.firm_no)
    dialog = visit.page.get_by_role("dialog")
    expect(dialog).to_contain_text("中国注册会计师协会行业管理系统")
    if device.is_phone:
        expect(dialog).to_contain_text("打开微信，搜索并关注公众号")
    qr = dialog.get_by_role("img", name="公众号二维码")
    assert qr.evaluate("image => image.naturalWidth") > 0
    page = visits(PHONE, wechat=True)
    page.come_as(firm)
    page.open(local_stack.follow_by_qr(firm.number))
    expect(dialog.get_by_role("listitem").filter(has_text="已关注")).to_have_class("past")


# 二、2.电脑端找回


@SIZES
def test_the_login_page_leads_to_the_recovery_and_back(
    visits: Visits, local_stack: LocalStack, firm: Firm, device: Device
) -> None:
    """访问行业管理系统点击登录页面【忘记密码】按钮进行操作。……提示重置成功即可。"""
    local_stack.bind(firm)
    visit = visits(device)
    visit.open("/_login")
    visit.page.get_by_role("link", name="忘记密码").click()
    expect(visit.heading("找回密码")).to_be_visible()
    expect(visit.page.get_by_role("radio", name="会计师事务所", exact=True)).to_be_checked()
    visit.name_login(firm.firm_no)
    visit.page.locator("#send").click()
    expect(visit.page.locator("#left")).to_contain_text("分")
    visit.confirm(local_stack.wechat_code(firm.number))
    visit.expect_done(firm.firm_no)
    visit.page.get_by_role("link", name="返回登录").click()
    expect(visit.field("登录账号")).to_have_value(firm.firm_no)
    visit.field("密码").fill(PASSWORD)
    visit.button("登录").click()
    expect(visit.heading("登录成功")).to_be_visible()
    sign_in(visit, firm.firm_no, OPENING)
    expect(visit.page.get_by_role("alert")).to_be_visible()


@SIZES
def test_phone_and_pc_recover_alike(
    visits: Visits, local_stack: LocalStack, firm: Firm, device: Device
) -> None:
    """会计师事务所用户可以通过手机端或电脑端进行找回密码操作。"""
    local_stack.bind(firm)
    visit = visits(device, wechat=device.is_phone)
    visit.come_as(firm)
    visit.open("/wechat/enter" if device.is_phone else "/")
    visit.name_login(firm.firm_no)
    visit.button(visit.send_words).click()
    expect(visit.page.locator("#left")).to_contain_text("分")
    visit.confirm(local_stack.wechat_code(firm.number))
    visit.expect_done(firm.firm_no)


# 一、概述: last, since it moves the clock.


def test_the_finance_login_is_reset_every_year(
    visits: Visits, local_stack: LocalStack, firm: Firm
) -> None:
    """登录账号为会计师事务所编号+_cw时，默认密码由系统每年财务上报时进行重置。"""
    login = f"{firm.firm_no}_cw"
    local_stack.recover(firm, PASSWORD, login)
    visit = visits(PC)
    sign_in(visit, login, PASSWORD)
    expect(visit.heading("登录成功")).to_be_visible()
    local_stack.act("new-year")
    wait_until(lambda: local_stack.must_change(login))
    sign_in(visit, login, PASSWORD)
    expect(visit.page.get_by_role("alert")).to_be_visible()
    for device in (PHONE, PC):
        visit = visits(device)
        sign_in(visit, login, DEFAULT)
        expect(visit.heading("请先设置新密码")).to_be_visible()
        visit.page.get_by_role("link", name="设置新密码").click()
        expect(visit.field("登录账号")).to_have_value(login)
        expect(visit.page).to_have_url(re.compile("/$|login="))
