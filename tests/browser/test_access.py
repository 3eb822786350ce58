"""Accessibility: keyboard, large text, window widths, touch targets, no JavaScript."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visits
from tests.browser.stack import Firm, LocalStack
from tests.browser.visit import PASSWORD, PC, PHONE, Device, Visit, begun

SUPPORT = "010-88250337/0338"

# Every screen that has something to press or to fill in, in one page: what is hidden is shown.
ALL_AT_ONCE = """() => {
  for (const element of document.querySelectorAll("main [hidden], dialog [hidden]")) {
    // For password managers alone: nobody ever sees it.
    element.hidden = element.name === "username";
  }
  document.querySelector("details").open = true;
  for (const error of document.querySelectorAll(".error")) error.textContent = "请填写此项。";
  document.querySelector("dialog").setAttribute("open", "");
  document.querySelector("dialog").style.position = "static";
}"""

BEYOND = """() => [...document.querySelectorAll("body *")].filter((element) => {
  if (!element.checkVisibility() || element.closest(".hidden-text")) return false;
  const { left, right, width } = element.getBoundingClientRect();
  return width > 0 && (left < -0.5 || right > innerWidth + 0.5);
}).map((element) => element.id || element.className || element.tagName)"""

CLIPPED = """() => [...document.querySelectorAll("button, a.primary, label, legend, p, h1, h2, li")]
  .filter((element) => element.checkVisibility() && !element.closest(".hidden-text")
    && (element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).overflow !== "visible"
      || element.scrollHeight > element.clientHeight + 2 && element.tagName === "BUTTON"))
  .map((element) => element.id || element.textContent)"""

SMALL = """(least) => [...document.querySelectorAll("button, input, a.primary, label.cell, summary")]
  .filter((element) => element.checkVisibility() && element.type !== "radio")
  .filter((element) => {
    const { width, height } = element.getBoundingClientRect();
    return width < least || height < least;
  })
  .map((element) => element.id || element.textContent)"""


def tab_to(page: Page, target: str, *, most: int = 25) -> None:
    """Press Tab until the target has the focus, and assert that it is visible."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("(target) => document.activeElement.matches(target)", target):
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", f"{target} does not show that it has the focus"
            return
    raise AssertionError(f"{target} cannot be reached with the Tab key")


def type_login(visit: Visit, login: str) -> None:
    """Enter the login by keyboard."""
    tab_to(visit.page, "#login")
    visit.page.keyboard.type(login)
    visit.page.keyboard.press("Enter")


def test_sms_by_keyboard_alone(visits: Visits, local_stack: LocalStack, firm: Firm) -> None:
    """From the first key to 返回 without a pointer; Enter submits the form with the focus."""
    visit = visits(PHONE, wechat=True)
    visit.enter(firm)
    type_login(visit, firm.firm_no)
    expect(visit.heading("手机号验证")).to_be_focused()
    tab_to(visit.page, "#password")
    visit.page.keyboard.type(PASSWORD)
    tab_to(visit.page, "#reveal")
    visit.page.keyboard.press("Space")
    expect(visit.field("新密码")).to_have_attribute("type", "text")
    tab_to(visit.page, "#send")
    visit.page.keyboard.press("Enter")
    expect(visit.field("验证码")).to_be_focused()
    visit.page.keyboard.type(local_stack.sms_code(firm.number))
    visit.page.keyboard.press("Enter")
    expect(visit.heading("重置成功")).to_be_focused()
    tab_to(visit.page, "#close")


def test_the_official_account_by_keyboard_alone(
    visits: Visits, local_stack: LocalStack, firm: Firm
) -> None:
    """On a PC: the code, then the password, then Enter."""
    local_stack.bind(firm)
    visit = visits(PC)
    visit.open()
    type_login(visit, firm.firm_no)
    expect(visit.heading("公众号验证")).to_be_focused()
    tab_to(visit.page, "#send")
    visit.page.keyboard.press("Enter")
    expect(visit.field("验证码")).to_be_focused()
    visit.page.keyboard.type(local_stack.wechat_code(firm.number))
    tab_to(visit.page, "#password")
    visit.page.keyboard.type(PASSWORD)
    visit.page.keyboard.press("Enter")
    expect(visit.heading("重置成功")).to_be_focused()


