"""Reloads, back, double taps and lost connections: the page keeps its step and its input."""

from __future__ import annotations

import json

from playwright.sync_api import Request, Route, expect

from tests.browser.conftest import Visits
from tests.browser.stack import Firm, LocalStack
from tests.browser.visit import PASSWORD, PC, PHONE, begun


def test_a_reload_keeps_the_step_and_no_secret(
    visits: Visits, local_stack: LocalStack, firm: Firm
) -> None:
    """The token and the step stay in this tab; neither password nor code is stored."""
    visit = begun(visits, firm)
    visit.get_code()
    code = local_stack.sms_code(firm.number)
    visit.field("新密码").fill(PASSWORD)
    visit.field("验证码").fill(code)
    kept = visit.page.evaluate(
        "JSON.stringify([Object.entries(sessionStorage), Object.entries(localStorage), "
        "history.state, location.href, document.cookie])"
    )
    assert PASSWORD not in kept
    assert code not in kept
    visit.page.reload()
    expect(visit.heading("手机号验证")).to_be_visible()
    expect(visit.send).to_have_attribute("aria-disabled", "true")
    visit.confirm(code)
    visit.expect_done(firm.firm_no)
    assert (
        json.loads(visit.page.evaluate("sessionStorage.recovery"))["recovery"].get("token") is None
    )


def test_back_and_forward_walk_the_steps(
    visits: Visits, local_stack: LocalStack, firm: Firm
) -> None:
    """The browser's buttons lead through the screens, and the input is kept."""
    local_stack.bind(firm)
    visit = visits(PHONE, wechat=True)
    visit.enter(firm)
    visit.name_login(firm.firm_no)
    visit.field("新密码").fill(PASSWORD)
    visit.button("解绑公众号").click()
    expect(visit.button("确认解绑")).to_be_visible()
    visit.field("主任会计师/首席合伙人").fill("某某")
    visit.page.go_back()
    expect(visit.heading("公众号验证")).to_be_visible()
    expect(visit.field("新密码")).to_have_value(PASSWORD)
    visit.page.go_back()
    expect(visit.field("登录账号")).to_have_value(firm.firm_no)
    visit.page.go_forward()
    expect(visit.heading("公众号验证")).to_be_visible()
    visit.page.go_forward()
    expect(visit.field("主任会计师/首席合伙人")).to_have_value("某某")
    assert "?" not in visit.page.url


def test_back_after_success_begins_anew(
    visits: Visits, local_stack: LocalStack, firm: Firm
) -> None:
    """The old password is not on the page."""
    visit = begun(visits, firm)
    visit.get_code()
    visit.confirm(local_stack.sms_code(firm.number))
    visit.expect_done(firm.firm_no)
    visit.page.go_back()
    expect(visit.heading("找回密码")).to_be_visible()
    visit.page.go_forward()
    expect(visit.heading("找回密码")).to_be_visible()
    assert visit.page.evaluate("document.querySelector('#password').value") == ""


def test_a_double_tap_sends_once(visits: Visits, local_stack: LocalStack, firm: Firm) -> None:
    """Two taps on each button send one request each."""
    calls: list[str] = []

    def count(request: Request) -> None:
        if request.method == "POST":
            calls.append(request.url.removeprefix(local_stack.url))

    visit = visits(PHONE, wechat=True)
    visit.page.on("request", count)
    visit.enter(firm)
    visit.field("登录账号").fill(firm.firm_no)
    visit.button("下一步").dblclick()
    expect(visit.heading("手机号验证")).to_be_visible()
    visit.button("获取验证码").dblclick()
    expect(visit.page.locator("#left")).to_contain_text("分")
    visit.field("新密码").fill(PASSWORD)
    visit.field("验证码").fill(local_stack.sms_code(firm.number))
    visit.button("确认重置").dblclick()
    visit.expect_done(firm.firm_no)
    assert calls == ["/recovery", "/recovery/code", "/recovery/password"]


