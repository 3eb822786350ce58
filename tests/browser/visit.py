"""A person's visit to the page: reading, pressing, typing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, expect

from tests.browser import appearance
from tests.browser.stack import Firm, LocalStack

PASSWORD = "Neues-Passwort-7"

# What the browser itself notes of an answer that is an error: the service's own business.
_EXPECTED = "Failed to load resource"


@dataclass(frozen=True)
class Device:
    """The device of a visit. `options` are Playwright's for a browser context."""

    name: str
    options: dict[str, Any]

    @property
    def is_phone(self) -> bool:
        return self.name == "phone"


_AGENT = (
    "Mozilla/5.0 (Linux; Android 14; Demo) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Version/4.0 Chrome/126.0.0.0 Mobile Safari/537.36"
)
IN_WECHAT = _AGENT + " MicroMessenger/8.0.50.2701(0x28003250) WeChat/arm64 Language/zh_CN"

PHONE = Device(
    "phone",
    {
        "viewport": {"width": 375, "height": 812},
        "is_mobile": True,
        "has_touch": True,
        "user_agent": _AGENT,
    },
)
PC = Device("pc", {"viewport": {"width": 1280, "height": 800}})


@dataclass
class Visit:
    """One browser with the page, and the local stack behind it."""

    local_stack: LocalStack
    device: Device
    context: BrowserContext
    page: Page
    axe: str = field(repr=False)
    faults: list[str] = field(default_factory=list)
    """What the browser complained of; a test ends badly where anything stands here."""

    def __post_init__(self) -> None:
        self.page.set_default_timeout(15_000)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", self._hear)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(_EXPECTED):
            self.faults.append(message.text)

    # Coming to the page.

    def open(self, path: str = "/") -> None:
        """Open an address of the site."""
        self.page.goto(self.local_stack.url + path if path.startswith("/") else path)

    def come_as(self, firm: Firm) -> None:
        """Make this the browser of the firm's phone, so that WeChat identifies its owner."""
        self.context.add_cookies(
            [{"name": "_phone", "value": firm.number, "url": self.local_stack.url}]
        )

    def enter(self, firm: Firm, path: str = "/wechat/enter") -> None:
        """Log in by WeChat, on the firm's phone."""
        self.come_as(firm)
        self.open(path)
        expect(self.page.get_by_label("登录账号")).to_be_visible()

    # Parts of the page, by the words that people read.

    def button(self, words: str) -> Locator:
        """Return the button with exactly this text."""
        return self.page.get_by_role("button", name=words, exact=True)

    def heading(self, words: str) -> Locator:
        """Return the heading of the screen."""
        return self.page.get_by_role("heading", name=words, exact=True)

    def field(self, label: str) -> Locator:
        """Return a field by its label."""
        return self.page.get_by_label(label, exact=True)

    @property
    def send(self) -> Locator:
        """Return the button that sends a code, whatever its text."""
        return self.page.locator("#send")

    @property
    def send_words(self) -> str:
        """Return that button's text at rest, which the manual words differently for a PC."""
        return "获取验证码" if self.device.is_phone else "发送验证码"

    @property
    def unbind_words(self) -> str:
        """Return the text of the button that leads to unbinding."""
        return "解绑公众号" if self.device.is_phone else "解绑"

    # What people do.

    def name_login(self, login: str) -> None:
        """Type the login and continue."""
        self.field("登录账号").fill(login)
        self.button("下一步").click()

    def get_code(self) -> None:
        """Request a code, and wait until the page reports that it was sent."""
        self.button(self.send_words).click()
        expect(self.page.locator("#left")).to_contain_text("分")

    def confirm(self, code: str, password: str = PASSWORD) -> None:
        """Fill in both fields and confirm."""
        self.field("新密码").fill(password)
        self.field("验证码").fill(code)
        self.button("确认重置").click()

    def fill_details(self, firm: Firm, **other: str) -> None:
        """Fill in the unbinding form; `other` replaces a detail."""
        details = {
            "会计师事务所编号": firm.firm_no,
            "成立批准文号": firm.approval_no,
            "主任会计师/首席合伙人": firm.head_name,
            **other,
        }
        for label, value in details.items():
            self.field(label).fill(value)

    def expect_done(self, login: str) -> None:
        """Assert that the last screen is shown."""
        expect(self.heading("重置成功")).to_be_visible()
        expect(self.page.locator("#done")).to_contain_text(login)

    def fault(self, field: str) -> Locator:
        """Return the error text of a field, by the field's id."""
        return self.page.locator(f"#{field}-error")

    @property
    def alarm(self) -> Locator:
        """Return the error text that belongs to no field."""
        return self.page.locator("#alarm")

    # Looking closely.

    def look(self, name: str) -> None:
        """Take a picture in light and in dark mode, and run axe in both."""
        found = []
        for scheme in appearance.SCHEMES:
            self.page.emulate_media(color_scheme=scheme)
            self.picture(f"{name}-{scheme}")
            found += [f"{name} {scheme} {barrier}" for barrier in self.barriers(scheme)]
        self.page.emulate_media(color_scheme="light")
        assert not found, "\n".join(found)

    def picture(self, name: str) -> None:
        """Keep a picture of the whole page, for people to look at."""
        appearance.picture(
            self.page, f"{self.device.name}-{name}", full_page=True, animations="disabled"
        )

    def barriers(self, scheme: str = "light") -> list[str]:
        """Return axe's findings on the present screen."""
        return appearance.barriers(self.page, self.axe, scheme)

    def focused(self) -> str:
        """Return the id of the element with the focus."""
        return str(self.page.evaluate("document.activeElement.id"))


def begun(visits: Callable[..., Visit], firm: Firm) -> Visit:
    """Begin a recovery by SMS on a phone inside WeChat, up to the screen of code and password."""
    visit = visits(PHONE, wechat=True)
    visit.enter(firm)
    visit.name_login(firm.firm_no)
    expect(visit.heading("手机号验证")).to_be_visible()
    return visit
