"""Log lines: JSON by Powertools in Lambda, plain text on a terminal; masked in both.

Modules log with `logging.getLogger(__name__)` and `extra=`. A line with the extra `alarm` requires
an operator's attention and is counted as the metric Alarm.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from ..version import VERSION
from . import masking, metrics
from .invocation import current

SERVICE = "login-recovery"

# Loggers whose lines are written from INFO on. Others are written from WARNING on, since libraries
# quote URLs, parameters and responses at INFO and DEBUG.
_OWN = ("app", "chalicelib", "infra", SERVICE)

# Set by this package or the interpreter, never from a request, so not masked.
_TRUSTED = frozenset(
    {"level", "timestamp", "location", "name", "service", "correlation_id", "request_id"}
)


_NAME = re.compile("[a-z]{2,12}(_[a-z]{2,12}){0,2}")


class Stream(Protocol):
    """The methods of a text stream that log lines need."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> object: ...


def structured(stream: Stream) -> None:
    """Write every line of the process to this stream as JSON, instead of to former handlers."""
    logging.root.handlers[:] = [_handler(stream, _Structured())]
    logging.root.setLevel(logging.INFO)
    logging.captureWarnings(True)


@contextmanager
def plainly(stream: Stream, level: int) -> Iterator[None]:
    """Write every line from `level` on to this stream in plain text until the block ends."""
    handler, before = _handler(stream, _Plain()), logging.root.level
    logging.root.addHandler(handler)
    logging.root.setLevel(level)
    try:
        yield
    finally:
        logging.root.removeHandler(handler)
        logging.root.setLevel(before)


def _handler(stream: Stream, formatter: logging.Formatter) -> logging.Handler:
    handler = _Handler(stream)
    handler.setFormatter(formatter)
    handler.addFilter(_concerns_operators)
    handler.addFilter(_count_alarm)
    return handler


def _concerns_operators(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or record.name.partition(".")[0] in _OWN


def _count_alarm(record: logging.LogRecord) -> bool:
    alarm = getattr(record, "alarm", None)
    if alarm is not None:
        metrics.count("Alarm", alarm=str(alarm))
    return True


class _Handler(logging.StreamHandler[Stream]):
    def handleError(self, record: logging.LogRecord) -> None:
        # The standard library would print the line's arguments unmasked.
        with suppress(OSError, ValueError):
            self.stream.write(f"a line of {record.name} could not be written{self.terminator}")


class _Structured(logging.Formatter):
    """Powertools' formatter, imported for the first line: most cold starts write none."""

    _made: logging.Formatter | None = None

    def format(self, record: logging.LogRecord) -> str:
        invocation = current()
        if invocation is not None:
            record.correlation_id = invocation.correlation_id
            record.request_id = invocation.request_id
        if self._made is None:
            self._made = _powertools()
        return self._made.format(record)


def _powertools() -> logging.Formatter:
    from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter  # noqa: PLC0415

    return LambdaPowertoolsFormatter(
        json_serializer=_line,
        json_deserializer=_as_text,
        utc=True,
        use_rfc3339=True,
        # It would repeat the exception's message, as an object.
        serialize_stacktrace=False,
        log_record_order=["level", "timestamp", "name", "message"],
        name="%(name)s",
        service=SERVICE,
        function=os.environ.get("AWS_LAMBDA_FUNCTION_NAME"),
        version=VERSION,
    )


def _as_text(message: object) -> str:
    # Powertools would parse a message that is JSON, and the message could then forge fields.
    raise ValueError


def _line(fields: Mapping[str, Any]) -> str:
    cleaned: dict[str, Any] = {}
    for name, value in fields.items():
        if name in _TRUSTED:
            cleaned[name] = value
        else:
            lines = name.startswith("exception")
            # Field names in code match the pattern; any other name may come from a request.
            safe_name = name if _NAME.fullmatch(name) else masking.clean(name)
            cleaned[safe_name] = masking.clean(value, lines=lines, name=name)
    return json.dumps(cleaned, ensure_ascii=False, separators=(",", ":"), default=str)


class _Plain(logging.Formatter):
    """One line, followed by the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{record.levelname} {masking.clean(record.getMessage())}"
        if record.exc_info:
            line += "\n" + masking.clean(self.formatException(record.exc_info), lines=True)
        return line
