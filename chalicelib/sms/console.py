"""Print messages to the developer's terminal. Nothing else prints a code."""

from __future__ import annotations

from typing import TextIO

from .gateway import Attempt, Outcome, Sms


class Console:
    """Prints each message on a line of its own."""

    name = "console"

    def __init__(self, stream: TextIO, sign: str) -> None:
        self._stream = stream
        self._sign = sign

    def send(self, sms: Sms) -> Attempt:
        """Print the message."""
        try:
            print(f"SMS {sms.to} 【{self._sign}】{sms.text}", file=self._stream, flush=True)
        except (OSError, ValueError) as error:
            return Attempt(self.name, Outcome.TRY_ANOTHER, reason=type(error).__name__)
        return Attempt(self.name, Outcome.SENT)
