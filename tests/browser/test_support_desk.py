"""The support desk's page in a browser: the ten calls, each role's day, and its look."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visits
from tests.browser.desk_page import AGENT, AUDITOR, SUPERVISOR, DeskVisit
from tests.browser.stack import LIGHT, Api, Firm, LocalStack, made_up, running
from tests.browser.visit import PC

NO_PHONE, *OTHERS = made_up(24)

Desks = Callable[..., DeskVisit]


@pytest.fixture(scope="module")
def local_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A local stack of this module."""
    with running(tmp_path_factory.mktemp("desk"), [NO_PHONE, *OTHERS], module=LIGHT) as local_stack:
        yield local_stack


@pytest.fixture(scope="module")
def _firms() -> Iterator[Firm]:
    return iter(OTHERS)


@pytest.fixture
def desks(visits: Visits) -> Desks:
    """A factory of signed-in visits: `desks(AGENT)`."""

    def begin(name: str, place: str = "", **options: Any) -> DeskVisit:
        desk = DeskVisit(visits(PC, **options))
        desk.sign_in(name, place)
        return desk

    return begin


@pytest.fixture
def agent(desks: Desks) -> DeskVisit:
    """The agent, at the search."""
    return desks(AGENT)


def new_number(firm: Firm) -> str:
    """Return a phone that no firm has."""
    return f"139{firm.firm_no}"


def recover_both(local_stack: LocalStack, firm: Firm) -> Firm:
    """Recover both logins in the WeChat of one phone, and return the finance login as a firm."""
    finance = replace(firm, firm_no=f"{firm.firm_no}_cw")
    local_stack.recover(firm)
    # A phone gets one code a minute.
    local_stack.act("move-clock", phone=firm.number, seconds=61)
    local_stack.recover(finance)
    return finance


# The ten calls.


def test_call_1_no_code_came(agent: DeskVisit, local_stack: LocalStack, firm: Firm) -> None:
    """The last send with its gateway and receipt, and what to say."""
    api = Api(local_stack.url, firm.number)
    api.post("recovery/code", {}, api.start(firm.firm_no)["token"])
    agent.open_login(firm.firm_no)
    masked = f"{firm.number[:3]}****{firm.number[-4:]}"
    expect(agent.why).to_contain_text(re.compile(f"最近一次验证码.*{re.escape(masked)}"))
    expect(agent.say).to_contain_text("验证码")
    expect(agent.events.first).to_contain_text("发送验证码")
    assert firm.number not in agent.page.content()


def test_calls_2_and_8_another_phone(
    desks: Desks, agent: DeskVisit, local_stack: LocalStack, firm: Firm
) -> None:
    """Identity, proposal, another person's approval, code, new phone; the import's file and time."""
    agent.page.clock.install()
    agent.open_login(firm.firm_no)
    expect(agent.page.locator("#facts")).to_contain_text(re.compile(r"信息导入.*firms\.csv"))
    agent.page.locator("#phone").fill(new_number(firm))
    agent.page.locator("#reason").fill("换号")
    agent.page.locator("#document").fill("函-1")
    agent.page.locator("#document").press("Enter")
    expect(agent.page.locator("#propose-error")).to_contain_text("核验")
    agent.check_identity(firm, "另一位")
    expect(agent.page.locator("#identity-card .met")).to_contain_text("不一致")
    agent.check_identity(firm)
    expect(agent.page.locator("#identity-card .met")).to_contain_text("✓ 身份一致")
    agent.propose(new_number(firm))
    expect(agent.proposal).to_contain_text("须由另一位主管审批")
    expect(agent.proposal.get_by_role("button")).to_have_count(0)

    supervisor = desks(SUPERVISOR, "#proposals")
    card = supervisor.page.locator("article", has_text=firm.firm_no)
    expect(card).to_contain_text("函-1")
    supervisor.act("批准")
    expect(card).to_have_attribute("data-state", "approved")

    # The agent's page notices the approval by itself, while the caller waits.
    agent.page.clock.fast_forward(16_000)
    expect(agent.proposal).to_have_attribute("data-state", "approved")
    code = local_stack.sms_code_of(new_number(firm), "phone-code")
    agent.confirm_phone("000000" if code != "000000" else "111111")
    expect(agent.proposal.locator(".error")).not_to_be_empty()
    agent.confirm_phone(code)
    expect(agent.notice).to_contain_text("新手机号已生效")
    expect(agent.page.locator("#facts")).to_contain_text(f"139****{firm.firm_no[-4:]}")
    expect(agent.proposal).to_have_attribute("data-state", "active")
    expect(agent.proposal.get_by_role("button", name="撤销变更")).to_have_count(0)

    supervisor.open_login(firm.firm_no)
    supervisor.act("撤销变更")
    expect(supervisor.notice).to_contain_text("已撤销")
    expect(supervisor.page.locator("#facts")).to_contain_text(f"131****{firm.number[-4:]}")


