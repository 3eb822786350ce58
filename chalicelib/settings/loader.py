"""Load the settings from the environment and the Secrets Manager secret that it names."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ..domain.errors import Unavailable
from .schema import Settings, SettingsError, load

log = logging.getLogger(__name__)

T = TypeVar("T")

LIFETIME = 300
"""Seconds until the secret is read again; every process uses a changed secret after that time."""

PAUSE = 30
"""Seconds until a failed renewal is retried; the previous settings stay in use."""


SECRETS_CONFIG = Config(
    connect_timeout=1,
    read_timeout=2,
    retries={"mode": "standard", "total_max_attempts": 2},
    max_pool_connections=1,
    parameter_validation=False,
)
"""The Secrets Manager client's settings, in seconds: both attempts end within about six seconds,
before the functions' own time-out."""


class SettingsSource:
    """The process's settings, read at the first use and again after LIFETIME."""

    def __init__(
        self,
        environment: Mapping[str, str],
        clock: Callable[[], int],
        connect: Callable[[], Any],
    ) -> None:
        """`clock` returns epoch seconds; `connect` returns a Secrets Manager client.

        `connect` is called at the first read, and only if SECRETS_ID is set in `environment`.
        """
        self._environment = environment
        self._clock = clock
        self._connect = connect
        self._client: Any = None
        self._lock = threading.Lock()
        self._settings: Settings | None = None
        self._secret: str | None = None
        self._due_at = 0

    def settings(self) -> Settings:
        """Return the settings; the same object until they change.

        Raises SettingsError if a setting is missing or malformed, Unavailable if the secret cannot
        be read; the next call then tries again. Once settings are loaded, a later failure is logged
        and the loaded settings stay in use.
        """
        loaded = self._settings
        if loaded is None:
            with self._lock:
                return self._settings or self._load_first()
        if self._clock() >= self._due_at and self._lock.acquire(blocking=False):
            try:
                return self._reload(loaded)
            finally:
                self._lock.release()
        return loaded

    def _load_first(self) -> Settings:
        secret = self._read()
        settings = load(self._environment, secret)
        self._store(settings, secret)
        return settings

    def _reload(self, loaded: Settings) -> Settings:
        if self._secret is None or self._clock() < self._due_at:
            return loaded
        # Set before the attempt, so that a failure is not retried by every request.
        self._due_at = self._clock() + PAUSE
        try:
            secret = self._read()
            settings = loaded if secret == self._secret else load(self._environment, secret)
        except Unavailable as error:
            log.warning("the secret was not read again: %s", _kind(error.__cause__))
            return loaded
        except SettingsError as error:
            log.error("the secret's new value is invalid: %s", error, extra={"alarm": "settings"})
            return loaded
        self._store(settings, secret)
        return settings

    def _store(self, settings: Settings, secret: str | None) -> None:
        self._settings, self._secret = settings, secret
        self._due_at = self._clock() + LIFETIME

    def _read(self) -> str | None:
        name = self._environment.get("SECRETS_ID")
        if not name:
            return None
        try:
            if self._client is None:
                self._client = self._connect()
            answer = self._client.get_secret_value(SecretId=name)
        except (
            BotoCoreError,
            ClientError,
            AttributeError,
            LookupError,
            OSError,
            TypeError,
            ValueError,
        ) as error:
            # botocore raises the last five if the response is not a JSON object, the endpoint is
            # not a URL, or the process that supplies credentials cannot be started.
            raise Unavailable("secrets") from error
        if "ARN" not in answer:
            # botocore parses a body that is not JSON, such as HTML, as an empty response.
            raise Unavailable("secrets")
        # A binary secret has no SecretString; `load` refuses the empty text as no JSON object.
        return str(answer.get("SecretString", ""))


class Built(Generic[T]):
    """An object built from the settings at the first use, and again when they change."""

    def __init__(self, source: SettingsSource, build: Callable[[Settings], T]) -> None:
        """`build` returns a new object for the settings; one thread calls it at a time."""
        self._source = source
        self._build = build
        self._lock = threading.Lock()
        self._built: tuple[Settings, T] | None = None

    def get(self) -> T:
        """Return the object built from the current settings; errors as for SettingsSource.settings."""
        settings = self._source.settings()
        built = self._built
        if built is None or built[0] is not settings:
            with self._lock:
                built = self._built
                if built is None or built[0] is not settings:
                    built = self._built = (settings, self._build(settings))
        return built[1]


def _kind(error: BaseException | None) -> str:
    # botocore's messages may quote the request.
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "?"))
    return type(error).__name__
