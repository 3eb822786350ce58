"""The support desk's page of firms whose facts are corrected, that are closed, or whose texts are HTML."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from tests.browser.conftest import Visits
from tests.browser.desk_page import AGENT, SUPERVISOR, DeskVisit
from tests.browser.stack import LIGHT, Firm, LocalStack, made_up, running
from tests.browser.visit import PC

HOSTILE = '<img src=x onerror="window.pwned=1">'
SPOILT = Firm("11980001", "13180000001", "京财会许可〔2012〕9001号", "沈示例", HOSTILE + "事务所")
_, *FIRMS = made_up(5)

Desks = Callable[..., DeskVisit]


@pytest.fixture(scope="module")
def local_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A local stack of this module, with a firm whose name is HTML."""
    with running(tmp_path_factory.mktemp("desk"), [SPOILT, *FIRMS], module=LIGHT) as local_stack:
        yield local_stack


@pytest.fixture(scope="module")
def _firms() -> Iterator[Firm]:
    return iter(FIRMS)


@pytest.fixture
def desks(visits: Visits) -> Desks:
    """A factory of signed-in visits."""

    def begin(name: str, place: str = "") -> DeskVisit:
        desk = DeskVisit(visits(PC))
        desk.sign_in(name, place)
        return desk

    return begin


def test_call_8_a_new_head_of_the_firm(desks: Desks, firm: Firm) -> None:
    """A supervisor corrects the name by a document; the agent's check then matches."""
    agent, supervisor = desks(AGENT), desks(SUPERVISOR)
    agent.open_login(firm.firm_no)
    expect(agent.page.locator("#facts-card")).to_have_count(0)
    supervisor.open_login(firm.firm_no)
    page = supervisor.page
    page.locator("#new-head_name").fill("甄?例")
    page.locator("#new-reason").fill("换届")
    page.locator("#new-document").fill("批复1号")
    page.locator("#new-document").press("Enter")
    expect(page.locator("#correct-error")).to_contain_text("替代符号")
    expect(page.locator("#new-head_name")).to_be_focused()
    page.locator("#new-head_name").fill("甄示例")
    page.locator("#new-head_name").press("Enter")
    expect(supervisor.notice).to_have_text("已更正：主任会计师。")
    expect(page.locator("#facts")).to_contain_text(re.compile("信息更正.*换届（批复1号）"))
    expect(supervisor.events.first).to_contain_text("更正登记信息")
    assert "甄示例" not in page.locator("#view").inner_text()
    agent.check_identity(firm, "甄示例")
    expect(agent.page.locator("#identity-card .met")).to_contain_text("✓ 身份一致")


def test_call_10_a_closed_firm(desks: Desks, local_stack: LocalStack, firm: Firm) -> None:
    """It is found as closed, with the date and what to say, and without acts."""
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": local_stack.aws_url,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }
    command = (sys.executable, "-m", "infra.ops", "close", firm.firm_no, "--reason", "公告注销")
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=300)
    agent = desks(AGENT)
    page = agent.page
    page.locator("#q").fill(firm.firm_no)
    expect(page.get_by_role("option", name="（已注销）")).to_be_visible()
    page.locator("#q").press("Enter")
    expect(agent.why).to_contain_text("已于")
    expect(agent.say).to_contain_text("运维人员恢复")
    expect(page.locator(".login .badge", has_text="已注销")).to_have_count(2)
    expect(page.locator("#facts")).to_contain_text(re.compile("注销.*清除"))
    expect(page.locator("#actions").get_by_role("button")).to_have_count(0)
    expect(page.locator("#phone-card")).to_have_count(0)
    page.locator("#q").fill("11970404")
    expect(page.locator("#found-state")).to_contain_text("新开户")


# Texts of other people.


def test_names_and_reasons_are_texts(desks: Desks) -> None:
    """Stored HTML is shown as it was written, at every place where it appears."""
    agent = desks(AGENT)
    page = agent.page
    page.locator("#q").fill("事务所")
    page.locator("#q").fill(SPOILT.firm_no)
    expect(page.get_by_role("option").first).to_contain_text(HOSTILE)
    page.locator("#q").press("Enter")
    agent.expect_login(SPOILT.firm_no)
    expect(page.locator("#view h1")).to_have_text(SPOILT.name)
    agent.check_identity(SPOILT)
    expect(page.locator("#identity-card .met")).to_contain_text("✓")
    agent.propose("13180009999", HOSTILE, HOSTILE)
    agent.act("冻结账号", HOSTILE)
    expect(agent.events.filter(has_text=HOSTILE).first).to_be_visible()
    supervisor = desks(SUPERVISOR, "#proposals")
    expect(supervisor.page.locator("article", has_text=SPOILT.firm_no)).to_contain_text(HOSTILE)
    supervisor.go("操作记录", "操作记录")
    expect(supervisor.page.locator("#acts tr", has_text=HOSTILE).first).to_be_visible()
    for each in (agent, supervisor):
        assert each.page.evaluate("window.pwned") is None
        assert each.page.locator("#view img").count() == 0


def spoil(value: Any, key: str = "") -> Any:
    """Return an answer with HTML appended to each text that the page does not compute with."""
    if isinstance(value, dict):
        return {name: spoil(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [spoil(each, key) for each in value]
    computed = ("login", "logins", "kind", "by", "state", "roles", "subject", "method", "requester")
    return value + HOSTILE if isinstance(value, str) and key not in computed else value


def test_no_text_of_any_answer_becomes_an_element(desks: Desks, firm: Firm) -> None:
    """Every field of every answer, as if each of them came from an attacker."""
    supervisor = desks(SUPERVISOR)
    spoilt: list[str] = []

    def answer(route: Route) -> None:
        response = route.fetch()
        body = spoil(response.json())
        spoilt.append(route.request.url)
        route.fulfill(response=response, body=json.dumps(body))

    supervisor.page.route("**/support/api/**", answer)
    supervisor.visit.open("/support/#start")
    supervisor.page.reload()
    supervisor.open_login(firm.firm_no)
    for label, heading in (
        ("申请", "变更手机号的申请"),
        ("操作记录", "操作记录"),
        ("今日", "今日概况"),
    ):
        supervisor.go(label, heading)
        assert supervisor.page.locator("img").count() == 0
    expect(supervisor.page.locator("#me")).to_contain_text(HOSTILE)
    assert supervisor.page.evaluate("window.pwned") is None
    assert {url.split("/api/")[1].partition("?")[0].partition("/")[0] for url in spoilt} == {
        "me", "find", "logins", "proposals", "audit", "today",
    }  # fmt: skip
