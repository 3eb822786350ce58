"""Where the ordinary way ends: coming back to a code, other devices, and what follows success."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Route, expect

from tests.browser.conftest import Visits
from tests.browser.stack import Firm, LocalStack
from tests.browser.test_refusals import answering
from tests.browser.visit import PC, PHONE, Device, begun

QR = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'/%3E"


@pytest.mark.parametrize("path", ["/wechat/enter", "/wechat/enter?login={}"], ids=["menu", "link"])
def test_reading_the_code_does_not_lose_the_place(
    visits: Visits, local_stack: LocalStack, firm: Firm, path: str
) -> None:
    """The page was closed; the menu and a message's link lead straight to the code and its time."""
    begun(visits, firm).get_code()
    visit = visits(PHONE, wechat=True)
    visit.come_as(firm)
    visit.open(path.format(firm.firm_no))
    expect(visit.heading("手机号验证")).to_be_visible()
    expect(visit.page.locator("#whom")).to_have_text(firm.firm_no)
    expect(visit.page.locator("#sent-line")).to_have_text(
        re.compile(r"^验证码已发送，剩余4分\d\d秒$")
    )
    expect(visit.send).to_have_text(re.compile("后可重发"))
    visit.look("sent-before")
    visit.confirm(local_stack.sms_code(firm.number))
    visit.expect_done(firm.firm_no)


@pytest.mark.parametrize("kept", [True, False], ids=["replaced", "expired"])
def test_a_code_that_was_replaced_leaves_its_successor(
    visits: Visits, firm: Firm, kept: bool
) -> None:
    """The newer code's time goes on; that of an expired or used one ends."""
    visit = begun(visits, firm)
    visit.get_code()
    reason, detail = ("replaced", "验证码已更换。") if kept else ("expired", "验证码已过期。")
    problem = answering(410, code="code-expired", reason=reason, detail=detail)
    visit.page.route("**/recovery/password", problem)
    visit.confirm("123456")
    expect(visit.fault("code")).to_have_text(detail)
    if kept:
        expect(visit.page.locator("#left")).to_contain_text("剩余")
    else:
        expect(visit.page.locator("#sent-line")).to_have_text("")


def test_a_pc_shows_each_step_of_the_phone(visits: Visits, firm: Firm) -> None:
    """已扫码、已关注、已获取验证码、重置成功: one after the other, within two seconds each."""
    visit = visits(PC)
    visit.open()
    visit.name_login(firm.firm_no)
    steps = visit.page.get_by_role("list", name="手机上的进度").get_by_role("listitem")
    expect(steps).to_have_count(4)
    expect(visit.page.locator("#progress .past")).to_have_count(0)
    state = ["scanned"]

    def answer(route: Route) -> None:
        route.fulfill(json={"login": firm.firm_no, "method": "follow", "state": state[0]})

    visit.page.route("**/recovery", answer)
    for count, (name, told) in enumerate(
        {"scanned": "已扫码", "followed": "已关注", "code_sent": "已获取验证码"}.items(), 1
    ):
        state[0] = name
        expect(visit.page.locator("#follow-state")).to_contain_text(told, timeout=5_000)
        expect(visit.page.locator("#progress .past")).to_have_count(count)
        visit.look(f"follow-{name}")
    state[0] = "done"
    visit.expect_done(firm.firm_no)


def test_the_logins_of_this_wechat_are_tapped(visits: Visits, firm: Firm) -> None:
    """One tap on a login leads to its verification."""
    visit = visits(PHONE, wechat=True)
    logins = [
        {"login": firm.firm_no, "name": "示例联合会计师事务所（特殊普通合伙）"},
        {"login": f"{firm.firm_no}_cw", "name": None},
    ]
    visit.page.route("**/recovery/logins", lambda route: route.fulfill(json={"logins": logins}))
    visit.enter(firm)
    expect(visit.heading("我的账号")).to_be_visible()
    visit.look("logins")
    visit.page.get_by_role("button", name=f"{firm.firm_no}_cw").click()
    expect(visit.heading("手机号验证")).to_be_visible()
    expect(visit.page.locator("#whom")).to_have_text(f"{firm.firm_no}_cw")


def test_the_bound_logins_are_listed(visits: Visits, local_stack: LocalStack, firm: Firm) -> None:
    """By the service: the bound login with the firm's name, and the firm's other one without."""
    local_stack.bind(firm)
    visit = visits(PHONE, wechat=True)
    visit.enter(firm)
    listed = visit.page.locator("#logins button")
    expect(listed).to_have_count(2)
    expect(listed.first).to_contain_text(f"示例{firm.firm_no}会计师事务所")
    expect(listed.last).not_to_contain_text("示例")
    listed.first.click()
    expect(visit.heading("公众号验证")).to_be_visible()


def test_outside_wechat_no_login_is_listed(visits: Visits, device: Device) -> None:
    """The page does not even request them."""
    visit = visits(device)
    requested: list[str] = []
    visit.page.on("request", lambda request: requested.append(request.url))
    visit.open()
    expect(visit.button("下一步")).to_be_visible()
    expect(visit.page.locator("#mine")).to_be_hidden()
    assert not [url for url in requested if url.endswith("/logins")]