def test_call_3_no_phone(desks: Desks, agent: DeskVisit, local_stack: LocalStack) -> None:
    """From nothing to a phone."""
    agent.open_login(NO_PHONE.firm_no)
    expect(agent.why).to_contain_text("没有绑定手机号")
    agent.check_identity(NO_PHONE)
    expect(agent.page.locator("#identity-card .met")).to_contain_text("✓")
    agent.propose(new_number(NO_PHONE))
    supervisor = desks(SUPERVISOR)
    supervisor.open_login(NO_PHONE.firm_no)
    supervisor.act("批准")
    expect(supervisor.proposal).to_have_attribute("data-state", "approved")
    supervisor.confirm_phone(local_stack.sms_code_of(new_number(NO_PHONE), "phone-code"))
    expect(supervisor.page.locator("#facts")).to_contain_text(
        f"手机号139****{NO_PHONE.firm_no[-4:]}"
    )


def test_call_4_another_wechat(agent: DeskVisit, local_stack: LocalStack, firm: Firm) -> None:
    """Who else is bound to it, and unbinding, of which the person is notified."""
    local_stack.follow(firm.number)
    recover_both(local_stack, firm)
    agent.open_login(firm.firm_no)
    facts = agent.page.locator("#facts")
    expect(facts).to_contain_text(f"同微信账号{firm.firm_no}_cw")
    expect(facts).to_contain_text("正在关注")
    agent.act("解绑微信", "员工离职")
    expect(agent.notice).to_contain_text(re.compile("已解绑微信.*已通知"))
    expect(facts).to_contain_text("微信未绑定")
    expect(agent.events.first).to_contain_text("员工离职")


def test_call_5_too_many_tries(agent: DeskVisit, local_stack: LocalStack, firm: Firm) -> None:
    """Which limit, when it ends, and lifting it with a reason."""
    local_stack.bind(firm)
    api = Api(local_stack.url, firm.number)
    token = api.start(firm.firm_no)["token"]
    wrong = {"firm_no": firm.firm_no, "approval_no": "京财会许可〔2012〕1号", "head_name": "无"}
    statuses = [api.answer("recovery/unbinding", wrong, token).status_code for _ in range(12)]
    assert statuses[-1] == 429, statuses
    agent.open_login(firm.firm_no)
    expect(agent.page.locator("#locks")).to_contain_text(re.compile(r"解绑信息.*\d\d:\d\d解除"))
    expect(agent.why).to_contain_text("已达上限")
    agent.act("清除限制", "来电人急用")
    expect(agent.notice).to_contain_text("已清除限制")
    expect(agent.page.locator("#locks")).to_have_count(0)


