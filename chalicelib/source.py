"""Where the settings come from: the environment, and the one Secrets Manager secret it names."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from .aws import Limits
from .domain.errors import Unavailable
from .settings import Settings, SettingsError, load

log = logging.getLogger(__name__)

T = TypeVar("T")

LIFETIME = 300
"""Seconds that a process goes on with what it read of the secret: so long after a change every
process knows it, and a busy one asks twelve times an hour."""

PAUSE = 30
"""Seconds until a question that failed is asked again, while what was read before still serves."""


SECRET_LIMITS = Limits(connect_timeout=1, read_timeout=2, attempts=2)
"""With both attempts the question ends within six seconds, before the functions' own time does."""


class SettingsSource:
    """The process's settings, read when they are first asked for and again after LIFETIME."""

    def __init__(
        self,
        environment: Mapping[str, str],
        clock: Callable[[], int],
        connect: Callable[[], Any],
    ) -> None:
        """`connect` makes a Secrets Manager client, and is called once where there is a secret."""
        self._environment = environment
        self._clock = clock
        self._connect = connect
        self._client: Any = None
        self._lock = threading.Lock()
        self._settings: Settings | None = None
        self._secret: str | None = None
        self._due_at = 0

    def settings(self) -> Settings:
        """The settings; the same object until they change.

        Raises SettingsError where they are not sound, Unavailable where the secret cannot be read;
        the next call then tries again. A process that has settings keeps them whatever comes later.
        """
        known = self._settings
        if known is None:
            with self._lock:
                return self._settings or self._first()
        if self._clock() >= self._due_at and self._lock.acquire(blocking=False):
            try:
                return self._renewed(known)
            finally:
                self._lock.release()
        return known

    def _first(self) -> Settings:
        secret = self._read()
        settings = load(self._environment, secret)
        self._keep(settings, secret)
        return settings

    def _renewed(self, known: Settings) -> Settings:
        if self._secret is None or self._clock() < self._due_at:
            return known
        # Whatever comes of it, not every request from now on shall ask.
        self._due_at = self._clock() + PAUSE
        try:
            secret = self._read()
            settings = known if secret == self._secret else load(self._environment, secret)
        except Unavailable as error:
            cause = error.__cause__
            log.warning("the secret was not read again: %s", _kind(cause))
            return known
        except SettingsError as error:
            log.error("the secret's new value is not taken: %s", error, extra={"alarm": "settings"})
            return known
        self._keep(settings, secret)
        return settings

    def _keep(self, settings: Settings, secret: str | None) -> None:
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
        except (BotoCoreError, ClientError) as error:
            raise Unavailable("secrets") from error
        # A binary secret has no text; it is no JSON object, and refused as such.
        return str(answer.get("SecretString", ""))


class Built(Generic[T]):
    """What is built of the settings, at the first use and anew when they change."""

    def __init__(self, source: SettingsSource, build: Callable[[Settings], T]) -> None:
        self._source = source
        self._build = build
        self._lock = threading.Lock()
        self._made: tuple[Settings, T] | None = None

    def get(self) -> T:
        """What the settings of now give. Raises what the source raises."""
        settings = self._source.settings()
        made = self._made
        if made is None or made[0] is not settings:
            with self._lock:
                made = self._made
                if made is None or made[0] is not settings:
                    made = self._made = (settings, self._build(settings))
        return made[1]


def _kind(error: BaseException | None) -> str:
    # Texts of botocore can quote what was sent.
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "?"))
    return type(error).__name__
