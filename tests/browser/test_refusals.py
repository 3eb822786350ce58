"""Errors on the page: beside the field, announced, with the input kept."""

from __future__ import annotations

import json
import re
import secrets
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Route, expect

from chalicelib.security.proof_of_work import Proofs
from tests.browser.conftest import Visits
from tests.browser.stack import Firm, LocalStack, stranger_to
from tests.browser.visit import PASSWORD, PC, PHONE, Device, begun


def answering(status: int, headers: dict[str, str] | None = None, **members: Any) -> Any:
    """Return a handler that answers instead of the service."""

    def answer(route: Route) -> None:
        route.fulfill(
            status=status,
            headers={"Content-Type": "application/problem+json", **(headers or {})},
            body=json.dumps(members),
        )

    return answer


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "请输入登录账号"),
        ("1101", "请输入会计师事务所编号"),
        ("11010148cw", "请输入会计师事务所编号"),
        ("99999999", "没有查询到该登录账号"),
    ],
)
def test_an_unknown_login_is_reported_beside_its_field(
    visits: Visits, typed: str, said: str
) -> None:
    """The error is linked to the field, has the focus, and disappears when one types."""
    visit = visits(PHONE)
    visit.open()
    visit.name_login(typed)
    login = visit.field("登录账号")
    expect(visit.fault("login")).to_contain_text(said)
    expect(login).to_be_focused()
    expect(login).to_have_attribute("aria-invalid", "true")
    assert "login-error" in (login.get_attribute("aria-describedby") or "")
    expect(visit.page.locator("#live")).to_contain_text(said)
    expect(login).to_have_value(typed)
    login.press_sequentially("1")
    expect(visit.fault("login")).to_be_hidden()


def test_spellings_of_a_login_are_understood(visits: Visits, firm: Firm) -> None:
    """Full-width digits, spaces and capitals mean the same login."""
    visit = visits(PC)
    visit.open()
    wide = "".join(chr(ord(digit) + 0xFEE0) for digit in firm.firm_no)
    visit.name_login(f" {wide[:4]} {wide[4:]}_CW ")
    expect(visit.page.locator("#follow")).to_contain_text(firm.firm_no + "_cw")


def test_a_limited_sender_sees_the_remaining_time(visits: Visits, firm: Firm) -> None:
    """Where another person has just sent a code to this phone; the button counts down."""
    begun(visits, firm).get_code()
    visit = visits(PHONE, wechat=True)
    visit.enter(stranger_to(firm))
    visit.name_login(firm.firm_no)
    visit.button("获取验证码").click()
    expect(visit.fault("code")).to_contain_text(re.compile(r"请在\d+秒后再试"))
    expect(visit.send).to_have_attribute("aria-disabled", "true")
    first = int(re.sub(r"\D", "", visit.send.inner_text()))
    expect(visit.send).to_contain_text(str(first - 1))


def test_a_second_tab_may_enter_the_code_at_once(
    visits: Visits, local_stack: LocalStack, firm: Firm
) -> None:
    """Its person has just got a code in the first one: that is no error."""
    first, second = begun(visits, firm), begun(visits, firm)
    first.get_code()
    second.button("获取验证码").click()
    expect(second.page.locator("#sent")).to_contain_text("刚刚已发送，可直接输入")
    expect(second.fault("code")).to_be_hidden()
    expect(second.send).to_have_attribute("aria-disabled", "true")
    assert second.focused() == "code"
    second.look("sent-already")
    second.confirm(local_stack.sms_code(firm.number))
    second.expect_done(firm.firm_no)


def test_a_failed_delivery_may_be_repeated_at_once(
    visits: Visits, local_stack: LocalStack, firm: Firm
) -> None:
    """The same button sends the next code without a wait."""
    visit = begun(visits, firm)
    visit.field("新密码").fill(PASSWORD)
    local_stack.act("fail-sms", status=503)
    visit.button("获取验证码").click()
    expect(visit.fault("code")).to_contain_text("没有发送成功")
    expect(visit.field("新密码")).to_have_value(PASSWORD)
    visit.look("delivery-failed")
    visit.get_code()
    expect(visit.fault("code")).to_be_hidden()


def test_a_former_follower_is_offered_to_unbind(
    visits: Visits, local_stack: LocalStack, firm: Firm, device: Device
) -> None:
    """The page explains why no code arrives and has the button that helps."""
    local_stack.bind(firm)
    local_stack.act("leave", phone=firm.number)
    visit = visits(device, wechat=device.is_phone)
    visit.open()
    visit.name_login(firm.firm_no)
    visit.button(visit.send_words).click()
    expect(visit.fault("code")).to_contain_text("已取消关注")
    assert visit.focused() == "unbind"
    visit.look("not-following")
    visit.button(visit.unbind_words).click()
    expect(visit.button("确认解绑")).to_be_visible()


def test_wrong_details_leave_the_binding(
    visits: Visits, local_stack: LocalStack, firm: Firm
) -> None:
    """Which detail is wrong is not shown; the input stays; too many attempts must wait."""
    local_stack.bind(firm)
    visit = visits(PHONE, wechat=True)
    visit.enter(firm)
    visit.name_login(firm.firm_no)
    visit.button("解绑公众号").click()
    visit.button("确认解绑").click()
    expect(visit.fault("approval_no")).to_contain_text("请填写此项")
    expect(visit.fault("head_name")).to_contain_text("请填写此项")
    assert visit.focused() == "approval_no"
    visit.fill_details(firm, 成立批准文号="京财会许可〔1999〕9999号")
    for _ in range(5):
        visit.button("确认解绑").click()
        expect(visit.alarm).to_contain_text("与登记信息不一致")
        expect(visit.button("确认解绑")).to_be_visible()
    expect(visit.field("主任会计师/首席合伙人")).to_have_value(firm.head_name)
    visit.look("details-do-not-match")
    visit.button("确认解绑").click()
    expect(visit.alarm).to_contain_text("操作过于频繁")
    expect(visit.page.locator("#unbinding .primary")).to_have_attribute("aria-disabled", "true")
    visit.look("unbinding-wait")
    visit.button("返回").click()
    expect(visit.heading("公众号验证")).to_be_visible()


