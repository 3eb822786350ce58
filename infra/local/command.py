"""`python -m infra.local`: options, signals, and a one-line message for each error."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from chalicelib.telemetry import logs

from .terminal import BackgroundWriter


class _Signals:
    """Records SIGTERM and SIGINT from its creation on.

    A handler may interrupt the main thread anywhere, so it acquires no lock and raises nothing. The
    system may deliver the signal to any thread, which does not wake the main one; the pipe does.
    """

    def __init__(self) -> None:
        self.received = False
        self._read, written = os.pipe()
        os.set_blocking(written, False)
        signal.set_wakeup_fd(written, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._record)

    def _record(self, *_: object) -> None:
        self.received = True

    def wait(self) -> None:
        """Block until a signal arrives."""
        os.read(self._read, 1)


class _Address(click.ParamType[str]):
    """An http or https URL without query; a trailing slash is removed."""

    name = "url"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        try:
            parts = urlsplit(str(value))
            valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
            valid = valid and not (parts.query or parts.fragment)
        except ValueError:
            valid = False
        if not valid:
            self.fail("must be an http or https address without query", param, ctx)
        return str(value).rstrip("/")


@click.command(help="Run the whole service on this machine, with AWS, WeChat and phones simulated.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8000,
    show_default=True,
    help="0 chooses a free one.",
)
@click.option(
    "--firms",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Load this directory file in place of the demo firms.",
)
@click.option(
    "--dynamodb",
    type=_Address(),
    metavar="URL",
    help="A DynamoDB in place of moto's; set CODE_PEPPER if it outlives this process.",
)
@click.option("--sms-url", type=_Address(), metavar="URL", help="Post SMS here instead.")
@click.option("--wechat-url", type=_Address(), metavar="URL", help="This WeChat platform instead.")
@click.option("--no-proof", is_flag=True, help="No proof of work, for drivers without a browser.")
@click.pass_obj
def local(signals: _Signals, /, no_proof: bool, **options: Any) -> int:
    """Run the local stack until a signal ends it; return the exit status."""
    out, err = BackgroundWriter(sys.stdout), BackgroundWriter(sys.stderr)
    sys.stdout, sys.stderr = out, err
    try:
        with logs.plainly(err, logging.WARNING):
            return _run(signals, err, proof=not no_proof, **options)
    finally:
        # Later output, such as a traceback, must not be lost.
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
        out.finish()
        err.finish()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status, which is 2 for a wrong option."""
    signals = _Signals()
    try:
        return int(
            local.main(
                None if arguments is None else list(arguments),
                prog_name="python -m infra.local",
                standalone_mode=False,
                obj=signals,
            )
        )
    except click.ClickException as error:
        error.show()
        return error.exit_code


def _run(signals: _Signals, err: BackgroundWriter, **options: Any) -> int:
    if err.isatty():
        logging.getLogger("infra.local").setLevel(logging.INFO)
    # moto needs seconds to load; the signal handlers must be installed before.
    from .seeding import CannotStart  # noqa: PLC0415
    from .stack import LocalStack, Options, StartAborted  # noqa: PLC0415

    try:
        with LocalStack(Options(**options), print, lambda: signals.received):
            signals.wait()
    except CannotStart as error:
        print(f"error: {error}", file=err)
        return 2
    except StartAborted:
        return 0
    return 0