def test_unbinding_and_the_qr_code_by_keyboard_alone(
    visits: Visits, local_stack: LocalStack, firm: Firm
) -> None:
    """Into unbinding, back, in again, through the form, and out of the dialog with Escape."""
    local_stack.bind(firm)
    visit = visits(PC)
    visit.open()
    type_login(visit, firm.firm_no)
    expect(visit.heading("公众号验证")).to_be_focused()
    tab_to(visit.page, "#unbind")
    visit.page.keyboard.press("Enter")
    tab_to(visit.page, "#keep")
    visit.page.keyboard.press("Enter")
    expect(visit.heading("公众号验证")).to_be_focused()
    tab_to(visit.page, "#unbind")
    visit.page.keyboard.press("Enter")
    tab_to(visit.page, "#approval_no")
    visit.page.keyboard.type(firm.approval_no)
    tab_to(visit.page, "#head_name")
    visit.page.keyboard.type(firm.head_name)
    visit.page.keyboard.press("Enter")
    expect(visit.heading("扫码关注")).to_be_focused()
    for _ in range(4):
        # Nothing behind the dialog can be reached while it is open.
        visit.page.keyboard.press("Tab")
        assert visit.page.evaluate(
            "document.activeElement === document.body "
            "|| document.querySelector('dialog').contains(document.activeElement)"
        )
    visit.page.keyboard.press("Escape")
    expect(visit.page.get_by_role("dialog")).to_be_hidden()
    expect(visit.field("登录账号")).to_have_value(firm.firm_no)


def test_the_user_type_by_keyboard_alone(visits: Visits, device: Device) -> None:
    """The other types unfold; arrow keys choose; the firm's option restores its field."""
    visit = visits(device)
    visit.open()
    tab_to(visit.page, "summary")
    visit.page.keyboard.press("Enter")
    visit.page.keyboard.press("Shift+Tab")
    visit.page.keyboard.press("ArrowDown")
    expect(visit.page.locator("#elsewhere")).to_be_visible()
    visit.page.keyboard.press("ArrowUp")
    expect(visit.field("登录账号")).to_be_visible()


@pytest.mark.parametrize("width", [320, 375, 414, 640, 768, 1024, 1280, 1920])
def test_no_width_breaks_the_page(visits: Visits, firm: Firm, width: int) -> None:
    """Nothing overflows or is cut off, with every part of the page shown at once."""
    visit = visits(PC, viewport={"width": width, "height": 800})
    visit.open()
    expect(visit.button("下一步")).to_be_visible()
    visit.page.evaluate(ALL_AT_ONCE)
    assert visit.page.evaluate(BEYOND) == []
    assert visit.page.evaluate(CLIPPED) == []
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [320, 375])
def test_text_of_twice_the_size_breaks_nothing(visits: Visits, width: int) -> None:
    """At 200 %, even on the narrowest phone, all text is there and nothing overflows."""
    visit = visits(PHONE, viewport={"width": width, "height": 812})
    visit.open()
    expect(visit.button("下一步")).to_be_visible()
    visit.page.evaluate(ALL_AT_ONCE)
    before = visit.page.locator("#account label").first.evaluate(
        "label => label.getBoundingClientRect().height"
    )
    visit.page.evaluate("document.documentElement.style.fontSize = '200%'")
    after = visit.page.locator("#account label").first.evaluate(
        "label => label.getBoundingClientRect().height"
    )
    assert after > before, "the text does not grow with the reader's setting"
    assert visit.page.evaluate(BEYOND) == []
    assert visit.page.evaluate(CLIPPED) == []
    visit.look(f"large-text-{width}")


