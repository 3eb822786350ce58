"""Amazon SNS, as far as a region has SMS: not in aws-cn, and to +86 only for a filed template."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSLError,
)

from .gateway import Attempt, Outcome, Sms

# The number is wrong or its owner has opted out: no gateway would reach it.
_FINAL = frozenset({"InvalidParameter", "InvalidParameterValue", "OptedOut"})
_NOT_SENT = (EndpointConnectionError, ConnectTimeoutError, SSLError)
_PERHAPS_SENT = (ReadTimeoutError, ConnectionClosedError)


def sns_config() -> Config:
    """botocore's settings for sending: one attempt alone, since a repeat is a second SMS."""
    return Config(
        connect_timeout=2,
        read_timeout=4,
        retries={"total_max_attempts": 1, "mode": "standard"},
    )


class Sns:
    """Publishes to a phone number; the message id is the name its delivery logs use."""

    name = "sns"

    def __init__(self, client: Callable[[], Any], sign: str) -> None:
        """`client` gives a boto3 SNS client that was made with `sns_config`."""
        self._client = client
        self._sign = sign

    def send(self, sms: Sms) -> Attempt:
        """Hand the message over."""
        try:
            answer = self._client().publish(
                PhoneNumber=sms.to,
                Message=f"【{self._sign}】{sms.text}",
                MessageAttributes={
                    "AWS.SNS.SMS.SMSType": {
                        "DataType": "String",
                        "StringValue": "Transactional",
                    }
                },
            )
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", "?"))
            final = code in _FINAL
            return Attempt(
                self.name, Outcome.REFUSED if final else Outcome.TRY_ANOTHER, reason=code
            )
        except _PERHAPS_SENT as error:
            return Attempt(self.name, Outcome.UNKNOWN, reason=type(error).__name__)
        except _NOT_SENT as error:
            return Attempt(self.name, Outcome.TRY_ANOTHER, reason=type(error).__name__)
        except BotoCoreError as error:
            # What is left goes wrong before anything is sent: credentials, region, parameters.
            return Attempt(self.name, Outcome.TRY_ANOTHER, reason=type(error).__name__)
        return Attempt(self.name, Outcome.SENT, message_id=str(answer["MessageId"]))
