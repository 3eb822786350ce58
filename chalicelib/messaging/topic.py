"""The SNS topic of messages to operators."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ..domain.errors import Unavailable

log = logging.getLogger(__name__)


class Topic:
    """Notifies operators in plain text; without a topic, by the log only."""

    def __init__(self, connect: Callable[[], Any], arn: str) -> None:
        """`connect` returns an SNS client; `arn` may be empty."""
        self._connect = connect
        self._arn = arn

    def notify(self, subject: str, text: str) -> None:
        """Publish a message; `subject` is ASCII, at most 100 characters. Raises Unavailable."""
        if not self._arn:
            log.warning("no topic for a message to operators: %s", subject)
            return
        try:
            self._connect().publish(TopicArn=self._arn, Subject=subject, Message=text)
        except (BotoCoreError, ClientError) as error:
            raise Unavailable("topic") from error
