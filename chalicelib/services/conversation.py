"""WeChat calls: somebody follows, leaves, scans, taps the menu, writes. What the account answers.

WeChat delivers a message again, up to three times and possibly in parallel, when it gets no answer
within five seconds. So every effect here is one that a repeat does not change: a follower's event
counts by its own time, a receipt lands on the send it names, a code is fetched and not made. The
answer follows from the message and what is stored; one that may change meanwhile is kept, so that
all deliveries get the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from ..domain.catalogue import CODE_KEY, REPLIES, fill
from ..domain.limits import DAY
from ..domain.logins import fold
from ..security.tokens import Sealer
from ..store import audit
from ..store.followers import Followers
from ..store.message_dedup import MessageDedup
from ..store.pending_codes import PendingCodes
from ..wechat.messages import (
    Clicked,
    Message,
    Scanned,
    Subscribed,
    TemplateSent,
    Text,
    Unsubscribed,
    Viewed,
)
from .notifications import beijing_time
from .ports import Count
from .qr_scenes import QrScenes

log = logging.getLogger(__name__)

_ASKS_FOR_PAGE = frozenset({"找回密码", "密码找回", "忘记密码"})
_ASKS_FOR_CODE = frozenset({"验证码", "获取验证码"})


# Operators' words for what comes in; each delivery counts, a repeat too.
_EVENTS: dict[type[Message], str] = {
    Subscribed: "subscribed",
    Unsubscribed: "unsubscribed",
    Scanned: "scanned",
    Clicked: "clicked",
    Viewed: "viewed",
    Text: "text",
    TemplateSent: "template-sent",
}


class Conversation:
    """Answers one message at a time."""

    def __init__(
        self,
        *,
        enter_url: str,
        clock: Callable[[], int],
        followers: Followers,
        message_dedup: MessageDedup,
        pending_codes: PendingCodes,
        sealer: Sealer,
        scenes: QrScenes,
        count: Count,
    ) -> None:
        self._count = count
        self._enter_url = enter_url
        self._clock = clock
        self._followers = followers
        self._message_dedup = message_dedup
        self._pending_codes = pending_codes
        self._sealer = sealer
        self._scenes = scenes

    def answer(self, message: Message) -> str:
        """What to say to the person; empty where there is nothing to say. Raises Unavailable."""
        self._count("CallbackEvent", event=_EVENTS.get(type(message), "other"))
        if isinstance(message, Subscribed):
            self._followers.note(message.sender, True, message.created_at)
            return self._greeting(message, message.scene)
        if isinstance(message, Unsubscribed):
            self._followers.note(message.sender, False, message.created_at)
            return ""
        if isinstance(message, Scanned):
            return self._greeting(message, message.scene)
        if isinstance(message, Clicked) and message.key == CODE_KEY:
            return self._live_codes(message)
        if isinstance(message, Text):
            words = fold(message.content)
            if words in _ASKS_FOR_CODE:
                return self._live_codes(message)
            if words in _ASKS_FOR_PAGE:
                return fill(REPLIES["page"], url=self._enter_url)
            return fill(REPLIES["help"], url=self._enter_url)
        if isinstance(message, TemplateSent):
            self._receipt(message)
        return ""

    def _greeting(self, message: Message, scene: str | None) -> str:
        welcome = fill(REPLIES["welcome"], url=self._enter_url)
        if not scene:
            return welcome
        login = self._scenes.login(scene)
        if login is None:
            return self._as_first(message, welcome)
        url = f"{self._enter_url}?scene={scene}"
        return self._as_first(message, fill(REPLIES["scanned"], login=login, url=url))

    def _live_codes(self, message: Message) -> str:
        """Every code that waits for this very person, each with the login that it is for."""
        lines = []
        for held in self._pending_codes.pending_for(message.sender, self._clock()):
            code = self._sealer.unseal("code " + held.login, held.sealed)
            if code is not None:
                until = beijing_time(held.expires_at).rpartition(" ")[2]
                lines.append(fill(REPLIES["code"], login=held.login, code=code, until=until))
        if not lines:
            return self._as_first(message, fill(REPLIES["no-code"], url=self._enter_url))
        gap = "" if len(lines) == 1 else "\n"
        return self._as_first(message, "\n".join(lines) + gap + REPLIES["code-care"])

    def _as_first(self, message: Message, said: str) -> str:
        """What the message's first delivery was answered, which is `said` if this is the first."""
        purpose = "answer " + message.dedup_key
        sealed = self._sealer.seal(purpose, said)
        earlier = self._message_dedup.keep(message.dedup_key, sealed, self._clock())
        return said if earlier is None else self._sealer.unseal(purpose, earlier) or said

    def _receipt(self, message: TemplateSent) -> None:
        sends = self._pending_codes.sends_to("wechat", message.sender)
        if sends is None or not message.message_id or not message.status:
            return
        delivered = message.status == "success"
        # WeChat writes "failed:user block" and "failed: system failed".
        reason = None if delivered else message.status.removeprefix("failed").lstrip(": ")[:100]
        facts = (message.message_id, "delivered" if delivered else "failed", reason)
        told_at = message.created_at
        if audit.add_wechat_receipt(sends.login, sends.at, *facts, told_at):
            return
        for login in sorted(sends.logins):
            at = audit.named_send(login, message.message_id, told_at - DAY)
            if at is not None and audit.add_wechat_receipt(login, at, *facts, told_at):
                return
        # A notice's: only codes keep what became of them.
        log.info("a receipt of no code was passed over")
