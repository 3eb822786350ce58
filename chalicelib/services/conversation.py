"""Answer the messages and events of the Official Account: follow, leave, scan, tap, write.

WeChat delivers a message again, up to three times and possibly in parallel, when no answer arrives
within five seconds. Every effect here is therefore idempotent: a follower's event is ordered by its
own time, a receipt is stored on the send that it names, a code is fetched and never generated. An
answer that depends on what is stored is kept, so that all deliveries get the same one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..domain.catalogue import CODE_KEY, REPLIES, fill
from ..domain.errors import Unavailable
from ..domain.limits import DAY
from ..domain.logins import fold
from ..security.tokens import TOKEN_LIFETIME
from ..store import audit
from ..store.followers import Followers
from ..store.message_dedup import MessageDedup
from ..store.pending_codes import PendingCodes
from ..store.scan_progress import ScanProgress
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
from .code_issuer import CodeIssuer
from .notifications import beijing_time
from .ports import Count
from .qr_scenes import QrScenes

log = logging.getLogger(__name__)


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
        code_issuer: CodeIssuer,
        scenes: QrScenes,
        scans: ScanProgress,
        count: Count,
    ) -> None:
        """`enter_url` is the address of the page inside WeChat."""
        self._enter_url = enter_url
        self._clock = clock
        self._followers = followers
        self._message_dedup = message_dedup
        self._pending_codes = pending_codes
        self._code_issuer = code_issuer
        self._scenes = scenes
        self._scans = scans
        self._count = count

    def answer(self, message: Message) -> str:
        """Return the text to answer with; empty where no answer is due. Raises Unavailable."""
        kind = _KINDS.get(type(message), _OTHER)
        self._count("CallbackEvent", event=kind.event)
        return kind.handle(self, message)

    def _subscribed(self, message: Subscribed) -> str:
        self._followers.note(message.sender, True, message.created_at)
        return self._greeting(message, message.scene, "followed")

    def _unsubscribed(self, message: Unsubscribed) -> str:
        self._followers.note(message.sender, False, message.created_at)
        return ""

    def _scanned(self, message: Scanned) -> str:
        return self._greeting(message, message.scene, "scanned")

    def _clicked(self, message: Clicked) -> str:
        return self._live_codes(message) if message.key == CODE_KEY else ""

    def _text(self, message: Text) -> str:
        return _COMMANDS.get(_words(message.content), Conversation._help)(self, message)

    def _page(self, _: Message) -> str:
        return fill(REPLIES["page"], url=self._enter_url)

    def _help(self, _: Message) -> str:
        return fill(REPLIES["help"], url=self._enter_url)

    def _ignored(self, _: Message) -> str:
        return ""

    def _greeting(self, message: Message, scene: str | None, state: str) -> str:
        """Greet a person who followed or scanned; the page that displays the code shows `state`."""
        welcome = fill(REPLIES["welcome"], url=self._enter_url)
        if not scene:
            return welcome
        scanned = self._scenes.read(scene)
        if scanned is None:
            return self._same_for_all(message, welcome)
        if scanned.page is not None:
            self._show_on(scanned.login, scanned.page, state)
        url = f"{self._enter_url}?scene={scene}"
        return self._same_for_all(message, fill(REPLIES["scanned"], login=scanned.login, url=url))

    def _live_codes(self, message: Message) -> str:
        """Return every code that waits for the sender, each with its login."""
        lines = []
        for pending in self._pending_codes.pending_for(message.sender, self._clock()):
            code = self._code_issuer.unseal(pending.login, pending.sealed)
            if code is not None:
                until = beijing_time(pending.expires_at).rpartition(" ")[2]
                url = self._link(pending.login)
                lines.append(
                    fill(REPLIES["code"], login=pending.login, code=code, until=until, url=url)
                )
        if not lines:
            return self._same_for_all(message, fill(REPLIES["no-code"], url=self._enter_url))
        gap = "" if len(lines) == 1 else "\n"
        return self._same_for_all(message, "\n".join(lines) + gap + REPLIES["code-care"])

    def _show_on(self, login: str, page: str, state: str) -> None:
        try:
            self._scans.advance(login, page, state, self._clock() + TOKEN_LIFETIME)
        except Unavailable:
            # The person gets the answer, and the page shows the next state.
            log.warning("the state of a page was not stored")

    def _link(self, login: str) -> str:
        return f"{self._enter_url}?login={login}"

    def _same_for_all(self, message: Message, answer: str) -> str:
        """Return the answer of the message's first delivery; `answer` where this is the first."""
        return self._message_dedup.first_answer(message.dedup_key, answer, self._clock())

    def _template_sent(self, message: TemplateSent) -> str:
        self._add_receipt(message)
        return ""

    def _add_receipt(self, message: TemplateSent) -> None:
        sends = self._pending_codes.sends_to("wechat", message.sender)
        if sends is None or not message.status:
            return
        delivered = message.status == "success"
        # WeChat writes "failed:user block" and "failed: system failed".
        reason = None if delivered else message.status.removeprefix("failed").lstrip(": ")[:100]
        receipt = ("delivered" if delivered else "failed", reason, message.created_at)
        if not message.message_id:
            self._add_unnamed_receipt(message, {sends.login, *sends.logins}, receipt)
            return
        if audit.add_wechat_receipt(sends.login, sends.at, message.message_id, *receipt):
            return
        for login in sorted(sends.logins):
            at = audit.named_send(login, message.message_id, message.created_at - DAY)
            if at is not None and audit.add_wechat_receipt(login, at, message.message_id, *receipt):
                return
        # The receipt of a notice: only the sends of codes keep their receipts.
        log.info("a receipt of no code was ignored")

    def _add_unnamed_receipt(
        self, message: TemplateSent, logins: set[str], receipt: tuple[str, str | None, int]
    ) -> None:
        """Store a receipt without a message id on the send with its client_msg_id, if it has one."""
        for login in sorted(logins):
            at = audit.send_with_client_msg_id(login, message.client_msg_id)
            if at is not None and audit.add_wechat_receipt(login, at, None, *receipt):
                return
        self._count("ReceiptSkipped", gateway="wechat")
        log.warning("a receipt of wechat without a message id was skipped")


def _words(text: str) -> str:
    """Return the letters and digits of a text alone.

    People end a command with a full stop, or copy it with the quotation marks of our help; WeChat
    adds punctuation to the voice messages that it recognises.
    """
    return "".join(filter(str.isalnum, fold(text)))


class _Kind(NamedTuple):
    event: str
    """The metric's dimension; each delivery counts, a repeat too."""
    handle: Callable[[Conversation, Any], str]


_OTHER = _Kind("other", Conversation._ignored)

_KINDS: Mapping[type[Message], _Kind] = {
    Subscribed: _Kind("subscribed", Conversation._subscribed),
    Unsubscribed: _Kind("unsubscribed", Conversation._unsubscribed),
    Scanned: _Kind("scanned", Conversation._scanned),
    Clicked: _Kind("clicked", Conversation._clicked),
    Viewed: _Kind("viewed", Conversation._ignored),
    Text: _Kind("text", Conversation._text),
    TemplateSent: _Kind("template-sent", Conversation._template_sent),
}

_COMMANDS: Mapping[str, Callable[[Conversation, Message], str]] = {
    **dict.fromkeys(("找回密码", "密码找回", "忘记密码"), Conversation._page),
    **dict.fromkeys(("验证码", "获取验证码"), Conversation._live_codes),
}
"""What a person may write, without punctuation, to get more than the help."""
