"""The demo page in a browser: scenes of the tour, steps, and its two frames."""

from __future__ import annotations

import re
from dataclasses import dataclass

from playwright.sync_api import Browser, FrameLocator, Locator, Page, ViewportSize, expect

ARGUMENTS = [
    # Root has no sandbox. Playwright misses what it clicks in a frame that is scaled and has a
    # process of its own.
    "--no-sandbox",
    "--disable-site-isolation-trials",
    "--disable-features=IsolateOrigins,site-per-process",
]
WIDE: ViewportSize = {"width": 1280, "height": 800}
SEND = re.compile("^(获取|发送)验证码$")


@dataclass
class DemoPage:
    """The page, with the two frames `web` (the phone inside WeChat) and `pc`."""

    page: Page

    @property
    def web(self) -> FrameLocator:
        return self.page.frame_locator("#web")

    @property
    def pc(self) -> FrameLocator:
        return self.page.frame_locator("#pc")

    def begin(self, title: str) -> None:
        """Choose a scene by the beginning of its title, and wait until it is prepared."""
        body = self.page.locator("body")
        expect(body).to_have_attribute("data-runs", re.compile(r"^\d+$"))
        runs = str(body.get_attribute("data-runs"))
        self.page.get_by_role("button", name=re.compile(f"^{title}")).click()
        expect(body).not_to_have_attribute("data-runs", runs)
        expect(self.page.locator(".scene[aria-pressed=true] b")).to_have_text(
            re.compile(f"^{title}")
        )
        expect(self.pc.get_by_role("link", name="忘记密码")).to_be_visible()

    @property
    def current(self) -> Locator:
        """The step that is next."""
        return self.page.locator(".step.current")

    def step(self, number: int) -> Locator:
        """Return a step by its number, from 1 on."""
        return self.page.locator(".step").nth(number - 1)

    def offer(self, label: str) -> None:
        """Press a button of the next step."""
        self.current.get_by_role("button", name=label, exact=True).click()

    def offer_login(self, frame: FrameLocator, login: str) -> None:
        """Press the button of a login, and wait until it is in the frame's field.

        The frame gets it by a message, and may run in another process.
        """
        self.offer(login)
        expect(frame.get_by_label("登录账号").first).to_have_value(login)

    def expect_done(self, number: int) -> None:
        """Wait until a step is ticked."""
        expect(self.step(number)).to_have_class("step done")

    def open_app(self, name: str) -> None:
        """Open an app of the phone: sms, chat, scan, web."""
        self.page.click(f".dock [data-app={name}]")

    def press(self, frame: FrameLocator, name: str | re.Pattern[str]) -> None:
        """Press a button in a frame."""
        exact = isinstance(name, str)
        frame.get_by_role("button", name=name, exact=exact).click()

    def continue_from_message(self) -> None:
        """Open the link of the account's last message, which names the login, and have a code sent."""
        self.page.locator("#chat-list a", has_text="点此继续").last.click()
        self.press(self.web, SEND)

    def enter_code_and_password(self, frame: FrameLocator) -> None:
        """Let the step's buttons fill in both, and confirm."""
        self.offer("填入新密码")
        expect(frame.get_by_label("新密码", exact=True)).not_to_have_value("")
        self.offer("填入验证码")
        expect(frame.get_by_label("验证码", exact=True)).to_have_value(re.compile(r"^\d{6}$"))
        self.press(frame, "确认重置")
        expect(frame.get_by_role("heading", name="重置成功")).to_be_visible()

    def overhang(self) -> int:
        """Return by how many pixels the page, or the guide in a wide window, would scroll."""
        return int(
            self.page.evaluate(
                """() => {
                  const guide = document.querySelector(".guide");
                  const { scrollWidth, scrollHeight } = document.documentElement;
                  return Math.max(scrollWidth - innerWidth, scrollHeight - innerHeight,
                    innerWidth < 900 ? 0 : guide.scrollHeight - guide.clientHeight);
                }"""
            )
        )


def open_demo(
    browser: Browser, url: str, faults: list[str], viewport: ViewportSize = WIDE, **options: object
) -> DemoPage:
    """Open the page; what its console reports as an error is added to `faults`."""
    context = browser.new_context(
        locale="zh-CN",
        timezone_id="Europe/Berlin",
        viewport=viewport,
        **options,  # type: ignore[arg-type]
    )
    page = context.new_page()
    page.set_default_timeout(20_000)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    page.goto(f"{url}/_phone")
    expect(page.locator("#people .person")).to_have_count(3)
    return DemoPage(page)
