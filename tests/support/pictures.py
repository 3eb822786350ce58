"""Make docs/images/phone-and-pc.png from the running local stack: `python -m tests.support.pictures`.

A PC at 1280×800 waits with its QR code while the phone, 375×812 inside the simulated WeChat, has
scanned it and enters the code of the SMS. The two screenshots are composed on one HTML page.
"""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from tests.browser import needs

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs" / "images" / "phone-and-pc.png"
MAXIMUM_BYTES = 300 * 1024

LOGIN = "11010148"
PASSWORD = "Correct-horse-7"

_PHONE: ViewportSize = {"width": 375, "height": 812}
_PC: ViewportSize = {"width": 1280, "height": 800}
_FRAME = 10
"""Pixels of the phone's border in infra/local/phone/phone.css."""

# The demo page makes the phone as high as its window. Here its screen has the size of a real one,
# and no shadow, which would be cut off at the edge of the screenshot. The banner of the SMS would
# cover the page's heading.
_PHONE_STYLE = f"""
body {{ background: none }}
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
<div class="window"><div class="bar"><i></i><i></i><i></i><span>127.0.0.1:8000</span></div>
<img src="{pc}" alt=""></div>
"""


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


def open_page(browser: Browser, url: str, viewport: ViewportSize) -> Page:
    """Open the address in a context of its own, with two device pixels for one of CSS."""
    context = browser.new_context(
        locale="zh-CN",
        timezone_id="Asia/Shanghai",
        color_scheme="light",
        reduced_motion="reduce",
        viewport=viewport,
        device_scale_factor=2,
        # The style that is added for the screenshot is not one of the page's own.
        bypass_csp=True,
    )
    page = context.new_page()
    page.goto(url)
    return page


def begin_on_pc(pc: Page) -> None:
    """Name the login on the PC, which then shows a QR code and waits for the phone."""
    pc.get_by_label("登录账号").first.fill(LOGIN)
    pc.get_by_role("button", name="下一步").click()
    expect(pc.get_by_role("img").first).to_be_visible()


def continue_on_phone(demo: Page) -> None:
    """Scan the PC's code, follow, receive the SMS, and fill in the form without sending it."""
    web = demo.frame_locator("#web")
    demo.click(".dock [data-app=scan]")
    demo.get_by_role("button", name=re.compile(f"电脑上的二维码：{LOGIN}")).click()
    demo.get_by_role("button", name="关注公众号", exact=True).click()
    demo.get_by_text("点此继续").click()
    web.get_by_role("button", name="下一步").click()
    web.get_by_label("新密码").first.fill(PASSWORD)
    web.get_by_role("button", name="获取验证码").click()
    banner = demo.locator("#banner")
    expect(banner).to_contain_text("点此复制验证码")
    web.get_by_label("验证码").first.fill(banner.locator(".digits").inner_text())


def compose(browser: Browser, phone: bytes, pc: bytes) -> bytes:
    """Return one PNG with both screenshots side by side."""
    html = _COMPOSED.replace("{phone}", _data_url(phone)).replace("{pc}", _data_url(pc))
    page = browser.new_page(viewport=_COMPOSED_SIZE)
    page.set_content(html, wait_until="load")
    return page.screenshot()


def _data_url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def take(browser: Browser, url: str) -> bytes:
    """Play the recovery on the stack at `url` and return the composed PNG."""
    pc = open_page(browser, url, _PC)
    begin_on_pc(pc)
    demo = open_page(browser, f"{url}/_phone", {"width": 1280, "height": 900})
    continue_on_phone(demo)
    demo.add_style_tag(content=_PHONE_STYLE)
    return compose(
        browser,
        demo.locator(".phone .screen").screenshot(omit_background=True),
        pc.screenshot(),
    )


def main() -> None:
    """Write the picture; fail if it is larger than a README should load."""
    expect.set_options(timeout=30_000)
    with local_stack() as url, sync_playwright() as playwright:
        # Root has no sandbox. The demo page scales its frames, and Playwright misses what it clicks
        # in a scaled frame that has a process of its own.
        browser = playwright.chromium.launch(
            executable_path=needs.browser(),
            args=[
                "--no-sandbox",
                "--disable-site-isolation-trials",
                "--disable-features=IsolateOrigins,site-per-process",
            ],
        )
        picture = take(browser, url)
        browser.close()
    if len(picture) > MAXIMUM_BYTES:
        raise SystemExit(f"the picture has {len(picture)} bytes, more than {MAXIMUM_BYTES}")
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_bytes(picture)
    print(f"{PICTURE.relative_to(ROOT)}: {len(picture)} bytes")


if __name__ == "__main__":
    main()
