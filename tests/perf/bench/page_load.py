"""The time until the page is usable, on an emulated slow phone network."""

from __future__ import annotations

import statistics
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page, ViewportSize, sync_playwright

KBIT_PER_SECOND = 400
LATENCY_MS = 400
CPU_SLOWDOWN = 4
"""A mid-range phone against a desktop, as Lighthouse assumes it."""

USABLE_WITHIN_MS = 2_000

_VIEWPORT: ViewportSize = {"width": 375, "height": 812}

# Usable: the login can be typed into and the button beside it does something, which is so when
# the module has run and shown its first screen.
_WATCH = """
new MutationObserver((_, observer) => {
  const account = document.querySelector("#account");
  if (!account || account.hidden) return;
  observer.disconnect();
  window.usableAt = performance.now();
}).observe(document, { subtree: true, childList: true, attributes: true });
"""

_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


def measure(url: str, chromium: str, *, runs: int = 3) -> dict[str, Any]:
    """Load the page of the service at `url` with an empty cache, `runs` times.

    Times are medians in milliseconds; `content_bytes` (compressed), `transferred_bytes` (with the
    answers' heads) and `requests` are of the first view.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            loads = [_load(browser, url) for _ in range(runs)]
        finally:
            browser.close()
    usable = statistics.median(load["usable_ms"] for load in loads)
    return {
        "network": f"{KBIT_PER_SECOND} kbit/s, {LATENCY_MS} ms",
        "cpu": f"slowed {CPU_SLOWDOWN} times",
        "usable_ms": round(usable),
        "first_contentful_paint_ms": round(
            statistics.median(load["first_contentful_paint_ms"] for load in loads)
        ),
        "content_bytes": max(load["content_bytes"] for load in loads),
        "transferred_bytes": max(load["transferred_bytes"] for load in loads),
        "requests": max(load["requests"] for load in loads),
        "within_target": usable < USABLE_WITHIN_MS,
    }


def _load(browser: Browser, url: str) -> dict[str, Any]:
    context = browser.new_context(viewport=_VIEWPORT, is_mobile=True, has_touch=True)
    try:
        page = context.new_page()
        session = context.new_cdp_session(page)
        transferred: list[int] = []
        heads: list[int] = []
        session.on(
            "Network.responseReceived",
            lambda event: heads.append(int(event["response"]["encodedDataLength"])),
        )
        session.on(
            "Network.loadingFinished",
            lambda event: transferred.append(int(event["encodedDataLength"])),
        )
        _slow_down(session)
        page.add_init_script(_WATCH)
        page.goto(url, wait_until="load")
        usable = _usable_at(page)
        return {
            "usable_ms": usable,
            "first_contentful_paint_ms": page.evaluate(_PAINT),
            "content_bytes": sum(transferred) - sum(heads),
            "transferred_bytes": sum(transferred),
            "requests": len(transferred),
        }
    finally:
        context.close()


def _slow_down(session: CDPSession) -> None:
    session.send("Network.enable")
    session.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": LATENCY_MS,
            "downloadThroughput": KBIT_PER_SECOND * 1000 / 8,
            "uploadThroughput": KBIT_PER_SECOND * 1000 / 8,
        },
    )
    session.send("Emulation.setCPUThrottlingRate", {"rate": CPU_SLOWDOWN})


def _usable_at(page: Page) -> float:
    page.wait_for_function("window.usableAt && performance.getEntriesByType('paint').length > 1")
    return float(page.evaluate("window.usableAt"))