def test_calls_6_and_7_the_yearly_password_of_a_firm_found_by_name(
    agent: DeskVisit, firm: Firm
) -> None:
    """A part of the name, the arrow keys, and the firm's other login by its link."""
    page = agent.page
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type("示例119900")
    options = page.get_by_role("option")
    expect(options.nth(2)).to_be_visible()
    chosen = page.locator("[role=option][aria-selected=true]")
    first = chosen.inner_text()
    page.keyboard.press("ArrowDown")
    expect(chosen).not_to_have_text(first)
    assert page.locator("#q").get_attribute("aria-activedescendant") == "firm-1"
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert page.locator("#q").get_attribute("aria-activedescendant") != "firm-0"
    page.keyboard.press("Escape")
    expect(page.locator("#popup")).to_be_hidden()
    page.locator("#q").fill(f"示例{firm.firm_no}")
    page.get_by_role("option", name=firm.firm_no).click()
    agent.expect_login(firm.firm_no)
    expect(agent.visit.heading(f"示例{firm.firm_no}会计师事务所")).to_be_focused()
    page.locator(".login", has_text="财务上报").click()
    agent.expect_login(f"{firm.firm_no}_cw")
    expect(page.locator("#facts")).to_contain_text("须先找回")
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()


def test_call_9_it_was_not_us(
    desks: Desks, agent: DeskVisit, local_stack: LocalStack, firm: Firm
) -> None:
    """Freezing, who did it and what else they touched; the supervisor ends it."""
    other = recover_both(local_stack, firm)
    agent.open_login(firm.firm_no)
    agent.page.get_by_role("button", name="操作过的账号").first.click()
    links = agent.page.locator("#requesters-card a")
    expect(links.filter(has_text=other.firm_no)).to_be_visible()
    agent.act("冻结账号", "本人否认操作")
    expect(agent.notice).to_contain_text("已冻结")
    expect(agent.why).to_contain_text("冻结")
    expect(agent.page.locator("#unfreeze")).to_have_count(0)
    supervisor = desks(SUPERVISOR)
    supervisor.open_login(firm.firm_no)
    supervisor.act("解除冻结", "已核实本人")
    expect(supervisor.notice).to_contain_text("已解除冻结")
    expect(supervisor.page.locator("#freeze")).to_be_visible()


def test_call_10_an_unknown_firm(agent: DeskVisit) -> None:
    """The search says so, and no page is opened."""
    agent.page.locator("#q").fill("11970404")
    agent.page.locator("#q").press("Enter")
    expect(agent.page.locator("#found-state")).to_contain_text("没有找到")
    expect(agent.visit.heading("查找事务所")).to_be_visible()
    agent.visit.open("/support/#logins/11970404")
    expect(agent.page.locator("#alarm")).not_to_be_empty()


# Roles and sessions.


def test_a_supervisor_s_own_proposal_is_only_shown(desks: Desks, firm: Firm) -> None:
    """Neither on the login's page nor among the proposals is there a decision."""
    supervisor = desks(SUPERVISOR)
    supervisor.open_login(firm.firm_no)
    supervisor.check_identity(firm)
    expect(supervisor.page.locator("#identity-card .met")).to_contain_text("✓")
    supervisor.propose(new_number(firm))
    supervisor.go("申请", "变更手机号的申请")
    card = supervisor.page.locator("article", has_text=firm.firm_no)
    expect(card).to_contain_text("本人提交的申请")
    expect(card.get_by_role("button")).to_have_count(0)


