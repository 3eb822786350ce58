"""Deliver a code to the phone or the WeChat of its login."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from ..domain.catalogue import ACCOUNT_NAME, SMS_TEMPLATES, fill
from ..domain.codes import LIFETIME
from ..domain.errors import NotFollowing, Unavailable
from ..domain.limits import MINUTE
from ..domain.logins import mask_phone
from ..sms.gateway import BY_MESSAGE_ID, Attempt, Outcome, Sms
from ..store import audit
from ..store.codes import Destination
from ..store.followers import Followers
from ..store.models import AuditItem
from ..wechat.template_results import TemplateOutcome, TemplateResult
from .ports import Count

if TYPE_CHECKING:
    from ..sms.failover import Failover
    from ..wechat.client import WechatClient

log = logging.getLogger(__name__)

MINUTES = str(LIFETIME // MINUTE)


class Dispatch(NamedTuple):
    """The delivery of a code: `sent`, or `pull` where the person fetches it in the Official Account."""

    delivery: str


def masked_destination(destination: Destination) -> str:
    """Return the destination as it may be displayed: a masked phone, or the account's name."""
    return mask_phone(destination.address) if destination.method == "sms" else ACCOUNT_NAME


class CodeDelivery:
    """Sends codes that have been reserved."""

    def __init__(
        self,
        sms: Callable[[], Failover],
        platform: Callable[[], WechatClient],
        followers: Followers,
        template_id: str,
        enter_url: str,
        count: Count,
    ) -> None:
        """`sms` and `platform` return the clients; they are called when one is needed.

        `template_id` is WeChat's template for codes; empty where the account has none.
        """
        self._count = count
        self._sms = sms
        self._platform = platform
        self._followers = followers
        self._template_id = template_id
        self._enter_url = enter_url

    def gateway(self, destination: Destination) -> str:
        """Return the name of the gateway that is tried first for this destination."""
        if destination.method == "sms":
            return self._sms().first
        return "wechat-template" if self._template_id else "wechat-pull"

    def send(self, login: str, destination: Destination, code: str, send: AuditItem) -> Dispatch:
        """Send the code, and record the outcome in the send's audit item.

        Raises DeliveryFailed, NotFollowing or Unavailable where it has certainly not been sent.
        """
        if destination.method == "sms":
            return self._by_sms(login, destination, code, send)
        return self._by_wechat(login, destination, code, send)

    def _by_sms(self, login: str, destination: Destination, code: str, send: AuditItem) -> Dispatch:
        params = {"login": login, "code": code, "minutes": MINUTES}
        text = fill(SMS_TEMPLATES["code"], **params)
        sms = Sms(destination.address, text, "code", params, reference=f"{login}/{send.at}")
        settled = self._sms().send(sms, self._count_attempt).settled
        log.info("code sent", extra={"gateway": settled.gateway, "outcome": settled.outcome.value})
        if settled.message_id and settled.gateway in BY_MESSAGE_ID:
            self._name_message(settled.gateway, settled.message_id, login, send)
        expected = settled.gateway == send.gateway and settled.outcome is Outcome.SENT
        if not expected or settled.reason:
            self._settle(
                login,
                send,
                gateway=settled.gateway,
                outcome=settled.outcome.value,
                message_id=settled.message_id,
                reason=settled.reason,
            )
        return Dispatch("sent")

    def _by_wechat(
        self, login: str, destination: Destination, code: str, send: AuditItem
    ) -> Dispatch:
        result = self._push(login, destination.address, code, send) if self._template_id else None
        outcome = result.outcome if result else TemplateOutcome.NO_TEMPLATE
        if outcome is TemplateOutcome.NOT_FOLLOWING:
            self._followers.left(destination.address, audit.time_of(send))
            raise NotFollowing
        if result is not None and outcome in (TemplateOutcome.SENT, TemplateOutcome.UNKNOWN):
            self._settle(
                login,
                send,
                outcome="sent" if outcome is TemplateOutcome.SENT else "unknown",
                message_id=result.msgid,
            )
            return Dispatch("sent")
        if not self._still_follows(destination.address):
            raise NotFollowing
        self._count("CodeSent", gateway="wechat-pull", outcome="held")
        if result is not None:
            self._settle(
                login, send, gateway="wechat-pull", reason=f"template refused: {result.errcode}"
            )
        return Dispatch("pull")

    def _count_attempt(self, attempt: Attempt) -> None:
        self._count("CodeSent", gateway=attempt.gateway, outcome=attempt.outcome.value)

    def _push(self, login: str, openid: str, code: str, send: AuditItem) -> TemplateResult:
        try:
            result = self._pushed(login, openid, code, send)
        except Unavailable:
            self._count("CodeSent", gateway="wechat-template", outcome="unavailable")
            raise
        self._count("CodeSent", gateway="wechat-template", outcome=result.outcome.value)
        return result

    def _pushed(self, login: str, openid: str, code: str, send: AuditItem) -> TemplateResult:
        return self._platform().send_template(
            openid,
            self._template_id,
            {
                "character_string1": login,
                "character_string2": code,
                "thing3": f"{MINUTES}分钟内有效",
            },
            url=f"{self._enter_url}?login={login}",
            client_msg_id=audit.client_msg_id(send.at),
        )

    def _still_follows(self, openid: str) -> bool:
        known = self._followers.is_following(openid)
        return self._platform().is_following(openid) if known is None else known

    @staticmethod
    def _name_message(gateway: str, message_id: str, login: str, send: AuditItem) -> None:
        # Without this record a receipt is not matched to its send; nothing else is lost.
        try:
            audit.name_message(gateway, message_id, login, send.at, audit.time_of(send))
        except Exception as error:
            log.warning("a message's id was not recorded: %s", type(error).__name__)

    @staticmethod
    def _settle(login: str, send: AuditItem, **facts: str | None) -> None:
        # The code is sent: a failure to record it must not make the person request another one.
        try:
            audit.settle_send(login, send.at, **facts)
        except Exception as error:
            log.warning("a send's outcome was not recorded: %s", type(error).__name__)