def test_zooming_is_not_forbidden(visits: Visits) -> None:
    """The viewport sets no limits."""
    visit = visits(PHONE)
    visit.open()
    content = visit.page.locator("meta[name=viewport]").get_attribute("content") or ""
    assert "user-scalable" not in content
    assert "maximum-scale" not in content


def test_everything_is_large_enough_for_a_finger(visits: Visits, device: Device) -> None:
    """44 px for all controls, 48 px for the main button, 16 px type in fields."""
    visit = visits(device)
    visit.open()
    expect(visit.button("下一步")).to_be_visible()
    visit.page.evaluate(ALL_AT_ONCE)
    assert visit.page.evaluate(SMALL, 44) == []
    heights = visit.page.locator(".primary").evaluate_all(
        "buttons => buttons.map((button) => button.getBoundingClientRect().height)"
    )
    assert min(heights) >= 48
    sizes = visit.page.locator("input").evaluate_all(
        "inputs => inputs.map((input) => parseFloat(getComputedStyle(input).fontSize))"
    )
    # Below 16 px, iOS zooms into the field.
    radios = visit.page.get_by_role("radio").count()
    assert radios == 4
    assert min(sizes[radios:]) >= 16
    fixed = visit.page.evaluate(
        "[...document.querySelectorAll('main *')].filter((element) => "
        "['fixed', 'sticky'].includes(getComputedStyle(element).position)).length"
    )
    assert fixed == 0


def test_reduced_motion_has_no_animation(visits: Visits) -> None:
    """No transition runs either."""
    visit = visits(PHONE, reduced_motion="reduce")
    visit.open()
    expect(visit.button("下一步")).to_be_visible()
    assert (
        visit.page.evaluate(
            "document.getAnimations().filter((a) => a.effect.getComputedTiming().duration > 0).length"
        )
        == 0
    )


def test_without_javascript_the_page_says_what_to_do(visits: Visits, device: Device) -> None:
    """It shows the support's number and what to switch on, and no form."""
    visit = visits(device, java_script_enabled=False)
    visit.open()
    told = visit.page.locator("noscript p")
    expect(told).to_contain_text("JavaScript")
    expect(visit.page.get_by_role("link", name=SUPPORT)).to_be_visible()
    expect(visit.page.get_by_role("button")).to_have_count(0)
    visit.picture("no-javascript")


def test_a_missing_script_is_reported(visits: Visits) -> None:
    """The page itself shows the message."""
    visit = visits(PHONE)
    visit.page.route("**/assets/page.*.js", lambda route: route.abort())
    visit.page.clock.install()
    visit.open()
    late = visit.page.locator("#late")
    # The style sheet alone brings it up, after some seconds that no test should wait for.
    late.evaluate("note => note.getAnimations().forEach((animation) => animation.finish())")
    expect(late).to_be_visible()
    expect(late).to_contain_text(SUPPORT)


def test_changes_are_announced(visits: Visits, firm: Firm) -> None:
    """By the focused heading and the title for screens, by a live region for messages."""
    visit = begun(visits, firm)
    expect(visit.heading("手机号验证")).to_be_focused()
    expect(visit.page).to_have_title("手机号验证 - 中国注册会计师行业管理系统")
    assert visit.page.locator("#sent").get_attribute("role") == "status"
    assert visit.page.locator("#live").get_attribute("role") == "status"
    assert visit.page.locator("#alarm").get_attribute("role") == "alert"
    # The time left changes each second, and must not be read out each second.
    assert visit.page.locator("#left").evaluate("left => left.closest('[role=status]')") is None


def test_axe_finds_what_is_broken(visits: Visits) -> None:
    """The check can fail: a field without its label is reported."""
    visit = visits(PHONE)
    visit.open()
    assert visit.barriers() == []
    visit.page.evaluate("document.querySelector('label[for=login]').remove()")
    visit.page.evaluate("document.querySelector('#login').removeAttribute('placeholder')")
    assert any(barrier.startswith("label") for barrier in visit.barriers())