def test_an_auditor_s_day(desks: Desks, agent: DeskVisit, firm: Firm) -> None:
    """The day, the audit with its filters and as CSV, the proposals; no search and no acts."""
    agent.open_login(firm.firm_no)
    agent.act("冻结账号", "=1+1")
    auditor = desks(AUDITOR)
    page = auditor.page
    expect(auditor.visit.heading("今日概况")).to_be_focused()
    expect(page.locator("#day-changed_by_staff")).to_have_text(re.compile("^[1-9]"))
    expect(page.locator("#search")).to_be_hidden()
    auditor.go("操作记录", "操作记录")
    page.get_by_label("账号").fill(firm.firm_no)
    # The stack's clock is ahead of the browser's, and the day may end between the two.
    now = datetime.now(UTC)
    page.get_by_label("从").fill((now - timedelta(days=1)).date().isoformat())
    page.get_by_label("到", exact=True).fill((now + timedelta(days=2)).date().isoformat())
    page.get_by_label("人员").fill("staff-lin")
    page.keyboard.press("Enter")
    rows = page.locator("#acts tbody tr")
    expect(rows.filter(has_text="冻结账号")).to_contain_text(["=1+1"])
    expect(rows.filter(has_not_text=firm.firm_no)).to_have_count(0)
    with page.expect_download() as download:
        page.get_by_role("link", name="下载CSV").click()
    assert download.value.suggested_filename == "audit.csv"
    text = Path(str(download.value.path())).read_text("utf-8-sig")
    lines = list(csv.reader(io.StringIO(text)))
    assert {line[2] for line in lines[1:]} == {firm.firm_no}
    assert "'=1+1" in [line[6] for line in lines]
    auditor.go("申请", "变更手机号的申请")
    expect(page.locator("#view").get_by_role("button")).to_have_count(0)
    auditor.visit.open(f"/support/#logins/{firm.firm_no}")
    expect(auditor.visit.heading("今日概况")).to_be_visible()


def test_an_ended_session_keeps_the_place(agent: DeskVisit, firm: Firm) -> None:
    """The sign-in covers what was shown, says why, and leads back."""
    agent.open_login(firm.firm_no)
    agent.visit.context.clear_cookies()
    agent.page.locator("#unlock").click()
    agent.page.locator("#act-reason").fill("原因")
    agent.page.keyboard.press("Enter")
    expect(agent.page.locator("#entry")).to_contain_text("请重新登录")
    expect(agent.page.locator("#sign-in")).to_be_focused()
    assert firm.firm_no not in agent.page.locator("#view").inner_html()
    agent.pass_gate(AGENT)
    agent.expect_login(firm.firm_no)


def test_signing_out(agent: DeskVisit) -> None:
    """The gate, also after a reload and by the browser's way back."""
    agent.page.locator("#sign-out").click()
    expect(agent.page.locator("#sign-in")).to_be_focused()
    agent.page.go_back()
    agent.page.reload()
    expect(agent.page.locator("#bar")).to_be_hidden()


def test_a_failed_sign_in_is_explained(visits: Visits) -> None:
    """A callback that belongs to no sign-in of this browser."""
    visit = visits(PC)
    visit.open("/support/callback?code=x&state=y")
    expect(visit.page.locator("#entry")).to_contain_text("登录已超时")
    visit.look("desk-entry")


# The look.


@pytest.mark.parametrize("size", [(1280, 800), (1366, 768)], ids=str)
def test_every_place_is_accessible_and_fits(
    desks: Desks, local_stack: LocalStack, firm: Firm, size: tuple[int, int]
) -> None:
    """Axe finds nothing in light and dark, nothing overflows, and the answer needs no scrolling."""
    local_stack.recover(firm)
    width, height = size
    desk = desks(SUPERVISOR, viewport={"width": width, "height": height})
    page = desk.page

    def check(name: str) -> None:
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        desk.visit.look(f"desk-{name}-{width}")

    check("start")
    page.locator("#q").fill("示例")
    expect(page.get_by_role("option").first).to_be_visible()
    check("search")
    desk.open_login(firm.firm_no)
    for seen in (desk.why, desk.say, page.locator("#facts"), desk.events.first):
        box = seen.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= height
    check("login")
    page.locator("#freeze").click()
    expect(page.locator("#act-reason")).to_be_focused()
    check("dialog")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    desk.check_identity(firm)
    expect(page.locator("#identity-card .met")).to_contain_text("✓")
    desk.propose(new_number(firm))
    check("proposal")
    desk.go("申请", "变更手机号的申请")
    check("proposals")
    desk.go("操作记录", "操作记录")
    check("audit")
    desk.go("今日", "今日概况")
    check("today")
