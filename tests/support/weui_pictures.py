"""Pictures of our pages beside WeUI's demo pages, at 375×812: ours on the left, WeUI's on the right.

WeUI is the style of pages inside WeChat, so that people compare ours with it. The demo pages are those
of the npm package `weui`, without their scripts.
"""

from __future__ import annotations

import io
import re
import tarfile

import requests
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.browser import needs
from tests.browser.visit import IN_WECHAT, PASSWORD, PHONE

NUMBER = "13800001234"
LOGIN = "11010148"

_STYLES = ("dist/style/weui.min.css", "dist/example/example.css")
_RESULT = "src/example/msg/msg_success.html"
_FORM = "src/example/form/form_vcode.html"

_MARGIN = 24
_BACKGROUND = (214, 221, 227)


def beside_weui(browser: Browser, url: str) -> dict[str, bytes]:
    """Return the pictures by file name: a form, and the page after success.

    `url` is that of a local stack with the demo firms, in which the main login is not bound.
    """
    context = browser.new_context(locale="zh-CN", **{**PHONE.options, "user_agent": IN_WECHAT})
    context.add_cookies([{"name": "_phone", "value": NUMBER, "url": url}])
    page = context.new_page()
    form, result = _ours(page, url)
    theirs = browser.new_context(locale="zh-CN", **PHONE.options).new_page()
    return {
        "weui-form.webp": _pair(form, _demo(theirs, _FORM)),
        "weui-result.webp": _pair(result, _demo(theirs, _RESULT)),
    }


def _ours(page: Page, url: str) -> tuple[bytes, bytes]:
    """Recover the login by SMS in a WeChat that follows; return the form and the last screen."""
    act = {"act": "follow", "phone": NUMBER}
    requests.post(f"{url}/_phone/act", json=act, timeout=60).raise_for_status()
    page.goto(f"{url}/wechat/enter")
    page.get_by_label("登录账号").first.fill(LOGIN)
    page.get_by_role("button", name="下一步").click()
    page.get_by_role("button", name="获取验证码", exact=True).click()
    expect(page.locator("#left")).to_contain_text("分")
    page.get_by_label("新密码", exact=True).fill(PASSWORD)
    page.get_by_label("验证码", exact=True).fill(_sms_code(url))
    form = page.screenshot()
    page.get_by_role("button", name="确认重置").click()
    expect(page.get_by_role("heading", name="重置成功")).to_be_visible()
    # The firm's name follows in a call of its own.
    expect(page.locator("#done-firm")).to_be_visible()
    return form, page.screenshot()


def _sms_code(url: str) -> str:
    state = requests.get(f"{url}/_phone/state", timeout=60).json()
    (phone,) = (phone for phone in state["phones"] if phone["number"] == NUMBER)
    return str([sms for sms in phone["sms"] if sms["template"] == "code"][-1]["params"]["code"])


def _demo(page: Page, name: str) -> bytes:
    """Return a screenshot of a demo page of WeUI's package."""
    with tarfile.open(fileobj=io.BytesIO(needs.weui())) as archive:

        def read(member: str) -> str:
            file = archive.extractfile(f"package/{member}")
            assert file is not None, member
            return file.read().decode()

        styles = "".join(f"<style>{read(style)}</style>" for style in _STYLES)
        content = re.sub(r"<script.*?</script>", "", read(name), flags=re.DOTALL)
    page.set_content(
        '<!doctype html><html lang="zh-CN"><meta name="viewport" content="width=device-width">'
        f'{styles}<body><div class="container">{content}</div></body></html>'
    )
    # Without the demo's script no page slides in.
    page.add_style_tag(content=".page { opacity: 1; animation: none }")
    return page.screenshot()


def _pair(ours: bytes, theirs: bytes) -> bytes:
    """Return a WebP with both screenshots side by side."""
    left, right = (Image.open(io.BytesIO(png)).convert("RGB") for png in (ours, theirs))
    size = (left.width + right.width + 3 * _MARGIN, left.height + 2 * _MARGIN)
    picture = Image.new("RGB", size, _BACKGROUND)
    picture.paste(left, (_MARGIN, _MARGIN))
    picture.paste(right, (left.width + 2 * _MARGIN, _MARGIN))
    written = io.BytesIO()
    picture.save(written, "WEBP", quality=82, method=6)
    return written.getvalue()
