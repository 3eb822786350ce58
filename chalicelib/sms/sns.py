"""Amazon SNS. It has no SMS in aws-cn, and sends to +86 only registered templates."""

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

# At DEBUG botocore logs the parameters of each call, including text and phone.
logging.getLogger("botocore").setLevel(logging.INFO)

# The owner of the number has opted out: certainly a fault of the number. SNS accepts most messages to
# numbers that have opted out, and reports that only in its delivery log.
#
# All other codes concern this account (throttling, spending limit, permission), and the next gateway
# may succeed. So does InvalidParameter with "… is not valid to publish to": that is also the answer
# of a region without SMS, and of an account that may not send to the number's country.
# Sources: the errors of Publish and OptedOutException in the API reference of Amazon SNS;
# github.com/aws/aws-sdk-js/issues/1217 and 1368, github.com/boto/boto3/issues/2195.
FINAL = frozenset({"OptedOut"})

# The text by which SNS reports the same with the code InvalidParameter.
_OPTED_OUT = "Phone number is opted out"


def sns_config() -> Config:
    """Return botocore's settings for sending: a single attempt, since a retry is a second SMS."""
    return Config(
        connect_timeout=DEFAULT_TIMEOUTS.connect,
        read_timeout=DEFAULT_TIMEOUTS.answer,
        retries={"total_max_attempts": 1, "mode": "standard"},
    )


class Sns:
    """Publishes to a phone number; its delivery logs contain the message id."""

    name = "sns"

    def __init__(self, client: Callable[[], Any], sign: str) -> None:
        """`client` creates a boto3 SNS client with `sns_config`; it is called for each message.

        A connection kept since the last message may be dead, and without retries the outcome of a
        message on it would be unknown.
        """
        self._client = client
        self._sign = sign
        self._lock = threading.Lock()

    def send(self, sms: Sms) -> Attempt:
        """Send the message once; return the outcome."""
        try:
            with self._lock:  # boto3's default session is not thread-safe.
                client = self._client()
        except Exception as error:
            # For example no region: nothing has been sent.
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
            # botocore's messages may quote parameters, so only the class is stored.
            return Attempt(self.name, _outcome(error, body), reason=type(error).__name__)
        message_id = word(answer.get("MessageId")) or None
        outcome = Outcome.SENT if message_id else Outcome.UNKNOWN
        return Attempt(self.name, outcome, message_id=message_id)

    def _refusal(self, response: Any) -> Attempt:
        error = response.get("Error", {})
        code = word(error.get("Code")) or "?"
        request = word(response.get("ResponseMetadata", {}).get("RequestId"))
        final = code in FINAL or _OPTED_OUT in str(error.get("Message", ""))
        return Attempt(
            self.name,
            Outcome.REFUSED if final else Outcome.TRY_ANOTHER,
            reason=f"{code} {request}".strip(),
        )


class _PublishBody:
    """The body of a client's only request, and whether any of it was sent.

    botocore's SSLError, ConnectionClosedError and ReadTimeoutError occur during the handshake as well
    as afterwards. urllib3 reads the body only after the connection is established and the headers are
    written; a message whose body was not read was not sent.
    """

    def __init__(self, client: Any) -> None:
        self._stream: _MarkedStream | None = None
        self._is_answered = False
        # Last, since other handlers may respond in place of AWS and read the body.
        client.meta.events.register_last("before-send", self._replace)
        client.meta.events.register("response-received", self._mark_answered)

    @property
    def is_held_back(self) -> bool:
        """Return whether there was a request and none of its body has been sent."""
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
    # Other errors of botocore, such as missing credentials, occur before anything is sent.
    own = isinstance(error, BotoCoreError) and not isinstance(error, _NETWORK)
    unsent = own or isinstance(error, _UNSENT) or body.is_held_back
    return Outcome.TRY_ANOTHER if unsent else Outcome.UNKNOWN