def test_losing_the_network_loses_nothing(
    visits: Visits, local_stack: LocalStack, firm: Firm
) -> None:
    """Offline and failed requests are reported, and the same button continues afterwards."""
    visit = begun(visits, firm)
    visit.get_code()
    visit.context.set_offline(True)
    expect(visit.page.locator("#offline")).to_be_visible()
    visit.confirm(local_stack.sms_code(firm.number))
    expect(visit.alarm).to_contain_text("网络连接失败")
    expect(visit.field("新密码")).to_have_value(PASSWORD)
    visit.look("offline")
    visit.context.set_offline(False)
    expect(visit.page.locator("#offline")).to_be_hidden()
    expect(visit.alarm).to_be_hidden()
    visit.button("确认重置").click()
    visit.expect_done(firm.firm_no)


def test_a_lost_response_may_be_requested_again(
    visits: Visits, local_stack: LocalStack, firm: Firm
) -> None:
    """The password was set: the second press shows success, not an error."""
    visit = begun(visits, firm)
    visit.get_code()

    def lost(route: Route) -> None:
        route.fetch()
        route.abort()

    visit.page.route("**/recovery/password", lost, times=1)
    visit.confirm(local_stack.sms_code(firm.number))
    expect(visit.alarm).to_contain_text("网络连接失败")
    visit.button("确认重置").click()
    visit.expect_done(firm.firm_no)


def test_a_slow_network_is_reported(visits: Visits, firm: Firm) -> None:
    """First on the button; after some seconds the page explains the wait."""
    visit = visits(PHONE, wechat=True)
    visit.page.clock.install()
    visit.enter(firm)

    def never(_: Route) -> None:
        """Neither respond nor fail."""

    visit.page.route("**/recovery", never)
    visit.field("登录账号").fill(firm.firm_no)
    with visit.page.expect_request("**/recovery"):
        visit.button("下一步").click()
    visit.page.clock.run_for(1_000)
    expect(visit.button("请稍候…")).to_have_attribute("aria-busy", "true")
    visit.page.clock.run_for(5_000)
    expect(visit.page.locator("#slow")).to_contain_text("网络较慢")
    visit.look("slow")
    # A phone may lose a call for good: the page gives up by itself.
    visit.page.clock.run_for(16_000)
    expect(visit.alarm).to_contain_text("网络连接失败")
    visit.page.unroute("**/recovery")
    visit.button("下一步").click()
    visit.page.clock.run_for(1_000)
    expect(visit.heading("手机号验证")).to_be_visible()


def test_an_expired_recovery_begins_anew(
    visits: Visits, local_stack: LocalStack, firm: Firm
) -> None:
    """After half an hour the page starts again by itself, with login and password kept."""
    visit = begun(visits, firm)
    visit.field("新密码").fill(PASSWORD)
    visit.page.route(
        "**/recovery/code",
        lambda route: route.fulfill(
            status=401,
            headers={"Content-Type": "application/problem+json"},
            body=json.dumps({"code": "recovery-expired", "detail": "本次找回密码操作已失效。"}),
        ),
        times=1,
    )
    visit.button("获取验证码").click()
    expect(visit.alarm).to_contain_text("已为您重新开始")
    expect(visit.heading("手机号验证")).to_be_visible()
    expect(visit.field("新密码")).to_have_value(PASSWORD)
    visit.look("begun-anew")
    visit.get_code()
    visit.confirm(local_stack.sms_code(firm.number))
    visit.expect_done(firm.firm_no)


def test_a_forged_token_is_noticed_on_reload(visits: Visits, firm: Firm) -> None:
    """The stored token is checked after a reload; an invalid one leads to a new start."""
    visit = begun(visits, firm)
    visit.page.evaluate(
        """() => {
          const kept = JSON.parse(sessionStorage.recovery);
          kept.recovery.token = "forged";
          sessionStorage.recovery = JSON.stringify(kept);
        }"""
    )
    visit.page.reload()
    expect(visit.alarm).to_contain_text("已为您重新开始")
    visit.get_code()


