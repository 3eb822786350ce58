"""The command wechat-menu: set the Official Account's menu."""

from __future__ import annotations

import click

from chalicelib.domain.catalogue import fill
from chalicelib.domain.errors import Unavailable
from chalicelib.wechat.client import PlatformRefusal

from . import session, views, words
from .command import Answer, Failed, command, require_reason


@command("wechat-menu", words.WECHAT_MENU, words.WECHAT_MENU_MORE)
@click.option("--dry-run", is_flag=True, help=words.WECHAT_MENU_DRY_RUN)
@click.option("--reason", metavar="TEXT", help=words.REASON_UNLESS_DRY)
def wechat_menu(dry_run: bool, reason: str | None) -> Answer:
    """Set the menu with the entries for recovery and for fetching codes."""
    if not dry_run:
        require_reason(reason)
    service = session.service()
    menu = service.menu
    if not dry_run:
        session.begin_change()
        try:
            service.platform.create_menu(menu)
        except Unavailable as error:
            raise _failed(error) from None
    was_set = not dry_run
    return Answer(
        {"menu": menu, "made": was_set},
        lambda console: views.menu(console, menu["button"], was_set),
    )


def _failed(error: Unavailable) -> Exception:
    refusal = error.__cause__
    if isinstance(refusal, PlatformRefusal):
        why = words.WECHAT_REFUSALS.get(refusal.errcode, words.WECHAT_REFUSALS[0])
        text = fill(
            words.MENU_REFUSED, errcode=refusal.errcode, rid=refusal.rid or words.NONE, why=why
        )
        return Failed("wechat-refused", text)
    return Failed("unavailable", words.MENU_SILENT) if error.dependency == "wechat" else error
