"""The answers to messages of WeChat, so that a repeated message gets the same answer."""

from __future__ import annotations

from typing import Protocol

from .dynamo import ConditionFailed, raw_text, update
from .ephemeral_models import SeenItem

ANSWER_LIFETIME = 300
"""Seconds. WeChat repeats a message within some fifteen; a code in an answer lives this long."""


class TextSealer(Protocol):
    """Encryption of text, bound to a purpose."""

    def seal(self, purpose: str, text: str) -> str:
        """Encrypt a text."""

    def unseal(self, purpose: str, sealed: str) -> str | None:
        """Decrypt a text; None where it was not sealed for this purpose."""


class MessageDedup:
    """Answers by the key that all deliveries of one message have in common; stored encrypted."""

    def __init__(self, sealer: TextSealer) -> None:
        self._sealer = sealer

    def first_answer(self, key: str, answer: str, now: int) -> str:
        """Return the answer to the message's first delivery: one write.

        That is `answer`, which is stored, where this delivery is the first one, or where the
        stored answer cannot be decrypted any more. Raises Unavailable.
        """
        purpose = f"answer {key}"
        unseen = SeenItem.id.does_not_exist() | (SeenItem.expires_at <= now)
        try:
            update(
                SeenItem(f"seen#{key}"),
                [
                    SeenItem.answer.set(self._sealer.seal(purpose, answer)),
                    SeenItem.expires_at.set(now + ANSWER_LIFETIME),
                ],
                unseen,
            )
        except ConditionFailed as failure:
            first = raw_text(failure.items[0], "answer")
            return answer if first is None else self._sealer.unseal(purpose, first) or answer
        return answer
