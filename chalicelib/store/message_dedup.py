"""What messages of WeChat were answered, so that a repeat gets the same."""

from __future__ import annotations

from .dynamo import ConditionFailed, raw_text, update
from .models import SeenItem

KEPT = 300
"""Seconds. WeChat repeats a message within some fifteen; a code that an answer may carry ends in
this time."""


class MessageDedup:
    """Answers by the key that all deliveries of one message have in common."""

    def keep(self, key: str, answer: str, now: int) -> str | None:
        """Keep the answer of the first delivery; the one that stands already, or None: one write.

        `answer` must be unreadable to who sees the table. Raises Unavailable.
        """
        unseen = SeenItem.id.does_not_exist() | (SeenItem.expires_at <= now)
        try:
            update(
                SeenItem(f"seen#{key}"),
                [SeenItem.answer.set(answer), SeenItem.expires_at.set(now + KEPT)],
                unseen,
            )
        except ConditionFailed as refused:
            return raw_text(refused.items[0], "answer")
        return None
