"""How a page looks: pictures for people, and what axe-core finds in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Page

SCREENSHOTS = Path(__file__).parents[2] / "artifacts" / "screenshots"
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def picture(page: Page, name: str, **options: Any) -> None:
    """Keep a picture of the page, for people to look at."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    # A PNG costs the browser three times as much.
    page.screenshot(path=SCREENSHOTS / f"{name}.jpg", type="jpeg", quality=90, **options)


def barriers(page: Page, axe: str, scheme: str = "light", *, frames: bool = True) -> list[str]:
    """Return what axe-core, whose source is `axe`, finds on the present screen."""
    # The page's policy forbids foreign scripts, as it should; the debugger may still run one.
    if not page.evaluate("'axe' in window"):
        page.evaluate(axe + "\n;0")
    found = page.evaluate(
        """async ({ rules, frames }) => {
          const { violations, incomplete } = await axe.run(document, {
            iframes: frames,
            resultTypes: ["violations", "incomplete"],
            ...(rules && { runOnly: rules }),
          });
          // What axe cannot decide by itself counts, except for contrast on what it cannot see and for
          // frames that are none of its business.
          const undecided = ["color-contrast", ...(frames ? [] : ["frame-tested"])];
          const unsure = incomplete.filter(({ id }) => !undecided.includes(id));
          return [...violations, ...unsure].map(({ id, nodes }) =>
            id + ": " + nodes.map(({ target, any }) =>
              target.join(" ") + " " + any.map(({ message }) => message).join()).join());
        }""",
        # Colours are all that differs in the dark.
        {"rules": ["color-contrast"] if scheme == "dark" else None, "frames": frames},
    )
    return [str(barrier) for barrier in found]
