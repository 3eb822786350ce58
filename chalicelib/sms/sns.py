"""Amazon SNS, as far as a region has SMS: not in aws-cn, and to +86 only for a filed template."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
)
from botocore.exceptions import (
    ConnectionError as NotConnected,
)

from ..http_client import DEFAULT_TIMEOUTS
from .gateway import Attempt, Outcome, Sms
from .vendor import word

# On DEBUG botocore logs the parameters of each call, the text and the phone among them.
logging.getLogger("botocore").setLevel(logging.INFO)

# The number is wrong or its owner has opted out: no gateway would reach it. A message to a number
# that has opted out is mostly taken all the same, and only the delivery log tells.
#
# Everything else, throttling and the month's spending limit among it, is this account's affair.
# Source: the errors of Publish and OptedOutException in the API reference of Amazon SNS.
FINAL = frozenset({"InvalidParameter", "ParameterValueInvalid", "OptedOut"})


def sns_config() -> Config:
    """botocore's settings for sending: one attempt alone, since a repeat is a second SMS."""
    return Config(
        connect_timeout=DEFAULT_TIMEOUTS.connect,
        read_timeout=DEFAULT_TIMEOUTS.answer,
        retries={"total_max_attempts": 1, "mode": "standard"},
    )


class Sns:
    """Publishes to a phone number; the message id is the name its delivery logs use."""

    name = "sns"

    def __init__(self, client: Callable[[], Any], sign: str) -> None:
        """`client` makes a boto3 SNS client with `sns_config`, a new one for each message.

        A connection that was kept since the last message may have died meanwhile, and without
        repeats a message lost on it would pass for one of unknown outcome.
        """
        self._client = client
        self._sign = sign
        self._lock = threading.Lock()

    def send(self, sms: Sms) -> Attempt:
        """Hand the message over."""
        try:
            with self._lock:  # boto3's default session makes one client at a time.
                client = self._client()
        except Exception as error:
            # No region, no such service: nothing has been sent.
            return Attempt(self.name, Outcome.TRY_ANOTHER, reason=type(error).__name__)
        with closing(client):
            return self._publish(client, sms)

    def _publish(self, client: Any, sms: Sms) -> Attempt:
        body = _PublishBody(client)
        try:
            answer = client.publish(
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
            return self._refusal(error.response)
        except Exception as error:
            # Texts of botocore can quote parameters, so only the kind is kept.
            return Attempt(self.name, _outcome(error, body), reason=type(error).__name__)
        message_id = word(answer.get("MessageId")) or None
        outcome = Outcome.SENT if message_id else Outcome.UNKNOWN
        return Attempt(self.name, outcome, message_id=message_id)

    def _refusal(self, response: Any) -> Attempt:
        code = word(response.get("Error", {}).get("Code")) or "?"
        request = word(response.get("ResponseMetadata", {}).get("RequestId"))
        final = code in FINAL
        return Attempt(
            self.name,
            Outcome.REFUSED if final else Outcome.TRY_ANOTHER,
            reason=f"{code} {request}".strip(),
        )


class _PublishBody:
    """The body of a client's one request, and whether any of it was written.

    botocore's SSLError and ConnectionClosedError do not say whether the handshake failed or the
    answer did, and its ReadTimeoutError may be the handshake's. urllib3 reads a body only once the
    connection is established and the head is written; a message whose body was not read was not
    sent.
    """

    def __init__(self, client: Any) -> None:
        self._stream: _MarkedStream | None = None
        self._is_answered = False
        # After other handlers, which may answer in the place of AWS and read the body for it.
        client.meta.events.register_last("before-send", self._replace)
        client.meta.events.register("response-received", self._mark_answered)

    @property
    def is_held_back(self) -> bool:
        """Whether there was a request, and certainly none of its body has left."""
        return self._stream is not None and not (self._stream.is_read or self._is_answered)

    def _replace(self, request: Any, **_: Any) -> None:
        body = request.body
        stream = _MarkedStream(body.encode() if isinstance(body, str) else body)
        self._stream = request.body = stream

    def _mark_answered(self, response_dict: Any, **_: Any) -> None:
        self._is_answered = response_dict is not None


class _MarkedStream(io.BytesIO):
    is_read = False

    def read(self, size: int | None = -1, /) -> bytes:
        self.is_read = True
        return super().read(size)


_UNSENT = (EndpointConnectionError, ConnectTimeoutError)
_NETWORK = (NotConnected, HTTPClientError, IncompleteReadError)


def _outcome(error: Exception, body: _PublishBody) -> Outcome:
    # What botocore raises by itself goes wrong before anything is sent: credentials, parameters.
    own = isinstance(error, BotoCoreError) and not isinstance(error, _NETWORK)
    unsent = own or isinstance(error, _UNSENT) or body.is_held_back
    return Outcome.TRY_ANOTHER if unsent else Outcome.UNKNOWN
