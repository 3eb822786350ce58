"""Check the part of the environment that botocore reads, before any request is sent."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from getpass import GetPassWarning
from urllib.parse import urlsplit

from boto3 import Session
from botocore.credentials import Credentials
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigParseError,
    CredentialRetrievalError,
    InvalidConfigError,
    LoginError,
    NoAuthTokenError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
from botocore.session import get_session

from chalicelib.domain.catalogue import fill

from . import words
from .aws_errors import described, kind
from .command import Failed

_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_WORDS = (*_KEYS, "AWS_REGION", "AWS_DEFAULT_REGION")
_NOT_SIGNED_IN = (SSOError, LoginError, NoAuthTokenError, TokenRetrievalError)


def open_session() -> Session:
    """Return a session whose variables, profile and configuration files are usable.

    Raises Failed with status 2, and a sentence that names the slip.
    """
    for slip in _slips():
        raise _slip(slip)
    try:
        return Session()
    except ProfileNotFound:
        raise _slip(words.PROFILE_UNKNOWN, name=os.environ.get("AWS_PROFILE", "")) from None
    except ConfigParseError as error:
        raise _slip(words.CONFIG_UNPARSABLE, path=error.kwargs.get("path", "")) from None


def _slips() -> Iterator[str]:
    for name in _WORDS:
        if not _is_visible_ascii(os.environ.get(name, "")):
            yield fill(words.VARIABLE_WRONG, name=name)
    if not os.environ.get("AWS_PROFILE", "").isprintable():
        yield fill(words.VARIABLE_WRONG, name="AWS_PROFILE")
    for name, value in os.environ.items():
        if name.startswith("AWS_ENDPOINT_URL") and value and not _is_endpoint(value):
            yield fill(words.ENDPOINT_WRONG, name=name)


def _is_visible_ascii(text: str) -> bool:
    return all("!" <= character <= "~" for character in text)


def _is_endpoint(url: str) -> bool:
    try:
        parts = urlsplit(url)
        # A port is parsed, and an invalid one refused, when the attribute is read.
        is_whole = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return is_whole and parts.scheme in ("http", "https") and _is_visible_ascii(url)


def open_profile(name: str) -> Session:
    """Return a session of another profile, whose credentials are resolved.

    botocore ignores the keys in the environment for a profile that is named. Raises Failed.
    """
    try:
        session = Session(profile_name=name)
    except ProfileNotFound:
        raise _slip(words.PROFILE_UNKNOWN, name=name if name.isprintable() else "") from None
    settle_credentials(session)
    return session


def settle_credentials(other: Session | None = None) -> None:
    """Resolve the credentials once, so that a failure is named before any other request is sent.

    They are those of the environment, or those of another session. The region must be set, since a
    role is assumed at its STS. Raises Failed, with status 2 if the cause is the environment.
    """
    session = other or Session()
    try:
        with warnings.catch_warnings():
            # Without a terminal, the question for a one-time code ends in an EOFError.
            warnings.simplefilter("ignore", GetPassWarning)
            credentials = session.get_credentials()
            frozen = credentials.get_frozen_credentials() if credentials is not None else None
    except _NOT_SIGNED_IN:
        raise _slip(words.SSO_NOT_SIGNED_IN) from None
    except EOFError:
        raise _slip(words.MFA_WITHOUT_TERMINAL) from None
    except PartialCredentialsError:
        raise _slip(words.CREDENTIALS_PARTIAL) from None
    except InvalidConfigError:
        raise _slip(words.CONFIG_CONTRADICTORY) from None
    except CredentialRetrievalError as error:
        provider = str(error.kwargs.get("provider", ""))
        if provider == "custom-process":
            raise _slip(words.PROCESS_FAILED, kind=kind(error)) from None
        raise _slip(words.CREDENTIALS_NOT_RETRIEVED, provider=provider) from None
    except (ClientError, BotoCoreError) as error:
        raise Failed("identity", described(words.ERRORS["identity"], error)) from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        # The program of credential_process cannot be started, or its output or the cached sign-in
        # is not as documented.
        raise _slip(words.PROCESS_FAILED, kind=type(error).__name__) from None
    if credentials is None or frozen is None:
        raise _slip(words.CREDENTIALS_MISSING)
    if any(not (value or "").isprintable() for value in frozen):
        raise _slip(words.KEY_WRONG)
    is_own = other is None and credentials.method == "assume-role"
    if is_own and get_session().get_scoped_config().get("mfa_serial"):
        _export(credentials)


def _export(credentials: Credentials) -> None:
    """Let the process's other sessions use these credentials without a further one-time code.

    They are not renewed, which would require a code as well.
    """
    for name, value in zip(_KEYS, credentials.get_frozen_credentials(), strict=False):
        if value:
            os.environ[name] = value


def _slip(text: str, **values: str) -> Failed:
    return Failed("environment", fill(text, **values) if values else text, 2)
