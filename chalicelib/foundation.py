"""What every use case is built from: keys, clients of vendors, tables."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from .security.password_hasher import PasswordHasher
from .security.proof_of_work import Proofs
from .security.tokens import Sealer, Signer
from .services.qr_scenes import QrScenes
from .services.rate_limits import StartLimiter
from .settings import Settings
from .sms.gateway import SmsGateway
from .store import audit, models
from .store.codes import Codes
from .store.firms import Firms
from .store.followers import Followers
from .store.logins import Logins
from .store.scan_progress import ScanProgress
from .store.sends import Sends
from .telemetry import masking
from .telemetry.invocation import correlation_id

if TYPE_CHECKING:
    from .sms.failover import Failover
    from .wechat.cipher import MessageCipher
    from .wechat.client import WechatClient


def now() -> int:
    """Return the wall clock's time in epoch seconds."""
    return int(time.time())


class Foundation:
    """Objects without rules of their own, each built on first use."""

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
        self.pause = pause
        masking.hide_always(settings.secrets())
        models.bind(settings.table_prefix)
        audit.retain(settings.audit_retention_days)

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
        from .sms.canary import CanaryRoute, Mailbox

        gateways = [self._gateway(name) for name in self.settings.sms_gateways]
        return CanaryRoute(gateways, self.settings.canary_firm, Mailbox(self._keep_canary_code))

    def _keep_canary_code(self, code: str) -> None:
        from .services.canary import SEALING_PURPOSE
        from .store import canary

        sealed = self.sealer.seal(SEALING_PURPOSE, code)
        canary.keep(self.settings.canary_firm, sealed, self.clock())

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
                sleep=self.pause,
            ),
            HttpClient(),
            self.clock,
            self.pause,
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
    def scans(self) -> ScanProgress:
        return ScanProgress()
