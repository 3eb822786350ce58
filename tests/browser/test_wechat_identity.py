"""The openid of the page inside WeChat: its cookie ends, is refused, or is that of a snapshot page."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Request, Route, expect

from tests.browser.conftest import Visits
from tests.browser.stack import Firm, LocalStack
from tests.browser.visit import PASSWORD, PHONE, Visit


def round_trips(visit: Visit) -> list[str]:
    """Return a list that grows by the address of each beginning of an OAuth round trip."""
    begun: list[str] = []

    def note(request: Request) -> None:
        address = urlsplit(request.url)
        if address.path == "/wechat/enter" and "code=" not in address.query:
            begun.append(request.url)

    visit.page.on("request", note)
    return begun


def refuse_cookies(visit: Visit) -> None:
    """Let the browser refuse cookies from now on, and forget the openid that it has.

    Without the cookie of the state the round trip ends as that of a foreign state.
    """

    def without_cookies(route: Route) -> None:
        route.fulfill(status=302, headers={"Location": "/?entry=recovery-expired"})

    visit.context.clear_cookies(name="wechat")
    visit.page.route("**/wechat/enter", without_cookies)


def test_an_identity_that_ends_on_the_open_page_is_renewed(
    visits: Visits, local_stack: LocalStack, firm: Firm
) -> None:
    """After two hours the page identifies the person again, and goes on with the typed login."""
    local_stack.follow(firm.number)
    visit = visits(PHONE, wechat=True)
    visit.enter(firm)
    begun = round_trips(visit)
    for login in (firm.firm_no, f"{firm.firm_no}_cw"):
        visit.context.clear_cookies(name="wechat")
        with visit.page.expect_event("load"):
            visit.name_login(login)
        expect(visit.heading("手机号验证")).to_be_visible()
        expect(visit.page.locator("#whom")).to_have_text(login)
        expect(visit.page.get_by_role("dialog")).to_be_hidden()
        assert "?" not in visit.page.url
        if login == firm.firm_no:
            visit.page.locator("#change").click()
    assert len(begun) == 2
    visit.get_code()
    visit.confirm(local_stack.sms_code(firm.number))
    visit.expect_done(f"{firm.firm_no}_cw")
    expect(visit.page.locator("#bound")).to_be_visible()


def test_an_identity_that_ends_with_the_recovery_is_renewed(
    visits: Visits, local_stack: LocalStack, firm: Firm
) -> None:
    """The page begins an expired recovery again, which needs the identity as the first one did."""
    visit = visits(PHONE, wechat=True)
    visit.enter(firm)
    visit.name_login(firm.firm_no)
    expect(visit.heading("手机号验证")).to_be_visible()
    begun = round_trips(visit)
    visit.context.clear_cookies(name="wechat")
    visit.page.route(
        "**/recovery/code",
        lambda route: route.fulfill(
            status=401,
            headers={"Content-Type": "application/problem+json"},
            body='{"code": "recovery-expired", "detail": "本次找回密码操作已失效。"}',
        ),
        times=1,
    )
    with visit.page.expect_event("load"):
        visit.button("获取验证码").click()
    expect(visit.heading("手机号验证")).to_be_visible()
    visit.get_code()
    visit.confirm(local_stack.sms_code(firm.number), PASSWORD)
    visit.expect_done(firm.firm_no)
    assert len(begun) == 1


def test_a_refused_cookie_leads_to_the_account_once(visits: Visits, firm: Firm) -> None:
    """It worked before: one round trip, the login is kept, and then the way of other browsers."""
    visit = visits(PHONE, wechat=True)
    visit.enter(firm)
    begun = round_trips(visit)
    refuse_cookies(visit)
    visit.name_login(firm.firm_no)
    expect(visit.page.locator("body[data-inside='0']")).to_be_attached()
    expect(visit.field("登录账号")).to_have_value(firm.firm_no)
    visit.button("下一步").click()
    expect(visit.heading("请在微信中打开")).to_be_visible()
    visit.page.reload()
    expect(visit.heading("请在微信中打开")).to_be_visible()
    assert len(begun) == 1


def test_a_browser_without_cookies_makes_one_round_trip(
    visits: Visits, local_stack: LocalStack, firm: Firm
) -> None:
    """However often the page is loaded: it is the page of other browsers then."""
    visit = visits(PHONE, wechat=True)
    visit.context.add_cookies([{"name": "_phone", "value": firm.number, "url": local_stack.url}])
    begun = round_trips(visit)
    refuse_cookies(visit)
    for _ in range(3):
        visit.open(f"/?login={firm.firm_no}")
        expect(visit.field("登录账号")).to_have_value(firm.firm_no)
    visit.button("下一步").click()
    expect(visit.heading("请在微信中打开")).to_be_visible()
    assert len(begun) == 1


def test_a_page_that_stays_unidentified_makes_one_round_trip(visits: Visits, firm: Firm) -> None:
    """The page has the openid, but not the start of a recovery: no loop, but the QR code."""
    visit = visits(PHONE, wechat=True)
    visit.enter(firm)
    begun = round_trips(visit)
    facts = {
        "token": "t",
        "login": firm.firm_no,
        "method": "follow",
        "destination": "",
        "expires_in": 1800,
        "qr": "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'/%3E",
    }
    visit.page.route("**/recovery", lambda route: route.fulfill(status=201, json=facts))
    visit.name_login(firm.firm_no)
    expect(visit.page.get_by_role("dialog")).to_be_visible()
    assert len(begun) == 1


def test_a_link_with_a_login_waits_for_the_person(
    visits: Visits, local_stack: LocalStack, firm: Firm
) -> None:
    """The round trip keeps the login, and a recovery is begun by the person alone."""
    visit = visits(PHONE, wechat=True)
    visit.context.add_cookies([{"name": "_phone", "value": firm.number, "url": local_stack.url}])
    visit.open(f"/?login={firm.firm_no}")
    expect(visit.page.locator("body[data-inside='1']")).to_be_attached()
    expect(visit.field("登录账号")).to_have_value(firm.firm_no)
    expect(visit.heading("找回密码")).to_be_visible()
    visit.button("下一步").click()
    expect(visit.heading("手机号验证")).to_be_visible()


@pytest.mark.parametrize("path", ["/", "/wechat/enter"])
def test_a_snapshot_page_explains_how_to_go_on(
    visits: Visits, local_stack: LocalStack, firm: Firm, path: str
) -> None:
    """WeChat shows a virtual account: the page is that of other browsers, and says what to tap."""
    visit = visits(PHONE, wechat=True)
    url = local_stack.url
    visit.context.add_cookies(
        [
            {"name": "_phone", "value": firm.number, "url": url},
            {"name": "_snapshot", "value": "1", "url": url},
        ]
    )
    begun = round_trips(visit)
    visit.open(path)
    expect(visit.page.get_by_text("使用完整服务")).to_be_visible()
    assert len(begun) <= 2
    visit.look("snapshot")
    assert "wechat" not in {cookie.get("name") for cookie in visit.context.cookies()}
    visit.name_login(firm.firm_no)
    expect(visit.heading("请在微信中打开")).to_be_visible()
    # The full page shares neither cookies nor storage with the snapshot.
    visit.context.clear_cookies(name="_snapshot")
    visit.page.evaluate("sessionStorage.clear()")
    visit.open("/?entry=snapshot")
    expect(visit.page.locator("body[data-inside='1']")).to_be_attached()
    expect(visit.page.get_by_text("使用完整服务")).to_be_hidden()
    visit.name_login(firm.firm_no)
    expect(visit.heading("手机号验证")).to_be_visible()
