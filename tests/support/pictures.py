"""Make the documents' pictures from the running local stack: `python -m tests.support.pictures`.

`tour.webp` plays a scene of the guided tour at 1280×800; a ring marks what is pressed.
`phone-and-pc.png` composes two screenshots: a PC at 1280×800 waits with its QR code while the phone,
375×812 inside the simulated WeChat, has scanned it and enters the code of the SMS.
`support-desk.png` shows that login at the support desk. `weui-form.webp` and `weui-result.webp` have
our pages beside those of WeUI's demo.
"""

from __future__ import annotations

import base64
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect, sync_playwright

from tests.browser import needs
from tests.browser.demo import ARGUMENTS, SEND, WIDE, DemoPage
from tests.support.weui_pictures import beside_weui

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "images"
MAXIMUM_PNG = 300 * 1024
MAXIMUM_WEBP = 1_500 * 1000
MAXIMUM_PAIR = 60 * 1024

LOGIN = "11010148"

_PHONE: ViewportSize = {"width": 375, "height": 812}
_FRAME = 10
"""Pixels of the phone's border in infra/local/phone/phone.css."""

# The demo page makes the phone as high as its window. Here its screen has the size of a real one,
# and no shadow, which would be cut off at the edge of the screenshot. The banner of the SMS would
# cover the page's heading.
_PHONE_STYLE = f"""
body {{ background: none }}
.bar, .guide, .people, .pc, .below {{ visibility: hidden }}
.banner {{ display: none !important }}
.phone .screen {{
  position: fixed; z-index: 9; top: 0; left: 0; box-shadow: none;
  width: {_PHONE["width"] + 2 * _FRAME}px; max-width: none;
  height: {_PHONE["height"] + 2 * _FRAME}px; max-height: none;
}}
"""

_COMPOSED_SIZE: ViewportSize = {"width": 1440, "height": 800}
_COMPOSED = """<!doctype html>
<meta charset="utf-8">
<style>
body { margin: 0; height: 100vh; display: flex; align-items: center; justify-content: center;
  gap: 44px; background: #e4eaee }
.phone { height: 736px; filter: drop-shadow(0 10px 18px rgb(30 45 60 / .25)) }
.window { width: 976px; border-radius: 12px; overflow: hidden; background: #fff;
  box-shadow: 0 10px 28px rgb(30 45 60 / .22) }
.window img { display: block; width: 100% }
.bar { display: flex; gap: 8px; align-items: center; height: 40px; padding: 0 14px;
  background: #eef2f5; border-bottom: 1px solid #d9dee3; font: 14px system-ui; color: #5a636d }
.bar i { width: 12px; height: 12px; border-radius: 50%; background: #c5ccd2 }
.bar span { flex: 1; margin: 0 14px; padding: 4px 14px; border-radius: 8px; background: #fff }
</style>
<img class="phone" src="{phone}" alt="">
<div class="window"><div class="bar"><i></i><i></i><i></i><span>localhost:8000</span></div>
<img src="{pc}" alt=""></div>
"""

_GREEN = (1, 137, 66)
_RADIUS = 21
_SHORT, _LONG = 900, 1_600
"""Milliseconds that a frame of the animation is shown."""


@contextmanager
def local_stack() -> Iterator[str]:
    """Yield the address of a local stack with the demo firms."""
    # Settings of this machine must not change the picture.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LIMIT_"))
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.local", "--port", "0"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        address = next((line for line in process.stdout if line.startswith("ready ")), None)
        if address is None:
            raise RuntimeError("the local stack did not start")
        yield address.split()[1]
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()


def open_page(browser: Browser, url: str, viewport: ViewportSize, scale: int = 2) -> Page:
    """Open the address in a context of its own, with `scale` device pixels for one of CSS."""
    context = browser.new_context(
        locale="zh-CN",
        timezone_id="Asia/Shanghai",
        color_scheme="light",
        reduced_motion="reduce",
        viewport=viewport,
        device_scale_factor=scale,
        # The style that is added for the screenshot is not one of the page's own.
        bypass_csp=True,
    )
    page = context.new_page()
    page.goto(url)
    return page


