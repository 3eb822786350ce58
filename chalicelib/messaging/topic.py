"""The SNS topic that operators read."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ..domain.errors import Unavailable

log = logging.getLogger(__name__)


class Topic:
    """Tells operators in plain words; a deployment without a topic tells the log alone."""

    def __init__(self, connect: Callable[[], Any], arn: str) -> None:
        """`connect` makes an SNS client; `arn` may be empty."""
        self._connect = connect
        self._arn = arn

    def notify(self, subject: str, text: str) -> None:
        """Publish a message; `subject` is ASCII of at most 100 characters. Raises Unavailable."""
        if not self._arn:
            log.warning("no topic to tell operators by: %s", subject)
            return
        try:
            self._connect().publish(TopicArn=self._arn, Subject=subject, Message=text)
        except (BotoCoreError, ClientError) as error:
            raise Unavailable("topic") from error
