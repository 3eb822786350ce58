"""The objects of the support desk and of operators' changes, each built on first use."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from .http_client import HttpClient
from .services.closing import Closing
from .services.desk.corrections import Corrections
from .services.desk.find import Find
from .services.desk.identity import Identity
from .services.desk.journal import Journal
from .services.desk.login_view import LoginViews
from .services.desk.phone_change import PhoneChange
from .services.desk.requesters import RequesterTrail
from .services.desk.reviews import Reviews
from .services.support import Support
from .store.identity_checks import IdentityChecks
from .store.proposals import Proposals
from .store.search import SearchIndex

if TYPE_CHECKING:
    from .container import Service
    from .services.desk.sign_in import SignIn


class DeskContainer:
    """The support desk's use cases; recoveries never import them."""

    def __init__(self, service: Service) -> None:
        self._service = service

    @cached_property
    def sign_in(self) -> SignIn:
        """Sign-in and sessions of the staff."""
        # Imported here: the operators' commands do without PyJWT.
        from .security.oidc import OidcClient
        from .services.desk.sign_in import SignIn

        settings = self._service.settings
        client = OidcClient(
            issuer=settings.oidc_issuer,
            client_id=settings.oidc_client_id,
            client_secret=settings.oidc_client_secret.reveal(),
            redirect_uri=f"{settings.site_url}/support/callback",
            http=HttpClient(),
            clock=self._service.clock,
        )
        return SignIn(
            clock=self._service.clock,
            client=client,
            role_claim=settings.oidc_role_claim,
            site_url=settings.site_url,
        )

    @cached_property
    def find(self) -> Find:
        """The search for firms."""
        return Find(self.search_index, self._service.clock)

    @cached_property
    def search_index(self) -> SearchIndex:
        """The entries that firms and phones are found by."""
        # The oldest pepper: with each new one phones would have to be indexed again.
        peppers = self._service.peppers
        return SearchIndex(peppers[min(peppers)])

    @cached_property
    def journal(self) -> Journal:
        """The record of what the staff looks at."""
        return Journal(self._service.clock)

    @cached_property
    def login_views(self) -> LoginViews:
        """What is known of a login."""
        return LoginViews(
            clock=self._service.clock,
            diagnosis=self._service.diagnosis,
            accounts=self._service.accounts,
            firms=self._service.firms,
            find=self.find,
            journal=self.journal,
        )

    @cached_property
    def identity(self) -> Identity:
        """Checks of a caller's identity."""
        return Identity(
            clock=self._service.clock,
            checks=IdentityChecks(self._service.settings.limits),
            journal=self.journal,
        )

    @cached_property
    def corrections(self) -> Corrections:
        """Corrections of firms' facts."""
        return Corrections(
            clock=self._service.clock, firms=self._service.firms, index=self.search_index
        )

    @cached_property
    def phone_change(self) -> PhoneChange:
        """Changes of phones with four eyes."""
        service = self._service
        return PhoneChange(
            clock=service.clock,
            randbelow=service.randbelow,
            peppers=service.peppers,
            sealer=service.sealer,
            accounts=service.accounts,
            proposals=Proposals(),
            codes=service.codes,
            limits=service.settings.limits,
            index=self.search_index,
            sms=service.sms,
            notifications=service.notifications,
        )

    @cached_property
    def requester_trail(self) -> RequesterTrail:
        """What one visitor has touched."""
        return RequesterTrail(clock=self._service.clock, journal=self.journal)

    @cached_property
    def reviews(self) -> Reviews:
        """The audit of the staff, and the day."""
        return Reviews(clock=self._service.clock, proposals=Proposals(), journal=self.journal)

    @cached_property
    def closing(self) -> Closing:
        """Closing of firms, by the operators' commands."""
        return Closing(
            clock=self._service.clock,
            accounts=self._service.accounts,
            index=self.search_index,
            notifications=self._service.notifications,
            erasure_days=self._service.settings.firm_erasure_days,
        )

    @cached_property
    def support(self) -> Support:
        """The changes of single logins, also for the operators' commands."""
        return Support(
            clock=self._service.clock,
            limits=self._service.settings.limits,
            accounts=self._service.accounts,
            notifications=self._service.notifications,
            index=self.search_index,
        )