# The animation.


class Film:
    """Frames of the demo page, each with its duration."""

    def __init__(self, demo: DemoPage) -> None:
        self._demo = demo
        self._frames: list[Image.Image] = []
        self._durations: list[int] = []

    def take(self, duration: int = _LONG) -> None:
        """Add a frame, once images and transitions are complete."""
        self._demo.page.wait_for_timeout(400)
        self._add(self._screenshot(), duration)

    def press(self, target: Locator, duration: int = _SHORT) -> None:
        """Add a frame in which a ring marks the target, and press it."""
        target.scroll_into_view_if_needed()
        box = target.bounding_box()
        assert box is not None
        frame = self._screenshot()
        center = (box["x"] + min(box["width"], 260) / 2, box["y"] + box["height"] / 2)
        self._add(_marked(frame, center), duration)
        target.click()

    def _screenshot(self) -> Image.Image:
        return Image.open(io.BytesIO(self._demo.page.screenshot())).convert("RGB")

    def _add(self, frame: Image.Image, duration: int) -> None:
        self._frames.append(frame)
        self._durations.append(duration)

    def webp(self) -> bytes:
        """Return the animation."""
        written = io.BytesIO()
        self._frames[0].save(
            written,
            "WEBP",
            save_all=True,
            append_images=self._frames[1:],
            duration=self._durations,
            loop=0,
            quality=80,
            method=4,
        )
        return written.getvalue()


def _marked(frame: Image.Image, center: tuple[float, float]) -> Image.Image:
    x, y = center
    marked = frame.convert("RGBA")
    layer = Image.new("RGBA", marked.size)
    around = (x - _RADIUS, y - _RADIUS, x + _RADIUS, y + _RADIUS)
    ImageDraw.Draw(layer).ellipse(around, fill=(*_GREEN, 50), outline=(*_GREEN, 235), width=4)
    return Image.alpha_composite(marked, layer).convert("RGB")


def play(demo: DemoPage) -> bytes:
    """Play the scene of PC and QR code, and return the animation."""
    film, page = Film(demo), demo.page
    film.take()
    film.press(page.get_by_role("button", name=re.compile("^电脑与二维码")))
    expect(page.locator(".step")).to_have_count(6)
    forgotten = demo.pc.get_by_role("link", name="忘记密码")
    expect(forgotten).to_be_visible()
    film.take(_SHORT)
    film.press(forgotten)
    expect(demo.pc.get_by_label("登录账号").first).to_be_visible()
    film.press(demo.current.get_by_role("button", name=LOGIN))
    expect(demo.pc.get_by_label("登录账号").first).to_have_value(LOGIN)
    film.press(demo.pc.get_by_role("button", name="下一步"))
    demo.expect_done(1)
    film.take()
    film.press(demo.current.get_by_role("button", name="扫一扫"))
    film.press(page.get_by_role("button", name=re.compile(f"电脑上的二维码：{LOGIN}")))
    demo.expect_done(2)
    film.press(page.get_by_role("button", name="关注公众号", exact=True))
    demo.expect_done(3)
    film.take()
    link = page.locator("#chat-list a", has_text="点此继续").last
    film.press(link)
    # The link names the login, so that the page begins by itself.
    send = demo.web.get_by_role("button", name=SEND)
    expect(send).to_be_visible()
    film.press(send)
    demo.expect_done(4)
    expect(page.locator("#banner")).to_be_visible()
    film.take()
    film.press(demo.current.get_by_role("button", name="填入验证码"))
    film.press(demo.current.get_by_role("button", name="填入新密码"))
    expect(demo.web.get_by_label("新密码", exact=True)).not_to_have_value("")
    film.press(demo.web.get_by_role("button", name="确认重置"))
    demo.expect_done(5)
    expect(demo.pc.get_by_role("heading", name="重置成功")).to_be_visible()
    film.take()
    film.press(demo.pc.get_by_role("link", name="返回登录"))
    expect(demo.pc.get_by_label("密码", exact=True)).to_be_visible()
    film.press(demo.current.get_by_role("button", name="填入账号密码"))
    expect(demo.pc.get_by_label("密码", exact=True)).not_to_have_value("")
    film.press(demo.pc.get_by_role("button", name="登录", exact=True))
    expect(demo.pc.get_by_role("heading", name="登录成功")).to_be_visible()
    demo.expect_done(6)
    film.take(2 * _LONG)
    return film.webp()


