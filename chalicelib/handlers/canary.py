"""The canary's function: a recovery of the test firm every ten minutes, and its metrics."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.session import Session

from .. import runtime
from ..botocore_session import new_session
from ..container import Service
from ..http_client import HttpClient, OutcomeUnknown, RequestNotSent, Response, Timeouts
from ..services.canary import SiteResponse
from ..telemetry.metrics import count
from ..version import VERSION
from .http import cookies

log = logging.getLogger(__name__)

# Longer than the API's function may take.
_TIMEOUTS = Timeouts(connect=3, answer=12)

_JSON = {"Content-Type": "application/json"}


class HttpSite:
    """The site over HTTPS, as the canary's visitor and as the login page's server."""

    def __init__(self, service: Service, openid: str, session: Session) -> None:
        """`session` has the role that signs `/credentials/verify`."""
        self._site = service.settings.site_url
        self._cookie = cookies.keep_visitor_openid(service, openid).partition(";")[0]
        self._client = HttpClient(timeouts=_TIMEOUTS)
        self._session = session

    def request(
        self, path: str, body: Mapping[str, str] | None = None, token: str | None = None
    ) -> SiteResponse:
        """Send the visitor's request: GET, or POST with a body."""
        headers = {"Cookie": self._cookie}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if body is None:
            return self._send("GET", path, headers)
        return self._send("POST", path, {**headers, **_JSON}, json.dumps(body).encode())

    def verify(self, body: Mapping[str, str]) -> SiteResponse:
        """Send a request to `/credentials/verify`, signed by this function's role."""
        credentials = self._session.get_credentials()
        if credentials is None:
            return SiteResponse(0, {"code": "no credentials"})
        path, raw = "/credentials/verify", json.dumps(body).encode()
        request = AWSRequest("POST", self._site + path, headers=dict(_JSON), data=raw)
        region = self._session.get_config_variable("region")
        SigV4Auth(credentials, "execute-api", region).add_auth(request)
        return self._send("POST", path, dict(request.headers.items()), raw)

    def _send(
        self, method: str, path: str, headers: Mapping[str, str], raw: bytes | None = None
    ) -> SiteResponse:
        try:
            response = self._client.request(method, self._site + path, headers, raw)
        except (RequestNotSent, OutcomeUnknown) as error:
            return SiteResponse(0, {"code": str(error)})
        return SiteResponse(response.status, _object(response))


def _object(response: Response) -> Mapping[str, Any]:
    try:
        parsed = json.loads(response.body or b"")
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def run() -> dict[str, Any]:
    """Make one recovery, count it, and return its result for who invoked the function.

    The result has no code and no password. Raises SettingsError, Unavailable.
    """
    service = runtime.service()
    session = new_session()
    result = service.canary.run(lambda openid: HttpSite(service, openid, session))
    succeeded = result.problem is None
    count("CanarySucceeded", int(succeeded))
    if succeeded:
        count("CanaryMilliseconds", result.milliseconds)
    facts = {"step": result.step, "milliseconds": result.milliseconds, "problem": result.problem}
    log.log(logging.INFO if succeeded else logging.ERROR, "a canary's recovery", extra=facts)
    return {"succeeded": succeeded, "version": VERSION, **facts}