def test_leaving_the_last_screen_by_the_address_bar_ends_it(
    visits: Visits, local_stack: LocalStack, firm: Firm
) -> None:
    """A reload keeps it; another visit, and the way back to it, begin anew."""
    visit = begun(visits, firm)
    visit.get_code()
    visit.confirm(local_stack.sms_code(firm.number))
    visit.expect_done(firm.firm_no)
    visit.page.reload()
    visit.expect_done(firm.firm_no)
    visit.open("/robots.txt")
    visit.page.go_back()
    expect(visit.heading("找回密码")).to_be_visible()
    visit.open("/")
    expect(visit.heading("找回密码")).to_be_visible()
    expect(visit.page.locator("#done")).to_be_hidden()


def test_success_is_found_on_a_reload(visits: Visits, local_stack: LocalStack, firm: Firm) -> None:
    """The response that has set the password was lost: the reloaded page shows the completion."""
    visit = begun(visits, firm)
    visit.get_code()

    def lost(route: Route) -> None:
        route.fetch()
        route.abort()

    visit.page.route("**/recovery/password", lost, times=1)
    visit.confirm(local_stack.sms_code(firm.number))
    expect(visit.alarm).to_contain_text("网络连接失败")
    visit.page.reload()
    visit.expect_done(firm.firm_no)


def test_a_recovery_elsewhere_ends_this_one(
    visits: Visits, local_stack: LocalStack, firm: Firm
) -> None:
    """What another page did is not shown; this one starts again by itself."""
    visit = begun(visits, firm)
    local_stack.recover(firm)
    visit.page.reload()
    expect(visit.alarm).to_contain_text("已为您重新开始")


def test_the_qr_code_is_polled_until_it_expires(visits: Visits, firm: Firm) -> None:
    """The PC polls every two seconds."""
    visit = visits(PC)
    visit.page.clock.install()
    visit.open()
    visit.name_login(firm.firm_no)
    expect(visit.heading("扫码关注")).to_be_visible()
    for _ in range(3):
        with visit.page.expect_response("**/recovery"):
            visit.page.clock.run_for(2_000)
    visit.page.clock.fast_forward(31 * 60_000)
    visit.page.clock.run_for(40_000)
    expect(visit.page.locator("#follow-state")).to_contain_text("已过期")
    visit.look("follow-over")
    visit.button("刷新二维码").click()
    visit.page.clock.run_for(1_000)
    expect(visit.button("刷新二维码")).to_be_hidden()
    expect(visit.page.locator("#follow-state")).not_to_contain_text("已过期")


def test_the_qr_dialog_closes_by_every_way(visits: Visits, firm: Firm) -> None:
    """The button, Escape and the browser's back lead to the login, which is kept."""
    visit = visits(PC)
    visit.open()
    for leave in (
        lambda: visit.button("返回").click(),
        lambda: visit.page.keyboard.press("Escape"),
        visit.page.go_back,
    ):
        visit.name_login(firm.firm_no)
        expect(visit.page.get_by_role("dialog")).to_be_visible()
        leave()
        expect(visit.page.get_by_role("dialog")).to_be_hidden()
        expect(visit.field("登录账号")).to_have_value(firm.firm_no)


def test_wechat_without_a_visitor_is_sent_through_oauth(
    visits: Visits, local_stack: LocalStack, firm: Firm
) -> None:
    """A link opened in WeChat makes the redirect once, and then offers SMS."""
    visit = visits(PHONE, wechat=True)
    visit.context.add_cookies([{"name": "_phone", "value": firm.number, "url": local_stack.url}])
    visit.open("/")
    expect(visit.field("登录账号")).to_be_visible()
    visit.name_login(firm.firm_no)
    expect(visit.heading("手机号验证")).to_be_visible()


def test_another_login_has_an_empty_screen(
    visits: Visits, local_stack: LocalStack, firm: Firm
) -> None:
    """更换 leads back; the input for the first login is gone."""
    visit = begun(visits, firm)
    visit.field("新密码").fill(PASSWORD)
    visit.button("更换").click()
    visit.name_login(firm.firm_no + "_cw")
    expect(visit.heading("手机号验证")).to_be_visible()
    expect(visit.page.locator("#whom")).to_have_text(firm.firm_no + "_cw")
    expect(visit.field("新密码")).to_have_value("")
