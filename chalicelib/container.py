"""The container: builds every object of the service, each on first use.

`runtime.service()` returns the process's instance; tests replace it with `runtime.using`. Services
are imported where they are built, so that a cold start imports only what its request needs.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from .domain.catalogue import CODE_KEY, MENU_CODE, MENU_RECOVER
from .security.password_hasher import PasswordHasher
from .security.proof_of_work import Proofs
from .security.requesters import Requesters
from .security.tokens import Sealer, Signer, Tokens
from .services.code_delivery import CodeDelivery
from .services.code_issuer import CodeIssuer
from .services.code_sender import CodeSender
from .services.code_verifier import CodeVerifier
from .services.follower_check import FollowerCheck
from .services.notifications import Notifications
from .services.password_policy import PasswordPolicy
from .services.proof_check import ProofCheck
from .services.qr_scenes import QrScenes
from .services.rate_limits import StartLimiter
from .services.recovery import Recovery
from .services.recovery_progress import RecoveryProgress
from .services.refusals import Refusals
from .services.sent_codes import SentCodes
from .services.service_budgets import ServiceBudgets
from .settings import Settings
from .sms.gateway import SmsGateway
from .store import models
from .store.codes import Codes
from .store.firms import Firms
from .store.followers import Followers
from .store.logins import Logins
from .store.scan_progress import ScanProgress
from .store.sends import Sends
from .telemetry import masking
from .telemetry.invocation import correlation_id
from .telemetry.metrics import count

if TYPE_CHECKING:
    from .desk_container import DeskContainer
    from .services.bound_logins import BoundLogins
    from .services.conversation import Conversation
    from .services.credential_check import CredentialCheck
    from .services.diagnosis import Diagnosis
    from .services.receipts import Receipts
    from .services.unbinding import Unbinding
    from .services.wechat_login import WechatLogin
    from .services.yearly_reset import YearlyReset
    from .sms.failover import Failover
    from .store.accounts import Accounts
    from .wechat.cipher import MessageCipher
    from .wechat.client import WechatClient


def now() -> int:
    """Return the wall clock's time in epoch seconds."""
    return int(time.time())


