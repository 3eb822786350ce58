"""The objects of the support desk and of operators' changes, each built on first use."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from .http_client import HttpClient
from .services.desk.find import Find
from .services.support import Support
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
        return Find(self.search_index)

    @cached_property
    def search_index(self) -> SearchIndex:
        """The entries that firms and phones are found by."""
        # The oldest pepper: with each new one phones would have to be indexed again.
        peppers = self._service.peppers
        return SearchIndex(peppers[min(peppers)])

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
