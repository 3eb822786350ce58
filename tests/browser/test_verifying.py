"""The screen of the new password and the code: rules, counters, input."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import Visits
from tests.browser.stack import Firm, LocalStack
from tests.browser.visit import PASSWORD, PHONE, begun


def wrong_code(right: str) -> str:
    """Return a code other than this one."""
    return f"{(int(right) + 1) % 1_000_000:06d}"


def test_a_weak_password_is_refused_with_every_reason(visits: Visits, firm: Firm) -> None:
    """The page checks its own rules at once; the service reports the others."""
    visit = begun(visits, firm)
    visit.get_code()
    visit.confirm("123456", "kurz")
    expect(visit.fault("password")).to_contain_text("8至64位")
    expect(visit.fault("password")).to_contain_text("至少三种")
    assert visit.focused() == "password"
    visit.confirm("123456", f"Aa{firm.firm_no}!")
    expect(visit.fault("password")).to_contain_text("会计师事务所编号")
    visit.confirm("123456", "P@ssw0rd2026")
    expect(visit.fault("password")).to_contain_text("密码过于常见")
    assert visit.focused() == "password"
    expect(visit.field("验证码")).to_have_value("123456")
    visit.look("weak-password")


def test_rules_tick_off_while_typing(visits: Visits, firm: Firm) -> None:
    """Visibly and to a screen reader."""
    visit = begun(visits, firm)
    rules = visit.page.locator("#rules li")
    kept = visit.page.locator("#rules .met")
    password = visit.field("新密码")
    expect(kept).to_have_count(0)
    expect(rules).to_have_count(5)
    password.press_sequentially("Ab1")
    expect(kept).to_have_count(3)
    expect(rules.nth(1)).to_contain_text("已满足")
    password.press_sequentially("cdefg")
    expect(kept).to_have_count(4)
    # The rule that the service alone checks is listed and never ticked.
    expect(rules.nth(4)).to_contain_text("容易被猜到")
    expect(rules.nth(4)).not_to_have_class("met")
    password.press("Backspace")
    expect(kept).to_have_count(3)
    password.press_sequentially("g ")
    expect(kept).to_have_count(3)


def test_a_password_can_be_seen_and_pasted(visits: Visits, firm: Firm) -> None:
    """Show and hide; a paste works, as password managers need."""
    visit = begun(visits, firm)
    password = visit.field("新密码")
    assert password.get_attribute("type") == "password"
    visit.page.get_by_role("button", name="显示密码").click()
    assert password.get_attribute("type") == "text"
    visit.page.get_by_role("button", name="隐藏密码").click()
    assert password.get_attribute("type") == "password"
    assert password.get_attribute("autocomplete") == "new-password"
    passed = password.evaluate(
        "field => field.dispatchEvent(new ClipboardEvent('paste', {cancelable: true, bubbles: true}))"
    )
    assert passed, "something stops the paste"
    code = visit.field("验证码")
    assert code.get_attribute("autocomplete") == "one-time-code"
    assert code.get_attribute("inputmode") == "numeric"


def test_a_whole_message_may_be_pasted_as_the_code(
    visits: Visits, local_stack: LocalStack, firm: Firm
) -> None:
    """The six digits are extracted from the SMS's text."""
    visit = begun(visits, firm)
    visit.get_code()
    text = local_stack.phone(firm.number)["sms"][-1]["text"]
    visit.field("验证码").fill(text)
    expect(visit.field("验证码")).to_have_value(local_stack.sms_code(firm.number))


def test_wrong_codes_are_counted_down_to_the_end(
    visits: Visits, local_stack: LocalStack, firm: Firm
) -> None:
    """Each wrong code shows the remaining attempts; after the last, only a new code helps."""
    visit = begun(visits, firm)
    visit.get_code()
    wrong = wrong_code(local_stack.sms_code(firm.number))
    for left in (4, 3, 2, 1):
        visit.confirm(wrong)
        expect(visit.fault("code")).to_contain_text(f"还可以再试{left}次")
        assert visit.focused() == "code"
        expect(visit.field("新密码")).to_have_value(PASSWORD)
    visit.look("code-wrong")
    visit.confirm(wrong)
    expect(visit.fault("code")).to_contain_text("这个验证码不能再试了，请重新获取验证码")
    expect(visit.fault("code")).not_to_contain_text("0次")
    expect(visit.field("验证码")).to_have_value("")
    expect(visit.page.locator("#sent-line")).to_have_text("")
    visit.look("code-spent")
    visit.confirm(local_stack.sms_code(firm.number))
    expect(visit.fault("code")).to_contain_text("错误次数过多")
    expect(visit.fault("code")).to_contain_text("重新获取验证码")
    expect(visit.page.locator("#done")).to_be_hidden()
    visit.look("too-many-attempts")


def test_a_code_before_any_send_is_refused(visits: Visits, firm: Firm) -> None:
    """Without a code the page names the button; the service refuses a made-up one."""
    visit = begun(visits, firm)
    visit.confirm("")
    expect(visit.fault("code")).to_contain_text("请先点击“获取验证码”")
    visit.confirm("12345")
    expect(visit.fault("code")).to_contain_text("6位")
    visit.confirm("123456")
    expect(visit.fault("code")).to_contain_text("重新获取验证码")
    expect(visit.field("新密码")).to_have_value(PASSWORD)


def test_the_countdown_ends_with_a_button(visits: Visits, firm: Firm) -> None:
    """The button returns after `resend_in` seconds, and no earlier."""
    visit = visits(PHONE, wechat=True)
    visit.page.clock.install()
    visit.enter(firm)
    visit.name_login(firm.firm_no)
    visit.get_code()
    visit.page.clock.run_for(58_000)
    expect(visit.send).to_have_attribute("aria-disabled", "true")
    visit.page.clock.run_for(3_000)
    expect(visit.button("获取验证码")).not_to_have_attribute("aria-disabled", "true")
    visit.page.clock.run_for(240_000)
    expect(visit.page.locator("#sent")).to_contain_text("已过期")
    visit.look("code-expired")