class Service:
    """The objects of a process, each built once; each may be replaced before its first use."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], int] = now,
        randbelow: Callable[[int], int] = secrets.randbelow,
        gateways: Mapping[str, SmsGateway] | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """`gateways` are SMS gateways by name; the others are built from the settings.

        `pause` waits a number of seconds, before an attempt is refused or a call is repeated.
        """
        self.settings = settings
        self.clock = clock
        self.randbelow = randbelow
        self._gateways = dict(gateways or {})
        self._pause = pause
        masking.hide_always(settings.secrets())
        models.bind(settings.table_prefix)

    @cached_property
    def _keys(self) -> list[bytes]:
        return [key.key() for key in self.settings.signing_keys]

    @cached_property
    def peppers(self) -> dict[int, bytes]:
        return {version: pepper.key() for version, pepper in self.settings.code_pepper.items()}

    @cached_property
    def signer(self) -> Signer:
        return Signer(self._keys, self.clock)

    @cached_property
    def sealer(self) -> Sealer:
        return Sealer(self._keys)

    @cached_property
    def proofs(self) -> Proofs:
        return Proofs(self._keys, self.clock)

    @cached_property
    def hasher(self) -> PasswordHasher:
        return PasswordHasher(self.peppers)

    @cached_property
    def scenes(self) -> QrScenes:
        return QrScenes(self._keys, self.clock)

    @cached_property
    def cipher(self) -> MessageCipher:
        from .wechat.cipher import MessageCipher

        return MessageCipher(self.settings.wechat_aes_key.reveal(), self.settings.wechat_app_id)

    def _gateway(self, name: str) -> SmsGateway:
        from .sms import factory

        if name in self._gateways:
            return self._gateways[name]
        return factory.build(name, self.settings, self.clock, correlation_id)

    @cached_property
    def sms(self) -> Failover:
        from .sms.failover import Failover

        return Failover([self._gateway(name) for name in self.settings.sms_gateways])

    @cached_property
    def platform(self) -> WechatClient:
        from .http_client import HttpClient
        from .store.access_token import AccessTokens
        from .wechat.client import WechatClient

        settings = self.settings
        return WechatClient(
            settings.wechat_app_id,
            settings.wechat_app_secret.reveal(),
            settings.wechat_api_url,
            settings.wechat_open_url,
            AccessTokens(
                settings.wechat_app_id,
                self.clock,
                seal=lambda text: self.sealer.seal("wechat-token", text),
                unseal=lambda sealed: self.sealer.unseal("wechat-token", sealed),
                sleep=self._pause,
            ),
            HttpClient(),
            self.clock,
            self._pause,
        )

    # The tables.

    @cached_property
    def logins(self) -> Logins:
        return Logins(self.settings.limits)

    @cached_property
    def firms(self) -> Firms:
        return Firms()

    @cached_property
    def codes(self) -> Codes:
        # The oldest pepper: with each new one the counts by phone would start again, and pending
        # codes would not be found.
        return Codes(self.settings.limits, self.peppers[min(self.peppers)])

    @cached_property
    def sends(self) -> Sends:
        return Sends(self.settings.limits, self.codes)

    @cached_property
    def followers(self) -> Followers:
        return Followers()

    @cached_property
    def start_limiter(self) -> StartLimiter:
        return StartLimiter(self.settings.limits)

    @cached_property
    def notifications(self) -> Notifications:
        return Notifications(
            lambda: self.sms,
            lambda: self.platform,
            self.settings.wechat_notice_template_id,
            self.settings.site_url,
            self.budgets,
        )

    # Recovery.

    @cached_property
    def requesters(self) -> Requesters:
        # The oldest pepper: with each new one the same visitor would have another digest.
        return Requesters(self.peppers[min(self.peppers)])

    @cached_property
    def refusals(self) -> Refusals:
        return Refusals(self.clock)

    @cached_property
    def code_issuer(self) -> CodeIssuer:
        return CodeIssuer(self.randbelow, self.peppers, self.sealer)

    @cached_property
    def budgets(self) -> ServiceBudgets:
        return ServiceBudgets(self.settings.limits, self.randbelow)

    @cached_property
    def proof_check(self) -> ProofCheck:
        return ProofCheck(self.proofs, self.budgets, required=self.settings.proof_of_work)

    @cached_property
    def _code_delivery(self) -> CodeDelivery:
        return CodeDelivery(
            lambda: self.sms,
            lambda: self.platform,
            self.followers,
            self.settings.wechat_code_template_id,
            self.enter_url,
            count,
        )

    @cached_property
    def scans(self) -> ScanProgress:
        return ScanProgress()

    @cached_property
    def recovery_progress(self) -> RecoveryProgress:
        return RecoveryProgress(
            clock=self.clock,
            logins=self.logins,
            codes=self.codes,
            firms=self.firms,
            scans=self.scans,
            scenes=self.scenes,
            count=count,
        )

    @cached_property
    def follower_check(self) -> FollowerCheck:
        return FollowerCheck(self.followers, self.platform)

    @cached_property
    def recovery(self) -> Recovery:
        settings = self.settings
        return Recovery(
            clock=self.clock,
            logins=self.logins,
            codes=self.codes,
            tokens=Tokens(self.signer, self.sealer),
            hasher=self.hasher,
            proof_check=self.proof_check,
            password_policy=PasswordPolicy(settings.password_profile, settings.area_code_overrides),
            code_sender=CodeSender(
                clock=self.clock,
                sends=self.sends,
                issuer=self.code_issuer,
                delivery=self._code_delivery,
                budget=self.budgets.sends,
                sent_codes=SentCodes(self.codes),
            ),
            code_verifier=CodeVerifier(
                codes=self.codes,
                issuer=self.code_issuer,
                budget=self.budgets.wrong_codes,
                count=count,
            ),
            follower_check=self.follower_check,
            notifications=self.notifications,
            progress=self.recovery_progress,
        )

    @cached_property
    def bound_logins(self) -> BoundLogins:
        from .services.bound_logins import BoundLogins

        return BoundLogins(self.logins)

    @cached_property
    def unbinding(self) -> Unbinding:
        from .services.unbinding import Unbinding
        from .store.bindings import Bindings

        return Unbinding(
            clock=self.clock,
            logins=self.logins,
            firms=self.firms,
            bindings=Bindings(self.settings.limits),
            notifications=self.notifications,
            budgets=self.budgets,
            count=count,
        )

    @cached_property
    def credential_check(self) -> CredentialCheck:
        from .services.credential_check import CredentialCheck

        return CredentialCheck(
            clock=self.clock,
            pause=self._pause,
            logins=self.logins,
            hasher=self.hasher,
            wrongs_budget=self.budgets.wrong_passwords,
            unknown_budget=self.budgets.unknown_logins,
            count=count,
        )

    @cached_property
    def receipts(self) -> Receipts:
        from .services.receipts import Receipts

        return Receipts(count=count)

    @cached_property
    def conversation(self) -> Conversation:
        from .services.conversation import Conversation
        from .store.message_dedup import MessageDedup
        from .store.pending_codes import PendingCodes

        return Conversation(
            enter_url=self.enter_url,
            clock=self.clock,
            followers=self.followers,
            message_dedup=MessageDedup(self.sealer),
            pending_codes=PendingCodes(
                self.settings.limits,
                self.codes.destination_id,
                lambda openid: self.requesters.identify(openid, ""),
            ),
            code_issuer=self.code_issuer,
            scenes=self.scenes,
            scans=self.scans,
            count=count,
        )

    @cached_property
    def wechat_login(self) -> WechatLogin:
        from .services.interruptions import Interruptions
        from .services.wechat_login import WechatLogin
        from .store.oauth_exchanges import OAuthExchanges

        return WechatLogin(
            clock=self.clock,
            sleep=self._pause,
            scenes=self.scenes,
            platform=self.platform,
            exchanges=OAuthExchanges(self.sealer),
            interruptions=Interruptions(
                self.codes, self.sends, lambda openid: self.requesters.identify(openid, "")
            ),
            enter_url=self.enter_url,
            site_url=self.settings.site_url,
        )

    # The yearly reset.

    @cached_property
    def yearly_reset(self) -> YearlyReset:
        from .messaging.queue import Queue
        from .messaging.topic import Topic
        from .services.yearly_reset import YearlyReset, available_cores
        from .store.reset_runs import ResetRuns

        settings = self.settings
        return YearlyReset(
            clock=self.clock,
            runs=ResetRuns(),
            queue=Queue(
                lambda: _aws_client("sqs"),
                settings.reset_queue_url,
                f"{settings.table_prefix}-reset",
            ),
            topic=Topic(lambda: _aws_client("sns"), settings.ops_topic_arn),
            hasher=self.hasher,
            area_codes=settings.area_code_overrides,
            count=count,
            cores=available_cores(),
        )

    # Diagnosis of single logins.

    @cached_property
    def accounts(self) -> Accounts:
        from .store.accounts import Accounts

        return Accounts(self.codes)

    @cached_property
    def diagnosis(self) -> Diagnosis:
        from .services.diagnosis import Diagnosis

        return Diagnosis(
            clock=self.clock,
            limits=self.settings.limits,
            accounts=self.accounts,
            firms=self.firms,
            followers=self.followers,
            platform=self.platform,
        )

    # The support desk, and operators' changes.

    @cached_property
    def desk(self) -> DeskContainer:
        from .desk_container import DeskContainer

        return DeskContainer(self)

    # Addresses of this service, always from SITE_URL, never from a request.

    @property
    def enter_url(self) -> str:
        """The address at which a person opens the page inside WeChat."""
        return f"{self.settings.site_url}/wechat/enter"

    @property
    def menu(self) -> dict[str, list[dict[str, str]]]:
        """The Official Account's menu, in the format of WeChat's menu/create."""
        return {
            "button": [
                {"type": "view", "name": MENU_RECOVER, "url": self.enter_url},
                {"type": "click", "name": MENU_CODE, "key": CODE_KEY},
            ]
        }


def _aws_client(service: Literal["sns", "sqs"]) -> Any:
    import boto3

    return boto3.client(service)
