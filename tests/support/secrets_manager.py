"""Secrets Manager on moto with the one secret of the settings, which can be made to fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.session import get_session
from moto import mock_aws

from chalicelib import runtime
from chalicelib.settings import SETTINGS as DECLARED
from chalicelib.settings.loader import SECRETS_CONFIG
from tests.conftest import SETTINGS

NAME = "recovery-settings"


@dataclass
class SecretsManager:
    """Secrets Manager, and the requests that it received."""

    client: Any
    requests: list[str] = field(default_factory=list)
    """Names of the operations, oldest first."""
    clients: int = 0
    fault: str | BaseException | None = None
    """An error code or an exception with which each request fails."""

    def __post_init__(self) -> None:
        self.client.create_secret(Name=NAME, SecretString=json.dumps(SETTINGS))

    def put(self, text: str | bytes) -> None:
        """Replace the secret's value."""
        key = "SecretString" if isinstance(text, str) else "SecretBinary"
        self.client.put_secret_value(SecretId=NAME, **{key: text})

    def connect(self) -> Any:
        """Return a client whose requests are recorded and fail by `fault`."""
        self.clients += 1
        client = get_session().create_client("secretsmanager", config=SECRETS_CONFIG)
        client.meta.events.register_first("before-call", self._before)
        return client

    def _before(self, model: Any, **_: Any) -> None:
        self.requests.append(model.name)
        if isinstance(self.fault, BaseException):
            raise self.fault
        if self.fault is not None:
            raise ClientError(
                {"Error": {"Code": self.fault, "Message": "secret of canary-arn"}}, model.name
            )


@pytest.fixture
def secrets_manager(monkeypatch: pytest.MonkeyPatch) -> Iterator[SecretsManager]:
    """A process whose environment has no setting but the secret's name."""
    for setting in DECLARED:
        monkeypatch.delenv(setting.name, raising=False)
    monkeypatch.setenv("SECRETS_ID", NAME)
    with mock_aws():
        manager = SecretsManager(boto3.client("secretsmanager"))
        monkeypatch.setattr(runtime, "_secrets_manager", manager.connect)
        with runtime.using(None):
            yield manager
