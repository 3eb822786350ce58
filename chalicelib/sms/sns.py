"""Amazon SNS, as far as a region has SMS: not in aws-cn, and to +86 only for a filed template."""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable, Iterator
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
from urllib3.exceptions import ConnectTimeoutError as NotInTime
from urllib3.exceptions import NewConnectionError

from .gateway import Attempt, Outcome, Sms
from .wire import TIMEOUT, word

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
    connect, read = TIMEOUT
    return Config(
        connect_timeout=connect,
        read_timeout=read,
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
            return Attempt(self.name, _outcome(error), reason=type(error).__name__)
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


_UNSENT = (EndpointConnectionError, ConnectTimeoutError)
_NETWORK = (NotConnected, HTTPClientError, IncompleteReadError)


def _outcome(error: Exception) -> Outcome:
    # What botocore raises by itself goes wrong before anything is sent: credentials, parameters.
    own = isinstance(error, BotoCoreError) and not isinstance(error, _NETWORK)
    unsent = own or isinstance(error, _UNSENT) or _never_left(error)
    return Outcome.TRY_ANOTHER if unsent else Outcome.UNKNOWN


def _never_left(error: BaseException) -> bool:
    """Whether a failed request has certainly sent nothing of its message."""
    unsent = (NewConnectionError, NotInTime, UnicodeEncodeError)
    return any(isinstance(cause, unsent) or _in_handshake(cause) for cause in _causes(error))


def _in_handshake(cause: BaseException) -> bool:
    # A handshake that fails and a record that breaks later are of one class; the place parts them.
    frames = traceback.walk_tb(cause.__traceback__)
    return any(frame.f_code.co_name == "do_handshake" for frame, _ in frames)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception and those that it wraps: urllib3's in botocore's.

    `__context__` is left out, since it may lead to whatever the caller was handling.
    """
    waiting: list[Any] = [error]
    seen: set[int] = set()
    while waiting:
        cause = waiting.pop()
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            wrapped = getattr(cause, "kwargs", None)
            waiting += [cause.__cause__, getattr(cause, "reason", None), *cause.args]
            waiting += wrapped.values() if isinstance(wrapped, dict) else ()
