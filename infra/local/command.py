"""`python -m infra.local`: the options, the signals, and one line for whatever goes wrong."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from chalicelib.telemetry import logs

from .terminal import Unhurried


class _Signals:
    """SIGTERM and SIGINT, remembered from the first moment on.

    A handler may interrupt the main thread anywhere, so it takes no lock and raises nothing. The
    system may hand the signal to any thread, which does not wake the main one; the pipe does.
    """

    def __init__(self) -> None:
        self.came = False
        self._read, written = os.pipe()
        os.set_blocking(written, False)
        signal.set_wakeup_fd(written, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def _note(self, *_: object) -> None:
        self.came = True

    def wait(self) -> None:
        """Return once a signal has come."""
        os.read(self._read, 1)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError("must be 0 to 65535; 0 takes a free one")
    return int(text)


def _url(text: str) -> str:
    parts = urlsplit(text)
    try:
        right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        right = False
    if not right or parts.query or parts.fragment:
        raise argparse.ArgumentTypeError("must be an http or https address without query")
    return text.rstrip("/")


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    made = argparse.ArgumentParser(
        prog="python -m infra.local",
        description="The whole service on this machine, with AWS, WeChat and phones simulated.",
        allow_abbrev=False,
    )
    made.add_argument(
        "--port", type=_port, default=8000, help="8000 unless told; 0 takes a free one"
    )
    made.add_argument("--firms", type=Path, metavar="FILE", help="seed from this directory file")
    made.add_argument(
        "--dynamodb",
        type=_url,
        metavar="URL",
        help="a DynamoDB in place of moto's; one that outlives the twin wants CODE_PEPPER to be set",
    )
    made.add_argument("--sms-url", type=_url, metavar="URL", help="where SMS are posted instead")
    made.add_argument("--wechat-url", type=_url, metavar="URL", help="the WeChat platform instead")
    made.add_argument(
        "--no-proof", action="store_true", help="no proof of work, for drivers without a browser"
    )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the twin until a signal ends it; the exit status."""
    signals = _Signals()
    given = parser().parse_args(arguments)
    out, err = Unhurried(sys.stdout), Unhurried(sys.stderr)
    sys.stdout, sys.stderr = out, err
    try:
        with logs.plainly(err, logging.WARNING):
            return _run(given, signals, err)
    finally:
        # What is printed after this, such as a traceback, must not be lost.
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
        out.finish()
        err.finish()


def _run(given: argparse.Namespace, signals: _Signals, err: Unhurried) -> int:
    if err.isatty():
        logging.getLogger("infra.local").setLevel(logging.INFO)
    # moto takes a second or two to load, in which a signal must find its handler already.
    from .seeding import CannotStart  # noqa: PLC0415
    from .twin import Ended, Options, Twin  # noqa: PLC0415

    options = Options(
        port=given.port,
        firms=given.firms,
        dynamodb=given.dynamodb,
        sms_url=given.sms_url,
        wechat_url=given.wechat_url,
        proof=not given.no_proof,
    )
    try:
        with Twin(options, print, lambda: signals.came):
            signals.wait()
    except CannotStart as error:
        print(f"error: {error}", file=err)
        return 2
    except Ended:
        return 0
    return 0
