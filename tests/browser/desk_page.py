"""The support desk's page in a browser: signing in, searching, acting."""

from __future__ import annotations

import re
from dataclasses import dataclass

from playwright.sync_api import Locator, Page, expect

from tests.browser.stack import Firm
from tests.browser.visit import Visit

AGENT, SUPERVISOR, AUDITOR = "林晓", "赵敏", "孙静"


@dataclass
class DeskVisit:
    """A member of the staff at the desk."""

    visit: Visit

    @property
    def page(self) -> Page:
        return self.visit.page

    def sign_in(self, name: str, place: str = "") -> None:
        """Open the desk at a place, and sign in as this person."""
        self.visit.open(f"/support/{place}")
        self.pass_gate(name)

    def pass_gate(self, name: str) -> None:
        """Sign in from the gate that is shown."""
        self.page.get_by_role("link", name="登录", exact=True).click()
        self.page.get_by_role("link", name=re.compile(name)).click()
        expect(self.page.locator("#me")).to_contain_text(name)

    def open_login(self, login: str) -> None:
        """Search for a login by keyboard and wait for its page."""
        search = self.page.locator("#q")
        search.fill(login)
        search.press("Enter")
        self.expect_login(login)

    def expect_login(self, login: str) -> None:
        """Wait until a login's page is shown whole."""
        current = self.page.locator(".login[aria-current=page]")
        expect(current).to_contain_text(re.compile(f"^{login}(?!_cw)"))
        expect(self.page.locator("#phone-card article, #propose").first).to_be_visible()

    def go(self, label: str, heading: str) -> None:
        """Follow a link of the bar."""
        places = self.page.get_by_role("navigation", name="工作台")
        places.get_by_role("link", name=label, exact=True).click()
        expect(self.visit.heading(heading)).to_be_focused()

    def act(self, label: str, reason: str | None = None) -> None:
        """Press a button that opens the dialog, give the reason by keyboard, and confirm."""
        self.page.locator("#view").get_by_role("button", name=label, exact=True).first.click()
        dialog = self.page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        if reason is not None:
            expect(self.page.locator("#act-reason")).to_be_focused()
            self.page.keyboard.type(reason)
        self.page.keyboard.press("Enter")
        expect(dialog).to_be_hidden()

    def check_identity(self, firm: Firm, head_name: str | None = None) -> None:
        """Type what the caller says."""
        self.page.locator("#approval_no").fill(firm.approval_no)
        self.page.locator("#head_name").fill(head_name or firm.head_name)
        self.page.locator("#head_id_last4").fill("123x")
        self.page.locator("#head_id_last4").press("Enter")

    def propose(self, number: str, reason: str = "更换手机号", document: str = "函-1") -> None:
        """Propose another phone, and wait for the proposal's card."""
        for name, value in {"phone": number, "reason": reason, "document": document}.items():
            self.page.locator(f"#propose #{name}").fill(value)
        self.page.locator("#document").press("Enter")
        expect(self.proposal).to_have_attribute("data-state", "waiting")

    @property
    def proposal(self) -> Locator:
        """The proposal on a login's page."""
        return self.page.locator("#phone-card article")

    def confirm_phone(self, code: str) -> None:
        """Type the code that the caller says."""
        entry = self.page.get_by_label("新手机收到的验证码")
        entry.fill(code)
        entry.press("Enter")

    @property
    def why(self) -> Locator:
        return self.page.locator("#why")

    @property
    def say(self) -> Locator:
        return self.page.locator("#say")

    @property
    def notice(self) -> Locator:
        return self.page.locator("#notice")

    @property
    def events(self) -> Locator:
        """The rows of the timeline."""
        return self.page.get_by_role("region", name="经过").locator("tbody tr")