def test_success_closes_wechat_s_window(
    visits: Visits, local_stack: LocalStack, firm: Firm
) -> None:
    """By the bridge that WeChat offers to pages."""
    visit = begun(visits, firm)
    visit.get_code()
    visit.confirm(local_stack.sms_code(firm.number))
    visit.expect_done(firm.firm_no)
    expect(visit.page.get_by_role("link", name="返回登录")).to_be_hidden()
    visit.page.evaluate("window.WeixinJSBridge = { call: (name) => (window.called = name) }")
    visit.button("返回").click()
    assert visit.page.evaluate("window.called") == "closeWindow"


def test_success_leads_to_the_firm_s_other_login(
    visits: Visits, local_stack: LocalStack, firm: Firm
) -> None:
    """In one tap, from the main login to the finance login and back."""
    local_stack.follow(firm.number)
    visit = begun(visits, firm)
    visit.get_code()
    visit.confirm(local_stack.sms_code(firm.number))
    visit.expect_done(firm.firm_no)
    visit.button(f"找回另一个账号 {firm.firm_no}_cw").click()
    expect(visit.heading("手机号验证")).to_be_visible()
    expect(visit.page.locator("#whom")).to_have_text(f"{firm.firm_no}_cw")
    expect(visit.field("新密码")).to_have_value("")


def test_the_firm_s_name_is_shown_once_the_code_was_right(
    visits: Visits, local_stack: LocalStack, firm: Firm
) -> None:
    """Not before, where anybody could read it."""
    visit = begun(visits, firm)
    visit.get_code()
    name = f"示例{firm.firm_no}会计师事务所"
    assert name not in visit.page.content()
    visit.confirm(local_stack.sms_code(firm.number))
    expect(visit.page.locator("#done-firm")).to_have_text(name)


def test_who_does_not_follow_sees_the_account_s_qr_code(visits: Visits, firm: Firm) -> None:
    """And what following brings."""
    visit = begun(visits, firm)
    visit.get_code()
    result = {"login": firm.firm_no, "wechat_bound": False, "qr": QR}
    visit.page.route("**/recovery/password", lambda route: route.fulfill(json=result))
    visit.confirm("123456")
    visit.expect_done(firm.firm_no)
    expect(visit.page.get_by_role("img", name="公众号二维码")).to_be_visible()
    expect(visit.page.locator("#unbound")).to_contain_text("关注后")
    expect(visit.page.locator("#bound")).to_be_hidden()
    visit.look("done-unbound")


def test_a_finance_login_names_the_firm_too(
    visits: Visits, local_stack: LocalStack, firm: Firm
) -> None:
    """People enter the login in the field of the firm's number: it is the same firm."""
    local_stack.bind(firm)
    visit = visits(PC)
    visit.open()
    visit.name_login(firm.firm_no)
    visit.button("解绑").click()
    visit.fill_details(firm, 会计师事务所编号=f" {firm.firm_no}_CW ")
    visit.button("确认解绑").click()
    expect(visit.heading("扫码关注")).to_be_visible()


def test_the_message_of_a_lost_network_goes_with_its_return(visits: Visits, firm: Firm) -> None:
    """Also where the browser did not notice the loss: the service responds again."""
    visit = visits(PHONE, wechat=True)
    visit.enter(firm)
    visit.page.route("**/health", lambda route: route.abort())
    visit.page.route("**/recovery", lambda route: route.abort())
    visit.name_login(firm.firm_no)
    expect(visit.alarm).to_contain_text("网络连接失败")
    visit.page.unroute("**/health")
    expect(visit.alarm).to_be_hidden()
    visit.page.unroute("**/recovery")
    visit.button("下一步").click()
    expect(visit.heading("手机号验证")).to_be_visible()


def test_a_lost_script_is_loaded_again(visits: Visits, firm: Firm) -> None:
    """The further screens did not arrive: the page says so, and the same button loads them."""
    visit = visits(PHONE, wechat=True)
    visit.page.route("**/assets/screens.*", lambda route: route.abort())
    visit.enter(firm)
    visit.name_login(firm.firm_no)
    expect(visit.alarm).to_contain_text("网络连接失败")
    visit.page.unroute("**/assets/screens.*")
    visit.button("下一步").click()
    expect(visit.heading("手机号验证")).to_be_visible()


def test_an_error_has_one_ring(visits: Visits) -> None:
    """The red border of a field with the focus is not inside a green one."""
    visit = visits(PHONE)
    visit.open()
    visit.name_login("")
    login = visit.field("登录账号")
    expect(login).to_be_focused()
    border, outline = login.evaluate(
        "field => [getComputedStyle(field).borderColor, getComputedStyle(field).outlineColor]"
    )
    assert border == outline


def test_a_word_is_not_broken(visits: Visits, local_stack: LocalStack, firm: Firm) -> None:
    """登录密码 stays on one line, on the narrowest phone too."""
    visit = visits(PHONE, wechat=True, viewport={"width": 320, "height": 700})
    visit.enter(firm)
    visit.name_login(firm.firm_no)
    visit.get_code()
    visit.confirm(local_stack.sms_code(firm.number))
    visit.expect_done(firm.firm_no)
    word = visit.page.locator("#done .keep").first
    expect(word).to_have_text("登录密码")
    assert word.evaluate("word => word.getClientRects().length") == 1
    visit.look("done-320")
