"""WeChat calls: somebody follows, leaves, scans, taps the menu, writes. What the account answers.

WeChat delivers a message again, up to three times and possibly in parallel, when it gets no answer
within five seconds. So every effect here is one that a repeat does not change: a follower's event
counts by its own time, a receipt lands on the send it names, a code is fetched and not made. The
answer follows from the message and what is stored, and is the same for each delivery.
"""

from __future__ import annotations

from collections.abc import Callable

from ..domain.catalogue import CODE_KEY, REPLIES, fill
from ..domain.logins import fold
from ..keys.tokens import Sealer
from ..store import audit
from ..store.codes import Codes
from ..store.followers import Followers
from ..store.logins import Logins
from ..wechat.messages import (
    Clicked,
    Message,
    Scanned,
    Subscribed,
    TemplateSent,
    Text,
    Unsubscribed,
)
from .notices import beijing_time
from .scenes import Scenes

_ASKS_FOR_PAGE = frozenset({"找回密码", "密码找回", "忘记密码"})
_ASKS_FOR_CODE = frozenset({"验证码", "获取验证码"})


class Conversation:
    """Answers one message at a time."""

    def __init__(
        self,
        *,
        enter_url: str,
        clock: Callable[[], int],
        followers: Followers,
        logins: Logins,
        codes: Codes,
        sealer: Sealer,
        scenes: Scenes,
    ) -> None:
        self._enter_url = enter_url
        self._clock = clock
        self._followers = followers
        self._logins = logins
        self._codes = codes
        self._sealer = sealer
        self._scenes = scenes

    def answer(self, message: Message) -> str:
        """What to say to the person; empty where there is nothing to say. Raises Unavailable."""
        now = self._clock()
        if isinstance(message, Subscribed):
            self._followers.note(message.sender, True, message.created_at)
            return self._greeting(message.scene)
        if isinstance(message, Unsubscribed):
            self._followers.note(message.sender, False, message.created_at)
            return ""
        if isinstance(message, Scanned):
            return self._greeting(message.scene)
        if isinstance(message, Clicked) and message.key == CODE_KEY:
            return self._live_code(message.sender, now)
        if isinstance(message, Text):
            words = fold(message.content)
            if words in _ASKS_FOR_CODE:
                return self._live_code(message.sender, now)
            if words in _ASKS_FOR_PAGE:
                return fill(REPLIES["page"], url=self._enter_url)
            return fill(REPLIES["help"], url=self._enter_url)
        if isinstance(message, TemplateSent):
            self._receipt(message)
        return ""

    def _greeting(self, scene: str | None) -> str:
        login = self._scenes.login(scene) if scene else None
        if scene is None or login is None:
            return fill(REPLIES["welcome"], url=self._enter_url)
        return fill(REPLIES["scanned"], login=login, url=f"{self._enter_url}?scene={scene}")

    def _live_code(self, openid: str, now: int) -> str:
        none = fill(REPLIES["no-code"], url=self._enter_url)
        send = self._codes.last_send("wechat", openid)
        if send is None or send.sealed is None or send.expires_at <= now:
            return none
        # The binding is asked for now: it may have been undone since the code was made.
        account = self._logins.get(send.login)
        code = self._sealer.unseal("code " + send.login, send.sealed)
        if account is None or account.openid != openid or code is None:
            return none
        until = beijing_time(send.expires_at).rpartition(" ")[2]
        return fill(REPLIES["code"], login=send.login, code=code, until=until)

    def _receipt(self, message: TemplateSent) -> None:
        send = self._codes.last_send("wechat", message.sender)
        if send is None:
            return
        delivered = message.status == "success"
        audit.add_receipt(
            send.login,
            send.at,
            message.message_id,
            "delivered" if delivered else "failed",
            None if delivered else message.status[:100],
        )