# The two screenshots side by side.


def begin_on_pc(pc: Page) -> None:
    """Name the login on the PC, which then shows a QR code and waits for the phone."""
    pc.get_by_label("登录账号").first.fill(LOGIN)
    pc.get_by_role("button", name="下一步").click()
    expect(pc.get_by_role("img", name="二维码").first).to_be_visible()


def continue_on_phone(demo: DemoPage) -> None:
    """Scan the PC's code, follow, receive the SMS, and fill in the form without sending it."""
    demo.open_app("scan")
    demo.page.get_by_role("button", name=re.compile(f"电脑上的二维码：{LOGIN}")).first.click()
    demo.page.get_by_role("button", name="关注公众号", exact=True).click()
    demo.continue_from_message()
    demo.offer("填入新密码")
    demo.offer("填入验证码")
    expect(demo.web.get_by_label("验证码", exact=True)).to_have_value(re.compile(r"^\d{6}$"))


def compose(browser: Browser, phone: bytes, pc: bytes) -> bytes:
    """Return one PNG with both screenshots side by side."""
    html = _COMPOSED.replace("{phone}", _data_url(phone)).replace("{pc}", _data_url(pc))
    page = browser.new_page(viewport=_COMPOSED_SIZE)
    page.set_content(html, wait_until="load")
    return page.screenshot()


def _data_url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def side_by_side(browser: Browser, url: str, demo: DemoPage) -> bytes:
    """Play a recovery on a PC and the demo's phone; return the composed PNG."""
    demo.begin("电脑与二维码")
    pc = open_page(browser, url, WIDE)
    begin_on_pc(pc)
    demo.expect_done(1)
    continue_on_phone(demo)
    demo.page.add_style_tag(content=_PHONE_STYLE)
    phone = demo.page.locator(".phone .screen").screenshot(omit_background=True)
    # The PC polls the recovery's state.
    pc.wait_for_timeout(4_000)
    return compose(browser, phone, pc.screenshot())


def support_desk(browser: Browser, url: str) -> bytes:
    """Sign in to the support desk, open the login by its number, and return the PNG."""
    page = open_page(browser, f"{url}/support/", WIDE, scale=1)
    page.get_by_role("link", name="登录", exact=True).click()
    page.get_by_role("link", name=re.compile("主管")).click()
    page.locator("#q").fill(LOGIN)
    page.locator("#q").press("Enter")
    expect(page.locator("#propose")).to_be_visible()
    return page.screenshot()


def main() -> None:
    """Write the pictures; fail if one is larger than a README should load."""
    expect.set_options(timeout=30_000)
    with local_stack() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=needs.browser(), args=ARGUMENTS)
        tour = play(DemoPage(open_page(browser, f"{url}/_phone", WIDE, scale=1)))
        demo = DemoPage(open_page(browser, f"{url}/_phone", {"width": 1280, "height": 900}))
        pair = side_by_side(browser, url, demo)
        desk = support_desk(browser, url)
        with local_stack() as unbound:
            pairs = beside_weui(browser, unbound)
        browser.close()
    FOLDER.mkdir(exist_ok=True)
    for name, picture, maximum in (
        ("tour.webp", tour, MAXIMUM_WEBP),
        ("phone-and-pc.png", pair, MAXIMUM_PNG),
        ("support-desk.png", desk, MAXIMUM_PNG),
        *((name, picture, MAXIMUM_PAIR) for name, picture in pairs.items()),
    ):
        if len(picture) > maximum:
            raise SystemExit(f"{name} has {len(picture)} bytes, more than {maximum}")
        (FOLDER / name).write_bytes(picture)
        print(f"docs/images/{name}: {len(picture)} bytes")


if __name__ == "__main__":
    main()
