"""The container: builds every object of the service, each on first use.

`runtime.service()` returns the process's instance; tests replace it with `runtime.using`. Services
are imported where they are built, so that a cold start imports only what its request needs.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from .domain.catalogue import CODE_KEY, MENU_CODE, MENU_RECOVER
from .foundation import Foundation
from .security.requesters import Requesters
from .security.tokens import Tokens
from .services.code_delivery import CodeDelivery
from .services.code_issuer import CodeIssuer
from .services.code_sender import CodeSender
from .services.code_verifier import CodeVerifier
from .services.follower_check import FollowerCheck
from .services.notifications import Notifications
from .services.password_policy import PasswordPolicy
from .services.proof_check import ProofCheck
from .services.recovery import Recovery
from .services.recovery_progress import RecoveryProgress
from .services.refusals import Refusals
from .services.sent_codes import SentCodes
from .services.service_budgets import ServiceBudgets
from .telemetry.metrics import count

if TYPE_CHECKING:
    from .desk_container import DeskContainer
    from .security.freeze_tokens import FreezeTokens
    from .services.bound_logins import BoundLogins
    from .services.canary import Canary
    from .services.conversation import Conversation
    from .services.credential_check import CredentialCheck
    from .services.diagnosis import Diagnosis
    from .services.owner_freezing import OwnerFreezing
    from .services.receipts import Receipts
    from .services.unbinding import Unbinding
    from .services.wechat_login import WechatLogin
    from .services.yearly_reset import YearlyReset
    from .store.accounts import Accounts


class Service(Foundation):
    """The objects of a process, each built once; each may be replaced before its first use."""

    # Recovery.

    @cached_property
    def notifications(self) -> Notifications:
        return Notifications(
            lambda: self.sms,
            lambda: self.platform,
            self.settings.wechat_notice_template_id,
            self.settings.site_url,
            self.budgets,
            lambda login, openid, now: (
                f"{self.freeze_url}?token={self._freeze_tokens.issue(login, openid, now)}"
            ),
        )

    @cached_property
    def _freeze_tokens(self) -> FreezeTokens:
        from .security.freeze_tokens import FreezeTokens

        # The oldest pepper, as for the requesters: links outlive a rotation.
        return FreezeTokens(self.signer, self.peppers[min(self.peppers)])

    @cached_property
    def owner_freezing(self) -> OwnerFreezing:
        from .services.owner_freezing import OwnerFreezing

        return OwnerFreezing(
            clock=self.clock, tokens=self._freeze_tokens, notifications=self.notifications
        )

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
        from .store.wechat_logins import WechatLogins

        return BoundLogins(WechatLogins(), self.clock)

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
            pause=self.pause,
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
            sleep=self.pause,
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

    # The canary.

    @cached_property
    def canary(self) -> Canary:
        from .services.canary import Canary

        return Canary(
            clock=self.clock,
            firm=self.settings.canary_firm,
            unseal=self.sealer.unseal,
            randbelow=self.randbelow,
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
    def freeze_url(self) -> str:
        """The address at which a notice's recipient freezes the login, without its token."""
        return f"{self.settings.site_url}/freeze"

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
