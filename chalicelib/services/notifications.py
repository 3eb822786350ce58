"""Notify a person of what happened to a login, by every channel the login has."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

from ..domain import canary
from ..domain.catalogue import FREEZING_NOTICES, NOTICE_TITLES, SMS_TEMPLATES, fill
from ..domain.errors import ServiceError
from ..sms.gateway import Attempt, Sms
from ..wechat.template_results import TemplateOutcome
from .service_budgets import ServiceBudgets

if TYPE_CHECKING:
    from ..sms.failover import Failover
    from ..wechat.client import WechatClient

log = logging.getLogger(__name__)

BEIJING = timezone(timedelta(hours=8), "CST")


def beijing_time(now: int) -> str:
    """Format epoch seconds as people in China write them: 2027年1月1日 00:05."""
    local = datetime.fromtimestamp(now, UTC).astimezone(BEIJING)
    return f"{local.year}年{local.month}月{local.day}日 {local:%H:%M}"


def _short_time(now: int) -> str:
    """Format epoch seconds for an SMS of at most seventy characters: 1月1日00:05."""
    return beijing_time(now).partition("年")[2].replace(" ", "")


class Notifications:
    """Sends notices. A notice that fails is logged and never undoes the change it reports."""

    def __init__(
        self,
        sms: Callable[[], Failover],
        platform: Callable[[], WechatClient],
        template_id: str,
        site_url: str,
        budgets: ServiceBudgets,
        freeze_url: Callable[[str, str, int], str],
    ) -> None:
        """`sms` and `platform` return the clients; they are called when one is needed.

        `template_id` is WeChat's template for notices; empty where the account has none. `freeze_url`
        returns the address at which the recipient of a notice freezes the login, for the login, the
        recipient's openid and the time of the event in epoch seconds. A notice by
        SMS counts as a send of the whole service. The budget of sends refuses none of them; its hard
        limit, which ends all SMS of the hour, ends notices as well. They are not counted among the
        codes of their phone: the code of the firm's other login may follow at once.
        """
        self._budgets = budgets
        self._sms = sms
        self._platform = platform
        self._template_id = template_id
        self._site_url = site_url
        self._freeze_url = freeze_url

    def notify(
        self,
        notice: str,
        login: str,
        now: int,
        *,
        phone: str | None,
        openid: str | None,
    ) -> None:
        """Send `notice`, a key of SMS_TEMPLATES, to the phone and the openid that are not None.

        `now` is the time of the event in epoch seconds, `phone` in E.164. Failures are logged.
        """
        if phone is not None:
            self._attempt(notice, "sms", lambda: self._within_budget(notice, login, now, phone))
        if openid is not None and self._template_id:
            self._attempt(notice, "wechat", lambda: self._by_wechat(notice, login, now, openid))

    def by_sms(self, notice: str, login: str, now: int, phone: str) -> Attempt:
        """Send `notice` by SMS alone and return the final attempt. Raises DeliveryFailed.

        An operator's notice is sent and counted even where all other SMS of the hour have ended.
        """
        params = {"login": login, "time": _short_time(now)}
        text = fill(SMS_TEMPLATES[notice], **params)
        sms = Sms(phone, text, notice, params, reference=f"{notice}.{login}.{now}")
        gateway = None
        try:
            settled = self._sms().send(sms).settled
            gateway = settled.gateway
            return settled
        finally:
            # What goes into the test firm's mailbox is no SMS.
            if gateway != canary.GATEWAY:
                self._count(now)

    def _within_budget(self, notice: str, login: str, now: int, phone: str) -> None:
        if self._budgets.sends.is_exhausted(now):
            raise self._budgets.sends.refusal(now)
        self.by_sms(notice, login, now, phone)

    def _count(self, now: int) -> None:
        try:
            self._budgets.sends.add(now)
        except ServiceError as error:
            # Its outcome does not depend on the count.
            log.info("a notice was not counted: %s", error.code)

    def _by_wechat(self, notice: str, login: str, now: int, openid: str) -> None:
        result = self._platform().send_template(
            openid,
            self._template_id,
            {
                "thing1": NOTICE_TITLES[notice],
                "character_string2": login,
                "time3": beijing_time(now),
            },
            url=self._link(notice, login, now, openid),
            client_msg_id=f"{notice}.{login}.{now}"[:64],
        )
        if result.outcome is not TemplateOutcome.SENT:
            log.warning("notice %s refused by wechat: %s", notice, result.outcome.value)

    def _link(self, notice: str, login: str, now: int, openid: str) -> str:
        if notice not in FREEZING_NOTICES:
            return self._site_url
        return self._freeze_url(login, openid, now)

    @staticmethod
    def _attempt(notice: str, channel: str, send: Callable[[], object]) -> None:
        try:
            send()
        except ServiceError as error:
            log.warning("notice %s by %s failed: %s", notice, channel, error.code)