def test_an_expired_proof_is_replaced_silently(visits: Visits, firm: Firm) -> None:
    """The page computes another proof of work and continues."""
    visit = visits(PHONE, wechat=True)
    visit.enter(firm)
    starts: list[str] = []

    def first_refused(route: Route) -> None:
        starts.append(route.request.method)
        if len(starts) == 1:
            answering(400, code="proof-invalid", detail="安全校验已失效，请重试。")(route)
        else:
            route.continue_()

    visit.page.route("**/recovery", first_refused)
    visit.name_login(firm.firm_no)
    expect(visit.heading("手机号验证")).to_be_visible()
    assert starts == ["POST", "POST"]
    expect(visit.alarm).to_be_hidden()


OBSERVED = """() => {
  window.texts = [];
  const slow = document.getElementById("slow");
  new MutationObserver(() => window.texts.push(slow.textContent))
    .observe(slow, { childList: true });
}"""


def test_more_work_is_done_silently(visits: Visits, firm: Firm) -> None:
    """Where strangers start a login's recoveries, the page does the work that the service requires."""
    visit = visits(PHONE, wechat=True)
    visit.enter(firm)
    factors: list[list[str]] = []

    def asked(route: Route) -> None:
        factors.append(parse_qs(urlsplit(route.request.url).query)["factor"])
        route.continue_()

    visit.page.route("**/proof?**", asked)
    required = visit.local_stack.crowd(firm.firm_no)
    visit.name_login(firm.firm_no)
    expect(visit.heading("手机号验证")).to_be_visible(timeout=60_000)
    assert factors == [["1"], [f"{required}"]]
    expect(visit.alarm).to_be_hidden()


def test_the_page_shows_how_much_of_the_work_is_done(
    visits: Visits, firm: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In tenths, so that a screen reader does not read without end."""
    monkeypatch.setattr(secrets, "randbelow", lambda bound: bound - 1)
    longest = Proofs([b"k" * 32], lambda: int(time.time()), cost=1).challenge("recovery", None, 2)
    visit = visits(PHONE, wechat=True)
    visit.enter(firm)
    visit.page.evaluate(OBSERVED)
    visit.page.route("**/proof?**factor=2", lambda route: route.fulfill(json=longest))
    refusals: list[dict[str, Any]] = [{"factor": 2}, {}]

    def refused(route: Route) -> None:
        detail = "安全校验已失效，请重试。"
        answering(400, code="proof-invalid", detail=detail, **refusals.pop(0))(route)

    visit.page.route("**/recovery", refused)
    visit.name_login(firm.firm_no)
    expect(visit.alarm).to_contain_text("安全校验已失效")
    texts = [text for text in visit.page.evaluate("window.texts") if "已完成" in text]
    assert texts[-9:] == [f"安全校验已完成{tenth}0%，请不要关闭本页。" for tenth in range(1, 10)]


def test_a_proof_that_is_refused_again_is_reported(visits: Visits, firm: Firm) -> None:
    """There is no third attempt."""
    visit = visits(PHONE, wechat=True)
    visit.enter(firm)
    visit.page.route(
        "**/recovery",
        answering(400, code="proof-invalid", detail="安全校验已失效，请重试。"),
    )
    visit.name_login(firm.firm_no)
    expect(visit.alarm).to_contain_text("安全校验已失效")
    expect(visit.field("登录账号")).to_have_value(firm.firm_no)


@pytest.mark.parametrize("html", [False, True], ids=["problem", "html"])
def test_a_503_is_reported(visits: Visits, firm: Firm, html: bool) -> None:
    """From the service itself or from a proxy; the input is kept."""
    visit = begun(visits, firm)
    visit.get_code()

    def down(route: Route) -> None:
        if html:
            route.fulfill(status=503, content_type="text/html", body="<h1>503</h1>")
        else:
            answering(503, code="unavailable", detail="服务暂时不可用，您的操作没有生效。")(route)

    visit.page.route("**/recovery/password", down)
    visit.confirm("123456")
    expect(visit.alarm).to_contain_text("服务暂时不可用")
    expect(visit.field("新密码")).to_have_value(PASSWORD)
    expect(visit.field("验证码")).to_have_value("123456")
    visit.look("unavailable")


def test_waiting_at_the_start_is_counted_down(visits: Visits, firm: Firm) -> None:
    """The button is disabled until a limited start is possible again."""
    visit = visits(PHONE)
    visit.open()
    visit.page.route(
        "**/recovery",
        answering(
            429,
            {"Retry-After": "90"},
            code="too-many-requests",
            detail="操作过于频繁，请在2分钟后再试。",
            retry_after=90,
        ),
    )
    visit.name_login(firm.firm_no)
    expect(visit.fault("login")).to_contain_text("操作过于频繁")
    button = visit.page.locator("#account .primary")
    expect(button).to_have_text(re.compile(r"1分[23]\d秒|1分\d秒"))
    expect(button).to_have_attribute("aria-disabled", "true")
    visit.look("start-wait")
